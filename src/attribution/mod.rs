//! Class activation maps: which places of the last convolution drive the answer.
//!
//! A method turns the activation A (N, K, rows, columns) and the head into one raw map a picture; ReLU, normalisation
//! and upsampling are the same for all and live in one place. A new method is one file and one row of the table of
//! methods. Knows nothing of regions or files.

mod cam;
mod channels;
mod map;
mod method;
mod options;
mod pass;
#[cfg(test)]
mod tests;
mod walk;

pub use map::{finish, Maps};
pub use method::{check, Explains, Method, MethodRow, Needs};
pub use options::{ClassChoice, Compat, LayerPoint, LrpRule, Options, Score, Sign, Target};
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
    /// (N, K): the weights of A's channels whose sum the maps are, from a method that weighs channels.
    weights: Option<Tensor>,
}

impl From<Tensor> for RawMaps {
    fn from(maps: Tensor) -> Self {
        Self { maps, errors: None, weights: None }
    }
}

impl RawMaps {
    /// The sums of A's channels with these weights, (N, K).
    fn weighted(pass: &HeadPass<'_>, weights: Tensor) -> Result<Self, TchError> {
        Ok(Self { maps: weigh(pass.a(), &weights)?, errors: None, weights: Some(weights) })
    }
}

/// From a batch at A to the weights of A's channels, (N, K).
type WeighChannels = fn(&HeadPass<'_>, Score) -> Result<Tensor, TchError>;

/// One way from A to a map.
trait CamMethod: Sync {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError>;

    /// What weighs A's channels, of a method whose raw map is their weighted sum.
    fn channel_weights(&self) -> Option<WeighChannels> {
        None
    }
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
/// with a single output is that output. The map of a class held against itself is flat by every method.
///
/// # Errors
/// [`Error::Torch`] when memory is short.
pub fn explain(method: Method, pass: &HeadPass<'_>, size: Size) -> Result<Maps> {
    let _no_grad = tch::no_grad_guard();
    let scalar = pass.network.card().scalar.is_some();
    let score = if scalar { Score::Logit } else { method.score(&pass.options) };
    let raw = method.implementation().raw_maps(pass, score);
    let finished = raw.and_then(|raw| {
        let mut maps = finish(&chosen_part(raw.maps, pass)?, size)?;
        maps.errors = raw.errors;
        maps.weights = raw.weights.map(|weights| chosen_part(weights, pass)).transpose()?;
        Ok(maps)
    });
    finished.map_err(Error::torch("computing an activation map"))
}

/// Of raw maps (N, rows, columns), or of channel weights (N, K), the part that is asked for: with their sign turned where that is negative, and
/// nothing where the score is the difference of a logit and itself.
fn chosen_part(maps: Tensor, pass: &HeadPass<'_>) -> Result<Tensor, TchError> {
    let maps = match pass.options.sign {
        Sign::Positive => maps,
        Sign::Negative => maps.f_neg()?,
    };
    for (picture, _) in pass.classes.iter().enumerate().filter(|(_, class)| pass.contrast == Some(**class)) {
        let _ = maps.f_get(picture as i64)?.f_zero_()?;
    }
    Ok(maps)
}
