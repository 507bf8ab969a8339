//! The two backbones of Multi-GAP and of the network of facial expressions, layer for layer as
//! torchvision has them and under its names: MobileNetV2 (Sandler et al. 2018) and VGG16 (Simonyan
//! & Zisserman 2015), cut into five blocks.
//!
//! Blocks are where the resolution is about to be halved: of MobileNetV2 `features.{1, 3, 6, 13,
//! 17}`, of VGG16 the last ReLU before each pooling. The paper does not name its blocks; these are
//! ours.

use super::parameters::{Builder, Linear, TensorRole, TensorSource};
use crate::Result;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use tch::{TchError, Tensor};

/// Blocks of a whole backbone.
pub const BLOCKS: usize = 5;

/// Share of a batch in BatchNorm's running statistics, and what is added to the variance: PyTorch's
/// defaults.
const MOMENTUM: f64 = 0.1;
const EPSILON: f64 = 1e-5;

/// Which network a stream is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackboneKind {
    /// torchvision's `mobilenet_v2`.
    MobilenetV2,
    /// torchvision's `vgg16`, without BatchNorm.
    Vgg16,
}

impl BackboneKind {
    /// Numbers of the last of torchvision's `features` in each block.
    pub fn ends(self) -> [usize; BLOCKS] {
        match self {
            Self::MobilenetV2 => [1, 3, 6, 13, 17],
            Self::Vgg16 => [3, 8, 15, 22, 29],
        }
    }
}

/// A convolution and what follows it.
#[derive(Debug)]
struct Convolution {
    kernel: Tensor,
    bias: Option<Tensor>,
    norm: Option<Norm>,
    stride: i64,
    groups: i64,
    after: Activation,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Activation {
    None,
    Relu,
    Relu6,
}

/// BatchNorm's tensors, (channels) each.
#[derive(Debug)]
struct Norm {
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
}

#[derive(Debug)]
enum Unit {
    Convolution(Convolution),
    /// Convolutions whose input is added to their output.
    Residual(Vec<Convolution>),
    /// Of 2 x 2 windows.
    MaxPool,
}

/// The first blocks of a backbone.
#[derive(Debug)]
pub struct Backbone {
    blocks: Vec<Vec<Unit>>,
    channels: Vec<i64>,
}

/// A backbone as it was published, with the classes it was trained for: what its weights can be
/// checked with.
#[derive(Debug)]
pub struct TorchVision {
    /// All five blocks.
    pub backbone: Backbone,
    top: Top,
}

impl TorchVision {
    /// torchvision's `mobilenet_v2` or `vgg16`, or one of its structure (VGG16 trained on
    /// Places365), for `classes` classes, with torchvision's names for its tensors; `width` is a
    /// multiple of torchvision's channels.
    ///
    /// # Errors
    /// Whatever the source reports.
    pub fn build(
        kind: BackboneKind,
        width: f64,
        classes: i64,
        source: &mut dyn TensorSource,
    ) -> Result<Self> {
        let mut given = Vec::new();
        let mut from = Builder::new(source, &mut given);
        let backbone = Backbone::build(kind, width, BLOCKS, &mut from)?;
        let top = Top::build(kind, width, backbone.channels[BLOCKS - 1], classes, &mut from)?;
        Ok(Self { backbone, top })
    }

    /// The logits (N, classes) for `x` (N, 3, rows, columns), normalised as the network wants it.
    ///
    /// # Errors
    /// No memory.
    pub fn logits(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let blocks = self.backbone.forward(x, false)?;
        self.top.forward(&blocks[BLOCKS - 1])
    }
}

/// What torchvision's networks have above their last block: from there to the logits of their own
/// classes.
#[derive(Debug)]
struct Top {
    last: Option<Convolution>,
    /// Sides of the pooled map.
    pooled: i64,
    layers: Vec<Linear>,
}

impl Backbone {
    /// Blocks 1 to `count` with channels `width` times torchvision's.
    pub(super) fn build(
        kind: BackboneKind,
        width: f64,
        count: usize,
        from: &mut Builder<'_>,
    ) -> Result<Self> {
        let mut from = from.below("features");
        match kind {
            BackboneKind::MobilenetV2 => mobilenet_v2(width, count, &mut from),
            BackboneKind::Vgg16 => vgg16(width, count, &mut from),
        }
    }

