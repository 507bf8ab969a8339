//! The network that is trained: AlexNet's layers, with BatchNorm behind the convolutions while it
//! learns.

use super::{Batch, INPUT, squashed};
use crate::image::{Rgb8, Size};
use crate::networks::{MEAN, Structure, TRAINED_HERE, layers};
use crate::nn::weights::{Array, StateDict, safetensors};
use crate::nn::{Layer, forward, stack};
use crate::random::Random;
use crate::train::Examples;
use crate::train::norm::Norm;
use crate::train::optimiser::DECAYED;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use tch::nn::VarStore;
use tch::{Device, Kind, Reduction, TchError, Tensor};

/// Pictures of the stream that the mean colour and the spread of the initial weights are taken
/// from.
const FIRST_LOOK: u64 = 64;

/// Channels of conv5, and places of the pooled map that fc6 reads of each.
const MAP: (i64, i64) = (64, 6 * 6);

/// Shapes of the weights: EmoNet's structure, kernels, strides and groups; channels as few as the
/// drawn world needs.
const SHAPES: [(&str, &[i64]); 7] = [
    ("conv1", &[32, 3, 11, 11]),
    ("conv2", &[64, 16, 5, 5]),
    ("conv3", &[96, 64, 3, 3]),
    ("conv4", &[96, 48, 3, 3]),
    ("conv5", &[MAP.0, 48, 3, 3]),
    ("fc6", &[64, MAP.0 * MAP.1]),
    ("fc7", &[48, 64]),
];

/// Standard deviation of every layer's output before training. The first two are so large that the
/// local response normalisations do something (they divide by (1 + 1e-4 x mean square)^0.75); the
/// last is small: no answer is preferred.
const SPREADS: [f64; 8] = [30.0, 6.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1];

/// Added to BatchNorm's variance under the root.
const EPSILON: f64 = 1e-5;

/// What the helper says of a kind at a place before training, as a logit: it is not there.
const UNTRAINED_PRESENCE: f64 = -4.0;

/// The network with gradients. Only while it is trained there is BatchNorm behind every
/// convolution, without which so deep a network learns several times as slowly; in what is saved it
/// is folded into kernels and biases.
#[derive(Debug)]
pub struct EmotionTraining {
    store: VarStore,
    /// (kinds, channels of conv5, 1, 1) and (kinds).
    helper: (Tensor, Tensor),
    /// `conv1.weight` to `fc8.bias`, in the order of the layers; of convolutions before folding,
    /// the bias BatchNorm's.
    tensors: Vec<(String, Tensor)>,
    /// Of the five convolutions.
    norms: Vec<Norm>,
    /// (3, 1, 1): R, G, B.
    mean: Tensor,
    /// The layers, sharing `tensors`.
    body: Vec<Layer>,
    head: Vec<Layer>,
}

