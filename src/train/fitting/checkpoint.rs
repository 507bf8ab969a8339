//! All that a training needs to go on as if nothing had happened, in one file that appears whole.

use super::descent::Descent;
use super::history::Epoch;
use crate::networks::parameters::Parameter;
use crate::nn::weights::{Array, StateDict, safetensors};
use crate::run::Failure;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Tensor, no_grad};

/// The entry of the file's metadata with the [`State`].
const STATE: &str = "training";

/// What is known besides tensors.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// What must be the same for the training to go on: settings and data.
    pub fingerprint: String,
    /// Epochs that are over.
    pub epochs: Vec<Epoch>,
    /// Number of the best of them, 0 before the first.
    pub best: u64,
    /// Steps of the descent.
    pub steps: u64,
    /// Pictures that could not be read.
    pub failures: Vec<Failure>,
}

/// Writes `state`, all of `parameters`, the best ones so far, and what the descent of `trained`
/// remembers.
pub(super) fn write(
    path: &Path,
    state: &State,
    parameters: &[Parameter],
    best: &BTreeMap<String, Array>,
    (trained, descent): (&[&Parameter], &Descent),
) -> Result<()> {
    let mut tensors = Vec::new();
    for parameter in parameters {
        tensors.push((format!("now.{}", parameter.name), parameter.to_array()?));
    }
    tensors.extend(best.iter().map(|(name, array)| (format!("best.{name}"), array.clone())));
    for (parameter, memory) in trained.iter().zip(&descent.memory) {
        for (number, tensor) in memory.iter().enumerate() {
            let remembered = Parameter {
                name: String::new(),
                role: parameter.role,
                tensor: tensor.shallow_clone(),
            };
            tensors.push((format!("memory.{number}.{}", parameter.name), remembered.to_array()?));
        }
    }
    let text =
        serde_json::to_string(state).map_err(|error| Error::file(path, error.to_string()))?;
    safetensors::write(path, &tensors, &BTreeMap::from([(STATE.to_string(), text)]))
}

/// Reads what [`write`] wrote into `parameters` and the descent; `None` where there is no file yet.
///
/// # Errors
/// The file cannot be read, or is of another training.
pub(super) fn read(
    path: &Path,
    fingerprint: &str,
    parameters: &[Parameter],
    (trained, descent): (&[&Parameter], &mut Descent),
) -> Result<Option<(State, BTreeMap<String, Array>)>> {
    if !path.exists() {
        return Ok(None);
    }
    let mut file = StateDict::open(path)?;
    let damaged = || Error::file(path, "is no checkpoint of a training: delete it to begin anew");
    let state: State = file
        .metadata
        .get(STATE)
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(damaged)?;
    if state.fingerprint != fingerprint {
        return Err(Error::file(
            path,
            "this training was begun with other settings or other data and cannot go on: name \
             another folder with --out",
        ));
    }
    let mut best = BTreeMap::new();
    for parameter in parameters {
        let shape: Vec<usize> =
            parameter.tensor.size().into_iter().map(|side| side as usize).collect();
        set(parameter, &file.take(&format!("now.{}", parameter.name), &shape)?)?;
        let name = format!("best.{}", parameter.name);
        best.insert(parameter.name.clone(), Array { values: file.take(&name, &shape)?, shape });
    }
    descent.steps = state.steps;
    descent.memory = Vec::new();
    for parameter in trained {
        let mut memory = Vec::new();
        let shape: Vec<usize> =
            parameter.tensor.size().into_iter().map(|side| side as usize).collect();
        for number in 0.. {
            let name = format!("memory.{number}.{}", parameter.name);
            if !file.arrays.contains_key(&name) {
                break;
            }
            let values = file.take(&name, &shape)?;
            let tensor = Tensor::f_from_slice(&values).and_then(|tensor| {
                tensor.f_reshape(parameter.tensor.size())?.f_to_device(parameter.tensor.device())
            });
            memory.push(tensor.map_err(Error::torch("reading a checkpoint"))?);
        }
        descent.memory.push(memory);
    }
    Ok(Some((state, best)))
}

/// Gives a parameter these values.
pub(super) fn set(parameter: &Parameter, values: &[f32]) -> Result<()> {
    let mut tensor = parameter.tensor.shallow_clone();
    no_grad(|| tensor.f_copy_(&Tensor::f_from_slice(values)?.f_reshape(parameter.tensor.size())?))
        .map_err(Error::torch("setting the network's weights"))
}
