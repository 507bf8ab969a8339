//! Training of a narrow AlexNet: the layers of [`crate::emotion::AlexNet`] with fewer channels, the very code that runs
//! later.
//!
//! EmoNet's convolutions had learnt objects (ImageNet) before they learnt emotions. So here: at first a helper, thrown
//! away afterwards, is asked from conv5's map which kind of object is where; its part of the loss falls to nothing, and
//! the last third of the training is about the labels alone.

use super::optimiser::{Optimiser, DECAYED};
use super::{augment, stream, Example, Examples, Schedule, Step};
use crate::emotion::{layers, MEAN};
use crate::image::{resize, Filter, Rgb8, Size};
use crate::nn::weights::{safetensors, Array, StateDict};
use crate::nn::{forward, stack, Layer};
use crate::random::Random;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use tch::nn::VarStore;
use tch::{Device, Kind, Reduction, TchError, Tensor};

/// Side of the square input.
pub const INPUT: u32 = 227;

/// Pictures of the stream that the mean colour and the spread of the initial weights are taken from.
const FIRST_LOOK: u64 = 64;

/// Shapes of the weights: EmoNet's structure, kernels, strides and groups; channels as few as the drawn world needs.
const SHAPES: [(&str, &[i64]); 7] = [
    ("conv1", &[32, 3, 11, 11]),
    ("conv2", &[48, 16, 5, 5]),
    ("conv3", &[64, 48, 3, 3]),
    ("conv4", &[64, 32, 3, 3]),
    ("conv5", &[48, 32, 3, 3]),
    ("fc6", &[96, 1728]),
    ("fc7", &[64, 96]),
];

/// Standard deviation of every layer's output before training. The first two are so large that the local response
/// normalisations do something (they divide by (1 + 1e-4 x mean square)^0.75); the last is small: no answer is preferred.
const SPREADS: [f64; 8] = [30.0, 6.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1];

/// Weight of the helper's loss at the first step, against 1 for the labels.
const HELP: f64 = 2.0;

/// Share of the steps after which it is 0, falling linearly.
const HELPED: f64 = 0.65;

/// What the helper says of a kind at a place before training, as a logit: it is not there.
const UNTRAINED_PRESENCE: f64 = -4.0;

/// Where the centre of conv5's first cell looks at, and the distance to the next, in input pixels: a kernel of 11, a
/// stride of 4 and two poolings of 3 with a stride of 2.
const CELLS: (f32, f32) = (17.5, 16.0);

/// The network with gradients.
#[derive(Debug)]
pub struct TrainingNetwork {
    store: VarStore,
    /// (kinds, channels of conv5, 1, 1) and (kinds).
    helper: (Tensor, Tensor),
    /// `conv1.weight` to `fc8.bias`, in the order of the layers.
    tensors: Vec<(String, Tensor)>,
    /// (3, 1, 1): R, G, B.
    mean: Tensor,
    body: Vec<Layer>,
    head: Vec<Layer>,
}

/// `example`'s picture as it enters the network at run time: squashed to 227 x 227 with Pillow's bicubic.
pub fn squashed(example: &Example) -> Rgb8 {
    resize(&example.picture, Size::new(INPUT, INPUT), Filter::Bicubic)
}

