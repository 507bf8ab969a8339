//! What is explained: networks that answer for a picture, split at the explained activation A.
//!
//! In: pictures of the network's input size. Out: A with whatever by-passes it ([`Activation`]),
//! from A the outputs, from the outputs what is answered ([`Prediction`]). A network is an
//! implementation of [`Classifier`]; adding one is a file here and a row in [`open`]. Knows nothing
//! of regions.

mod alexnet;
pub mod backbone;
mod card;
pub mod fer_net;
mod input;
pub mod multi_gap;
#[cfg(test)]
pub(crate) mod narrow;
pub mod parameters;
pub mod torchscript;

pub use alexnet::{AlexNet, Structure};
pub(crate) use alexnet::{MEAN, SYNTHESIZED, TRAINED_HERE, layers};
pub use card::{
    Architecture, Card, ChannelOrder, Flatten, Layout, Mean, Published, ReferenceAnswer,
    Regression, Scalar, SyntheticInput,
};
pub use fer_net::FerNet;
pub use multi_gap::MultiGap;
pub use torchscript::TorchScript;

use crate::image::Rgb8;
use crate::nn::{Layer, Precision, forward_kept};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, TchError, Tensor};

/// A network split in two: from the input to the explained activation A, and from A to the outputs.
pub trait Classifier: std::fmt::Debug + Send {
    /// What goes in and what comes out.
    fn card(&self) -> &Card;

    /// What enters the network: (N, 3, rows, columns), f32, from pictures of [`Card::input`]'s
    /// size.
    ///
    /// # Errors
    /// No memory.
    fn prepare(&self, pictures: &[&Rgb8]) -> Result<Tensor>;

    /// The explained activation of a prepared input; without gradients.
    ///
    /// # Errors
    /// The network could not be run.
    fn activation(&self, input: &Tensor) -> Result<Activation>;

    /// The outputs (N, outputs), f32, of an activation, which may have been changed. Autograd works
    /// through it, where it is on.
    ///
    /// # Errors
    /// The network could not be run.
    fn outputs(&self, activation: &Activation) -> Result<Tensor, TchError>;

