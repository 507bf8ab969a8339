//! The network of facial expressions that Kumar & Raman adapt to images (Malik, Kumar, Raman,
//! ICVGIP 2021): VGG16's trunk B1 to B5, and a residual branch from each of the first four blocks
//! to the last.
//!
//! In: pixels. Out: logits. Every block ends with a pooling; branch k brings the output of block k
//! to the last block's size (poolings, a 3 x 3 convolution with ReLU, a pooling), and the sum of
//! all five goes through two hidden layers. As a [`Classifier`] it is explained at the trunk's last
//! convolution, the branches being what by-passes it (`b5`), or at the sum (`sum`).

mod description;

pub use description::FerNetDescription;

use super::backbone::{BLOCKS, Backbone, BackboneKind, max_pooled};
use super::card::Card;
use super::input::Normalisation;
use super::parameters::{
    Builder, Linear, OfFile, OfNetwork, Parameter, TensorRole, TensorSource, write_network,
};
use super::{Activation, Classifier, no_inner_layer};
use crate::image::Rgb8;
use crate::nn::weights::StateDict;
use crate::{Error, Result};
use description::STRIDE;
use std::path::{Path, PathBuf};
use tch::{Device, TchError, Tensor};

/// Names of the tensors of the trunk, before torchvision's own.
pub const TRUNK: &str = "trunk.";

/// The name of the last layer's tensors, before weight and bias.
pub const CLASSIFIER: &str = "classifier.";

/// Where it can be explained: at the last convolution of B5, and where trunk and branches are added
/// up.
pub(super) const PLACES: [&str; 2] = ["b5", "sum"];

/// The number of [`PLACES`]' `sum`.
const SUM: usize = 1;

/// Names of its inner layers, from the picture on: blocks behind their poolings, the sum, and the
/// hidden layers.
const INNER: [&str; 8] = ["b1", "b2", "b3", "b4", "b5", "sum", "hidden1", "hidden2"];

/// The number of the sum among [`INNER`].
const INNER_SUM: usize = BLOCKS;

/// The network.
#[derive(Debug)]
pub struct FerNet {
    card: Card,
    trunk: Backbone,
    /// From blocks 1 to 4.
    branches: Vec<Branch>,
    hidden: [Linear; 2],
    classifier: Linear,
    /// Number of the place among [`PLACES`].
    explained: usize,
    parameters: Vec<Parameter>,
    normalisation: Normalisation,
    files: Vec<(&'static str, PathBuf)>,
}

/// From the output of a block to the size of the last.
#[derive(Debug)]
struct Branch {
    poolings: usize,
    /// (channels of the last block, channels of this, 3, 3)
    kernel: Tensor,
    bias: Tensor,
}

/// What the network makes of a batch.
#[derive(Debug)]
pub struct Features {
    /// Trunk and branches added up: (N, channels, rows / 32, columns / 32).
    pub sum: Tensor,
    /// Outputs of the two hidden layers, (N, units) each.
    pub hidden: [Tensor; 2],
    /// (N, labels)
    pub logits: Tensor,
}

impl Branch {
    fn forward(&self, block: &Tensor) -> Result<Tensor, TchError> {
        let mut x = block.shallow_clone();
        for _ in 0..self.poolings {
            x = max_pooled(&x)?;
        }
        max_pooled(&x.f_conv2d(&self.kernel, Some(&self.bias), 1, 1, 1, 1)?.f_relu_()?)
    }
}

impl FerNet {
    /// The network that `card` describes, with tensors from `source` on `device`.
    ///
    /// # Errors
    /// Whatever the source reports.
    ///
    /// # Panics
    /// The card has no `[fer_net]`: a mistake of the caller.
    pub fn build(card: Card, source: &mut dyn TensorSource, device: Device) -> Result<Self> {
        let FerNetDescription { width, units } =
            card.fer_net.clone().expect("the caller looked at the card");
        let mut parameters = Vec::new();
        let mut from = Builder::new(source, &mut parameters);
        let trunk = Backbone::build(BackboneKind::Vgg16, width, BLOCKS, &mut from.below("trunk"))?;
        let channels = trunk.channels().to_vec();
        let last = channels[BLOCKS - 1];
        let mut branches = Vec::new();
        for (block, &inputs) in channels[..BLOCKS - 1].iter().enumerate() {
            let mut from = from.below("branches");
            let mut from = from.below(&(block + 1).to_string());
            let kernel = from.get("weight", &[last, inputs, 3, 3], TensorRole::Kernel)?;
            let bias = from.get("bias", &[last], TensorRole::Bias)?;
            branches.push(Branch { poolings: BLOCKS - 2 - block, kernel, bias });
        }
        let places =
            i64::from(card.input().height / STRIDE) * i64::from(card.input().width / STRIDE);
        let mut below = from.below("hidden");
        let hidden = [below.linear("1", last * places, units)?, below.linear("2", units, units)?];
        let classifier = from.linear("classifier", units, card.outputs() as i64)?;
        let normalisation = Normalisation::new(&card, None, device)?;
        let files = Vec::new();
        Ok(Self {
            card,
            trunk,
            branches,
            hidden,
            classifier,
            explained: 0,
            parameters,
            normalisation,
            files,
        })
    }

