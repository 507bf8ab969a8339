//! Many tests at once: p-values adjusted so that the chance of any false positive among them stays at the level.
//!
//! In: p-values. Out: as many adjusted ones, in the same order.

/// The step-down adjustment of Holm 1979 of p-values for their number.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest_so_far = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest_so_far = largest_so_far.max(((p_values.len() - rank) as f64 * p_values[index]).min(1.0));
        adjusted[index] = largest_so_far;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
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
    }
}
