//! The two ways down a gradient, by the formulas of PyTorch's `SGD` and `AdamW`.
//!
//! tch has both, but cannot say what they remember, without which a training that was killed does
//! not go on to the same weights. So they are written out here, with what they remember at hand.

use crate::networks::parameters::{Parameter, TensorRole};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor, no_grad};

/// Shares of the past in AdamW's means of the gradient and of its square, and what is added to the
/// divisor.
const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescentKind {
    /// Adam with weight decay apart from the gradient (Loshchilov & Hutter 2019).
    #[default]
    AdamW,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// `[optimiser]` as far as a step needs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Which way.
    pub optimiser: DescentKind,
    /// SGD's share of the last step in the next.
    pub momentum: f64,
    /// How fast kernels and matrices are drawn towards 0, per step and unit of learning rate.
    /// Biases and BatchNorm's numbers are not.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm over all parameters; 0: never.
    pub largest_norm: f64,
}

/// A descent of some parameters.
#[derive(Debug)]
pub struct Descent {
    /// What it remembers of each parameter: SGD one tensor, AdamW two; none before the first step.
    pub memory: Vec<Vec<Tensor>>,
    /// Steps done.
    pub steps: u64,
    rule: Rule,
}

impl Descent {
    /// At the beginning.
    pub fn new(rule: Rule) -> Self {
        Self { memory: Vec::new(), steps: 0, rule }
    }

    /// One step of `parameters` (always the same ones) down their gradients, which are forgotten
    /// then. A parameter without gradient stays where it is.
    ///
    /// # Errors
    /// No memory.
    pub fn step(&mut self, parameters: &[&Parameter], rate: f64) -> Result<()> {
        no_grad(|| self.steps_of_all(parameters, rate))
            .map_err(Error::torch("changing the network's weights"))
    }

    fn steps_of_all(&mut self, parameters: &[&Parameter], rate: f64) -> Result<(), TchError> {
        let shrink = self.shrink(parameters)?;
        self.steps += 1;
        self.memory.resize_with(parameters.len(), Vec::new);
        for (parameter, memory) in parameters.iter().zip(&mut self.memory) {
            let mut gradient = parameter.tensor.f_grad()?;
            if !gradient.defined() {
                continue;
            }
            if let Some(shrink) = shrink {
                let _ = gradient.f_mul_scalar_(shrink)?;
            }
            let decay = match parameter.role {
                TensorRole::Kernel | TensorRole::Matrix | TensorRole::Recurrent => {
                    self.rule.weight_decay
                }
                _ => 0.0,
            };
            let mut values = parameter.tensor.shallow_clone();
            match self.rule.optimiser {
                DescentKind::Sgd => {
                    sgd(&mut values, &gradient, memory, (rate, self.rule.momentum, decay))?;
                }
                DescentKind::AdamW => {
                    adam_w(&mut values, &gradient, memory, (rate, decay), self.steps)?;
                }
            }
            let _ = gradient.f_zero_()?;
        }
        Ok(())
    }

    /// What all gradients are multiplied by to be no longer than allowed; `None`: they are.
    fn shrink(&self, parameters: &[&Parameter]) -> Result<Option<f64>, TchError> {
        if self.rule.largest_norm == 0.0 {
            return Ok(None);
        }
        let mut norms = Vec::new();
        for parameter in parameters {
            let gradient = parameter.tensor.f_grad()?;
            if gradient.defined() {
                norms.push(gradient.f_norm()?);
            }
        }
        let norm = Tensor::f_stack(&norms, 0)?.f_norm()?.f_double_value(&[])?;
        Ok((norm > self.rule.largest_norm).then(|| self.rule.largest_norm / norm))
    }
}

fn sgd(
    values: &mut Tensor,
    gradient: &Tensor,
    memory: &mut Vec<Tensor>,
    (rate, momentum, decay): (f64, f64, f64),
) -> Result<(), TchError> {
    let mut gradient = gradient.shallow_clone();
    if decay != 0.0 {
        gradient = gradient.f_add(&values.f_mul_scalar(decay)?)?;
    }
    if momentum != 0.0 {
        match memory.as_mut_slice() {
            [last] => {
                let _ = last.f_mul_scalar_(momentum)?.f_add_(&gradient)?;
            }
            _ => memory.push(gradient.f_detach_copy()?),
        }
        gradient = memory[0].shallow_clone();
    }
    values.f_sub_(&gradient.f_mul_scalar(rate)?).map(drop)
}

fn adam_w(
    values: &mut Tensor,
    gradient: &Tensor,
    memory: &mut Vec<Tensor>,
    (rate, decay): (f64, f64),
    step: u64,
) -> Result<(), TchError> {
    if memory.is_empty() {
        memory.extend([values.f_zeros_like()?, values.f_zeros_like()?]);
    }
    let [mean, square] = memory.as_mut_slice() else {
        return Err(TchError::Torch("AdamW remembers two".into()));
    };
    if decay != 0.0 {
        let _ = values.f_mul_scalar_(1.0 - rate * decay)?;
    }
    let _ = mean.f_lerp_(gradient, 1.0 - BETAS.0)?;
    let _ = square
        .f_mul_scalar_(BETAS.1)?
        .f_addcmul_(&gradient.f_mul_scalar(1.0 - BETAS.1)?, gradient)?;
    let correction = |beta: f64| 1.0 - beta.powf(step as f64);
    let divisor =
        square.f_sqrt()?.f_div_scalar(correction(BETAS.1).sqrt())?.f_add_scalar(EPSILON)?;
    let change = mean.f_div(&divisor)?.f_mul_scalar(rate / correction(BETAS.0))?;
    values.f_sub_(&change).map(drop)
}