impl EmotionTraining {
    /// Random weights from `seed`, scaled so that every layer's answers to the first examples have
    /// the spread that `SPREADS` says (Mishkin & Matas 2016). At first fc6 reads every place of the
    /// map alike. The mean colour is that of these examples.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn new(labels: usize, examples: &dyn Examples, seed: u64, device: Device) -> Result<Self> {
        let store = VarStore::new(device);
        let mut tensors = Vec::new();
        let last: &[i64] = &[labels as i64, SHAPES[6].1[0]];
        for (name, shape) in SHAPES.into_iter().chain([("fc8", last)]) {
            let mut random = Random::of_text(seed, &format!("emotion/{name}"));
            let places = if name == "fc6" { MAP.1 as usize } else { 1 };
            let fan_in: i64 = shape[1..].iter().product();
            let weights =
                random.spread((shape[0] * fan_in) as usize / places, (2.0 / fan_in as f64).sqrt());
            let weights: Vec<f64> = weights
                .into_iter()
                .flat_map(|weight| std::iter::repeat_n(weight, places))
                .collect();
            tensors.extend(
                add(&store, name, shape, &weights)
                    .map_err(Error::torch("making the initial weights"))?,
            );
        }
        let x = first_look(examples, device)?;
        let mean = x
            .f_mean_dim([0_i64, 2, 3].as_slice(), false, Kind::Float)
            .and_then(|mean| mean.f_round()?.f_reshape([3, 1, 1]))
            .map_err(Error::torch("taking the mean colour"))?;
        let network = Self::of(store, tensors, mean, examples.kinds(), seed)?;
        network.calibrate(&x, true).map_err(Error::torch("scaling the initial weights"))?;
        Ok(network)
    }

    /// The weights of a file that [`Self::save`] wrote, to be trained on.
    ///
    /// # Errors
    /// The file cannot be read, or holds another network.
    pub fn load(path: &Path, examples: &dyn Examples, device: Device) -> Result<Self> {
        let mut state = StateDict::open(path)?;
        let store = VarStore::new(device);
        let mut tensors = Vec::new();
        let labels = state.arrays.get("fc8.bias").map_or(0, |bias| bias.values.len());
        let last: &[i64] = &[labels as i64, SHAPES[6].1[0]];
        for (name, shape) in SHAPES.into_iter().chain([("fc8", last)]) {
            let sides: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
            let weights = state.take(&format!("{name}.weight"), &sides)?;
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let [weight, mut bias] = add(&store, name, shape, &weights)
                .map_err(Error::torch("loading the emotion model's weights"))?;
            let values = state.take(&bias.0, &sides[..1])?;
            tch::no_grad(|| bias.1.f_copy_(&Tensor::f_from_slice(&values)?))
                .map_err(Error::torch("loading the emotion model's weights"))?;
            tensors.extend([weight, bias]);
        }
        let mean = Tensor::f_from_slice(&state.take(MEAN, &[3, 1, 1])?)
            .and_then(|mean| mean.f_reshape([3, 1, 1])?.f_to_device(device))
            .map_err(Error::torch("loading the mean colour"))?;
        state.finish()?;
        let network = Self::of(store, tensors, mean, examples.kinds(), 0)?;
        let x = first_look(examples, device)?;
        network.calibrate(&x, false).map_err(Error::torch("measuring the activations"))?;
        Ok(network)
    }

    /// Makes the last layer small and random from `seed`: what was learnt of objects stays, what it
    /// meant is forgotten.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn forget_labels(&self, seed: u64) -> Result<()> {
        let [.., (_, weight), (_, bias)] = &self.tensors[..] else {
            unreachable!("there are eight layers")
        };
        let mut random = Random::of_text(seed, "emotion/new labels");
        let deviation = SPREADS[7] / (weight.size()[1] as f64).sqrt();
        let fresh = random.spread(weight.numel(), deviation);
        let forget = || -> Result<(), TchError> {
            let _no_grad = tch::no_grad_guard();
            let fresh =
                Tensor::f_from_slice(&fresh)?.f_to_kind(Kind::Float)?.f_reshape(weight.size())?;
            weight.shallow_clone().f_copy_(&fresh)?;
            bias.shallow_clone().f_zero_().map(|_| ())
        };
        forget().map_err(Error::torch("making a new last layer"))
    }

    fn of(
        store: VarStore,
        tensors: Vec<(String, Tensor)>,
        mean: Tensor,
        kinds: usize,
        seed: u64,
    ) -> Result<Self> {
        let find = |name: String| {
            let (_, tensor) = tensors
                .iter()
                .find(|(known, _)| *known == name)
                .expect("all eight layers were added");
            Ok(tensor.shallow_clone())
        };
        let (body, head) =
            layers(Path::new("the network that is trained"), find, &Structure::EMONET)?;
        let rest = || -> Result<_, TchError> {
            let mut random = Random::of_text(seed, "emotion/helper");
            let kernel = random.spread(kinds * MAP.0 as usize, 0.1 / (MAP.0 as f64).sqrt());
            let kernel = Tensor::f_from_slice(&kernel)?.f_to_kind(Kind::Float)?.f_reshape([
                kinds as i64,
                MAP.0,
                1,
                1,
            ])?;
            let bias =
                Tensor::f_full([kinds as i64], UNTRAINED_PRESENCE, (Kind::Float, Device::Cpu))?;
            let path = store.root().sub("helper");
            let helper = (path.f_var_copy("kernel", &kernel)?, path.f_var_copy("bias", &bias)?);
            let norms = SHAPES[..5]
                .iter()
                .map(|(name, shape)| Norm::new(&store.root().sub(name), shape[0]));
            Ok((helper, norms.collect::<Result<Vec<_>, _>>()?))
        };
        let (helper, norms) = rest().map_err(Error::torch("making BatchNorm and the helper"))?;
        Ok(Self { store, helper, tensors, norms, mean, body, head })
    }

    /// Sets BatchNorm's statistics to those of `x`. For a `fresh` network also its factors, and the
    /// scale of the fully connected layers, to [`SPREADS`]; else factors and biases so that the
    /// network computes what it did without.
    fn calibrate(&self, x: &Tensor, fresh: bool) -> Result<(), TchError> {
        let _no_grad = tch::no_grad_guard();
        let mut x = x.f_sub(&self.mean)?;
        let mut norms = self.norms.iter();
        let mut spreads = SPREADS.into_iter();
        for layer in self.body.iter().chain(&self.head) {
            match layer {
                Layer::Convolution { bias, .. } => {
                    let norm = norms.next().expect("there are five convolutions");
                    let raw = convolved(layer, &x)?;
                    let mean = raw.f_mean_dim([0_i64, 2, 3].as_slice(), false, Kind::Float)?;
                    let variance = raw.f_var_dim([0_i64, 2, 3].as_slice(), false, false)?;
                    let spread = spreads.next().expect("eight layers have weights");
                    let scale = variance.f_add_scalar(EPSILON)?.f_sqrt()?;
                    let beta = bias.f_add(&mean)?;
                    norm.scale.shallow_clone().f_copy_(&if fresh {
                        scale.f_full_like(spread)?
                    } else {
                        scale
                    })?;
                    bias.shallow_clone().f_copy_(&if fresh {
                        bias.f_zeros_like()?
                    } else {
                        beta
                    })?;
                    norm.mean.shallow_clone().f_copy_(&mean)?;
                    norm.variance.shallow_clone().f_copy_(&variance)?;
                    x = norm.forward(&raw, bias, EPSILON, false)?;
                }
                Layer::Linear { weight, .. } => {
                    let spread = spreads.next().expect("eight layers have weights");
                    if fresh {
                        let found = layer.forward(&x)?.f_std(true)?.f_double_value(&[])?;
                        let _ = weight.shallow_clone().f_mul_scalar_(spread / found.max(1e-9))?;
                    }
                    x = layer.forward(&x)?;
                }
                _ => x = layer.forward(&x)?,
            }
        }
        Ok(())
    }

    /// Writes the weights and the mean colour as safetensors, in the project's own layout,
    /// BatchNorm folded; in `half` precision or in single.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path, half: bool) -> Result<()> {
        let mean = (MEAN.to_string(), self.mean.shallow_clone());
        let array = |(name, tensor): &(String, Tensor)| -> Result<(String, Array)> {
            let values = tensor.f_flatten(0, -1).and_then(|t| Vec::<f32>::try_from(&t));
            let values = values.map_err(Error::torch("reading the emotion model's weights"))?;
            Ok((
                name.clone(),
                Array {
                    shape: tensor.size().into_iter().map(|side| side as usize).collect(),
                    values,
                },
            ))
        };
        let folded = self.folded().map_err(Error::torch("folding BatchNorm"))?;
        let arrays = folded.iter().chain([&mean]).map(array).collect::<Result<Vec<_>>>()?;
        let write = if half { safetensors::write_half } else { safetensors::write };
        write(path, &arrays, &BTreeMap::from([(TRAINED_HERE.0.into(), TRAINED_HERE.1.into())]))
    }

    /// The tensors of the network without BatchNorm that computes the same.
    fn folded(&self) -> Result<Vec<(String, Tensor)>, TchError> {
        let _no_grad = tch::no_grad_guard();
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        for (at, pair) in self.tensors.chunks_exact(2).enumerate() {
            let (mut weight, mut bias) = (pair[0].1.f_detach()?, pair[1].1.f_detach()?);
            if let Some(norm) = self.norms.get(at) {
                let factor = norm.scale.f_div(&norm.variance.f_add_scalar(EPSILON)?.f_sqrt()?)?;
                bias = bias.f_sub(&norm.mean.f_mul(&factor)?)?;
                weight = weight.f_mul(&factor.f_reshape([-1, 1, 1, 1])?)?;
            }
            tensors.extend([(pair[0].0.clone(), weight), (pair[1].0.clone(), bias)]);
        }
        Ok(tensors)
    }

    /// The variables.
    pub fn store(&self) -> &VarStore {
        &self.store
    }

    /// Logits (N, labels), with gradients, of pictures of 227 x 227. While `training`, BatchNorm
    /// uses the batch's own mean and variance and notes them; otherwise it uses what it noted.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn forward(&self, pictures: &[Rgb8], training: bool) -> Result<Tensor> {
        self.activation(pictures, training)
            .and_then(|a| forward(&self.head, &a))
            .map_err(Error::torch("running the emotion model"))
    }

    /// conv5's output: (N, channels, 13, 13).
    fn activation(&self, pictures: &[Rgb8], training: bool) -> Result<Tensor, TchError> {
        let x = input(pictures, self.store.device())?.f_sub(&self.mean)?;
        let mut norms = self.norms.iter();
        self.body.iter().try_fold(x, |x, layer| match layer {
            Layer::Convolution { bias, .. } => {
                let norm = norms.next().expect("there are five convolutions");
                norm.forward(&convolved(layer, &x)?, bias, EPSILON, training)
            }
            _ => layer.forward(&x),
        })
    }

    /// Two scalars with gradients: the mean cross-entropy of the labels; and the mean over pictures
    /// and cells of the helper's binary cross-entropies, summed over the kinds.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn loss(&self, batch: &Batch) -> Result<(Tensor, Tensor)> {
        let both = || -> Result<(Tensor, Tensor), TchError> {
            let a = self.activation(&batch.pictures, true)?;
            let device = a.device();
            let labels = Tensor::f_from_slice(&batch.labels)?.f_to_device(device)?;
            let logits = forward(&self.head, &a)?;
            let label =
                logits.f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0)?;
            let found = a.f_relu()?.f_conv2d(&self.helper.0, Some(&self.helper.1), 1, 0, 1, 1)?;
            let there =
                Tensor::f_from_slice(&batch.there)?.f_reshape(found.size())?.f_to_device(device)?;
            let cells = (found.size()[0] * found.size()[2] * found.size()[3]) as f64;
            let asked = found.f_binary_cross_entropy_with_logits::<Tensor>(
                &there,
                None,
                None,
                Reduction::Sum,
            )?;
            Ok((label, asked.f_div_scalar(cells)?))
        };
        both().map_err(Error::torch("training the emotion model"))
    }

    /// Makes fc6's gradient alike for every place of the map: as long as this is done at every
    /// step, fc6 reads them alike, and what is learnt at one place is known at all.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn read_places_alike(&self) -> Result<()> {
        let (_, weight) = &self.tensors[10];
        let alike = || -> Result<(), TchError> {
            let _no_grad = tch::no_grad_guard();
            let mut gradient = weight.grad();
            let by_place = gradient.f_reshape([-1, MAP.0, MAP.1])?;
            let mean = by_place
                .f_mean_dim([2_i64].as_slice(), true, Kind::Float)?
                .f_expand_as(&by_place)?;
            gradient.f_copy_(&mean.f_reshape(gradient.size())?)
        };
        alike().map_err(Error::torch("averaging fc6's gradient"))
    }
}

