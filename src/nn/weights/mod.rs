//! Weights files: network parameters in, plain `f32` arrays out, and the other way round for
//! synthesized weights.
//!
//! [`pytorch`] (`torch.save` of a state dict), [`safetensors`] and [`darknet`] (`.weights`) hold
//! parameters, [`mean_image`] the picture that EmoNet subtracts. Nothing here knows a network, a
//! device or libtorch.
//!
//! A weights file is hostile input: whoever made it may want this process to run code, to exhaust
//! its memory or to panic. The readers execute nothing, allocate in proportion to the file's size
//! on disk and not to what the file claims, and answer every fault with one error that names the
//! tensor or layer and the numbers.

pub mod darknet;
pub mod mean_image;
pub mod pytorch;
pub mod safetensors;

pub(crate) mod content;
mod float;
mod pickle;
mod spans;
#[cfg(test)]
mod tests;

use crate::{Error, Result};
use content::Content;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[cfg(target_endian = "big")]
compile_error!("weights files are little-endian and are read as such");

/// The largest weights file that is read: four times the largest network of this kind in common
/// use.
pub const MAX_FILE_BYTES: u64 = 4 << 30;

/// A tensor of a weights file, whatever float type it was stored in.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements in row-major order, as many as the product of `shape`.
    pub values: Vec<f32>,
}

/// The named tensors of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct StateDict {
    /// The file, for messages.
    pub path: PathBuf,
    /// Every float tensor by its name; a leading `state_dict.`, `model.` or `module.` is already
    /// removed.
    pub arrays: BTreeMap<String, Array>,
    /// What the file says about itself (safetensors' `__metadata__`, the note in a PyTorch
    /// archive's comment).
    pub metadata: BTreeMap<String, String>,
    /// Tensors that cannot be weights (`num_batches_tracked` and the like), with their type.
    left_out: BTreeMap<String, &'static str>,
}

impl StateDict {
    /// The state dict in `path`; the format is told from the file's content, never from its
    /// extension.
    ///
    /// # Errors
    /// The file cannot be read, is neither a PyTorch checkpoint nor safetensors (an empty file, a
    /// Git LFS pointer and a web page are named as such), or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        match content::of_file(path)? {
            Content::Zip | Content::LegacyCheckpoint => pytorch::read(path),
            Content::Safetensors => safetensors::read(path),
            Content::Other(what) => Err(Error::file(
                path,
                format!("expected weights as PyTorch checkpoint or safetensors, found {what}"),
            )),
        }
    }

    /// A state dict of arrays at hand.
    pub fn new(path: impl Into<PathBuf>, arrays: BTreeMap<String, Array>) -> Self {
        Self { path: path.into(), arrays, metadata: BTreeMap::new(), left_out: BTreeMap::new() }
    }

    /// Takes the tensor `name` out, in row-major order.
    ///
    /// # Errors
    /// [`Error::Tensor`] where there is no such tensor, it is no float tensor, its shape is not
    /// `expected_shape`, or one of its values is NaN or infinite.
    pub fn take(&mut self, name: &str, expected_shape: &[usize]) -> Result<Vec<f32>> {
        let fault = |found: String| Error::Tensor {
            path: self.path.clone(),
            tensor: name.to_string(),
            expected: format!("floats of shape {expected_shape:?}"),
            found,
        };
        let Some(array) = self.arrays.get(name) else {
            return Err(fault(match self.left_out.get(name) {
                Some(kind) => format!("values of type {kind}"),
                None => format!("no tensor of that name; the file has {}", self.some_names()),
            }));
        };
        if array.shape != expected_shape {
            return Err(fault(format!("shape {:?}", array.shape)));
        }
        if let Some((index, value)) = float::first_not_finite(&array.values) {
            return Err(fault(format!("{value} at element {index} of {}", array.values.len())));
        }
        Ok(self.arrays.remove(name).map(|array| array.values).unwrap_or_default())
    }

    /// Ends the reading: every float tensor must have been taken.
    ///
    /// # Errors
    /// [`Error::File`] naming the tensors that the network has no place for.
    pub fn finish(&self) -> Result<()> {
        if self.arrays.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the file holds {} tensors that the network has no place for: {}",
            self.arrays.len(),
            self.some_names()
        );
        Err(Error::file(&self.path, message))
    }

    /// The first names, for messages.
    fn some_names(&self) -> String {
        const SHOWN: usize = 8;
        let mut names: Vec<_> =
            self.arrays.keys().take(SHOWN).map(|name| format!("`{name}`")).collect();
        match self.arrays.len() {
            0 => names.push("no float tensor at all".into()),
            n if n > SHOWN => names.push(format!("{} more", n - SHOWN)),
            _ => {}
        }
        names.join(", ")
    }
}

/// Checks that `shape` and `values` of an array to be written agree.
fn check_array(path: &Path, name: &str, array: &Array) -> Result<()> {
    let elements =
        array.shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent));
    if elements == Some(array.values.len()) {
        return Ok(());
    }
    Err(Error::Tensor {
        path: path.to_path_buf(),
        tensor: name.to_string(),
        expected: format!("as many values as shape {:?} says", array.shape),
        found: format!("{} values", array.values.len()),
    })
}

/// The size of the file `path` in bytes.
fn file_length(path: &Path) -> Result<u64> {
    let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
    if length > MAX_FILE_BYTES {
        let message = format!(
            "{length} bytes; weights files of more than {MAX_FILE_BYTES} bytes are not read"
        );
        return Err(Error::file(path, message));
    }
    Ok(length)
}
