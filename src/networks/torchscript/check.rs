//! Whether a TorchScript network can be explained: what `emocam models check` shows and what every
//! command asks before it uses one.
//!
//! In: a network with its card. Out: one [`Finding`] a check, with its number, or the failure in
//! words and its cure. The inputs are made here, so that no picture is needed. A check that needs
//! an earlier one that failed is left out.

use super::{TorchScript, said};
use crate::networks::{Activation, Classifier, Layout, SyntheticInput};
use tch::{Device, Kind, TchError, Tensor};

/// The outputs of `forward` and `head` of `features`, of one picture alone and in a batch, may
/// differ by this share of the largest.
const SAME: f64 = 1e-3;

/// The outputs may differ from the card's reference answers by this share of the largest: another
/// version of libtorch, another processor.
const NEAR: f64 = 1e-2;

/// A check and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What is checked.
    pub name: &'static str,
    /// The number that shows it, or what is wrong and what to do.
    pub outcome: Result<String, String>,
}

/// Everything that the checks have in common.
struct Examination<'a> {
    network: &'a TorchScript,
    findings: Vec<Finding>,
}

/// Examines a network.
pub fn examine(network: &TorchScript) -> Vec<Finding> {
    let mut examination = Examination { network, findings: Vec::new() };
    // Each step is reached where the ones before it gave what it needs; that it ended early is in
    // the findings.
    let _ended_early = examination.run();
    examination.findings
}

