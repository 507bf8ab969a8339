//! Shapley-CAM: w_k is the Shapley value (Shapley 1953) of channel k in the game whose players are
//! the channels of A and whose payoff is the score; an absent channel is 0. It is the fair share
//! that LIFT-CAM (Jung & Oh 2021, section 3.2) approximates in one backward pass.
//!
//! Estimated from orders in which the channels join ([`crate::attribution::shapley`]).

use crate::attribution::estimate::Estimate;
use crate::attribution::shapley::{self, orders};
use crate::attribution::{
    CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels,
};
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
    draws: true,
    implementation: &ShapleyCam,
};

struct ShapleyCam;

impl CamMethod for ShapleyCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        RawMaps::of_estimates(pass, &estimates(pass, score)?)
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(weights)
    }
}

/// (N, K)
fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    pass.estimated_weights(&estimates(pass, score)?)
}

/// Of each picture of the batch.
fn estimates(pass: &HeadPass<'_>, score: Score) -> Result<Vec<Estimate>, TchError> {
    pass.of_each_picture(|picture| estimate(pass, picture, score), Clone::clone)
}

/// For picture `at`, from `options.permutations` orders.
pub(in crate::attribution) fn estimate(
    pass: &HeadPass<'_>,
    at: usize,
    score: Score,
) -> Result<Estimate, TchError> {
    let channels = pass.a().size()[1] as usize;
    let pairs = (pass.options.permutations / 2).max(1);
    let orders = orders(channels, pairs, &mut Random::new(pass.seeds[at], 1));
    let gains = gains(pass, at, &orders, score)?;
    Ok(shapley::estimate(channels, &orders, &gains))
}

/// What the score gains as the channels join, in each of several `orders` of all channels, one
/// after the other.
fn gains(
    pass: &HeadPass<'_>,
    picture: usize,
    orders: &[i64],
    score: Score,
) -> Result<Vec<f64>, TchError> {
    let orders = Tensor::f_from_slice(orders)?
        .f_reshape([-1, pass.a().size()[1]])?
        .f_to_device(pass.a().device())?;
    let along = |order: i64| {
        let scores = pass.joining(picture, &orders.f_get(order)?, score)?;
        scores.f_to_kind(Kind::Double)?.f_diff::<Tensor>(1, 0, None, None)
    };
    let gains = (0..orders.size()[0]).map(along).collect::<Result<Vec<_>, _>>()?;
    Vec::<f64>::try_from(&Tensor::f_cat(&gains, 0)?)
}
