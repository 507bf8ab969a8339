//! Ablation-CAM (Desai & Ramaswamy 2020, equation 3): w_k = (y - y_k) / y, where y_k is the score without channel k.

use crate::attribution::{weigh, CamMethod, HeadPass, RawMaps, Score};
use tch::{Kind, TchError, Tensor};

pub(in crate::attribution) struct AblationCam;

impl CamMethod for AblationCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        Ok(weigh(pass.activation, &weights(pass, score)?)?.into())
    }
}

/// (N, K). Where y is not positive, as a logit may be, the weights are defined as 0: no share of it can be lost.
pub(in crate::attribution) fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    let parts = pass.channel_parts()?;
    let of_picture = |at: usize| {
        // The first linear layer's whole output, then in row 1 + k the same without channel k's part.
        let whole = parts.whole(at)?;
        let outputs = Tensor::f_cat(&[&whole, &whole.f_sub(&parts.of(at)?)?], 0)?;
        let scores = pass.scores(&parts.finish(&outputs)?, at, score)?;
        let (y, without) = (scores.f_slice(0, 0, 1, 1)?, scores.f_slice(0, 1, None, 1)?);
        let lost = y.f_sub(&without)?.f_div(&y)?;
        lost.f_mul(&y.f_gt(0.0)?)?.f_nan_to_num(0.0, 0.0, 0.0)
    };
    let rows = (0..pass.classes.len()).map(of_picture).collect::<Result<Vec<_>, _>>()?;
    Tensor::f_stack(&rows, 0)?.f_to_kind(Kind::Float)
}
