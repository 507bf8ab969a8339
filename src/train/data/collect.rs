//! From folders and tables to labelled pictures.

use super::{DataSet, LabelledPicture, Place, pixels};
use crate::annotations::{AnnotationColumns, Annotations};
use crate::corpus::{Corpus, Source, find};
use crate::run::Failure;
use crate::{Error, Result};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `[data]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Where a picture's label stands.
    pub labels_from: LabelsFrom,
    /// Of `labels_from = "pattern"`: a regular expression over the path, whose first group is the
    /// label.
    pub pattern: String,
    /// The labels in the order of the outputs; empty: those that occur, in alphabetical order.
    pub labels: Vec<String>,
    /// Keep pictures in memory as they enter the network, where nothing is cut out of them: each is
    /// read once, and takes its input's bytes (150 kB at 224 x 224).
    pub keep: bool,
}

/// Where a picture's label stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelsFrom {
    /// In the name of the folder where pictures lie in several, else in the file's name.
    #[default]
    Auto,
    /// The name of the folder that the picture lies in: FI, EmoSet.
    Folder,
    /// The file's name up to the last `_`, as `amusement_0001.jpg`: ArtPhoto.
    Name,
    /// What a pattern finds in the path: JAFFE, FERG.
    Pattern,
}

/// A picture and its label.
type Named = (Source, String);

/// The labelled pictures below `roots` (what [`find`] takes: folders, tars, lists), or those of one
/// CSV file with the columns `path` (relative to the file) and `label`, or `emotion` and `pixels`
/// (FER-2013). Labels are in alphabetical order, unless they are named.
///
/// # Errors
/// No picture; a root or table that cannot be read; a label that is not among those named, or one
/// of them without a picture.
pub fn collect(roots: &[PathBuf], config: &DataConfig) -> Result<DataSet> {
    let is_table = |root: &PathBuf| {
        root.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
    };
    let mut uses = BTreeMap::new();
    let (pictures, failures) = match roots {
        [table] if is_table(table) && pixels::has_pixels(table)? => {
            let (pictures, failures);
            (pictures, uses, failures) = pixels::read(table)?;
            (pictures, failures)
        }
        [table] if is_table(table) => as_pictures(table_rows(table)?),
        _ if roots.iter().any(is_table) => {
            return Err(Error::Setting(
                "a CSV file of labels is given alone, not beside folders or a second one".into(),
            ));
        }
        _ => as_pictures(below(find(roots)?, config)?),
    };
    let known: Vec<String> = match config.labels.as_slice() {
        [] => pictures
            .iter()
            .map(|(_, label, _)| label.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        labels => labels.to_vec(),
    };
    let index: BTreeMap<&str, usize> =
        known.iter().enumerate().map(|(place, label)| (label.as_str(), place)).collect();
    let mut items = Vec::new();
    for (path, label, place) in pictures {
        let Some(&label) = index.get(label.as_str()) else {
            return Err(Error::file(
                Path::new(&path),
                format!("its label `{label}` is none of the network's: {}", known.join(", ")),
            ));
        };
        items.push(LabelledPicture { path, label, place });
    }
    items.sort_by(|a, b| a.path.cmp(&b.path));
    check(&known, &items, roots)?;
    Ok(DataSet { labels: known, items, failures, uses })
}

/// Files as pictures: path, label and place.
fn as_pictures(
    (named, failures): (Vec<Named>, Vec<Failure>),
) -> (Vec<(String, String, Place)>, Vec<Failure>) {
    let picture =
        |(source, label): Named| (source.path.clone(), label, Place::File(Arc::new(source)));
    (named.into_iter().map(picture).collect(), failures)
}

fn check(labels: &[String], items: &[LabelledPicture], roots: &[PathBuf]) -> Result<()> {
    let place = roots.first().map_or(Path::new("."), PathBuf::as_path);
    if items.is_empty() {
        return Err(Error::file(
            place,
            "no labelled picture: expected a folder for each label, files named LABEL_NUMBER.jpg, \
             or a CSV file with the columns path and label",
        ));
    }
    let found: BTreeSet<usize> = items.iter().map(|item| item.label).collect();
    match (0..labels.len()).find(|label| !found.contains(label)) {
        Some(label) => Err(Error::file(
            place,
            format!(
                "the label `{}` has no picture: leave it out of `labels`, or add pictures of it",
                labels[label]
            ),
        )),
        None if labels.len() < 2 => Err(Error::file(
            place,
            format!("all pictures have the label `{}`: there is nothing to tell apart", labels[0]),
        )),
        None => Ok(()),
    }
}

/// Pictures with the label that their place says.
///
/// # Errors
/// A pattern that is none.
fn below(corpus: Corpus, config: &DataConfig) -> Result<(Vec<Named>, Vec<Failure>)> {
    let pattern = config.compiled_pattern()?;
    let failure =
        |path: &str, cause: String| Failure { path: path.into(), stage: "find".into(), cause };
    let mut failures: Vec<Failure> = corpus
        .problems
        .iter()
        .map(|problem| failure(&problem.path, problem.cause.clone()))
        .collect();
    let folders: BTreeSet<Option<String>> = corpus.images.iter().map(folder_of).collect();
    let by_folder = match config.labels_from {
        LabelsFrom::Folder => true,
        LabelsFrom::Name | LabelsFrom::Pattern => false,
        LabelsFrom::Auto => folders.len() > 1,
    };
    let mut named = Vec::new();
    for source in corpus.images {
        let label = match &pattern {
            Some(pattern) => pattern
                .captures(&source.path)
                .and_then(|found| Some(found.get(1)?.as_str().to_string())),
            None if by_folder => folder_of(&source),
            None => prefix_of(&source),
        };
        match label {
            Some(label) => named.push((source, label)),
            None => {
                let cause = match (&pattern, by_folder) {
                    (Some(_), _) => "the pattern finds no label in its path",
                    (None, true) => "lies in no folder with a label's name",
                    (None, false) => "expected LABEL_NUMBER",
                };
                failures.push(failure(&source.path, cause.into()));
            }
        }
    }
    Ok((named, failures))
}

impl DataConfig {
    /// The pattern, where labels come from one.
    fn compiled_pattern(&self) -> Result<Option<Regex>> {
        let wanted = self.labels_from == LabelsFrom::Pattern;
        if wanted == self.pattern.is_empty() {
            return Err(Error::Setting(
                "[data] pattern and labels_from = \"pattern\" go together: one of them is missing"
                    .into(),
            ));
        }
        if !wanted {
            return Ok(None);
        }
        let refused = |message: String| Error::Setting(format!("[data] pattern: {message}"));
        let pattern = Regex::new(&self.pattern).map_err(|error| refused(error.to_string()))?;
        match pattern.captures_len() {
            2.. => Ok(Some(pattern)),
            _ => Err(refused("has no group ( ) around the label".into())),
        }
    }
}

/// The name of the folder that a picture lies in.
fn folder_of(source: &Source) -> Option<String> {
    let place = source.place();
    Some(place.parent()?.file_name()?.to_string_lossy().into_owned())
}

/// A file's name up to its last underscore.
fn prefix_of(source: &Source) -> Option<String> {
    let stem = Path::new(&source.path).file_stem()?.to_str()?;
    let (label, number) = stem.rsplit_once('_')?;
    (!label.is_empty() && !number.is_empty()).then(|| label.to_string())
}

/// Pictures and labels of a CSV file; those that are not there are failures.
fn table_rows(table: &Path) -> Result<(Vec<Named>, Vec<Failure>)> {
    let folder = table.parent().unwrap_or(Path::new(""));
    let (mut named, mut failures) = (Vec::new(), Vec::new());
    for (path, label) in Annotations::read(table, &AnnotationColumns::default())?.of_one_label()? {
        let (file, path, label) = (folder.join(path), path.to_string(), label.to_string());
        match std::fs::metadata(&file) {
            Ok(metadata) => {
                let source = Source {
                    path,
                    file: file.as_path().into(),
                    size: metadata.len(),
                    member: None,
                };
                named.push((source, label));
            }
            Err(error) => {
                failures.push(Failure { path, stage: "find".into(), cause: error.to_string() });
            }
        }
    }
    Ok((named, failures))
}
