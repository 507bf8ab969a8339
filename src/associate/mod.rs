//! From records to the object-emotion association matrix (paper, section 2): which classes of
//! objects are important in the pictures of which emotion. Knows nothing of networks.

mod cell;
mod cells;
mod chance;
mod curves;
mod differences;
mod effects;
mod importance;
mod matrices;
mod mean_scores;
mod nested;
mod people;
mod strata;

pub use cell::{CellCounts, Comparison, MatrixCell};
pub use cells::{COLUMNS, CellTable};
pub use chance::{ChanceLevels, scores_from_kept_map};
pub use curves::Curves;
pub use differences::{CellDifference, DifferenceTable, PairedCounts, SeenPicture};
pub use effects::Effects;
pub use importance::Importance;
pub use matrices::{Columns, Matrices, matrices, quantile_bins};
pub use nested::NestedClasses;
pub use people::{BesidePeople, FOLDER as PEOPLE_FOLDER};
pub use strata::StrataReport;

use crate::config::AssociationConfig;
use crate::run::Manifest;
use crate::run::record::ImageRecord;
use crate::{Error, Result};
use ndarray::Array2;

/// Refuses what does not fit a run: a least margin between probabilities for a network that has
/// none, a table of nested classes that are not the run's.
///
/// # Errors
/// [`Error::Setting`], or as [`NestedClasses::new`].
pub fn check_rule(manifest: &Manifest, rule: &AssociationConfig) -> Result<()> {
    NestedClasses::new(rule, &manifest.classes)?;
    match (&manifest.output, rule.min_margin > 0.0) {
        (Some(output), true) => Err(Error::Setting(format!(
            "min_margin is between the probabilities of labels, and this network has a single \
             output ({output}): leave it out"
        ))),
        _ => Ok(()),
    }
}

/// The classes that are detected in a picture, each once, ascending.
pub fn detected_classes(record: &ImageRecord, rule: &AssociationConfig) -> Vec<usize> {
    let sure = record.boxes.iter().filter(|region| region.confidence > rule.min_confidence);
    each_once(sure.map(|region| region.class).collect())
}

fn each_once(mut classes: Vec<usize>) -> Vec<usize> {
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// Counts over pictures. A commutative monoid: the counts of two corpora merge into those of both,
/// and [`Counts::new`] is neutral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// a_ij, classes x labels: pictures of label j in which class i occurs at least once among the
    /// important boxes.
    pub cells: Array2<u64>,
    /// c_j: pictures of label j.
    pub images: Vec<u64>,
}

impl Counts {
    /// No pictures.
    pub fn new(classes: usize, labels: usize) -> Self {
        Self { cells: Array2::zeros((classes, labels)), images: vec![0; labels] }
    }

    /// Counts one picture in the column `label`, in the rows of different `classes`.
    ///
    /// # Panics
    /// When a class or label lies outside the matrix; [`crate::run::Run`] has checked the records.
    pub fn add(&mut self, label: usize, classes: &[usize]) {
        self.images[label] += 1;
        for &class in classes {
            self.cells[[class, label]] += 1;
        }
    }

    /// Adds the counts of other pictures.
    ///
    /// # Panics
    /// When the matrices differ in size.
    pub fn merge(&mut self, other: &Self) {
        self.cells += &other.cells;
        self.images.iter_mut().zip(&other.images).for_each(|(sum, more)| *sum += more);
    }

    /// M' (paper, section 2): the share a_ij / c_j of the pictures of label j in which class i is
    /// important; `None` in the column of a label that no picture got.
    pub fn association(&self) -> Array2<Option<f64>> {
        Array2::from_shape_fn(self.cells.dim(), |(class, label)| {
            (self.images[label] > 0)
                .then(|| self.cells[[class, label]] as f64 / self.images[label] as f64)
        })
    }

    /// The place of `class` in the column of `label`, by falling count from 1; equals share the
    /// better place. `None` for a label that no picture got, and a class that none of its pictures
    /// has.
    pub fn rank(&self, class: usize, label: usize) -> Option<usize> {
        let column = self.cells.column(label);
        (column[class] > 0)
            .then(|| 1 + column.iter().filter(|&&count| count > column[class]).count())
    }

