//! The statistics of one cell of an association matrix: a class and a label.
//!
//! In: numbers of pictures. Out: three comparisons of the pictures of the label with all others.
//!
//! * `important`: in which share is the class important? This is the cell of the matrix, and how
//!   far it is more than the class would have anyway.
//! * `detected`: in which share is the class detected at all? What the detector alone makes of the
//!   label.
//! * `contrast`: in which share of the pictures in which the class is detected is it important?
//!   What the map adds: it is 0 where the map takes no part, however much oftener the class is in
//!   the pictures of the label.

use super::Counts;
use crate::stats::{
    FEWEST_RESAMPLED_CASES, Independence, LogOdds, TwoByTwo, ValueWithInterval,
    difference_of_shares, percentile_interval_of_counts, wilson,
};

/// Numbers of pictures behind a cell. Important is what `emocam associate` counts; what is
/// important is detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellCounts {
    /// N: all pictures.
    pub images: u64,
    /// c_j: those of the label.
    pub images_with_label: u64,
    /// D_i: those in which the class is detected.
    pub detected: u64,
    /// d_ij: those of the label in which it is.
    pub detected_with_label: u64,
    /// r_i: those in which the class is important.
    pub important: u64,
    /// a_ij: those of the label in which it is.
    pub important_with_label: u64,
}

/// A share in the pictures of a label, compared with that in other pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The share with its Wilson interval; `None` where there are no such pictures.
    pub share: Option<ValueWithInterval>,
    /// The share in other pictures.
    pub other_share: Option<f64>,
    /// The one less the other, with Newcombe's interval.
    pub difference: Option<ValueWithInterval>,
    /// The one over the other (the risk ratio); `None` too where the other is 0.
    pub ratio: Option<f64>,
    /// The log odds ratio.
    pub log_odds: Option<LogOdds>,
    /// Whether chance could make the difference.
    pub independence: Option<Independence>,
    /// The test's q-value among all cells of a table, by Benjamini and Hochberg; `None` outside a
    /// table.
    pub q: Option<f64>,
    /// The same by Benjamini and Yekutieli.
    pub q_strict: Option<f64>,
}

impl Comparison {
    /// Of hits and pictures with the label, and hits and pictures without.
    fn new(with_label: [u64; 2], others: [u64; 2]) -> Self {
        let table = TwoByTwo::of_groups(with_label, others);
        let share = |[hits, images]: [u64; 2]| (images > 0).then(|| hits as f64 / images as f64);
        let interval = wilson(with_label[0], with_label[1]);
        let (own, other_share) = (share(with_label), share(others));
        Self {
            share: own.zip(interval).map(|(value, (lower, upper))| ValueWithInterval {
                value,
                lower,
                upper,
            }),
            other_share,
            difference: difference_of_shares(with_label, others),
            ratio: own
                .zip(other_share)
                .filter(|(_, other)| *other > 0.0)
                .map(|(own, other)| own / other),
            log_odds: table.log_odds(),
            independence: table.independence(),
            q: None,
            q_strict: None,
        }
    }

    /// Whether at most one in twenty of such findings is a chance one.
    pub fn is_significant(&self) -> bool {
        self.q.is_some_and(|q| q < 0.05)
    }
}

/// A class and a label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatrixCell {
    /// Index of the class.
    pub class: usize,
    /// Index of the label.
    pub label: usize,
    /// The numbers of pictures.
    pub counts: CellCounts,
    /// a_ij N / (r_i c_j): how many times as many pictures as independence would give; `None` where
    /// that is 0.
    pub lift: Option<f64>,
    /// The share in which the class is important.
    pub important: Comparison,
    /// The share in which it is detected.
    pub detected: Comparison,
    /// Of the pictures in which it is detected, the share in which it is important.
    pub contrast: Comparison,
}

