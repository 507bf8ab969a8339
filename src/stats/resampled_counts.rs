//! The bootstrap over cases that fall into a few kinds.
//!
//! A resample of cases, drawn with replacement, changes a statistic of counts only by how many
//! cases of each kind it has, and these numbers are multinomial. So the counts themselves are
//! drawn: the same interval as from the list of all cases, in a time that does not grow with it.
//! What belongs to one case (its label, what was detected, what was kept) stays together, as its
//! kind.
//!
//! In: the number of cases of each kind, a statistic of such numbers. Out: the ends of an interval
//! at 95 %, in the unit of the statistic.

use super::bootstrap::{FEWEST_RESAMPLED_CASES, MOST_UNDEFINED, TAIL};
use super::descriptive::quantile;
use crate::random::Random;
use statrs::function::factorial::ln_binomial;

/// The 2.5th and 97.5th percentile (Efron and Tibshirani 1993, chapter 13) of `statistic` over
/// `resamples` draws of as many cases as there are. `None` for fewer than
/// [`FEWEST_RESAMPLED_CASES`] cases, or where more than one resample in twenty has no value.
pub fn percentile_interval_of_counts(
    counts: &[u64],
    statistic: impl Fn(&[u64]) -> Option<f64>,
    resamples: usize,
    seed: u64,
) -> Option<(f64, f64)> {
    if counts.iter().sum::<u64>() < FEWEST_RESAMPLED_CASES as u64 || resamples == 0 {
        return None;
    }
    let mut random = Random::of_text(seed, "bootstrap over counted cases");
    let mut drawn = vec![0; counts.len()];
    let mut values = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        draw(counts, &mut drawn, &mut random);
        values.extend(statistic(&drawn));
    }
    if (values.len() as f64) < (1.0 - MOST_UNDEFINED) * resamples as f64 {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    Some((quantile(&values, TAIL), quantile(&values, 1.0 - TAIL)))
}

/// As many cases as `counts` has, drawn from them with replacement: kind by kind, of the cases that
/// are left.
fn draw(counts: &[u64], drawn: &mut [u64], random: &mut Random) {
    let mut weight: u64 = counts.iter().sum();
    let mut cases = weight;
    for (&count, drawn) in counts.iter().zip(drawn) {
        *drawn = if count == weight {
            cases
        } else {
            binomial(cases, count as f64 / weight as f64, random)
        };
        weight -= count;
        cases -= *drawn;
    }
}

