//! How sure a mean over pictures is: percentile bootstrap intervals (Efron & Tibshirani 1993, chapter 13).

use crate::random::Random;

/// The share of resampled means inside the interval.
const LEVEL: f64 = 0.95;

/// The 2.5th and 97.5th percentile of the means of `resamples` samples drawn with replacement; none for fewer than two
/// values or no resample. The pictures drawn depend on `seed` and on the number of values alone, so that all methods are
/// resampled alike.
pub fn interval(values: &[f64], resamples: usize, seed: u64) -> Option<(f64, f64)> {
    if values.len() < 2 || resamples == 0 {
        return None;
    }
    let mut random = Random::of_text(seed, "bootstrap");
    let mut one = || ((u128::from(random.next_u64()) * values.len() as u128) >> 64) as usize;
    let mut means: Vec<f64> =
        (0..resamples).map(|_| (0..values.len()).map(|_| values[one()]).sum::<f64>() / values.len() as f64).collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - LEVEL) / 2.0;
    Some((quantile(&means, tail), quantile(&means, 1.0 - tail)))
}

/// The mean; none of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Linear between neighbours of `sorted`, as numpy's default.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = (position as usize).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_by_hand() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.25), 1.5);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 1.0), 4.0);
        assert_eq!(quantile(&[3.0], 0.3), 3.0);
    }

    #[test]
    fn one_picture_has_no_interval() {
        assert_eq!(interval(&[0.5], 2000, 1), None);
        assert_eq!((mean(&[0.5]), mean(&[])), (Some(0.5), None));
    }

    #[test]
    fn of_many_values_the_interval_is_the_normal_ones() {
        let values = Random::new(5, 0).spread(4000, 2.0);
        let (low, high) = interval(&values, 2000, 1).unwrap();
        let centre = mean(&values).unwrap();
        let deviation = (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / 4000.0).sqrt();
        let wanted = 1.96 * deviation / 4000_f64.sqrt();
        approx::assert_relative_eq!(high - centre, wanted, max_relative = 0.1);
        approx::assert_relative_eq!(centre - low, wanted, max_relative = 0.1);
    }

    proptest! {
        #[test]
        fn intervals_move_and_grow_with_the_values(
            values in prop::collection::vec(-1.0_f64..1.0, 2..20), shift in -5.0_f64..5.0, factor in 0.1_f64..9.0,
        ) {
            let (low, high) = interval(&values, 200, 3).unwrap();
            let moved: Vec<f64> = values.iter().map(|value| factor * value + shift).collect();
            let (moved_low, moved_high) = interval(&moved, 200, 3).unwrap();
            prop_assert!((moved_low - (factor * low + shift)).abs() < 1e-9);
            prop_assert!((moved_high - (factor * high + shift)).abs() < 1e-9);
            let ends = values.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
            prop_assert!(ends.0 - 1e-12 <= low && low <= high && high <= ends.1 + 1e-12);
        }
    }
}
