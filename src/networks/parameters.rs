//! The tensors of a network by name: where they come from, and what each is.

use super::card::Card;
use crate::files::write_bytes;
use crate::nn::weights::{Array, StateDict, safetensors};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Kind, TchError, Tensor};

/// What a tensor is to its layer, from which follow its first values and whether it is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorRole {
    /// The kernel of a convolution, (out, in / groups, rows, columns).
    Kernel,
    /// The weight of a linear layer, (out, in).
    Matrix,
    /// A weight or bias of a recurrent layer.
    Recurrent,
    /// What a layer adds, and BatchNorm's beta.
    Bias,
    /// BatchNorm's gamma.
    Scale,
    /// A running mean, or the mean of a training set: measured, not learnt.
    Mean,
    /// A running variance: measured, not learnt.
    Variance,
}

impl TensorRole {
    /// Whether a gradient changes it.
    pub fn is_learnt(self) -> bool {
        !matches!(self, Self::Mean | Self::Variance)
    }
}

/// A tensor of a network.
#[derive(Debug)]
pub struct Parameter {
    /// As in the file: `streams.object.backbone.features.0.0.weight`.
    pub name: String,
    /// What it is.
    pub role: TensorRole,
    /// f32, on the network's device.
    pub tensor: Tensor,
}

impl Parameter {
    /// A copy of its values in main memory, for a file.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn to_array(&self) -> Result<Array> {
        let copied = || {
            let values = self
                .tensor
                .f_detach()?
                .f_to_device(Device::Cpu)?
                .f_to_kind(Kind::Float)?
                .f_contiguous()?;
            let shape = values.size().into_iter().map(|side| side as usize).collect();
            Ok(Array { shape, values: Vec::<f32>::try_from(&values.f_flatten(0, -1)?)? })
        };
        copied().map_err(Error::torch("copying the network's weights"))
    }
}

/// x W^T + b
#[derive(Debug)]
pub struct Linear {
    /// (outputs, inputs)
    pub weight: Tensor,
    /// (outputs)
    pub bias: Tensor,
}

impl Linear {
    /// (N, inputs) to (N, outputs).
    ///
    /// # Errors
    /// No memory.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(&self.weight, Some(&self.bias))
    }
}

/// Where a network's tensors come from while it is built.
pub trait TensorSource {
    /// The tensor `name`, of this shape, on the network's device.
    ///
    /// # Errors
    /// There is none, or it has another shape.
    fn tensor(&mut self, name: &str, shape: &[i64], role: TensorRole) -> Result<Tensor>;
}

/// The tensors of a file.
#[derive(Debug)]
pub struct OfFile<'a> {
    /// What has not been taken is left in it.
    pub state: &'a mut StateDict,
    /// Where they go.
    pub device: Device,
}

impl TensorSource for OfFile<'_> {
    fn tensor(&mut self, name: &str, shape: &[i64], _: TensorRole) -> Result<Tensor> {
        let sides: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
        let values = self.state.take(name, &sides)?;
        Tensor::f_from_slice(&values)
            .and_then(|tensor| tensor.f_reshape(shape)?.f_to_device(self.device))
            .map_err(Error::torch("loading the network's weights"))
    }
}

/// The tensors of a network that is there, on another device: shared where they are there already.
#[derive(Debug)]
pub struct OfNetwork<'a> {
    by_name: BTreeMap<&'a str, &'a Tensor>,
    device: Device,
}

impl<'a> OfNetwork<'a> {
    /// Those of `parameters`, on `device`.
    pub fn new(parameters: &'a [Parameter], device: Device) -> Self {
        let by_name = parameters
            .iter()
            .map(|parameter| (parameter.name.as_str(), &parameter.tensor))
            .collect();
        Self { by_name, device }
    }
}

impl TensorSource for OfNetwork<'_> {
    fn tensor(&mut self, name: &str, _: &[i64], _: TensorRole) -> Result<Tensor> {
        self.by_name[name].f_to_device(self.device).map_err(Error::torch("sharing the network"))
    }
}

/// Writes a network's tensors as safetensors to `weights` and its card beside them.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write_network(weights: &Path, card: &Card, parameters: &[Parameter]) -> Result<()> {
    let tensors = parameters.iter().map(|one| Ok((one.name.clone(), one.to_array()?)));
    safetensors::write(weights, &tensors.collect::<Result<Vec<_>>>()?, &Default::default())?;
    write_bytes(&Card::path_beside(weights), card.to_toml().as_bytes())
}

/// A source below a name, noting what it gave.
pub(super) struct Builder<'a> {
    source: &'a mut dyn TensorSource,
    prefix: String,
    given: &'a mut Vec<Parameter>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(source: &'a mut dyn TensorSource, given: &'a mut Vec<Parameter>) -> Self {
        Self { source, prefix: String::new(), given }
    }

    /// The same for names below `name`.
    pub(super) fn below(&mut self, name: &str) -> Builder<'_> {
        let prefix = format!("{}{name}.", self.prefix);
        Builder { source: self.source, prefix, given: self.given }
    }

    pub(super) fn get(&mut self, name: &str, shape: &[i64], role: TensorRole) -> Result<Tensor> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self.source.tensor(&name, shape, role)?;
        self.given.push(Parameter { name, role, tensor: tensor.shallow_clone() });
        Ok(tensor)
    }

    /// Weight (outputs, inputs) and bias of a linear layer.
    pub(super) fn linear(&mut self, name: &str, inputs: i64, outputs: i64) -> Result<Linear> {
        let mut below = self.below(name);
        let weight = below.get("weight", &[outputs, inputs], TensorRole::Matrix)?;
        Ok(Linear { weight, bias: below.get("bias", &[outputs], TensorRole::Bias)? })
    }
}
