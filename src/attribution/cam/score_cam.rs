//! Score-CAM (Wang et al. 2020, algorithm 1, as pytorch-grad-cam does it): w is the softmax over
//! channels of the scores of the input masked by each channel's upsampled, normalised A_k. The one
//! method that runs the whole network again, once a channel.

use crate::attribution::pass::as_torch;
use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels,
};
use crate::networks::Activation;
use tch::{Kind, TchError, Tensor};

/// Keeps the division by the range of a constant channel finite; the value of pytorch-grad-cam.
const EPSILON: f64 = 1e-8;

/// Masked inputs in the network at a time.
const CHUNK: i64 = 16;

/// So many of these go from A to the answer together, so that the weights of a large head are read
/// seldom.
const HEAD_CHUNKS: i64 = 4;

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
    let rows =
        pass.of_each_picture(|picture| scores(pass, picture, score), Tensor::shallow_clone)?;
    Tensor::f_stack(&rows, 0)?.f_softmax(1, Kind::Float)
}

/// The score of picture `at` masked by each of the channels: (K).
fn scores(pass: &HeadPass<'_>, at: usize, score: Score) -> Result<Tensor, TchError> {
    let (input, activation) = (pass.input.f_get(at as i64)?, pass.a().f_get(at as i64)?);
    let channels = activation.size()[0];
    let mut found = Vec::new();
    for start in (0..channels).step_by((CHUNK * HEAD_CHUNKS) as usize) {
        let end = channels.min(start + CHUNK * HEAD_CHUNKS);
        let masked = |first: i64| {
            masked(pass, &input, &activation.f_narrow(0, first, CHUNK.min(end - first))?)
        };
        let masked =
            (start..end).step_by(CHUNK as usize).map(masked).collect::<Result<Vec<_>, _>>()?;
        let masked = Activation::joined(&masked.iter().collect::<Vec<_>>())?;
        found.push(pass.scores(&pass.answering()?.outputs(&masked)?, at, score)?);
    }
    Tensor::f_cat(&found, 0)
}

/// The explained activation of `input` (3, rows, columns) masked by each of `channels` (K, rows,
/// columns) of A.
fn masked(pass: &HeadPass<'_>, input: &Tensor, channels: &Tensor) -> Result<Activation, TchError> {
    let (_, rows, columns) = input.size3()?;
    let large =
        channels.f_unsqueeze(1)?.f_upsample_bilinear2d([rows, columns], true, None, None)?;
    let low = large.f_amin([2_i64, 3].as_slice(), true)?;
    let range = large.f_amax([2_i64, 3].as_slice(), true)?.f_sub(&low)?.f_add_scalar(EPSILON)?;
    let masked = large.f_sub(&low)?.f_div(&range)?.f_mul(input)?;
    // The channels of a pixel beside each other: networks pool several times as fast so.
    let masked = masked.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
    pass.answering()?.activation(&masked).map_err(|error| as_torch(&error))
}
