//! LIME-CAM: w_k are the coefficients of a linear model of the score, fitted to random sets of channels (Ribeiro et al.
//! 2016), as the paper's published code does it with captum.

use crate::attribution::{CamMethod, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels};
use crate::random::Random;
use crate::stats::lasso;
use rayon::prelude::*;
use tch::{Kind, TchError, Tensor};

/// Sets of channels drawn for a picture.
const SAMPLES: usize = 256;

/// Weight of the Lasso's penalty, scikit-learn's convention.
const ALPHA: f64 = 0.01;

/// Width of the exponential kernel on cosine distances.
const KERNEL_WIDTH: f64 = 1.0;

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "lime-cam",
    summary: "coefficients of a sparse linear model of the score, from random sets of channels",
    source: "Ribeiro et al. 2016",
    needs: Needs::Outputs,
    explains: Explains::AnyScore,
    preset: Score::Logit,
    paper: true,
    implementation: &LimeCam,
};

struct LimeCam;

impl CamMethod for LimeCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        RawMaps::weighted(pass, weights(pass, score)?)
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(weights)
    }
}

/// (N, K)
fn weights(pass: &HeadPass<'_>, score: Score) -> Result<Tensor, TchError> {
    let (n, channels, ..) = pass.a().size4()?;
    let masks: Vec<Vec<f32>> = pass.seeds.par_iter().map(|&seed| masks(seed, channels as usize)).collect();
    let all = coefficients(pass, &masks, score)?;
    let all: Vec<f32> = all.into_iter().flatten().map(|coefficient| coefficient as f32).collect();
    Tensor::f_from_slice(&all)?.f_reshape([n, channels])?.f_to_device(pass.a().device())
}

/// The linear model's coefficients for each picture from its `masks` (samples, K), row by row. Scores are read once for
/// the whole batch, then the pictures are fitted side by side.
pub(in crate::attribution) fn coefficients(
    pass: &HeadPass<'_>,
    masks: &[Vec<f32>],
    score: Score,
) -> Result<Vec<Vec<f64>>, TchError> {
    let (n, channels, ..) = pass.a().size4()?;
    let all = Tensor::f_from_slice(&masks.concat())?.f_reshape([n, -1, channels])?;
    let all = all.f_to_device(pass.a().device())?;
    let scores = (0..masks.len()).map(|picture| pass.masked(picture, &all.f_get(picture as i64)?, score));
    let scores = Tensor::f_stack(&scores.collect::<Result<Vec<_>, _>>()?, 0)?.f_to_kind(Kind::Double)?;
    let energies = pass.a().f_to_kind(Kind::Double)?.f_square()?;
    let energies = energies.f_sum_dim_intlist([2_i64, 3].as_slice(), false, Kind::Double)?;
    let scores = Vec::<f64>::try_from(&scores.f_flatten(0, -1)?)?;
    let energies = Vec::<f64>::try_from(&energies.f_flatten(0, -1)?)?;
    let channels = channels as usize;
    let of_pictures = masks.par_iter().zip(scores.par_chunks_exact(scores.len() / n as usize));
    let of_pictures = of_pictures.zip(energies.par_chunks_exact(channels));
    let fit = |((masks, scores), energy): ((&Vec<f32>, &[f64]), &[f64])| {
        let similarities: Vec<f64> = masks.chunks_exact(channels).map(|mask| similarity(mask, energy)).collect();
        lasso(masks, scores, &similarities, ALPHA)
    };
    Ok(of_pictures.map(fit).collect())
}

/// SAMPLES rows of zeros and ones, each with probability 1/2.
fn masks(seed: u64, channels: usize) -> Vec<f32> {
    let mut random = Random::new(seed, 0);
    (0..SAMPLES * channels).map(|_| if random.next_u64() >> 63 == 1 { 1.0 } else { 0.0 }).collect()
}

/// exp(-d^2 / (2 width^2)), d the cosine distance between A and A with the mask's channels alone. Their scalar product
/// is the energy of the channels that stay, so is the square of the latter's length. An empty mask is at distance 1.
fn similarity(mask: &[f32], energy: &[f64]) -> f64 {
    let total: f64 = energy.iter().sum();
    let stays: f64 = mask.iter().zip(energy).map(|(&mask, energy)| f64::from(mask) * energy).sum();
    let cosine = if total > 0.0 { (stays / total).sqrt() } else { 0.0 };
    let distance = 1.0 - cosine;
    (-distance * distance / (2.0 * KERNEL_WIDTH * KERNEL_WIDTH)).exp()
}
