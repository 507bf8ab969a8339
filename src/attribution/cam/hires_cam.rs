//! HiResCAM (Draelos & Carin 2020, equation 5): gradient times A at every place, summed over channels. Without weights
//! that are the same everywhere, a map of a head without biases sums to the score.

use crate::attribution::walk::gradient;
use crate::attribution::{sum_over_channels, CamMethod, HeadPass, RawMaps, Score};
use tch::TchError;

pub(in crate::attribution) struct HiResCam;

impl CamMethod for HiResCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        Ok(sum_over_channels(&gradient(pass, score)?.f_mul(pass.activation)?)?.into())
    }
}
