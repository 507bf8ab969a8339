//! Grad-CAM (Selvaraju et al. 2017, equation 1): w_k is the mean over positions of d score / d A_k.

use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels,
};
use tch::{Kind, TchError, Tensor};

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "grad-cam",
    summary: "channel weights are mean gradients",
    source: "Selvaraju et al. 2017",
    needs: Needs::Gradient,
    explains: Explains::AnyScore,
    preset: Score::Probability,
    paper: true,
    draws: false,
    implementation: &GradCam,
};

struct GradCam;

impl CamMethod for GradCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        RawMaps::weighted(pass, weights(pass, score)?)
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(weights)
    }
}

/// (N, K)
fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    pass.gradient(score)?.f_mean_dim([2_i64, 3].as_slice(), false, Kind::Float)
}
