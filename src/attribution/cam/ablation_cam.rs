//! Ablation-CAM (Desai & Ramaswamy 2020, equation 3): w_k = (y - y_k) / y, where y_k is the score
//! without channel k.

use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels,
};
use tch::{Kind, TchError, Tensor};

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "ablation-cam",
    summary: "channel weights are the share of the score that is lost without the channel",
    source: "Desai & Ramaswamy 2020",
    needs: Needs::Outputs,
    explains: Explains::AnyScore,
    preset: Score::Probability,
    paper: true,
    draws: false,
    implementation: &AblationCam,
};

struct AblationCam;

impl CamMethod for AblationCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        RawMaps::weighted(pass, weights(pass, score)?)
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(weights)
    }
}

/// (N, K). Where y is not positive, as a logit may be, the weights are defined as 0: no share of it
/// can be lost. Of a network with a single output, of a difference of logits, of valence and
/// arousal, whose sign means nothing of the kind, the share is that of the absolute value.
pub(in crate::attribution) fn weights(
    pass: &HeadPass<'_>,
    score: Score,
) -> Result<Tensor, TchError> {
    let scalar = pass.network.card().scalar.is_some();
    let signed = scalar || matches!(score, Score::Contrast | Score::Valence | Score::Arousal);
    let weights = |picture: usize| {
        let (mut y, without) = pass.ablated(picture, score)?;
        let lost = y.f_sub(&without)?;
        if signed {
            y = y.f_abs()?;
        }
        lost.f_div(&y)?.f_mul(&y.f_gt(0.0)?)?.f_nan_to_num(0.0, 0.0, 0.0)
    };
    let rows = pass.of_each_picture(weights, Tensor::shallow_clone)?;
    Tensor::f_stack(&rows, 0)?.f_to_kind(Kind::Float)
}
