//! LIFT-CAM (Jung & Oh 2021): w_k is the sum over positions of the DeepLIFT contributions
//! (Shrikumar et al. 2017, rescale rule) of A_k to the score, against the reference A = 0.

use crate::attribution::options::Compat;
use crate::attribution::walk::{Rule, backward};
use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels,
    sum_over_positions,
};
use tch::{TchError, Tensor};

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "lift-cam",
    summary: "DeepLIFT contributions, rescale rule",
    source: "Jung & Oh 2021",
    needs: Needs::Layers,
    explains: Explains::Labels,
    preset: Score::Logit,
    paper: true,
    draws: false,
    implementation: &LiftCam,
};

struct LiftCam;

impl CamMethod for LiftCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        RawMaps::weighted(pass, weights(pass, score)?)
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(weights)
    }
}

/// (N, K)
pub(in crate::attribution) fn weights(
    pass: &HeadPass<'_>,
    score: Score,
) -> Result<Tensor, TchError> {
    let contributions = match pass.options.compat {
        Compat::None => backward(pass, score, Rule::DeepLift)?.f_mul(pass.a())?,
        Compat::Published => pass.gradient(score)?.f_mul(pass.a())?,
    };
    sum_over_positions(&contributions)
}
