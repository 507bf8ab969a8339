//! The first weights of a network: of networks trained before, of published backbones, and random
//! numbers.

use crate::networks::parameters::{TensorRole, TensorSource};
use crate::nn::weights::{Array, StateDict};
use crate::random::Random;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Where the first weights come from.
#[derive(Debug)]
pub struct FirstWeights {
    known: BTreeMap<String, (PathBuf, Array)>,
    seed: u64,
    device: Device,
    /// Whether a tensor, by its name, belongs to a backbone, whose shapes must be those of its
    /// file.
    is_backbone: fn(&str) -> bool,
}

impl FirstWeights {
    /// Random numbers alone, from `seed`. `is_backbone` tells by a tensor's name whether it belongs
    /// to a backbone, whose shapes must be those of its file.
    pub fn random(seed: u64, device: Device, is_backbone: fn(&str) -> bool) -> Self {
        Self { known: BTreeMap::new(), seed, device, is_backbone }
    }

    /// Adds the tensors of a network that was trained here, under their own names. What stands on
    /// its backbones and has another shape in the new network, which may have fewer blocks or other
    /// labels, begins from random numbers.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn add_network(&mut self, weights: &Path) -> Result<()> {
        self.add(weights, |name| Some(name.clone()))
    }

    /// Adds a backbone's tensors as those whose names begin with `prefix`: from a file with
    /// torchvision's names, or from a network that was trained here and has such tensors. What does
    /// not belong to the backbone is not used.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn add_backbone(&mut self, prefix: &str, weights: &Path) -> Result<()> {
        self.add(weights, |name| match name.strip_prefix(prefix) {
            Some(_) => Some(name.clone()),
            None if name.starts_with("features.") => Some(format!("{prefix}{name}")),
            None => None,
        })?;
        match self.known.keys().any(|name| name.starts_with(prefix)) {
            true => Ok(()),
            false => Err(Error::file(
                weights,
                format!(
                    "has no weights of a backbone: neither torchvision's (features.*) nor \
                     `{prefix}features.*`"
                ),
            )),
        }
    }

    /// Takes what is known of the tensors whose names begin with `prefix` for unknown.
    pub fn forget(&mut self, prefix: &str) {
        self.known.retain(|name, _| !name.starts_with(prefix));
    }

    /// Adds one tensor; `weights` is the file that it comes from.
    pub fn set(&mut self, name: &str, weights: &Path, array: Array) {
        self.known.insert(name.into(), (weights.to_path_buf(), array));
    }

    fn add(&mut self, weights: &Path, named: impl Fn(&String) -> Option<String>) -> Result<()> {
        let state = StateDict::open(weights)?;
        let entry =
            |(name, array): (String, Array)| Some((named(&name)?, (weights.to_path_buf(), array)));
        self.known.extend(state.arrays.into_iter().filter_map(entry));
        Ok(())
    }

    /// The random numbers that the last layer's tensor `name`, of which nothing is known, begins
    /// from.
    pub fn values_of(&self, name: &str, shape: &[i64]) -> Vec<f32> {
        let role = if shape.len() > 1 { TensorRole::Matrix } else { TensorRole::Bias };
        self.values(name, shape, role)
    }

    /// Random numbers by which no layer makes its input larger or smaller: He et al. (2015) before
    /// a ReLU; the bounds of PyTorch's GRU; no answer preferred.
    fn values(&self, name: &str, shape: &[i64], role: TensorRole) -> Vec<f32> {
        let count: i64 = shape.iter().product();
        let inputs: i64 = shape.iter().skip(1).product::<i64>().max(1);
        let deviation = match role {
            TensorRole::Kernel => (2.0 / inputs as f64).sqrt(),
            TensorRole::Matrix => (1.0 / inputs as f64).sqrt(),
            // Uniform to 1 / root of the units, of which there are a third as many as rows.
            TensorRole::Recurrent => (1.0 / shape[0] as f64).sqrt(),
            TensorRole::Bias | TensorRole::Mean => return vec![0.0; count as usize],
            TensorRole::Scale | TensorRole::Variance => return vec![1.0; count as usize],
        };
        let mut random = Random::of_text(self.seed, name);
        random.spread(count as usize, deviation).into_iter().map(|value| value as f32).collect()
    }
}

impl FirstWeights {
    fn place(&self, values: &[f32], shape: &[i64]) -> Result<Tensor> {
        Tensor::f_from_slice(values)
            .and_then(|tensor| {
                tensor.f_to_kind(Kind::Float)?.f_reshape(shape)?.f_to_device(self.device)
            })
            .map_err(Error::torch("making the first weights"))
    }
}

impl TensorSource for FirstWeights {
    fn tensor(&mut self, name: &str, shape: &[i64], role: TensorRole) -> Result<Tensor> {
        match self.known.get(name) {
            Some((_, array)) if !(self.is_backbone)(name) && !has_shape(array, shape) => {
                self.place(&self.values(name, shape, role), shape)
            }
            Some((_, array)) if has_shape(array, shape) => self.place(&array.values, shape),
            Some((path, array)) => Err(Error::Tensor {
                path: path.clone(),
                tensor: name.into(),
                expected: format!("shape {shape:?}, as the recipe describes the network"),
                found: format!("shape {:?}", array.shape),
            }),
            None => self.place(&self.values(name, shape, role), shape),
        }
    }
}

fn has_shape(array: &Array, shape: &[i64]) -> bool {
    array.shape.iter().map(|&side| side as i64).eq(shape.iter().copied())
}
