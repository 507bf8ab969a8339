//! LRP-CAM: w_k is the sum over positions of the relevance of A_k by layer-wise relevance
//! propagation (Bach et al. 2015; rules: [`LrpRule`](crate::attribution::LrpRule)).

use crate::attribution::options::Compat;
use crate::attribution::walk::{Rule, backward};
use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels,
    sum_over_positions,
};
use tch::{TchError, Tensor};

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "lrp-cam",
    summary: "layer-wise relevance propagation",
    source: "Bach et al. 2015",
    needs: Needs::Layers,
    explains: Explains::Labels,
    preset: Score::Logit,
    paper: true,
    draws: false,
    implementation: &LrpCam,
};

struct LrpCam;

impl CamMethod for LrpCam {
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
    match pass.options.compat {
        Compat::None => {
            sum_over_positions(&backward(pass, score, Rule::Lrp(pass.options.lrp_rule))?)
        }
        Compat::Published => {
            sum_over_positions(pass.gradient(score)?)?.f_mul(&pass.own_scores(score)?)
        }
    }
}
