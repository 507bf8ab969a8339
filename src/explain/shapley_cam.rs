//! Shapley-CAM: w_k is the Shapley value (Shapley 1953) of channel k in the game whose players are the channels of A and
//! whose payoff is the score; an absent channel is 0. It is the fair share that LIFT-CAM (Jung & Oh 2021, section 3.2)
//! approximates in one backward pass.
//!
//! Estimated by orders in which the channels join (Castro et al. 2009), each followed by its reverse, which cancels much
//! of the noise (Mitchell et al. 2022, section 4.1). Whatever the number of orders, a picture's values sum to the score of
//! A less that of 0. The error is estimated from the spread between the pairs.

use super::channels::ChannelParts;
use super::{weigh, CamMethod, HeadPass, RawMaps, Score};
use crate::random::Random;
use tch::{Kind, TchError, Tensor};

pub(super) struct ShapleyCam;

impl CamMethod for ShapleyCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        let estimates =
            (0..pass.classes.len()).map(|at| estimate(pass, at, score)).collect::<Result<Vec<_>, TchError>>()?;
        let weights: Vec<f32> = estimates.iter().flat_map(|of| of.values.iter().map(|&value| value as f32)).collect();
        let weights = Tensor::f_from_slice(&weights)?.f_reshape([estimates.len() as i64, -1])?;
        let maps = weigh(pass.activation, &weights.f_to_device(pass.activation.device())?)?;
        Ok(RawMaps { maps, errors: Some(estimates.iter().map(Estimate::relative_error).collect()) })
    }
}

/// Estimated Shapley values of a picture's channels.
pub(super) struct Estimate {
    pub values: Vec<f64>,
    /// Standard error of each, 0 with a single pair of orders.
    pub errors: Vec<f64>,
}

impl Estimate {
    /// Length of the vector of errors over that of the values; 0 where all values are 0.
    fn relative_error(&self) -> f32 {
        let length = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        match length(&self.values) {
            0.0 => 0.0,
            of_values => (length(&self.errors) / of_values) as f32,
        }
    }
}

/// For picture `at`, from `options.permutations` orders.
pub(super) fn estimate(pass: &HeadPass<'_>, at: usize, score: Score) -> Result<Estimate, TchError> {
    let parts = pass.channel_parts()?;
    let channels = pass.activation.size()[1] as usize;
    let pairs = (pass.options.permutations / 2).max(1);
    let mut random = Random::new(pass.seeds[at], 1);
    let (mut sums, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
    for _ in 0..pairs {
        let mut order: Vec<i64> = (0..channels as i64).collect();
        random.shuffle(&mut order);
        let backwards: Vec<i64> = order.iter().rev().copied().collect();
        let mut gains = vec![0.0; channels];
        for order in [&order, &backwards] {
            for (&channel, gain) in order.iter().zip(joining(pass, parts, at, order, score)?) {
                gains[channel as usize] += gain / 2.0;
            }
        }
        for ((sum, square), gain) in sums.iter_mut().zip(&mut squares).zip(gains) {
            *sum += gain;
            *square += gain * gain;
        }
    }
    let n = pairs as f64;
    let values: Vec<f64> = sums.iter().map(|sum| sum / n).collect();
    let errors = values
        .iter()
        .zip(squares)
        .map(|(mean, square)| ((square / n - mean * mean).max(0.0) / (n - 1.0).max(1.0)).sqrt())
        .collect();
    Ok(Estimate { values, errors })
}

/// What the score gains as the channels join in `order`.
fn joining(
    pass: &HeadPass<'_>,
    parts: &ChannelParts<'_>,
    at: usize,
    order: &[i64],
    score: Score,
) -> Result<Vec<f64>, TchError> {
    let scores = pass.scores(&parts.finish(&parts.joining(at, order)?)?, at, score)?;
    let scores = Vec::<f64>::try_from(&scores.f_to_kind(Kind::Double)?)?;
    Ok(scores.windows(2).map(|pair| pair[1] - pair[0]).collect())
}
