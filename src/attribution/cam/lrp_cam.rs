//! LRP-CAM: w_k is the sum over positions of the relevance of A_k by layer-wise relevance propagation (Bach et al. 2015;
//! rules: [`LrpRule`](crate::attribution::LrpRule)).

use crate::attribution::options::Compat;
use crate::attribution::walk::{backward, gradient, Rule};
use crate::attribution::{sum_over_positions, weigh, CamMethod, HeadPass, RawMaps, Score};
use tch::{TchError, Tensor};

pub(in crate::attribution) struct LrpCam;

impl CamMethod for LrpCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        Ok(weigh(pass.activation, &weights(pass, score)?)?.into())
    }
}

/// (N, K)
pub(in crate::attribution) fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    match pass.options.compat {
        Compat::None => sum_over_positions(&backward(pass, score, Rule::Lrp(pass.options.lrp_rule))?),
        Compat::Published => sum_over_positions(gradient(pass, score)?)?.f_mul(&pass.own_scores(score)?),
    }
}
