//! One association in several groups of cases (strata): how strong it is within them, and whether
//! it is as strong in all.
//!
//! In: a table a stratum. Out: the common odds ratio with its interval, and p-values in `[0, 1]`;
//! `None` where nothing can be said.

use super::proportion::Z;
use super::{TwoByTwo, ValueWithInterval};
use statrs::function::gamma::gamma_ur;

/// What several strata say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stratified {
    /// Strata that say something: both groups have cases, and some but not all cases have the
    /// property.
    pub strata: usize,
    /// The common odds ratio (Mantel and Haenszel 1959) with its interval at 95 % (Robins, Breslow
    /// and Greenland 1986); `None` where it is 0 or infinite.
    pub odds_ratio: Option<ValueWithInterval>,
    /// Whether chance alone could make the association within the strata: the p-value of the test
    /// of Cochran, Mantel and Haenszel, without a correction for continuity.
    pub p_value: f64,
    /// Whether the odds ratio could be the same in all: the p-value of the test of Breslow and Day
    /// (1980) with Tarone's correction (1985); `None` for a single stratum, or without a common
    /// odds ratio.
    pub homogeneity_p_value: Option<f64>,
}

/// The upper tail of chi-squared.
fn tail(statistic: f64, degrees: usize) -> f64 {
    if statistic > 0.0 { gamma_ur(degrees as f64 / 2.0, statistic / 2.0) } else { 1.0 }
}

/// The four counts as numbers, and their sum.
fn numbers(table: &TwoByTwo) -> ([f64; 4], f64) {
    let &TwoByTwo { first_with, first_without, second_with, second_without } = table;
    let counts = [first_with, first_without, second_with, second_without].map(|count| count as f64);
    (counts, counts.iter().sum())
}

/// What the strata say together; `None` where none says anything.
pub fn stratified(strata: &[TwoByTwo]) -> Option<Stratified> {
    let tables: Vec<([f64; 4], f64)> =
        strata.iter().filter(|one| !one.has_empty_margin()).map(numbers).collect();
    if tables.is_empty() {
        return None;
    }
    let (mut excess, mut variance) = (0.0, 0.0);
    for ([a, b, c, d], all) in &tables {
        excess += a - (a + b) * (a + c) / all;
        variance += (a + b) * (c + d) * (a + c) * (b + d) / (all * all * (all - 1.0));
    }
    let odds_ratio = common_odds_ratio(&tables);
    let several = odds_ratio.filter(|_| tables.len() > 1);
    Some(Stratified {
        strata: tables.len(),
        odds_ratio,
        p_value: tail(excess * excess / variance, 1),
        homogeneity_p_value: several
            .map(|odds| tail(breslow_day_tarone(&tables, odds.value), tables.len() - 1)),
    })
}

fn common_odds_ratio(tables: &[([f64; 4], f64)]) -> Option<ValueWithInterval> {
    // P, Q, R and S of Robins, Breslow and Greenland.
    let (mut r, mut s, mut pr, mut ps_qr, mut qs) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for ([a, b, c, d], all) in tables {
        let (along, across) = ((a + d) / all, (b + c) / all);
        let (for_it, against) = (a * d / all, b * c / all);
        r += for_it;
        s += against;
        pr += along * for_it;
        ps_qr += along * against + across * for_it;
        qs += across * against;
    }
    if r == 0.0 || s == 0.0 {
        return None;
    }
    let error = (pr / (2.0 * r * r) + ps_qr / (2.0 * r * s) + qs / (2.0 * s * s)).sqrt();
    let (value, factor) = (r / s, (Z * error).exp());
    Some(ValueWithInterval { value, lower: value / factor, upper: value * factor })
}

/// The statistic of Breslow and Day, less Tarone's correction.
fn breslow_day_tarone(tables: &[([f64; 4], f64)], odds: f64) -> f64 {
    let (mut statistic, mut distance, mut variances) = (0.0, 0.0, 0.0);
    for ([a, b, c, d], _) in tables {
        let (group, with) = (a + b, a + c);
        let expected = expected_with(group, with, d - a, odds);
        let variance = 1.0
            / (1.0 / expected
                + 1.0 / (group - expected)
                + 1.0 / (with - expected)
                + 1.0 / (d - a + expected));
        statistic += (a - expected).powi(2) / variance;
        distance += a - expected;
        variances += variance;
    }
    statistic - distance * distance / variances
}

/// The first count of a table with these margins whose odds ratio is `odds`: x (rest + x) = odds
/// (group - x) (with - x), where `rest` is the last count less the first.
fn expected_with(group: f64, with: f64, rest: f64, odds: f64) -> f64 {
    let (square, linear, constant) =
        (1.0 - odds, rest + odds * (group + with), -odds * group * with);
    // The root between 0 and both margins, in the form that does not cancel; of odds 1 the equation
    // is linear.
    let root = (linear * linear - 4.0 * square * constant).max(0.0).sqrt();
    match linear < 0.0 {
        true => (root - linear) / (2.0 * square),
        false => -2.0 * constant / (linear + root),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(
        first_with: u64,
        first_without: u64,
        second_with: u64,
        second_without: u64,
    ) -> TwoByTwo {
        TwoByTwo { first_with, first_without, second_with, second_without }
    }

    #[test]
    fn what_strata_hide_from_the_sum() {
        // Simpson's: within each stratum the odds are the same for both groups.
        let found = stratified(&[table(80, 20, 8, 2), table(2, 8, 20, 80)]).unwrap();
        let odds = found.odds_ratio.unwrap();
        approx::assert_abs_diff_eq!(odds.value, 1.0, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(found.p_value, 1.0, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(found.homogeneity_p_value.unwrap(), 1.0, epsilon = 1e-6);
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let says_nothing = [table(0, 0, 3, 4), table(5, 0, 4, 0), table(0, 5, 0, 4)];
        assert_eq!(stratified(&says_nothing), None);
        let with_one = stratified(&[&says_nothing[..], &[table(9, 4, 3, 8)]].concat()).unwrap();
        assert_eq!((with_one.strata, with_one.homogeneity_p_value), (1, None));
        let never = stratified(&[table(0, 5, 4, 4), table(0, 3, 1, 4)]).unwrap();
        assert_eq!((never.odds_ratio, never.homogeneity_p_value), (None, None));
    }

    proptest! {
        #[test]
        fn expected_counts_have_the_odds(
            group in 1.0_f64..500.0, with in 1.0_f64..500.0, more in 0.0_f64..500.0, log_odds in -5.0_f64..5.0,
        ) {
            let (odds, rest) = (log_odds.exp(), more - group.min(with));
            let x = expected_with(group, with, rest, odds);
            if rest + x > 1e-6 && x < group.min(with) - 1e-6 {
                let found = x * (rest + x) / ((group - x) * (with - x));
                prop_assert!((found / odds - 1.0).abs() < 1e-6, "{found} is not {odds}");
            }
        }
    }
}