    /// Channels of each block's output.
    pub fn channels(&self) -> &[i64] {
        &self.channels
    }

    /// The outputs (N, channels, rows, columns) of all blocks for `x` (N, 3, rows, columns). While
    /// `training`, BatchNorm uses the batch's own mean and variance and notes them.
    ///
    /// # Errors
    /// No memory, or an input so small that nothing is left.
    pub fn forward(&self, x: &Tensor, training: bool) -> Result<Vec<Tensor>, TchError> {
        self.forward_through(0..self.blocks.len(), x, training)
    }

    /// The outputs of some blocks, by their numbers from 0, from what the block before them gave.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn forward_through(
        &self,
        blocks: Range<usize>,
        x: &Tensor,
        training: bool,
    ) -> Result<Vec<Tensor>, TchError> {
        let mut x = x.shallow_clone();
        let blocks = self.blocks[blocks].iter().map(|block| {
            for unit in block {
                x = unit.forward(&x, training)?;
            }
            Ok(x.shallow_clone())
        });
        blocks.collect()
    }

    /// The output of VGG16's block number `block`, from 1, from what the block before it gave,
    /// pooled already.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub(super) fn behind_pooling(&self, block: usize, pooled: &Tensor) -> Result<Tensor, TchError> {
        let units = self.blocks[block].iter().filter(|unit| !matches!(unit, Unit::MaxPool));
        units.into_iter().try_fold(pooled.shallow_clone(), |x, unit| unit.forward(&x, false))
    }
}

impl Top {
    /// That of a whole backbone whose last block has `channels`, for `classes` classes.
    fn build(
        kind: BackboneKind,
        width: f64,
        channels: i64,
        classes: i64,
        from: &mut Builder<'_>,
    ) -> Result<Self> {
        match kind {
            BackboneKind::MobilenetV2 => {
                // The last layer is widened, but never made narrower.
                let last = rounded(1280.0 * width.max(1.0));
                let mut below = from.below("features");
                let mut below = below.below("18");
                let shape =
                    Shape { inputs: channels, outputs: last, side: 1, stride: 1, groups: 1 };
                let convolution = normed(&mut below, ("0", "1"), shape, Activation::Relu6)?;
                let layers = vec![from.below("classifier").linear("1", last, classes)?];
                Ok(Self { last: Some(convolution), pooled: 1, layers })
            }
            BackboneKind::Vgg16 => {
                let mut below = from.below("classifier");
                let hidden = 4096;
                let layers =
                    [("0", channels * 49, hidden), ("3", hidden, hidden), ("6", hidden, classes)];
                let layers =
                    layers.map(|(name, inputs, outputs)| below.linear(name, inputs, outputs));
                Ok(Self {
                    last: None,
                    pooled: 7,
                    layers: layers.into_iter().collect::<Result<_>>()?,
                })
            }
        }
    }

    /// The logits (N, classes) from the last block's output, as in evaluation (no dropout).
    ///
    /// # Errors
    /// No memory.
    fn forward(&self, block: &Tensor) -> Result<Tensor, TchError> {
        let mut x = match &self.last {
            Some(convolution) => convolution.forward(block, false)?,
            // Here the last block ends before the pooling.
            None => max_pooled(block)?,
        };
        x = x.f_adaptive_avg_pool2d([self.pooled, self.pooled])?.f_flatten(1, -1)?;
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x)?;
            if number + 1 < self.layers.len() {
                x = x.f_relu()?;
            }
        }
        Ok(x)
    }
}

