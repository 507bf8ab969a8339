//! Many tests at once.
//!
//! [`holm`] adjusts p-values so that the chance of any false positive among them stays at the
//! level. [`benjamini_hochberg`] and [`benjamini_yekutieli`] give q-values: of all tests with q at
//! most 0.05, on average at most one in twenty is a false positive.
//!
//! In: p-values. Out: as many adjusted ones, in the same order.

/// The step-down adjustment of Holm 1979 of p-values for their number.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest_so_far = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest_so_far =
            largest_so_far.max(((p_values.len() - rank) as f64 * p_values[index]).min(1.0));
        adjusted[index] = largest_so_far;
    }
    adjusted
}

/// The step-up adjustment of Benjamini and Hochberg 1995: the q-value of the test of rank k among m
/// is the least of p m / k over its own and all higher ranks. It holds for independent tests, and
/// for those with positive regression dependence.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    step_up(p_values, 1.0)
}

/// The adjustment of Benjamini and Yekutieli 2001, which holds however the tests depend on each
/// other: that of Benjamini and Hochberg times the sum of 1/k over all ranks.
pub fn benjamini_yekutieli(p_values: &[f64]) -> Vec<f64> {
    step_up(p_values, (1..=p_values.len()).map(|rank| 1.0 / rank as f64).sum())
}

fn step_up(p_values: &[f64], factor: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least_so_far = 1.0_f64;
    for (rank, index) in order.into_iter().enumerate().rev() {
        let ratio = p_values.len() as f64 / (rank + 1) as f64;
        least_so_far = least_so_far.min(factor * ratio * p_values[index]);
        adjusted[index] = least_so_far;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let p_values = [0.01, 0.04, 0.03, 0.5];
        for (found, expected) in
            benjamini_hochberg(&p_values).iter().zip([0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5])
        {
            approx::assert_abs_diff_eq!(*found, expected, epsilon = 1e-15);
        }
        let factor = 1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0;
        for (found, expected) in
            benjamini_yekutieli(&p_values).iter().zip([0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5])
        {
            approx::assert_abs_diff_eq!(*found, f64::min(1.0, factor * expected), epsilon = 1e-15);
        }
        assert!(benjamini_hochberg(&[]).is_empty() && benjamini_yekutieli(&[]).is_empty());
    }

    #[test]
    fn holm_by_hand() {
        let adjusted = holm(&[0.01, 0.04, 0.03]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06]) {
            approx::assert_abs_diff_eq!(*found, expected, epsilon = 1e-15);
        }
        assert!(holm(&[]).is_empty());
    }

    proptest! {
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

        #[test]
        fn q_values_lie_between_p_values_and_holms(p in prop::collection::vec(0.0..1.0_f64, 1..20)) {
            let (rate, strict, familywise) = (benjamini_hochberg(&p), benjamini_yekutieli(&p), holm(&p));
            for a in 0..p.len() {
                prop_assert!(p[a] <= rate[a] + 1e-15 && rate[a] <= strict[a] + 1e-15 && strict[a] <= 1.0);
                prop_assert!(rate[a] <= familywise[a] + 1e-15);
                for b in 0..p.len() {
                    prop_assert!(p[a] > p[b] || (rate[a] <= rate[b] && strict[a] <= strict[b]));
                }
            }
        }
    }
}
