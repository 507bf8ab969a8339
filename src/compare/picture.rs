//! One picture in both looks.

use crate::Result;
use crate::associate::SeenPicture;
use crate::image::BoundingBox;
use crate::run::{map_file, read_map};
use crate::stats::Ranks;
use std::collections::BTreeMap;
use std::path::Path;

/// Two boxes of a class are the same thing where the area of both together is at most twice what
/// they share.
const SAME_THING: f32 = 0.5;

/// What a look keeps of a picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LookedAt {
    /// Its label among the common ones.
    pub label: Option<usize>,
    /// Its label's name.
    pub name: String,
    /// Classes that are important in it, among the common ones; each once, ascending.
    pub classes: Vec<usize>,
    /// Its boxes of common classes with their scores, by falling confidence.
    pub boxes: Vec<(usize, BoundingBox, f32)>,
    /// Probabilities of common labels.
    pub probabilities: BTreeMap<usize, f32>,
}

impl LookedAt {
    /// What counts in the matrices.
    pub(super) fn as_seen(&self) -> SeenPicture<'_> {
        SeenPicture { label: self.label, classes: &self.classes }
    }
}

/// What changed in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureChange {
    /// Its path.
    pub path: String,
    /// The names of its label in both looks.
    pub labels: [String; 2],
    /// Whether the label is the same.
    pub same_label: bool,
    /// Half the sum of the differences of the labels' probabilities, in `[0, 1]`, where both looks
    /// have the same labels and probabilities.
    pub probability_distance: Option<f64>,
    /// Boxes in both looks.
    pub boxes: [usize; 2],
    /// Boxes that are the same thing: of one class, with an intersection over union of at least
    /// 0.5.
    pub matched: usize,
    /// The rank correlation of the scores of these; `None` for fewer than three, or equal ones.
    pub score_correlation: Option<f64>,
    /// Of the classes that are important in one look or the other, the share that is in both; 1
    /// where there are none.
    pub important_overlap: f64,
    /// The rank correlation of the maps, where both runs kept them.
    pub map_correlation: Option<f64>,
    /// What pictures are sorted by, in `[0, 2]`: the distance of probabilities, or where there is
    /// none 1 for another label; and the share of important classes that is not in both.
    pub change: f64,
}

impl PictureChange {
    pub(super) fn new(
        path: &str,
        [first, second]: [&LookedAt; 2],
        map_correlation: Option<f64>,
    ) -> Self {
        let same_label = first.name.to_lowercase() == second.name.to_lowercase();
        let same_labels = !first.probabilities.is_empty()
            && first.probabilities.keys().eq(second.probabilities.keys())
            && [first, second]
                .iter()
                .all(|seen| (seen.probabilities.values().sum::<f32>() - 1.0).abs() < 0.01);
        let distance = || {
            let pairs = first.probabilities.values().zip(second.probabilities.values());
            pairs.map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / 2.0
        };
        let probability_distance = same_labels.then(distance);
        let shared = first.classes.iter().filter(|class| second.classes.contains(class)).count();
        let either = first.classes.len() + second.classes.len() - shared;
        let important_overlap = if either == 0 { 1.0 } else { shared as f64 / either as f64 };
        let scores = matched(&first.boxes, &second.boxes);
        let (a, b): (Vec<f32>, Vec<f32>) = scores.iter().copied().unzip();
        Self {
            path: path.into(),
            labels: [first.name.clone(), second.name.clone()],
            same_label,
            probability_distance,
            boxes: [first.boxes.len(), second.boxes.len()],
            matched: scores.len(),
            score_correlation: (scores.len() >= 3)
                .then(|| Ranks::of(&a).spearman(&Ranks::of(&b)))
                .flatten(),
            important_overlap,
            map_correlation,
            change: probability_distance.unwrap_or(f64::from(u8::from(!same_label))) + 1.0
                - important_overlap,
        }
    }
}

/// Scores of boxes that are the same thing in both looks: each box of the first takes the free box
/// of its class in the second that covers it best.
fn matched(
    first: &[(usize, BoundingBox, f32)],
    second: &[(usize, BoundingBox, f32)],
) -> Vec<(f32, f32)> {
    let mut free = vec![true; second.len()];
    let mut scores = Vec::new();
    for (class, bounding_box, score) in first {
        let overlap = |(place, (other, at, _)): (usize, &(usize, BoundingBox, f32))| {
            (free[place] && other == class).then(|| (bounding_box.iou(at), place))
        };
        let best = second
            .iter()
            .enumerate()
            .filter_map(overlap)
            .max_by(|(a, at), (b, other)| a.total_cmp(b).then(other.cmp(at)));
        if let Some((_, place)) = best.filter(|(overlap, _)| *overlap >= SAME_THING) {
            free[place] = false;
            scores.push((*score, second[place].2));
        }
    }
    scores
}

/// The rank correlation of the maps that two runs kept of a picture; `None` where one has none of
/// the method, they differ in size, or one is flat.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn maps_agree(
    folders: [&Path; 2],
    methods: [&str; 2],
    path: &str,
) -> Result<Option<f64>> {
    let read = |side: usize| read_map(&map_file(folders[side], path), methods[side]);
    let (Some((size, first)), Some((other_size, second))) = (read(0)?, read(1)?) else {
        return Ok(None);
    };
    Ok((size == other_size).then(|| Ranks::of(&first).spearman(&Ranks::of(&second))).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(
        name: &str,
        classes: &[usize],
        boxes: &[(usize, f32, f32)],
        probabilities: &[f32],
    ) -> LookedAt {
        LookedAt {
            label: Some(0),
            name: name.into(),
            classes: classes.to_vec(),
            boxes: boxes
                .iter()
                .map(|&(class, x, score)| (class, BoundingBox::new(x, 0.0, x + 10.0, 10.0), score))
                .collect(),
            probabilities: probabilities.iter().copied().enumerate().collect(),
        }
    }

    #[test]
    fn a_picture_by_hand() {
        let first = seen(
            "Joy",
            &[1, 2],
            &[(1, 0.0, 0.9), (1, 40.0, 0.5), (2, 80.0, 0.1), (3, 0.0, 0.3)],
            &[0.7, 0.3],
        );
        let second = seen(
            "joy",
            &[2, 4],
            &[(1, 42.0, 0.4), (1, 1.0, 0.8), (2, 80.0, 0.3), (4, 0.0, 0.3)],
            &[0.4, 0.6],
        );
        let change = PictureChange::new("a.jpg", [&first, &second], None);
        assert!(change.same_label);
        assert_eq!(
            (change.matched, change.boxes, change.score_correlation),
            (3, [4, 4], Some(1.0))
        );
        approx::assert_abs_diff_eq!(change.probability_distance.unwrap(), 0.3, epsilon = 1e-6);
        approx::assert_abs_diff_eq!(change.important_overlap, 1.0 / 3.0, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(change.change, 0.3 + 2.0 / 3.0, epsilon = 1e-6);
        let same = PictureChange::new("a.jpg", [&first, &first], Some(1.0));
        assert_eq!((same.change, same.important_overlap, same.matched), (0.0, 1.0, 4));
        // Without all labels in common probabilities are not compared.
        let other = seen("Awe", &[], &[], &[0.7]);
        let change = PictureChange::new("a.jpg", [&first, &other], None);
        assert_eq!((change.probability_distance, change.change), (None, 2.0));
    }
}
