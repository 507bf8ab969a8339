//! What the adaptation is worth: the network as it is, what it learns from labels alone, and what
//! the discrepancy loss adds, each with few and with many labelled pictures, each several times.

use super::adaptation::{AdaptPlan, AdaptResult, Adaptation};
use super::discrepancy::DiscrepancyKind;
use super::domains::Labelled;
use super::recipe::AdaptStudyConfig;
use crate::Result;
use crate::plot::{Dot, Panel, Panels, Series, write};
use crate::run::table;
use crate::stats::{ValueWithInterval, mean_interval};
use crate::train::outcome::Told;
use std::path::Path;

/// The network that nothing is taught.
const AS_IT_IS: &str = "as-it-is";

/// The study.
#[derive(Debug)]
pub struct AdaptStudy<'a> {
    /// What every network is adapted with.
    pub adaptation: &'a Adaptation<'a>,
}

/// One way and one number of labelled pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct AdaptStudyRow {
    /// The distance by its name, or that nothing was taught.
    pub way: String,
    /// How many pictures had a label.
    pub labelled: usize,
    /// One a repetition.
    pub accuracies: Vec<f64>,
    /// Their mean with Student's interval; of a network that is measured once Wilson's over the
    /// pictures.
    pub mean: ValueWithInterval,
    /// A linear classifier's accuracy in telling the domains apart at the last compared layer, the
    /// mean of the repetitions.
    pub domain_accuracy: Option<f64>,
    /// The mean paired difference to what labels alone teach, by the same seeds, with Student's
    /// interval.
    pub gain: Option<ValueWithInterval>,
}

impl AdaptStudy<'_> {
    /// All networks, in the order of the rows.
    pub fn plans(&self) -> Vec<AdaptPlan> {
        let AdaptStudyConfig { labelled, repeats, kinds } = &self.adaptation.recipe.study;
        let first = self.adaptation.recipe.training.seed;
        let mut plans = vec![AdaptPlan {
            name: AS_IT_IS.into(),
            labelled: None,
            kind: DiscrepancyKind::None,
            seed: first,
        }];
        for &kind in kinds {
            for &count in labelled {
                plans.extend((first..first + repeats).map(|seed| AdaptPlan {
                    name: format!("{}-{count}-seed-{seed}", kind.name()),
                    labelled: Some(Labelled::Some(count)),
                    kind,
                    seed,
                }));
            }
        }
        plans
    }

    /// Adapts all networks that are not there yet and writes table and picture; `None`: stopped
    /// before the end.
    ///
    /// # Errors
    /// As [`Adaptation::run`].
    pub fn run(&self, told: &mut dyn FnMut(Told)) -> Result<Option<Vec<AdaptStudyRow>>> {
        let &Adaptation { recipe, domains, .. } = self.adaptation;
        for &count in &recipe.study.labelled {
            // Not after hours that there are too few.
            domains.labelled(Labelled::Some(count), recipe.training.seed)?;
        }
        let mut results = Vec::new();
        for plan in self.plans() {
            match self.adaptation.run(&plan, told)? {
                Some(result) => results.push(result),
                None => return Ok(None),
            }
        }
        let rows = rows(&results);
        write_table(self.adaptation.folder, &rows)?;
        draw(self.adaptation.folder, &rows)?;
        Ok(Some(rows))
    }
}

