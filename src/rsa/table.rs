//! A matrix from a CSV file: `association.csv` and `counts.csv` as runs have them, or any other
//! table of numbers with the labels as header and the classes as first column.

use super::MatrixKind;
use crate::{Error, Result};
use std::path::Path;

/// The last row of `counts.csv`, with the number of images of each label.
const IMAGES: &str = "images";

/// A matrix of classes x labels as read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixFile {
    /// First column.
    pub classes: Vec<String>,
    /// Header.
    pub labels: Vec<String>,
    /// Row by row; 0 in columns that are empty.
    pub cells: Vec<f64>,
    /// Which columns are not empty.
    pub present: Vec<bool>,
    /// It holds counts of images: its last row is that of `counts.csv`.
    pub counted: bool,
}

impl MatrixFile {
    /// Reads the file. Of counts the shares are taken, where shares are compared; other numbers are
    /// taken as they stand.
    ///
    /// # Errors
    /// The file cannot be read; a cell that is no number; a column with numbers in some rows only;
    /// no row or column.
    pub fn read(path: &Path, matrix: MatrixKind) -> Result<Self> {
        let unreadable = |error: csv::Error| Error::file(path, format!("not a table: {error}"));
        let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
        let mut reader = csv::Reader::from_reader(file);
        let labels: Vec<String> =
            reader.headers().map_err(unreadable)?.iter().skip(1).map(String::from).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(unreadable)?;
            let line = record.position().map_or(0, |position| position.line() as usize);
            let cells = record.iter().skip(1).zip(&labels).map(|(cell, label)| {
                number(cell)
                    .map_err(|cause| Error::line(path, line, format!("column `{label}`: {cause}")))
            });
            rows.push((record[0].to_string(), cells.collect::<Result<Vec<Option<f64>>>>()?));
        }
        let images = rows.pop_if(|(name, _)| name == IMAGES);
        if let Some((_, images)) = &images {
            check_counts(&rows, images, &labels).map_err(|cause| Error::file(path, cause))?;
            if matrix == MatrixKind::Shares {
                shares(&mut rows, images);
            }
        }
        if rows.is_empty() || labels.is_empty() {
            return Err(Error::file(
                path,
                "holds no matrix: expected a header with labels and a row for every class, as in \
                 association.csv",
            ));
        }
        Self::assemble(rows, labels, images.is_some()).map_err(|cause| Error::file(path, cause))
    }

    fn assemble(
        rows: Vec<(String, Vec<Option<f64>>)>,
        labels: Vec<String>,
        counted: bool,
    ) -> Result<Self, String> {
        let present: Vec<bool> = rows[0].1.iter().map(Option::is_some).collect();
        for (name, cells) in &rows {
            if let Some(at) = (0..labels.len()).find(|&at| cells[at].is_some() != present[at]) {
                return Err(format!(
                    "column `{}` is {} in row `{}` and {} in row `{name}`: a label has all classes \
                     or none",
                    labels[at],
                    if present[at] { "filled" } else { "empty" },
                    rows[0].0,
                    if present[at] { "empty" } else { "filled" },
                ));
            }
        }
        let cells = rows
            .iter()
            .flat_map(|(_, cells)| cells.iter().map(|cell| cell.unwrap_or(0.0)))
            .collect();
        Ok(Self {
            classes: rows.into_iter().map(|(name, _)| name).collect(),
            labels,
            cells,
            present,
            counted,
        })
    }
}

fn number(cell: &str) -> Result<Option<f64>, String> {
    match cell.trim() {
        "" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Some(value)),
            _ => Err(format!("expected a number or nothing, found `{text}`")),
        },
    }
}

/// Counts are whole numbers up to the number of images of their label.
fn check_counts(
    rows: &[(String, Vec<Option<f64>>)],
    images: &[Option<f64>],
    labels: &[String],
) -> Result<(), String> {
    let whole = |value: Option<f64>| value.filter(|value| *value >= 0.0 && value.fract() == 0.0);
    for (name, cells) in rows {
        for ((&cell, &images), label) in cells.iter().zip(images).zip(labels) {
            if whole(cell).zip(whole(images)).is_none_or(|(count, images)| count > images) {
                return Err(format!(
                    "row `{name}`, column `{label}`: the last row is `{IMAGES}`, so this should be \
                     counts, whole numbers up to those in that row"
                ));
            }
        }
    }
    Ok(())
}

