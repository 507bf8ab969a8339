//! Bootstrap intervals at 95 %, by two conventions that must not be mistaken for each other.
//!
//! * [`percentile_interval_of_mean`] takes the percentiles of the resampled means (Efron and
//!   Tibshirani 1993, chapter 13). A mean is not biased, so that its resamples lie around it.
//! * [`bias_spanning_interval`] is for rank correlations and other statistics that noise biases.
//!   Noise lowers a correlation of ranks: the estimate r is below the truth, and the resamples,
//!   noisy twice, are about as much below r again, so that their percentiles are no interval for
//!   the truth. The basic bootstrap interval (Davison and Hinkley 1997, section 5.2) turns that
//!   round: from 2r - q(97.5 %) to 2r - q(2.5 %), which is the spread of the resamples around
//!   r - bias. But the correction is itself an estimate, too small where many cells are nearly
//!   equal and too large where few are. So the interval spans both, the spread around r and that
//!   around r - bias, and holds r.
//!
//! Few cases hold less spread than what they are drawn from, so that the percentiles of their
//! resamples lie too close together: below [`FEWEST_RESAMPLED_CASES`] there is no interval, and no
//! verdict that rests on one.
//!
//! In: the values, or the estimate and its resamples. Out: the interval's ends in the unit of the
//! values, `None` where there is too little to draw from.

use super::descriptive::{mean, quantile};
use crate::random::Random;

/// Of fewer cases (images, scenes) no bootstrap interval is made, anywhere in this program.
///
/// A percentile interval at 95 % should leave out 5 of 100 means that are truly 0. It leaves out,
/// of normal values and of values as skewed as exponential ones (simulated: 4000 samples, each
/// resampled 1000 times):
///
/// | cases       | 2    | 3    | 5    | 8    | 10   | 15   | 20   | 30  |
/// | ----------- | ---- | ---- | ---- | ---- | ---- | ---- | ---- | --- |
/// | normal      | 50 % | 24 % | 16 % | 11 % | 10 % | 8 %  | 9 %  | 6 % |
/// | exponential | 53 % | 30 % | 20 % | 16 % | 14 % | 11 % | 10 % | 8 % |
///
/// (`scripts/reference/bootstrap_coverage.py`.) From ten cases on, about twice the promised share
/// of null effects is taken for real where values are symmetric, as differences between two maps of
/// the same image are; below that it grows fast. Ten is also the smallest number of images by which
/// a class has statistics (`--min-images`).
pub const FEWEST_RESAMPLED_CASES: usize = 10;

/// The share of resampled means inside a percentile interval.
const LEVEL: f64 = 0.95;

/// The share of resampled means below a percentile interval. As computed it is 2e-17 more than the
/// literal 0.025 that [`bias_spanning_interval`] uses, and the last digits of tables depend on it:
/// the two stay apart.
pub(super) const TAIL: f64 = (1.0 - LEVEL) / 2.0;

/// A [`bias_spanning_interval`] is `None` when more than this share of the resamples has no value.
pub(super) const MOST_UNDEFINED: f64 = 0.05;

/// The 2.5th and 97.5th percentile of the means of `resamples` samples drawn from `values` with
/// replacement; `None` for fewer than [`FEWEST_RESAMPLED_CASES`] values or no resample. What is
/// drawn depends on `seed` and on the number of values alone, so that lists of the same length, as
/// all methods have over the same pictures, are resampled alike.
pub fn percentile_interval_of_mean(
    values: &[f64],
    resamples: usize,
    seed: u64,
) -> Option<(f64, f64)> {
    if values.len() < FEWEST_RESAMPLED_CASES || resamples == 0 {
        return None;
    }
    Some(percentiles_of_means(values, resamples, seed))
}

/// The interval of [`percentile_interval_of_mean`] for any number of values but none.
fn percentiles_of_means(values: &[f64], resamples: usize, seed: u64) -> (f64, f64) {
    let mut random = Random::of_text(seed, "bootstrap");
    let mut resampled_mean = || {
        let sum: f64 = (0..values.len()).map(|_| values[random.below(values.len())]).sum();
        sum / values.len() as f64
    };
    let mut means: Vec<f64> = (0..resamples).map(|_| resampled_mean()).collect();
    means.sort_unstable_by(f64::total_cmp);
    (quantile(&means, TAIL), quantile(&means, 1.0 - TAIL))
}

/// What the resamples say of an estimate in `[-1, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BootstrapInterval {
    /// The lower end, in `[-1, 1]`.
    pub lower: f64,
    /// The upper end, in `[-1, 1]`.
    pub upper: f64,
    /// The mean of the resamples less the estimate: how far noise moves the statistic, and about
    /// how far the estimate is itself from the truth.
    pub bias: f64,
}

