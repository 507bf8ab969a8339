//! What is known of every epoch: a table, and curves.

use crate::Result;
use crate::plot::{Panel, Panels, Series, write};
use crate::run::table;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// An epoch that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u64,
    /// The learning rate at its end.
    pub rate: f64,
    /// Mean loss of the pictures it showed, each when it was shown.
    pub training_loss: f64,
    /// Share of them that were answered rightly then.
    pub training_accuracy: f64,
    /// Mean loss of the pictures to choose by.
    pub validation_loss: f64,
    /// Share of them answered rightly.
    pub validation_accuracy: f64,
    /// Mean distance of two domains' features over the steps, where a training makes it small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discrepancy: Option<f64>,
}

/// Writes `log.csv`: a row an epoch. The column of the discrepancy is there where a training has
/// one.
///
/// # Errors
/// The file cannot be written.
pub fn write_log(path: &Path, epochs: &[Epoch]) -> Result<()> {
    table(path, |table| {
        let adapted = epochs.iter().any(|epoch| epoch.discrepancy.is_some());
        let names = [
            "epoch",
            "rate",
            "training_loss",
            "training_accuracy",
            "validation_loss",
            "validation_accuracy",
        ];
        table.row(names.into_iter().chain(adapted.then_some("discrepancy")))?;
        for epoch in epochs {
            let shares = [
                epoch.training_loss,
                epoch.training_accuracy,
                epoch.validation_loss,
                epoch.validation_accuracy,
            ];
            let numbers = shares.map(|number| format!("{number:.6}"));
            let discrepancy =
                epoch.discrepancy.map_or(String::new(), |number| format!("{number:.6e}"));
            let head = [epoch.epoch.to_string(), format!("{:.6e}", epoch.rate)];
            table.row(head.into_iter().chain(numbers).chain(adapted.then_some(discrepancy)))?;
        }
        Ok(())
    })
}

/// Draws `curves.png` and `.svg` into `folder`: loss and accuracy of every epoch.
///
/// # Errors
/// The files cannot be written.
pub fn draw(folder: &Path, title: &str, epochs: &[Epoch]) -> Result<()> {
    let series = |name: &str| Series { name: name.into(), baseline: false };
    let panel = |title: &str, values: &[fn(&Epoch) -> Option<f64>]| Panel::Lines {
        title: title.into(),
        across: "epoch".into(),
        up: title.into(),
        lines: values
            .iter()
            .map(|value| {
                epochs
                    .iter()
                    .filter_map(|epoch| Some((epoch.epoch as f64, value(epoch)?)))
                    .collect()
            })
            .collect(),
        whole_numbers: true,
        n: None,
    };
    let mut panels = vec![
        panel("loss", &[|epoch| Some(epoch.training_loss), |epoch| Some(epoch.validation_loss)]),
        panel(
            "accuracy",
            &[|epoch| Some(epoch.training_accuracy), |epoch| Some(epoch.validation_accuracy)],
        ),
    ];
    if epochs.iter().any(|epoch| epoch.discrepancy.is_some()) {
        panels.push(panel("discrepancy", &[|epoch| epoch.discrepancy, |_| None]));
    }
    let panels = Panels {
        title: title.into(),
        subtitle: "of every epoch, on the pictures learnt from and on those to choose by".into(),
        series: vec![series("training"), series("validation")],
        panels,
        notes: Vec::new(),
    };
    write(&panels.svg()?, &folder.join("curves.png"), &folder.join("curves.svg"))
}