    /// The classes with the highest mean share over the labels that occur, at most `top`, none
    /// whose mean is 0; the first of equals comes first.
    pub fn prominent(&self, top: usize) -> Vec<usize> {
        self.prominent_by_labels_of(top, 0)
    }

    /// Which labels have too few pictures, fewer than `min_images`, to order classes by their
    /// shares, one of which is a whole picture. Where all labels have too few none is named: they
    /// are all there is.
    pub fn labels_of_few(&self, min_images: u64) -> Vec<bool> {
        let few: Vec<bool> = self.images.iter().map(|&images| images < min_images).collect();
        if few.contains(&false) { few } else { vec![false; few.len()] }
    }

    /// The classes as by [`Counts::prominent`], but that their order follows from labels with at
    /// least `min_images` pictures alone ([`Counts::labels_of_few`]). A class that only other
    /// labels have comes last.
    pub fn prominent_by_labels_of(&self, top: usize, min_images: u64) -> Vec<usize> {
        let (association, few) = (self.association(), self.labels_of_few(min_images));
        let sure = |row: ndarray::ArrayView1<'_, Option<f64>>| -> f64 {
            row.iter().zip(&few).filter(|(_, few)| !**few).filter_map(|(share, _)| *share).sum()
        };
        let means: Vec<f64> = association.rows().into_iter().map(sure).collect();
        let occurs = |&class: &usize| self.cells.row(class).iter().any(|&count| count > 0);
        let mut classes: Vec<usize> = (0..means.len()).filter(occurs).collect();
        classes.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
        classes.truncate(top);
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BoundingBox;
    use crate::run::record::{BoxRecord, MapRecord};
    use crate::score::{BoxScore, ScoreRule};
    use proptest::prelude::*;

    fn record(label: usize, boxes: &[(usize, f32, f32)]) -> ImageRecord {
        ImageRecord {
            path: String::new(),
            width: 3,
            height: 2,
            label,
            probabilities: vec![0.2; 3],
            output: None,
            valence: None,
            arousal: None,
            boxes: boxes
                .iter()
                .map(|&(class, confidence, _)| BoxRecord {
                    class,
                    confidence,
                    bounding_box: BoundingBox::new(0.0, 0.0, 1.0, 1.0),
                    extent: BoundingBox::new(0.0, 0.0, 1.0, 1.0).into(),
                    rle: None,
                })
                .collect(),
            clipped: 0,
            outside: 0,
            maps: vec![MapRecord {
                method: "grad-cam".into(),
                flat: false,
                error: None,
                mean: 0.0,
                scores: boxes
                    .iter()
                    .map(|&(_, _, mean)| BoxScore { mean, max: 1.0, ..BoxScore::default() })
                    .collect(),
                mask_scores: Vec::new(),
                score_errors: Vec::new(),
                background: BoxScore::default(),
                grid: None,
                game: None,
            }],
        }
    }

    fn count(records: &[ImageRecord], rule: &AssociationConfig) -> Counts {
        let (mut counts, importance) = (
            Counts::new(4, 3),
            Importance::of_picture(rule, &["a", "b", "c", "d"].map(String::from)).unwrap(),
        );
        records.iter().for_each(|record| counts.add(record.label, &importance.classes(record, 0)));
        counts
    }

    #[test]
    fn a_matrix_by_hand() {
        let records = [
            record(0, &[(1, 0.9, 0.31), (1, 0.8, 0.9), (2, 0.9, 0.3)]), // class 1 counts once, 0.3 is not over 0.3
            record(0, &[(2, 0.01, 0.5)]),
            record(2, &[]),
        ];
        let counts = count(&records, &AssociationConfig::default());
        assert_eq!(counts.images, [2, 0, 1]);
        let association = counts.association();
        assert_eq!(association.row(1).to_vec(), [Some(0.5), None, Some(0.0)]);
        assert_eq!(association.row(2).to_vec(), [Some(0.5), None, Some(0.0)]);
        assert_eq!(counts.prominent(25), [1, 2]);
        let strict =
            AssociationConfig { min_confidence: 0.5, score: ScoreRule::Max, ..Default::default() };
        assert_eq!(count(&records, &strict).cells.column(0).to_vec(), [0, 1, 1, 0]);
    }

