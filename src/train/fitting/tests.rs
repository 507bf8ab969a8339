//! Tests of the descent against PyTorch, and of what a training remembers.

use super::descent::{Descent, DescentKind, Rule};
use super::{RateSchedule, TrainingConfig};
use crate::networks::parameters::{Parameter, TensorRole};
use serde::Deserialize;
use std::collections::BTreeMap;
use tch::Tensor;

/// `tests/reference/optimisers/steps.json`, by scripts/reference/optimisers.py.
#[derive(Deserialize)]
struct Reference {
    rate: f64,
    weight_decay: f64,
    first: Vec<Vec<f32>>,
    gradients: Vec<Vec<Vec<f32>>>,
    last: BTreeMap<String, Vec<Vec<f32>>>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../../../tests/reference/optimisers/steps.json")).unwrap()
}

fn parameters(first: &[Vec<f32>]) -> Vec<Parameter> {
    let made = first.iter().zip([TensorRole::Kernel, TensorRole::Bias]).map(|(values, role)| {
        let tensor = Tensor::from_slice(values).set_requires_grad(true);
        Parameter { name: format!("{role:?}"), role, tensor }
    });
    made.collect()
}

/// Gives the parameters these gradients: those of the sum of parameter times gradient.
fn set_gradients(parameters: &[Parameter], gradients: &[Vec<f32>]) {
    let terms = parameters
        .iter()
        .zip(gradients)
        .map(|(one, gradient)| (&one.tensor * Tensor::from_slice(gradient)).sum(None));
    terms.reduce(|a, b| a + b).unwrap().backward();
}

fn rule(optimiser: DescentKind, momentum: f64, weight_decay: f64) -> Rule {
    Rule { optimiser, momentum, weight_decay, largest_norm: 0.0 }
}

#[test]
fn five_steps_are_pytorchs() {
    let reference = reference();
    // Differences of 6e-8, at values up to 2, were seen.
    for (name, rule) in [
        ("sgd", rule(DescentKind::Sgd, 0.0, reference.weight_decay)),
        ("sgd_momentum", rule(DescentKind::Sgd, 0.9, reference.weight_decay)),
        ("adamw", rule(DescentKind::AdamW, 0.9, reference.weight_decay)),
    ] {
        let parameters = parameters(&reference.first);
        let all: Vec<&Parameter> = parameters.iter().collect();
        let mut descent = Descent::new(rule);
        for gradients in &reference.gradients {
            set_gradients(&parameters, gradients);
            descent.step(&all, reference.rate).unwrap();
        }
        for (one, expected) in parameters.iter().zip(&reference.last[name]) {
            for (found, expected) in one.to_array().unwrap().values.iter().zip(expected) {
                approx::assert_abs_diff_eq!(*found, *expected, epsilon = 1.8e-7);
            }
        }
    }
}

#[test]
fn gradients_are_shortened_to_the_largest_norm_and_those_that_are_short_stay() {
    let reference = reference();
    for (largest_norm, shortened) in [(0.5, true), (100.0, false)] {
        let parameters = parameters(&reference.first);
        let all: Vec<&Parameter> = parameters.iter().collect();
        set_gradients(&parameters, &reference.gradients[0]);
        let norm =
            reference.gradients[0].iter().flatten().map(|value| value * value).sum::<f32>().sqrt();
        let mut descent = Descent::new(Rule { largest_norm, ..rule(DescentKind::Sgd, 0.0, 0.0) });
        descent.step(&all, 1.0).unwrap();
        let share = if shortened { 0.5 / norm } else { 1.0 };
        for ((one, first), gradient) in
            parameters.iter().zip(&reference.first).zip(&reference.gradients[0])
        {
            for ((found, first), gradient) in
                one.to_array().unwrap().values.iter().zip(first).zip(gradient)
            {
                approx::assert_abs_diff_eq!(*found, first - share * gradient, epsilon = 1e-6);
            }
        }
    }
}

#[test]
fn the_rate_rises_and_falls_or_stays() {
    let config = TrainingConfig { rate: 0.01, warm_up: 0.1, ..TrainingConfig::default() };
    let rates: Vec<f64> = (0..1000).map(|step| config.rate_at(step, 1000, &[])).collect();
    assert!(rates[..100].windows(2).all(|pair| pair[0] < pair[1]));
    assert!(rates[100..].windows(2).all(|pair| pair[0] > pair[1]));
    assert!(rates[999] < 1e-6 && rates[0] > 0.0);
    let constant = TrainingConfig { schedule: RateSchedule::Constant, warm_up: 0.0, ..config };
    assert!((0..1000).all(|step| constant.rate_at(step, 1000, &[]) == 0.01));
}
