//! The head walked backwards with other rules than the gradient's.

use super::options::LrpRule;
use super::{HeadPass, Score};
use crate::nn::Layer;
use tch::{Kind, TchError, Tensor};

/// Differences smaller than this make a multiplier the derivative; captum's value.
const SAME: f64 = 1e-10;

/// Keeps a division by a layer's output finite; captum's value.
const EPSILON: f64 = 1e-9;

/// What is carried from a layer's output to its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// DeepLIFT's multipliers, rescale rule, reference A = 0: the sum over A of multiplier times A is the score less the
    /// score of the reference.
    DeepLift,
    /// Relevances: their sum is the score less what the biases take.
    Lrp(LrpRule),
}

/// How much more positive weights count by the gamma rule; captum's value.
const GAMMA: f64 = 0.25;

/// Carries `rule` from the score of each picture's class back to A: a tensor of A's shape.
pub(super) fn backward(pass: &HeadPass<'_>, score: Score, rule: Rule) -> Result<Tensor, TchError> {
    let _no_grad = tch::no_grad_guard();
    let (x, reference) = (&pass.activation, pass.activation.f_zeros_like()?.f_narrow(0, 0, 1)?);
    let (inputs, logits) = forward_kept(pass.head, x)?;
    let (references, reference_logits) = forward_kept(pass.head, &reference)?;
    let mut carried = start(pass, score, rule, &logits, &reference_logits)?;
    for (layer, (x, reference)) in pass.head.iter().zip(inputs.iter().zip(&references)).rev() {
        carried = match (layer, rule) {
            (Layer::Flatten, _) => carried.f_reshape(x.size())?,
            (&Layer::MaxPool { size, stride }, _) => unpool(&carried, x, size, stride)?,
            (Layer::Relu, Rule::Lrp(_)) => carried,
            (Layer::Relu, Rule::DeepLift) => carried.f_mul(&rescale(x, reference)?)?,
            (Layer::Linear { weight, .. }, Rule::DeepLift) => carried.f_matmul(weight)?,
            (Layer::Linear { weight, bias }, Rule::Lrp(rule)) => relevance(&carried, x, weight, bias, rule)?,
            (Layer::Convolution { .. } | Layer::LocalResponseNorm { .. }, _) => {
                unreachable!("the head begins behind the last convolution")
            }
        };
    }
    Ok(carried)
}

/// From the relevance of a linear layer's outputs to that of its inputs `x`, which are not negative behind a ReLU.
fn relevance(carried: &Tensor, x: &Tensor, weight: &Tensor, bias: &Tensor, rule: LrpRule) -> Result<Tensor, TchError> {
    let (weight, bias) = match rule {
        LrpRule::Epsilon => (weight.shallow_clone(), Some(bias)),
        LrpRule::Gamma => (weight.f_clamp_min(0.0)?.f_mul_scalar(GAMMA)?.f_add(weight)?, Some(bias)),
        LrpRule::ZPlus => (weight.f_clamp_min(0.0)?, None),
    };
    let z = x.f_linear(&weight, bias)?;
    // sign(z) with sign(0) = 1.
    let sign = z.f_ge(0.0)?.f_to_kind(Kind::Float)?.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?;
    let share = carried.f_div(&z.f_add(&sign.f_mul_scalar(EPSILON)?)?)?;
    share.f_matmul(&weight)?.f_mul(x)
}

/// The input of every layer, and the last output.
fn forward_kept(layers: &[Layer], x: &Tensor) -> Result<(Vec<Tensor>, Tensor), TchError> {
    let mut inputs = Vec::with_capacity(layers.len());
    let mut x = x.shallow_clone();
    for layer in layers {
        let output = layer.forward(&x)?;
        inputs.push(x);
        x = output;
    }
    Ok((inputs, x))
}

/// What the logits (N, labels) receive.
fn start(
    pass: &HeadPass<'_>,
    score: Score,
    rule: Rule,
    logits: &Tensor,
    reference: &Tensor,
) -> Result<Tensor, TchError> {
    let classes = pass.class_index()?;
    let chosen = logits.f_zeros_like()?.f_scatter_value(1, &classes, 1.0)?;
    match (score, rule) {
        (Score::Logit, Rule::DeepLift) => Ok(chosen),
        (Score::Logit, Rule::Lrp(_)) => chosen.f_mul(logits),
        // Softmax sees differences of logits alone, so the class's logit is taken less the mean over the labels (Shrikumar
        // et al. 2017 normalise contributions to softmax outputs so), and the whole change of the probability is put down
        // to it. Where that logit did not change at all, nothing is.
        (Score::Probability, Rule::DeepLift) => {
            let (p, p0) = (logits.f_softmax(1, Kind::Float)?, reference.f_softmax(1, Kind::Float)?);
            let gain = p.f_gather(1, &classes, false)?.f_sub(&p0.f_expand_as(&p)?.f_gather(1, &classes, false)?)?;
            let step = logits.f_sub(reference)?;
            let centred = step.f_sub(&step.f_mean_dim([1_i64].as_slice(), true, Kind::Float)?)?;
            let own = centred.f_gather(1, &classes, false)?;
            let rescale = gain.f_div(&own)?.f_nan_to_num(0.0, 0.0, 0.0)?;
            chosen.f_sub_scalar(1.0 / logits.size()[1] as f64)?.f_mul(&rescale)
        }
        // Relevances are proportional to what they start from: the normalised map is that of the logit.
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

/// Hands what every window carries to its maximum. Behind a ReLU and against a reference of zeros this is DeepLIFT's rule
/// as well as LRP's: the maximum alone makes the window's output.
fn unpool(carried: &Tensor, x: &Tensor, size: i64, stride: i64) -> Result<Tensor, TchError> {
    let (_, index) = x.f_max_pool2d_with_indices(size, stride, 0, 1, false)?;
    x.f_max_pool2d_with_indices_backward(carried, size, stride, 0, 1, false, &index)
}
