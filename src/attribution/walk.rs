//! The head walked backwards: by the gradient's rule, and by others.

use super::options::LrpRule;
use super::{HeadPass, Score};
use crate::nn::{Layer, Nonlinearity, forward_kept};
use tch::{Kind, TchError, Tensor};

/// Differences smaller than this make a multiplier the derivative; captum's value.
const SAME: f64 = 1e-10;

/// Keeps a division by a layer's output finite; captum's value.
const EPSILON: f64 = 1e-9;

/// What is carried from a layer's output to its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Derivatives of the score.
    Gradient,
    /// DeepLIFT's multipliers, rescale rule, reference A = 0: the sum over A of multiplier times A
    /// is the score less the score of the reference.
    DeepLift,
    /// Relevances: their sum is the score less what the biases take.
    Lrp(LrpRule),
}

/// How much more positive weights count by the gamma rule; captum's value.
const GAMMA: f64 = 0.25;

/// Whether every layer of a head can be walked backwards by every rule.
pub(super) fn walkable(head: &[Layer]) -> bool {
    head.iter().all(|layer| {
        matches!(
            layer,
            Layer::Pointwise(Nonlinearity::Relu)
                | Layer::MaxPool { padding: 0, .. }
                | Layer::AveragePool { .. }
                | Layer::Flatten
                | Layer::Linear { .. }
        )
    })
}

/// Carries `rule` from the score of each picture's class back to A: a tensor of A's shape.
pub(super) fn backward(pass: &HeadPass<'_>, score: Score, rule: Rule) -> Result<Tensor, TchError> {
    let _no_grad = tch::no_grad_guard();
    let Some(head) = pass.visible else {
        return Err(TchError::Torch("the layers of the network's head are not visible".into()));
    };
    let references = match rule {
        Rule::DeepLift => forward_kept(head.layers, &pass.a().f_zeros_like()?.f_narrow(0, 0, 1)?)?,
        Rule::Gradient | Rule::Lrp(_) => Vec::new(),
    };
    let mut carried = start(pass, score, rule, references.last())?;
    for (number, layer) in head.layers.iter().enumerate().rev() {
        let (x, output) = (&head.values[number], &head.values[number + 1]);
        carried = match (layer, rule) {
            (Layer::Flatten, _) => carried.f_reshape(x.size())?,
            (&Layer::MaxPool { size, stride, padding: 0 }, _) => unpool(&carried, x, size, stride)?,
            (Layer::AveragePool { .. }, Rule::Gradient | Rule::DeepLift) => spread(&carried, x)?,
            (Layer::AveragePool { .. }, Rule::Lrp(_)) => averaged_relevance(&carried, x, output)?,
            (Layer::Pointwise(Nonlinearity::Relu), Rule::Gradient) => {
                carried.f_mul(&x.f_gt(0.0)?)?
            }
            (Layer::Pointwise(Nonlinearity::Relu), Rule::Lrp(_)) => carried,
            (Layer::Pointwise(Nonlinearity::Relu), Rule::DeepLift) => {
                carried.f_mul(&rescale(x, &references[number])?)?
            }
            (Layer::Linear { weight, .. }, Rule::Gradient | Rule::DeepLift) => {
                carried.f_matmul(weight)?
            }
            (Layer::Linear { weight, bias }, Rule::Lrp(rule)) => {
                relevance(&carried, (x, output), (weight, bias), rule)?
            }
            (other, _) => unreachable!("walkable() has refused a head with {other:?}"),
        };
    }
    Ok(carried)
}

/// From the relevance of a linear layer's outputs to that of its inputs `x`, which are not negative
/// behind a ReLU.
fn relevance(
    carried: &Tensor,
    (x, output): (&Tensor, &Tensor),
    (weight, bias): (&Tensor, &Tensor),
    rule: LrpRule,
) -> Result<Tensor, TchError> {
    let (weight, z) = match rule {
        LrpRule::Epsilon => (weight.shallow_clone(), output.shallow_clone()),
        LrpRule::Gamma => {
            let weight = weight.f_clamp_min(0.0)?.f_mul_scalar(GAMMA)?.f_add(weight)?;
            let z = x.f_linear(&weight, Some(bias))?;
            (weight, z)
        }
        LrpRule::ZPlus => {
            let weight = weight.f_clamp_min(0.0)?;
            let z = x.f_linear::<&Tensor>(&weight, None)?;
            (weight, z)
        }
    };
    per_output(carried, &z)?.f_matmul(&weight)?.f_mul(x)
}

/// `carried` divided by the outputs `z`, which are kept away from 0.
fn per_output(carried: &Tensor, z: &Tensor) -> Result<Tensor, TchError> {
    // sign(z) with sign(0) = 1.
    let sign = z.f_ge(0.0)?.f_to_kind(Kind::Float)?.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?;
    carried.f_div(&z.f_add(&sign.f_mul_scalar(EPSILON)?)?)
}

