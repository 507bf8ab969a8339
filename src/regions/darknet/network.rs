//! A Darknet network on libtorch: built from a [`Cfg`] and its weights, run on batches.

use super::cfg::{Cfg, LayerKind};
use crate::image::Size;
use crate::nn::weights::darknet::DarknetWeights;
use crate::nn::{Graph, Layer, Nonlinearity, Precision};
use crate::{Error, Result};
use tch::{Device, Kind, Tensor};

/// A network ready to run. BatchNorm is folded into the kernels.
#[derive(Debug)]
pub struct DarknetNetwork {
    graph: Graph,
    heads: Vec<Head>,
    input: Size,
    kind: Kind,
    device: Device,
}

/// One `[yolo]` layer's constants.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Width and height of the anchors in input pixels.
    pub anchors: Vec<(f32, f32)>,
    /// Number of classes.
    pub classes: usize,
    /// See [`LayerKind::Yolo`].
    pub scale_x_y: f32,
    /// Cells of the head's grid on the whole input; fewer on a smaller canvas.
    pub grid: Size,
    /// Input pixels a cell.
    pub stride: (f32, f32),
}

/// Channels, rows and columns of a layer's output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub channels: i64,
    pub height: i64,
    pub width: i64,
}

/// More values no layer's output has for one picture: 1 GiB in single precision. YOLOv3's largest
/// has 12 million.
const MOST_VALUES: i64 = 1 << 28;

impl Shape {
    fn values(self) -> i64 {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }
}

/// How many places a window of `size` has on a side with its padding; 0 where it is larger than
/// that.
fn steps(side: i64, size: i64, stride: i64) -> i64 {
    if side < size {
        return 0;
    }
    (side - size) / stride + 1
}

/// The output shape of every layer.
///
/// # Errors
/// [`Error::Line`] where layers do not fit each other.
pub(super) fn shapes(cfg: &Cfg) -> Result<Vec<Shape>> {
    let mut shapes: Vec<Shape> = Vec::with_capacity(cfg.layers.len());
    let input = Shape {
        channels: 3,
        height: i64::from(cfg.input.height),
        width: i64::from(cfg.input.width),
    };
    for layer in &cfg.layers {
        let input_shape = shapes.last().copied().unwrap_or(input);
        let wrong = |message: String| Error::line(&cfg.path, layer.line, message);
        let output_shape = match &layer.kind {
            &LayerKind::Convolutional { filters, size, stride, padding, groups, .. } => {
                if input_shape.channels % groups != 0 || filters % groups != 0 {
                    return Err(wrong(format!(
                        "groups={groups} does not divide both {} input channels and {filters} \
                         filters",
                        input_shape.channels
                    )));
                }
                let side = |side: i64| steps(side + 2 * padding, size, stride);
                Shape {
                    channels: filters,
                    height: side(input_shape.height),
                    width: side(input_shape.width),
                }
            }
            &LayerKind::Maxpool { size, stride, padding } => {
                let side = |side: i64| steps(side + padding, size, stride);
                Shape {
                    height: side(input_shape.height),
                    width: side(input_shape.width),
                    ..input_shape
                }
            }
            &LayerKind::Upsample { stride } => Shape {
                height: input_shape.height * stride,
                width: input_shape.width * stride,
                ..input_shape
            },
            LayerKind::Route { layers, groups, .. } => {
                joined(&shapes, layers, *groups).map_err(wrong)?
            }
            &LayerKind::Shortcut { from: other, .. } => {
                if shapes[other] != input_shape {
                    return Err(wrong(format!(
                        "[shortcut]: {input_shape:?} and layer {other}'s {:?} differ",
                        shapes[other]
                    )));
                }
                input_shape
            }
            LayerKind::Dropout => input_shape,
            LayerKind::Yolo { anchors, classes, .. } => {
                let wanted = (anchors.len() * (5 + classes)) as i64;
                if input_shape.channels != wanted {
                    return Err(wrong(format!(
                        "[yolo] needs {wanted} channels ({} anchors x (5 + {classes} classes)), \
                         the layer before it has {}",
                        anchors.len(),
                        input_shape.channels
                    )));
                }
                input_shape
            }
        };
        if output_shape.height < 1 || output_shape.width < 1 || output_shape.values() > MOST_VALUES
        {
            return Err(wrong(format!(
                "the layer's output would be {output_shape:?}: it needs at least one row and \
                 column, and has at most {MOST_VALUES} values"
            )));
        }
        shapes.push(output_shape);
    }
    Ok(shapes)
}

/// The shape of `layers`, of each the share 1 / `groups` of its channels, one behind the other.
fn joined(shapes: &[Shape], layers: &[usize], groups: i64) -> Result<Shape, String> {
    let first = shapes[layers[0]];
    let mut channels = 0;
    for &number in layers {
        let part = shapes[number];
        if (part.height, part.width) != (first.height, first.width) || part.channels % groups != 0 {
            return Err(format!(
                "[route]: layers {} and {number} do not fit: {first:?}, {part:?}",
                layers[0]
            ));
        }
        channels += part.channels / groups;
    }
    Ok(Shape { channels, ..first })
}

