//! Grad-CAM (Selvaraju et al. 2017, equation 1): w_k is the mean over positions of d score / d A_k.

use crate::attribution::{weigh, CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score};
use tch::{Kind, TchError};

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "grad-cam",
    summary: "channel weights are mean gradients",
    source: "Selvaraju et al. 2017",
    needs: Needs::Gradient,
    explains: Explains::AnyScore,
    preset: Score::Probability,
    paper: true,
    implementation: &GradCam,
};

struct GradCam;

impl CamMethod for GradCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        let weights = pass.gradient(score)?.f_mean_dim([2_i64, 3].as_slice(), false, Kind::Float)?;
        Ok(weigh(pass.a(), &weights)?.into())
    }
}
