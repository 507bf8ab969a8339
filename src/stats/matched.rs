//! Tests for shares in matched samples: the same cases asked under several conditions.
//!
//! In: counts of the positive answers. Out: a statistic and its p-value in `[0, 1]`.

use statrs::function::beta::beta_reg;
use statrs::function::gamma::gamma_ur;

/// The result of Cochran's Q test (Cochran 1950).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cochran {
    /// The statistic.
    pub q: f64,
    /// The number of conditions less one.
    pub degrees: usize,
    /// The p-value by the chi-squared distribution, which Q follows approximately.
    pub p_value: f64,
}

/// Whether the share of positive cases differs between conditions, every case being asked under all
/// of them. In are the number of positive cases of each condition, and the sum over cases of the
/// square of the number of conditions that are positive in the case. `None` where no case differs
/// between conditions, or there are fewer than two conditions.
pub fn cochran_q(
    positives_of_conditions: &[u64],
    sum_of_squares_over_cases: u64,
) -> Option<Cochran> {
    let k = positives_of_conditions.len() as f64;
    let total: u64 = positives_of_conditions.iter().sum();
    let squares: f64 =
        positives_of_conditions.iter().map(|&positives| (positives * positives) as f64).sum();
    let denominator = k * total as f64 - sum_of_squares_over_cases as f64;
    if positives_of_conditions.len() < 2 || denominator <= 0.0 {
        return None;
    }
    let q = (k - 1.0) * (k * squares - (total * total) as f64) / denominator;
    let degrees = positives_of_conditions.len() - 1;
    // The upper tail of chi-squared; all of it at 0, which the function does not take.
    let p_value = if q > 0.0 { gamma_ur(degrees as f64 / 2.0, q / 2.0) } else { 1.0 };
    Some(Cochran { q, degrees, p_value })
}

/// The two-sided p-value of the exact test of McNemar 1947: of all pairs of which one member is
/// positive, in `only_first` it is the first and in `only_second` the second. It is 1 when there
/// are no such pairs.
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let (fewer, all) = (only_first.min(only_second), only_first + only_second);
    if 2 * fewer >= all {
        return 1.0;
    }
    // P(X <= fewer) for X ~ B(all, 1/2).
    (2.0 * beta_reg((all - fewer) as f64, fewer as f64 + 1.0, 0.5)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of six cases under three conditions 4, 5 and 1 are positive: Q is 2 (3 x 42 - 100) /
    /// (30 - 22), and with two degrees of freedom the tail of chi-squared is exp(-Q / 2).
    #[test]
    fn cochrans_q_by_hand() {
        let Cochran { q, degrees, p_value } = cochran_q(&[4, 5, 1], 22).unwrap();
        assert_eq!((q, degrees), (6.5, 2));
        approx::assert_abs_diff_eq!(p_value, (-3.25_f64).exp(), epsilon = 1e-14);
        assert_eq!(cochran_q(&[3, 3], 12), None, "no case differs");
    }

    #[test]
    fn by_hand() {
        assert_eq!(mcnemar(0, 0), 1.0);
        approx::assert_abs_diff_eq!(mcnemar(1, 4), 2.0 * 6.0 / 32.0, epsilon = 1e-14);
        assert_eq!(mcnemar(3, 3), 1.0);
        approx::assert_abs_diff_eq!(mcnemar(2, 0), 0.5, epsilon = 1e-14);
        // Nobody changes, everybody changes: nothing to compare.
        assert_eq!(cochran_q(&[0, 0, 0], 0), None);
        assert_eq!(cochran_q(&[5, 5, 5], 45), None);
        assert_eq!(cochran_q(&[1, 1], 2).unwrap().p_value, 1.0);
    }

    proptest! {
        #[test]
        fn p_values_are_probabilities(first in 0_u64..2000, second in 0_u64..2000) {
            let p = mcnemar(first, second);
            prop_assert!((0.0..=1.0).contains(&p) && p == mcnemar(second, first));
        }
    }
}
