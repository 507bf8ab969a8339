//! A share before two judges of the same cases: does it differ between them?
//!
//! Each judge chooses which cases are of a kind, and which of those are hits; compared are the
//! judges' shares of hits among the cases of the kind. For two networks: the cases are pictures, of
//! the kind are those with a label, hits those in which a class is important.
//!
//! In: numbers of cases. Out: a difference in `[-1, 1]`, its interval, and a p-value in `[0, 1]`.

use super::{FEWEST_RESAMPLED_CASES, percentile_interval_of_counts};
use statrs::function::erf::erfc;
use statrs::function::factorial::ln_binomial;

/// Up to so many outcomes the test goes through all of them; more follow the normal distribution.
const MOST_OUTCOMES: u64 = 4096;

/// What a judge says of a case: that it is not of the kind, that it is and no hit, that it is a
/// hit.
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
        let [first, second] = Self::judged(counts)
            .map(|[hits, cases]| (cases > 0).then(|| hits as f64 / cases as f64));
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

    /// The interval of [`Self::difference`] at 95 % by resampling the cases; `None` too where a
    /// judge names fewer than [`FEWEST_RESAMPLED_CASES`] of them, and where a resample often has no
    /// difference.
    pub fn interval(&self, resamples: usize, seed: u64) -> Option<(f64, f64)> {
        if self.hits_and_cases().iter().any(|[_, cases]| *cases < FEWEST_RESAMPLED_CASES as u64) {
            return None;
        }
        percentile_interval_of_counts(
            self.counts.as_flattened(),
            Self::difference_of,
            resamples,
            seed,
        )
    }

    /// The two-sided p-value of a test by exchange: if the judges were alike, which of them said
    /// what of a case would be chance. The statistic is the number of hits of the second judge less
    /// those that the common share would give, less the same of the first. `None` where one of them
    /// names no case.
    ///
    /// Where both judges name the same cases it is the exact test of McNemar. Of few cases on which
    /// they differ, all exchanges are counted; of many, the statistic is normal.
    pub fn p_value(&self) -> Option<f64> {
        self.difference()?;
        let exchange = Exchange::new(self);
        let outcomes = exchange
            .kinds
            .iter()
            .try_fold(1_u64, |product, kind| product.checked_mul(kind.cases + 1));
        Some(match outcomes.is_some_and(|outcomes| outcomes <= MOST_OUTCOMES) {
            true => exchange.exact(),
            false => exchange.normal(),
        })
    }
}

/// Cases of which the judges say two different things, whichever says which.
#[derive(Debug, Clone, Copy)]
struct DifferingKind {
    cases: u64,
    /// Of them those in which the second judge says what is worth more.
    ahead: u64,
    /// How much more.
    step: f64,
}

/// The three kinds of cases that an exchange changes.
struct Exchange {
    kinds: [DifferingKind; 3],
}

impl Exchange {
    fn new(shares: &PairedShares) -> Self {
        let [[first_hits, first], [second_hits, second]] = shares.hits_and_cases();
        let common = (first_hits + second_hits) as f64 / (first + second) as f64;
        // What a case adds to the statistic by what is said of it.
        let worth = [0.0, -common, 1.0 - common];
        let pairs = [(OF_THE_KIND, NOT_OF_THE_KIND), (NOT_OF_THE_KIND, HIT), (OF_THE_KIND, HIT)];
        let kinds = pairs.map(|(low, high)| {
            let [ahead, behind] = [shares.counts[low][high], shares.counts[high][low]];
            DifferingKind { cases: ahead + behind, ahead, step: worth[high] - worth[low] }
        });
        Self { kinds }
    }

    /// The statistic where so many cases of each kind speak for the second judge.
    fn statistic(&self, ahead: [u64; 3]) -> f64 {
        let kinds = self.kinds.iter().zip(ahead);
        kinds.map(|(kind, ahead)| (2.0 * ahead as f64 - kind.cases as f64) * kind.step).sum()
    }

    fn observed(&self) -> f64 {
        self.statistic(self.kinds.map(|kind| kind.ahead)).abs()
    }

    /// The statistic is a sum of many independent signs.
    fn normal(&self) -> f64 {
        let variance: f64 =
            self.kinds.iter().map(|kind| kind.cases as f64 * kind.step * kind.step).sum();
        if variance > 0.0 { erfc(self.observed() / (2.0 * variance).sqrt()) } else { 1.0 }
    }

    /// All exchanges, each as probable as any other.
    fn exact(&self) -> f64 {
        let observed = self.observed();
        let chances = self.kinds.map(|kind| halves(kind.cases));
        let mut p_value = 0.0;
        for (first, chance) in (0..).zip(&chances[0]) {
            for (second, other) in (0..).zip(&chances[1]) {
                for (third, last) in (0..).zip(&chances[2]) {
                    // Sums that are equal differ in their last digits.
                    if self.statistic([first, second, third]).abs() >= observed - 1e-9 {
                        p_value += chance * other * last;
                    }
                }
            }
        }
        p_value.min(1.0)
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
    fn a_share_of_few_cases_has_a_difference_and_no_interval() {
        let few = PairedShares { counts: [[90, 0, 0], [0, 4, 3], [0, 1, 1]] };
        assert!(few.difference().is_some() && few.interval(500, 1).is_none());
        let enough = PairedShares { counts: [[90, 0, 0], [0, 4, 3], [0, 1, 2]] };
        assert!(enough.interval(500, 1).is_some());
    }

    #[test]
    fn the_normal_distribution_continues_the_exact_one() {
        for counts in
            [[[50, 9, 3], [6, 30, 10], [12, 5, 12]], [[50, 9, 3], [6, 30, 14], [12, 2, 12]]]
        {
            let exchange = Exchange::new(&PairedShares { counts });
            let (exact, normal) = (exchange.exact(), exchange.normal());
            assert!((exact - normal).abs() < 0.03, "{exact} and {normal}");
        }
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
