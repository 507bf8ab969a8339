//! LayerCAM (Jiang et al. 2021, equations 4 and 5): positive gradient times A at every place, summed over channels.

use crate::attribution::walk::gradient;
use crate::attribution::{sum_over_channels, CamMethod, HeadPass, RawMaps, Score};
use tch::TchError;

pub(in crate::attribution) struct LayerCam;

impl CamMethod for LayerCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        Ok(sum_over_channels(&gradient(pass, score)?.f_relu()?.f_mul(pass.activation)?)?.into())
    }
}
