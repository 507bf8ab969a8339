//! Grad-CAM (Selvaraju et al. 2017, equation 1): w_k is the mean over positions of d score / d A_k.

use super::{weigh, CamMethod, HeadPass, Score};
use crate::{Error, Result};
use tch::{Kind, Tensor};

pub(super) struct GradCam;

impl CamMethod for GradCam {
    fn raw_map(&self, pass: &HeadPass<'_>, score: Score) -> Result<Tensor> {
        pass.gradient(score)?
            .f_mean_dim([2_i64, 3].as_slice(), false, Kind::Float)
            .and_then(|weights| weigh(pass.activation, &weights))
            .map_err(Error::torch("computing Grad-CAM"))
    }
}
