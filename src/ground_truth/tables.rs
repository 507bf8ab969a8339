//! What is written of a validation: tables and pictures.

use super::answers::Reading;
use super::box_judge::BoxJudge;
use super::decision::{Decision, Rightness};
use super::recovery::{Recovery, RecoveryEstimate, RecoveryMeasure, Validation};
use super::worlds::WORLDS;
use crate::files::write_whole;
use crate::plot::{self, Heatmap};
use crate::{Error, Result};
use ndarray::Array2;
use std::path::Path;

impl Validation {
    /// Writes into `folder`: `validity.csv` (one row a judge: method, rule, threshold, then each
    /// measure with the ends of its interval), `effects.csv` and `flips.csv` (classes x labels),
    /// `validity.png` and `.svg`, `effects.png` and `.svg`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path, labels: &[String]) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        self.validity_csv(&folder.join("validity.csv"))?;
        matrix_csv(&folder.join("effects.csv"), &self.things, labels, &self.effects)?;
        matrix_csv(&folder.join("flips.csv"), &self.things, labels, &self.flips)?;
        let write = |picture: &Heatmap, name: &str| {
            plot::write(
                &picture.svg()?,
                &folder.join(format!("{name}.png")),
                &folder.join(format!("{name}.svg")),
            )
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
            text.push_str(&format!(
                "{:<16} {:<10}",
                recovery.judge.name,
                recovery.judge.rule_name()
            ));
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
        let mut header = vec!["method".to_string(), "box_score".into(), "threshold".into()];
        for measure in RecoveryMeasure::ALL {
            header.extend(["", "_lower", "_upper"].map(|end| format!("{}{end}", measure.name())));
        }
        let rows = self.recoveries.iter().map(|Recovery { judge, estimates }| {
            let mut cells =
                vec![judge.name.clone(), judge.rule_name().into(), threshold_cell(judge)];
            cells.extend(estimates.iter().flat_map(interval_cells));
            cells
        });
        write_table(path, &header, rows)
    }

    fn effects_picture(&self, labels: &[String]) -> Heatmap {
        let seen: Vec<usize> = (0..labels.len()).filter(|&label| self.images[label] > 0).collect();
        let scenes: u64 = self.images.iter().sum();
        Heatmap {
            title: "What taking an object out does".into(),
            subtitle: Some(format!(
                "{scenes} scenes: mean fall of the predicted label's probability"
            )),
            rows: self.things.clone(),
            columns: seen.iter().map(|&label| labels[label].clone()).collect(),
            values: self
                .effects
                .rows()
                .into_iter()
                .map(|row| {
                    seen.iter()
                        .map(|&label| row[label].map(|effect| effect.clamp(-1.0, 1.0)))
                        .collect()
                })
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
            rows: self
                .recoveries
                .iter()
                .map(|recovery| format!("{}, {}", recovery.judge.name, recovery.judge.rule_name()))
                .collect(),
            columns: names.map(String::from).to_vec(),
            values: self
                .recoveries
                .iter()
                .map(|recovery| {
                    recovery
                        .estimates
                        .iter()
                        .take(names.len())
                        .map(|estimate| estimate.value.map(|value| value.max(0.0)))
                        .collect()
                })
                .collect(),
            empty_label: "not defined".into(),
            value_label: "0 to 1".into(),
            notes: vec![
                "Negative correlations are shown as 0; validity.csv has the numbers and their \
                 intervals."
                    .into(),
            ],
            ..Heatmap::default()
        }
    }
}

