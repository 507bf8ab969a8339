//! Confidence intervals over images: how far the correlations move when the pictures are drawn again.
//!
//! The images of a corpus are drawn with replacement, the matrices counted again, and every pair correlated. A label that
//! is not drawn at all has empty columns in that resample, and its cells are left out of it.
//!
//! Percentiles of the resamples are no interval for the truth here. Noise lowers a correlation of ranks: the estimate r is
//! below the truth, and the resamples, noisy twice, are about as much below r again. The basic bootstrap interval (Davison
//! and Hinkley 1997, section 5.2) turns that round: from 2r - q(97.5 %) to 2r - q(2.5 %), which is the spread of the
//! resamples around r - bias. But the correction is itself an estimate, too small where many cells are nearly equal and too
//! large where few are. So the interval reaches over both, the spread around r and that around r - bias, and holds r. In
//! simulations of the kind in the tests (36 to 480 cells, 500 to 3,000 images, 22 models, 100 corpora each) it covered the
//! truth 82 to 98 times in 100, in the median 95; the basic interval 79 to 95, percentiles 0 to 99.
//!
//! Where cells are many for the images, the correction falls short: with 601 x 20 cells, most of them rare, and a true 0.974,
//! 25,000 images gave 0.960 with an interval from 0.959 to 0.970, and 5,000 gave 0.929 with 0.926 to 0.950.

use super::inputs::Inputs;
use super::rank::Ranks;
use super::sample::{Corpus, Counter, Sample};
use rayon::prelude::*;

/// The interval is left empty when more than this share of the resamples has no correlation.
const MOST_UNDEFINED: f64 = 0.05;
/// Resamples between two reports of progress.
const CHUNK: usize = 64;

/// What the resamples say of one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end, in `[-1, 1]`.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Mean of the resamples less the estimate: how far noise moves the correlation, and about how far the estimate is
    /// itself from the truth.
    pub bias: f64,
}

/// Spearman correlations of every pair a < b, in the order (0, 1), (0, 2), ... (1, 2), ..., in every resample; `None` where
/// a matrix is constant. Resample `number` is the same whatever the number of threads and of resamples.
pub fn resample(
    inputs: &Inputs,
    corpora: &[Corpus],
    resamples: usize,
    seed: u64,
    mut progress: impl FnMut(usize),
) -> Vec<Vec<Option<f64>>> {
    let mut all = Vec::with_capacity(resamples);
    while all.len() < resamples {
        let next: Vec<usize> = (all.len()..resamples.min(all.len() + CHUNK)).collect();
        let fresh = || {
            let items = vec![Ranks::default(); inputs.items.len()];
            (Counter::new(inputs, corpora), Sample::whole(corpora), items)
        };
        all.par_extend(next.into_par_iter().map_init(fresh, |(counter, sample, items), number| {
            sample.drawn(seed, number);
            let images = counter.images(sample);
            let labels = counter.filled(&images);
            for (at, ranks) in items.iter_mut().enumerate() {
                counter.rank(at, sample, &images, &labels, ranks);
            }
            correlations(items)
        }));
        progress(all.len());
    }
    all
}

fn correlations(items: &[Ranks]) -> Vec<Option<f64>> {
    let pairs = items.iter().enumerate().flat_map(|(at, a)| items[at + 1..].iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| a.spearman(b)).collect()
}

/// The 95 % interval around `estimate`; `None` when too many resamples have no value.
pub fn interval(estimate: f64, resamples: &[Option<f64>]) -> Option<Interval> {
    let mut values: Vec<f64> = resamples.iter().copied().flatten().collect();
    if values.is_empty() || (values.len() as f64) < (1.0 - MOST_UNDEFINED) * resamples.len() as f64 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let bias = mean - estimate;
    values.sort_unstable_by(f64::total_cmp);
    let (below, above) = (quantile(&values, 0.025) - mean, quantile(&values, 0.975) - mean);
    let lower = estimate - bias.max(0.0) - above;
    let upper = estimate - bias.min(0.0) - below;
    Some(Interval { lower: lower.clamp(-1.0, 1.0), upper: upper.clamp(-1.0, 1.0), bias })
}

/// Linear between the order statistics, the first being at 0 and the last at 1.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_by_hand() {
        let resamples: Vec<Option<f64>> = (0..=40).map(|at| Some(0.4 + f64::from(at) / 100.0)).collect();
        let Interval { lower, upper, bias } = interval(0.65, &resamples).unwrap();
        // Resamples from 0.41 to 0.79 around 0.6; r and r less the bias are 0.65 and 0.7.
        approx::assert_abs_diff_eq!(lower, 0.65 - 0.19, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(upper, 0.7 + 0.19, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(bias, 0.6 - 0.65, epsilon = 1e-12);
        assert_eq!(interval(1.0, &[Some(1.0); 50]), Some(Interval { lower: 1.0, upper: 1.0, bias: 0.0 }));
        let few_missing: Vec<Option<f64>> = (0..100).map(|at| (at > 4).then_some(0.5)).collect();
        assert!(interval(0.5, &few_missing).is_some());
        assert_eq!(interval(0.5, &[&few_missing[..], &[None]].concat()[..]), None);
        assert_eq!(interval(0.5, &[]), None);
    }
}