impl Unit {
    fn forward(&self, x: &Tensor, training: bool) -> Result<Tensor, TchError> {
        match self {
            Self::Convolution(convolution) => convolution.forward(x, training),
            Self::Residual(convolutions) => {
                let mut y = x.shallow_clone();
                for convolution in convolutions {
                    y = convolution.forward(&y, training)?;
                }
                y.f_add(x)
            }
            Self::MaxPool => max_pooled(x),
        }
    }
}

impl Convolution {
    fn forward(&self, x: &Tensor, training: bool) -> Result<Tensor, TchError> {
        let padding = self.kernel.size()[2] / 2;
        let mut y =
            x.f_conv2d(&self.kernel, self.bias.as_ref(), self.stride, padding, 1, self.groups)?;
        if let Some(Norm { scale, bias, mean, variance }) = &self.norm {
            let (scale, bias, mean, variance) =
                (Some(scale), Some(bias), Some(mean), Some(variance));
            y = y.f_batch_norm(scale, bias, mean, variance, training, MOMENTUM, EPSILON, true)?;
        }
        // What was just made belongs to nobody else; autograd of a convolution and of BatchNorm
        // needs their inputs only.
        match self.after {
            Activation::None => Ok(y),
            Activation::Relu => y.f_relu_(),
            // Not a clamp, whose gradient at the edges is 1 where that of ReLU6 is 0.
            Activation::Relu6 => y.f_relu6_(),
        }
    }
}

/// Of a convolution without bias.
#[derive(Clone, Copy)]
struct Shape {
    inputs: i64,
    outputs: i64,
    side: i64,
    stride: i64,
    groups: i64,
}

/// A convolution without bias and its BatchNorm, under two names.
fn normed(
    from: &mut Builder<'_>,
    (kernel, norm): (&str, &str),
    shape: Shape,
    after: Activation,
) -> Result<Convolution> {
    let Shape { inputs, outputs, side, stride, groups } = shape;
    let kernel = from.below(kernel).get(
        "weight",
        &[outputs, inputs / groups, side, side],
        TensorRole::Kernel,
    )?;
    let mut from = from.below(norm);
    let norm = Norm {
        scale: from.get("weight", &[outputs], TensorRole::Scale)?,
        bias: from.get("bias", &[outputs], TensorRole::Bias)?,
        mean: from.get("running_mean", &[outputs], TensorRole::Mean)?,
        variance: from.get("running_var", &[outputs], TensorRole::Variance)?,
    };
    Ok(Convolution { kernel, bias: None, norm: Some(norm), stride, groups, after })
}

/// The multiple of 8 next to `channels`, not below 8 and not below nine tenths of it: MobileNetV2's
/// widths.
fn rounded(channels: f64) -> i64 {
    let next = ((channels + 4.0) as i64 / 8 * 8).max(8);
    if (next as f64) < 0.9 * channels { next + 8 } else { next }
}

/// Expansion, channels, repetitions and stride of MobileNetV2's bottlenecks (its Table 2).
const BOTTLENECKS: [(i64, f64, usize, i64); 7] = [
    (1, 16.0, 1, 1),
    (6, 24.0, 2, 2),
    (6, 32.0, 3, 2),
    (6, 64.0, 4, 2),
    (6, 96.0, 3, 1),
    (6, 160.0, 3, 2),
    (6, 320.0, 1, 1),
];

fn mobilenet_v2(width: f64, count: usize, from: &mut Builder<'_>) -> Result<Backbone> {
    let mut inputs = rounded(32.0 * width);
    let shape = Shape { inputs: 3, outputs: inputs, side: 3, stride: 2, groups: 1 };
    let mut block = vec![Unit::Convolution(normed(
        &mut from.below("0"),
        ("0", "1"),
        shape,
        Activation::Relu6,
    )?)];
    let mut backbone = Backbone { blocks: Vec::new(), channels: Vec::new() };
    let mut number = 0;
    for (expansion, channels, repetitions, stride) in BOTTLENECKS {
        for repetition in 0..repetitions {
            if backbone.blocks.len() == count {
                return Ok(backbone);
            }
            number += 1;
            let (outputs, stride) =
                (rounded(channels * width), if repetition == 0 { stride } else { 1 });
            block.extend(inverted_residual(from, number, (inputs, outputs), expansion, stride)?);
            inputs = outputs;
            if BackboneKind::MobilenetV2.ends().contains(&number) {
                backbone.blocks.push(std::mem::take(&mut block));
                backbone.channels.push(outputs);
            }
        }
    }
    Ok(backbone)
}