/// A convolution without its bias, which BatchNorm adds.
fn convolved(layer: &Layer, x: &Tensor) -> Result<Tensor, TchError> {
    let Layer::Convolution { kernel, stride, padding, groups, .. } = layer else {
        unreachable!("called for convolutions alone")
    };
    x.f_conv2d::<&Tensor>(kernel, None, *stride, *padding, 1, *groups)
}

/// Adds a layer's weight and a bias of zeros to the store.
fn add(
    store: &VarStore,
    name: &str,
    shape: &[i64],
    weights: &[f64],
) -> Result<[(String, Tensor); 2], TchError> {
    let path = store.root().sub(name);
    let weights = Tensor::f_from_slice(weights)?.f_to_kind(Kind::Float)?.f_reshape(shape)?;
    Ok([
        (format!("{name}.weight"), path.set_group(DECAYED).f_var_copy("weight", &weights)?),
        (format!("{name}.bias"), path.f_zeros("bias", &shape[..1])?),
    ])
}

/// The first examples as the network's input.
fn first_look(examples: &dyn Examples, device: Device) -> Result<Tensor> {
    let pictures: Vec<Rgb8> =
        (0..FIRST_LOOK).map(|number| squashed(&examples.example(number))).collect();
    input(&pictures, device).map_err(Error::torch("looking at the first examples"))
}

/// Pictures as (N, 3, 227, 227), f32, RGB, 0..255.
fn input(pictures: &[Rgb8], device: Device) -> Result<Tensor, TchError> {
    let pictures: Vec<&Rgb8> = pictures.iter().collect();
    stack(&pictures, Size::new(INPUT, INPUT), device)?.f_to_kind(Kind::Float)
}
