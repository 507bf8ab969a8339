//! A run beside a matrix of shares that somebody else has published, of which nothing but the
//! shares is known.

use super::CommonNames;
use crate::associate::Counts;
use crate::plot::{Heatmap, write};
use crate::run::table;
use crate::stats::{Ranks, spearman_p, wilson};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A matrix of shares in `[0, 1]`, in which cells may be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedMatrix {
    file: PathBuf,
    classes: Vec<String>,
    labels: Vec<String>,
    cells: Vec<Vec<Option<f64>>>,
}

/// A run beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct BesidePublished {
    /// Classes of both; the run's come first.
    pub classes: CommonNames,
    /// Labels of both.
    pub labels: CommonNames,
    /// Of each cell that both have: class and label among the common ones, pictures of the run with
    /// the label in which the class is important, pictures with the label, the published share.
    pub cells: Vec<(usize, usize, [u64; 2], f64)>,
    /// The rank correlation of the shares.
    pub spearman: Option<f64>,
    /// Cells whose published share lies outside the interval of the run's.
    pub outside: usize,
}

impl PublishedMatrix {
    /// Reads a table with the labels as header and the classes as first column, as
    /// `configs/emocam-fig2.csv`; empty cells are not known.
    ///
    /// # Errors
    /// The file cannot be read, or has a cell that is no share.
    pub fn read(path: &Path) -> Result<Self> {
        let unreadable = |error: csv::Error| Error::file(path, format!("is no table: {error}"));
        let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
        let labels: Vec<String> =
            reader.headers().map_err(unreadable)?.iter().skip(1).map(String::from).collect();
        let (mut classes, mut cells) = (Vec::new(), Vec::new());
        for row in reader.records() {
            let row = row.map_err(unreadable)?;
            let line = row.position().map_or(0, |position| position.line() as usize);
            let share = |cell: &str| match cell.trim() {
                "" => Ok(None),
                text => text
                    .parse()
                    .ok()
                    .filter(|share| (0.0..=1.0).contains(share))
                    .map(Some)
                    .ok_or_else(|| {
                        Error::line(
                            path,
                            line,
                            format!("expected a share between 0 and 1, or nothing, found `{text}`"),
                        )
                    }),
            };
            classes.push(row[0].to_string());
            cells.push(row.iter().skip(1).map(share).collect::<Result<Vec<_>>>()?);
        }
        if classes.is_empty() || labels.is_empty() {
            return Err(Error::file(
                path,
                "has no cell: expected labels as header and a row for each class",
            ));
        }
        Ok(Self { file: path.into(), classes, labels, cells })
    }

    /// Compares a run's counts with it.
    ///
    /// # Errors
    /// Both have no cell in common.
    pub fn compare(
        &self,
        counts: &Counts,
        classes: &[String],
        labels: &[String],
    ) -> Result<BesidePublished> {
        let classes = CommonNames::new(classes, &self.classes);
        let labels = CommonNames::new(labels, &self.labels);
        let place = |places: &[Option<usize>], wanted| {
            places.iter().position(|&place| place == Some(wanted))
        };
        let mut cells = Vec::new();
        for class in 0..classes.names.len() {
            for label in 0..labels.names.len() {
                let [rows, columns] = [0, 1].map(|side| {
                    place(&classes.places[side], class)
                        .zip(place(&labels.places[side], label))
                        .expect("is common")
                });
                let images = counts.images[rows.1];
                if let Some(share) = self.cells[columns.0][columns.1].filter(|_| images > 0) {
                    cells.push((class, label, [counts.cells[[rows.0, rows.1]], images], share));
                }
            }
        }
        if cells.is_empty() {
            return Err(Error::file(
                &self.file,
                "has no cell in common with the run: other classes, other labels",
            ));
        }
        let own: Vec<f64> =
            cells.iter().map(|(_, _, [hits, images], _)| *hits as f64 / *images as f64).collect();
        let published: Vec<f64> = cells.iter().map(|&(.., share)| share).collect();
        let is_outside = |(_, _, [hits, images], share): &&(usize, usize, [u64; 2], f64)| {
            // Published numbers are rounded to two decimals.
            wilson(*hits, *images)
                .is_some_and(|(low, high)| *share < low - 0.005 || *share > high + 0.005)
        };
        let outside = cells.iter().filter(is_outside).count();
        let spearman = Ranks::of(&own).spearman(&Ranks::of(&published));
        Ok(BesidePublished { classes, labels, cells, spearman, outside })
    }
}

