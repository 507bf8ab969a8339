//! HiResCAM (Draelos & Carin 2020, equation 5): gradient times A at every place, summed over
//! channels. Without weights that are the same everywhere, a map of a head without biases sums to
//! the score.

use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, sum_over_channels,
};
use tch::TchError;

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "hires-cam",
    summary: "gradient times activation, place by place",
    source: "Draelos & Carin 2020",
    needs: Needs::Gradient,
    explains: Explains::AnyScore,
    preset: Score::Logit,
    paper: false,
    draws: false,
    implementation: &HiResCam,
};

struct HiResCam;

impl CamMethod for HiResCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        Ok(sum_over_channels(&pass.gradient(score)?.f_mul(pass.a())?)?.into())
    }
}
