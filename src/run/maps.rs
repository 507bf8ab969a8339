//! Activation maps kept on request: one safetensors file a picture, one tensor a method.

use crate::corpus::beneath;
use crate::files::write_bytes;
use crate::image::Size;
use crate::run::record::ImageRecord;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Writes `<folder>/<path of the picture>.safetensors`: per method a tensor (rows, columns), f32 in `[0, 1]`, of the
/// emotion model's input size, named after the method.
///
/// # Errors
/// The file cannot be written.
pub fn save_maps<'a>(
    folder: &Path,
    record: &ImageRecord,
    maps: impl Iterator<Item = (Size, &'a Vec<f32>)>,
) -> Result<()> {
    let path = folder.join(format!("{}.safetensors", beneath(&record.path)));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    write_maps(&path, record, maps)
}

/// [`save_maps`] to a file of any name, in a folder that exists.
///
/// # Errors
/// The file cannot be written.
pub fn write_maps<'a>(
    path: &Path,
    record: &ImageRecord,
    maps: impl Iterator<Item = (Size, &'a Vec<f32>)>,
) -> Result<()> {
    let bytes: Vec<(&str, Size, Vec<u8>)> = record
        .maps
        .iter()
        .zip(maps)
        .map(|(of, (size, values))| {
            (of.method.as_str(), size, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let failed = |error: safetensors::SafeTensorError| Error::file(path, format!("cannot be written: {error}"));
    let views = bytes
        .iter()
        .map(|(name, size, bytes)| {
            TensorView::new(Dtype::F32, vec![size.height as usize, size.width as usize], bytes)
                .map(|view| (*name, view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let metadata = HashMap::from([("path".to_string(), record.path.clone())]);
    write_bytes(path, &safetensors::serialize(views, Some(metadata)).map_err(failed)?)
}
