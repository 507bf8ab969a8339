//! How often a network named which label for pictures of which label.

use crate::Result;
use crate::files::write_bytes;
use crate::plot::{Heatmap, write};
use crate::run::table;
use crate::stats::{Share, ValueWithInterval, cohens_kappa};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A confusion matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Names of the labels.
    pub labels: Vec<String>,
    /// Pictures by their label (row) and the label that was answered (column).
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Of no pictures yet.
    pub fn new(labels: &[String]) -> Self {
        Self { labels: labels.to_vec(), counts: vec![vec![0; labels.len()]; labels.len()] }
    }

    /// One more picture of `label` for which `answer` was named.
    pub fn add(&mut self, label: usize, answer: usize) {
        self.counts[label][answer] += 1;
    }

    /// Pictures answered rightly, of all.
    pub fn accuracy(&self) -> Option<Share> {
        let right = (0..self.labels.len()).map(|label| self.counts[label][label]).sum();
        Share::of(right, self.counts.iter().flatten().sum())
    }

    /// How far pictures' labels and answers agree beyond what chance gives.
    pub fn kappa(&self) -> Option<ValueWithInterval> {
        cohens_kappa(&self.counts)
    }

    /// Of a label's pictures those that were answered rightly.
    pub fn recall(&self, label: usize) -> Option<Share> {
        Share::of(self.counts[label][label], self.counts[label].iter().sum())
    }

    /// Of the pictures for which a label was answered those that have it.
    pub fn precision(&self, label: usize) -> Option<Share> {
        Share::of(self.counts[label][label], self.counts.iter().map(|row| row[label]).sum())
    }

    /// Labels that are in the pictures or in the answers.
    fn occurring(&self) -> Vec<usize> {
        let occurs = |&label: &usize| {
            self.counts[label].iter().sum::<u64>()
                + self.counts.iter().map(|row| row[label]).sum::<u64>()
                > 0
        };
        (0..self.labels.len()).filter(occurs).collect()
    }

    /// Writes `confusion.csv` (counts), `labels.csv` (recall and precision of every label),
    /// `confusion.png` and `.svg` (shares of each label's pictures, as the paper's Fig. 3) into
    /// `folder`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path, title: &str) -> Result<()> {
        table(&folder.join("confusion.csv"), |table| {
            table.row(std::iter::once("label").chain(self.labels.iter().map(String::as_str)))?;
            for (label, row) in self.labels.iter().zip(&self.counts) {
                table.row(std::iter::once(label.clone()).chain(row.iter().map(u64::to_string)))?;
            }
            Ok(())
        })?;
        table(&folder.join("labels.csv"), |table| {
            table.row([
                "label",
                "pictures",
                "right",
                "recall",
                "recall_lower",
                "recall_upper",
                "answered",
                "precision",
                "precision_lower",
                "precision_upper",
            ])?;
            for (label, name) in self.labels.iter().enumerate() {
                let (recall, precision) = (self.recall(label), self.precision(label));
                let mut cells = vec![name.clone()];
                cells.push(recall.map_or(0, |share| share.cases).to_string());
                cells.push(self.counts[label][label].to_string());
                cells.extend(cells_of(recall));
                cells.push(precision.map_or(0, |share| share.cases).to_string());
                cells.extend(cells_of(precision));
                table.row(cells)?;
            }
            Ok(())
        })?;
        self.draw(folder, title)
    }

    fn draw(&self, folder: &Path, title: &str) -> Result<()> {
        let shown = self.occurring();
        if shown.is_empty() {
            return Ok(());
        }
        let row = |&label: &usize| {
            let cases: u64 = self.counts[label].iter().sum();
            let share = |&answer: &usize| {
                (cases > 0).then(|| self.counts[label][answer] as f64 / cases as f64)
            };
            shown.iter().map(share).collect()
        };
        let names = || shown.iter().map(|&label| self.labels[label].clone()).collect();
        let subtitle = self.accuracy().map(|right| {
            let (lower, upper) = right.interval;
            format!(
                "{} of {} right: {:.3} [{lower:.3}, {upper:.3}]",
                right.hits, right.cases, right.share
            )
        });
        let heatmap = Heatmap {
            title: title.into(),
            subtitle,
            rows: names(),
            columns: names(),
            values: shown.iter().map(row).collect(),
            value_label: "share of the row's pictures".into(),
            empty_label: "no pictures".into(),
            notes: vec!["Rows: what the pictures show; columns: what was answered.".into()],
            ..Heatmap::default()
        };
        write(&heatmap.svg()?, &folder.join("confusion.png"), &folder.join("confusion.svg"))
    }

    /// Writes the matrix and what follows from it as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(&serde_json::json!({
            "accuracy": self.accuracy(),
            "kappa": self.kappa().map(|kappa| [kappa.value, kappa.lower, kappa.upper]),
            "labels": self.labels,
            "counts": self.counts,
        }))
        .expect("numbers and texts");
        json.push(b'\n');
        write_bytes(path, &json)
    }
}

fn cells_of(share: Option<Share>) -> [String; 3] {
    match share {
        Some(Share { share, interval: (lower, upper), .. }) => {
            [share, lower, upper].map(|value| format!("{value:.6}"))
        }
        None => Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_what_is_shown_and_columns_what_is_answered() {
        let labels = ["calm", "glad", "sad"].map(String::from);
        let mut confusion = Confusion::new(&labels);
        for (label, answer) in [(0, 0), (0, 1), (0, 1), (1, 1)] {
            confusion.add(label, answer);
        }
        assert_eq!(confusion.accuracy().map(|share| (share.hits, share.cases)), Some((2, 4)));
        assert_eq!(confusion.recall(0).map(|share| (share.hits, share.cases)), Some((1, 3)));
        assert_eq!(confusion.precision(1).map(|share| (share.hits, share.cases)), Some((1, 3)));
        assert_eq!((confusion.recall(2), confusion.precision(2)), (None, None));
        let folder = tempfile::tempdir().unwrap();
        confusion.write(folder.path(), "Confusion").unwrap();
        let text = std::fs::read_to_string(folder.path().join("confusion.csv")).unwrap();
        assert_eq!(text, "label,calm,glad,sad\ncalm,1,2,0\nglad,0,1,0\nsad,0,0,0\n");
        let text = std::fs::read_to_string(folder.path().join("labels.csv")).unwrap();
        assert!(text.contains("\nsad,0,0,,,,0,,,\n"), "{text}");
        assert!(folder.path().join("confusion.svg").is_file());
    }
}
