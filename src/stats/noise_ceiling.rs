//! How well anything can agree with measurements that do not agree with each other.
//!
//! In: ranks of the same cells in several subjects, or the correlation of two halves. Out:
//! correlations in `[-1, 1]`.

use super::rank::Ranks;

/// Lower and upper bound of the rank correlation that any list of numbers can reach, on average,
/// with the lists of several `subjects`, all of the same cells (Nili et al. 2014, PLoS Comput Biol
/// 10:e1003553). The best is near the mean of the subjects' ranks: for the upper bound each subject
/// is correlated with the mean of all, itself included, for the lower with the mean of the others.
/// `None` for fewer than two subjects or when a correlation is undefined.
///
/// # Panics
/// When the subjects differ in their number of cells.
pub fn noise_ceiling(subjects: &[Ranks]) -> Option<(f64, f64)> {
    let cells = subjects.first()?.centred().len();
    let mut sum = vec![0.0; cells];
    for subject in subjects {
        sum.iter_mut().zip(subject.centred()).for_each(|(sum, rank)| *sum += rank);
    }
    // Ranks of sums are those of means. Sums of centred ranks are multiples of a half, exact: ties
    // stay ties.
    let all = Ranks::of(&sum);
    let (mut lower, mut upper) = (0.0, 0.0);
    for subject in subjects {
        let others: Vec<f64> =
            sum.iter().zip(subject.centred()).map(|(sum, rank)| sum - rank).collect();
        lower += Ranks::of(&others).spearman(subject)?;
        upper += all.spearman(subject)?;
    }
    Some((lower / subjects.len() as f64, upper / subjects.len() as f64))
}

/// The reliability of a whole test from the correlation r of its two halves: 2r / (1 + r) (Spearman
/// 1910, Brown 1910). `None` when the halves disagree, r < 0, for which the formula was not made.
pub fn spearman_brown(split_half: f64) -> Option<f64> {
    (split_half >= 0.0).then(|| 2.0 * split_half / (1.0 + split_half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_by_hand() {
        let [a, b] = [Ranks::of(&[1.0, 2.0, 3.0, 4.0]), Ranks::of(&[1.0, 3.0, 2.0, 4.0])];
        // The mean has a tie in the middle: ranks 1, 2.5, 2.5, 4.
        let (lower, upper) = noise_ceiling(&[a.clone(), b]).unwrap();
        approx::assert_abs_diff_eq!(lower, 0.8, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(upper, 4.5 / (5.0_f64 * 4.5).sqrt(), epsilon = 1e-12);
        assert_eq!(noise_ceiling(&[a.clone(), a.clone()]), Some((1.0, 1.0)));
        assert_eq!(noise_ceiling(std::slice::from_ref(&a)), None, "one subject has no others");
        assert_eq!(noise_ceiling(&[a.clone(), Ranks::of(&[1.0; 4])]), None);
        assert_eq!(noise_ceiling(&[]), None);
    }

    #[test]
    fn a_whole_is_more_reliable_than_its_halves() {
        assert_eq!(
            [-0.1, 0.0, 0.5, 1.0].map(spearman_brown),
            [None, Some(0.0), Some(1.0 / 1.5), Some(1.0)]
        );
    }
}
