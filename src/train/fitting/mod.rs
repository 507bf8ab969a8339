//! Training of a classifier, whatever it is: epochs of batches down the gradient of the
//! cross-entropy, the best epoch by pictures that are not learnt from, a checkpoint after every
//! epoch.
//!
//! A training that was killed goes on from its last epoch to the same bytes, for the order of
//! pictures and their changes follow from the seed and the number of the epoch alone, and all that
//! the descent remembers is in the checkpoint.

mod checkpoint;
mod config;
pub mod descent;
pub mod history;
#[cfg(test)]
mod tests;

pub use config::{KeptEpoch, Plateau, RateSchedule, TrainingConfig};

use crate::networks::parameters::Parameter;
use crate::nn::weights::Array;
use crate::run::Failure;
use crate::stats::quantile;
use crate::{Error, Result};
use checkpoint::State;
use descent::Descent;
use history::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tch::{Kind, Reduction, TchError, Tensor};

/// The label of a picture that has none.
pub const UNLABELLED: i64 = -100;

/// The checkpoint's name in a training's folder.
const CHECKPOINT: &str = "checkpoint.safetensors";

/// Pictures on their way into a network.
#[derive(Debug)]
pub struct Batch {
    /// (N, 3, rows, columns), f32, R, G, B, 0..255; `None` where something else is learnt from.
    pub pixels: Option<Tensor>,
    /// (N, pairs)
    pub pairs: Option<Tensor>,
    /// What was computed of the pictures before: per stream and block (N, channels).
    pub means: Vec<Vec<Tensor>>,
    /// (N), the indices of the labels, or [`UNLABELLED`].
    pub labels: Tensor,
    /// Numbers of the pictures (N) in their list.
    pub numbers: Vec<usize>,
    /// Pictures that could not be read.
    pub failures: Vec<Failure>,
}

/// What is trained.
pub trait Learner: std::fmt::Debug {
    /// All tensors of the network.
    fn parameters(&self) -> &[Parameter];

    /// Which of them are changed.
    fn is_trained(&self, parameter: &Parameter) -> bool;

    /// The logits (N, labels) of a batch; in a step of the training with gradients.
    ///
    /// # Errors
    /// The network could not be run.
    fn logits(&self, batch: &Batch, training: bool) -> Result<Tensor, TchError>;

    /// What a step of the training goes by, when the share `done` of all steps is done: the logits
    /// alone, unless more is to be made small than the classification's loss.
    ///
    /// # Errors
    /// The network could not be run.
    fn answer(&self, batch: &Batch, done: f64) -> Result<StepAnswer, TchError> {
        let _ = done;
        Ok(StepAnswer { logits: self.logits(batch, true)?, discrepancy: None })
    }
}

/// What a step of the training goes by; with gradients.
#[derive(Debug)]
pub struct StepAnswer {
    /// (N, labels)
    pub logits: Tensor,
    /// How far two domains' features lie apart (a single number), and its weight beside the
    /// classification's loss.
    pub discrepancy: Option<(Tensor, f64)>,
}

/// What is learnt from.
pub trait Lessons: std::fmt::Debug {
    /// Batches of an epoch.
    fn batches(&self) -> u64;

    /// All batches of an epoch, to learn from.
    ///
    /// # Errors
    /// The first error of `take`.
    fn epoch(&self, epoch: u64, take: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()>;

    /// All batches in their order and unchanged, to measure with.
    ///
    /// # Errors
    /// The first error of `take`.
    fn in_order(&self, take: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()>;
}

/// A training.
#[derive(Debug)]
pub struct TrainingRun<'a> {
    /// What is trained.
    pub learner: &'a dyn Learner,
    /// What it learns from.
    pub lessons: &'a dyn Lessons,
    /// What the best epoch is chosen by.
    pub validation: &'a dyn Lessons,
    /// How.
    pub config: &'a TrainingConfig,
    /// Of every label's pictures in the loss (labels).
    pub label_weights: Option<Tensor>,
    /// Where checkpoint, log and curves go.
    pub folder: &'a Path,
    /// What must be the same for a training to go on.
    pub fingerprint: &'a str,
    /// Ends it after the step at hand.
    pub stop: &'a AtomicBool,
}

/// How far a training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepDone {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean loss of the last fifty steps or so.
    pub loss: f64,
    /// Share of their pictures answered rightly.
    pub accuracy: f64,
    /// Validation accuracy of the last epoch that is over.
    pub validation: Option<f64>,
}

