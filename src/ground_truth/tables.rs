//! What is written of a validation: tables and pictures.

use super::recovery::{Recovery, RecoveryMeasure, Validation};
use crate::files::{write_bytes, write_whole};
use crate::plot::{self, Heatmap};
use crate::{world, Error, Result};
use ndarray::Array2;
use std::path::Path;

impl Validation {
    /// Writes into `folder`: `validity.csv` (one row a judge: method, rule, threshold, then each measure with the ends
    /// of its interval), `effects.csv` and `flips.csv` (classes x labels), `validity.png` and `.svg`, `effects.png` and
    /// `.svg`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path, labels: &[String]) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        self.validity_csv(&folder.join("validity.csv"))?;
        matrix_csv(&folder.join("effects.csv"), labels, &self.effects)?;
        matrix_csv(&folder.join("flips.csv"), labels, &self.flips)?;
        let write = |picture: &Heatmap, name: &str| {
            plot::write(&picture.svg()?, &folder.join(format!("{name}.png")), &folder.join(format!("{name}.svg")))
        };
        write(&self.effects_picture(labels), "effects")?;
        write(&self.validity_picture(), "validity")
    }

    /// The short table for people.
    pub fn summary(&self) -> String {
        let scenes: u64 = self.images.iter().sum();
        let mut text = format!(
            "{scenes} scenes: {} answered as the causal graph does, in {} one object makes the answer\n\
             {:<16} {:<10}  {:>18}  {:>18}  {:>18}  {:>18}  {:>18}  {:>18}\n",
            self.correct,
            self.decisive,
            "method",
            "box score",
            "Spearman",
            "ROC area",
            "average precision",
            "top box hits",
            "Spearman, scenes",
            "effects off by"
        );
        for recovery in &self.recoveries {
            text.push_str(&format!("{:<16} {:<10}", recovery.judge.name, recovery.judge.rule_name()));
            for estimate in &recovery.estimates {
                let cell = match (estimate.value, estimate.interval) {
                    (Some(value), Some((low, high))) => format!("{value:.2} [{low:.2}, {high:.2}]"),
                    (Some(value), None) => format!("{value:.2}"),
                    (None, _) => "-".into(),
                };
                text.push_str(&format!("  {cell:>18}"));
            }
            text.push('\n');
        }
        text
    }

    fn validity_csv(&self, path: &Path) -> Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| Error::file(path, format!("cannot be written: {error}"));
        let mut header = vec!["method".to_string(), "box_score".into(), "threshold".into()];
        for measure in RecoveryMeasure::ALL {
            header.extend(["", "_lower", "_upper"].map(|end| format!("{}{end}", measure.name())));
        }
        table.write_record(&header).map_err(failed)?;
        for Recovery { judge, estimates } in &self.recoveries {
            let cell = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            let mut cells = vec![judge.name.clone(), judge.rule_name().into(), cell(judge.threshold())];
            for estimate in estimates {
                let ends = estimate.interval;
                cells.extend([estimate.value, ends.map(|ends| ends.0), ends.map(|ends| ends.1)].map(cell));
            }
            table.write_record(&cells).map_err(failed)?;
        }
        let bytes = table.into_inner().map_err(|error| Error::file(path, format!("cannot be written: {error}")))?;
        write_bytes(path, &bytes)
    }

    fn effects_picture(&self, labels: &[String]) -> Heatmap {
        let seen: Vec<usize> = (0..labels.len()).filter(|&label| self.images[label] > 0).collect();
        let scenes: u64 = self.images.iter().sum();
        Heatmap {
            title: "What taking an object out does".into(),
            subtitle: Some(format!("{scenes} scenes: mean fall of the predicted label's probability")),
            rows: world::CLASSES.iter().map(ToString::to_string).collect(),
            columns: seen.iter().map(|&label| labels[label].clone()).collect(),
            values: self
                .effects
                .rows()
                .into_iter()
                .map(|row| seen.iter().map(|&label| row[label].map(|effect| effect.clamp(-1.0, 1.0))).collect())
                .collect(),
            range: (-1.0, 1.0),
            value_label: "fall of the probability".into(),
            column_notes: seen.iter().map(|&label| self.images[label].to_string()).collect(),
            column_notes_label: "scenes".into(),
            notes: vec!["0 where an object of the class is not in the scene.".into()],
            ..Heatmap::default()
        }
    }

    fn validity_picture(&self) -> Heatmap {
        let names = [
            "Spearman with the effects",
            "ROC area, causes",
            "Average precision, causes",
            "Top box hits",
            "Spearman, single scenes",
        ];
        Heatmap {
            title: "How well the maps find the causes".into(),
            subtitle: Some("by method and score of a box; higher is better".into()),
            rows: self.recoveries.iter().map(|of| format!("{}, {}", of.judge.name, of.judge.rule_name())).collect(),
            columns: names.map(String::from).to_vec(),
            values: self
                .recoveries
                .iter()
                .map(|of| {
                    of.estimates
                        .iter()
                        .take(names.len())
                        .map(|estimate| estimate.value.map(|value| value.max(0.0)))
                        .collect()
                })
                .collect(),
            empty_label: "not defined".into(),
            value_label: "0 to 1".into(),
            notes: vec![
                "Negative correlations are shown as 0; validity.csv has the numbers and their intervals.".into()
            ],
            ..Heatmap::default()
        }
    }
}

/// Classes x labels, with empty cells where nothing is defined.
fn matrix_csv(path: &Path, labels: &[String], matrix: &Array2<Option<f64>>) -> Result<()> {
    let failed = |error: csv::Error| Error::file(path, format!("cannot be written: {error}"));
    write_whole(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(["class"].into_iter().chain(labels.iter().map(String::as_str))).map_err(failed)?;
        for (class, row) in world::CLASSES.iter().zip(matrix.rows()) {
            let cells = row.iter().map(|value| value.map(|value| value.to_string()).unwrap_or_default());
            table.write_record([(*class).to_string()].into_iter().chain(cells)).map_err(failed)?;
        }
        table.flush().map_err(Error::io("write", path))
    })
}
