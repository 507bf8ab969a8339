//! Two groups of cases and a property: how strongly they go together, and whether chance could do
//! that.
//!
//! In: the four counts of a 2 x 2 table. Out: log odds ratio, tests of independence with p-values
//! in `[0, 1]`; `None` where a row or column of the table is empty, since nothing can then be said.

use super::ValueWithInterval;
use super::proportion::Z;
use statrs::function::erf::erfc;

/// Below this expected count in any cell the G statistic does not follow its distribution well
/// enough (Cochran 1954), and the exact test is used.
const LEAST_EXPECTED: f64 = 5.0;

/// Tables whose probability is larger than the observed one's by no more than this share count as
/// equally probable: the last digits of two equal probabilities differ. R's `fisher.test` has the
/// same number.
const TIE: f64 = 1e-7;

/// Terms below this share of their sum change no digit of it.
const NEGLIGIBLE: f64 = 1e-19;

/// Two groups of cases, and how many of each have a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwoByTwo {
    /// Cases of the first group with the property.
    pub first_with: u64,
    /// Cases of the first group without it.
    pub first_without: u64,
    /// Cases of the second group with it.
    pub second_with: u64,
    /// Cases of the second group without it.
    pub second_without: u64,
}

/// The logarithm of an odds ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogOdds {
    /// Natural logarithm of the odds of the first group over those of the second.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

impl LogOdds {
    /// The value with its normal interval at 95 %.
    pub fn with_interval(self) -> ValueWithInterval {
        let Self { value, error } = self;
        ValueWithInterval { value, lower: value - Z * error, upper: value + Z * error }
    }
}

/// Which test of independence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndependenceTest {
    /// Fisher's exact test, two-sided.
    Fisher,
    /// The likelihood ratio test, without a correction for continuity.
    G,
}

impl IndependenceTest {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fisher => "fisher",
            Self::G => "g",
        }
    }
}

/// What a test of independence says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Independence {
    /// The test that was suitable.
    pub test: IndependenceTest,
    /// Its p-value, two-sided.
    pub p_value: f64,
}

impl TwoByTwo {
    /// The table of `first_with` cases among `first` and `second_with` among `second`.
    ///
    /// # Panics
    /// When there are more cases with the property than cases.
    pub fn of_groups([first_with, first]: [u64; 2], [second_with, second]: [u64; 2]) -> Self {
        assert!(first_with <= first && second_with <= second, "a part is no larger than its whole");
        Self {
            first_with,
            first_without: first - first_with,
            second_with,
            second_without: second - second_with,
        }
    }

    /// Whether a group has no case, or all cases or none have the property.
    pub fn has_empty_margin(&self) -> bool {
        let &Self { first_with, first_without, second_with, second_without } = self;
        let margins = [
            first_with + first_without,
            second_with + second_without,
            first_with + second_with,
            first_without + second_without,
        ];
        margins.contains(&0)
    }

    /// The log odds ratio with 1/2 added to each count (Haldane 1956, Anscombe 1956), so that it is
    /// finite, and its standard error, the root of the sum of 1 / (count + 1/2) (Gart 1966). `None`
    /// where a margin is empty.
    pub fn log_odds(&self) -> Option<LogOdds> {
        if self.has_empty_margin() {
            return None;
        }
        let &Self { first_with, first_without, second_with, second_without } = self;
        let [a, b, c, d] = [first_with, first_without, second_with, second_without]
            .map(|count| count as f64 + 0.5);
        let error = (1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d).sqrt();
        Some(LogOdds { value: (a / b / (c / d)).ln(), error })
    }

    /// Whether group and property are independent: by Fisher's exact test where an expected count
    /// is below 5, else by the G test. `None` where a margin is empty.
    pub fn independence(&self) -> Option<Independence> {
        if self.has_empty_margin() {
            return None;
        }
        let [[a, b], [c, d]] = self.expected();
        let (test, p_value) = match a.min(b).min(c).min(d) < LEAST_EXPECTED {
            true => (IndependenceTest::Fisher, self.fisher_exact()),
            false => (IndependenceTest::G, self.g_test()),
        };
        Some(Independence { test, p_value })
    }

