//! The formats of region files, told apart by their content.
//!
//! A file is hostile input: it is read as a stream, an element at a time, and memory grows only
//! with what is kept of it; whatever it should not hold is an error that names the file and the
//! place.

use super::opening::Opening;
use super::{KnownRegions, coco, lines};
use crate::{Error, Result};
use std::path::Path;

/// A kind of region file.
pub struct Format {
    /// The name, as in messages.
    pub name: &'static str,
    /// What such a file holds, for help texts and messages.
    pub description: &'static str,
    /// Whether a file that begins like this is one.
    begins: fn(&Opening) -> bool,
    /// Reads one; the second path is that of the companion data set, if the user named one.
    read: fn(&Path, Option<&Path>) -> Result<KnownRegions>,
}

/// All formats. A file is read as the first that its beginning fits; a new format is a row here and
/// a file beside this.
pub static FORMATS: &[Format] = &[
    Format {
        name: "COCO results",
        description: "a JSON array of {image_id, category_id, score, bbox and/or segmentation}, \
                      with the COCO data set that has the images and categories beside it",
        begins: |opening| opening.first == Some(b'['),
        read: coco::read_results,
    },
    Format {
        name: "COCO data set",
        description: "a JSON object with the lists images, annotations and categories",
        begins: |opening| opening.keys.iter().any(|key| coco::LISTS.contains(&key.as_str())),
        read: |file, dataset| alone(file, dataset, coco::read_dataset),
    },
    Format {
        name: "JSON lines",
        description: "a line {\"file\", \"label\", \"score\", \"box\": [x_min, y_min, x_max, \
                      y_max] and/or \"rle\"} a region, or {\"file\"} for a picture without any",
        begins: |opening| opening.first == Some(b'{'),
        read: |file, dataset| alone(file, dataset, lines::read),
    },
];

/// Reads a file of regions. COCO results need their data set, which no other format takes.
///
/// # Errors
/// A file cannot be read or is of no known format; something in it is damaged, out of range or
/// contradicts itself (the error says what and where); a data set is missing, or given and not
/// needed.
pub fn read(file: &Path, dataset: Option<&Path>) -> Result<KnownRegions> {
    let opening = Opening::read(file)?;
    match FORMATS.iter().find(|format| (format.begins)(&opening)) {
        Some(format) => (format.read)(file, dataset),
        None => {
            let known = FORMATS
                .iter()
                .map(|Format { name, description, .. }| format!("{name} ({description})"));
            Err(Error::file(
                file,
                format!(
                    "not a file of regions; expected one of: {}",
                    known.collect::<Vec<_>>().join("; ")
                ),
            ))
        }
    }
}

/// Reads a file of a format that has no companion.
fn alone(
    file: &Path,
    dataset: Option<&Path>,
    read: fn(&Path) -> Result<KnownRegions>,
) -> Result<KnownRegions> {
    match dataset {
        None => read(file),
        Some(dataset) => Err(Error::file(
            file,
            format!(
                "only COCO results, a JSON array, need a data set beside them: leave out {}",
                dataset.display()
            ),
        )),
    }
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Format").field("name", &self.name).finish_non_exhaustive()
    }
}
