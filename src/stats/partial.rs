//! Partial correlation: what is left of the agreement of two variables when what they owe to a
//! third is taken out (Yule 1907).
//!
//! In: plain correlations of each two of the variables. Out: a correlation in `[-1, 1]`.

/// Below this share of unexplained variance what is left is rounding.
const UNEXPLAINED: f64 = 1e-12;

/// The correlation of the residuals of x and y after regression on z, from the three correlations;
/// `None` where z explains x or y altogether.
pub fn partial_correlation(xy: f64, xz: f64, yz: f64) -> Option<f64> {
    let left = [xz, yz].map(|r| (1.0 - r) * (1.0 + r));
    (left[0] > UNEXPLAINED && left[1] > UNEXPLAINED)
        .then(|| ((xy - xz * yz) / (left[0] * left[1]).sqrt()).clamp(-1.0, 1.0))
}

/// Correlations of x and y with one other variable.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// The correlation of x with it.
    pub x: f64,
    /// The correlation of y with it.
    pub y: f64,
}

/// [`partial_correlation`] given two variables z and w whose own correlation is `zw`. Where these
/// are the same but for the sign, it is given the first alone.
pub fn partial_correlation_given_two(xy: f64, z: Given, w: Given, zw: f64) -> Option<f64> {
    if (1.0 - zw) * (1.0 + zw) <= UNEXPLAINED {
        return partial_correlation(xy, z.x, z.y);
    }
    partial_correlation(
        partial_correlation(xy, z.x, z.y)?,
        partial_correlation(w.x, z.x, zw)?,
        partial_correlation(w.y, z.y, zw)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!(partial_correlation(0.4, 0.0, 0.0), Some(0.4));
        assert_eq!(partial_correlation(0.4, 1.0, 0.4), None);
        assert!(partial_correlation(0.35, 0.5, 0.7).unwrap().abs() < 1e-15, "all of it is z");
        let z = Given { x: 0.5, y: 0.3 };
        assert_eq!(
            partial_correlation_given_two(0.4, z, z, 1.0),
            partial_correlation(0.4, 0.5, 0.3)
        );
        let turned = Given { x: -0.5, y: -0.3 };
        assert_eq!(
            partial_correlation_given_two(0.4, z, turned, -1.0),
            partial_correlation(0.4, 0.5, 0.3),
            "the same but for the sign"
        );
        // A second variable that has to do with none of the others changes nothing.
        let apart = partial_correlation_given_two(0.4, z, Given { x: 0.0, y: 0.0 }, 0.0).unwrap();
        assert!((apart - partial_correlation(0.4, 0.5, 0.3).unwrap()).abs() < 1e-15);
        let w = Given { x: 0.2, y: -0.1 };
        let (a, b) = (
            partial_correlation_given_two(0.4, z, w, 0.6).unwrap(),
            partial_correlation_given_two(0.4, w, z, 0.6).unwrap(),
        );
        assert!((a - b).abs() < 1e-12, "the order of the two does not matter");
    }
}