    /// Loads the weights that [`Self::save`] wrote, described by the card beside them.
    ///
    /// # Errors
    /// A file that cannot be read; a tensor that is missing, superfluous or of the wrong shape.
    pub fn load(weights: &Path, card: Card, device: Device) -> Result<Self> {
        let mut state = StateDict::open(weights)?;
        let mut network = Self::build(card, &mut OfFile { state: &mut state, device }, device)?;
        state.finish()?;
        network.files = vec![
            ("emotion.weights", weights.to_path_buf()),
            ("emotion.card", Card::path_beside(weights)),
        ];
        Ok(network)
    }

    /// Writes the weights as safetensors to `weights` and the card beside them.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, weights: &Path) -> Result<()> {
        write_network(weights, &self.card, &self.parameters)
    }

    /// All tensors, in the order of the layers.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The number, from 0, of the trunk's block that the tensor called `name` belongs to; `None`:
    /// to none.
    pub fn block(&self, name: &str) -> Option<usize> {
        let feature: usize =
            name.strip_prefix(TRUNK)?.strip_prefix("features.")?.split('.').next()?.parse().ok()?;
        BackboneKind::Vgg16.ends().iter().position(|&end| feature <= end)
    }

    /// What enters the trunk, from pixels (N, 3, rows, columns), R, G, B, 0..255.
    ///
    /// # Errors
    /// No memory.
    pub fn normalised(&self, pixels: &Tensor) -> Result<Tensor, TchError> {
        self.normalisation.apply(pixels)
    }

    /// Everything from a prepared input (N, 3, rows, columns) to the logits; autograd works through
    /// it.
    ///
    /// # Errors
    /// The network could not be run.
    pub fn features(&self, input: &Tensor) -> Result<Features, TchError> {
        let blocks = self.trunk.forward(input, false)?;
        let sum =
            max_pooled(&blocks[BLOCKS - 1])?.f_add(&self.by_passing(&blocks[..BLOCKS - 1])?)?;
        self.features_of(sum)
    }

    /// What stands behind the sum of trunk and branches.
    fn features_of(&self, sum: Tensor) -> Result<Features, TchError> {
        let first = self.hidden[0].forward(&sum.f_flatten(1, -1)?)?.f_relu()?;
        let second = self.hidden[1].forward(&first)?.f_relu()?;
        let logits = self.classifier.forward(&second)?;
        Ok(Features { sum, hidden: [first, second], logits })
    }

    /// The sum of the branches of the first four blocks, from these blocks' outputs before their
    /// poolings.
    fn by_passing(&self, blocks: &[Tensor]) -> Result<Tensor, TchError> {
        let branches = self
            .branches
            .iter()
            .zip(blocks)
            .map(|(branch, block)| branch.forward(&max_pooled(block)?));
        added(branches)
    }

    /// The output of the inner layer number `layer`; by-passing it the sum of the branches that
    /// begin before it.
    fn split(&self, layer: usize, input: &Tensor) -> Result<Activation, TchError> {
        let _no_grad = tch::no_grad_guard();
        if layer >= INNER_SUM {
            let Features { sum, hidden: [first, second], .. } = self.features(input)?;
            // A hidden layer is a map of one place.
            let map = |units: Tensor| units.f_unsqueeze(-1)?.f_unsqueeze(-1);
            let values = match layer - INNER_SUM {
                0 => sum,
                1 => map(first)?,
                _ => map(second)?,
            };
            return Ok(Activation::alone(values.f_contiguous()?));
        }
        let blocks = self.trunk.forward_through(0..layer + 1, input, false)?;
        let context =
            if layer == 0 { Vec::new() } else { vec![self.by_passing(&blocks[..layer])?] };
        Ok(Activation { values: max_pooled(&blocks[layer])?.f_contiguous()?, context })
    }

