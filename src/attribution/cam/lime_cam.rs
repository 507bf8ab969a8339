//! LIME-CAM: w_k are the coefficients of a linear model of the score, fitted to random sets of
//! channels (Ribeiro et al. 2016), as the paper's published code does it with captum.
//!
//! The published code fits once, to 256 sets that are drawn independently. With 256 channels such
//! coefficients are mostly noise: from seed to seed the importance of a box moves by 0.12 (standard
//! deviation over 27 boxes in five photos, random weights). Two changes of ours take most of it
//! away and leave what is estimated as it was. The sets of a fit are *balanced*: channels are
//! columns of a Hadamard matrix of random order and sign, each set is followed by its complement,
//! so that any two channels are together in a quarter of the sets and coefficients do not take each
//! other's share; this alone, with 512 sets, leaves 0.05. And fits are repeated with new sets until
//! the standard error of their mean is small
//! ([`Options::lime_error`](crate::attribution::Options::lime_error)). Beside such an error the
//! rounding of bf16 is little, so that the sets may be answered for in it
//! ([`HeadPass::with_changes_in`]).

use crate::attribution::estimate::Estimate;
use crate::attribution::{
    CamMethod, Compat, Explains, HeadPass, MethodRow, Needs, RawMaps, Score, WeighChannels,
};
use crate::random::Random;
use crate::stats::lasso;
use rayon::prelude::*;
use tch::{Kind, TchError, Tensor};

/// Sets of channels of the published code's only fit.
const PUBLISHED_SETS: usize = 256;

/// Sets of channels of a fit, which are balanced in full up to half as many channels.
const SETS: usize = 512;

/// Fits of a picture; the error that is wanted may not be reached with so many.
const MOST_FITS: usize = 64;

/// Fits that have a spread.
const FEWEST_FITS: usize = 2;

/// Fits of a picture that are made at a time, at most, times channels: their sets are in memory
/// together, 4 MB of a picture.
const CHANNELS_AHEAD: usize = 2048;

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
    draws: true,
    implementation: &LimeCam,
};

struct LimeCam;

impl CamMethod for LimeCam {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        RawMaps::of_estimates(pass, &estimates(pass, score)?)
    }

    fn channel_weights(&self) -> Option<WeighChannels> {
        Some(|pass, score| pass.estimated_weights(&estimates(pass, score)?))
    }
}

/// The coefficients of each picture of the batch.
fn estimates(pass: &HeadPass<'_>, score: Score) -> Result<Vec<Estimate>, TchError> {
    let channels = pass.a().size()[1] as usize;
    let mut random: Vec<Random> =
        pass.seeds[..pass.distinct].iter().map(|&seed| Random::new(seed, 0)).collect();
    let mut fits = vec![Vec::new(); random.len()];
    if pass.options.compat == Compat::Published {
        let sets = random
            .par_iter_mut()
            .map(|random| independent_sets(random, channels))
            .collect::<Vec<_>>();
        let pictures: Vec<usize> = (0..random.len()).collect();
        fits =
            coefficients(pass, &pictures, &sets, score)?.into_iter().map(|fit| vec![fit]).collect();
        return Ok(estimated(pass, &fits));
    }
    let wanted = pass.options.lime_error;
    loop {
        let more: Vec<usize> =
            fits.iter().map(|fits| next_fits(fits, wanted, CHANNELS_AHEAD / channels)).collect();
        let owners: Vec<usize> =
            (0..).zip(&more).flat_map(|(at, &more)| std::iter::repeat_n(at, more)).collect();
        if owners.is_empty() {
            return Ok(estimated(pass, &fits));
        }
        let drawing = random.par_iter_mut().zip(more).flat_map_iter(|(random, more)| {
            (0..more).map(move |_| balanced_sets(&mut *random, channels))
        });
        let sets = drawing.collect::<Vec<_>>();
        for (&at, fit) in owners.iter().zip(coefficients(pass, &owners, &sets, score)?) {
            // What was fitted ahead and is not needed is left out: the number of fits does not
            // depend on how many are made at a time.
            if is_unsure(&fits[at], wanted) {
                fits[at].push(fit);
            }
        }
    }
}