/// What a training came to; the default is that of none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trained {
    /// All epochs.
    pub epochs: Vec<Epoch>,
    /// Number of the one whose weights the network has now.
    pub best: u64,
    /// Pictures that could not be read, each once, in the order of their paths.
    pub failures: Vec<Failure>,
    /// Of this process.
    pub clock: StepClock,
}

/// Where the time of a training went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepClock {
    /// Seconds of every step down the gradient.
    steps: Vec<f64>,
    /// Seconds in which pictures were waited for.
    waited: f64,
}

impl StepClock {
    /// The median of a step's seconds; `None`: no step was done.
    pub fn step_seconds(&self) -> Option<f64> {
        let mut sorted = self.steps.clone();
        sorted.sort_by(f64::total_cmp);
        (!sorted.is_empty()).then(|| quantile(&sorted, 0.5))
    }

    /// Of the time of all steps and of waiting for pictures the share that was waiting.
    pub fn waited_share(&self) -> Option<f64> {
        let all = self.waited + self.steps.iter().sum::<f64>();
        (all > 0.0).then(|| self.waited / all)
    }
}

/// What was seen of a batch.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// Mean over the pictures with a label.
    loss: f64,
    /// How many these are.
    cases: i64,
    /// How many of them were answered rightly.
    right: i64,
}

/// Sums over pictures.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    pictures: f64,
    loss: f64,
    right: f64,
}

impl Sums {
    fn add(&mut self, Counted { loss, cases, right }: Counted) {
        self.pictures += cases as f64;
        self.loss += loss * cases as f64;
        self.right += right as f64;
    }

    fn means(self) -> (f64, f64) {
        (self.loss / self.pictures.max(1.0), self.right / self.pictures.max(1.0))
    }
}

