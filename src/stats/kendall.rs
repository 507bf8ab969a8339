//! Kendall's tau-b in O(n log n) (Knight 1966, J. Am. Stat. Assoc. 61:436-439) and its asymptotic
//! p-value with ties (Kendall 1970, Rank Correlation Methods, section 4).
//!
//! In: two lists of finite numbers. Out: their correlation in `[-1, 1]` and its p-value. Pairs are
//! counted in f64, exact up to 2^53 of them.

use statrs::function::erf::erfc;

/// The correlation of two lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kendall {
    /// The correlation, in `[-1, 1]`.
    pub tau_b: f64,
    /// The two-sided p-value by the normal approximation, as if the pairs were independent. 0
    /// stands for less than the smallest number.
    pub p_value: f64,
}

/// What equal values contribute to the formulas: sums over the groups of equals, of size t.
#[derive(Default)]
struct Ties {
    /// The sum of t (t - 1) / 2.
    pairs: f64,
    /// The sum of t (t - 1) (t - 2).
    triples: f64,
    /// The sum of t (t - 1) (2 t + 5).
    variance: f64,
}

impl Ties {
    fn add(&mut self, equals: usize) {
        let t = equals as f64;
        self.pairs += t * (t - 1.0) / 2.0;
        self.triples += t * (t - 1.0) * (t - 2.0);
        self.variance += t * (t - 1.0) * (2.0 * t + 5.0);
    }
}

/// The tau-b of two lists of finite numbers; `None` when one is constant or there are fewer than
/// three numbers.
///
/// # Panics
/// When the lists differ in length.
pub fn kendall(x: &[f64], y: &[f64]) -> Option<Kendall> {
    assert_eq!(x.len(), y.len(), "lists of different lengths");
    let n = x.len() as f64;
    let mut pairs: Vec<(f64, f64)> = x.iter().zip(y).map(|(x, y)| (x + 0.0, y + 0.0)).collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (mut ties_x, mut ties_y, mut ties_joint) =
        (Ties::default(), Ties::default(), Ties::default());
    pairs.chunk_by(|a, b| a.0 == b.0).for_each(|equals| ties_x.add(equals.len()));
    pairs.chunk_by(|a, b| a == b).for_each(|equals| ties_joint.add(equals.len()));
    // With x ascending, and y where x is equal, a pair is discordant when its y descends: what a
    // merge sort counts.
    let mut ys: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
    let discordant = exchanges(&mut ys, &mut vec![0.0; pairs.len()]) as f64;
    ys.chunk_by(|a, b| a == b).for_each(|equals| ties_y.add(equals.len()));

    let all = n * (n - 1.0) / 2.0;
    if n < 3.0 || ties_x.pairs == all || ties_y.pairs == all {
        return None;
    }
    let difference = all - ties_x.pairs - ties_y.pairs + ties_joint.pairs - 2.0 * discordant;
    let tau_b = difference / (all - ties_x.pairs).sqrt() / (all - ties_y.pairs).sqrt();
    let m = n * (n - 1.0);
    let variance = (m * (2.0 * n + 5.0) - ties_x.variance - ties_y.variance) / 18.0
        + 2.0 * ties_x.pairs * ties_y.pairs / m
        + ties_x.triples * ties_y.triples / (9.0 * m * (n - 2.0));
    Some(Kendall {
        tau_b: tau_b.clamp(-1.0, 1.0),
        p_value: erfc(difference.abs() / (2.0 * variance).sqrt()),
    })
}

/// Sorts `list` and returns the number of pairs that were in descending order; `spare` is as long.
fn exchanges(list: &mut [f64], spare: &mut [f64]) -> u64 {
    if list.len() < 2 {
        return 0;
    }
    let (left, right) = list.split_at_mut(list.len() / 2);
    let mut count = exchanges(left, spare) + exchanges(right, spare);
    let (mut i, mut j) = (0, 0);
    for place in &mut spare[..left.len() + right.len()] {
        if j == right.len() || i < left.len() && left[i] <= right[j] {
            *place = left[i];
            i += 1;
        } else {
            // It passes everything that is left of the left half.
            count += (left.len() - i) as u64;
            *place = right[j];
            j += 1;
        }
    }
    let sorted = spare[..list.len()].to_vec();
    list.copy_from_slice(&sorted);
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn constant_or_too_short_is_undefined() {
        assert_eq!(kendall(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0]), None);
        assert_eq!(kendall(&[1.0, 2.0], &[1.0, 2.0]), None);
        let tied = kendall(&[1.0, 2.0, 3.0], &[0.0, -0.0, 1.0]).unwrap();
        approx::assert_abs_diff_eq!(tied.tau_b, 2.0 / 6_f64.sqrt(), epsilon = 1e-15);
        // Both zeros are one value in the first list too, whose order decides.
        let tied = kendall(&[0.0, -0.0, 1.0], &[1.0, 2.0, 3.0]).unwrap();
        approx::assert_abs_diff_eq!(tied.tau_b, 2.0 / 6_f64.sqrt(), epsilon = 1e-15);
    }

    /// scipy 1.17's kendalltau, method asymptotic: groups of two and three equals in both lists.
    /// The p-values differ by 8.2e-13, as much as the two complementary error functions.
    #[test]
    fn ties_widen_the_p_value_as_in_scipy() {
        let x = [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0];
        let y = [2.0, 1.0, 1.0, 3.0, 3.0, 3.0, 2.0, 5.0, 4.0, 4.0];
        let Kendall { tau_b, p_value } = kendall(&x, &y).unwrap();
        approx::assert_abs_diff_eq!(tau_b, 0.6329621044272916, epsilon = 1e-14);
        approx::assert_abs_diff_eq!(p_value, 0.01886015818281521, epsilon = 2e-12);
    }

    proptest! {
        #[test]
        fn every_pair_counted_one_by_one_gives_the_same(
            pairs in prop::collection::vec((-3..4_i32, -3..4_i32), 3..40)
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).unzip();
            let (mut difference, mut ties_x, mut ties_y) = (0, 0, 0);
            for (at, a) in pairs.iter().enumerate() {
                for b in &pairs[..at] {
                    let (dx, dy) = ((a.0 - b.0).signum(), (a.1 - b.1).signum());
                    difference += dx * dy;
                    ties_x += dx.abs();
                    ties_y += dy.abs();
                }
            }
            let found = kendall(&x, &y);
            prop_assert_eq!(found.is_none(), ties_x == 0 || ties_y == 0);
            if let Some(Kendall { tau_b, p_value }) = found {
                let expected = f64::from(difference) / (f64::from(ties_x) * f64::from(ties_y)).sqrt();
                prop_assert!((tau_b - expected).abs() < 1e-12);
                prop_assert!((0.0..=1.0).contains(&p_value));
                let negative: Vec<f64> = x.iter().map(|x| -x).collect();
                let reversed = kendall(&negative, &y).unwrap();
                prop_assert!((reversed.tau_b + tau_b).abs() < 1e-12 && (reversed.p_value - p_value).abs() < 1e-12);
                let swapped = kendall(&y, &x).unwrap();
                prop_assert!((swapped.tau_b - tau_b).abs() < 1e-12 && (swapped.p_value - p_value).abs() < 1e-12);
                prop_assert!((kendall(&x, &x).unwrap().tau_b - 1.0).abs() < 1e-12);
            }
        }
    }
}
