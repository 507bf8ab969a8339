//! Grad-CAM (Selvaraju et al. 2017, equation 1): w_k is the mean over positions of d score / d A_k.

use crate::attribution::walk::gradient;
use crate::attribution::{weigh, CamMethod, HeadPass, RawMaps, Score};
use tch::{Kind, TchError};

pub(in crate::attribution) struct GradCam;

impl CamMethod for GradCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        let weights = gradient(pass, score)?.f_mean_dim([2_i64, 3].as_slice(), false, Kind::Float)?;
        Ok(weigh(pass.activation, &weights)?.into())
    }
}
