//! Shapley-CAM: w_k is the Shapley value (Shapley 1953) of channel k in the game whose players are the channels of A
//! and whose payoff is the score; an absent channel is 0. It is the fair share that LIFT-CAM (Jung & Oh 2021, section
//! 3.2) approximates in one backward pass.
//!
//! Estimated by orders in which the channels join (Castro et al. 2009), each followed by its reverse, which cancels
//! much of the noise (Mitchell et al. 2022, section 4.1). Whatever the number of orders, a picture's values sum to the
//! score of A less that of 0. The error is estimated from the spread between the pairs.

use crate::attribution::{CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels};
use crate::random::Random;
use tch::{Kind, TchError, Tensor};

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "shapley-cam",
    summary: "Shapley values of the channels, by sampling: what LIFT-CAM approximates",
    source: "Shapley 1953; Jung & Oh 2021",
    needs: Needs::Outputs,
    explains: Explains::AnyScore,
    preset: Score::Logit,
    paper: false,
    implementation: &ShapleyCam,
};

struct ShapleyCam;

impl CamMethod for ShapleyCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        let estimates =
            (0..pass.classes.len()).map(|at| estimate(pass, at, score)).collect::<Result<Vec<_>, TchError>>()?;
        let raw = RawMaps::weighted(pass, values(pass, &estimates)?)?;
        Ok(RawMaps { errors: Some(estimates.iter().map(Estimate::relative_error).collect()), ..raw })
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(weights)
    }
}

/// (N, K)
fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    let estimates = (0..pass.classes.len()).map(|at| estimate(pass, at, score));
    values(pass, &estimates.collect::<Result<Vec<_>, TchError>>()?)
}

/// The estimated values of a batch, (N, K), where A is.
fn values(pass: &HeadPass<'_>, estimates: &[Estimate]) -> Result<Tensor, TchError> {
    let values: Vec<f32> = estimates.iter().flat_map(|of| of.values.iter().map(|&value| value as f32)).collect();
    Tensor::f_from_slice(&values)?.f_reshape([estimates.len() as i64, -1])?.f_to_device(pass.a().device())
}

/// Estimated Shapley values of a picture's channels.
pub(in crate::attribution) struct Estimate {
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
pub(in crate::attribution) fn estimate(pass: &HeadPass<'_>, at: usize, score: Score) -> Result<Estimate, TchError> {
    let channels = pass.a().size()[1] as usize;
    let pairs = (pass.options.permutations / 2).max(1);
    let mut random = Random::new(pass.seeds[at], 1);
    // Each order, then the same backwards.
    let mut orders: Vec<i64> = Vec::with_capacity(2 * pairs * channels);
    for _ in 0..pairs {
        let mut order: Vec<i64> = (0..channels as i64).collect();
        random.shuffle(&mut order);
        orders.extend(&order);
        orders.extend(order.iter().rev());
    }
    let gains = gains(pass, at, &orders, score)?;
    let (mut sums, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
    for (orders, gains) in orders.chunks_exact(2 * channels).zip(gains.chunks_exact(2 * channels)) {
        let mut of_channel = vec![0.0; channels];
        for (&channel, gain) in orders.iter().zip(gains) {
            of_channel[channel as usize] += gain / 2.0;
        }
        for ((sum, square), gain) in sums.iter_mut().zip(&mut squares).zip(of_channel) {
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

/// What the score gains as the channels join, in each of several `orders` of all channels, one after the other.
fn gains(pass: &HeadPass<'_>, picture: usize, orders: &[i64], score: Score) -> Result<Vec<f64>, TchError> {
    let orders = Tensor::f_from_slice(orders)?.f_reshape([-1, pass.a().size()[1]])?.f_to_device(pass.a().device())?;
    let along = |order: i64| {
        let scores = pass.joining(picture, &orders.f_get(order)?, score)?;
        scores.f_to_kind(Kind::Double)?.f_diff::<Tensor>(1, 0, None, None)
    };
    let gains = (0..orders.size()[0]).map(along).collect::<Result<Vec<_>, _>>()?;
    Vec::<f64>::try_from(&Tensor::f_cat(&gains, 0)?)
}
