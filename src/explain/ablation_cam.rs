//! Ablation-CAM (Desai & Ramaswamy 2020, equation 3): w_k = (y - y_k) / y, where y_k is the score without channel k.

use super::{weigh, CamMethod, HeadPass, RawMaps, Score};
use tch::{Kind, TchError, Tensor};

pub(super) struct AblationCam;

impl CamMethod for AblationCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        Ok(weigh(&pass.activation, &weights(pass, score)?)?.into())
    }
}

/// (N, K). Where y is not positive, as a logit may be, the weights are defined as 0: no share of it can be lost.
pub(super) fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    let parts = pass.channel_parts()?;
    let of_picture = |at: usize| {
        // Row k is the whole first linear layer's output without channel k's part.
        let without = parts.whole(at)?.f_sub(&parts.of(at))?;
        let scores = pass.scores(&parts.finish(&without)?, at, score)?;
        let y = pass.scores(&parts.finish(&parts.whole(at)?)?, at, score)?;
        let lost = y.f_sub(&scores)?.f_div(&y)?;
        lost.f_mul(&y.f_gt(0.0)?)?.f_nan_to_num(0.0, 0.0, 0.0)
    };
    let rows = (0..pass.classes.len()).map(of_picture).collect::<Result<Vec<_>, _>>()?;
    Tensor::f_stack(&rows, 0)?.f_to_kind(Kind::Float)
}
