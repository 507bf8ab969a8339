//! How well scores tell positive cases from negative ones.
//!
//! In: cases of a score and whether they are positive. Out: an area in `[0, 1]`. Cases are counted
//! in f64, exactly.

/// Area under the ROC curve: the probability that a positive scores higher than a negative, ties
/// counting half (Mann & Whitney 1947). `None` without a positive or a negative.
pub fn roc_area(cases: &[(f64, bool)]) -> Option<f64> {
    let positives = cases.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = cases.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut below, mut won) = (0.0, 0.0);
    for group in by_falling_score(cases).rchunk_by_score() {
        let positives_in_group = group.iter().filter(|(_, positive)| *positive).count() as f64;
        let negatives_in_group = group.len() as f64 - positives_in_group;
        won += positives_in_group * (below + negatives_in_group / 2.0);
        below += negatives_in_group;
    }
    Some(won / (positives * negatives))
}

/// Average precision: the mean over positives of the precision at their score, as scikit-learn's
/// `average_precision_score`. `None` without a positive.
pub fn average_precision(cases: &[(f64, bool)]) -> Option<f64> {
    let positives = cases.iter().filter(|(_, positive)| *positive).count() as f64;
    if positives == 0.0 {
        return None;
    }
    let (mut seen, mut hits, mut sum) = (0.0, 0.0, 0.0);
    for group in by_falling_score(cases).chunk_by_score() {
        let positives_in_group = group.iter().filter(|(_, positive)| *positive).count() as f64;
        seen += group.len() as f64;
        hits += positives_in_group;
        sum += positives_in_group * hits / seen;
    }
    Some(sum / positives)
}

/// Cases in the order of falling score.
struct Sorted(Vec<(f64, bool)>);

fn by_falling_score(cases: &[(f64, bool)]) -> Sorted {
    let mut sorted = cases.to_vec();
    sorted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    Sorted(sorted)
}

impl Sorted {
    /// Groups of equal score, the highest first.
    fn chunk_by_score(&self) -> impl Iterator<Item = &[(f64, bool)]> {
        self.0.chunk_by(|(a, _), (b, _)| a == b)
    }

    /// Groups of equal score, the lowest first.
    fn rchunk_by_score(&self) -> impl Iterator<Item = &[(f64, bool)]> {
        self.0.chunk_by(|(a, _), (b, _)| a == b).rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// scikit-learn 1.9.1: roc_auc_score and average_precision_score of these twelve cases, five of
    /// them tied.
    #[test]
    fn areas_agree_with_scikit_learn() {
        let scores = [0.9, 0.8, 0.8, 0.7, 0.6, 0.6, 0.6, 0.3, 0.2, 0.1, 0.0, 0.0];
        let positive = [1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0];
        let cases: Vec<(f64, bool)> =
            scores.iter().zip(positive).map(|(&score, is)| (score, is == 1)).collect();
        approx::assert_abs_diff_eq!(roc_area(&cases).unwrap(), 0.734375, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(
            average_precision(&cases).unwrap(),
            0.6349206349206349,
            epsilon = 1e-12
        );
    }

    #[test]
    fn without_positives_or_negatives_there_is_no_area() {
        assert_eq!(roc_area(&[(0.1, true)]), None);
        assert_eq!(roc_area(&[(0.1, false)]), None);
        assert_eq!(average_precision(&[(0.1, false)]), None);
        assert_eq!(average_precision(&[(0.1, true)]), Some(1.0));
    }

    proptest! {
        #[test]
        fn the_roc_area_turns_round_with_the_scores(cases in prop::collection::vec((0..6_u8, any::<bool>()), 1..30)) {
            let up: Vec<(f64, bool)> = cases.iter().map(|&(score, is)| (f64::from(score), is)).collect();
            let down: Vec<(f64, bool)> = cases.iter().map(|&(score, is)| (-f64::from(score), is)).collect();
            match (roc_area(&up), roc_area(&down)) {
                (Some(a), Some(b)) => prop_assert!((a + b - 1.0).abs() < 1e-12),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }
}