/// How many more fits are made of a picture before its error is looked at again. Each look waits
/// for a GPU, and for all pictures of the batch. Two at first; then half of those that seem to be
/// missing, as the error falls with the root of their number, at least one, at most as many as
/// there are, since few fits say little about the error, and at most `most`.
fn next_fits(fits: &[Vec<f64>], wanted: f32, most: usize) -> usize {
    let made = fits.len();
    if made < FEWEST_FITS {
        return FEWEST_FITS - made;
    }
    if !is_unsure(fits, wanted) {
        return 0;
    }
    let error = Estimate::error_of_draws(fits) / wanted;
    let missing = made as f32 * (error * error - 1.0);
    ((missing / 2.0) as usize).min(made).min(most).max(1).min(MOST_FITS - made)
}

/// The mean of the fits of each picture of the batch.
fn estimated(pass: &HeadPass<'_>, fits: &[Vec<Vec<f64>>]) -> Vec<Estimate> {
    let mut estimates = fits.iter().map(|fits| Estimate::of_draws(fits)).collect();
    pass.repeat_last(&mut estimates, Clone::clone);
    estimates
}

/// Whether the mean of `fits` has a greater error than `wanted`, and more may be made.
fn is_unsure(fits: &[Vec<f64>], wanted: f32) -> bool {
    fits.len() < FEWEST_FITS || (fits.len() < MOST_FITS && Estimate::error_of_draws(fits) > wanted)
}

/// The linear model's coefficients for each of these `pictures` of the batch from its `masks`
/// (sets, K), zeros and ones, row by row. Scores are read once for all, then the pictures are
/// fitted side by side.
pub(in crate::attribution) fn coefficients(
    pass: &HeadPass<'_>,
    pictures: &[usize],
    masks: &[Vec<u8>],
    score: Score,
) -> Result<Vec<Vec<f64>>, TchError> {
    let channels = pass.a().size()[1];
    let all =
        Tensor::f_from_slice(&masks.concat())?.f_reshape([masks.len() as i64, -1, channels])?;
    let all = all.f_to_device(pass.a().device())?.f_to_kind(Kind::Float)?;
    let scores =
        pictures.iter().zip(0..).map(|(&picture, at)| pass.masked(picture, &all.f_get(at)?, score));
    let scores =
        Tensor::f_stack(&scores.collect::<Result<Vec<_>, _>>()?, 0)?.f_to_kind(Kind::Double)?;
    let energies = pass.a().f_to_kind(Kind::Double)?.f_square()?;
    let energies = energies.f_sum_dim_intlist([2_i64, 3].as_slice(), false, Kind::Double)?;
    let scores = Vec::<f64>::try_from(&scores.f_flatten(0, -1)?)?;
    let energies = Vec::<f64>::try_from(&energies.f_flatten(0, -1)?)?;
    let channels = channels as usize;
    let of_pictures = masks.par_iter().zip(scores.par_chunks_exact(scores.len() / masks.len()));
    let of_pictures = of_pictures
        .zip(pictures.par_iter().map(|picture| &energies[picture * channels..][..channels]));
    let fit = |((masks, scores), energy): ((&Vec<u8>, &[f64]), &[f64])| {
        let similarities: Vec<f64> =
            masks.chunks_exact(channels).map(|mask| similarity(mask, energy)).collect();
        lasso(masks, scores, &similarities, ALPHA)
    };
    Ok(of_pictures.map(fit).collect())
}

/// Sets of the published code, each a row of zeros and ones, every one of them with probability
/// 1/2.
fn independent_sets(random: &mut Random, channels: usize) -> Vec<u8> {
    (0..PUBLISHED_SETS * channels).map(|_| (random.next_u64() >> 63) as u8).collect()
}

/// SETS rows of zeros and ones, in pairs of a set and its complement. A channel is a column of a
/// Hadamard matrix (Sylvester's: entry (i, j) is -1 where i and j have an odd number of bits in
/// common), its sign drawn at random; all rows are taken, as often as they go into half of SETS,
/// each time with other columns, or as many as go, in random order.
fn balanced_sets(random: &mut Random, channels: usize) -> Vec<u8> {
    let order = channels.next_power_of_two();
    let mut sets = Vec::with_capacity(SETS * channels);
    while sets.len() < SETS * channels {
        let [mut columns, mut rows]: [Vec<usize>; 2] = [(0..order).collect(), (0..order).collect()];
        random.shuffle(&mut columns);
        random.shuffle(&mut rows);
        let signs: Vec<usize> = (0..channels).map(|_| random.below(2)).collect();
        for row in rows.into_iter().take(SETS / 2) {
            let odd = |(column, sign): (&usize, &usize)| {
                ((row & column).count_ones() as usize + sign) & 1
            };
            let start = sets.len();
            sets.extend(columns.iter().zip(&signs).map(odd).map(|odd| odd as u8));
            for at in start..start + channels {
                sets.push(1 - sets[at]);
            }
        }
    }
    sets
}

