//! A permutation test for two matrices that keeps the cells of a row together and exchanges rows of
//! similar frequency only.
//!
//! Two matrices of classes x labels agree already because a class that is seen often is often
//! important, whatever else they say, and the cells of one class go together. So whole rows of one
//! matrix are permuted, within strata of classes of similar frequency. The null hypothesis: which
//! class within its stratum a row belongs to does not matter. The test is one-sided, for agreement:
//! p = (b + 1) / (m + 1), b of m permutations with a rank correlation at least as high (Phipson and
//! Smyth 2010).
//!
//! In: ranks of two matrices, frequencies of their rows. Out: a p-value in `(0, 1]`.

use super::rank::Ranks;
use crate::random::Random;

/// The number of rows in a stratum, about.
pub const STRATUM: usize = 15;

/// Rows grouped by frequency: those of frequency 0 by themselves, the others in ascending order
/// (equals in their own order) into strata of equal size but for one, about [`STRATUM`] each. A row
/// that would be alone is in none.
pub fn strata(frequencies: &[f64]) -> Vec<Vec<usize>> {
    let (never, mut seen): (Vec<usize>, Vec<usize>) =
        (0..frequencies.len()).partition(|&row| frequencies[row] == 0.0);
    seen.sort_by(|&a, &b| frequencies[a].total_cmp(&frequencies[b]));
    let count = ((seen.len() as f64 / STRATUM as f64).round() as usize).max(1);
    let start = |stratum: usize| stratum * seen.len() / count;
    let mut strata: Vec<Vec<usize>> =
        (0..count).map(|stratum| seen[start(stratum)..start(stratum + 1)].to_vec()).collect();
    strata.push(never);
    // A row alone has nowhere to go.
    strata.retain(|stratum| stratum.len() > 1);
    strata
}

/// Inner products of the rows of one stratum.
struct StratumProducts {
    /// The number of rows.
    size: usize,
    /// The product of row a of x with row b of y, at `a * size + b`.
    products: Vec<f64>,
}

impl StratumProducts {
    /// `stratum` holds the numbers of its rows in `x` and `y`, which have `columns` cells a row.
    fn new(x: &Ranks, y: &Ranks, columns: usize, stratum: &[usize]) -> Self {
        let row = |ranks: &'_ Ranks, number: usize| {
            ranks.centred()[number * columns..][..columns].to_vec()
        };
        let rows = |ranks| stratum.iter().map(|&number| row(ranks, number)).collect::<Vec<_>>();
        let (x, y) = (rows(x), rows(y));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let products =
            x.iter().flat_map(|a| y.iter().map(|b| dot(a, b)).collect::<Vec<_>>()).collect();
        Self { size: stratum.len(), products }
    }

    /// The sum over rows a of the product of row a of x with row `partners[a]` of y.
    fn sum(&self, partners: &[usize]) -> f64 {
        partners
            .iter()
            .enumerate()
            .map(|(row, &partner)| self.products[row * self.size + partner])
            .sum()
    }
}

/// The p-value for `x` and `y`, the ranks of two matrices row by row, with `columns` cells a row,
/// whose rows are exchanged within `strata`; `None` when either is constant or there are no
/// permutations.
///
/// The ranks of a permuted matrix are the permuted ranks, so that a permutation costs one number a
/// row.
pub fn permutation_p(
    x: &Ranks,
    y: &Ranks,
    columns: usize,
    strata: &[Vec<usize>],
    permutations: usize,
    random: &mut Random,
) -> Option<f64> {
    if x.constant() || y.constant() || permutations == 0 {
        return None;
    }
    let strata: Vec<StratumProducts> =
        strata.iter().map(|stratum| StratumProducts::new(x, y, columns, stratum)).collect();
    let mut partners: Vec<Vec<usize>> =
        strata.iter().map(|stratum| (0..stratum.size).collect()).collect();
    // Sums of multiples of a quarter are exact: equal is equal, in whatever order they are added.
    let observed: f64 =
        strata.iter().zip(&partners).map(|(stratum, partners)| stratum.sum(partners)).sum();
    let mut as_high = 0;
    for _ in 0..permutations {
        let mut sum = 0.0;
        for (stratum, partners) in strata.iter().zip(&mut partners) {
            random.shuffle(partners);
            sum += stratum.sum(partners);
        }
        as_high += usize::from(sum >= observed);
    }
    Some((as_high + 1) as f64 / (permutations + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strata_are_of_similar_frequency_and_hold_every_class_once() {
        let frequencies: Vec<f64> =
            (0..100).map(|index| f64::from(index * 37 % 70).max(20.0) - 20.0).collect();
        let strata = strata(&frequencies);
        let mut all: Vec<usize> = strata.concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        let (never, seen) = strata.split_last().unwrap();
        assert!(never.iter().all(|&at| frequencies[at] == 0.0));
        assert!(seen.iter().all(|stratum| (10..=20).contains(&stratum.len())), "{seen:?}");
        for pair in seen.windows(2) {
            assert!(
                pair[0].iter().all(|&a| pair[1].iter().all(|&b| frequencies[a] <= frequencies[b]))
            );
        }
        assert_eq!(super::strata(&[0.5]), Vec::<Vec<usize>>::new());
        assert_eq!(super::strata(&[0.0, 0.5, 0.0]), [[0, 2]]);
    }

    #[test]
    fn all_orders_of_four_rows() {
        // Four rows of two cells: 24 orders, of which the one that is there is the best, so p is
        // about 1/24.
        let x = Ranks::of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let p = |y: &Ranks| {
            permutation_p(&x, y, 2, &[vec![0, 1, 2, 3]], 20_000, &mut Random::new(3, 0)).unwrap()
        };
        let alike = p(&x);
        assert!((alike - 1.0 / 24.0).abs() < 0.005, "{alike}");
        let opposed = p(&Ranks::of(&[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]));
        assert_eq!(opposed, 1.0, "one-sided: disagreement is no agreement");
        assert_eq!(
            permutation_p(&x, &Ranks::of(&[1.0; 8]), 2, &[], 99, &mut Random::new(3, 0)),
            None
        );
        assert_eq!(
            permutation_p(&x, &x, 2, &[], 99, &mut Random::new(3, 0)),
            Some(1.0),
            "nothing can be permuted"
        );
    }

    #[test]
    fn agreement_by_frequency_alone_is_no_agreement() {
        // Rows share their level and nothing else: the naive correlation is high, the test is not
        // impressed. Over many such pairs its p-values are as good as uniform.
        let (classes, columns) = (60, 5);
        let mut ps = Vec::new();
        for draw in 0..200 {
            let mut random = Random::new(11, draw);
            let mut matrix = || -> Vec<f64> {
                (0..classes * columns)
                    .map(|index| (index / columns) as f64 + random.uniform(0.0, 25.0))
                    .collect()
            };
            let (x, y) = (Ranks::of(&matrix()), Ranks::of(&matrix()));
            assert!(x.spearman(&y).unwrap() > 0.7);
            // Levels within a stratum of two hardly differ.
            let strata: Vec<Vec<usize>> =
                (0..classes / 2).map(|index| vec![2 * index, 2 * index + 1]).collect();
            ps.push(
                permutation_p(&x, &y, columns, &strata, 199, &mut Random::new(12, draw)).unwrap(),
            );
        }
        let below = |level: f64| ps.iter().filter(|&&p| p <= level).count();
        assert!((4..=24).contains(&below(0.05)) && (75..=130).contains(&below(0.5)), "{ps:?}");
    }
}