impl BesidePublished {
    /// The p-value of the rank correlation, as if cells were independent.
    pub fn p_value(&self) -> Option<f64> {
        spearman_p(self.spearman?, self.cells.len())
    }

    /// Writes `differences.csv`, `differences.png` and `.svg` into `folder`, which is made; `names`
    /// are those of the run and of the published matrix.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path, names: [&str; 2]) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        table(&folder.join("differences.csv"), |table| {
            table.row([
                "class",
                "label",
                "images",
                "important",
                "share",
                "share_low",
                "share_high",
                "published",
                "difference",
            ])?;
            self.cells.iter().try_for_each(|&(class, label, [hits, images], published)| {
                let share = hits as f64 / images as f64;
                let (low, high) = wilson(hits, images).expect("there are images");
                let mut row =
                    vec![self.classes.names[class].clone(), self.labels.names[label].clone()];
                row.extend([images, hits].map(|count| count.to_string()));
                row.extend(
                    [share, low, high, published, published - share]
                        .map(|number| number.to_string()),
                );
                table.row(row)
            })
        })?;
        let mut values = vec![vec![None; self.labels.names.len()]; self.classes.names.len()];
        for &(class, label, [hits, images], published) in &self.cells {
            values[class][label] = Some(published - hits as f64 / images as f64);
        }
        let [run, other] = names;
        let heatmap = Heatmap {
            title: format!("{other} less {run}"),
            subtitle: Some(format!(
                "published share less the run's; rank correlation {} over {} cells",
                self.spearman.map_or("not defined".into(), |rho| format!("{rho:.3}")),
                self.cells.len()
            )),
            rows: self.classes.names.clone(),
            columns: self.labels.names.clone(),
            values,
            range: (-1.0, 1.0),
            value_label: "difference of shares".into(),
            empty_label: "not known, or no image of this label".into(),
            ..Heatmap::default()
        };
        write(&heatmap.svg()?, &folder.join("differences.png"), &folder.join("differences.svg"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn a_published_matrix_with_holes_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("matrix.csv");
        std::fs::write(&path, "class,Joy,Awe\nPerson,0.50,\nTree,0.10,0.20\nKite,0.3,0.3\n")
            .unwrap();
        let matrix = PublishedMatrix::read(&path).unwrap();
        let counts = Counts {
            cells: Array2::from_shape_vec((2, 3), vec![1, 0, 5, 9, 0, 30]).unwrap(),
            images: vec![10, 0, 60],
        };
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = matrix
            .compare(&counts, &names(&["tree", "person"]), &names(&["Awe", "Fear", "Joy"]))
            .unwrap();
        assert_eq!(
            found.cells,
            [(0, 0, [1, 10], 0.2), (0, 1, [5, 60], 0.1), (1, 1, [30, 60], 0.5)]
        );
        assert_eq!((found.spearman, found.outside), (Some(1.0), 0));
        found.write(&folder.path().join("out"), ["run", "paper"]).unwrap();
        assert!(
            matrix
                .compare(&counts, &names(&["Hat", "Cat"]), &names(&["Awe", "Fear", "Joy"]))
                .is_err()
        );
        std::fs::write(&path, "class,Joy\nPerson,1.5\n").unwrap();
        let message = PublishedMatrix::read(&path).unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("1.5"), "{message}");
    }
}
