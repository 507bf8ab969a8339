//! Random weights in the published formats, for tests, benchmarks and trying out without a
//! download. The same seed gives the same file on every machine: only additions, multiplications
//! and square roots of f64 are used.
//!
//! Random deep networks die or saturate unless each layer keeps the spread of its input. Here that
//! is arranged without running anything: from layer to layer an estimate of the activations' mean
//! square and variance is carried along, and every kernel is scaled by it.

use crate::Result;
use crate::networks::Card;
use crate::networks::SYNTHESIZED;
use crate::nn::Nonlinearity;
use crate::nn::weights::{Array, darknet as darknet_file, mean_image, pytorch};
use crate::random::Random;
use crate::regions::darknet::SYNTHESIZED_SEEN;
use crate::regions::darknet::{Cfg, LayerKind};
use std::path::Path;

/// What is estimated of a layer's output over places, channels and pictures.
#[derive(Debug, Clone, Copy)]
struct Spread {
    mean: f64,
    variance: f64,
}

impl Nonlinearity {
    /// Mean and variance of the function of a standard normal variable, by quadrature.
    fn of_standard_normal(self) -> Spread {
        let (mean, variance) = match self {
            Self::Linear => (0.0, 1.0),
            Self::Relu => (0.3989, 0.3408),
            Self::Leaky => (0.3590, 0.3761),
            Self::Mish => (0.2404, 0.3945),
            Self::Swish => (0.2066, 0.3131),
            Self::Logistic => (0.5, 0.0434),
        };
        Spread { mean, variance }
    }
}

/// How much of each kernel's mean is taken out: with all of it in, every picture and place ends in
/// the same answer after some tens of layers; with none of it, the smallest difference of rounding
/// grows into another answer.
const CENTRING: f64 = 0.75;

/// `outputs` kernels of `inputs` weights each, which turn an input of the given spread into outputs
/// of mean square 1, times `gain`.
fn kernels(
    random: &mut Random,
    outputs: usize,
    inputs: usize,
    spread: Spread,
    gain: impl Fn(usize) -> f64,
) -> Vec<f32> {
    let rest = 1.0 - CENTRING;
    let deviation =
        1.0 / (inputs as f64 * (spread.variance + rest * rest * spread.mean * spread.mean)).sqrt();
    let mut all = Vec::with_capacity(outputs * inputs);
    for output in 0..outputs {
        let kernel = random.spread(inputs, deviation);
        let centre = CENTRING * kernel.iter().sum::<f64>() / inputs as f64;
        all.extend(kernel.into_iter().map(|weight| ((weight - centre) * gain(output)) as f32));
    }
    all
}

/// Writes a `.weights` file for `cfg`, marked as random.
///
/// # Errors
/// Layers that do not fit each other; the file cannot be written.
pub fn write_darknet(cfg: &Cfg, seed: u64, path: &Path) -> Result<()> {
    let header = darknet_file::Header { seen: SYNTHESIZED_SEEN, ..darknet_file::Header::CURRENT };
    darknet_file::write(path, header, [darknet(cfg, seed)?.as_slice()])
}

/// Writes EmoNet's checkpoint in the KU Leuven layout, marked as random, and its mean image.
///
/// # Errors
/// A file cannot be written.
pub fn write_emonet(card: &Card, seed: u64, weights: &Path, mean: &Path) -> Result<()> {
    let (tensors, image) = emonet(card, seed);
    mean_image::write(mean, &image)?;
    pytorch::write(weights, &tensors, Some((SYNTHESIZED, "true")))
}

/// All numbers of a `.weights` file for `cfg`, in its order.
///
/// # Errors
/// Layers that do not fit each other.
pub fn darknet(cfg: &Cfg, seed: u64) -> Result<Vec<f32>> {
    let mut numbers = Vec::with_capacity(cfg.parameter_count()?);
    let channels = cfg.channels()?;
    // Photos, scaled to [0, 1].
    let mut previous = (3, Spread { mean: 0.45, variance: 0.07 });
    let mut spreads: Vec<Spread> = Vec::new();
    for (number, layer) in cfg.layers.iter().enumerate() {
        let (inputs, spread) = previous;
        let next = match &layer.kind {
            LayerKind::Convolutional { .. } => {
                let head = match cfg.layers.get(number + 1).map(|next| &next.kind) {
                    Some(LayerKind::Yolo { classes, .. }) => Some(5 + classes),
                    _ => None,
                };
                let residual = matches!(
                    cfg.layers.get(number + 1).map(|l| &l.kind),
                    Some(LayerKind::Shortcut { .. })
                );
                let mut random = Random::new(seed, number as u64);
                convolution(&mut numbers, &mut random, &layer.kind, inputs, spread, head, residual)
            }
            LayerKind::Shortcut { from, .. } => {
                let other = spreads[*from];
                Spread {
                    mean: spread.mean + other.mean,
                    variance: spread.variance + other.variance,
                }
            }
            LayerKind::Route { layers, .. } => {
                let share = |of: fn(&Spread) -> f64| {
                    layers.iter().map(|&l| of(&spreads[l])).sum::<f64>() / layers.len() as f64
                };
                Spread { mean: share(|s| s.mean), variance: share(|s| s.variance) }
            }
            _ => spread,
        };
        spreads.push(next);
        previous = (channels[number], next);
    }
    Ok(numbers)
}