impl MatrixCell {
    /// Of these counts of all pictures; q-values are those of a [`CellTable`](super::CellTable).
    ///
    /// # Panics
    /// When a class is important in more pictures than it is detected in, or a part is larger than
    /// its whole.
    pub fn new(class: usize, label: usize, counts: CellCounts) -> Self {
        let CellCounts {
            images,
            images_with_label,
            detected,
            detected_with_label,
            important,
            important_with_label,
        } = counts;
        let [other_images, other_detected, other_important] = [
            images - images_with_label,
            detected - detected_with_label,
            important - important_with_label,
        ];
        let product = important as f64 * images_with_label as f64;
        Self {
            class,
            label,
            counts,
            lift: (product > 0.0).then(|| important_with_label as f64 * (images as f64 / product)),
            important: Comparison::new(
                [important_with_label, images_with_label],
                [other_important, other_images],
            ),
            detected: Comparison::new(
                [detected_with_label, images_with_label],
                [other_detected, other_images],
            ),
            contrast: Comparison::new(
                [important_with_label, detected_with_label],
                [other_important, other_detected],
            ),
        }
    }

    /// The cell's counts.
    ///
    /// # Panics
    /// When the class or label lies outside the matrices.
    pub(super) fn of(class: usize, label: usize, margins: &Margins<'_>) -> Self {
        let Margins { important, detected, images, important_of_class, detected_of_class } =
            margins;
        let counts = CellCounts {
            images: *images,
            images_with_label: important.images[label],
            detected: detected_of_class[class],
            detected_with_label: detected.cells[[class, label]],
            important: important_of_class[class],
            important_with_label: important.cells[[class, label]],
        };
        Self::new(class, label, counts)
    }

    /// The contrast's interval at 95 % by resampling pictures: each brings its label, whether the
    /// class is detected in it and whether it is important there. `None` where the contrast is not
    /// defined, or hardly ever in resamples, and where the class is detected in fewer than
    /// [`FEWEST_RESAMPLED_CASES`] images of the label or of all others.
    pub fn resampled_contrast(&self, resamples: usize, seed: u64) -> Option<(f64, f64)> {
        let CellCounts {
            images,
            images_with_label,
            detected,
            detected_with_label,
            important,
            important_with_label,
        } = self.counts;
        if detected_with_label.min(detected - detected_with_label) < FEWEST_RESAMPLED_CASES as u64 {
            return None;
        }
        let kinds = |images: u64, detected: u64, important: u64| {
            [important, detected - important, images - detected]
        };
        let with_label = kinds(images_with_label, detected_with_label, important_with_label);
        let others = kinds(
            images - images_with_label,
            detected - detected_with_label,
            important - important_with_label,
        );
        let share = |kinds: &[u64]| {
            let detected = kinds[0] + kinds[1];
            (detected > 0).then(|| kinds[0] as f64 / detected as f64)
        };
        let contrast = |kinds: &[u64]| Some(share(&kinds[..3])? - share(&kinds[3..])?);
        percentile_interval_of_counts(&[with_label, others].concat(), contrast, resamples, seed)
    }
}

/// Two matrices of counts over the same pictures, with their sums.
#[derive(Debug)]
pub(super) struct Margins<'a> {
    important: &'a Counts,
    detected: &'a Counts,
    images: u64,
    pub important_of_class: Vec<u64>,
    detected_of_class: Vec<u64>,
}