/// The 95 % interval around `estimate`, a statistic in `[-1, 1]`, from its `resamples`: it spans
/// the resamples' spread around the estimate and around the estimate less its bias. `None` when
/// more than one in twenty resamples has no value.
pub fn bias_spanning_interval(
    estimate: f64,
    resamples: &[Option<f64>],
) -> Option<BootstrapInterval> {
    let mut values: Vec<f64> = resamples.iter().copied().flatten().collect();
    if (values.len() as f64) < (1.0 - MOST_UNDEFINED) * resamples.len() as f64 {
        return None;
    }
    let mean = mean(&values)?;
    let bias = mean - estimate;
    values.sort_unstable_by(f64::total_cmp);
    let (below, above) = (quantile(&values, 0.025) - mean, quantile(&values, 0.975) - mean);
    let lower = estimate - bias.max(0.0) - above;
    let upper = estimate - bias.min(0.0) - below;
    Some(BootstrapInterval { lower: lower.clamp(-1.0, 1.0), upper: upper.clamp(-1.0, 1.0), bias })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fewer_values_than_the_fewest_have_no_interval() {
        let values = Random::new(3, 0).spread(FEWEST_RESAMPLED_CASES, 1.0);
        for few in 0..FEWEST_RESAMPLED_CASES {
            assert_eq!(percentile_interval_of_mean(&values[..few], 2000, 1), None, "{few}");
        }
        assert!(percentile_interval_of_mean(&values, 2000, 1).is_some());
        assert_eq!(percentile_interval_of_mean(&values, 0, 1), None);
    }

    /// In how many of a hundred samples of so many normal values around 0 the percentiles leave 0
    /// out.
    fn null_effects_marked(cases: usize) -> f64 {
        const SAMPLES: u64 = 1500;
        let is_marked = |sample: &u64| {
            let mut random = Random::new(8, *sample);
            // A sum of twelve uniform numbers is normal to within what is asked here.
            let values: Vec<f64> =
                (0..cases).map(|_| (0..12).map(|_| random.uniform(-0.5, 0.5)).sum()).collect();
            let (lower, upper) = percentiles_of_means(&values, 400, *sample);
            lower > 0.0 || upper < 0.0
        };
        100.0 * (0..SAMPLES).filter(is_marked).count() as f64 / SAMPLES as f64
    }

    #[test]
    fn the_fewest_cases_are_those_of_which_one_null_effect_in_ten_is_marked() {
        let marked = [2, 3, FEWEST_RESAMPLED_CASES].map(null_effects_marked);
        eprintln!(
            "of a hundred null effects marked at 2, 3 and {FEWEST_RESAMPLED_CASES} cases: \
             {marked:?}"
        );
        assert!(marked[0] > 40.0 && marked[1] > 20.0, "{marked:?}");
        assert!((5.0..12.0).contains(&marked[2]), "{marked:?}");
    }

    #[test]
    fn of_many_values_the_percentile_interval_is_the_normal_ones() {
        let values = Random::new(5, 0).spread(4000, 2.0);
        let (low, high) = percentile_interval_of_mean(&values, 2000, 1).unwrap();
        let centre = mean(&values).unwrap();
        let deviation = (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / 4000.0).sqrt();
        let wanted = 1.96 * deviation / 4000_f64.sqrt();
        approx::assert_relative_eq!(high - centre, wanted, max_relative = 0.1);
        approx::assert_relative_eq!(centre - low, wanted, max_relative = 0.1);
    }

    #[test]
    fn a_bias_spanning_interval_by_hand() {
        let resamples: Vec<Option<f64>> =
            (0..=40).map(|step| Some(0.4 + f64::from(step) / 100.0)).collect();
        let BootstrapInterval { lower, upper, bias } =
            bias_spanning_interval(0.65, &resamples).unwrap();
        // Resamples from 0.41 to 0.79 around 0.6; r and r less the bias are 0.65 and 0.7.
        approx::assert_abs_diff_eq!(lower, 0.65 - 0.19, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(upper, 0.7 + 0.19, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(bias, 0.6 - 0.65, epsilon = 1e-12);
        let found = bias_spanning_interval(0.55, &resamples).unwrap();
        approx::assert_abs_diff_eq!(found.lower, 0.5 - 0.19, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(found.upper, 0.55 + 0.19, epsilon = 1e-12);
        let certain = BootstrapInterval { lower: 1.0, upper: 1.0, bias: 0.0 };
        assert_eq!(bias_spanning_interval(1.0, &[Some(1.0); 50]), Some(certain));
        let few_missing: Vec<Option<f64>> =
            (0..100).map(|number| (number > 4).then_some(0.5)).collect();
        assert!(bias_spanning_interval(0.5, &few_missing).is_some());
        assert_eq!(bias_spanning_interval(0.5, &[&few_missing[..], &[None]].concat()[..]), None);
        assert_eq!(bias_spanning_interval(0.5, &[]), None);
    }

    proptest! {
        #[test]
        fn percentile_intervals_move_and_grow_with_the_values(
            values in prop::collection::vec(-1.0_f64..1.0, FEWEST_RESAMPLED_CASES..25),
            shift in -5.0_f64..5.0, factor in 0.1_f64..9.0,
        ) {
            let (low, high) = percentile_interval_of_mean(&values, 200, 3).unwrap();
            let moved: Vec<f64> = values.iter().map(|value| factor * value + shift).collect();
            let (moved_low, moved_high) = percentile_interval_of_mean(&moved, 200, 3).unwrap();
            prop_assert!((moved_low - (factor * low + shift)).abs() < 1e-9);
            prop_assert!((moved_high - (factor * high + shift)).abs() < 1e-9);
            let ends = values.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
            prop_assert!(ends.0 - 1e-12 <= low && low <= high && high <= ends.1 + 1e-12);
        }
    }
}