/// A method and a score.
type JudgeName = (String, &'static str);

impl Decision {
    /// Writes into `folder`: `decision.csv` (one row a world, method, score and reading, with what
    /// it is more than by the paper's rule), `decision.png` and `.svg`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let header = [
            "world",
            "method",
            "score",
            "threshold",
            "reading",
            "right",
            "right_lower",
            "right_upper",
            "difference",
            "difference_lower",
            "difference_upper",
        ];
        let row = |row: &Rightness| {
            let mut cells =
                vec![row.world.to_string(), row.judge.name.clone(), row.judge.rule_name().into()];
            cells.extend([threshold_cell(&row.judge), row.reading.name().into()]);
            cells.extend(
                interval_cells(&row.estimate).into_iter().chain(interval_cells(&row.difference)),
            );
            cells
        };
        write_table(&folder.join("decision.csv"), &header, self.rows.iter().map(row))?;
        plot::write(
            &self.picture().svg()?,
            &folder.join("decision.png"),
            &folder.join("decision.svg"),
        )
    }

    /// Columns of the picture: every world by every reading.
    fn columns(&self) -> Vec<(&'static str, Reading)> {
        let worlds = WORLDS
            .iter()
            .map(|world| world.name)
            .filter(|name| self.rows.iter().any(|row| row.world == *name));
        worlds.flat_map(|world| Reading::ALL.map(|reading| (world, reading))).collect()
    }

    /// Every method and score, with its numbers by column.
    fn by_judge(&self) -> Vec<(JudgeName, Vec<Option<&Rightness>>)> {
        let mut names: Vec<JudgeName> = Vec::new();
        for row in &self.rows {
            let name = (row.judge.name.clone(), row.judge.rule_name());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let columns = self.columns();
        let found = |name: &JudgeName, (world, reading): (&str, Reading)| {
            self.rows.iter().find(|row| {
                (row.world, row.reading) == (world, reading)
                    && (row.judge.name.as_str(), row.judge.rule_name()) == (name.0.as_str(), name.1)
            })
        };
        let numbers = |name: JudgeName| {
            let numbers = columns.iter().map(|&column| found(&name, column)).collect();
            (name, numbers)
        };
        names.into_iter().map(numbers).collect()
    }

    fn picture(&self) -> Heatmap {
        let judges = self.by_judge();
        let value = |row: &Option<&Rightness>| row.and_then(|row| row.estimate.value);
        Heatmap {
            title: "How often a method's answer is right, by world".into(),
            subtitle: Some(
                "standard: average precision of the causes; others: share that is right".into(),
            ),
            rows: judges.iter().map(|((method, score), _)| format!("{method}, {score}")).collect(),
            columns: self
                .columns()
                .iter()
                .map(|(world, reading)| format!("{world}: {}", reading.name()))
                .collect(),
            values: judges.iter().map(|(_, numbers)| numbers.iter().map(value).collect()).collect(),
            empty_label: "not defined".into(),
            value_label: "0 to 1".into(),
            notes: vec![
                "decision.csv has the intervals, and the differences to the paper's rule.".into(),
            ],
            ..Heatmap::default()
        }
    }

    /// The methods and scores that are worth most in the world and reading where they are worth
    /// least, and the paper's rule.
    pub fn summary(&self) -> String {
        const SHOWN: usize = 12;
        let columns = self.columns();
        let mut judges = self.by_judge();
        // By what they are worth where they are worst.
        let worst = |numbers: &[Option<&Rightness>]| {
            let values =
                numbers.iter().map(|row| row.and_then(|row| row.estimate.value).unwrap_or(0.0));
            values.fold(f64::INFINITY, f64::min)
        };
        judges.sort_by(|(_, a), (_, b)| worst(b).total_cmp(&worst(a)));
        let mut text = format!("{:<16} {:<9}", "method", "score");
        for (world, reading) in &columns {
            text.push_str(&format!(
                " {:>21}",
                format!("{world}/{}", reading.name().split(' ').next().unwrap_or(""))
            ));
        }
        text.push('\n');
        let is_paper = |name: &(String, &str)| name.0 == "grad-cam" && name.1 == "mean";
        for (number, (name, numbers)) in
            judges.iter().enumerate().filter(|(at, (name, _))| *at < SHOWN || is_paper(name))
        {
            let note = if is_paper(name) {
                format!("  the paper's rule, place {}", number + 1)
            } else {
                String::new()
            };
            text.push_str(&format!("{:<16} {:<9}", name.0, name.1));
            for row in numbers {
                let value = row.and_then(|row| row.estimate.value);
                text.push_str(&format!(
                    " {:>21}",
                    value.map_or_else(|| "-".into(), |value| format!("{value:.2}"))
                ));
            }
            text.push_str(&note);
            text.push('\n');
        }
        text
    }
}

/// A number, or nothing.
pub(super) fn cell(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The threshold as it was given, in single precision.
fn threshold_cell(judge: &BoxJudge) -> String {
    judge.threshold().map(|threshold| (threshold as f32).to_string()).unwrap_or_default()
}

/// A number and the ends of its interval.
pub(super) fn interval_cells(estimate: &RecoveryEstimate) -> [String; 3] {
    let ends = estimate.interval;
    [estimate.value, ends.map(|ends| ends.0), ends.map(|ends| ends.1)].map(cell)
}

/// Writes a CSV.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write_table<H: AsRef<[u8]>>(
    path: &Path,
    header: &[H],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<()> {
    let failed = |error: csv::Error| Error::file(path, format!("cannot be written: {error}"));
    write_whole(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(header).map_err(failed)?;
        for cells in rows {
            table.write_record(&cells).map_err(failed)?;
        }
        table.flush().map_err(Error::io("write", path))
    })
}

/// Things x labels, with empty cells where nothing is defined.
fn matrix_csv(
    path: &Path,
    things: &[String],
    labels: &[String],
    matrix: &Array2<Option<f64>>,
) -> Result<()> {
    let header: Vec<&str> =
        ["class"].into_iter().chain(labels.iter().map(String::as_str)).collect();
    let row = |(thing, row): (&String, ndarray::ArrayView1<'_, Option<f64>>)| {
        [thing.clone()].into_iter().chain(row.iter().copied().map(cell)).collect()
    };
    write_table(path, &header, things.iter().zip(matrix.rows()).map(row))
}
