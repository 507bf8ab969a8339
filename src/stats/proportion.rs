//! How sure a share of counted cases is.
//!
//! In: counts. Out: the share and the ends of an interval for it, in `[0, 1]`.

use serde::{Deserialize, Serialize};

/// The normal distribution's quantile at 0.975: intervals hold 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// The score interval (Wilson 1927) at 95 % for the share of `hits` in `cases`; `None` for no cases.
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
        Some(Self { hits, cases, share: hits as f64 / cases as f64, interval: wilson(hits, cases)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_cases_have_no_share() {
        assert_eq!(wilson(0, 0), None);
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
}
