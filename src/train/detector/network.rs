//! The network that is trained: built from the same [`Cfg`] as the one that runs, in f32, with
//! BatchNorm of its own.

use crate::image::Size;
use crate::nn::weights::darknet::{self, DarknetWeights, Header};
use crate::random::Random;
use crate::regions::darknet::{Cfg, Head, LayerKind};
use crate::train::norm::Norm;
use crate::train::optimiser::DECAYED;
use crate::{Error, Result};
use std::path::Path;
use tch::nn::VarStore;
use tch::{Device, Kind, TchError, Tensor};

/// Added to the variance under the root: the value with which
/// [`crate::regions::darknet::DarknetNetwork`] folds BatchNorm into kernels.
const EPSILON: f64 = 1e-6;

/// What an untrained network says of the objectness, as a logit: objects are rare.
const UNTRAINED_OBJECTNESS: f32 = -5.0;

/// A Darknet network with gradients.
#[derive(Debug)]
pub struct DetectorTraining {
    cfg: Cfg,
    heads: Vec<Head>,
    store: VarStore,
    /// One entry a layer of the cfg, `Some` for convolutions.
    convolutions: Vec<Option<Convolution>>,
    /// Pictures seen in training.
    seen: i64,
}

/// The parameters of one convolution.
#[derive(Debug)]
struct Convolution {
    kernel: Tensor,
    /// Bias, BatchNorm's beta where there is one.
    bias: Tensor,
    norm: Option<Norm>,
}

impl DetectorTraining {
    /// Random weights from `seed`: kernels that keep the activations' spread (He et al. 2015),
    /// heads that see no object.
    ///
    /// # Errors
    /// Layers that do not fit each other, or of a kind that is run but not trained here (maxpool,
    /// dropout).
    pub fn new(cfg: &Cfg, seed: u64, device: Device) -> Result<Self> {
        let store = VarStore::new(device);
        let outputs = cfg.channels()?;
        let mut convolutions = Vec::with_capacity(cfg.layers.len());
        let mut inputs = 3;
        for (number, layer) in cfg.layers.iter().enumerate() {
            if matches!(layer.kind, LayerKind::Maxpool { .. } | LayerKind::Dropout) {
                return Err(Error::line(
                    &cfg.path,
                    layer.line,
                    "this kind of layer can be run but not trained",
                ));
            }
            let of_anchor = match cfg.layers.get(number + 1).map(|next| &next.kind) {
                Some(LayerKind::Yolo { classes, .. }) => Some(5 + classes),
                _ => None,
            };
            convolutions.push(match &layer.kind {
                LayerKind::Convolutional { .. } => {
                    let random = Random::of_text(seed, &format!("detector/{number}"));
                    let made =
                        Convolution::new(&store, number, &layer.kind, inputs, of_anchor, random);
                    Some(made.map_err(Error::torch("making the detector's initial weights"))?)
                }
                _ => None,
            });
            inputs = outputs[number];
        }
        Ok(Self { heads: cfg.heads()?, cfg: cfg.clone(), store, convolutions, seen: 0 })
    }

    /// The weights of a `.weights` file, to be trained on.
    ///
    /// # Errors
    /// As [`Self::new`]; a file that does not fit the cfg.
    pub fn load(cfg: &Cfg, weights: &Path, device: Device) -> Result<Self> {
        let mut network = Self::new(cfg, 0, device)?;
        let mut file = DarknetWeights::open(weights, cfg.parameter_count()?)?;
        network.seen = file.header().seen;
        for (number, convolution) in network.convolutions.iter_mut().enumerate() {
            for (part, tensor) in convolution.iter_mut().flat_map(Convolution::parts_mut) {
                let values = file.take(number, part, tensor.numel())?;
                let mut copy = || -> Result<(), TchError> {
                    let _no_grad = tch::no_grad_guard();
                    let values = Tensor::f_from_slice(&values)?.f_reshape(tensor.size())?;
                    tensor.f_copy_(&values.f_to_device(device)?)
                };
                copy().map_err(Error::torch("loading the detector's weights"))?;
            }
        }
        file.finish()?;
        Ok(network)
    }

