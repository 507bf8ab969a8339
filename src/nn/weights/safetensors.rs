//! safetensors: read through the crate `safetensors`, which checks header, offsets, overlaps and
//! gaps; written here, because the crate orders its metadata as a hash map does and the same
//! tensors must give the same bytes.

use super::float::{self, Float};
use super::{Array, StateDict, check_array, file_length};
use crate::files::write_whole;
use crate::{Error, Result};
use ::safetensors::{Dtype, SafeTensors};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// The longest header that is read. EmoNet's takes 2 kB; parsed, a header takes some ten times its
/// bytes.
const MAX_HEADER_BYTES: u64 = 10 << 20;

/// The entry of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// Reads a state dict and its metadata; integer and boolean tensors are left out.
///
/// # Errors
/// The file cannot be read, is larger than [`super::MAX_FILE_BYTES`], or is no valid safetensors
/// file; it holds no float tensor, or one of a float type smaller than 16 bits.
pub fn read(path: &Path) -> Result<StateDict> {
    file_length(path)?;
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let damaged = |reason: String| Error::file(path, format!("damaged safetensors file: {reason}"));
    let header = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    if let Some(header) = header.filter(|&header| header > MAX_HEADER_BYTES) {
        return Err(damaged(format!(
            "a header of {header} bytes, {MAX_HEADER_BYTES} are the limit"
        )));
    }
    let (header, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let data = bytes.get(8 + header..).unwrap_or_default();
    let mut dict = StateDict::new(path, BTreeMap::new());
    dict.metadata = metadata
        .metadata()
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    // In the order of their names, so that of several damaged tensors always the same one is named.
    let tensors: BTreeMap<_, _> = metadata.tensors().into_iter().collect();
    for (name, info) in tensors {
        let (start, end) = info.data_offsets;
        let bytes = data
            .get(start..end)
            .ok_or_else(|| damaged(format!("tensor `{name}` ends behind the file")))?;
        match kind(info.dtype) {
            Ok(float) => {
                let array =
                    Array { shape: info.shape.clone(), values: float::to_f32(float, bytes) };
                dict.arrays.insert(name, array);
            }
            Err(type_name) => drop(dict.left_out.insert(name, type_name)),
        }
    }
    if dict.arrays.is_empty() {
        return Err(Error::file(
            path,
            "a safetensors file without any float tensor, expected a state dict",
        ));
    }
    Ok(dict)
}

/// The float type, or else the name of the type.
fn kind(dtype: Dtype) -> Result<Float, &'static str> {
    Ok(match dtype {
        Dtype::F16 => Float::F16,
        Dtype::BF16 => Float::Bf16,
        Dtype::F32 => Float::F32,
        Dtype::F64 => Float::F64,
        Dtype::BOOL => return Err("bool"),
        Dtype::U8 => return Err("uint8"),
        Dtype::I8 => return Err("int8"),
        Dtype::I16 => return Err("int16"),
        Dtype::U16 => return Err("uint16"),
        Dtype::I32 => return Err("int32"),
        Dtype::U32 => return Err("uint32"),
        Dtype::I64 => return Err("int64"),
        Dtype::U64 => return Err("uint64"),
        _ => return Err("float of 8 bits or less, or complex"),
    })
}

/// One tensor in the header.
#[derive(Serialize)]
struct Entry<'a> {
    dtype: &'static str,
    shape: &'a [usize],
    data_offsets: [u64; 2],
}

/// The header; `Text` for the metadata, `Tensor` for the rest.
#[derive(Serialize)]
#[serde(untagged)]
enum HeaderEntry<'a> {
    Text(&'a BTreeMap<String, String>),
    Tensor(Entry<'a>),
}

/// Writes float32 tensors in the given order, with `metadata` (none is written where it is empty).
///
/// # Errors
/// A tensor's shape and values disagree; two have the same name, or one is called `__metadata__`;
/// the file cannot be written.
pub fn write(
    path: &Path,
    tensors: &[(String, Array)],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    write_as(path, tensors, metadata, false)
}

/// [`write()`] with numbers in half precision, rounded to the nearest: half as large a file.
///
/// # Errors
/// As [`write()`].
pub fn write_half(
    path: &Path,
    tensors: &[(String, Array)],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    write_as(path, tensors, metadata, true)
}

fn write_as(
    path: &Path,
    tensors: &[(String, Array)],
    metadata: &BTreeMap<String, String>,
    half: bool,
) -> Result<()> {
    let (dtype, bytes) = if half { ("F16", 2) } else { ("F32", 4) };
    let mut header = BTreeMap::new();
    if !metadata.is_empty() {
        header.insert(METADATA, HeaderEntry::Text(metadata));
    }
    let mut end = 0_u64;
    for (name, array) in tensors {
        check_array(path, name, array)?;
        let start = end;
        end += bytes * array.values.len() as u64;
        let entry = Entry { dtype, shape: &array.shape, data_offsets: [start, end] };
        if name == METADATA || header.insert(name, HeaderEntry::Tensor(entry)).is_some() {
            return Err(Error::file(
                path,
                format!("tensor `{name}` was given twice, or has a name the format reserves"),
            ));
        }
    }
    let mut header = serde_json::to_vec(&header).map_err(|e| Error::io("write", path)(e.into()))?;
    // The format asks for data that starts on 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    write_whole(path, |file| {
        let written = file
            .write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| file.write_all(&header))
            .and_then(|()| {
                tensors.iter().try_for_each(|(_, array)| match half {
                    true => float::write_f16(file, &array.values),
                    false => float::write_f32(file, &array.values),
                })
            });
        written.map_err(Error::io("write", path))
    })
}