impl<'a> Margins<'a> {
    pub(super) fn new(important: &'a Counts, detected: &'a Counts) -> Self {
        let of_class =
            |counts: &Counts| counts.cells.rows().into_iter().map(|row| row.sum()).collect();
        Self {
            important,
            detected,
            images: important.images.iter().sum(),
            important_of_class: of_class(important),
            detected_of_class: of_class(detected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> CellCounts {
        CellCounts {
            images: 100,
            images_with_label: 20,
            detected: 50,
            detected_with_label: 16,
            important: 30,
            important_with_label: 12,
        }
    }

    #[test]
    fn a_cell_by_hand() {
        let cell = MatrixCell::new(3, 1, counts());
        let close = |found: Option<f64>, expected: f64| {
            approx::assert_abs_diff_eq!(found.unwrap(), expected, epsilon = 1e-12);
        };
        close(cell.important.share.map(|share| share.value), 12.0 / 20.0);
        close(cell.important.other_share, 18.0 / 80.0);
        close(cell.important.difference.map(|difference| difference.value), 0.6 - 0.225);
        close(cell.important.ratio, 0.6 / 0.225);
        close(cell.lift, 12.0 * 100.0 / (30.0 * 20.0));
        close(cell.detected.share.map(|share| share.value), 0.8);
        close(cell.detected.other_share, 34.0 / 80.0);
        close(cell.contrast.share.map(|share| share.value), 0.75);
        close(cell.contrast.other_share, 18.0 / 34.0);
        close(cell.contrast.difference.map(|difference| difference.value), 0.75 - 18.0 / 34.0);
        let resampled = cell.resampled_contrast(2000, 1).unwrap();
        let newcombe = cell.contrast.difference.unwrap();
        assert!(
            (resampled.0 - newcombe.lower).abs() < 0.06
                && (resampled.1 - newcombe.upper).abs() < 0.06
        );
        assert_eq!((cell.important.q, cell.contrast.q_strict), (None, None));
    }

    #[test]
    fn resamples_are_drawn_of_all_pictures() {
        // Of the label: important, detected only, not detected; then of the others.
        let kinds = [12, 4, 4, 18, 16, 46];
        let contrast = |drawn: &[u64]| {
            let share = |at: usize| {
                let detected = drawn[at] + drawn[at + 1];
                (detected > 0).then(|| drawn[at] as f64 / detected as f64)
            };
            Some(share(0)? - share(3)?)
        };
        let expected = percentile_interval_of_counts(&kinds, contrast, 500, 7);
        assert_eq!(MatrixCell::new(3, 1, counts()).resampled_contrast(500, 7), expected);
        // Ten images are enough, on both sides.
        let ten = CellCounts { detected_with_label: 10, important_with_label: 6, ..counts() };
        assert!(MatrixCell::new(0, 0, ten).resampled_contrast(100, 1).is_some());
        let ten_others = CellCounts { detected: 26, important: 20, ..counts() };
        assert!(MatrixCell::new(0, 0, ten_others).resampled_contrast(100, 1).is_some());
        let nine_others = CellCounts { detected: 25, important: 20, ..counts() };
        assert_eq!(MatrixCell::new(0, 0, nine_others).resampled_contrast(100, 1), None);
    }

    #[test]
    fn one_chance_finding_in_twenty_is_too_many() {
        let mut comparison = MatrixCell::new(3, 1, counts()).important;
        for (q, significant) in [(None, false), (Some(0.05), false), (Some(0.0499), true)] {
            comparison.q = q;
            assert_eq!(comparison.is_significant(), significant);
        }
    }

    #[test]
    fn what_is_not_defined_is_missing() {
        let all = CellCounts {
            images_with_label: 100,
            detected_with_label: 50,
            important_with_label: 30,
            ..counts()
        };
        let cell = MatrixCell::new(0, 0, all);
        assert_eq!(
            (cell.important.other_share, cell.important.difference, cell.important.ratio),
            (None, None, None)
        );
        assert_eq!((cell.important.log_odds, cell.important.independence), (None, None));
        assert_eq!(cell.resampled_contrast(100, 1), None);
        let few = CellCounts { detected_with_label: 9, important_with_label: 6, ..counts() };
        assert!(MatrixCell::new(0, 0, few).contrast.difference.is_some());
        assert_eq!(MatrixCell::new(0, 0, few).resampled_contrast(100, 1), None);
        let none = CellCounts {
            detected: 30,
            detected_with_label: 0,
            important: 30,
            important_with_label: 0,
            ..counts()
        };
        let cell = MatrixCell::new(0, 0, none);
        assert_eq!(cell.contrast.share, None);
        assert_eq!(cell.important.ratio, Some(0.0));
        assert!(cell.important.log_odds.unwrap().value < 0.0);
        let nowhere = CellCounts { important: 0, important_with_label: 0, ..counts() };
        assert_eq!(
            (MatrixCell::new(0, 0, nowhere).lift, MatrixCell::new(0, 0, nowhere).important.ratio),
            (None, None)
        );
    }
}
