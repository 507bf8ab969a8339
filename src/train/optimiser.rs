//! The steps of both trainings: AdamW (Loshchilov & Hutter 2019) with a linear warm-up, a cosine to
//! zero, and a limit on the gradient's norm.

use super::Schedule;
use crate::{Error, Result};
use tch::Tensor;
use tch::nn::{Optimizer, OptimizerConfig, VarStore, adamw};

/// Variables of this group are drawn towards 0: kernels and matrices. The others (biases,
/// BatchNorm) are in group 0.
pub(super) const DECAYED: usize = 1;

/// How much of a weight goes per step and unit of learning rate.
const WEIGHT_DECAY: f64 = 0.02;

/// Share of the steps in which the learning rate rises.
const WARM_UP: f64 = 0.04;

/// Gradients are scaled down to this norm: a rare picture does not throw the weights off.
const LARGEST_NORM: f64 = 10.0;

/// AdamW on all variables of a store.
#[derive(Debug)]
pub(super) struct Optimiser {
    adam: Optimizer,
    schedule: Schedule,
}

impl Optimiser {
    /// At step 0.
    ///
    /// # Errors
    /// libtorch has no memory.
    pub(super) fn new(store: &VarStore, schedule: Schedule) -> Result<Self> {
        let mut adam = adamw(0.9, 0.99, 0.0)
            .build(store, schedule.rate)
            .map_err(Error::torch("starting training"))?;
        adam.set_weight_decay_group(DECAYED, WEIGHT_DECAY);
        Ok(Self { adam, schedule })
    }

    /// Step `number` down the gradient of `loss`, whose value is returned; `adjust` may change the
    /// gradient first.
    ///
    /// # Errors
    /// The loss is not a number: the learning rate is too high.
    pub(super) fn step(
        &mut self,
        number: u64,
        loss: &Tensor,
        adjust: impl FnOnce() -> Result<()>,
    ) -> Result<f64> {
        let value = loss.f_double_value(&[]).map_err(Error::torch("reading the loss"))?;
        if !value.is_finite() {
            return Err(Error::Numerics(format!(
                "training failed at step {number}: the loss is {value}; try a lower learning rate \
                 than {}",
                self.schedule.rate
            )));
        }
        self.adam.set_lr(self.schedule.rate_at(number));
        self.adam.zero_grad();
        loss.f_backward().map_err(Error::torch("computing the gradient"))?;
        adjust()?;
        self.adam.clip_grad_norm(LARGEST_NORM);
        self.adam.step();
        Ok(value)
    }
}

impl Schedule {
    /// The learning rate of step `number`.
    fn rate_at(&self, number: u64) -> f64 {
        let share = (number as f64 + 0.5) / self.steps as f64;
        let rise = (share / WARM_UP).min(1.0);
        self.rate * rise * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        let schedule = Schedule { steps: 1000, batch: 1, rate: 0.01, seed: 0, threads: 1 };
        let rates: Vec<f64> = (0..1000).map(|step| schedule.rate_at(step)).collect();
        assert!(rates[..40].windows(2).all(|pair| pair[0] < pair[1]));
        assert!(rates[40..].windows(2).all(|pair| pair[0] > pair[1]));
        approx::assert_abs_diff_eq!(rates[499], 0.005, epsilon = 2e-5);
        assert!(rates[999] < 1e-6 && rates[0] > 0.0);
    }
}