/// Networks of one way and one number of labels together.
fn rows(results: &[AdaptResult]) -> Vec<AdaptStudyRow> {
    let mut rows: Vec<AdaptStudyRow> = Vec::new();
    let way = |result: &AdaptResult| match result.training.name == AS_IT_IS {
        true => AS_IT_IS.to_string(),
        false => result.discrepancy.clone(),
    };
    for group in results.chunk_by(|a, b| (way(a), a.labelled) == (way(b), b.labelled)) {
        let accuracies: Vec<f64> =
            group.iter().map(|result| result.training.accuracy.share).collect();
        let first = &group[0];
        let once = first.training.accuracy;
        let (lower, upper) = once.interval;
        let mean = mean_interval(&accuracies).unwrap_or(ValueWithInterval {
            value: once.share,
            lower,
            upper,
        });
        let domains =
            group.iter().filter_map(|result| Some(result.after.last()?.domain_accuracy.share));
        let domains: Vec<f64> = domains.collect();
        let domain_accuracy = crate::stats::mean(&domains);
        rows.push(AdaptStudyRow {
            way: way(first),
            labelled: first.labelled,
            accuracies,
            mean,
            domain_accuracy,
            gain: None,
        });
    }
    let alone: Vec<AdaptStudyRow> = rows.iter().filter(|row| row.way == "none").cloned().collect();
    for row in rows.iter_mut().filter(|row| row.way != "none") {
        let same = alone.iter().find(|alone| {
            (alone.labelled, alone.accuracies.len()) == (row.labelled, row.accuracies.len())
        });
        row.gain = same.and_then(|alone| {
            let differences =
                row.accuracies.iter().zip(&alone.accuracies).map(|(with, without)| with - without);
            mean_interval(&differences.collect::<Vec<_>>())
        });
    }
    rows
}

fn write_table(folder: &Path, rows: &[AdaptStudyRow]) -> Result<()> {
    table(&folder.join("adaptation.csv"), |table| {
        let mut header = vec![
            "discrepancy",
            "labelled",
            "repeats",
            "accuracy",
            "lower",
            "upper",
            "least",
            "most",
        ];
        header.extend(["domain_accuracy", "gain", "gain_lower", "gain_upper"]);
        table.row(header)?;
        for row in rows {
            let (least, most) = row
                .accuracies
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &one| {
                    (least.min(one), most.max(one))
                });
            let mut cells =
                vec![row.way.clone(), row.labelled.to_string(), row.accuracies.len().to_string()];
            let ValueWithInterval { value: mean, lower, upper } = row.mean;
            cells.extend([mean, lower, upper, least, most].map(|share| format!("{share:.6}")));
            cells.push(row.domain_accuracy.map_or(String::new(), |share| format!("{share:.6}")));
            let gain = row
                .gain
                .map(|gain| [gain.value, gain.lower, gain.upper].map(|one| format!("{one:.6}")));
            cells.extend(gain.unwrap_or_default());
            table.row(cells)?;
        }
        Ok(())
    })
}

fn draw(folder: &Path, rows: &[AdaptStudyRow]) -> Result<()> {
    let name = |row: &AdaptStudyRow| match row.way.as_str() {
        AS_IT_IS => "the network as it is".to_string(),
        "none" => format!("labels alone, {}", row.labelled),
        way => format!("{way}, {}", row.labelled),
    };
    let dot = |row: &AdaptStudyRow, value, interval| {
        Some(Dot { value, interval, mark: "", n: Some(row.accuracies.len()) })
    };
    let accuracy =
        |row: &AdaptStudyRow| dot(row, row.mean.value, Some((row.mean.lower, row.mean.upper)));
    let panel = |title: &str, scale: &str, better: &str, dots, reference| Panel::Dots {
        title: title.into(),
        scale: scale.into(),
        better: better.into(),
        dots,
        reference,
    };
    let domains = rows
        .iter()
        .map(|row| row.domain_accuracy.and_then(|share| dot(row, share, None)))
        .collect();
    let panels = Panels {
        title: "From faces to images: what the adaptation is worth".into(),
        subtitle: "By the number of pictures of the target that have a label".into(),
        series: rows
            .iter()
            .map(|row| Series { name: name(row), baseline: row.way == AS_IT_IS })
            .collect(),
        panels: vec![
            panel(
                "emotions",
                "accuracy",
                "higher is better",
                rows.iter().map(accuracy).collect(),
                None,
            ),
            panel(
                "faces or pictures?",
                "accuracy of a linear classifier",
                "0.5 is chance",
                domains,
                Some(0.5),
            ),
        ],
        notes: vec![
            "Means over n repetitions by seed, Student's intervals, 95 %; of the network as it is \
             Wilson's."
                .into(),
        ],
    };
    write(&panels.svg()?, &folder.join("adaptation.png"), &folder.join("adaptation.svg"))
}
