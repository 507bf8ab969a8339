//! EmoNet (Kragel et al. 2019): the original two-column AlexNet of Krizhevsky et al. 2012 with 20
//! outputs. Any AlexNet with these eight layers fits: numbers of channels and groups are read off
//! the weights, what these do not tell is a [`Structure`].

mod checkpoint;
mod layout;
pub(super) mod structure;

pub(crate) use checkpoint::{MEAN, SYNTHESIZED, TRAINED_HERE};
pub use structure::Structure;

use super::input::Normalisation;
use super::{Activation, Card, Classifier, linear_layers, no_inner_layer};
use crate::image::Rgb8;
use crate::nn::weights::{Array, safetensors};
use crate::nn::{Layer, Precision, forward};
use crate::{Error, Result};
use checkpoint::{Canonical, STRUCTURE, canonical};
use layout::{CONVOLUTIONS, LAYOUTS};
use std::path::{Path, PathBuf};
use structure::{LocalResponseNorm, NormPlace};
use tch::{Device, Kind, TchError, Tensor};

/// The network, split at conv5.
#[derive(Debug)]
pub struct AlexNet {
    card: Card,
    structure: Structure,
    normalisation: Normalisation,
    /// In which format the layers have their tensors and compute.
    precision: Precision,
    body: Vec<Layer>,
    head: Vec<Layer>,
    files: Vec<(&'static str, PathBuf)>,
    synthesized: bool,
}

impl AlexNet {
    /// Loads a checkpoint in any known layout, with the mean image from `mean`, else from the
    /// model's card, else from the checkpoint, else none where the published code subtracts none.
    ///
    /// # Errors
    /// A file that cannot be read; a tensor that is missing, superfluous or of the wrong shape; a
    /// mean image that is needed and not given; a card that leaves out what the weights do not tell
    /// of another network than EmoNet.
    pub fn load(weights: &Path, mean: Option<&Path>, device: Device) -> Result<Self> {
        let card = Card::beside(weights)?;
        let checkpoint = canonical(weights, mean, &card)?;
        Self::build(weights, checkpoint, card, device)
    }

    /// Converts a checkpoint of any layout, with its mean image, to the project's own layout as
    /// safetensors. The names of its tensors are EmoNet's then: another structure is noted in the
    /// file.
    ///
    /// # Errors
    /// As [`Self::load`]; `out` cannot be written.
    pub fn import(weights: &Path, mean: Option<&Path>, out: &Path) -> Result<()> {
        let checkpoint = canonical(weights, mean, &Card::beside(weights)?)?;
        let random = checkpoint.synthesized.then(|| (SYNTHESIZED.to_string(), "true".to_string()));
        let json = |structure: &Structure| serde_json::to_string(structure).expect("plain numbers");
        let other =
            (checkpoint.structure != Structure::EMONET).then(|| json(&checkpoint.structure));
        let notes = random.into_iter().chain(other.map(|json| (STRUCTURE.to_string(), json)));
        safetensors::write(out, &checkpoint.tensors, &notes.collect())
    }

    /// What the weights do not tell of its layers.
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// Whether a mean image or colour is subtracted from the input.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn subtracts_mean(&self) -> Result<bool> {
        self.normalisation.subtracts().map_err(Error::torch("looking at the mean image"))
    }

    /// Numbers in the eight layers.
    pub fn parameter_count(&self) -> usize {
        let count = |layer: &Layer| match layer {
            Layer::Convolution { kernel: weight, bias, .. } | Layer::Linear { weight, bias } => {
                weight.numel() + bias.numel()
            }
            _ => 0,
        };
        self.body.iter().chain(&self.head).map(count).sum()
    }

    /// How many layers of the body there are up to the convolution `name`, its ReLU not among them.
    fn behind(&self, name: &str) -> Result<usize> {
        let known = self.inner_layers();
        let convolutions = self
            .body
            .iter()
            .zip(1..)
            .filter(|(layer, _)| matches!(layer, Layer::Convolution { .. }));
        let found = convolutions.zip(&known).find(|(_, known)| **known == name);
        found.map(|((_, behind), _)| behind).ok_or_else(|| no_inner_layer(name, &known))
    }