/// exp(-d^2 / (2 width^2)), d the cosine distance between A and A with the mask's channels alone.
/// Their scalar product is the energy of the channels that stay, so is the square of the latter's
/// length. An empty mask is at distance 1.
fn similarity(mask: &[u8], energy: &[f64]) -> f64 {
    let total: f64 = energy.iter().sum();
    let stays: f64 = mask.iter().zip(energy).map(|(&mask, energy)| f64::from(mask) * energy).sum();
    let cosine = if total > 0.0 { (stays / total).sqrt() } else { 0.0 };
    let distance = 1.0 - cosine;
    (-distance * distance / (2.0 * KERNEL_WIDTH * KERNEL_WIDTH)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// A set and its complement; up to 256 channels any two are together in a quarter of the
        /// sets.
        #[test]
        fn sets_are_balanced(seed in any::<u64>(), channels in 2..400_usize) {
            let sets = balanced_sets(&mut Random::new(seed, 0), channels);
            prop_assert_eq!(sets.len(), SETS * channels);
            for pair in sets.chunks_exact(2 * channels) {
                prop_assert!(pair[..channels].iter().zip(&pair[channels..]).all(|(a, b)| a + b == 1));
            }
            let both = |k: usize, l: usize| sets.chunks_exact(channels).filter(|set| set[k] * set[l] == 1).count();
            for (k, l) in [(0, 1), (channels / 2, channels - 1), (0, channels - 1)] {
                prop_assert!(k == l || channels > SETS / 2 || both(k, l) == SETS / 4, "{} {}", k, l);
            }
        }
    }

    #[test]
    fn fits_are_made_until_their_mean_is_sure() {
        let alike = [vec![1.0, 2.0], vec![1.0, 2.0]];
        assert!(is_unsure(&alike[..1], 1.0) && !is_unsure(&alike, 0.01));
        let apart = [vec![1.0, 0.0], vec![-1.0, 1.0]];
        assert!(is_unsure(&apart, 0.5) && !is_unsure(&apart, 2.3));
        assert!(!is_unsure(&vec![apart.to_vec(); MOST_FITS / 2].concat(), 0.001));
    }

    #[test]
    fn hardly_any_fit_is_made_in_vain() {
        for (seed, spread) in (0..40).zip([0.5, 2.0, 4.0, 6.0].into_iter().cycle()) {
            let mut random = Random::new(seed, 0);
            let mut draw = |_| (0..256).map(|_| 1.0 + random.uniform(-spread, spread)).collect();
            let (mut fits, mut made): (Vec<Vec<f64>>, usize) = (Vec::new(), 0);
            loop {
                let more = next_fits(&fits, 0.3, 8);
                if more == 0 {
                    break;
                }
                made += more;
                for fit in (0..more).map(&mut draw) {
                    if is_unsure(&fits, 0.3) {
                        fits.push(fit);
                    }
                }
            }
            assert!(made <= fits.len() + 1, "{made} made, {} needed", fits.len());
        }
    }

    #[test]
    fn half_of_the_missing_fits_are_made_before_the_error_is_looked_at_again() {
        assert_eq!((next_fits(&[], 0.1, 8), next_fits(&[vec![1.0]], 0.1, 8)), (2, 1));
        let apart = [vec![1.0, 0.0], vec![-1.0, 1.0]];
        let error = Estimate::error_of_draws(&apart);
        assert_eq!(next_fits(&apart, 1.01 * error, 8), 0);
        // Two have this error, so that eight would have half of it: three of the missing six, but
        // not more than were made; one where hardly any is missing.
        assert_eq!(next_fits(&apart, 0.5 * error, 8), 2);
        assert_eq!(next_fits(&apart, 0.99 * error, 8), 1);
        let many = |count: usize| vec![apart.to_vec(); count / 2].concat();
        assert_eq!([8, 3, 0].map(|most| next_fits(&many(32), 0.001, most)), [8, 3, 1]);
        assert_eq!(next_fits(&many(MOST_FITS - 2), 0.001, 8), 2);
        assert_eq!(next_fits(&many(MOST_FITS), 0.001, 8), 0);
    }
}
