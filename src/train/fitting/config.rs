//! How a network is trained, as a recipe says it: how long, how fast, with which loss.

use super::descent::{DescentKind, Rule};
use super::history::Epoch;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// `[training]`: how long, how fast, with which loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// How often every picture is shown.
    pub epochs: u64,
    /// Pictures a step.
    pub batch: usize,
    /// Which way down.
    pub optimiser: DescentKind,
    /// The highest learning rate.
    pub rate: f64,
    /// How it changes.
    pub schedule: RateSchedule,
    /// Share of the steps in which the rate rises from 0.
    pub warm_up: f64,
    /// SGD's momentum.
    pub momentum: f64,
    /// How fast kernels and matrices are drawn towards 0.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm; 0: never.
    pub largest_norm: f64,
    /// Labels count in inverse proportion to how frequent they are.
    pub class_weights: bool,
    /// Share of a label's certainty that is given to all labels alike.
    pub label_smoothing: f64,
    /// The training ends when so many epochs have brought nothing better; 0: it does not.
    pub patience: u64,
    /// Which epoch's weights the network has at the end.
    pub keep: KeptEpoch,
    /// Of `schedule = "plateau"`.
    pub plateau: Plateau,
    /// Of the first weights, the order of pictures, and their changes.
    pub seed: u64,
}

/// How the learning rate changes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateSchedule {
    /// Half a cosine, to 0.
    #[default]
    Cosine,
    /// Not at all.
    Constant,
    /// Lower whenever some epochs have brought nothing better ([`Plateau`]).
    Plateau,
}

/// `[training.plateau]`: how the rate falls where the validation accuracy no longer rises.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plateau {
    /// After so many epochs without a better one,
    pub epochs: u64,
    /// the rate is multiplied by this,
    pub factor: f64,
    /// but never falls below this.
    pub least: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self { epochs: 10, factor: 0.6, least: 8e-5 }
    }
}

impl Plateau {
    /// How often the rate has fallen by the end of `epochs`.
    fn falls(&self, epochs: &[Epoch]) -> i32 {
        let (mut best, mut waited, mut falls) = (f64::NEG_INFINITY, 0, 0);
        for epoch in epochs {
            if epoch.validation_accuracy > best {
                (best, waited) = (epoch.validation_accuracy, 0);
                continue;
            }
            waited += 1;
            if waited == self.epochs {
                (waited, falls) = (0, falls + 1);
            }
        }
        falls
    }
}

/// Which epoch's weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptEpoch {
    /// The one with the highest validation accuracy, of equal ones the first.
    #[default]
    Best,
    /// The last one, where the validation pictures' labels are not to be used.
    Last,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 30,
            batch: 32,
            optimiser: DescentKind::AdamW,
            rate: 3e-4,
            schedule: RateSchedule::Cosine,
            warm_up: 0.05,
            momentum: 0.9,
            weight_decay: 0.01,
            largest_norm: 10.0,
            class_weights: false,
            label_smoothing: 0.0,
            patience: 0,
            keep: KeptEpoch::Best,
            plateau: Plateau::default(),
            seed: 1,
        }
    }
}

impl TrainingConfig {
    /// Refuses values that no training can use.
    ///
    /// # Errors
    /// Which key it is, and what it should be.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Setting(message));
        if self.epochs == 0 || self.batch == 0 {
            return refuse(format!(
                "epochs and batch should be at least 1, found {} and {}",
                self.epochs, self.batch
            ));
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return refuse(format!("rate should be a number over 0, found {}", self.rate));
        }
        for (key, value) in [
            ("warm_up", self.warm_up),
            ("momentum", self.momentum),
            ("weight_decay", self.weight_decay),
            ("label_smoothing", self.label_smoothing),
        ] {
            if !(0.0..1.0).contains(&value) {
                return refuse(format!("{key} should be from 0 to below 1, found {value}"));
            }
        }
        let Plateau { epochs, factor, least } = self.plateau;
        if epochs == 0 || !(factor > 0.0 && factor < 1.0 && least >= 0.0) {
            return refuse(format!(
                "plateau should have epochs over 0, a factor between 0 and 1 and a least rate, \
                 found {epochs}, {factor}, {least}"
            ));
        }
        match self.largest_norm.is_finite() && self.largest_norm >= 0.0 {
            true => Ok(()),
            false => {
                refuse(format!("largest_norm should be 0 or more, found {}", self.largest_norm))
            }
        }
    }

    /// The learning rate of step `step`, from 0, of `steps`, after these epochs.
    pub(in crate::train) fn rate_at(&self, step: u64, steps: u64, epochs: &[Epoch]) -> f64 {
        let share = (step as f64 + 0.5) / steps as f64;
        let rise = if self.warm_up > 0.0 { (share / self.warm_up).min(1.0) } else { 1.0 };
        let fall = match self.schedule {
            RateSchedule::Constant => 1.0,
            RateSchedule::Plateau => {
                let fallen = self.rate * self.plateau.factor.powi(self.plateau.falls(epochs));
                fallen.max(self.plateau.least.min(self.rate)) / self.rate
            }
            RateSchedule::Cosine => {
                let after = ((share - self.warm_up) / (1.0 - self.warm_up)).max(0.0);
                0.5 * (1.0 + (std::f64::consts::PI * after).cos())
            }
        };
        self.rate * rise * fall
    }

    pub(super) fn rule(&self) -> Rule {
        Rule {
            optimiser: self.optimiser,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            largest_norm: self.largest_norm,
        }
    }
}
