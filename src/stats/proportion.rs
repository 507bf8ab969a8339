//! How sure a share of counted cases is, and the difference of two.
//!
//! In: counts. Out: the share and the ends of an interval for it, in `[0, 1]`, or for the
//! difference, in `[-1, 1]`.

use serde::{Deserialize, Serialize};

/// The normal distribution's quantile at 0.975: intervals hold 95 %.
pub(super) const Z: f64 = 1.959_963_984_540_054;

/// The score interval (Wilson 1927) at 95 % for the share of `hits` in `cases`; `None` for no
/// cases.
pub fn wilson(hits: u64, cases: u64) -> Option<(f64, f64)> {
    if cases == 0 {
        return None;
    }
    let (n, p, z2) = (cases as f64, hits as f64 / cases as f64, Z * Z);
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let reach = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // The ends are exactly 0 and 1 where rounding may leave a trace.
    let lower = if hits == 0 { 0.0 } else { (centre - reach).max(0.0) };
    let upper = if hits == cases { 1.0 } else { (centre + reach).min(1.0) };
    Some((lower, upper))
}

/// A share with its interval (Wilson 1927, 95 %).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Cases that count.
    pub hits: u64,
    /// All cases.
    pub cases: u64,
    /// hits / cases.
    pub share: f64,
    /// Lower and upper end.
    pub interval: (f64, f64),
}

impl Share {
    /// `None` for no cases.
    pub fn of(hits: u64, cases: u64) -> Option<Self> {
        Some(Self {
            hits,
            cases,
            share: hits as f64 / cases as f64,
            interval: wilson(hits, cases)?,
        })
    }
}

/// A number and the ends of its interval at 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueWithInterval {
    /// The estimate.
    pub value: f64,
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

/// The share of the first group's cases that are hits less that of the second's, with the hybrid
/// score interval (Newcombe 1998, method 10): it is made of the two groups' Wilson intervals, so
/// that it does not shrink to a point where a group is small or has no hits. In are hits and cases
/// of either group; `None` where a group has no cases.
pub fn difference_of_shares(first: [u64; 2], second: [u64; 2]) -> Option<ValueWithInterval> {
    let share = |[hits, cases]: [u64; 2]| {
        wilson(hits, cases).map(|ends| (hits as f64 / cases as f64, ends))
    };
    let ((first, first_ends), (second, second_ends)) = (share(first)?, share(second)?);
    let value = first - second;
    let below = (first - first_ends.0).hypot(second_ends.1 - second);
    let above = (first_ends.1 - first).hypot(second - second_ends.0);
    Some(ValueWithInterval { value, lower: value - below, upper: value + above })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use proptest::prelude::*;

    #[test]
    fn no_cases_have_no_share() {
        assert_eq!(wilson(0, 0), None);
        assert_eq!(difference_of_shares([0, 0], [1, 2]), None);
        assert_eq!(difference_of_shares([1, 2], [0, 0]), None);
    }

    /// scipy 1.17's binomtest, method wilson.
    #[test]
    fn the_interval_is_scipys() {
        let (lower, upper) = wilson(3, 10).unwrap();
        approx::assert_abs_diff_eq!(lower, 0.10779126740630102, epsilon = 1e-14);
        approx::assert_abs_diff_eq!(upper, 0.6032218525388546, epsilon = 1e-14);
    }

    /// Hits among `cases` at this chance.
    fn draw(random: &mut Random, cases: u64, chance: f64) -> u64 {
        (0..cases).filter(|_| random.uniform(0.0, 1.0) < chance).count() as u64
    }

    #[test]
    fn of_a_hundred_intervals_93_to_97_hold_the_truth() {
        let mut random = Random::new(7, 0);
        for (chance, cases) in [(0.5, 40), (0.3, 60), (0.1, 100), (0.03, 300)] {
            let (other, others) = (chance / 2.0, 5 * cases);
            let (mut shares, mut differences) = (0, 0);
            for _ in 0..4000 {
                let hits = draw(&mut random, cases, chance);
                let (lower, upper) = wilson(hits, cases).unwrap();
                shares += u32::from((lower..=upper).contains(&chance));
                let second = draw(&mut random, others, other);
                let found = difference_of_shares([hits, cases], [second, others]).unwrap();
                differences += u32::from((found.lower..=found.upper).contains(&(chance - other)));
            }
            for covered in [shares, differences] {
                let of_a_hundred = f64::from(covered) / 40.0;
                assert!(
                    (93.0..=97.0).contains(&of_a_hundred),
                    "{chance} of {cases}: {of_a_hundred}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share_and_lies_inside(hits in 0_u64..500, more in 0_u64..500) {
            let cases = hits + more;
            prop_assume!(cases > 0);
            let (lower, upper) = wilson(hits, cases).unwrap();
            let share = hits as f64 / cases as f64;
            prop_assert!(0.0 <= lower && lower <= share && share <= upper && upper <= 1.0);
        }
    }

    proptest! {
        #[test]
        fn a_difference_lies_in_its_interval_and_changes_sign_with_the_groups(
            counts in prop::array::uniform4(0_u64..200),
        ) {
            let [hits, more, other_hits, other_more] = counts;
            let (first, second) = ([hits, hits + more], [other_hits, other_hits + other_more]);
            prop_assume!(first[1] > 0 && second[1] > 0);
            let found = difference_of_shares(first, second).unwrap();
            let turned = difference_of_shares(second, first).unwrap();
            prop_assert!(-1.0 <= found.lower + 1e-12 && found.lower <= found.value);
            prop_assert!(found.value <= found.upper && found.upper <= 1.0 + 1e-12);
            prop_assert!((found.lower + turned.upper).abs() < 1e-12 && (found.upper + turned.lower).abs() < 1e-12);
        }
    }
}