    /// Writes the `.weights` file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut parts = Vec::new();
        for (_, tensor) in self.convolutions.iter().flatten().flat_map(Convolution::parts) {
            let values = tensor.f_detach().and_then(|t| Vec::<f32>::try_from(&t.f_flatten(0, -1)?));
            parts.push(values.map_err(Error::torch("reading the detector's weights"))?);
        }
        let header = Header { seen: self.seen, ..Header::CURRENT };
        darknet::write(path, header, parts.iter().map(Vec::as_slice))
    }

    /// Size of the pictures it takes.
    pub fn input(&self) -> Size {
        self.cfg.input
    }

    /// The heads, in the order of the tensors of [`Self::forward`].
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// The variables.
    pub fn store(&self) -> &VarStore {
        &self.store
    }

    /// Notes `pictures` more pictures of training, for the header of the weights file.
    pub fn count_seen(&mut self, pictures: usize) {
        self.seen += pictures as i64;
    }

    /// The raw output before every `[yolo]`, as
    /// [`crate::regions::darknet::DarknetNetwork::forward`], with gradients. While `training`,
    /// BatchNorm uses the batch's own mean and variance and notes them; otherwise it uses what it
    /// noted.
    ///
    /// # Errors
    /// No memory, or `x` has another shape than (N, 3, height, width).
    pub fn forward(&self, x: &Tensor, training: bool) -> Result<Vec<Tensor>> {
        self.run(x, training).map_err(Error::torch("training the detector"))
    }

    fn run(&self, x: &Tensor, training: bool) -> Result<Vec<Tensor>, TchError> {
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.cfg.layers.len());
        let mut raw = Vec::with_capacity(self.heads.len());
        for (layer, convolution) in self.cfg.layers.iter().zip(&self.convolutions) {
            let previous = outputs.last().unwrap_or(x);
            let output = match &layer.kind {
                &LayerKind::Convolutional { stride, padding, groups, activation, .. } => {
                    let convolution = convolution
                        .as_ref()
                        .expect("new() makes one for every convolutional layer");
                    activation.forward(
                        &convolution.forward(previous, stride, padding, groups, training)?,
                    )?
                }
                LayerKind::Route { layers, groups, group_id } => {
                    let part = |&from: &usize| {
                        let length = outputs[from].size()[1] / groups;
                        outputs[from].f_narrow(1, group_id * length, length)
                    };
                    Tensor::f_cat(&layers.iter().map(part).collect::<Result<Vec<_>, _>>()?, 1)?
                }
                &LayerKind::Shortcut { from, activation } => {
                    activation.forward(&previous.f_add(&outputs[from])?)?
                }
                &LayerKind::Upsample { stride } => {
                    let size = previous.size();
                    previous.f_upsample_nearest2d(
                        [size[2] * stride, size[3] * stride],
                        None,
                        None,
                    )?
                }
                LayerKind::Yolo { .. } => {
                    raw.push(previous.shallow_clone());
                    previous.shallow_clone()
                }
                LayerKind::Maxpool { .. } | LayerKind::Dropout => unreachable!("refused by new()"),
            };
            outputs.push(output);
        }
        Ok(raw)
    }
}

impl Convolution {
    fn new(
        store: &VarStore,
        number: usize,
        kind: &LayerKind,
        inputs: usize,
        of_anchor: Option<usize>,
        mut random: Random,
    ) -> Result<Self, TchError> {
        let &LayerKind::Convolutional { filters, size, groups, batch_normalize, .. } = kind else {
            unreachable!("called for convolutions alone")
        };
        let root = store.root().sub(number);
        let fan_in = inputs as i64 / groups * size * size;
        // BatchNorm undoes any spread; a head should begin near 0.
        let deviation = if batch_normalize {
            (2.0 / fan_in as f64).sqrt()
        } else {
            0.1 / (fan_in as f64).sqrt()
        };
        let kernel = random.spread((filters * fan_in) as usize, deviation);
        let kernel = Tensor::f_from_slice(&kernel)?.f_to_kind(Kind::Float)?;
        let kernel = kernel.f_reshape([filters, inputs as i64 / groups, size, size])?;
        let bias: Vec<f32> = (0..filters as usize)
            .map(|output| {
                if of_anchor.is_some_and(|n| output % n == 4) { UNTRAINED_OBJECTNESS } else { 0.0 }
            })
            .collect();
        let norm = batch_normalize.then(|| Norm::new(&root, filters));
        Ok(Self {
            kernel: root.set_group(DECAYED).f_var_copy("kernel", &kernel)?,
            bias: root.f_var_copy("bias", &Tensor::f_from_slice(&bias)?)?,
            norm: norm.transpose()?,
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        stride: i64,
        padding: i64,
        groups: i64,
        training: bool,
    ) -> Result<Tensor, TchError> {
        let Some(norm) = &self.norm else {
            return x.f_conv2d(&self.kernel, Some(&self.bias), stride, padding, 1, groups);
        };
        let x = x.f_conv2d::<&Tensor>(&self.kernel, None, stride, padding, 1, groups)?;
        norm.forward(&x, &self.bias, EPSILON, training)
    }

    /// The tensors in the order of a `.weights` file, with their names in messages.
    fn parts(&self) -> Vec<(&'static str, &Tensor)> {
        let mut parts = vec![("bias", &self.bias)];
        if let Some(norm) = &self.norm {
            parts.extend([
                ("scale", &norm.scale),
                ("mean", &norm.mean),
                ("variance", &norm.variance),
            ]);
        }
        parts.push(("kernel", &self.kernel));
        parts
    }

    /// [`Self::parts`], to be filled.
    fn parts_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        let mut parts = vec![("bias", &mut self.bias)];
        if let Some(norm) = &mut self.norm {
            parts.extend([
                ("scale", &mut norm.scale),
                ("mean", &mut norm.mean),
                ("variance", &mut norm.variance),
            ]);
        }
        parts.push(("kernel", &mut self.kernel));
        parts
    }
}