    /// The names of the inner layers of which [`Self::inner`] gives the output, from the input on.
    /// A network that names none is explained all the same, but none of its inner layers can be
    /// asked for.
    fn inner_layers(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The output of the inner layer `name`, of a prepared input; without gradients.
    ///
    /// # Errors
    /// It names no such layer; the network could not be run.
    fn inner(&self, name: &str, input: &Tensor) -> Result<Activation> {
        let _ = input;
        Err(no_inner_layer(name, &self.inner_layers()))
    }

    /// The outputs (N, outputs), f32, of an output of the inner layer `name`, which may have been
    /// changed: what lies behind it is run, A and the layers behind A too; without gradients.
    ///
    /// # Errors
    /// It names no such layer; the network could not be run.
    fn outputs_from(&self, name: &str, inner: &Activation) -> Result<Tensor> {
        let _ = inner;
        Err(no_inner_layer(name, &self.inner_layers()))
    }

    /// The layers from A to the outputs, where the network shows them: LRP and DeepLIFT walk them,
    /// and leaving channels out is cheap. A's context is not used by such a network.
    fn layers(&self) -> Option<&[Layer]>;

    /// Names of layers between A and the outputs that are of use as features, each with its number
    /// in [`Self::layers`]: the linear ones but for the last, whose output is the network's, each
    /// behind its nonlinearity. A network whose layers have names of their own gives these.
    fn head_layers(&self) -> Vec<(String, usize)> {
        let linear = linear_layers(self.layers().unwrap_or_default());
        (1..).zip(linear).map(|(number, layer)| (format!("linear{number}"), layer)).collect()
    }

    /// The same network with other layers from A to the outputs, where it shows them.
    ///
    /// # Errors
    /// No memory.
    fn with_layers(&self, layers: Vec<Layer>) -> Result<Option<Box<dyn Classifier>>> {
        // Of a network that shows no layers none can be exchanged.
        drop(layers);
        Ok(None)
    }

    /// Names of the places at which it can be explained (the streams of a network that has several,
    /// at their last convolutions); none where there is only one.
    fn streams(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The same network explained at its stream number `stream`.
    ///
    /// # Errors
    /// No memory; it has no streams.
    fn explaining(&self, stream: usize) -> Result<Box<dyn Classifier>> {
        Err(Error::Setting(format!(
            "there is no stream number {stream}: this network has only one place to explain"
        )))
    }

    /// The outputs (N, outputs) of every stream alone, with its name; none where there are no
    /// streams.
    ///
    /// # Errors
    /// The network could not be run.
    fn stream_outputs(&self, activation: &Activation) -> Result<Vec<(String, Tensor)>, TchError> {
        let _ = activation;
        Ok(Vec::new())
    }

    /// The same network on `device`, for another thread: its tensors are copied there, or shared
    /// where they are there already. No file is read again.
    ///
    /// # Errors
    /// No memory.
    fn on(&self, device: Device) -> Result<Box<dyn Classifier>>;

    /// The same network with its weights rounded to `precision`, in which it computes then: for
    /// answers to very many inputs. What goes in and what comes out is f32 as before. `None` of a
    /// network that computes in f32 alone.
    ///
    /// # Errors
    /// No memory; a program that does not run in this format.
    fn in_precision(&self, precision: Precision) -> Result<Option<Box<dyn Classifier>>> {
        let _ = precision;
        Ok(None)
    }

    /// Role and path of every file the network was read from.
    fn files(&self) -> &[(&'static str, PathBuf)];

    /// Whether the weights are random numbers from `emocam models synthesize`.
    fn synthesized(&self) -> bool {
        false
    }
}

/// What is said where an inner layer is asked for that the network does not name.
pub(crate) fn no_inner_layer(name: &str, known: &[&str]) -> Error {
    let known = if known.is_empty() {
        "it names none".into()
    } else {
        format!("known: {}", known.join(", "))
    };
    Error::Setting(format!("the network has no inner layer `{name}`; {known}"))
}

/// Of the linear layers but the last the numbers of the functions behind them, or their own where
/// there are none.
fn linear_layers(layers: &[Layer]) -> Vec<usize> {
    let linear = |layer: &usize| matches!(layers[*layer], Layer::Linear { .. });
    let mut found: Vec<usize> = (0..layers.len()).filter(linear).collect();
    found.pop();
    let behind = |layer: usize| {
        layer + usize::from(matches!(layers.get(layer + 1), Some(Layer::Pointwise(_))))
    };
    found.into_iter().map(behind).collect()
}

/// The explained activation of a batch, or the output of an inner layer.
#[derive(Debug)]
pub struct Activation {
    /// A: (N, K, rows, columns), f32.
    pub values: Tensor,
    /// What by-passes A on its way to the outputs (a class token, a skip connection); the first
    /// side of each is N.
    pub context: Vec<Tensor>,
}

impl Activation {
    /// With nothing that by-passes it.
    pub fn alone(values: Tensor) -> Self {
        Self { values, context: Vec::new() }
    }

    /// Changed activations (M, K, rows, columns) of the picture `picture`, its context repeated.
    ///
    /// # Errors
    /// No memory.
    pub fn changed(&self, picture: usize, variants: Tensor) -> Result<Self, TchError> {
        let count = variants.size()[0];
        let repeat = |context: &Tensor| {
            let one = context.f_narrow(0, picture as i64, 1)?;
            let mut shape = one.size();
            shape[0] = count;
            one.f_expand(shape, false)
        };
        let context = self.context.iter().map(repeat).collect::<Result<_, _>>()?;
        Ok(Self { values: variants, context })
    }

    /// Changed activations (M, K, rows, columns) of the pictures `pictures` (M), each with its
    /// picture's context.
    ///
    /// # Errors
    /// No memory.
    pub fn of_pictures(&self, pictures: &Tensor, values: Tensor) -> Result<Self, TchError> {
        let context = self.context.iter().map(|context| context.f_index_select(0, pictures));
        Ok(Self { values, context: context.collect::<Result<_, _>>()? })
    }

    /// The pictures from `first` on, so many of them.
    ///
    /// # Errors
    /// There are fewer.
    pub fn rows(&self, first: i64, count: i64) -> Result<Self, TchError> {
        let rows = |tensor: &Tensor| tensor.f_narrow(0, first, count);
        Ok(Self {
            values: rows(&self.values)?,
            context: self.context.iter().map(rows).collect::<Result<_, _>>()?,
        })
    }

    /// The pictures of several batches, one after the other.
    ///
    /// # Errors
    /// No batch at all, or no memory.
    pub fn joined(batches: &[&Self]) -> Result<Self, TchError> {
        let values: Vec<&Tensor> = batches.iter().map(|batch| &batch.values).collect();
        let contexts = batches.first().map_or(0, |batch| batch.context.len());
        let context = (0..contexts).map(|number| {
            Tensor::f_cat(
                &batches.iter().map(|batch| &batch.context[number]).collect::<Vec<_>>(),
                0,
            )
        });
        Ok(Self { values: Tensor::f_cat(&values, 0)?, context: context.collect::<Result<_, _>>()? })
    }

    /// The same with other values of A, of its shape.
    pub fn with_values(&self, values: Tensor) -> Self {
        Self { values, context: self.context.iter().map(Tensor::shallow_clone).collect() }
    }
}

/// A batch on its way through a network.
#[derive(Debug)]
pub struct Forward {
    /// What entered it: (N, 3, rows, columns).
    pub input: Tensor,
    /// The explained activation.
    pub activation: Activation,
    /// A, then the output of every layer of [`Classifier::layers`], the outputs (N, outputs) last;
    /// of a network without visible layers A and the outputs alone.
    pub values: Vec<Tensor>,
}

impl Forward {
    /// Runs the network on a prepared `input`.
    ///
    /// # Errors
    /// The network could not be run.
    pub fn run(network: &dyn Classifier, input: Tensor) -> Result<Self> {
        let activation = network.activation(&input)?;
        Self::from_activation(network, input, activation)
    }

    /// Runs the network on pictures of its input size.
    ///
    /// # Errors
    /// The network could not be run.
    pub fn of_pictures(network: &dyn Classifier, pictures: &[&Rgb8]) -> Result<Self> {
        Self::run(network, network.prepare(pictures)?)
    }

    /// From an activation that is there already to the outputs.
    ///
    /// # Errors
    /// The network could not be run.
    pub fn from_activation(
        network: &dyn Classifier,
        input: Tensor,
        activation: Activation,
    ) -> Result<Self> {
        let _no_grad = tch::no_grad_guard();
        let values = match network.layers() {
            Some(layers) => forward_kept(layers, &activation.values),
            None => network
                .outputs(&activation)
                .map(|outputs| vec![activation.values.shallow_clone(), outputs]),
        };
        let values = values.map_err(Error::torch("running the network's head"))?;
        Ok(Self { input, activation, values })
    }

    /// The outputs (N, outputs).
    pub fn outputs(&self) -> &Tensor {
        &self.values[self.values.len() - 1]
    }

    /// What is answered, one a picture.
    ///
    /// # Errors
    /// As [`predictions`].
    pub fn predictions(&self, card: &Card) -> Result<Vec<Prediction>> {
        predictions(self.outputs(), card)
    }
}

/// What a network answers for a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Index of the most probable label; of a network with a single output the bin it lies in.
    pub label: usize,
    /// Softmax over the labels; empty for a network with a single output.
    pub probabilities: Vec<f32>,
    /// The single output of a network that has no more.
    pub output: Option<f32>,
}

impl Prediction {
    /// Index of the output that a map explains when nobody names another.
    pub fn explained(&self) -> usize {
        if self.output.is_some() { 0 } else { self.label }
    }

    /// Probability of the label; `None` for a network with a single output.
    pub fn probability(&self) -> Option<f32> {
        self.probabilities.get(self.label).copied()
    }
}

/// What the outputs (N, outputs) of a network say, one [`Prediction`] a row. The first of equal
/// labels wins.
///
/// # Errors
/// libtorch fails, or an output is not a number: damaged weights.
pub fn predictions(outputs: &Tensor, card: &Card) -> Result<Vec<Prediction>> {
    let numbers = match card.scalar {
        Some(_) => outputs.f_to_kind(Kind::Float),
        None => outputs.f_softmax(1, Kind::Float),
    };
    let numbers = numbers
        .and_then(|numbers| Vec::<f32>::try_from(&numbers.f_flatten(0, -1)?))
        .map_err(Error::torch("reading the network's answer"))?;
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(Error::Torch {
            doing: "reading the network's answer",
            message: "an output is not a number: the weights do not fit this network".into(),
        });
    }
    let prediction = |row: &[f32]| match &card.scalar {
        Some(scalar) => Prediction {
            label: scalar.bin(row[0]),
            probabilities: Vec::new(),
            output: Some(row[0]),
        },
        None => {
            let label = (0..row.len())
                .fold(0, |best, label| if row[label] > row[best] { label } else { best });
            Prediction { label, probabilities: row.to_vec(), output: None }
        }
    };
    Ok(numbers.chunks_exact(card.outputs()).map(prediction).collect())
}

/// What a network answers for pictures of its input size, one a picture.
///
/// # Errors
/// The network could not be run.
pub fn predict(network: &dyn Classifier, pictures: &[&Rgb8]) -> Result<Vec<Prediction>> {
    Forward::of_pictures(network, pictures)?.predictions(network.card())
}

/// `network` explained at the stream called `stream`.
///
/// # Errors
/// It has no such stream.
pub fn at_stream(network: &dyn Classifier, stream: &str) -> Result<Box<dyn Classifier>> {
    let names = network.streams();
    match names.iter().position(|name| *name == stream) {
        Some(number) => network.explaining(number),
        None if names.is_empty() => Err(Error::Setting(format!(
            "stream {stream}: this network has no streams; leave --stream out ([cam] streams)"
        ))),
        None => Err(Error::Setting(format!(
            "there is no stream `{stream}`; this network has {}",
            names.join(", ")
        ))),
    }
}

/// Names of the streams of the network in `weights`; none where it has no such thing.
///
/// # Errors
/// A card that cannot be read.
pub fn streams_of(weights: &Path) -> Result<Vec<String>> {
    let Some(card) = Card::if_beside(weights)? else { return Ok(Vec::new()) };
    if card.architecture == Architecture::FerNet {
        return Ok(fer_net::PLACES.map(String::from).to_vec());
    }
    Ok(card
        .multi_gap
        .into_iter()
        .flat_map(|description| description.streams)
        .map(|stream| stream.name)
        .collect())
}

/// Whether the layers of the network in `weights` from A to the outputs cannot be seen one by one.
///
/// # Errors
/// A file that cannot be read.
pub fn is_opaque(weights: &Path) -> Result<bool> {
    let card = Card::if_beside(weights)?;
    Ok(torchscript::is_one(weights)?
        || card.is_some_and(|card| {
            matches!(card.architecture, Architecture::MultiGap | Architecture::FerNet)
        }))
}

/// Reads the network in `weights`, whatever it is; `mean` is an AlexNet's mean image, where it is
/// named.
///
/// # Errors
/// A file that cannot be read or is not what its card says.
pub fn open(weights: &Path, mean: Option<&Path>, device: Device) -> Result<Box<dyn Classifier>> {
    if torchscript::is_one(weights)? {
        if let Some(mean) = mean {
            return Err(Error::file(
                mean,
                "a TorchScript network has its mean in its card, not in a file",
            ));
        }
        return Ok(Box::new(TorchScript::load(weights, device)?));
    }
    match Card::if_beside(weights)? {
        Some(card) if card.architecture == Architecture::MultiGap => {
            if let Some(mean) = mean {
                return Err(Error::file(
                    mean,
                    "a Multi-GAP network has a mean colour per stream in its card, not a file",
                ));
            }
            let network = MultiGap::load(weights, card, device)?;
            if network.streams().is_empty() {
                let message = "reads adjective-noun pairs alone and does not look at pictures: \
                               fuse it with a stream that does";
                return Err(Error::file(weights, message));
            }
            Ok(Box::new(network))
        }
        Some(card) if card.architecture == Architecture::FerNet => match mean {
            Some(mean) => Err(Error::file(
                mean,
                "a network of facial expressions has its mean colour in its card",
            )),
            None => Ok(Box::new(FerNet::load(weights, card, device)?)),
        },
        _ => Ok(Box::new(AlexNet::load(weights, mean, device)?)),
    }
}