    /// Counts that independence would give, in the order of the fields.
    fn expected(&self) -> [[f64; 2]; 2] {
        let &Self { first_with, first_without, second_with, second_without } = self;
        let groups = [first_with + first_without, second_with + second_without];
        let columns = [first_with + second_with, first_without + second_without];
        let all = (groups[0] + groups[1]) as f64;
        groups.map(|group| columns.map(|column| group as f64 * column as f64 / all))
    }

    /// The p-value of the likelihood ratio test of independence (Wilks 1938): G = 2 sum O ln(O /
    /// E), one degree of freedom; NaN where a margin is empty.
    fn g_test(&self) -> f64 {
        let &Self { first_with, first_without, second_with, second_without } = self;
        let [a, b, c, d] = [first_with, first_without, second_with, second_without].map(i128::from);
        // All four counts are as far from what is expected; the difference is exact before it is
        // rounded.
        let distance = (a * d - b * c) as f64 / (a + b + c + d) as f64;
        let term = |expected: f64, observed: u64, distance: f64| match observed {
            0 => expected,
            _ => expected * excess(distance / expected),
        };
        let [[with, without], [other_with, other_without]] = self.expected();
        let sum = term(with, first_with, distance)
            + term(without, first_without, -distance)
            + term(other_with, second_with, -distance)
            + term(other_without, second_without, distance);
        // The upper tail of chi-squared at G with one degree of freedom.
        erfc(sum.max(0.0).sqrt())
    }

    /// The p-value of Fisher's exact test, two-sided: the probability, given all margins, of all
    /// tables that are no more probable than this one.
    ///
    /// Neighbouring probabilities have a ratio of small numbers, so that no factorial is needed:
    /// everything is relative to the most probable table and exact to the last few digits, however
    /// large the counts. The steps from there to the observed table are no more than the smallest
    /// margin, which is below the root of 5 N where the test is used.
    fn fisher_exact(&self) -> f64 {
        let tables = Hypergeometric::new(self);
        let observed = self.first_with;
        let mode = tables.mode();
        let towards = if observed < mode { Direction::Down } else { Direction::Up };
        let log_observed = tables
            .log_weight_until(mode, towards, |count, _| count == observed)
            .map_or(0.0, |(_, log)| log);
        if log_observed > -TIE {
            return 1.0;
        }
        let all =
            tables.sum_from(mode, Direction::Up) + tables.sum_from(mode, Direction::Down) - 1.0;
        let mut sum = log_observed.exp() * tables.sum_from(observed, towards);
        let opposite = towards.opposite();
        let as_improbable = |_, log: f64| log <= log_observed + TIE;
        if let Some((count, log)) = tables.log_weight_until(mode, opposite, as_improbable) {
            sum += log.exp() * tables.sum_from(count, opposite);
        }
        (sum / all).min(1.0)
    }
}

/// (1 + x) ln(1 + x) - x for x > -1, without cancellation about 0.
fn excess(x: f64) -> f64 {
    if x.abs() > 0.01 {
        return (1.0 + x) * x.ln_1p() - x;
    }
    // The sum over k from 2 of (-x)^k / (k (k - 1)).
    (2..=10).rev().fold(0.0, |sum, k| 1.0 / f64::from(k * (k - 1)) - x * sum) * x * x
}

/// The way from the most probable table to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Direction {
    fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// The tables with given margins, by their count of cases of the first group with the property.
#[derive(Debug, Clone, Copy)]
struct Hypergeometric {
    first: u64,
    with: u64,
    all: u64,
}

impl Hypergeometric {
    fn new(table: &TwoByTwo) -> Self {
        let &TwoByTwo { first_with, first_without, second_with, second_without } = table;
        let first = first_with + first_without;
        Self { first, with: first_with + second_with, all: first + second_with + second_without }
    }

