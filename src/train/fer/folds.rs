//! The same training once for each fold: every picture is measured with once.

use super::recipe::FerRecipe;
use super::training::FerTraining;
use crate::run::table;
use crate::stats::{ValueWithInterval, mean_interval};
use crate::train::data::DataSet;
use crate::train::fitting::TrainingConfig;
use crate::train::outcome::{Told, TrainingResult};
use crate::{Error, Result};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tch::Device;

/// The trainings.
#[derive(Debug)]
pub struct Folds<'a> {
    /// How.
    pub recipe: &'a FerRecipe,
    /// All pictures.
    pub data: &'a DataSet,
    /// How many folds.
    pub count: usize,
    /// Weights of a network that was trained before, from which every one goes on.
    pub initial: Option<&'a Path>,
    /// Where the networks run.
    pub device: Device,
    /// Threads that read pictures.
    pub threads: usize,
    /// Where everything goes.
    pub folder: &'a Path,
    /// Ends the training after the step at hand.
    pub stop: &'a AtomicBool,
}

/// What they came to.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldsResult {
    /// One a fold.
    pub folds: Vec<TrainingResult>,
    /// The mean of the folds' accuracies.
    pub mean: ValueWithInterval,
}

impl Folds<'_> {
    /// Trains all folds that are not there yet and writes `folds.csv`; `None`: stopped before the
    /// end.
    ///
    /// # Errors
    /// As [`FerTraining::run`]; fewer than two folds; a fold without pictures.
    pub fn run(&self, told: &mut dyn FnMut(Told)) -> Result<Option<FoldsResult>> {
        if self.count < 2 {
            return Err(Error::Setting(format!(
                "there should be two folds or more, found {}",
                self.count
            )));
        }
        let config =
            TrainingConfig { schedule: self.recipe.folds.schedule, ..self.recipe.training.clone() };
        let mut folds = Vec::new();
        for fold in 0..self.count {
            let data = &self.recipe.split.fold(self.data.clone(), fold, self.count)?;
            let name = format!("fold-{}", fold + 1);
            let folder = &self.folder.join(&name);
            let &Self { recipe, initial, device, threads, stop, .. } = self;
            let training = FerTraining { recipe, data, initial, device, threads, folder, stop };
            match training.run(&name, &config, told)? {
                Some(result) => folds.push(result),
                None => return Ok(None),
            }
        }
        let accuracies: Vec<f64> = folds.iter().map(|result| result.accuracy.share).collect();
        let mean = mean_interval(&accuracies).expect("there are two or more");
        let result = FoldsResult { folds, mean };
        result.write(self.folder)?;
        Ok(Some(result))
    }
}

impl FoldsResult {
    fn write(&self, folder: &Path) -> Result<()> {
        table(&folder.join("folds.csv"), |table| {
            table.row([
                "fold",
                "accuracy",
                "lower",
                "upper",
                "right",
                "pictures",
                "epochs",
                "best_epoch",
            ])?;
            for result in &self.folds {
                let accuracy = result.accuracy;
                let shares = [accuracy.share, accuracy.interval.0, accuracy.interval.1]
                    .map(|share| format!("{share:.6}"));
                let counts = [accuracy.hits, accuracy.cases, result.epochs, result.best_epoch]
                    .map(|n| n.to_string());
                table.row([result.name.clone()].into_iter().chain(shares).chain(counts))?;
            }
            let ValueWithInterval { value: mean, lower, upper } = self.mean;
            let shares = [mean, lower, upper].map(|share| format!("{share:.6}"));
            table.row(
                ["mean".to_string()].into_iter().chain(shares).chain([const { String::new() }; 4]),
            )
        })
    }
}