impl Examination<'_> {
    /// Notes a finding; what failed ends the examination.
    fn note(&mut self, name: &'static str, outcome: Result<String, String>) -> Result<(), ()> {
        let ended = outcome.is_err();
        self.findings.push(Finding { name, outcome });
        if ended { Err(()) } else { Ok(()) }
    }

    /// A finding that also gives something to go on with.
    fn take<T>(
        &mut self,
        name: &'static str,
        result: Result<(T, String), String>,
    ) -> Result<T, ()> {
        match result {
            Ok((value, shown)) => self.note(name, Ok(shown)).map(|()| value),
            Err(failure) => self.note(name, Err(failure)).and(Err(())),
        }
    }

    fn run(&mut self) -> Result<(), ()> {
        let ramp = self.take("synthetic input", input(self.network, SyntheticInput::Ramp))?;
        let activation = self.take("features", self.features(&ramp))?;
        let outputs = self.take("head", self.head(&activation))?;
        self.note("head of features is forward", self.forward(&ramp, &outputs))?;
        self.note("a batch is its pictures", self.batch(&ramp, &outputs))?;
        self.note("the head depends on A", self.depends(&activation, &outputs))?;
        self.note("gradient", self.gradient(&activation))?;
        for known in &self.network.card.reference {
            self.note("reference answer", self.reference(known.input, &known.outputs))?;
        }
        Ok(())
    }

    /// `features` gives A of the card's layout.
    fn features(&self, ramp: &Tensor) -> Result<(Activation, String), String> {
        let _no_grad = tch::no_grad_guard();
        let activation = self.network.split(ramp).map_err(|error| {
            let text = said(&error);
            match text.contains("has no method") || text.contains("is not defined") {
                true => format!(
                    "the file has no method `features`: export it with scripts/export_model.py \
                     ({text})"
                ),
                false => text,
            }
        })?;
        let shape = activation.values.size();
        if shape[0] != 1 || shape.contains(&0) {
            return Err(format!("of one picture A should have 1 in front, found shape {shape:?}"));
        }
        if let Some(wrong) =
            activation.context.iter().find(|context| context.size().first() != Some(&1))
        {
            return Err(format!(
                "every part of the context should have one entry a picture in front, found shape \
                 {:?}: constants belong into the traced head",
                wrong.size()
            ));
        }
        let places = shape[2] * shape[3];
        if places < 2 {
            return Err(
                "A has a single place, so that no map can be made of it: cut at a layer before the \
                 pooling".into()
            );
        }
        let context = match activation.context.len() {
            0 => String::new(),
            count => format!(", {count} by-pass it"),
        };
        let shown =
            format!("A has {} channels of {} x {} places{context}", shape[1], shape[2], shape[3]);
        Ok((activation, shown))
    }

    /// `head` gives as many numbers as the card says.
    fn head(&self, activation: &Activation) -> Result<(Tensor, String), String> {
        let _no_grad = tch::no_grad_guard();
        let outputs = self.network.outputs(activation).map_err(|error| {
            let text = said(&error);
            match text.contains("has no method") || text.contains("is not defined") {
                true => format!(
                    "the file has no method `head`: export it with scripts/export_model.py ({text})"
                ),
                false => text,
            }
        })?;
        let (shape, wanted) = (outputs.size(), self.network.card.outputs() as i64);
        if shape != [1, wanted] {
            let named =
                if self.network.card.scalar.is_some() { "a single output" } else { "labels" };
            let cure = match shape.first() {
                Some(1) => "correct the card",
                _ => {
                    "`head` has the number of pictures built in; export it so that it takes any \
                     (scripts/export_model.py)"
                }
            };
            return Err(format!(
                "the card names {named}, so that `head` should give (1, {wanted}) for a picture; \
                 it gives {shape:?}: {cure}"
            ));
        }
        if !finite(&outputs).map_err(|error| said(&error))? {
            return Err("an output is not a finite number".into());
        }
        Ok((outputs, format!("{wanted} outputs")))
    }

    fn forward(&self, ramp: &Tensor, outputs: &Tensor) -> Result<String, String> {
        let _no_grad = tch::no_grad_guard();
        let whole = self.network.tensor("forward", &[ramp.shallow_clone()]);
        let whole = whole.map_err(|error| format!("`forward` fails: {}", said(&error)))?;
        let difference = difference(&whole, outputs)?;
        match difference <= SAME {
            true => Ok(format!("they differ by {difference:.1e} of the largest output")),
            false => Err(format!(
                "they differ by {difference:.1e} of the largest output, {SAME:.0e} is allowed: the \
                 three methods were not traced from one network in evaluation mode; export it \
                 again"
            )),
        }
    }

    fn batch(&self, ramp: &Tensor, alone: &Tensor) -> Result<String, String> {
        let _no_grad = tch::no_grad_guard();
        let run = || -> Result<Tensor, TchError> {
            let others = [ramp.f_mul_scalar(0.5)?, ramp.f_neg()?, ramp.shallow_clone()];
            let together = self.network.split(&Tensor::f_cat(&others, 0)?)?;
            self.network.outputs(&together)
        };
        let cure = "the batch size was baked in when it was traced: trace with another one than 1, \
                    and take sizes from tensors (scripts/export_model.py does both)";
        let together =
            run().map_err(|error| format!("a batch of 3 fails: {}; {cure}", said(&error)))?;
        if together.size() != [3, alone.size()[1]] {
            return Err(format!(
                "a batch of 3 gives outputs of shape {:?}; {cure}",
                together.size()
            ));
        }
        let last = together.f_narrow(0, 2, 1).map_err(|error| said(&error))?;
        let difference = difference(&last, alone)?;
        match difference <= SAME {
            true => {
                Ok(format!("in a batch of 3 the outputs differ by {difference:.1e} of the largest"))
            }
            false => Err(format!(
                "in a batch of 3 the outputs differ by {difference:.1e} of the largest: pictures \
                 see each other (batch statistics?); export it in evaluation mode"
            )),
        }
    }

    fn depends(&self, activation: &Activation, outputs: &Tensor) -> Result<String, String> {
        let _no_grad = tch::no_grad_guard();
        let run = || -> Result<f64, TchError> {
            let none = activation.with_values(activation.values.f_zeros_like()?);
            let other =
                activation.with_values(activation.values.f_mul_scalar(-2.0)?.f_add_scalar(1.0)?);
            let moved =
                |changed: &Activation| largest(&self.network.outputs(changed)?.f_sub(outputs)?);
            Ok(moved(&none)?.max(moved(&other)?))
        };
        let moved = run().map_err(|error| said(&error))?;
        if moved > 0.0 {
            return Ok(format!("other values of A move an output by {moved:.1e}"));
        }
        Err(match self.network.card.layout {
            Layout::Tokens { prefix: 1.., .. } => {
                "no output depends on the patches of A: behind the last block the class token \
                 alone is read; cut one block earlier"
                    .into()
            }
            _ => {
                "no output depends on A: the head ignores it; cut at a layer that the answer goes \
                 through"
                    .into()
            }
        })
    }

    fn gradient(&self, activation: &Activation) -> Result<String, String> {
        let cure = "export it with `torch.backends.mha.set_fastpath_enabled(False)` and gradients \
                    switched on (scripts/export_model.py does both)";
        let run = || -> Result<Result<Tensor, String>, TchError> {
            let leaf = activation.values.f_mul_scalar(1.0)?.f_detach()?.set_requires_grad(true);
            tch::with_grad(|| {
                let outputs =
                    self.network.outputs(&activation.with_values(leaf.shallow_clone()))?;
                let score = outputs.f_max()?;
                // libtorch crashes where there is nothing to go back through.
                if !score.requires_grad() {
                    return Ok(Err(format!("no gradient flows from the outputs to A: {cure}")));
                }
                let gradient = Tensor::f_run_backward(&[score], &[&leaf], false, false)?.remove(0);
                Ok(match gradient.defined() {
                    true => Ok(gradient),
                    false => Err(format!("no gradient flows from the outputs to A: {cure}")),
                })
            })
        };
        let gradient = run().map_err(|error| {
            format!("backward through `head` fails: {}; {cure}", said(&error))
        })??;
        let size = largest(&gradient).map_err(|error| said(&error))?;
        if !size.is_finite() {
            return Err("the gradient of the largest output is not finite".into());
        }
        if size == 0.0 {
            return Err(
                "the gradient of the largest output is zero at every place of A: cut one layer \
                 earlier, or at a layer that the answer goes through"
                    .into(),
            );
        }
        Ok(format!("of the largest output, at most {size:.1e} at a place of A"))
    }

    fn reference(&self, synthetic: SyntheticInput, wanted: &[f32]) -> Result<String, String> {
        let _no_grad = tch::no_grad_guard();
        let name = format!("{synthetic:?}").to_lowercase();
        let (input, _) = input(self.network, synthetic)?;
        let run =
            || -> Result<Tensor, TchError> { self.network.outputs(&self.network.split(&input)?) };
        let found = run().map_err(|error| said(&error))?;
        let wanted = Tensor::f_from_slice(wanted)
            .and_then(|wanted| wanted.f_reshape([1, -1])?.f_to_device(found.device()));
        let difference = difference(&found, &wanted.map_err(|error| said(&error))?)?;
        match difference <= NEAR {
            true => Ok(format!("to {name}: off by {difference:.1e} of the largest output")),
            false => Err(format!(
                "to {name} the outputs are off by {difference:.1e} of the largest: these are not \
                 the weights that the card was written for"
            )),
        }
    }
}

