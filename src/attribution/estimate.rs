//! Numbers estimated from several independent draws, and how sure they are.

/// Groups of draws that are left out in turn, at most.
const GROUPS: usize = 10;

/// Estimates of one picture: of channels, or of players.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Estimate {
    pub values: Vec<f64>,
    /// Standard error of each, 0 with a single draw.
    pub errors: Vec<f64>,
    /// The values from all draws but those of a group, for each of several groups, a draw each or
    /// about as many; empty with a single draw. What else is computed from the values has a
    /// standard error by [`jackknife_error`](crate::stats::jackknife_error).
    pub left_out: Vec<Vec<f64>>,
}

impl Estimate {
    /// The mean of `draws`, one vector each, and its standard error from their spread.
    ///
    /// # Panics
    /// Without draws.
    pub(super) fn of_draws(draws: &[Vec<f64>]) -> Self {
        let (values, errors) = means_and_errors(draws);
        let groups = if draws.len() < 2 { 0 } else { draws.len().min(GROUPS) };
        let without = |group: usize| {
            let kept = || draws.iter().enumerate().filter(move |(at, _)| at % groups != group);
            let count = kept().count() as f64;
            let mut mean = vec![0.0; values.len()];
            for (_, draw) in kept() {
                mean.iter_mut().zip(draw).for_each(|(mean, value)| *mean += value / count);
            }
            mean
        };
        let left_out = (0..groups).map(without).collect();
        Self { values, errors, left_out }
    }

    /// The [`relative_error`](Self::relative_error) of the mean of `draws`.
    ///
    /// # Panics
    /// Without draws.
    pub(super) fn error_of_draws(draws: &[Vec<f64>]) -> f32 {
        let (values, errors) = means_and_errors(draws);
        Self { values, errors, left_out: Vec::new() }.relative_error()
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

/// Mean and standard error of each place of `draws`.
fn means_and_errors(draws: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let n = draws.len() as f64;
    let mean_and_error = |at: usize| {
        let mean = draws.iter().map(|draw| draw[at]).sum::<f64>() / n;
        let squares: f64 = draws.iter().map(|draw| (draw[at] - mean).powi(2)).sum();
        (mean, (squares / n / (n - 1.0).max(1.0)).sqrt())
    };
    (0..draws[0].len()).map(mean_and_error).unzip()
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
        for (found, expected) in found.left_out.iter().flatten().zip([4.0, 5.0, 3.5, 5.0, 1.5, 5.0])
        {
            approx::assert_abs_diff_eq!(*found, expected, epsilon = 1e-12);
        }
        let single = Estimate::of_draws(&[vec![0.0, 0.0]]);
        assert_eq!((single.errors.as_slice(), single.relative_error()), (&[0.0, 0.0][..], 0.0));
        assert!(single.left_out.is_empty());
        // Of more draws than groups the first group has the first draw and the eleventh.
        let many: Vec<Vec<f64>> = (0..12).map(|draw| vec![f64::from(draw)]).collect();
        let many = Estimate::of_draws(&many).left_out;
        assert_eq!(many.len(), 10);
        approx::assert_abs_diff_eq!(many[0][0], 56.0 / 10.0, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(many[9][0], 57.0 / 11.0, epsilon = 1e-12);
    }
}
