//! Activation maps kept on request: one safetensors file a picture, one tensor a method.

use crate::files::{sha256, write_bytes};
use crate::image::Size;
use crate::run::record::ImageRecord;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::{Component, Path};

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

/// The path of a picture as one that cannot lead out of the folder it is put into, and with names that can be added to.
pub(crate) fn beneath(path: &str) -> String {
    let parts = Path::new(path).components().filter_map(|part| match part {
        Component::Normal(name) => Some(shortened(name.to_string_lossy().into_owned())),
        Component::ParentDir => Some("__".into()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A file name that leaves room for what is added to it: file systems allow 255 bytes.
fn shortened(name: String) -> String {
    const LONGEST: usize = 200;
    if name.len() <= LONGEST {
        return name;
    }
    let start: String =
        name.char_indices().take_while(|(at, _)| *at < LONGEST - 20).map(|(_, letter)| letter).collect();
    format!("{start}...{}", &sha256(name.as_bytes())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_folder() {
        assert_eq!(["a/b.jpg", "../../x.png", "/data/x.png"].map(beneath), ["a/b.jpg", "__/__/x.png", "data/x.png"]);
    }

    #[test]
    fn long_names_are_shortened_and_stay_apart() {
        let names = ["\u{e9}".repeat(120) + "a.jpg", "\u{e9}".repeat(120) + "b.jpg"];
        let [a, b] = names.map(|name| beneath(&name).len());
        assert!(a < 220 && b < 220);
        let [a, b] = ["a", "b"].map(|end| beneath(&("\u{e9}".repeat(120) + end)));
        assert_ne!(a, b);
    }
}
