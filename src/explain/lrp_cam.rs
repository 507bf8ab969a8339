//! LRP-CAM: w_k is the sum over positions of the relevance of A_k by layer-wise relevance propagation (Bach et al. 2015,
//! epsilon rule).

use super::walk::{backward, Rule};
use super::{sum_over_positions, weigh, CamMethod, HeadPass, Score};
use crate::{Error, Result};
use tch::Tensor;

pub(super) struct LrpCam;

impl CamMethod for LrpCam {
    fn raw_map(&self, pass: &HeadPass<'_>, score: Score) -> Result<Tensor> {
        backward(pass, score, Rule::Epsilon)
            .and_then(|relevance| weigh(pass.activation, &sum_over_positions(&relevance)?))
            .map_err(Error::torch("computing LRP-CAM"))
    }
}
