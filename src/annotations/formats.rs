//! Files of labels as data sets have them.
//!
//! * A table with a header: any with a column for the picture's path and one for its label;
//!   FindingEmo's `annotations_single.ann` (`image_path`, `emotion`, and `reject`, which is `Keep`
//!   in rows that count), EMOTIC's (`Folder` and `Filename`, `Categorical_Labels` as a list),
//!   Emotion6's (`[image_filename]` and a column `[prob. EMOTION]` for each emotion, of which the
//!   most probable is the label).
//! * EmoSet's JSON: lists of a label, perhaps an identifier, the picture's path, the path of its
//!   annotation.

use super::{AnnotationColumns, Annotations};
use csv::{ReaderBuilder, StringRecord};

/// How columns with the picture's path are called.
const PATH_COLUMNS: [&str; 6] =
    ["path", "image_path", "image_filename", "file_name", "filename", "image"];

/// How columns with the label are called.
const LABEL_COLUMNS: [&str; 5] =
    ["label", "emotion", "categorical_labels", "category", "dominant_emotion"];

/// What the name of a column with an emotion's probability begins with.
const PROBABILITY: &str = "prob";

/// How a picture's file ends.
const PICTURES: [&str; 7] = [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"];

/// Adds everything that a file says.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(
    bytes: &[u8],
    columns: &AnnotationColumns,
    into: &mut Annotations,
) -> Result<(), String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("is no text in UTF-8: {error}"))?;
    // A table's header may begin with a bracket too, as Emotion6's, but not with two.
    match text.trim_start().strip_prefix('[').map(str::trim_start) {
        Some(rest) if rest.starts_with(['[', ']']) => lists(text, into),
        _ => rows(text, columns, into),
    }
}

/// EmoSet's lists.
fn lists(text: &str, into: &mut Annotations) -> Result<(), String> {
    let entries: Vec<Vec<serde_json::Value>> = serde_json::from_str(text)
        .map_err(|error| format!("is no JSON list of lists, as EmoSet's: {error}"))?;
    for (number, entry) in entries.iter().enumerate() {
        let texts: Vec<&str> = entry.iter().filter_map(serde_json::Value::as_str).collect();
        let is_picture =
            |text: &&&str| PICTURES.iter().any(|end| text.to_lowercase().ends_with(end));
        match (texts.first(), texts.iter().skip(1).find(is_picture)) {
            (Some(label), Some(picture)) => into.add(picture, label),
            _ => {
                return Err(format!(
                    "entry {}: expected a label and the path of an image, found {entry:?}",
                    number + 1
                ));
            }
        }
    }
    Ok(())
}

/// Where a row has what is wanted of it.
struct Places {
    folder: Option<usize>,
    path: usize,
    label: LabelPlace,
    reject: Option<usize>,
}

enum LabelPlace {
    Column(usize),
    /// An emotion's name, and its probability's column.
    MostProbable(Vec<(String, usize)>),
}

fn rows(text: &str, columns: &AnnotationColumns, into: &mut Annotations) -> Result<(), String> {
    let header = text.lines().next().unwrap_or_default();
    let count = |mark: char| header.matches(mark).count();
    let delimiter = match (count('\t'), count(';'), count(',')) {
        (1.., ..) => b'\t',
        (_, semicolons, commas) if semicolons > commas => b';',
        _ => b',',
    };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let places = Places::find(reader.headers().map_err(|error| error.to_string())?, columns)?;
    for row in reader.records() {
        // The message names the line.
        let row = row.map_err(|error| error.to_string())?;
        let cell = |place: usize| row.get(place).unwrap_or_default();
        if places
            .reject
            .is_some_and(|place| !matches!(cell(place).to_lowercase().as_str(), "" | "keep"))
        {
            into.rejected += 1;
            continue;
        }
        let name = match places.folder {
            Some(folder) => format!("{}/{}", cell(folder), cell(places.path)),
            None => cell(places.path).into(),
        };
        for label in places.label.labels(&row)? {
            into.add(&name, &label);
        }
    }
    Ok(())
}

/// A column's name without what data sets put around it.
fn plain(name: &str) -> String {
    name.trim().trim_start_matches('[').trim_end_matches(']').to_lowercase()
}

impl Places {
    fn find(header: &StringRecord, columns: &AnnotationColumns) -> Result<Self, String> {
        let names: Vec<String> = header.iter().map(plain).collect();
        if names.iter().all(String::is_empty) {
            return Err("has no header line".into());
        }
        let place = |name: &str| names.iter().position(|known| *known == plain(name));
        let listed =
            || header.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let chosen = |name: &String| {
            place(name).ok_or_else(|| format!("has no column `{name}`, but {}", listed()))
        };
        let path = match &columns.path {
            Some(name) => chosen(name)?,
            None => PATH_COLUMNS.iter().find_map(|name| place(name)).ok_or_else(|| {
                format!(
                    "which column has the images' paths? Name it with --path-column; there are {}",
                    listed()
                )
            })?,
        };
        let probabilities = || {
            let emotion = |(place, name): (usize, &String)| {
                let name = name.strip_prefix(PROBABILITY)?.trim_start_matches(['.', ' ', '_']);
                (!name.is_empty()).then(|| (name.to_string(), place))
            };
            names.iter().enumerate().filter_map(emotion).collect::<Vec<_>>()
        };
        let label = match &columns.label {
            Some(name) => LabelPlace::Column(chosen(name)?),
            None => match (LABEL_COLUMNS.iter().find_map(|name| place(name)), probabilities()) {
                (Some(column), _) => LabelPlace::Column(column),
                (None, emotions) if emotions.len() > 1 => LabelPlace::MostProbable(emotions),
                _ => {
                    return Err(format!(
                        "which column has the labels? Name it with --label-column; there are {}",
                        listed()
                    ));
                }
            },
        };
        let folder =
            place("folder").filter(|_| columns.path.is_none() && names[path] == "filename");
        Ok(Self { folder, path, label, reject: place("reject") })
    }
}

impl LabelPlace {
    /// A row's labels: one, several in a list, or none.
    fn labels(&self, row: &StringRecord) -> Result<Vec<String>, String> {
        let column = match self {
            Self::Column(column) => *column,
            Self::MostProbable(emotions) => {
                let mut best: Option<(&str, f64)> = None;
                for (name, column) in emotions {
                    let text = row.get(*column).unwrap_or_default();
                    let share: f64 = text
                        .trim()
                        .parse()
                        .map_err(|_| format!("`{text}` is no probability of {name}"))?;
                    if best.is_none_or(|(_, most)| share > most) {
                        best = Some((name, share));
                    }
                }
                return Ok(best.iter().map(|(name, _)| name.to_string()).collect());
            }
        };
        let text = row.get(column).unwrap_or_default().trim();
        let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        Ok(match list {
            Some(list) => list
                .split(',')
                .map(|label| label.trim().trim_matches(['\'', '"']).to_string())
                .collect(),
            None => vec![text.to_string()],
        })
    }
}
