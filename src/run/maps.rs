//! Activation maps kept on request: one safetensors file a picture, one tensor a method.

use crate::corpus::beneath;
use crate::files::write_bytes;
use crate::image::Size;
use crate::run::record::ImageRecord;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What is kept of a method's map of a picture, row by row, of the network's input size.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeptMap {
    /// In `[0, 1]`.
    pub values: Vec<f32>,
    /// The map with its negative part, in units of the score, of a method whose negative values
    /// mean something.
    pub signed: Option<Vec<f32>>,
}

/// Writes `<folder>/<path of the picture>.safetensors`: per method a tensor (rows, columns), f32 in
/// `[0, 1]`, of the emotion model's input size, named after the method; of a signed method also
/// `<method>-signed`, in units of the score.
///
/// # Errors
/// The file cannot be written.
pub fn save_maps(folder: &Path, record: &ImageRecord, size: Size, maps: &[KeptMap]) -> Result<()> {
    let path = map_file(folder, &record.path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    write_maps(&path, record, size, maps)
}

/// The file of a picture's maps in a folder that [`save_maps`] writes to.
pub fn map_file(folder: &Path, path: &str) -> PathBuf {
    folder.join(format!("{}.safetensors", beneath(path)))
}

/// [`save_maps`] to a file of any name, in a folder that exists.
///
/// # Errors
/// The file cannot be written.
pub fn write_maps(path: &Path, record: &ImageRecord, size: Size, maps: &[KeptMap]) -> Result<()> {
    let bytes = |values: &Vec<f32>| {
        values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()
    };
    let named = record.maps.iter().zip(maps).flat_map(|(of, kept)| {
        let signed =
            kept.signed.iter().map(|signed| (format!("{}-signed", of.method), bytes(signed)));
        std::iter::once((of.method.clone(), bytes(&kept.values))).chain(signed)
    });
    let bytes: Vec<(String, Vec<u8>)> = named.collect();
    let failed = |error: safetensors::SafeTensorError| {
        Error::file(path, format!("cannot be written: {error}"))
    };
    let views = bytes
        .iter()
        .map(|(name, bytes)| {
            TensorView::new(Dtype::F32, vec![size.height as usize, size.width as usize], bytes)
                .map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let metadata = HashMap::from([("path".to_string(), record.path.clone())]);
    write_bytes(path, &safetensors::serialize(views, Some(metadata)).map_err(failed)?)
}

/// A map as it is kept: its rows and columns, and its values row by row.
pub(super) type ReadMap = ([usize; 2], Vec<f32>);

/// The maps of methods in a file that [`save_maps`] has written; `None` where there is no such
/// file, or no such method in it.
///
/// # Errors
/// The file cannot be read, or is no file of maps.
pub fn read_maps(file: &Path, methods: &[impl AsRef<str>]) -> Result<Vec<Option<ReadMap>>> {
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(vec![None; methods.len()]);
        }
        read => read.map_err(Error::io("read", file))?,
    };
    let refuse = |message: &str| Error::file(file, format!("holds no maps of emocam: {message}"));
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| refuse(&error.to_string()))?;
    let map = |method: &str| {
        let Ok(view) = tensors.tensor(method) else { return Ok(None) };
        let (&[rows, columns], Dtype::F32) = (view.shape(), view.dtype()) else {
            return Err(refuse(&format!("{method} has the shape {:?}", view.shape())));
        };
        let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Ok(Some(([rows, columns], values.collect())))
    };
    methods.iter().map(|method| map(method.as_ref())).collect()
}

/// [`read_maps`] of one method.
///
/// # Errors
/// As [`read_maps`].
pub fn read_map(file: &Path, method: &str) -> Result<Option<ReadMap>> {
    Ok(read_maps(file, &[method])?.pop().flatten())
}
