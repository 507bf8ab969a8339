//! Class activation maps: which places of the last convolution drive the answer.
//!
//! A method turns the activation A (N, K, rows, columns) and the head into one raw map a picture; ReLU, normalisation
//! and upsampling are the same for all and live in one place. A new method is one file and one row of the table of
//! methods. Maps of other methods come from files ([`external`]); but for these the room knows nothing of files, and
//! nothing of regions.

mod cam;
mod channels;
pub mod external;
mod map;
mod method;
mod options;
mod pass;
#[cfg(test)]
mod tests;
mod walk;

pub use map::{finish, Maps};
pub use method::{check, Method, MethodRow, Needs};
pub use options::{ClassChoice, Compat, LayerPoint, LrpRule, Options, Score, Target};
pub use pass::HeadPass;

use crate::image::Size;
use crate::{Error, Result};
use tch::{Kind, TchError, Tensor};

/// What a method gives for a batch.
#[derive(Debug)]
pub struct RawMaps {
    /// (N, rows, columns), before ReLU and normalisation.
    maps: Tensor,
    /// Standard error of each picture's channel weights as a share of their norm, from a method that estimates them.
    errors: Option<Vec<f32>>,
}

impl From<Tensor> for RawMaps {
    fn from(maps: Tensor) -> Self {
        Self { maps, errors: None }
    }
}

/// One way from A to a map.
trait CamMethod: Sync {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError>;
}

/// sum over k of w_k A_k: (N, K) weights and A to (N, rows, columns) maps.
fn weigh(activation: &Tensor, weights: &Tensor) -> Result<Tensor, TchError> {
    sum_over_channels(&weights.f_unsqueeze(-1)?.f_unsqueeze(-1)?.f_mul(activation)?)
}

/// (N, K, rows, columns) to (N, rows, columns).
fn sum_over_channels(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
}

/// (N, K, rows, columns) to (N, K).
fn sum_over_positions(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_sum_dim_intlist([2_i64, 3].as_slice(), false, Kind::Float)
}

/// The finished maps of `method` for a batch, of `size`, as a rule that of the network's input. The score of a network
/// with a single output is that output.
///
/// # Errors
/// [`Error::Torch`] when memory is short.
pub fn explain(method: Method, pass: &HeadPass<'_>, size: Size) -> Result<Maps> {
    let _no_grad = tch::no_grad_guard();
    let scalar = pass.network.card().scalar.is_some();
    let score = if scalar { Score::Logit } else { method.score(&pass.options) };
    let raw = method.implementation().raw_maps(pass, score);
    let finished = raw.and_then(|raw| {
        let mut maps = finish(&raw.maps, size)?;
        maps.errors = raw.errors;
        Ok(maps)
    });
    finished.map_err(Error::torch("computing an activation map"))
}