impl TrainingNetwork {
    /// Random weights from `seed`, scaled so that every layer's answers to the first examples have the spread that
    /// [`SPREADS`] says (Mishkin & Matas 2016); the mean colour is that of these examples.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn new(labels: usize, examples: &dyn Examples, seed: u64, device: Device) -> Result<Self> {
        let store = VarStore::new(device);
        let mut tensors = Vec::new();
        let last: &[i64] = &[labels as i64, 64];
        for (name, shape) in SHAPES.into_iter().chain([("fc8", last)]) {
            let mut random = Random::of_text(seed, &format!("emotion/{name}"));
            let fan_in: i64 = shape[1..].iter().product();
            let kernel = random.spread((shape[0] * fan_in) as usize, (2.0 / fan_in as f64).sqrt());
            let made = add(&store, name, shape, &kernel).map_err(Error::torch("making the initial weights"))?;
            tensors.extend(made);
        }
        let pictures: Vec<Rgb8> = (0..FIRST_LOOK).map(|number| squashed(&examples.example(number))).collect();
        let x = input(&pictures, device).map_err(Error::torch("looking at the first examples"))?;
        let mean = x.mean_dim([0_i64, 2, 3].as_slice(), false, Kind::Float).round().reshape([3, 1, 1]);
        let network = Self::of(store, tensors, mean, examples.kinds(), seed)?;
        network.scale(&x).map_err(Error::torch("scaling the initial weights"))?;
        Ok(network)
    }

    /// The weights of a file that [`Self::save`] wrote, to be trained on.
    ///
    /// # Errors
    /// The file cannot be read, or holds another network.
    pub fn load(path: &Path, kinds: usize, device: Device) -> Result<Self> {
        let mut state = StateDict::open(path)?;
        let store = VarStore::new(device);
        let mut tensors = Vec::new();
        let labels = state.arrays.get("fc8.bias").map_or(0, |bias| bias.values.len());
        let last: &[i64] = &[labels as i64, 64];
        for (name, shape) in SHAPES.into_iter().chain([("fc8", last)]) {
            let sides: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
            let kernel: Vec<f64> = state.take(&format!("{name}.weight"), &sides)?.into_iter().map(f64::from).collect();
            let [weight, mut bias] =
                add(&store, name, shape, &kernel).map_err(Error::torch("loading the emotion model's weights"))?;
            let values = state.take(&bias.0, &sides[..1])?;
            tch::no_grad(|| bias.1.f_copy_(&Tensor::f_from_slice(&values)?.f_to_device(device)?))
                .map_err(Error::torch("loading the emotion model's weights"))?;
            tensors.extend([weight, bias]);
        }
        let mean = Tensor::from_slice(&state.take(MEAN, &[3, 1, 1])?).reshape([3, 1, 1]).to_device(device);
        state.finish()?;
        Self::of(store, tensors, mean, kinds, 0)
    }

    fn of(store: VarStore, tensors: Vec<(String, Tensor)>, mean: Tensor, kinds: usize, seed: u64) -> Result<Self> {
        let find = |name: String| {
            let (_, tensor) = tensors.iter().find(|(known, _)| *known == name).expect("all eight layers were added");
            Ok(tensor.shallow_clone())
        };
        let (body, head) = layers(Path::new("the network that is trained"), find)?;
        let channels = SHAPES[4].1[0];
        let helper = || -> Result<(Tensor, Tensor), TchError> {
            let mut random = Random::of_text(seed, "emotion/helper");
            let kernel = random.spread(kinds * channels as usize, 0.1 / (channels as f64).sqrt());
            let kernel = Tensor::f_from_slice(&kernel)?.f_to_kind(Kind::Float)?;
            let path = store.root().sub("helper");
            let bias = Tensor::f_full([kinds as i64], UNTRAINED_PRESENCE, (Kind::Float, Device::Cpu))?;
            let kernel = kernel.f_reshape([kinds as i64, channels, 1, 1])?;
            Ok((path.f_var_copy("kernel", &kernel)?, path.f_var_copy("bias", &bias)?))
        };
        let helper = helper().map_err(Error::torch("making the helper's weights"))?;
        Ok(Self { store, helper, tensors, mean, body, head })
    }

    /// Scales the weights, layer by layer, to [`SPREADS`].
    fn scale(&self, x: &Tensor) -> Result<(), TchError> {
        let _no_grad = tch::no_grad_guard();
        let mut x = x.f_sub(&self.mean)?;
        let mut spreads = SPREADS.into_iter();
        for layer in self.body.iter().chain(&self.head) {
            if let Layer::Convolution { kernel: weight, .. } | Layer::Linear { weight, .. } = layer {
                let wanted = spreads.next().expect("eight layers have weights");
                let found = layer.forward(&x)?.f_std(true)?.f_double_value(&[])?;
                let _ = weight.shallow_clone().f_mul_scalar_(wanted / found.max(1e-9))?;
            }
            x = layer.forward(&x)?;
        }
        Ok(())
    }

    /// Writes the weights and the mean colour as safetensors, in the project's own layout.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mean = (MEAN.to_string(), self.mean.shallow_clone());
        let array = |(name, tensor): &(String, Tensor)| -> Result<(String, Array)> {
            let values = tensor.f_detach().and_then(|t| Vec::<f32>::try_from(&t.f_flatten(0, -1)?));
            let values = values.map_err(Error::torch("reading the emotion model's weights"))?;
            Ok((name.clone(), Array { shape: tensor.size().into_iter().map(|side| side as usize).collect(), values }))
        };
        let arrays = self.tensors.iter().chain([&mean]).map(array).collect::<Result<Vec<_>>>()?;
        let note =
            BTreeMap::from([("about".into(), "trained on drawn scenes by `emocam train-demo`; not EmoNet".into())]);
        safetensors::write(path, &arrays, &note)
    }

    /// Logits (N, labels), with gradients, of pictures of 227 x 227.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn forward(&self, pictures: &[Rgb8]) -> Result<Tensor> {
        self.activation(pictures)
            .and_then(|a| forward(&self.head, &a))
            .map_err(Error::torch("training the emotion model"))
    }

    /// conv5's output: (N, channels, 13, 13).
    fn activation(&self, pictures: &[Rgb8]) -> Result<Tensor, TchError> {
        input(pictures, self.store.device()).and_then(|x| forward(&self.body, &x.f_sub(&self.mean)?))
    }

    /// Mean cross-entropy of the labels, and `help` times the mean over pictures and cells of the helper's binary
    /// cross-entropies, summed over the kinds.
    fn loss(&self, batch: &Batch, help: f64) -> Result<Tensor, TchError> {
        let a = self.activation(&batch.pictures)?;
        let device = a.device();
        let labels = Tensor::f_from_slice(&batch.labels)?.f_to_device(device)?;
        let logits = forward(&self.head, &a)?;
        let loss = logits.f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0)?;
        if help <= 0.0 {
            return Ok(loss);
        }
        let found = a.f_relu()?.f_conv2d(&self.helper.0, Some(&self.helper.1), 1, 0, 1, 1)?;
        let there = Tensor::f_from_slice(&batch.there)?.f_reshape(found.size())?.f_to_device(device)?;
        let cells = (found.size()[0] * found.size()[2] * found.size()[3]) as f64;
        let asked = found.f_binary_cross_entropy_with_logits::<Tensor>(&there, None, None, Reduction::Sum)?;
        loss.f_add(&asked.f_mul_scalar(help / cells)?)
    }
}

