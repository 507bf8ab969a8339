//! From a picture to one stream's features and answer: MG = [GAP(conv_1x1(block_1)), …] (the
//! paper's section 2), and what lets the blocks know of each other.

use super::description::{Dependency, StreamDescription};
use crate::networks::backbone::{Backbone, pooled};
use crate::networks::input::in_order;
use crate::networks::parameters::{Builder, Linear, TensorRole};
use crate::{Error, Result};
use tch::{Device, TchError, Tensor};

/// Channels that every block is brought to.
pub(super) const FEATURES: i64 = 64;

/// The GRU's tensors in the order in which libtorch takes them.
const GRU: [&str; 4] = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"];

/// One stream.
#[derive(Debug)]
pub struct Stream {
    pub(super) description: StreamDescription,
    pub(super) backbone: Backbone,
    /// (3, 1, 1) each.
    mean: Tensor,
    std: Tensor,
    /// One 1 x 1 convolution a block.
    projections: Vec<Linear>,
    /// Weights and biases of both directions.
    gru: Option<Vec<Tensor>>,
    /// One a block.
    attention: Vec<Linear>,
    classifier: Linear,
}

impl Stream {
    pub(super) fn build(
        description: &StreamDescription,
        labels: i64,
        device: Device,
        from: &mut Builder<'_>,
    ) -> Result<Self> {
        let &StreamDescription { backbone: kind, width, blocks, dependency, units, .. } =
            description;
        let mut from = from.below(&description.name);
        let backbone = Backbone::build(kind, width, blocks, &mut from.below("backbone"))?;
        let numbered = |from: &mut Builder<'_>,
                        name: &str,
                        sides: &mut dyn Iterator<Item = (i64, i64)>| {
            let mut from = from.below(name);
            let layers = sides.enumerate();
            let layers = layers
                .map(|(place, (inputs, outputs))| from.linear(&place.to_string(), inputs, outputs));
            layers.collect::<Result<Vec<Linear>>>()
        };
        let mut sides = backbone.channels().iter().map(|&channels| (channels, FEATURES));
        let projections = numbered(&mut from, "projections", &mut sides)?;
        let (mut gru, mut attention, mut features) = (None, Vec::new(), FEATURES);
        if dependency != Dependency::None {
            gru = Some(recurrent(&mut from.below("gru"), units)?);
            features = 2 * units;
        }
        if dependency == Dependency::GruAttention {
            let mut sides = (0..blocks).map(|_| (features, features));
            attention = numbered(&mut from, "attention", &mut sides)?;
        }
        let classifier = from.linear("classifier", blocks as i64 * features, labels)?;
        let per_channel = |values: &[f32; 3]| {
            Tensor::f_from_slice(values)?.f_reshape([3, 1, 1])?.f_to_device(device)
        };
        let colours = || Ok((per_channel(&description.mean)?, per_channel(&description.std)?));
        let (mean, std) = colours().map_err(Error::torch("preparing the network's input"))?;
        let description = description.clone();
        Ok(Self { description, backbone, mean, std, projections, gru, attention, classifier })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// What enters the backbone, from pixels (N, 3, rows, columns), R, G, B, 0..255.
    fn normalised(&self, pixels: &Tensor) -> Result<Tensor, TchError> {
        let x = in_order(pixels, self.description.channels)?
            .f_div_scalar(f64::from(self.description.scale))?;
        x.f_sub(&self.mean)?.f_div(&self.std)
    }

    /// The outputs (N, channels, rows, columns) of all blocks, from pixels (N, 3, rows, columns),
    /// R, G, B, 0..255.
    ///
    /// # Errors
    /// No memory.
    pub fn blocks(&self, pixels: &Tensor, training: bool) -> Result<Vec<Tensor>, TchError> {
        self.backbone.forward(&self.normalised(pixels)?, training)
    }

    /// The outputs of the first `count` blocks, as [`Self::blocks`]; without gradients of
    /// BatchNorm's batch.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn first_blocks(
        &self,
        count: usize,
        pixels: &Tensor,
    ) -> Result<Vec<Tensor>, TchError> {
        self.backbone.forward_through(0..count, &self.normalised(pixels)?, false)
    }

    /// Means of every block's channels over the picture, (N, channels) a block: all that the rest
    /// of the stream reads, for a 1 x 1 convolution and the mean over all places may change their
    /// order.
    ///
    /// # Errors
    /// No memory.
    pub fn means(&self, pixels: &Tensor, training: bool) -> Result<Vec<Tensor>, TchError> {
        self.blocks(pixels, training)?.iter().map(pooled).collect()
    }

    /// The features (N, blocks x 64, or blocks x 2 units behind a GRU) from the means of the
    /// blocks' channels.
    ///
    /// # Errors
    /// No memory.
    pub fn features(&self, means: &[Tensor]) -> Result<Tensor, TchError> {
        let gaps =
            self.projections.iter().zip(means).map(|(projection, mean)| projection.forward(mean));
        let mut steps = Tensor::f_stack(&gaps.collect::<Result<Vec<_>, _>>()?, 1)?;
        if let Some(gru) = &self.gru {
            let start = Tensor::f_zeros(
                [2, steps.size()[0], self.description.units],
                (steps.kind(), steps.device()),
            )?;
            // One layer; in training mode, which on a GPU is what keeps gradients possible.
            (steps, _) = steps.f_gru(&start, gru, true, 1, 0.0, true, true, true)?;
        }
        if !self.attention.is_empty() {
            let weighed = self.attention.iter().enumerate().map(|(block, attention)| {
                let step = steps.f_select(1, block as i64)?;
                attention.forward(&step)?.f_tanh()?.f_square()?.f_mul(&step)
            });
            steps = Tensor::f_stack(&weighed.collect::<Result<Vec<_>, _>>()?, 1)?;
        }
        steps.f_flatten(1, -1)
    }

    /// The stream's own logits (N, labels) from its features.
    ///
    /// # Errors
    /// No memory.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor, TchError> {
        self.classifier.forward(features)
    }

    /// How pixels come in, as a text that differs where that differs.
    pub fn normalisation(&self) -> String {
        let StreamDescription { scale, mean, std, channels, .. } = &self.description;
        format!("{scale} {mean:?} {std:?} {channels:?}")
    }

    /// How many blocks it has.
    pub fn blocks_count(&self) -> usize {
        self.description.blocks
    }

    /// The number of the block that the tensor called `name` belongs to, from 0; `None`: to none of
    /// this stream's.
    pub fn block_of(&self, name: &str) -> Option<usize> {
        let feature = name
            .strip_prefix("streams.")?
            .strip_prefix(self.name())?
            .strip_prefix(".backbone.features.")?;
        let feature: usize = feature.split('.').next()?.parse().ok()?;
        self.description.backbone.ends().iter().position(|&end| feature <= end)
    }

    /// Numbers in [`Self::features`].
    pub fn width(&self) -> i64 {
        self.classifier.weight.size()[1]
    }
}

fn recurrent(from: &mut Builder<'_>, units: i64) -> Result<Vec<Tensor>> {
    let mut tensors = Vec::new();
    for direction in ["", "_reverse"] {
        for name in GRU {
            let shape: &[i64] = match name {
                "weight_ih_l0" => &[3 * units, FEATURES],
                "weight_hh_l0" => &[3 * units, units],
                _ => &[3 * units],
            };
            tensors.push(from.get(&format!("{name}{direction}"), shape, TensorRole::Recurrent)?);
        }
    }
    Ok(tensors)
}