    /// The same network on `device`, with what `change` makes of its layers.
    fn changed(
        &self,
        device: Device,
        precision: Precision,
        change: impl Fn(&Layer) -> Result<Layer, TchError>,
    ) -> Result<Self> {
        let layers = |layers: &[Layer]| layers.iter().map(&change).collect::<Result<Vec<_>, _>>();
        let parts =
            || Ok((self.normalisation.on(device)?, layers(&self.body)?, layers(&self.head)?));
        let (normalisation, body, head) =
            parts().map_err(Error::torch("sharing the emotion model"))?;
        let (card, structure, files) = (self.card.clone(), self.structure, self.files.clone());
        Ok(Self {
            card,
            structure,
            normalisation,
            precision,
            body,
            head,
            files,
            synthesized: self.synthesized,
        })
    }

    /// The same network, its tensors on `device`.
    fn moved(&self, device: Device) -> Result<Self> {
        self.changed(device, self.precision, |layer| layer.on(device))
    }

    /// `x` through `layers`, which compute in the network's own format, in f32.
    fn forward(&self, layers: &[Layer], x: &Tensor) -> Result<Tensor, TchError> {
        forward(layers, &x.f_to_kind(self.precision.kind())?)?.f_to_kind(Kind::Float)
    }

    fn build(path: &Path, checkpoint: Canonical, card: Card, device: Device) -> Result<Self> {
        let Canonical { mut tensors, structure, files, synthesized } = checkpoint;
        let place = |array: &Array| -> Result<Tensor> {
            let shape: Vec<i64> = array.shape.iter().map(|&side| side as i64).collect();
            Tensor::f_from_slice(&array.values)
                .and_then(|tensor| tensor.f_reshape(&shape)?.f_to_device(device))
                .map_err(Error::torch("loading the emotion model's weights"))
        };
        let mean = tensors.iter().position(|(name, _)| name == MEAN);
        let mean =
            mean.map(|place_of_mean| place(&tensors.swap_remove(place_of_mean).1)).transpose()?;
        let normalisation = Normalisation::new(&card, mean, device)?;
        let get = |name: String| -> Result<Tensor> {
            let (_, array) = tensors
                .iter()
                .find(|(known, _)| *known == name)
                .expect("canonical() gives all layers");
            place(array)
        };
        let (body, head) = layers(path, get, &structure)?;
        let precision = Precision::F32;
        Ok(Self { card, structure, normalisation, precision, body, head, files, synthesized })
    }
}

impl Classifier for AlexNet {
    fn card(&self) -> &Card {
        &self.card
    }

    fn prepare(&self, pictures: &[&Rgb8]) -> Result<Tensor> {
        self.normalisation.prepare(pictures, &self.card)
    }

    fn activation(&self, input: &Tensor) -> Result<Activation> {
        let _no_grad = tch::no_grad_guard();
        let values = self.forward(&self.body, input).and_then(|a| a.f_contiguous());
        values.map(Activation::alone).map_err(Error::torch("running the emotion model"))
    }

    fn outputs(&self, activation: &Activation) -> Result<Tensor, TchError> {
        self.forward(&self.head, &activation.values)
    }

    fn inner_layers(&self) -> Vec<&str> {
        LAYOUTS[0].layers[..CONVOLUTIONS].to_vec()
    }

    fn inner(&self, name: &str, input: &Tensor) -> Result<Activation> {
        let _no_grad = tch::no_grad_guard();
        let (before, _) = self.body.split_at(self.behind(name)?);
        let values = self.forward(before, input).and_then(|values| values.f_contiguous());
        values.map(Activation::alone).map_err(Error::torch("running the emotion model"))
    }

