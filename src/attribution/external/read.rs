//! A map file of any of the formats.

use super::{npy, png, safetensors, PictureMap, MAX_CELLS, MAX_FILE_BYTES, MAX_SIDE};
use crate::image::Size;
use crate::{Error, Result};
use std::path::Path;

/// Reads the map in `file`, by what its name ends in.
///
/// # Errors
/// The file cannot be read or is no map: damaged, of another number of dimensions, without cells or with too many, with
/// numbers that are not finite. The error names the file, what was expected and what was found.
pub(super) fn map(file: &Path) -> Result<PictureMap> {
    let bytes = std::fs::metadata(file).map_err(Error::io("read", file))?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(Error::file(file, format!("expected a map in at most {MAX_FILE_BYTES} bytes, found {bytes}")));
    }
    let extension = file.extension().and_then(|extension| extension.to_str());
    let (size, values) = match extension {
        Some("npy") => npy::read(file, bytes),
        Some("safetensors") => safetensors::read(file),
        Some("png") => png::read(file),
        _ => Err(Error::file(file, "expected a map in a file that ends in .npy, .safetensors or .png")),
    }?;
    finite(file, PictureMap { size, values })
}

fn finite(file: &Path, map: PictureMap) -> Result<PictureMap> {
    match map.values.iter().position(|value| !value.is_finite()) {
        None => Ok(map),
        Some(at) => {
            let (row, column) = (at / map.size.width as usize, at % map.size.width as usize);
            let message = format!("expected finite numbers, found {} in row {row}, column {column}", map.values[at]);
            Err(Error::file(file, message))
        }
    }
}

/// The size of a map of this shape (rows, columns).
///
/// # Errors
/// It has another number of dimensions, no cell, or more than are read: what was found, in words that go behind what
/// was expected.
pub(super) fn size(shape: &[usize]) -> Result<Size, String> {
    let &[rows, columns] = shape else {
        return Err(format!("expected 2 dimensions (rows, columns), found {}: {shape:?}", shape.len()));
    };
    let small = (1..=MAX_SIDE).contains(&rows) && (1..=MAX_SIDE).contains(&columns) && rows * columns <= MAX_CELLS;
    if !small {
        return Err(format!(
            "expected 1 to {MAX_SIDE} rows and columns and at most {MAX_CELLS} cells, found {rows} rows and {columns} \
             columns"
        ));
    }
    Ok(Size::new(columns as u32, rows as u32))
}