impl DarknetNetwork {
    /// Builds the network and reads its weights, in Darknet's order.
    ///
    /// # Errors
    /// Layers that do not fit each other; a weights file with too few or too many numbers, naming
    /// both counts and the layer.
    pub fn load(
        cfg: &Cfg,
        mut weights: DarknetWeights,
        device: Device,
        precision: Precision,
    ) -> Result<Self> {
        let shapes = shapes(cfg)?;
        let (mut layers, mut outputs) = (Vec::new(), Vec::new());
        // For every layer of the cfg the number of the layer that makes its output: some become
        // two.
        let mut numbers: Vec<usize> = Vec::with_capacity(cfg.layers.len());
        let mut channels = 3;
        for (number, layer) in cfg.layers.iter().enumerate() {
            let function = match &layer.kind {
                LayerKind::Convolutional { activation, .. }
                | LayerKind::Shortcut { activation, .. } => *activation,
                _ => Nonlinearity::Linear,
            };
            layers.push(match &layer.kind {
                LayerKind::Convolutional { .. } => convolution(
                    &layer.kind,
                    number,
                    channels,
                    &mut weights,
                    device,
                    precision.kind(),
                )?,
                &LayerKind::Maxpool { size, stride, padding } => {
                    Layer::MaxPool { size, stride, padding }
                }
                &LayerKind::Upsample { stride } => Layer::Upsample { factor: stride },
                &LayerKind::Route { layers: ref read, groups, group_id } => {
                    let layers = read.iter().map(|&read| numbers[read]).collect();
                    Layer::Concatenate { layers, groups, group: group_id }
                }
                &LayerKind::Shortcut { from, .. } => Layer::Add { layer: numbers[from] },
                LayerKind::Dropout | LayerKind::Yolo { .. } => {
                    Layer::Pointwise(Nonlinearity::Linear)
                }
            });
            if function != Nonlinearity::Linear {
                layers.push(Layer::Pointwise(function));
            }
            numbers.push(layers.len() - 1);
            if matches!(layer.kind, LayerKind::Yolo { .. }) {
                outputs.push(layers.len() - 1);
            }
            channels = shapes[number].channels;
        }
        weights.finish()?;
        let graph = Graph::new(layers, outputs);
        Ok(Self { graph, heads: cfg.heads()?, input: cfg.input, kind: precision.kind(), device })
    }

    /// The same network on `device`: its tensors are copied there, or shared where they are there
    /// already.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        let graph = self.graph.on(device).map_err(Error::torch("sharing the detector"))?;
        Ok(Self { graph, heads: self.heads.clone(), input: self.input, kind: self.kind, device })
    }

    /// The input's size; images must have it, or a smaller one of [`Cfg::stride`]'s multiples.
    pub fn input(&self) -> Size {
        self.input
    }

    /// The heads, in the order of the tensors [`Self::forward`] returns.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The raw output of the convolution before every `[yolo]`: per head (N,
    /// anchors * (5 + classes), rows, columns), in the network's precision. `x` is (N, 3, height,
    /// width), RGB in `[0, 1]`, on the network's device, best channels-last in memory.
    ///
    /// # Errors
    /// [`Error::Torch`] when memory is short or `x` has another shape.
    pub fn forward(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        x.f_to_kind(self.kind)
            .and_then(|x| self.graph.forward(&x))
            .map_err(Error::torch("running the detector"))
    }
}

/// Reads one convolution and folds BatchNorm into it.
fn convolution(
    layer: &LayerKind,
    number: usize,
    channels: i64,
    weights: &mut DarknetWeights,
    device: Device,
    kind: Kind,
) -> Result<Layer> {
    let &LayerKind::Convolutional {
        filters, size, stride, padding, groups, batch_normalize, ..
    } = layer
    else {
        unreachable!("called for convolutions alone")
    };
    let count = filters as usize;
    let mut bias = weights.take(number, "bias", count)?;
    let scale = if batch_normalize {
        let gamma = weights.take(number, "scale", count)?;
        let mean = weights.take(number, "mean", count)?;
        let variance = weights.take(number, "variance", count)?;
        fold(&mut bias, &gamma, &mean, &variance)
    } else {
        vec![1.0; count]
    };
    let fan_in = (channels / groups * size * size) as usize;
    let mut weight = weights.take(number, "kernel", count * fan_in)?;
    for (filter, scale) in weight.chunks_exact_mut(fan_in).zip(scale) {
        filter.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
    }
    let failed = || Error::torch("loading the detector's weights");
    let place = |values: &[f32]| Tensor::f_from_slice(values)?.f_to_device(device)?.f_to_kind(kind);
    // Channels-last like the pixels: cuDNN would otherwise turn them round again for every batch.
    let weight = place(&weight)
        .and_then(|weight| weight.f_reshape([filters, channels / groups, size, size]))
        .and_then(|weight| weight.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2]));
    let (kernel, bias) = (weight.map_err(failed())?, place(&bias).map_err(failed())?);
    Ok(Layer::Convolution { kernel, bias, stride, padding, groups })
}