impl TrainingRun<'_> {
    /// Runs to the end, from the checkpoint in the folder where there is one; the network then has
    /// the weights of the best epoch. `None`: stopped before the end.
    ///
    /// # Errors
    /// A checkpoint of another training; a loss that is no number; a file that cannot be written.
    /// What the last epoch left is still there then.
    pub fn run(&self, told: &mut dyn FnMut(StepDone)) -> Result<Option<Trained>> {
        let parameters = self.learner.parameters();
        let trained: Vec<&Parameter> =
            parameters.iter().filter(|parameter| self.learner.is_trained(parameter)).collect();
        for parameter in parameters {
            let _ = parameter.tensor.set_requires_grad(self.learner.is_trained(parameter));
        }
        let mut descent = Descent::new(self.config.rule());
        let path = self.folder.join(CHECKPOINT);
        let known =
            checkpoint::read(&path, self.fingerprint, parameters, (&trained, &mut descent))?;
        let (mut state, mut best) = known.unwrap_or_else(|| {
            (State { fingerprint: self.fingerprint.into(), ..State::default() }, BTreeMap::new())
        });
        let mut clock = StepClock::default();
        while !self.is_over(&state) {
            let epoch = self.epoch(&state, (&trained, &mut descent), &mut clock, told)?;
            let Some(epoch) = epoch else { return Ok(None) };
            let (epoch, failures) = epoch;
            let is_best = state
                .epochs
                .iter()
                .all(|before| before.validation_accuracy < epoch.validation_accuracy);
            if is_best || self.config.keep == KeptEpoch::Last {
                state.best = epoch.epoch;
                best = arrays(parameters)?;
            }
            state.epochs.push(epoch);
            state.steps = descent.steps;
            merge(&mut state.failures, failures);
            checkpoint::write(&path, &state, parameters, &best, (&trained, &descent))?;
            history::write_log(&self.folder.join("log.csv"), &state.epochs)?;
        }
        for parameter in parameters {
            checkpoint::set(parameter, &best[&parameter.name].values)?;
            let _ = parameter.tensor.set_requires_grad(false);
        }
        history::write_log(&self.folder.join("log.csv"), &state.epochs)?;
        history::draw(self.folder, "Training", &state.epochs)?;
        Ok(Some(Trained {
            epochs: state.epochs,
            best: state.best,
            failures: state.failures,
            clock,
        }))
    }

    fn is_over(&self, state: &State) -> bool {
        let (done, patience) = (state.epochs.len() as u64, self.config.patience);
        done >= self.config.epochs || (patience > 0 && done >= highest(&state.epochs) + patience)
    }

    /// One epoch; `None`: stopped in it.
    fn epoch(
        &self,
        state: &State,
        (trained, descent): (&[&Parameter], &mut Descent),
        clock: &mut StepClock,
        told: &mut dyn FnMut(StepDone),
    ) -> Result<Option<(Epoch, Vec<Failure>)>> {
        let number = state.epochs.len() as u64 + 1;
        let steps = self.lessons.batches() * self.config.epochs;
        let mut step = self.lessons.batches() * (number - 1);
        let (mut sums, mut failures, mut discrepancies) = (Sums::default(), Vec::new(), Vec::new());
        let mut recent: Option<(f64, f64)> = None;
        let mut stopped = false;
        let mut waiting = Instant::now();
        let shown = self.lessons.epoch(number, &mut |mut batch| {
            clock.waited += waiting.elapsed().as_secs_f64();
            stopped |= self.stop.load(Ordering::Relaxed);
            failures.append(&mut batch.failures);
            if stopped {
                // Ends the epoch; it is not this error that is reported.
                return Err(Error::Setting("stopped".into()));
            }
            step += 1;
            let count = batch.labels.size()[0];
            if count == 0 {
                return Ok(());
            }
            let now = Moment {
                epoch: number,
                rate: self.config.rate_at(step - 1, steps, &state.epochs),
                done: step as f64 / steps as f64,
            };
            let begun = Instant::now();
            let (counted, discrepancy) = self.step(&batch, trained, descent, now)?;
            clock.steps.push(begun.elapsed().as_secs_f64());
            sums.add(counted);
            discrepancies.extend(discrepancy);
            let Counted { loss, cases, right } = counted;
            let share = right as f64 / cases.max(1) as f64;
            let (mean, accuracy) = recent.map_or((loss, share), |(mean, accuracy): (f64, f64)| {
                (mean + (loss - mean) / 50.0, accuracy + (share - accuracy) / 50.0)
            });
            recent = Some((mean, accuracy));
            let validation = state.epochs.last().map(|epoch| epoch.validation_accuracy);
            told(StepDone { step, steps, loss: mean, accuracy, validation });
            waiting = Instant::now();
            Ok(())
        });
        if stopped {
            return Ok(None);
        }
        shown?;
        let (training_loss, training_accuracy) = sums.means();
        let (validation_loss, validation_accuracy) = self.measured(&mut failures)?;
        if !validation_loss.is_finite() {
            return Err(diverged(number, validation_loss, self.config.rate));
        }
        let count = discrepancies.len() as f64;
        let epoch = Epoch {
            epoch: number,
            rate: self.config.rate_at(step.max(1) - 1, steps, &state.epochs),
            training_loss,
            training_accuracy,
            validation_loss,
            validation_accuracy,
            discrepancy: (count > 0.0).then(|| discrepancies.iter().sum::<f64>() / count),
        };
        Ok(Some((epoch, failures)))
    }

    /// One step down; what was seen before it, and the discrepancy, where there is one.
    fn step(
        &self,
        batch: &Batch,
        trained: &[&Parameter],
        descent: &mut Descent,
        now: Moment,
    ) -> Result<(Counted, Option<f64>)> {
        let answer =
            self.learner.answer(batch, now.done).map_err(Error::torch("running the network"))?;
        let losses = || {
            let (loss, counted) = self.loss(&answer.logits, &batch.labels)?;
            let Some((discrepancy, weight)) = &answer.discrepancy else {
                return Ok((loss, counted, None));
            };
            let all = loss.f_add(&discrepancy.f_mul_scalar(*weight)?)?;
            Ok((all, counted, Some(discrepancy.f_double_value(&[])?)))
        };
        let (all, counted, discrepancy) = losses().map_err(Error::torch("computing the loss"))?;
        if let Some(wrong) =
            [Some(counted.loss), discrepancy].into_iter().flatten().find(|value| !value.is_finite())
        {
            return Err(diverged(now.epoch, wrong, now.rate));
        }
        all.f_backward().map_err(Error::torch("computing the gradient"))?;
        descent.step(trained, now.rate)?;
        Ok((counted, discrepancy))
    }

    /// The mean loss over the pictures with a label, for the gradient and as a number.
    fn loss(&self, logits: &Tensor, labels: &Tensor) -> Result<(Tensor, Counted), TchError> {
        let weights = self.label_weights.as_ref();
        let smoothing = self.config.label_smoothing;
        let loss =
            logits.f_cross_entropy_loss(labels, weights, Reduction::Mean, UNLABELLED, smoothing)?;
        let count = |tensor: Tensor| tensor.f_sum(Kind::Int64)?.f_int64_value(&[]);
        let cases = count(labels.f_ge(0)?)?;
        let right = count(logits.f_argmax(1, false)?.f_eq_tensor(labels)?)?;
        let counted = Counted { loss: loss.f_double_value(&[])?, cases, right };
        Ok((loss, counted))
    }

    /// Mean loss and accuracy on the pictures to choose by.
    fn measured(&self, failures: &mut Vec<Failure>) -> Result<(f64, f64)> {
        let _no_grad = tch::no_grad_guard();
        let mut sums = Sums::default();
        self.validation.in_order(&mut |mut batch| {
            failures.append(&mut batch.failures);
            let count = batch.labels.size()[0];
            if count > 0 {
                let measure = || self.loss(&self.learner.logits(&batch, false)?, &batch.labels);
                let (_, counted) = measure().map_err(Error::torch("running the network"))?;
                sums.add(counted);
            }
            Ok(())
        })?;
        Ok(sums.means())
    }
}