/// A widening 1 x 1 convolution (unless `expansion` is 1), a 3 x 3 one of single channels, a
/// narrowing 1 x 1 one; the input is added where it has the output's shape.
fn inverted_residual(
    from: &mut Builder<'_>,
    number: usize,
    (inputs, outputs): (i64, i64),
    expansion: i64,
    stride: i64,
) -> Result<Vec<Unit>> {
    let mut from = from.below(&number.to_string());
    let mut from = from.below("conv");
    let wide = inputs * expansion;
    let mut convolutions = Vec::new();
    if expansion != 1 {
        let shape = Shape { inputs, outputs: wide, side: 1, stride: 1, groups: 1 };
        convolutions.push(normed(&mut from.below("0"), ("0", "1"), shape, Activation::Relu6)?);
    }
    let next = convolutions.len();
    let shape = Shape { inputs: wide, outputs: wide, side: 3, stride, groups: wide };
    convolutions.push(normed(
        &mut from.below(&next.to_string()),
        ("0", "1"),
        shape,
        Activation::Relu6,
    )?);
    let shape = Shape { inputs: wide, outputs, side: 1, stride: 1, groups: 1 };
    let names = ((next + 1).to_string(), (next + 2).to_string());
    convolutions.push(normed(&mut from, (&names.0, &names.1), shape, Activation::None)?);
    Ok(match stride == 1 && inputs == outputs {
        true => vec![Unit::Residual(convolutions)],
        false => convolutions.into_iter().map(Unit::Convolution).collect(),
    })
}

/// Channels and convolutions of VGG16's blocks (its configuration D).
const VGG_BLOCKS: [(f64, usize); BLOCKS] =
    [(64.0, 2), (128.0, 2), (256.0, 3), (512.0, 3), (512.0, 3)];

fn vgg16(width: f64, count: usize, from: &mut Builder<'_>) -> Result<Backbone> {
    let mut backbone = Backbone { blocks: Vec::new(), channels: Vec::new() };
    let (mut inputs, mut number) = (3, 0);
    for (place, (channels, convolutions)) in VGG_BLOCKS.into_iter().take(count).enumerate() {
        let outputs = ((channels * width).round() as i64).max(1);
        let mut block = Vec::new();
        if place > 0 {
            block.push(Unit::MaxPool);
            number += 1;
        }
        for _ in 0..convolutions {
            let mut from = from.below(&number.to_string());
            let kernel = from.get("weight", &[outputs, inputs, 3, 3], TensorRole::Kernel)?;
            let bias = Some(from.get("bias", &[outputs], TensorRole::Bias)?);
            let after = Activation::Relu;
            block.push(Unit::Convolution(Convolution {
                kernel,
                bias,
                norm: None,
                stride: 1,
                groups: 1,
                after,
            }));
            inputs = outputs;
            // Behind every convolution there is a ReLU, which has a number too.
            number += 2;
        }
        backbone.blocks.push(block);
        backbone.channels.push(outputs);
    }
    Ok(backbone)
}

/// The maxima of 2 x 2 windows: (N, channels, rows, columns) to half as many rows and columns.
pub(super) fn max_pooled(map: &Tensor) -> Result<Tensor, TchError> {
    map.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)
}

/// The mean over all places of a map: (N, channels, rows, columns) to (N, channels).
pub(super) fn pooled(map: &Tensor) -> Result<Tensor, TchError> {
    map.f_mean_dim([2_i64, 3].as_slice(), false, map.kind())
}
