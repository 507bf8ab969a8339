//! Networks without weights files: both sides make their tensors by a formula from the tensors'
//! names, and compare summaries (scripts/reference/multi_gap.py).

use emocam::networks::parameters::{Parameter, TensorRole, TensorSource};
use emocam::random::Random;
use serde_json::Value;
use tch::{Kind, Reduction, Tensor};

pub(crate) const SEED: u64 = 13;

/// A tensor of uniform numbers of this deviation about `added`, drawn from `name`.
pub(crate) fn drawn(name: &str, shape: &[i64], deviation: f64, added: f64) -> Tensor {
    const CHUNK: usize = 1 << 20;
    let count = shape.iter().product::<i64>() as usize;
    let mut random = Random::of_text(SEED, name);
    let mut values: Vec<f32> = Vec::with_capacity(count);
    while values.len() < count {
        let some = random.spread(CHUNK.min(count - values.len()), deviation);
        values.extend(some.iter().map(|value| (value + added) as f32));
    }
    Tensor::from_slice(&values).reshape(shape)
}

/// Tensors as the reference makes them: f32 numbers, of this kind.
pub(crate) struct Formula(pub Kind);

impl TensorSource for Formula {
    fn tensor(&mut self, name: &str, shape: &[i64], role: TensorRole) -> emocam::Result<Tensor> {
        let (deviation, added) = match role {
            TensorRole::Kernel | TensorRole::Matrix => {
                ((2.0 / shape[1..].iter().product::<i64>() as f64).sqrt(), 0.0)
            }
            TensorRole::Recurrent => (1.0 / ((shape[0] / 3) as f64).sqrt(), 0.0),
            TensorRole::Bias | TensorRole::Mean => (0.1, 0.0),
            TensorRole::Scale => (0.1, 1.0),
            TensorRole::Variance => (0.2, 1.0),
        };
        Ok(drawn(name, shape, deviation, added).to_kind(self.0))
    }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(crate) fn integers(value: &Value) -> Vec<i64> {
    list(value).iter().map(|number| number.as_i64().unwrap()).collect()
}

pub(crate) fn floats(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(&tensor.detach().to_kind(Kind::Double).contiguous().flatten(0, -1))
        .unwrap()
}

/// The largest difference at the places that `wanted` names, as a share of `unit`.
pub(crate) fn off_at_places(found: &[f64], wanted: &Value, unit: f64) -> f64 {
    let pairs = integers(&wanted["places"]).into_iter().zip(list(&wanted["values"]));
    pairs.fold(0.0, |worst: f64, (place, value)| {
        worst.max((found[place as usize] - value.as_f64().unwrap()).abs() / unit)
    })
}

/// How far a tensor is from its summary, as a share of its largest absolute value: entries, mean
/// and mean absolute value.
pub(crate) fn off(found: &Tensor, wanted: &Value) -> f64 {
    assert_eq!(found.size(), integers(&wanted["shape"]));
    let number = |name: &str| wanted[name].as_f64().unwrap();
    let (values, unit) = (floats(found), number("largest"));
    let mean = |part: fn(f64) -> f64| {
        values.iter().map(|&value| part(value)).sum::<f64>() / values.len() as f64
    };
    let means = [mean(|value| value) - number("mean"), mean(f64::abs) - number("size")];
    let entries = off_at_places(&values, wanted, unit);
    assert!(entries.is_finite(), "a number is none");
    means.into_iter().fold(entries, |worst, difference| worst.max(difference.abs() / unit))
}

/// The pixels of a case.
pub(crate) fn pixels(case: &Value) -> Tensor {
    drawn(case["pixels"].as_str().unwrap(), &integers(&case["shape"]), 70.0, 127.5)
}

/// Changes below this are rounding: the mathematics says zero, as for a bias that the next
/// BatchNorm takes away.
pub(crate) const NOTHING: f64 = 1e-12;

/// A step of gradient descent on all that is learnt: the loss, and what is added to each tensor,
/// running statistics too.
fn step(
    parameters: &[Parameter],
    logits: impl Fn(bool) -> Tensor,
    case: &Value,
) -> (f64, Vec<Vec<f64>>) {
    let before: Vec<Tensor> = parameters.iter().map(|parameter| parameter.tensor.copy()).collect();
    for parameter in parameters.iter().filter(|parameter| parameter.role.is_learnt()) {
        let _ = parameter.tensor.set_requires_grad(true);
    }
    let targets = Tensor::from_slice(&integers(&case["targets"]));
    let loss =
        logits(true).cross_entropy_loss::<Tensor>(&targets, None, Reduction::Mean, -100, 0.0);
    loss.backward();
    let _no_grad = tch::no_grad_guard();
    let rate = case["rate"].as_f64().unwrap();
    let changes = parameters.iter().zip(&before).map(|(parameter, before)| {
        let mut tensor = parameter.tensor.shallow_clone();
        if parameter.role.is_learnt() {
            let _ = tensor.f_sub_(&(tensor.grad() * rate)).unwrap();
        }
        floats(&(tensor - before))
    });
    let changes = changes.collect();
    (loss.double_value(&[]), changes)
}

/// Loss, changes of all tensors and logits afterwards are the reference's. `logits` of the case's
/// pixels, while training or not.
pub(crate) fn assert_step(
    parameters: &[Parameter],
    logits: impl Fn(bool) -> Tensor,
    case: &Value,
    tolerance: f64,
) {
    let (loss, found) = step(parameters, &logits, case);
    let loss = (loss / case["loss"].as_f64().unwrap() - 1.0).abs();
    let changes = case["changes"].as_object().unwrap();
    assert_eq!(changes.len(), found.len());
    let (mut worst, mut worst_name, mut nothing) = (0.0, "", 0);
    for (parameter, change) in parameters.iter().zip(found) {
        let wanted = &changes[&parameter.name];
        let norm = change.iter().map(|value| value * value).sum::<f64>().sqrt();
        let wanted_norm = wanted["norm"].as_f64().unwrap();
        if wanted_norm < NOTHING {
            assert!(norm < NOTHING, "{}: changed by {norm:.1e}", parameter.name);
            nothing += 1;
            continue;
        }
        let entries = off_at_places(&change, wanted, wanted["largest"].as_f64().unwrap());
        let difference = entries.max((norm / wanted_norm - 1.0).abs());
        if difference > worst {
            (worst, worst_name) = (difference, &parameter.name);
        }
    }
    let (name, after) = (&case["pixels"], off(&logits(false), &case["logits_after"]));
    eprintln!(
        "{name}: loss within {loss:.1e}, changes {worst:.1e} ({worst_name}), logits {after:.1e}; \
         {nothing} nothing"
    );
    assert!([loss, worst, after].iter().all(|&difference| difference < tolerance), "{name}");
    assert!(nothing * 10 < changes.len(), "{name}: {nothing} tensors are not compared");
}