    /// The logits from the output of the inner layer number `layer` and what by-passes it.
    fn logits_from(&self, layer: usize, inner: &Activation) -> Result<Tensor, TchError> {
        let values = &inner.values;
        match layer {
            0..BLOCKS => {
                let mut branches: Vec<Tensor> =
                    inner.context.iter().map(Tensor::shallow_clone).collect();
                let mut block = values.shallow_clone();
                for number in layer..BLOCKS - 1 {
                    branches.push(self.branches[number].forward(&block)?);
                    // The next block begins with the pooling that has been done here already.
                    block = max_pooled(&self.trunk.behind_pooling(number + 1, &block)?)?;
                }
                let sum = added([block].into_iter().chain(branches).map(Ok))?;
                Ok(self.features_of(sum)?.logits)
            }
            INNER_SUM => Ok(self.features_of(values.shallow_clone())?.logits),
            number => {
                let mut units = values.f_flatten(1, -1)?;
                if number == INNER_SUM + 1 {
                    units = self.hidden[1].forward(&units)?.f_relu()?;
                }
                self.classifier.forward(&units)
            }
        }
    }

    /// The same network explained at the place number `explained`, on `device`.
    fn again(&self, explained: usize, device: Device) -> Result<Self> {
        let mut source = OfNetwork::new(&self.parameters, device);
        let network = Self::build(self.card.clone(), &mut source, device)?;
        Ok(Self { explained, files: self.files.clone(), ..network })
    }

    fn inner_number(name: &str) -> Result<usize> {
        INNER.iter().position(|known| *known == name).ok_or_else(|| no_inner_layer(name, &INNER))
    }
}

/// The sum of one tensor or more.
fn added(terms: impl IntoIterator<Item = Result<Tensor, TchError>>) -> Result<Tensor, TchError> {
    let mut terms = terms.into_iter();
    let first = terms.next().ok_or_else(|| TchError::Torch("a sum of nothing".into()))??;
    terms.try_fold(first, |sum, term| sum.f_add(&term?))
}

impl Classifier for FerNet {
    fn card(&self) -> &Card {
        &self.card
    }

    fn prepare(&self, pictures: &[&Rgb8]) -> Result<Tensor> {
        self.normalisation.prepare(pictures, &self.card)
    }

    fn activation(&self, input: &Tensor) -> Result<Activation> {
        let _no_grad = tch::no_grad_guard();
        let activation = || {
            if self.explained == SUM {
                return self.split(INNER_SUM, input);
            }
            let blocks = self.trunk.forward(input, false)?;
            let context = vec![self.by_passing(&blocks[..BLOCKS - 1])?];
            Ok(Activation { values: blocks[BLOCKS - 1].f_contiguous()?, context })
        };
        activation().map_err(Error::torch("running the emotion model"))
    }

    fn outputs(&self, activation: &Activation) -> Result<Tensor, TchError> {
        if self.explained == SUM {
            return self.logits_from(INNER_SUM, activation);
        }
        let sum = max_pooled(&activation.values)?.f_add(&activation.context[0])?;
        Ok(self.features_of(sum)?.logits)
    }

    fn inner_layers(&self) -> Vec<&str> {
        INNER.to_vec()
    }

    fn inner(&self, name: &str, input: &Tensor) -> Result<Activation> {
        let layer = Self::inner_number(name)?;
        self.split(layer, input).map_err(Error::torch("running the emotion model"))
    }

    fn outputs_from(&self, name: &str, inner: &Activation) -> Result<Tensor> {
        let _no_grad = tch::no_grad_guard();
        let layer = Self::inner_number(name)?;
        self.logits_from(layer, inner).map_err(Error::torch("running the emotion model"))
    }

    fn layers(&self) -> Option<&[crate::nn::Layer]> {
        None
    }

    fn streams(&self) -> Vec<&str> {
        PLACES.to_vec()
    }

    fn explaining(&self, stream: usize) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.again(stream, self.normalisation.device())?))
    }

    fn on(&self, device: Device) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.again(self.explained, device)?))
    }

    fn files(&self) -> &[(&'static str, PathBuf)] {
        &self.files
    }
}
