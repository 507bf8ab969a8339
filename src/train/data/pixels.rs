//! Pictures inside a table: FER-2013's CSV file, a face a row.
//!
//! Columns: `emotion` (0 to 6), `pixels` (grey values of a square, row by row, separated by
//! blanks), and `Usage` (Training, PublicTest, PrivateTest), which says what a picture is for.

use super::Place;
use crate::image::{Picture, Rgb8, Size};
use crate::run::Failure;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// FER-2013's expressions by their numbers (Goodfellow et al. 2013).
const EXPRESSIONS: [&str; 7] = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];

/// What the data set's own split calls its parts, in the order of our uses: to learn from, to
/// choose by, to measure with.
const USES: [&str; 3] = ["Training", "PublicTest", "PrivateTest"];

/// The longest side of a square that is believed.
const MAX_SIDE: usize = 1024;

#[derive(Deserialize)]
struct Row {
    emotion: String,
    pixels: String,
    #[serde(rename = "Usage")]
    usage: Option<String>,
}

/// Pictures with path, label and place; what they are for; rows that hold no picture.
type Read = (Vec<(String, String, Place)>, BTreeMap<String, usize>, Vec<Failure>);

/// Whether the table's first line names a column `pixels`.
///
/// # Errors
/// The file cannot be read.
pub(super) fn has_pixels(table: &Path) -> Result<bool> {
    let mut reader = csv::Reader::from_reader(File::open(table).map_err(Error::io("open", table))?);
    let headers =
        reader.headers().map_err(|error| Error::file(table, format!("not a table: {error}")))?;
    Ok(headers.iter().any(|name| name == "pixels"))
}

/// The pictures of the table, called `row-00001` and so on by their rows.
///
/// # Errors
/// The file cannot be read or lacks a column.
pub(super) fn read(table: &Path) -> Result<Read> {
    let mut reader = csv::Reader::from_reader(File::open(table).map_err(Error::io("open", table))?);
    let (mut pictures, mut uses, mut failures) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (number, row) in reader.deserialize().enumerate() {
        let row: Row = row.map_err(|error| {
            Error::file(
                table,
                format!("not FER-2013's table with the columns emotion, pixels and Usage: {error}"),
            )
        })?;
        let path = format!("row-{:05}", number + 1);
        match grey(&row.pixels)
            .and_then(|grey| Ok((grey, expression(&row.emotion)?, used(row.usage.as_deref())?)))
        {
            Ok((grey, label, place)) => {
                uses.extend(place.map(|place| (path.clone(), place)));
                pictures.push((path, label.into(), Place::Pixels(grey.into())));
            }
            Err(cause) => failures.push(Failure { path, stage: "find".into(), cause }),
        }
    }
    Ok((pictures, uses, failures))
}

fn expression(number: &str) -> Result<&'static str, String> {
    let place = number.trim().parse().ok().and_then(|place: usize| EXPRESSIONS.get(place));
    place.copied().ok_or_else(|| format!("emotion should be from 0 to 6, found {number}"))
}

fn used(usage: Option<&str>) -> Result<Option<usize>, String> {
    let Some(usage) = usage else { return Ok(None) };
    let place = USES.iter().position(|known| *known == usage);
    place
        .map(Some)
        .ok_or_else(|| format!("Usage should be one of {}, found {usage}", USES.join(", ")))
}

/// The grey values of a square.
fn grey(pixels: &str) -> Result<Vec<u8>, String> {
    let values: Result<Vec<u8>, _> = pixels.split_ascii_whitespace().map(str::parse).collect();
    let values = values.map_err(|_| "pixels should be numbers from 0 to 255".to_string())?;
    let side = values.len().isqrt();
    match side * side == values.len() && (1..=MAX_SIDE).contains(&side) {
        true => Ok(values),
        false => {
            Err(format!("{} pixels are no square with sides from 1 to {MAX_SIDE}", values.len()))
        }
    }
}

/// The picture of a square's grey values.
pub(super) fn picture(grey: &[u8]) -> Picture {
    let side = grey.len().isqrt() as u32;
    Rgb8::new(Size::new(side, side), grey.iter().flat_map(|&value| [value; 3]).collect()).into()
}