/// BatchNorm as factors on the kernel, returned, and a new bias: y = gamma (x - mean) / s + beta.
fn fold(bias: &mut [f32], gamma: &[f32], mean: &[f32], variance: &[f32]) -> Vec<f64> {
    bias.iter_mut()
        .zip(gamma.iter().zip(mean.iter().zip(variance)))
        .map(|(beta, (&gamma, (&mean, &variance)))| {
            let scale = f64::from(gamma) / deviation(variance);
            *beta = (f64::from(*beta) - f64::from(mean) * scale) as f32;
            scale
        })
        .collect()
}

/// The denominator of BatchNorm: sqrt(variance + 1e-6), as in OpenCV's importer. Darknet's own
/// sqrt(variance) + 1e-6 gives raw outputs within 6e-5 of this (share of the largest value) on
/// trained and random networks, PyTorch's usual 1e-5 inside the root within 3e-3; only variances
/// below 1e-4 make them differ more.
fn deviation(variance: f32) -> f64 {
    (f64::from(variance.max(0.0)) + 1e-6).sqrt()
}

impl Cfg {
    /// Numbers the network's weights file must hold.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn parameter_count(&self) -> Result<usize> {
        let parameters = |(kernel, vectors, shape): (i64, i64, Shape)| {
            (kernel + vectors * shape.channels) as usize
        };
        Ok(self.convolutions()?.into_iter().map(parameters).sum())
    }

    /// Floating-point operations of the convolutions for one image of the cfg's size, a
    /// multiplication and an addition counted as two (Darknet's BFLOPs, times 10^9).
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn flops(&self) -> Result<f64> {
        let operations = |(kernel, _, shape): (i64, i64, Shape)| {
            2.0 * (kernel * shape.height * shape.width) as f64
        };
        Ok(self.convolutions()?.into_iter().map(operations).sum())
    }

    /// Of every convolution: the numbers in its kernel, how many more each filter has (bias,
    /// BatchNorm), its output.
    fn convolutions(&self) -> Result<Vec<(i64, i64, Shape)>> {
        let mut channels = 3;
        let mut found = Vec::new();
        for (layer, shape) in self.layers.iter().zip(shapes(self)?) {
            if let LayerKind::Convolutional { filters, size, groups, batch_normalize, .. } =
                layer.kind
            {
                let vectors = if batch_normalize { 4 } else { 1 };
                found.push((filters * (channels / groups * size * size), vectors, shape));
            }
            channels = shape.channels;
        }
        Ok(found)
    }

    /// The number whose multiples the network takes as sides of its input: there every layer's
    /// output is the same share of the input, and every cell of a head stands for the same number
    /// of pixels. 32 for YOLOv3. `None` where the layers' sides are no fixed shares, as with
    /// convolutions without padding, or the cfg's own input is no such multiple.
    pub fn stride(&self) -> Option<u32> {
        let share = |input: u32, output: i64| {
            let output =
                u32::try_from(output).ok().filter(|output| input.is_multiple_of(*output))?;
            Some(input / output)
        };
        let shares = |input: Size| -> Option<Vec<u32>> {
            let shapes = shapes(&Self { input, ..self.clone() }).ok()?;
            let share_of_input = |shape: &Shape| {
                share(input.width, shape.width)
                    .filter(|&across| share(input.height, shape.height) == Some(across))
            };
            shapes.iter().map(share_of_input).collect()
        };
        let own = shares(self.input)?;
        let stride = own.iter().fold(1, |all, &one| least_common_multiple(all, one));
        let multiple =
            self.input.width.is_multiple_of(stride) && self.input.height.is_multiple_of(stride);
        // Shares that hold by chance do not hold on other canvases.
        let smaller = if multiple { shares(Size::new(2 * stride, stride))? } else { return None };
        (smaller == own).then_some(stride)
    }

    /// The constants of every `[yolo]` layer.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn heads(&self) -> Result<Vec<Head>> {
        let head = |(layer, shape): (&super::CfgLayer, Shape)| {
            let LayerKind::Yolo { anchors, classes, scale_x_y } = &layer.kind else { return None };
            let grid = Size::new(shape.width as u32, shape.height as u32);
            let stride = (
                self.input.width as f32 / grid.width as f32,
                self.input.height as f32 / grid.height as f32,
            );
            Some(Head {
                anchors: anchors.clone(),
                classes: *classes,
                scale_x_y: *scale_x_y,
                grid,
                stride,
            })
        };
        Ok(self.layers.iter().zip(shapes(self)?).filter_map(head).collect())
    }

    /// Output channels of every layer.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn channels(&self) -> Result<Vec<usize>> {
        Ok(shapes(self)?.iter().map(|shape| shape.channels as usize).collect())
    }
}

fn least_common_multiple(a: u32, b: u32) -> u32 {
    let divisor = |mut a: u32, mut b: u32| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (a / divisor(a, b)).saturating_mul(b)
}