    /// The most probable count.
    fn mode(&self) -> u64 {
        let product = (u128::from(self.first) + 1) * (u128::from(self.with) + 1);
        (product / (u128::from(self.all) + 2)) as u64
    }

    /// The next count in this direction and its probability as a multiple of this one's; `None` at
    /// the end.
    fn next(&self, count: u64, direction: Direction) -> Option<(u64, f64)> {
        let upward = |lower: u64| {
            let (lower, first, with, all) =
                (lower as f64, self.first as f64, self.with as f64, self.all as f64);
            (first - lower) * (with - lower) / ((lower + 1.0) * (all - first - with + lower + 1.0))
        };
        match direction {
            Direction::Up => {
                (count < self.first.min(self.with)).then(|| (count + 1, upward(count)))
            }
            Direction::Down => {
                let least = (self.first + self.with).saturating_sub(self.all);
                (count > least).then(|| (count - 1, 1.0 / upward(count - 1)))
            }
        }
    }

    /// The first count from `start` on, which has the weight 1, of which `is_there` holds, with the
    /// logarithm of its weight.
    fn log_weight_until(
        &self,
        start: u64,
        direction: Direction,
        is_there: impl Fn(u64, f64) -> bool,
    ) -> Option<(u64, f64)> {
        let (mut count, mut weight, mut log) = (start, 1.0_f64, 0.0);
        loop {
            let now = log + weight.ln();
            if is_there(count, now) {
                return Some((count, now));
            }
            let (next, ratio) = self.next(count, direction)?;
            (count, weight) = (next, weight * ratio);
            // Far from the smallest number there is, so that no digit is lost.
            if weight < 1e-250 {
                (log, weight) = (log + weight.ln(), 1.0);
            }
        }
    }