/// Relevance through a mean over windows: a linear layer without bias whose weights are all
/// positive, so that the rules for linear layers agree on it. Every value of a window receives by
/// its share of the window's sum.
fn averaged_relevance(carried: &Tensor, x: &Tensor, output: &Tensor) -> Result<Tensor, TchError> {
    spread(&per_output(carried, output)?, x)?.f_mul(x)
}

/// Hands what every window of a mean carries to its values, in equal parts.
fn spread(carried: &Tensor, x: &Tensor) -> Result<Tensor, TchError> {
    x.f_internal_adaptive_avg_pool2d_backward(carried)
}

/// What the outputs (N, outputs) receive; `reference` are those for A = 0, where the rule asks for
/// them.
fn start(
    pass: &HeadPass<'_>,
    score: Score,
    rule: Rule,
    reference: Option<&Tensor>,
) -> Result<Tensor, TchError> {
    let (classes, logits) = (pass.class_index()?, pass.outputs());
    let chosen = logits.f_zeros_like()?.f_scatter_value(1, &classes, 1.0)?;
    match (score, rule) {
        // A difference of two outputs is linear in them, so that each rule carries the difference
        // of what it carries for the one and for the other.
        (Score::Contrast, _) => {
            let against = logits.f_zeros_like()?;
            let _ = against.f_narrow(1, pass.contrast_class()?, 1)?.f_fill_(1.0)?;
            let difference = chosen.f_sub(&against)?;
            match rule {
                Rule::Gradient | Rule::DeepLift => Ok(difference),
                Rule::Lrp(_) => difference.f_mul(logits),
            }
        }
        // d (w p) / d z = p (w - w p), place by place in p and w.
        (Score::Valence | Score::Arousal, Rule::Gradient) => {
            let (p, (weights, _)) = (logits.f_softmax(1, Kind::Float)?, pass.regression(score)?);
            weights.f_squeeze_dim(1)?.f_sub(&p.f_matmul(&weights)?)?.f_mul(&p)
        }
        (Score::Valence | Score::Arousal, Rule::DeepLift | Rule::Lrp(_)) => {
            Err(TchError::Torch(format!("relevance is not defined for {}", score.name())))
        }
        (Score::Logit, Rule::Gradient | Rule::DeepLift) => Ok(chosen),
        (Score::Logit, Rule::Lrp(_)) => chosen.f_mul(logits),
        // d p_c / d z = p_c (e_c - p)
        (Score::Probability, Rule::Gradient) => {
            let p = logits.f_softmax(1, Kind::Float)?;
            chosen.f_sub(&p)?.f_mul(&p.f_gather(1, &classes, false)?)
        }
        // Softmax sees differences of logits alone, so the class's logit is taken less the mean
        // over the labels (Shrikumar et al. 2017 normalise contributions to softmax outputs so),
        // and the whole change of the probability is put down to it. Where that logit did not
        // change at all, nothing is.
        (Score::Probability, Rule::DeepLift) => {
            let reference = reference.expect("DeepLIFT has walked the head with A = 0");
            let (p, p0) = (logits.f_softmax(1, Kind::Float)?, reference.f_softmax(1, Kind::Float)?);
            let gain = p
                .f_gather(1, &classes, false)?
                .f_sub(&p0.f_expand_as(&p)?.f_gather(1, &classes, false)?)?;
            let step = logits.f_sub(reference)?;
            let centred = step.f_sub(&step.f_mean_dim([1_i64].as_slice(), true, Kind::Float)?)?;
            let own = centred.f_gather(1, &classes, false)?;
            let rescale = gain.f_div(&own)?.f_nan_to_num(0.0, 0.0, 0.0)?;
            chosen.f_sub_scalar(1.0 / logits.size()[1] as f64)?.f_mul(&rescale)
        }
        // Relevances are proportional to what they start from: the normalised map is that of the
        // logit.
        (Score::Probability, Rule::Lrp(_)) => {
            let p = logits.f_softmax(1, Kind::Float)?;
            chosen.f_mul(&p)
        }
    }
}

/// (relu(x) - relu(x0)) / (x - x0), or the derivative where x and x0 are the same.
fn rescale(x: &Tensor, reference: &Tensor) -> Result<Tensor, TchError> {
    let step = x.f_sub(reference)?;
    let gain = x.f_relu()?.f_sub(&reference.f_relu()?)?;
    let same = step.f_abs()?.f_lt(SAME)?;
    let derivative = x.f_gt(0.0)?.f_to_kind(Kind::Float)?;
    derivative.f_where_self(&same, &gain.f_div(&step)?)
}

/// Hands what every window carries to its maximum. Behind a ReLU and against a reference of zeros
/// this is DeepLIFT's rule as well as LRP's: the maximum alone makes the window's output.
fn unpool(carried: &Tensor, x: &Tensor, size: i64, stride: i64) -> Result<Tensor, TchError> {
    let (_, index) = x.f_max_pool2d_with_indices(size, stride, 0, 1, false)?;
    x.f_max_pool2d_with_indices_backward(carried, size, stride, 0, 1, false, &index)
}
