//! XGrad-CAM (Fu et al. 2020, equation 8): w_k is the mean gradient of A_k, weighted by A_k itself.

use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels,
    sum_over_positions,
};
use tch::{TchError, Tensor};

/// Keeps the division finite where A_k sums to 0; the value of pytorch-grad-cam.
const EPSILON: f64 = 1e-7;

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "xgrad-cam",
    summary: "mean gradients, weighted by the activation",
    source: "Fu et al. 2020",
    needs: Needs::Gradient,
    explains: Explains::AnyScore,
    preset: Score::Logit,
    paper: false,
    draws: false,
    implementation: &XGradCam,
};

struct XGradCam;

impl CamMethod for XGradCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        RawMaps::weighted(pass, weights(pass, score)?)
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(weights)
    }
}

/// (N, K)
fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    let a = pass.a();
    let total = sum_over_positions(&pass.gradient(score)?.f_mul(a)?)?;
    total.f_div(&sum_over_positions(a)?.f_add_scalar(EPSILON)?)?.f_nan_to_num(0.0, 0.0, 0.0)
}