/// A prepared input (1, 3, rows, columns) that needs no picture.
fn input(network: &TorchScript, synthetic: SyntheticInput) -> Result<(Tensor, String), String> {
    let size = network.card.input();
    let (rows, columns) = (i64::from(size.height), i64::from(size.width));
    let numbers = match synthetic {
        SyntheticInput::Zeros => Tensor::f_zeros([3 * rows * columns], (Kind::Float, Device::Cpu)),
        SyntheticInput::Ramp => {
            Tensor::f_linspace(-2.0, 2.0, 3 * rows * columns, (Kind::Double, Device::Cpu))
        }
    };
    let made = numbers.and_then(|numbers| {
        numbers
            .f_to_kind(Kind::Float)?
            .f_reshape([1, 3, rows, columns])?
            .f_to_device(network.normalisation.device())
    });
    Ok((made.map_err(|error| said(&error))?, format!("{rows} rows, {columns} columns")))
}

fn finite(tensor: &Tensor) -> Result<bool, TchError> {
    Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0)
}

/// The largest absolute value, on the processor.
fn largest(tensor: &Tensor) -> Result<f64, TchError> {
    tensor.f_abs()?.f_max()?.f_double_value(&[])
}

/// The largest difference as a share of the largest value of `wanted`, or of 1 where that is
/// smaller.
fn difference(found: &Tensor, wanted: &Tensor) -> Result<f64, String> {
    if found.size() != wanted.size() {
        return Err(format!("outputs have shape {:?}, expected {:?}", found.size(), wanted.size()));
    }
    let run = || -> Result<f64, TchError> {
        Ok(largest(&found.f_sub(wanted)?)? / largest(wanted)?.max(1.0))
    };
    run().map_err(|error| said(&error))
}
