//! Class activation maps: which places of the last convolution drive the answer.
//!
//! A method turns the activation A (N, K, rows, columns) and the head into one raw map a picture;
//! ReLU, normalisation and upsampling are the same for all and live in one place. A new method is
//! one file and one row of the table of methods. Maps of other methods come from files
//! ([`external`]); but for these the room knows nothing of files, and nothing of regions.

mod cam;
mod channels;
mod estimate;
pub mod external;
mod map;
mod method;
mod options;
mod pass;
mod regions;
mod shapley;
#[cfg(test)]
mod tests;
mod walk;

pub use map::{Maps, finish, values_of};
pub use method::{Explains, Method, MethodRow, Needs, check};
pub use options::{
    ClassChoice, Compat, HiddenFill, HiddenPlace, LayerPoint, LrpRule, Options, Score, Sign, Target,
};
pub use pass::HeadPass;
pub use regions::MaskedInputs;

use crate::image::Size;
use crate::{Error, Result};
use estimate::Estimate;
use map::upsampled;
use tch::{Kind, TchError, Tensor};

/// What a method gives for a batch.
#[derive(Debug)]
pub struct RawMaps {
    /// (N, rows, columns), before ReLU and normalisation.
    maps: Tensor,
    /// How sure estimated channel weights are.
    estimated: Option<Estimated>,
    /// Whether what is negative in the maps speaks against the answer.
    signed: bool,
    /// The game that each picture's values are of.
    games: Option<Vec<Game>>,
    /// (N, K): the weights of A's channels whose sum the maps are, from a method that weighs
    /// channels.
    weights: Option<Tensor>,
}

/// A region of a picture in places of the network's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRegion {
    /// Which places it has, row by row; empty for a region without any.
    pub places: Vec<bool>,
    /// Whether it can be a player of its own. One that cannot is a name of the player that it
    /// overlaps most of, or background.
    pub plays: bool,
}

/// The game that was played for a picture, by a method of Shapley values of parts of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Game {
    /// The score of the whole picture: v(all).
    pub all: f64,
    /// The score of the picture of which everything is hidden: v(nothing).
    pub nothing: f64,
    /// How often a score was evaluated.
    pub evaluations: usize,
    /// Of which layer's output places were hidden; `None`: of the picture.
    pub layer: Option<String>,
    /// Value of what lies outside all regions, where regions play.
    pub background: Option<f64>,
    /// The player that each region belongs to, 0 being the background.
    pub players: Vec<usize>,
    /// Value of each region's player; 0 for a region that is part of the background.
    pub values: Vec<f64>,
    /// Value of each region's player as a share of the sum of all players' positive values;
    /// negative where the region speaks against the answer.
    pub shares: Vec<f32>,
    /// The background's share, likewise.
    pub background_share: f32,
    /// Standard error of each value, where they were sampled.
    pub errors: Option<Vec<f64>>,
}

impl From<Tensor> for RawMaps {
    fn from(maps: Tensor) -> Self {
        Self { maps, estimated: None, weights: None, signed: false, games: None }
    }
}

/// How sure the channel weights of a batch are that were estimated from several draws.
#[derive(Debug)]
struct Estimated {
    /// For each picture the standard error of its weights as a share of their norm.
    errors: Vec<f32>,
    /// The raw maps again, (N, rows, columns), each without a group of the draws, at least two. Of
    /// a picture of fewer groups those behind are the map from all draws.
    left_out: Vec<Tensor>,
    /// How many groups each picture has.
    groups: Vec<usize>,
}

impl Estimated {
    /// The same where the raw maps are others, by `part`.
    fn with(&self, part: impl Fn(&Tensor) -> Result<Tensor, TchError>) -> Result<Self, TchError> {
        let left_out = self.left_out.iter().map(part).collect::<Result<_, _>>()?;
        Ok(Self { errors: self.errors.clone(), left_out, groups: self.groups.clone() })
    }
}