    fn outputs_from(&self, name: &str, inner: &Activation) -> Result<Tensor> {
        let _no_grad = tch::no_grad_guard();
        let (_, after) = self.body.split_at(self.behind(name)?);
        let a = self.forward(after, &inner.values).and_then(|a| a.f_contiguous());
        a.and_then(|a| self.forward(&self.head, &a))
            .map_err(Error::torch("running the emotion model"))
    }

    fn layers(&self) -> Option<&[Layer]> {
        Some(&self.head)
    }

    fn head_layers(&self) -> Vec<(String, usize)> {
        let names = LAYOUTS[0].layers[CONVOLUTIONS..].iter().map(ToString::to_string);
        names.zip(linear_layers(&self.head)).collect()
    }

    fn with_layers(&self, layers: Vec<Layer>) -> Result<Option<Box<dyn Classifier>>> {
        Ok(Some(Box::new(Self { head: layers, ..self.moved(self.normalisation.device())? })))
    }

    fn on(&self, device: Device) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.moved(device)?))
    }

    fn in_precision(&self, precision: Precision) -> Result<Option<Box<dyn Classifier>>> {
        let rounded = |layer: &Layer| layer.rounded_to(precision.kind());
        Ok(Some(Box::new(self.changed(self.normalisation.device(), precision, rounded)?)))
    }

    fn files(&self) -> &[(&'static str, PathBuf)] {
        &self.files
    }

    fn synthesized(&self) -> bool {
        self.synthesized
    }
}

/// Body and head of a network, from its tensors by name (`conv1.weight` to `fc8.bias`); `path` is
/// for messages.
///
/// # Errors
/// Whatever `get` reports; a kernel that does not fit the channels before it.
pub(crate) fn layers(
    path: &Path,
    get: impl Fn(String) -> Result<Tensor>,
    structure: &Structure,
) -> Result<(Vec<Layer>, Vec<Layer>)> {
    let mut body = Vec::new();
    let mut channels = 3;
    for (at, padding) in structure.padding.into_iter().enumerate() {
        let (kernel, bias) =
            (get(format!("conv{}.weight", at + 1))?, get(format!("conv{}.bias", at + 1))?);
        let (out, of_group) = (kernel.size()[0], kernel.size()[1]);
        if of_group == 0 || channels % of_group != 0 || out % (channels / of_group) != 0 {
            return Err(Error::Tensor {
                path: path.into(),
                tensor: format!("conv{}.weight", at + 1),
                expected: format!("a kernel for {channels} channels in equal groups"),
                found: format!("{:?}", kernel.size()),
            });
        }
        let stride = if at == 0 { structure.stride } else { 1 };
        body.push(Layer::Convolution {
            kernel,
            bias,
            stride,
            padding,
            groups: channels / of_group,
        });
        if at < 4 {
            body.push(Layer::RELU);
        }
        if at < 2 {
            body.extend(pooled_and_normalised(structure));
        }
        channels = out;
    }
    let mut head = vec![Layer::RELU, pooling(structure)];
    head.extend(structure.average.map(|[rows, columns]| Layer::AveragePool { rows, columns }));
    head.push(Layer::Flatten);
    for at in 6..=8 {
        head.push(Layer::Linear {
            weight: get(format!("fc{at}.weight"))?,
            bias: get(format!("fc{at}.bias"))?,
        });
        if at < 8 {
            head.push(Layer::RELU);
        }
    }
    Ok((body, head))
}

fn pooling(structure: &Structure) -> Layer {
    let [size, stride] = structure.pooling;
    Layer::MaxPool { size, stride, padding: 0 }
}

/// What follows the ReLU of conv1 and of conv2.
fn pooled_and_normalised(structure: &Structure) -> Vec<Layer> {
    let Some(&LocalResponseNorm { place, size, alpha, beta, k }) = structure.norm() else {
        return vec![pooling(structure)];
    };
    let norm = Layer::LocalResponseNorm { size, alpha, beta, k };
    match place {
        NormPlace::BeforePooling => vec![norm, pooling(structure)],
        NormPlace::AfterPooling => vec![pooling(structure), norm],
    }
}
