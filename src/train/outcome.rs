//! What a training came to: how a network does on pictures that nothing was learnt from, with
//! tables and figures.

use super::data::Divided;
use super::fitting::{Learner, Lessons, StepDone, Trained};
use crate::classify::Confusion;
use crate::files::{read_text, remove_leftovers, write_bytes};
use crate::networks::parameters::Parameter;
use crate::run::{Failure, table, write_failures};
use crate::stats::Share;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::{Device, Kind, TchError, Tensor};

/// The file that says that a training is over.
const RESULT: &str = "result.json";

/// The name of a trained network's weights; its card is beside them.
pub const WEIGHTS: &str = "model.safetensors";

/// What a training came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingResult {
    /// The network's name in a study.
    pub name: String,
    /// What must be the same for it to count as done.
    pub fingerprint: String,
    /// Pictures that were learnt from, chosen by, and measured with.
    pub pictures: [usize; 3],
    /// Epochs, and the one whose weights were kept; 0 where nothing was trained.
    pub epochs: u64,
    /// See `epochs`.
    pub best_epoch: u64,
    /// On the pictures to measure with.
    pub accuracy: Share,
    /// Numbers that were trained, of all.
    pub trained_numbers: usize,
    /// Numbers in the network.
    pub numbers: usize,
    /// Seconds of this process.
    pub seconds: f64,
    /// The median of a training step's seconds, where this process trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_seconds: Option<f64>,
    /// Of the time of training steps and of waiting for pictures the share that was waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_share: Option<f64>,
}

/// How far a training of one network or several is.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A network's turn has come.
    Network(String),
    /// The backbones are run over so many batches, of so many.
    Features(u64, u64),
    /// A step of the training.
    Step(StepDone),
}

/// A network that is measured on pictures that nothing was learnt from.
#[derive(Debug)]
pub struct Examination<'a> {
    /// The network.
    pub learner: &'a dyn Learner,
    /// The pictures to measure with.
    pub lessons: &'a dyn Lessons,
    /// All pictures.
    pub data: &'a Divided,
    /// Where tables and figures go.
    pub folder: &'a Path,
    /// The network's name in a study.
    pub name: &'a str,
    /// What stands over its confusion matrix.
    pub title: &'a str,
}

impl Examination<'_> {
    /// Measures, and writes `predictions.csv`, `confusion.csv`, `.png` and `.svg`, `labels.csv` and
    /// `failures.csv`. Fingerprint and seconds of the result are the caller's to fill in.
    ///
    /// # Errors
    /// The network could not be run; none of the pictures can be read; a file cannot be written.
    pub fn run(&self, trained: Trained) -> Result<TrainingResult> {
        let Trained { epochs, best, mut failures, clock } = trained;
        let confusion = self.answers(&mut failures)?;
        failures.extend(self.data.failures.iter().cloned());
        failures.sort_by(|a, b| a.path.cmp(&b.path));
        failures.dedup_by(|a, b| a.path == b.path);
        write_failures(&self.folder.join("failures.csv"), &failures)?;
        confusion.write(self.folder, &format!("Confusion matrix: {}", self.title))?;
        let accuracy = confusion.accuracy();
        let parameters = self.learner.parameters().iter();
        let numbers = |one: &Parameter| one.tensor.numel();
        let changed =
            parameters.clone().filter(|one| !epochs.is_empty() && self.learner.is_trained(one));
        Ok(TrainingResult {
            name: self.name.into(),
            fingerprint: String::new(),
            pictures: [&self.data.train, &self.data.validation, &self.data.test].map(Vec::len),
            epochs: epochs.len() as u64,
            best_epoch: best,
            accuracy: accuracy
                .ok_or_else(|| Error::Setting("no picture to measure with can be read".into()))?,
            trained_numbers: changed.map(numbers).sum(),
            numbers: parameters.map(numbers).sum(),
            seconds: 0.0,
            step_seconds: clock.step_seconds(),
            waited_share: clock.waited_share(),
        })
    }

    /// What the network answers: `predictions.csv`, and the confusion.
    fn answers(&self, failures: &mut Vec<Failure>) -> Result<Confusion> {
        let _no_grad = tch::no_grad_guard();
        let labels = &self.data.labels;
        let mut confusion = Confusion::new(labels);
        let mut rows = Vec::new();
        self.lessons.in_order(&mut |mut batch| {
            failures.append(&mut batch.failures);
            if batch.numbers.is_empty() {
                return Ok(());
            }
            let answer = || -> Result<_, TchError> {
                let probabilities =
                    self.learner.logits(&batch, false)?.f_softmax(1, Kind::Float)?;
                let (highest, answers) = probabilities.f_max_dim(1, false)?;
                Ok((Vec::<f32>::try_from(&highest)?, Vec::<i64>::try_from(&answers)?))
            };
            let (highest, answers) =
                answer().map_err(Error::torch("reading the network's answers"))?;
            for ((&number, answer), probability) in batch.numbers.iter().zip(answers).zip(highest) {
                confusion.add(self.data.test[number].label, answer as usize);
                rows.push((number, answer as usize, probability));
            }
            Ok(())
        })?;
        table(&self.folder.join("predictions.csv"), |table| {
            table.row(["path", "label", "answer", "probability"])?;
            for &(number, answer, probability) in &rows {
                let item = &self.data.test[number];
                table.row([
                    &item.path,
                    &labels[item.label],
                    &labels[answer],
                    &format!("{probability:.6}"),
                ])?;
            }
            Ok(())
        })?;
        Ok(confusion)
    }
}

/// Labels in inverse proportion to how many pictures each has, the mean over pictures 1, and 1 for
/// a label that has none: (labels).
///
/// # Errors
/// No memory.
pub fn label_weights(counts: &[usize], device: Device) -> Result<Tensor> {
    let occurring = counts.iter().filter(|&&count| count > 0).count();
    let all = counts.iter().sum::<usize>() as f32;
    let weight =
        |&count: &usize| if count == 0 { 1.0 } else { all / (occurring as f32 * count as f32) };
    let weights: Vec<f32> = counts.iter().map(weight).collect();
    Tensor::f_from_slice(&weights)
        .and_then(|weights| weights.f_to_device(device))
        .map_err(Error::torch("weighing the labels"))
}

/// Writes a result into its training's folder: the training is over.
///
/// # Errors
/// The file cannot be written.
pub fn write_result(folder: &Path, result: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec_pretty(result).expect("numbers and texts");
    write_bytes(&folder.join(RESULT), &json)
}

/// What a finished training in `folder` came to; `None` where there is none yet: then the folder is
/// ready for one, made if need be and without what a killed process left half written.
///
/// # Errors
/// The file cannot be read, or has another fingerprint, which `fingerprint_of` finds in it; the
/// folder cannot be made.
pub fn known_result<T: DeserializeOwned>(
    folder: &Path,
    fingerprint: &str,
    fingerprint_of: impl Fn(&T) -> &str,
) -> Result<Option<T>> {
    let path = folder.join(RESULT);
    if !path.exists() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        remove_leftovers(folder, ".")?;
        return Ok(None);
    }
    let result: T = serde_json::from_str(&read_text(&path)?)
        .map_err(|error| Error::file(&path, format!("is not the result of a training: {error}")))?;
    match fingerprint_of(&result) == fingerprint {
        true => Ok(Some(result)),
        false => Err(Error::file(
            folder,
            "holds a training with other settings or other data: name another folder with --out",
        )),
    }
}