impl RawMaps {
    /// The sums of A's channels with these weights, (N, K).
    fn weighted(pass: &HeadPass<'_>, weights: Tensor) -> Result<Self, TchError> {
        let maps = weigh(pass.a(), &weights)?;
        Ok(Self { weights: Some(weights), ..maps.into() })
    }

    /// The same with estimated weights, an estimate a picture.
    fn of_estimates(pass: &HeadPass<'_>, estimates: &[Estimate]) -> Result<Self, TchError> {
        let raw = Self::weighted(pass, pass.estimated_weights(estimates)?)?;
        let groups: Vec<usize> = estimates.iter().map(|estimate| estimate.left_out.len()).collect();
        let most = groups.iter().copied().max().unwrap_or(0);
        if most == 0 {
            return Ok(raw);
        }
        let without = |group: usize| {
            let values = estimates.iter().map(|estimate| {
                estimate.left_out.get(group).unwrap_or(&estimate.values).as_slice()
            });
            weigh(pass.a(), &pass.channel_weights(values)?)
        };
        let left_out = (0..most).map(without).collect::<Result<_, _>>()?;
        let errors = estimates.iter().map(Estimate::relative_error).collect();
        Ok(Self { estimated: Some(Estimated { errors, left_out, groups }), ..raw })
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

/// The finished maps of `method` for a batch, of `size`, as a rule that of the network's input. The
/// score of a network with a single output is that output. The map of a class held against itself
/// is flat by every method.
///
/// # Errors
/// [`Error::Torch`] when memory is short.
pub fn explain(method: Method, pass: &HeadPass<'_>, size: Size) -> Result<Maps> {
    Ok(explain_at(method, pass, &[size])?.remove(0))
}

/// The same at each of `sizes`: the method is computed once.
///
/// # Errors
/// As [`explain`].
pub fn explain_at(method: Method, pass: &HeadPass<'_>, sizes: &[Size]) -> Result<Vec<Maps>> {
    let _no_grad = tch::no_grad_guard();
    let scalar = pass.network.card().scalar.is_some();
    let score = if scalar { Score::Logit } else { method.score(&pass.options) };
    let raw = method.implementation().raw_maps(pass, score);
    let finished = raw.and_then(|RawMaps { maps, estimated, signed, games, weights }| {
        let chosen = chosen_part(maps, pass)?;
        let estimated = estimated
            .map(|estimated| estimated.with(|maps| chosen_part(maps.shallow_clone(), pass)))
            .transpose()?;
        let weights = weights.map(|weights| chosen_part(weights, pass)).transpose()?;
        let finished = |&size: &Size| {
            let mut maps = finish(&chosen, size)?;
            maps.estimated = estimated
                .as_ref()
                .map(|estimated| estimated.with(|maps| Ok(maps.shallow_clone())))
                .transpose()?;
            maps.games.clone_from(&games);
            maps.signed = signed.then(|| upsampled(&chosen, size)).transpose()?;
            maps.weights = weights.as_ref().map(Tensor::shallow_clone);
            Ok(maps)
        };
        sizes.iter().map(finished).collect()
    });
    finished.map_err(Error::torch("computing an activation map"))
}

/// Of raw maps (N, rows, columns), or of channel weights (N, K), the part that is asked for: with
/// their sign turned where that is negative, and nothing where the score is the difference of a
/// logit and itself.
fn chosen_part(maps: Tensor, pass: &HeadPass<'_>) -> Result<Tensor, TchError> {
    let maps = match pass.options.sign {
        Sign::Positive => maps,
        Sign::Negative => maps.f_neg()?,
    };
    for (picture, _) in
        pass.classes.iter().enumerate().filter(|(_, class)| pass.contrast == Some(**class))
    {
        let _ = maps.f_get(picture as i64)?.f_zero_()?;
    }
    Ok(maps)
}
