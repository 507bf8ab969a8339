//! LayerCAM (Jiang et al. 2021, equations 4 and 5): positive gradient times A at every place,
//! summed over channels.

use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, sum_over_channels,
};
use tch::TchError;

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "layer-cam",
    summary: "positive gradient times activation, place by place",
    source: "Jiang et al. 2021",
    needs: Needs::Gradient,
    explains: Explains::SupportAlone,
    preset: Score::Logit,
    paper: false,
    draws: false,
    implementation: &LayerCam,
};

struct LayerCam;

impl CamMethod for LayerCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        Ok(sum_over_channels(&pass.gradient(score)?.f_relu()?.f_mul(pass.a())?)?.into())
    }
}
