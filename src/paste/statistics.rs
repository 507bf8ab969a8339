//! Intervals and tests for shares of changed labels.

use statrs::function::beta::beta_reg;
use statrs::function::gamma::gamma_ur;

/// The normal distribution's quantile at 0.975: intervals hold 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's score interval (1927) at 95 % for `changed` of `all`; `None` for none of none.
pub fn wilson(changed: u64, all: u64) -> Option<(f64, f64)> {
    if all == 0 {
        return None;
    }
    let (n, p, z2) = (all as f64, changed as f64 / all as f64, Z * Z);
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let reach = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // Exactly 0 and 1 at the ends, where rounding may leave a trace.
    let lower = if changed == 0 { 0.0 } else { (centre - reach).max(0.0) };
    let upper = if changed == all { 1.0 } else { (centre + reach).min(1.0) };
    Some((lower, upper))
}

/// Cochran's Q (1950).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cochran {
    /// The statistic.
    pub q: f64,
    /// Number of positions less one.
    pub degrees: usize,
    /// Of chi-squared, by which Q is approximated.
    pub p_value: f64,
}

/// Whether the share of changes differs between positions, every photo having all positions: from each position's number
/// of changes, and the sums over photos of a photo's changes and of their squares. `None` where no photo has changes at some
/// positions and not at others, or there are fewer than two positions.
pub fn cochran_q(of_positions: &[u64], sum_of_squares: u64) -> Option<Cochran> {
    let k = of_positions.len() as f64;
    let total: u64 = of_positions.iter().sum();
    let squares: f64 = of_positions.iter().map(|&changed| (changed * changed) as f64).sum();
    let below = k * total as f64 - sum_of_squares as f64;
    if of_positions.len() < 2 || below <= 0.0 {
        return None;
    }
    let q = (k - 1.0) * (k * squares - (total * total) as f64) / below;
    let degrees = of_positions.len() - 1;
    // The upper tail of chi-squared; all of it at 0, which the function does not take.
    let p_value = if q > 0.0 { gamma_ur(degrees as f64 / 2.0, q / 2.0) } else { 1.0 };
    Some(Cochran { q, degrees, p_value })
}

/// McNemar's exact test (1947): two-sided p-value of `only_first` against `only_second` changes in pairs of which one member
/// changed; 1 when there are none.
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let (fewer, all) = (only_first.min(only_second), only_first + only_second);
    if 2 * fewer >= all {
        return 1.0;
    }
    // P(X <= fewer) for X ~ B(all, 1/2).
    (2.0 * beta_reg((all - fewer) as f64, fewer as f64 + 1.0, 0.5)).min(1.0)
}

/// Holm's step-down adjustment (1979) of p-values for their number.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut so_far = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        so_far = so_far.max(((p_values.len() - rank) as f64 * p_values[at]).min(1.0));
        adjusted[at] = so_far;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        assert_eq!(wilson(0, 0), None);
        assert_eq!(mcnemar(0, 0), 1.0);
        approx::assert_abs_diff_eq!(mcnemar(1, 4), 2.0 * 6.0 / 32.0, epsilon = 1e-14);
        assert_eq!(mcnemar(3, 3), 1.0);
        let adjusted = holm(&[0.01, 0.04, 0.03]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06]) {
            approx::assert_abs_diff_eq!(*found, expected, epsilon = 1e-15);
        }
        assert!(holm(&[]).is_empty());
        // Nobody changes, everybody changes: nothing to compare.
        assert_eq!(cochran_q(&[0, 0, 0], 0), None);
        assert_eq!(cochran_q(&[5, 5, 5], 45), None);
        assert_eq!(cochran_q(&[1, 1], 2).unwrap().p_value, 1.0);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share_and_lies_inside(changed in 0_u64..500, more in 0_u64..500) {
            let all = changed + more;
            prop_assume!(all > 0);
            let (lower, upper) = wilson(changed, all).unwrap();
            let share = changed as f64 / all as f64;
            prop_assert!(0.0 <= lower && lower <= share && share <= upper && upper <= 1.0);
        }

        #[test]
        fn p_values_are_probabilities(first in 0_u64..2000, second in 0_u64..2000) {
            let p = mcnemar(first, second);
            prop_assert!((0.0..=1.0).contains(&p) && p == mcnemar(second, first));
        }

        #[test]
        fn holm_never_lowers_and_keeps_the_order(p in prop::collection::vec(0.0..1.0_f64, 1..20)) {
            let adjusted = holm(&p);
            for a in 0..p.len() {
                prop_assert!(adjusted[a] >= p[a] && adjusted[a] <= 1.0);
                for b in 0..p.len() {
                    prop_assert!(p[a] > p[b] || adjusted[a] <= adjusted[b]);
                }
            }
        }
    }
}
