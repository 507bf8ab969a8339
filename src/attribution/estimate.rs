//! Numbers estimated from several independent draws, and how sure they are.

/// Estimates of one picture: of channels, or of players.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Estimate {
    pub values: Vec<f64>,
    /// Standard error of each, 0 with a single draw.
    pub errors: Vec<f64>,
}

impl Estimate {
    /// The mean of `draws`, one vector each, and its standard error from their spread.
    ///
    /// # Panics
    /// Without draws.
    pub(super) fn of_draws(draws: &[Vec<f64>]) -> Self {
        let n = draws.len() as f64;
        let mean_and_error = |at: usize| {
            let mean = draws.iter().map(|draw| draw[at]).sum::<f64>() / n;
            let squares: f64 = draws.iter().map(|draw| (draw[at] - mean).powi(2)).sum();
            (mean, (squares / n / (n - 1.0).max(1.0)).sqrt())
        };
        let (values, errors) = (0..draws[0].len()).map(mean_and_error).unzip();
        Self { values, errors }
    }

    /// Length of the vector of errors over that of the values; 0 where all values are 0.
    pub(super) fn relative_error(&self) -> f32 {
        let length = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        match length(&self.values) {
            0.0 => 0.0,
            of_values => (length(&self.errors) / of_values) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_a_mean() {
        let found = Estimate::of_draws(&[vec![1.0, 5.0], vec![2.0, 5.0], vec![6.0, 5.0]]);
        assert_eq!(found.values, [3.0, 5.0]);
        // The sample variance is 7; that of the mean of three a third of it.
        approx::assert_abs_diff_eq!(found.errors[0], (7.0_f64 / 3.0).sqrt(), epsilon = 1e-12);
        assert_eq!(found.errors[1], 0.0);
        approx::assert_abs_diff_eq!(
            found.relative_error(),
            (7.0_f32 / 3.0 / 34.0).sqrt(),
            epsilon = 1e-6
        );
        let single = Estimate::of_draws(&[vec![0.0, 0.0]]);
        assert_eq!((single.errors.as_slice(), single.relative_error()), (&[0.0, 0.0][..], 0.0));
    }
}