/// Divides counts by the number of images of each label; the column of a label without images
/// becomes empty.
fn shares(rows: &mut [(String, Vec<Option<f64>>)], images: &[Option<f64>]) {
    for (cell, images) in rows.iter_mut().flat_map(|(_, cells)| cells.iter_mut().zip(images)) {
        *cell = cell
            .zip(*images)
            .filter(|(_, images)| *images > 0.0)
            .map(|(count, images)| count / images);
    }
}

/// The name of a matrix: the file's without its ending or, for `association.csv` and `counts.csv`,
/// its folder's; with so many parts of the path.
pub(super) fn name_of(path: &Path, parts: usize) -> String {
    let stem = path.with_extension("");
    match (stem.file_name().and_then(|name| name.to_str()), stem.parent()) {
        (Some("association" | "counts"), Some(folder)) if folder.file_name().is_some() => {
            last_parts(folder, parts)
        }
        _ => last_parts(&stem, parts),
    }
}

/// The last parts of a path, joined by slashes.
pub(super) fn last_parts(path: &Path, parts: usize) -> String {
    let names: Vec<_> =
        path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    names[names.len().saturating_sub(parts)..].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<MatrixFile> {
        read_as(MatrixKind::Shares, text)
    }

    fn read_as(matrix: MatrixKind, text: &str) -> Result<MatrixFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("association.csv");
        std::fs::write(&path, text).unwrap();
        MatrixFile::read(&path, matrix)
    }

    #[test]
    fn counts_become_shares_and_empty_columns_stay_empty() {
        let counts =
            read("class,Joy,Awe,Fear\nCat,1,0,3\n\"Dog, big\",2,0,0\nimages,4,0,3\n").unwrap();
        let shares = read("class,Joy,Awe,Fear\nCat,0.25,,1\n\"Dog, big\",0.5,,0\n").unwrap();
        assert_eq!((&counts.cells, &counts.present), (&shares.cells, &shares.present));
        assert!(counts.counted && !shares.counted);
        assert_eq!(
            (counts.cells, counts.present),
            (vec![0.25, 0.0, 1.0, 0.5, 0.0, 0.0], vec![true, false, true])
        );
        assert_eq!(counts.classes, ["Cat", "Dog, big"]);
    }

    #[test]
    fn counts_stay_counts_with_every_column() {
        let counts =
            read_as(MatrixKind::Counts, "class,Joy,Awe\nCat,1,0\nDog,2,0\nimages,4,0\n").unwrap();
        assert_eq!((counts.cells, counts.present), (vec![1.0, 0.0, 2.0, 0.0], vec![true, true]));
    }

    #[test]
    fn what_is_no_matrix_is_refused() {
        for (text, phrase) in [
            (
                "class,Joy\nCat,NaN\n",
                "line 2: column `Joy`: expected a number or nothing, found `NaN`",
            ),
            ("class,Joy\nCat,1\nDog,inf\n", "line 3"),
            (
                "class,Joy,Awe\nCat,1,\nDog,1,0\n",
                "column `Awe` is empty in row `Cat` and filled in row `Dog`",
            ),
            ("class,Joy\nCat,3\nimages,2\n", "row `Cat`, column `Joy`"),
            ("class,Joy\nCat,0.5\nimages,2\n", "whole numbers"),
            ("class,Joy\nCat,1,2\n", "not a table"),
            ("class\nCat\n", "holds no matrix"),
            ("class,Joy\nimages,3\n", "holds no matrix"),
            ("", "holds no matrix"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(phrase), "{text:?}: {message}");
        }
    }

    #[test]
    fn names() {
        let name = |path: &str, parts| name_of(Path::new(path), parts);
        assert_eq!(name("/x/run/grad-cam/association.csv", 1), "grad-cam");
        assert_eq!(name("/x/run/grad-cam/counts.csv", 2), "run/grad-cam");
        assert_eq!(name("/x/published.v2.csv", 1), "published.v2");
        assert_eq!(name("association.csv", 1), "association");
    }
}