    #[test]
    fn what_is_at_a_threshold_is_not_over_it() {
        let rule = AssociationConfig { min_confidence: 0.5, ..Default::default() };
        let picture = record(0, &[(1, 0.5, 0.9), (3, 0.51, 0.31), (2, 0.51, 0.3), (3, 0.6, 0.9)]);
        assert_eq!(detected_classes(&picture, &rule), [2, 3]);
        assert_eq!(count(&[picture], &rule).cells.column(0).to_vec(), [0, 0, 0, 1]);
    }

    #[test]
    fn classes_are_ranked_within_a_label_and_equals_share_the_better_place() {
        let mut counts = Counts::new(4, 2);
        for (class, times) in [(0, 8), (2, 12), (3, 8)] {
            (0..times).for_each(|_| counts.add(0, &[class]));
        }
        let ranks = [0, 1, 2, 3].map(|class| counts.rank(class, 0));
        assert_eq!(ranks, [Some(2), None, Some(1), Some(2)]);
        assert_eq!(counts.rank(2, 1), None, "no picture has the label");
    }

    #[test]
    fn without_a_threshold_the_greatest_score_of_a_class_counts() {
        let rule = AssociationConfig::default();
        let importance =
            Importance::of_picture(&rule, &["a", "b", "c", "d"].map(String::from)).unwrap();
        let mut sums = mean_scores::ScoreSums::new(4, 3);
        let sure = rule.min_confidence;
        let pictures = [
            record(0, &[(1, 0.9, 0.25), (1, 0.8, 0.75), (2, sure, 0.5)]),
            record(0, &[(1, 0.9, 0.5)]),
            record(2, &[(3, 0.9, 0.125)]),
        ];
        pictures.iter().for_each(|picture| sums.add(picture, 0, picture.label, &importance));
        let means = sums.means(&[2, 0, 1]);
        assert_eq!(means.row(1).to_vec(), [Some(0.625), None, Some(0.0)]);
        assert_eq!(means.row(2).to_vec(), [Some(0.0), None, Some(0.0)]);
        assert_eq!(means.row(3).to_vec(), [Some(0.0), None, Some(0.125)]);
    }

    #[test]
    fn a_label_of_few_images_does_not_order_classes() {
        let mut counts = Counts::new(3, 3);
        (0..20).for_each(|number| counts.add(0, if number < 8 { &[0] } else { &[] }));
        counts.add(1, &[1, 2]);
        assert_eq!(counts.prominent(9), [1, 2, 0]);
        assert_eq!(counts.prominent_by_labels_of(9, 10), [0, 1, 2]);
        assert_eq!(counts.labels_of_few(10), [false, true, true]);
        // Where every label has few images they are all there is.
        assert_eq!(
            (counts.labels_of_few(30), counts.prominent_by_labels_of(1, 30)),
            (vec![false; 3], vec![1])
        );
    }

    proptest! {
        #[test]
        fn two_runs_merged_by_counts_equal_one_run(
            pictures in prop::collection::vec(
                (0..3_usize, prop::collection::vec((0..4_usize, 0.0..1.0_f32, 0.0..1.0_f32), 0..6)), 0..30),
            cut in 0..31_usize,
        ) {
            let records: Vec<_> = pictures.iter().map(|(label, boxes)| record(*label, boxes)).collect();
            let rule = AssociationConfig::default();
            let (first, second) = records.split_at(cut.min(records.len()));
            let whole = count(&records, &rule);
            for (a, b) in [(first, second), (second, first)] {
                let mut merged = Counts::new(4, 3);
                merged.merge(&count(a, &rule));
                merged.merge(&count(b, &rule));
                prop_assert_eq!(&merged, &whole);
            }
        }
    }
}
