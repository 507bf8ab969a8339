//! The mean and the quantiles of a list of numbers.
//!
//! In: a list. Out: one number of the same unit. Sums run in the order of the list.

use super::proportion::ValueWithInterval;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean; `None` of an empty list.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The mean of independent repetitions with Student's 95 % interval; `None` of fewer than two.
pub fn mean_interval(values: &[f64]) -> Option<ValueWithInterval> {
    let count = values.len() as f64;
    let mean = mean(values).filter(|_| count >= 2.0)?;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let student = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
    let reach = student.inverse_cdf(0.975) * (variance / count).sqrt();
    Some(ValueWithInterval { value: mean, lower: mean - reach, upper: mean + reach })
}

/// The standard error of a number by the jackknife: from what it is with a group of cases left out,
/// for each of several groups of about as many cases (Efron and Tibshirani 1993, equation 11.5); 0
/// of fewer than two groups.
pub fn jackknife_error(left_out: &[f64]) -> f64 {
    let Some(mean) = mean(left_out) else { return 0.0 };
    let groups = left_out.len() as f64;
    let squares: f64 = left_out.iter().map(|value| (value - mean).powi(2)).sum();
    (squares * (groups - 1.0) / groups).sqrt()
}

/// The quantile of an ascending list at a `share` in `[0, 1]`, linear between neighbours, the first
/// number being at 0 and the last at 1: definition 7 of Hyndman and Fan 1996, which is numpy's
/// default.
///
/// # Panics
/// When the list is empty, or the share is outside its range.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
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
    fn the_interval_of_a_mean_by_a_table_of_student() {
        // t(0.975, 4) = 2.776445 (tables); the standard error of 1 to 5 is the root of 0.5.
        let ValueWithInterval { value: mean, lower, upper } =
            mean_interval(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        approx::assert_abs_diff_eq!(mean, 3.0, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(upper - 3.0, 2.776_445 * 0.5_f64.sqrt(), epsilon = 1e-6);
        approx::assert_abs_diff_eq!(3.0 - lower, upper - 3.0, epsilon = 1e-12);
        assert_eq!(mean_interval(&[1.0]), None);
    }

    /// Of a mean the jackknife's is the usual standard error.
    #[test]
    fn the_jackknifes_error_of_a_mean_is_the_standard_error() {
        let cases = [3.0, 1.0, 4.0, 1.0, 5.0];
        let left_out = |at: usize| (cases.iter().sum::<f64>() - cases[at]) / 4.0;
        let left_out: Vec<f64> = (0..5).map(left_out).collect();
        // The sample variance of the five is 3.2.
        approx::assert_abs_diff_eq!(
            jackknife_error(&left_out),
            (3.2_f64 / 5.0).sqrt(),
            epsilon = 1e-12
        );
        assert_eq!((jackknife_error(&[0.5]), jackknife_error(&[])), (0.0, 0.0));
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!((mean(&[0.5]), mean(&[])), (Some(0.5), None));
    }

    proptest! {
        #[test]
        fn quantiles_ascend_from_the_least_to_the_greatest(
            mut values in prop::collection::vec(-9.0_f64..9.0, 1..20),
            shares in prop::collection::vec(0.0_f64..=1.0, 2),
        ) {
            values.sort_unstable_by(f64::total_cmp);
            let (lower, upper) = (shares[0].min(shares[1]), shares[0].max(shares[1]));
            prop_assert_eq!(quantile(&values, 0.0), values[0]);
            prop_assert_eq!(quantile(&values, 1.0), values[values.len() - 1]);
            prop_assert!(quantile(&values, lower) <= quantile(&values, upper) + 1e-12);
        }
    }
}