/// Adds a layer's weight and a bias of zeros to the store.
fn add(store: &VarStore, name: &str, shape: &[i64], kernel: &[f64]) -> Result<[(String, Tensor); 2], TchError> {
    let path = store.root().sub(name);
    let kernel = Tensor::f_from_slice(kernel)?.f_to_kind(Kind::Float)?.f_reshape(shape)?;
    Ok([
        (format!("{name}.weight"), path.set_group(DECAYED).f_var_copy("weight", &kernel)?),
        (format!("{name}.bias"), path.f_zeros("bias", &shape[..1])?),
    ])
}

/// Pictures as (N, 3, 227, 227), f32, RGB, 0..255.
fn input(pictures: &[Rgb8], device: Device) -> Result<Tensor, TchError> {
    let pictures: Vec<&Rgb8> = pictures.iter().collect();
    stack(&pictures, Size::new(INPUT, INPUT), device)?.f_to_kind(Kind::Float)
}

/// Examples as the network takes them.
struct Batch {
    pictures: Vec<Rgb8>,
    labels: Vec<i64>,
    /// (N, kinds, 13, 13): 1 where the cell's centre lies in the box of an object of the kind, else 0.
    there: Vec<f32>,
}

impl Batch {
    fn of(examples: &[Example], kinds: usize) -> Self {
        let mut batch = Self { pictures: Vec::new(), labels: Vec::new(), there: Vec::new() };
        for example in examples {
            batch.pictures.push(squashed(example));
            batch.labels.push(example.label as i64);
            batch.there.extend(presence(example, kinds));
        }
        batch
    }
}

/// See [`Batch::there`], of one example.
fn presence(example: &Example, kinds: usize) -> Vec<f32> {
    const SIDE: usize = 13;
    let size = example.picture.size();
    let mut there = vec![0.0; kinds * SIDE * SIDE];
    for (kind, b) in &example.kinds {
        let inside = |at: usize, low: f32, high: f32, side: u32| {
            let centre = (CELLS.0 + CELLS.1 * at as f32) * side as f32 / INPUT as f32;
            (low..high).contains(&centre)
        };
        for row in (0..SIDE).filter(|&row| inside(row, b.y_min, b.y_max, size.height)) {
            for column in (0..SIDE).filter(|&column| inside(column, b.x_min, b.x_max, size.width)) {
                there[(kind * SIDE + row) * SIDE + column] = 1.0;
            }
        }
    }
    there
}

/// Trains `network` on `examples`; the loss is the mean cross-entropy of the label and, at first, the helper's. `told`
/// hears of every step.
///
/// # Errors
/// libtorch fails; the loss stops being a number.
pub fn train(
    network: &mut TrainingNetwork,
    examples: &dyn Examples,
    schedule: &Schedule,
    mut told: impl FnMut(Step),
) -> Result<()> {
    let mut optimiser = Optimiser::new(&network.store, *schedule)?;
    let size = schedule.batch as u64;
    let make = |number: u64| {
        let augmented = |at| {
            let mut example = examples.example(at);
            augment(&mut example, &mut Random::of_text(schedule.seed, &format!("augment/{at}")));
            example
        };
        let batch: Vec<Example> = (number * size..(number + 1) * size).map(augmented).collect();
        Batch::of(&batch, examples.kinds())
    };
    stream::in_order(schedule.steps, schedule.threads, make, |number, batch| {
        let help = HELP * (1.0 - number as f64 / (HELPED * schedule.steps as f64)).max(0.0);
        let loss = network.loss(&batch, help).map_err(Error::torch("training the emotion model"))?;
        let value = optimiser.step(number, &loss)?;
        told(Step { done: number + 1, loss: value });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BoundingBox;

    #[test]
    fn cells_by_hand() {
        // Twice as wide as the input and half as high: the first centres lie at 35, 67, 99 across and 8.75, 16.75 down.
        let picture = Rgb8::filled(Size::new(454, 114), [0; 3]);
        let kinds = vec![(1, BoundingBox::new(30.0, 9.0, 98.0, 20.0))];
        let there = presence(&Example { picture, boxes: Vec::new(), kinds, label: 0 }, 2);
        let ones: Vec<usize> = (0..there.len()).filter(|&at| there[at] > 0.0).collect();
        // Kind 1, row 1 (row 0 is at 8.8, just above), columns 0 and 1.
        assert_eq!(ones, [169 + 13, 169 + 14]);
    }
}
