//! A map file of any of the formats.

use super::{MAX_FILE_BYTES, PictureMap, npy, png, safetensors};
use crate::{Error, Result};
use std::path::Path;

/// Reads the map in `file`, by what its name ends in.
///
/// # Errors
/// The file cannot be read or is no map: damaged, of another number of dimensions, without cells or
/// with too many, with numbers that are not finite. The error names the file, what was expected and
/// what was found.
pub(super) fn map(file: &Path) -> Result<PictureMap> {
    let bytes = std::fs::metadata(file).map_err(Error::io("read", file))?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(Error::file(
            file,
            format!("expected a map in at most {MAX_FILE_BYTES} bytes, found {bytes}"),
        ));
    }
    let extension = file.extension().and_then(|extension| extension.to_str());
    let (size, values) = match extension {
        Some("npy") => npy::read(file, bytes),
        Some("safetensors") => safetensors::read(file),
        Some("png") => png::read(file),
        _ => Err(Error::file(
            file,
            "expected a map in a file that ends in .npy, .safetensors or .png",
        )),
    }?;
    finite(file, PictureMap { size, values })
}

fn finite(file: &Path, map: PictureMap) -> Result<PictureMap> {
    match map.values.iter().position(|value| !value.is_finite()) {
        None => Ok(map),
        Some(at) => {
            let (row, column) = (at / map.size.width as usize, at % map.size.width as usize);
            let message = format!(
                "expected finite numbers, found {} in row {row}, column {column}",
                map.values[at]
            );
            Err(Error::file(file, message))
        }
    }
}
