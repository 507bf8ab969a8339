//! A map in a safetensors file, through the crate `safetensors`, which checks header, offsets,
//! overlaps and gaps.

use super::number::{ByteOrder, NumberFormat};
use super::shape;
use crate::image::Size;
use crate::{Error, Result};
use ::safetensors::tensor::TensorView;
use ::safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// The name of the map among several tensors.
const NAME: &str = "map";

/// The longest header that is read; parsed, it takes some ten times its bytes.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Reads the only tensor of the file, or of several the one named `map`: its size and its values
/// row by row.
///
/// # Errors
/// The file cannot be read or is damaged; it has no such tensor, or one that is no map.
pub(super) fn read(file: &Path) -> Result<(Size, Vec<f32>)> {
    let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
    tensor(&bytes).map_err(|cause| Error::file(file, cause))
}

/// What follows a method's name where `--save-maps` keeps a map's sign.
const SIGNED: &str = "-signed";

/// [`read`] of bytes.
pub(super) fn tensor(bytes: &[u8]) -> Result<(Size, Vec<f32>), String> {
    let header = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    if let Some(header) = header.filter(|&header| header > MAX_HEADER_BYTES) {
        return Err(format!(
            "expected a header of at most {MAX_HEADER_BYTES} bytes, found {header}"
        ));
    }
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("expected a safetensors file, found: {error}"))?;
    let (name, tensor) = the_map(&tensors)?;
    let in_tensor = |cause: String| format!("tensor `{name}`: {cause}");
    let size = shape::size(tensor.shape()).map_err(in_tensor)?;
    let format = number_format(tensor.dtype()).map_err(in_tensor)?;
    Ok((size, format.to_f32(tensor.data(), ByteOrder::Little)))
}

fn the_map<'a>(tensors: &SafeTensors<'a>) -> Result<(String, TensorView<'a>), String> {
    let mut all = tensors.tensors();
    // A run's own maps of a method with a sign come twice, and the one without is what is scored.
    let names: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
    all.retain(|(name, _)| {
        name.strip_suffix(SIGNED).is_none_or(|plain| !names.iter().any(|name| name == plain))
    });
    if all.len() > 1 {
        if let Some(map) = all.iter().position(|(name, _)| name == NAME) {
            return Ok(all.swap_remove(map));
        }
        let mut names: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
        names.sort();
        let count = names.len();
        names.truncate(5);
        return Err(format!(
            "expected one tensor, or one named `{NAME}`, found {count}: {}",
            names.join(", ")
        ));
    }
    all.pop().ok_or_else(|| "expected a tensor, found none".into())
}

fn number_format(dtype: Dtype) -> Result<NumberFormat, String> {
    Ok(match dtype {
        Dtype::BOOL => NumberFormat::Bool,
        Dtype::U8 => NumberFormat::U8,
        Dtype::I8 => NumberFormat::I8,
        Dtype::U16 => NumberFormat::U16,
        Dtype::I16 => NumberFormat::I16,
        Dtype::U32 => NumberFormat::U32,
        Dtype::I32 => NumberFormat::I32,
        Dtype::U64 => NumberFormat::U64,
        Dtype::I64 => NumberFormat::I64,
        Dtype::F16 => NumberFormat::F16,
        Dtype::BF16 => NumberFormat::Bf16,
        Dtype::F32 => NumberFormat::F32,
        Dtype::F64 => NumberFormat::F64,
        other => {
            return Err(format!(
                "expected whole numbers or floats of 16 to 64 bits, found {other:?}"
            ));
        }
    })
}
