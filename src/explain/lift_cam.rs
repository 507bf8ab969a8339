//! LIFT-CAM (Jung & Oh 2021): w_k is the sum over positions of the DeepLIFT contributions (Shrikumar et al. 2017, rescale
//! rule) of A_k to the score, against the reference A = 0.

use super::walk::{backward, Rule};
use super::{sum_over_positions, weigh, CamMethod, HeadPass, Score};
use crate::{Error, Result};
use tch::Tensor;

pub(super) struct LiftCam;

impl CamMethod for LiftCam {
    fn raw_map(&self, pass: &HeadPass<'_>, score: Score) -> Result<Tensor> {
        backward(pass, score, Rule::DeepLift)
            .and_then(|multipliers| weigh(pass.activation, &sum_over_positions(&multipliers.f_mul(pass.activation)?)?))
            .map_err(Error::torch("computing LIFT-CAM"))
    }
}