/// Appends one convolution and returns the spread of its output.
fn convolution(
    numbers: &mut Vec<f32>,
    random: &mut Random,
    layer: &LayerKind,
    inputs: usize,
    spread: Spread,
    head: Option<usize>,
    residual: bool,
) -> Spread {
    let &LayerKind::Convolutional { filters, size, groups, batch_normalize, activation, .. } =
        layer
    else {
        unreachable!("called for convolutions alone")
    };
    let filters = filters as usize;
    let of_kernel = inputs / groups as usize * (size * size) as usize;
    if let Some(of_anchor) = head {
        let (bias, gain): (Vec<f64>, Vec<f64>) =
            (0..filters).map(|output| head_number(output % of_anchor)).unzip();
        numbers.extend(bias.iter().map(|&bias| bias as f32));
        numbers.extend(kernels(random, filters, of_kernel, spread, |output| gain[output]));
        return Spread { mean: 0.0, variance: 1.0 };
    }
    let beta: Vec<f64> = (0..filters).map(|_| random.uniform(-0.2, 0.2)).collect();
    numbers.extend(beta.iter().map(|&beta| beta as f32));
    // A branch that is added to what it came from adds a quarter of its variance, as trained
    // residual networks do.
    let gamma = if residual { 0.5 } else { 1.0 };
    let scales: Vec<f64> = if batch_normalize {
        let scales: Vec<f64> = (0..filters).map(|_| random.uniform(0.5, 2.0)).collect();
        numbers.extend((0..filters).map(|_| (gamma * random.uniform(0.9, 1.1)) as f32));
        numbers.extend(scales.iter().map(|&scale| (scale * random.uniform(-0.2, 0.2)) as f32));
        numbers.extend(scales.iter().map(|&scale| (scale * scale) as f32));
        scales
    } else {
        vec![gamma; filters]
    };
    numbers.extend(kernels(random, filters, of_kernel, spread, |output| scales[output]));
    let Spread { mean, variance } = activation.of_standard_normal();
    Spread { mean: gamma * mean, variance: gamma * gamma * variance }
}

/// Bias and spread of a head's numbers: boxes around their anchors, few of them objects, of some
/// class clearly.
fn head_number(of_anchor: usize) -> (f64, f64) {
    match of_anchor {
        0 | 1 => (0.0, 0.8),
        2 | 3 => (0.0, 0.4),
        4 => (-8.0, 2.0),
        _ => (0.0, 2.5),
    }
}

/// EmoNet in the KU Leuven layout: the tensors of `emonet.pth`, and the mean image (3, 227, 227).
pub fn emonet(card: &Card, seed: u64) -> (Vec<(String, Array)>, Array) {
    // Photos less a mean image; conv1 answers with numbers in the hundreds, so that both
    // normalisations matter.
    const CONV1: f64 = 100.0;
    let layers: [(&str, &[usize], f64); 8] = [
        ("conv1", &[96, 3, 11, 11], CONV1),
        ("conv2", &[256, 48, 5, 5], 40.0),
        ("conv3", &[384, 256, 3, 3], 1.0),
        ("conv4", &[384, 192, 3, 3], 1.0),
        ("conv5", &[256, 192, 3, 3], 1.0),
        ("fc1", &[4096, 9216], 1.0),
        ("fc2", &[4096, 4096], 1.0),
        ("fc3", &[card.labels.len(), 4096], 1.25),
    ];
    let mut tensors = Vec::new();
    let mut spread = Spread { mean: 0.0, variance: 4000.0 };
    for (number, (name, shape, deviation)) in layers.into_iter().enumerate() {
        let mut random = Random::new(seed, number as u64);
        let (outputs, inputs) = (shape[0], shape[1..].iter().product());
        let weight = kernels(&mut random, outputs, inputs, spread, |_| deviation);
        let bias =
            random.spread(outputs, 0.1 * deviation).into_iter().map(|bias| bias as f32).collect();
        tensors.push((format!("{name}.weight"), Array { shape: shape.to_vec(), values: weight }));
        tensors.push((format!("{name}.bias"), Array { shape: vec![outputs], values: bias }));
        let after = Nonlinearity::Relu.of_standard_normal();
        spread = Spread {
            mean: deviation * after.mean,
            variance: deviation * deviation * after.variance,
        };
    }
    let side = card.input().width as usize;
    let mut mean = Vec::with_capacity(3 * side * side);
    for colour in [122.0_f32, 117.0, 104.0] {
        // Brighter above than below, as the mean of photos is; two decimals, so that the text is
        // exact.
        mean.extend((0..side * side).map(|index| colour + 12.0 - (index / side) as f32 * 0.125));
    }
    (tensors, Array { shape: vec![3, side, side], values: mean })
}
