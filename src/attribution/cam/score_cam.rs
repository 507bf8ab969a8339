//! Score-CAM (Wang et al. 2020, algorithm 1, as pytorch-grad-cam does it): w is the softmax over channels of the scores
//! of the input masked by each channel's upsampled, normalised A_k. The one method that runs the whole network again,
//! once a channel.

use crate::attribution::{CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels};
use tch::{Kind, TchError, Tensor};

/// Keeps the division by the range of a constant channel finite; the value of pytorch-grad-cam.
const EPSILON: f64 = 1e-8;

/// Masked inputs in the network at a time.
const CHUNK: i64 = 16;

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "score-cam",
    summary: "scores of the picture masked by each channel; a run of the whole network for each",
    source: "Wang et al. 2020",
    needs: Needs::Outputs,
    explains: Explains::SupportAlone,
    preset: Score::Logit,
    paper: false,
    draws: false,
    implementation: &ScoreCam,
};

struct ScoreCam;

impl CamMethod for ScoreCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        RawMaps::weighted(pass, weights(pass, score)?)
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(weights)
    }
}

/// (N, K)
fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    let rows = (0..pass.classes.len()).map(|at| scores(pass, at, score)).collect::<Result<Vec<_>, _>>()?;
    Tensor::f_stack(&rows, 0)?.f_softmax(1, Kind::Float)
}

/// The score of picture `at` masked by each of the channels: (K).
fn scores(pass: &HeadPass<'_>, at: usize, score: Score) -> Result<Tensor, TchError> {
    let (input, activation) = (pass.input.f_get(at as i64)?, pass.a().f_get(at as i64)?);
    let (channels, (_, rows, columns)) = (activation.size()[0], input.size3()?);
    let of_chunk = |start: i64| {
        let chunk = activation.f_narrow(0, start, CHUNK.min(channels - start))?;
        let large = chunk.f_unsqueeze(1)?.f_upsample_bilinear2d([rows, columns], true, None, None)?;
        let low = large.f_amin([2_i64, 3].as_slice(), true)?;
        let range = large.f_amax([2_i64, 3].as_slice(), true)?.f_sub(&low)?.f_add_scalar(EPSILON)?;
        let masked = large.f_sub(&low)?.f_div(&range)?.f_mul(&input)?;
        let masked = pass.network.activation(&masked).map_err(|error| TchError::Torch(error.to_string()))?;
        pass.scores(&pass.network.outputs(&masked)?, at, score)
    };
    let chunks = (0..channels).step_by(CHUNK as usize).map(of_chunk).collect::<Result<Vec<_>, _>>()?;
    Tensor::f_cat(&chunks, 0)
}
