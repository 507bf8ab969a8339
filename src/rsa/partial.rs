//! Partial correlation: what is left of the agreement of two matrices when what they owe to a third is taken out.

/// Below this share of unexplained variance the rest is rounding.
const UNEXPLAINED: f64 = 1e-12;

/// The correlation of the residuals of x and y after regression on z, from the three correlations; `None` where z explains
/// x or y altogether.
pub fn partial(xy: f64, xz: f64, yz: f64) -> Option<f64> {
    let left = [xz, yz].map(|r| (1.0 - r) * (1.0 + r));
    (left[0] > UNEXPLAINED && left[1] > UNEXPLAINED)
        .then(|| ((xy - xz * yz) / (left[0] * left[1]).sqrt()).clamp(-1.0, 1.0))
}

/// Correlations of x and y with one other matrix.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// Of x.
    pub x: f64,
    /// Of y.
    pub y: f64,
}

/// [`partial`] given two matrices z and w whose own correlation is `zw`. Where they are the same but for the sign, given
/// the first.
pub fn partial_of_two(xy: f64, z: Given, w: Given, zw: f64) -> Option<f64> {
    if (1.0 - zw) * (1.0 + zw) <= UNEXPLAINED {
        return partial(xy, z.x, z.y);
    }
    partial(partial(xy, z.x, z.y)?, partial(w.x, z.x, zw)?, partial(w.y, z.y, zw)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!(partial(0.4, 0.0, 0.0), Some(0.4));
        assert_eq!(partial(0.4, 1.0, 0.4), None);
        assert!(partial(0.35, 0.5, 0.7).unwrap().abs() < 1e-15, "all of it is z");
        let z = Given { x: 0.5, y: 0.3 };
        assert_eq!(partial_of_two(0.4, z, z, 1.0), partial(0.4, 0.5, 0.3));
        // A second matrix that has to do with none of the others changes nothing.
        let apart = partial_of_two(0.4, z, Given { x: 0.0, y: 0.0 }, 0.0).unwrap();
        assert!((apart - partial(0.4, 0.5, 0.3).unwrap()).abs() < 1e-15);
        let w = Given { x: 0.2, y: -0.1 };
        let (a, b) = (partial_of_two(0.4, z, w, 0.6).unwrap(), partial_of_two(0.4, w, z, 0.6).unwrap());
        assert!((a - b).abs() < 1e-12, "the order of the two does not matter");
    }
}
