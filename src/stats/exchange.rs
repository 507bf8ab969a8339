//! A share before two judges of the same cases: does it differ between them?
//!
//! Each judge chooses which cases are of a kind, and which of those are hits; compared are the judges' shares of hits
//! among the cases of the kind. For two networks: the cases are pictures, of the kind are those with a label, hits those
//! in which a class is important.
//!
//! In: numbers of cases. Out: a difference in `[-1, 1]`, its interval, and a p-value in `[0, 1]`.

use super::percentile_interval_of_counts;
use statrs::function::erf::erfc;
use statrs::function::factorial::ln_binomial;

/// Up to so many outcomes the test goes through all of them; more follow the normal distribution.
const MOST_OUTCOMES: u64 = 4096;

/// What a judge says of a case: that it is not of the kind, that it is and no hit, that it is a hit.
pub const NOT_OF_THE_KIND: usize = 0;
/// See [`NOT_OF_THE_KIND`].
pub const OF_THE_KIND: usize = 1;
/// See [`NOT_OF_THE_KIND`].
pub const HIT: usize = 2;

/// Cases by what the first judge says (row) and the second (column).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairedShares {
    /// Numbers of cases.
    pub counts: [[u64; 3]; 3],
}

impl PairedShares {
    /// Hits, and cases of the kind, by each judge.
    fn judged(counts: &[u64]) -> [[u64; 2]; 2] {
        let mut judged = [[0; 2]; 2];
        for (place, count) in counts.iter().enumerate() {
            for (judge, said) in [place / 3, place % 3].into_iter().enumerate() {
                judged[judge][0] += if said == HIT { *count } else { 0 };
                judged[judge][1] += if said == NOT_OF_THE_KIND { 0 } else { *count };
            }
        }
        judged
    }

    /// The second judge's share less the first's.
    fn difference_of(counts: &[u64]) -> Option<f64> {
        let [first, second] = Self::judged(counts).map(|[hits, cases]| (cases > 0).then(|| hits as f64 / cases as f64));
        Some(second? - first?)
    }

    /// Hits, and cases of the kind, by the first and the second judge.
    pub fn hits_and_cases(&self) -> [[u64; 2]; 2] {
        Self::judged(self.counts.as_flattened())
    }

    /// The second judge's share of hits less the first's; `None` where one of them names no case.
    pub fn difference(&self) -> Option<f64> {
        Self::difference_of(self.counts.as_flattened())
    }

    /// The interval of [`Self::difference`] at 95 % by resampling the cases; `None` too where a resample often has no
    /// difference.
    pub fn interval(&self, resamples: usize, seed: u64) -> Option<(f64, f64)> {
        percentile_interval_of_counts(self.counts.as_flattened(), Self::difference_of, resamples, seed)
    }

    /// The two-sided p-value of a test by exchange: if the judges were alike, which of them said what of a case would be
    /// chance. The statistic is the number of hits of the second judge less those that the common share would give, less
    /// the same of the first. `None` where one of them names no case.
    ///
    /// Where both judges name the same cases it is the exact test of McNemar. Of few cases on which they differ, all
    /// exchanges are counted; of many, the statistic is normal.
    pub fn p_value(&self) -> Option<f64> {
        self.difference()?;
        let [[first_hits, first], [second_hits, second]] = self.hits_and_cases();
        let common = (first_hits + second_hits) as f64 / (first + second) as f64;
        // What a case adds to the statistic by what is said of it.
        let worth = [0.0, -common, 1.0 - common];
        let pairs = [(NOT_OF_THE_KIND, OF_THE_KIND), (NOT_OF_THE_KIND, HIT), (OF_THE_KIND, HIT)];
        let differing = pairs.map(|(low, high)| {
            let [ahead, behind] = [self.counts[low][high], self.counts[high][low]];
            (ahead + behind, ahead, worth[high] - worth[low])
        });
        let sum = |ahead: [u64; 3]| -> f64 {
            differing.iter().zip(ahead).map(|(&(all, _, step), ahead)| (2.0 * ahead as f64 - all as f64) * step).sum()
        };
        let observed = sum(differing.map(|(_, ahead, _)| ahead)).abs();
        let outcomes = differing.iter().try_fold(1_u64, |product, (all, ..)| product.checked_mul(all + 1));
        if outcomes.is_none_or(|outcomes| outcomes > MOST_OUTCOMES) {
            let variance: f64 = differing.iter().map(|&(all, _, step)| all as f64 * step * step).sum();
            return Some(if variance > 0.0 { erfc(observed / (2.0 * variance).sqrt()) } else { 1.0 });
        }
        let chances = differing.map(|(all, ..)| halves(all));
        let mut p_value = 0.0;
        for (first, chance) in (0..).zip(&chances[0]) {
            for (second, other) in (0..).zip(&chances[1]) {
                for (third, last) in (0..).zip(&chances[2]) {
                    // Sums that are equal differ in their last digits.
                    if sum([first, second, third]).abs() >= observed - 1e-9 {
                        p_value += chance * other * last;
                    }
                }
            }
        }
        Some(p_value.min(1.0))
    }
}

/// The chances of 0 to `count` heads of so many coins.
fn halves(count: u64) -> Vec<f64> {
    let none = -(count as f64) * std::f64::consts::LN_2;
    (0..=count).map(|heads| (ln_binomial(count, heads) + none).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::mcnemar;
    use proptest::prelude::*;

    #[test]
    fn of_the_same_cases_it_is_mcnemars() {
        for (ahead, behind) in [(0, 5), (7, 3), (40, 22), (0, 0)] {
            let paired = PairedShares { counts: [[90, 0, 0], [0, 30, ahead], [0, behind, 12]] };
            let p = paired.p_value().unwrap();
            approx::assert_abs_diff_eq!(p, mcnemar(ahead, behind), epsilon = 1e-9);
            let difference = (ahead as f64 - behind as f64) / (42 + ahead + behind) as f64;
            approx::assert_abs_diff_eq!(paired.difference().unwrap(), difference, epsilon = 1e-12);
        }
        let nothing = PairedShares { counts: [[9, 3, 1], [0; 3], [0; 3]] };
        assert_eq!((nothing.difference(), nothing.p_value()), (None, None));
    }

    #[test]
    fn the_normal_distribution_continues_the_exact_one() {
        // 4,096 outcomes, and some more.
        let exact = PairedShares { counts: [[50, 9, 3], [6, 30, 10], [12, 5, 12]] }.p_value().unwrap();
        let normal = PairedShares { counts: [[50, 9, 4], [6, 30, 10], [12, 5, 12]] }.p_value().unwrap();
        assert!((exact - normal).abs() < 0.06, "{exact} and {normal}");
    }

    proptest! {
        #[test]
        fn the_judges_order_turns_the_sign_and_nothing_else(cells in prop::array::uniform9(0_u64..40)) {
            let [a, b, c, d, e, f, g, h, i] = cells;
            let one = PairedShares { counts: [[a, b, c], [d, e, f], [g, h, i]] };
            let other = PairedShares { counts: [[a, d, g], [b, e, h], [c, f, i]] };
            prop_assert_eq!(one.difference().is_some(), other.difference().is_some());
            if let (Some(found), Some(turned)) = (one.difference(), other.difference()) {
                prop_assert!((found + turned).abs() < 1e-12);
                let (p, again) = (one.p_value().unwrap(), other.p_value().unwrap());
                prop_assert!((p - again).abs() < 1e-9 && (0.0..=1.0).contains(&p));
            }
        }
    }
}
