//! LIME-CAM: w_k are the coefficients of a linear model of the score, fitted to random sets of channels (Ribeiro et al.
//! 2016), as the paper's published code does it with captum.

use super::channels::ChannelParts;
use super::lasso::lasso;
use super::{weigh, CamMethod, HeadPass, RawMaps, Score};
use crate::random::Random;
use tch::{Kind, TchError, Tensor};

/// Sets of channels drawn for a picture.
const SAMPLES: usize = 256;

/// Weight of the Lasso's penalty, scikit-learn's convention.
const ALPHA: f64 = 0.01;

/// Width of the exponential kernel on cosine distances.
const KERNEL_WIDTH: f64 = 1.0;

pub(super) struct LimeCam;

impl CamMethod for LimeCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        Ok(weigh(&pass.activation, &weights(pass, score)?)?.into())
    }
}

/// (N, K)
fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    let parts = pass.channel_parts()?;
    let (n, channels, ..) = pass.activation.size4()?;
    let mut all = Vec::with_capacity((n * channels) as usize);
    for at in 0..n as usize {
        let masks = masks(pass.seeds[at], channels as usize);
        all.extend(coefficients(pass, parts, at, &masks, score)?.into_iter().map(|coefficient| coefficient as f32));
    }
    Tensor::f_from_slice(&all)?.f_reshape([n, channels])?.f_to_device(pass.activation.device())
}

/// The linear model's coefficients for picture `at` from the masks (samples, K), row by row.
pub(super) fn coefficients(
    pass: &HeadPass<'_>,
    parts: &ChannelParts<'_>,
    at: usize,
    masks: &[f32],
    score: Score,
) -> Result<Vec<f64>, TchError> {
    let channels = pass.activation.size()[1];
    let tensor = Tensor::f_from_slice(masks)?.f_reshape([-1, channels])?.f_to_device(pass.activation.device())?;
    let scores = pass.scores(&parts.finish(&parts.masked(at, &tensor)?)?, at, score)?;
    let scores = Vec::<f64>::try_from(&scores.f_to_kind(Kind::Double)?.f_flatten(0, -1)?)?;
    let energy = pass.activation.f_get(at as i64)?.f_to_kind(Kind::Double)?.f_square()?;
    let energy = Vec::<f64>::try_from(&energy.f_sum_dim_intlist([1_i64, 2].as_slice(), false, Kind::Double)?)?;
    let similarities: Vec<f64> = masks.chunks_exact(channels as usize).map(|mask| similarity(mask, &energy)).collect();
    Ok(lasso(masks, &scores, &similarities, ALPHA))
}

/// SAMPLES rows of zeros and ones, each with probability 1/2.
fn masks(seed: u64, channels: usize) -> Vec<f32> {
    let mut random = Random::new(seed, 0);
    (0..SAMPLES * channels).map(|_| if random.next_u64() >> 63 == 1 { 1.0 } else { 0.0 }).collect()
}

/// exp(-d^2 / (2 width^2)), d the cosine distance between A and A with the mask's channels alone. Their scalar product is
/// the energy of the channels that stay, so is the square of the latter's length. An empty mask is at distance 1.
fn similarity(mask: &[f32], energy: &[f64]) -> f64 {
    let total: f64 = energy.iter().sum();
    let stays: f64 = mask.iter().zip(energy).map(|(&mask, energy)| f64::from(mask) * energy).sum();
    let cosine = if total > 0.0 { (stays / total).sqrt() } else { 0.0 };
    let distance = 1.0 - cosine;
    (-distance * distance / (2.0 * KERNEL_WIDTH * KERNEL_WIDTH)).exp()
}