/// How many of `cases` have what each has with this chance, in `[0, 1)`: the distribution is
/// inverted from its most probable number outwards, in about as many steps as its standard
/// deviation (Kemp 1986).
fn binomial(cases: u64, chance: f64, random: &mut Random) -> u64 {
    if chance == 0.0 || cases == 0 {
        return 0;
    }
    let mode = (((cases + 1) as f64 * chance) as u64).min(cases);
    let odds = chance / (1.0 - chance);
    let log = ln_binomial(cases, mode)
        + mode as f64 * chance.ln()
        + (cases - mode) as f64 * (-chance).ln_1p();
    let (mut below, mut above) = (mode, mode);
    let (mut chance_below, mut chance_above) = (log.exp(), log.exp());
    let mut rest = random.uniform(0.0, 1.0) - chance_below;
    while rest >= 0.0 && (below > 0 || above < cases) {
        if above < cases {
            chance_above *= (cases - above) as f64 / (above + 1) as f64 * odds;
            above += 1;
            rest -= chance_above;
            if rest < 0.0 {
                return above;
            }
        }
        if below > 0 {
            chance_below *= below as f64 / (cases - below + 1) as f64 / odds;
            below -= 1;
            rest -= chance_below;
            if rest < 0.0 {
                return below;
            }
        }
        if chance_below.max(chance_above) == 0.0 {
            break;
        }
    }
    // Rounding has left a trace of the whole, or the most probable number was meant.
    mode
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn binomial_numbers_have_their_mean_and_variance() {
        for (cases, chance) in
            [(1, 0.3), (7, 0.9), (40, 0.02), (1000, 0.5), (25_000, 0.05), (3_000_000, 0.999)]
        {
            let mut random = Random::new(2, cases);
            let count = 20_000;
            let values: Vec<f64> =
                (0..count).map(|_| binomial(cases, chance, &mut random) as f64).collect();
            let mean = values.iter().sum::<f64>() / f64::from(count);
            let variance =
                values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / f64::from(count);
            let (expected, spread) =
                (cases as f64 * chance, cases as f64 * chance * (1.0 - chance));
            assert!(
                (mean - expected).abs() < 4.0 * (spread / f64::from(count)).sqrt(),
                "{cases}, {chance}: {mean}"
            );
            approx::assert_relative_eq!(variance, spread, max_relative = 0.06);
        }
        let mut random = Random::new(2, 0);
        assert_eq!([binomial(0, 0.5, &mut random), binomial(9, 0.0, &mut random)], [0, 0]);
    }

    #[test]
    fn a_resample_has_as_many_cases_and_no_new_kinds() {
        let (counts, mut drawn) = ([3, 0, 40, 1, 0], [0; 5]);
        let mut random = Random::new(4, 1);
        for _ in 0..1000 {
            draw(&counts, &mut drawn, &mut random);
            assert_eq!((drawn.iter().sum::<u64>(), drawn[1], drawn[4]), (44, 0, 0));
        }
    }

    /// Kept and detected pictures of a label and of others: kept and label, detected only and
    /// label, neither and label, then the same of others.
    fn contrast(counts: &[u64]) -> Option<f64> {
        let share =
            |kept: u64, only: u64| (kept + only > 0).then(|| kept as f64 / (kept + only) as f64);
        Some(share(counts[0], counts[1])? - share(counts[3], counts[4])?)
    }

    #[test]
    fn of_a_hundred_paired_intervals_93_to_97_hold_the_truth() {
        // A picture has the label in 0.2; the class is then detected in 0.5, else in 0.3; where it
        // is, it is kept in 0.6 and in 0.4.
        let chances: [f64; 6] = [
            0.2 * 0.5 * 0.6,
            0.2 * 0.5 * 0.4,
            0.2 * 0.5,
            0.8 * 0.3 * 0.4,
            0.8 * 0.3 * 0.6,
            0.8 * 0.7,
        ];
        let truth = 0.6 - 0.4;
        let mut covered = 0;
        let corpora = 1000;
        for corpus in 0..corpora {
            let mut random = Random::new(17, corpus);
            let mut counts = [0; 6];
            for _ in 0..600 {
                let mut rest = random.uniform(0.0, 1.0);
                let kind = chances.iter().position(|chance| {
                    rest -= chance;
                    rest < 0.0
                });
                counts[kind.unwrap_or(5)] += 1;
            }
            let (lower, upper) =
                percentile_interval_of_counts(&counts, contrast, 500, corpus).unwrap();
            covered += u64::from((lower..=upper).contains(&truth));
        }
        let of_a_hundred = 100.0 * covered as f64 / corpora as f64;
        assert!((93.0..=97.0).contains(&of_a_hundred), "{of_a_hundred}");
    }

    #[test]
    fn what_is_hardly_ever_defined_has_no_interval() {
        assert_eq!(percentile_interval_of_counts(&[1, 0, 30, 1, 0, 30], contrast, 200, 1), None);
        assert_eq!(percentile_interval_of_counts(&[9, 0], |_| Some(1.0), 200, 1), None);
        assert_eq!(
            percentile_interval_of_counts(&[20, 0], |_| Some(1.0), 200, 1),
            Some((1.0, 1.0))
        );
        // Ten cases are enough, and so is a value in nineteen of twenty resamples.
        let calls = Cell::new(0);
        let undefined_at_first = |undefined: u32| {
            calls.set(0);
            let statistic = |_: &[u64]| {
                calls.set(calls.get() + 1);
                (calls.get() > undefined).then_some(1.0)
            };
            percentile_interval_of_counts(&[10, 0], statistic, 20, 1)
        };
        assert_eq!([1, 2].map(undefined_at_first), [Some((1.0, 1.0)), None]);
    }
}
