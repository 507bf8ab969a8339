//! Grad-CAM++ (Chattopadhyay et al. 2018, equations 7 and 19): w_k is the sum over positions of
//! alpha max(g, 0) with alpha = g^2 / (2 g^2 + g^3 sum of A_k), g = d score / d A_k. Equation 19
//! holds for exp(score), whose further derivatives are powers of g; the exponential itself is a
//! common factor.

use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels,
    sum_over_positions,
};
use tch::{TchError, Tensor};

/// Keeps the division finite where the gradient is 0; the value of pytorch-grad-cam.
const EPSILON: f64 = 1e-6;

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "grad-cam++",
    summary: "positive gradients, weighted by place",
    source: "Chattopadhyay et al. 2018",
    needs: Needs::Gradient,
    explains: Explains::SupportAlone,
    preset: Score::Logit,
    paper: false,
    draws: false,
    implementation: &GradCamPlusPlus,
};

struct GradCamPlusPlus;

impl CamMethod for GradCamPlusPlus {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        RawMaps::weighted(pass, weights(pass, score)?)
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(weights)
    }
}

/// (N, K)
fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    let gradient = pass.gradient(score)?;
    let square = gradient.f_square()?;
    let sums = sum_over_positions(pass.a())?.f_unsqueeze(-1)?.f_unsqueeze(-1)?;
    let cubes = square.f_mul(gradient)?.f_mul(&sums)?;
    let alpha = square.f_div(&square.f_mul_scalar(2.0)?.f_add(&cubes)?.f_add_scalar(EPSILON)?)?;
    // The denominator may be exactly 0 where the sum is negative: such a place has no defined
    // alpha.
    let alpha = alpha.f_nan_to_num(0.0, 0.0, 0.0)?;
    sum_over_positions(&alpha.f_mul(&gradient.f_relu()?)?)
}