    /// The sum of the weights from `start`, which has the weight 1, to the end of this direction,
    /// in which they fall.
    fn sum_from(&self, start: u64, direction: Direction) -> f64 {
        let (mut count, mut weight, mut sum) = (start, 1.0, 1.0);
        while let Some((next, ratio)) = self.next(count, direction) {
            (count, weight) = (next, weight * ratio);
            sum += weight;
            if weight < NEGLIGIBLE * sum {
                break;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use proptest::prelude::*;
    use std::time::Instant;

    fn table(
        first_with: u64,
        first_without: u64,
        second_with: u64,
        second_without: u64,
    ) -> TwoByTwo {
        TwoByTwo { first_with, first_without, second_with, second_without }
    }

    #[test]
    fn fishers_tea() {
        // Fisher 1935, chapter 2: four cups of eight, three told right: p = 17/70, two-sided twice
        // that.
        assert_abs_diff_eq!(table(3, 1, 1, 3).fisher_exact(), 34.0 / 70.0, epsilon = 1e-14);
        assert_abs_diff_eq!(table(4, 0, 0, 4).fisher_exact(), 2.0 / 70.0, epsilon = 1e-14);
        assert_eq!(table(2, 2, 2, 2).fisher_exact(), 1.0);
        // (1.5 / 2.5) / (3.5 / 4.5).
        assert_abs_diff_eq!(
            table(1, 2, 3, 4).log_odds().unwrap().value,
            (27.0_f64 / 35.0).ln(),
            epsilon = 1e-15
        );
        assert_abs_diff_eq!(
            table(1, 2, 3, 4).log_odds().unwrap().error.powi(2),
            1.5_f64.recip() + 2.5_f64.recip() + 3.5_f64.recip() + 4.5_f64.recip(),
            epsilon = 1e-14
        );
    }

    #[test]
    fn five_expected_are_enough_for_the_g_test() {
        let test = |table: TwoByTwo| table.independence().unwrap().test;
        assert_eq!(test(table(5, 5, 5, 5)), IndependenceTest::G);
        assert_eq!(test(table(4, 5, 5, 5)), IndependenceTest::Fisher);
    }

    /// 2 / C(960, 480): on the way there weights fall below 1e-250.
    #[test]
    fn a_tiny_p_value_keeps_its_digits() {
        let logarithm: f64 = (1..=480).map(|k| f64::from(480 + k).ln() - f64::from(k).ln()).sum();
        let found = table(480, 0, 0, 480).fisher_exact();
        assert_relative_eq!(found, 2.0 * (-logarithm).exp(), max_relative = 1e-10);
    }

    #[test]
    fn an_empty_margin_says_nothing() {
        for empty in [
            table(0, 0, 3, 4),
            table(3, 4, 0, 0),
            table(0, 3, 0, 4),
            table(3, 0, 4, 0),
            table(0, 0, 0, 0),
        ] {
            assert_eq!((empty.log_odds(), empty.independence()), (None, None), "{empty:?}");
        }
    }

    #[test]
    fn the_excess_is_smooth_where_its_formula_changes() {
        for x in [0.00999, 0.01, 0.01001, -0.00999, -0.01, -0.01001] {
            assert_relative_eq!(excess(x), (1.0 + x) * x.ln_1p() - x, max_relative = 1e-11);
        }
        assert_eq!(excess(0.0), 0.0);
        assert_relative_eq!(excess(1e-9), 0.5e-18 * (1.0 - 1e-9 / 3.0), max_relative = 1e-15);
    }

    #[test]
    fn huge_counts_are_quick() {
        let clock = Instant::now();
        for shift in 0..1000 {
            // A million million pictures, of which each margin has two million.
            let found = table(shift, 2_000_000 - shift, 2_000_000 - shift, 1_000_000_000_000)
                .independence()
                .unwrap();
            assert_eq!(found.test, IndependenceTest::Fisher);
            assert!((0.0..=1.0).contains(&found.p_value));
        }
        assert!(clock.elapsed().as_secs() < 10, "{:?}", clock.elapsed());
    }

    proptest! {
        #[test]
        fn fishers_test_is_the_sum_over_all_tables(counts in prop::array::uniform4(0_u64..40)) {
            let [a, b, c, d] = counts;
            let observed = table(a, b, c, d);
            prop_assume!(!observed.has_empty_margin());
            let log_factorial = |n: u64| (1..=n).map(|k| (k as f64).ln()).sum::<f64>();
            let log_probability = |a: u64| {
                let cells = [a, observed.first_with + b - a, observed.first_with + c - a, d + a - observed.first_with];
                -cells.iter().map(|&count| log_factorial(count)).sum::<f64>()
            };
            let least = observed.first_with.saturating_sub(d);
            let most = observed.first_with + b.min(c);
            let logs: Vec<f64> = (least..=most).map(log_probability).collect();
            let highest = logs.iter().copied().fold(f64::MIN, f64::max);
            let all: f64 = logs.iter().map(|log| (log - highest).exp()).sum();
            let own = log_probability(observed.first_with);
            let sum: f64 = logs.iter().filter(|&&log| log <= own + 1e-9).map(|log| (log - highest).exp()).sum();
            assert_relative_eq!(observed.fisher_exact(), sum / all, max_relative = 1e-10);
        }

        #[test]
        fn groups_and_property_are_exchangeable(counts in prop::array::uniform4(0_u64..3000)) {
            let [a, b, c, d] = counts;
            let (one, other) = (table(a, b, c, d), table(c, d, a, b));
            match (one.independence(), other.independence(), table(a, c, b, d).independence()) {
                (Some(one), Some(other), Some(turned)) => {
                    assert_relative_eq!(one.p_value, other.p_value, max_relative = 1e-9);
                    assert_relative_eq!(one.p_value, turned.p_value, max_relative = 1e-9);
                    prop_assert!((0.0..=1.0).contains(&one.p_value));
                }
                found => prop_assert_eq!(found, (None, None, None)),
            }
            if let (Some(one), Some(other)) = (one.log_odds(), other.log_odds()) {
                assert_abs_diff_eq!(one.value, -other.value, epsilon = 1e-12);
                assert_abs_diff_eq!(one.error, other.error, epsilon = 1e-12);
            }
        }
    }
}