/// The number of the first epoch with the highest validation accuracy; 0 before the first.
fn highest(epochs: &[Epoch]) -> u64 {
    let mut best: Option<&Epoch> = None;
    for epoch in epochs {
        if best.is_none_or(|best| epoch.validation_accuracy > best.validation_accuracy) {
            best = Some(epoch);
        }
    }
    best.map_or(0, |epoch| epoch.epoch)
}

/// Where a training is.
#[derive(Clone, Copy)]
struct Moment {
    /// The epoch's number, from 1.
    epoch: u64,
    rate: f64,
    /// Share of all steps.
    done: f64,
}

fn diverged(epoch: u64, loss: f64, rate: f64) -> Error {
    Error::Numerics(format!(
        "the training failed in epoch {epoch}: the loss is {loss} at a learning rate of \
         {rate:.1e}; begin anew in another folder with a lower rate"
    ))
}

fn arrays(parameters: &[Parameter]) -> Result<BTreeMap<String, Array>> {
    parameters.iter().map(|parameter| Ok((parameter.name.clone(), parameter.to_array()?))).collect()
}

/// Adds failures of pictures that have none yet.
fn merge(known: &mut Vec<Failure>, more: Vec<Failure>) {
    let seen: BTreeSet<String> = known.iter().map(|failure| failure.path.clone()).collect();
    known.extend(more.into_iter().filter(|failure| !seen.contains(&failure.path)));
    known.sort_by(|a, b| a.path.cmp(&b.path));
    known.dedup_by(|a, b| a.path == b.path);
}
