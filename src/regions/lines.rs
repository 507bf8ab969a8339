//! Our own JSON lines: one region a line, or one picture that has none.
//!
//! ```json
//! {"file": "a/x.jpg", "label": "cat", "score": 0.9, "box": [10.5, 4, 200, 120.25], "width": 640, "height": 480}
//! {"file": "a/x.jpg", "label": "dog", "score": 0.4, "rle": {"size": [480, 640], "counts": "…"}}
//! {"file": "a/y.jpg"}
//! ```
//!
//! The box is x_min, y_min, x_max, y_max in pixels of the upright picture; it can be left out
//! beside a mask. Width and height can be left out. The last line says: looked at, nothing found.
//! Classes are the labels in alphabetical order, so that the order of the lines changes no table.

use super::known::{KnownPicture, KnownRegions};
use super::{check, opening};
use crate::image::{Extent, Mask, Size};
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::Path;

/// The longest line that is read. A mask of 65,535 rows and columns with a hole in every column
/// takes about 1 MB.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// A line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    file: String,
    label: Option<String>,
    score: Option<f64>,
    #[serde(rename = "box")]
    extent: Option<Extent>,
    rle: Option<Mask>,
    width: Option<u32>,
    height: Option<u32>,
}

/// What was read so far.
#[derive(Default)]
struct Lines {
    /// The labels, in the order in which they were first met.
    labels: BTreeMap<String, usize>,
    pictures: BTreeMap<String, KnownPicture>,
}

/// Reads a file of JSON lines; blank ones are passed over.
///
/// # Errors
/// The file cannot be read; a line is not what it should be, by its number.
pub(super) fn read(file: &Path) -> Result<KnownRegions> {
    let mut reader = opening::open(file)?;
    let (mut all, mut text) = (Lines::default(), Vec::new());
    for number in 1.. {
        text.clear();
        let limited = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut text);
        if limited.map_err(Error::io("read", file))? == 0 {
            break;
        }
        let line = if text.len() as u64 == MAX_LINE_BYTES && text.last() != Some(&b'\n') {
            Err(format!("a line has at most {MAX_LINE_BYTES} bytes, found more"))
        } else {
            all.take(&text)
        };
        line.map_err(|cause| Error::line(file, number, cause))?;
    }
    Ok(all.finish(file))
}

impl Lines {
    fn take(&mut self, text: &[u8]) -> Result<(), String> {
        // Else a line that ends too early would end in the next one, in serde_json's words.
        let text = text.trim_ascii_end();
        if text.is_empty() {
            return Ok(());
        }
        let line: Line = serde_json::from_slice(text).map_err(|cause| within_line(&cause))?;
        let Line { file, label, score, extent, rle, width, height } = line;
        if file.is_empty() {
            return Err("`file` is the name of a picture, found an empty text".into());
        }
        let picture = self.pictures.entry(file).or_default();
        match (width, height) {
            (Some(0), _) | (_, Some(0)) => {
                return Err("a picture has a width and a height of at least 1, found 0".into());
            }
            (Some(width), Some(height)) => {
                picture.state_size(Size::new(width, height), "a width and height")?;
            }
            (None, None) => {}
            _ => return Err("`width` and `height` stand together, found one of them".into()),
        }
        match (label, score) {
            (Some(label), _) if label.is_empty() => {
                Err("`label` is the name of a class, found an empty text".into())
            }
            (Some(label), Some(score)) => {
                let next = self.labels.len();
                let class = *self.labels.entry(label).or_insert(next);
                picture.push(check::located(class, score, extent, rle)?)
            }
            (Some(_), None) => Err("a region has a `score`, from 0 to 1, found none".into()),
            (None, None) if extent.is_none() && rle.is_none() => Ok(()),
            (None, _) => Err("a region has a `label`, found none".into()),
        }
    }

    /// Counts the classes anew, in alphabetical order.
    fn finish(mut self, file: &Path) -> KnownRegions {
        let mut place = vec![0; self.labels.len()];
        self.labels.values().enumerate().for_each(|(sorted, &met)| place[met] = sorted);
        for located in self.pictures.values_mut().flat_map(|picture| &mut picture.regions) {
            located.class = place[located.class];
        }
        KnownRegions::new(file, self.labels.into_keys().collect(), self.pictures)
    }
}

/// What serde_json found, without its line number, which is always 1.
fn within_line(cause: &serde_json::Error) -> String {
    cause.to_string().replace(" at line 1 column ", ", at column ")
}
