//! The matrix without a threshold: how high a class scores in the pictures of a label on average.

use super::Importance;
use crate::run::record::ImageRecord;
use ndarray::Array2;
use std::collections::BTreeMap;

/// Steps of 1 in which scores are summed: whole numbers, so that the sum does not depend on the
/// order.
const STEPS: f64 = (1_u64 << 40) as f64;

/// Sums of the greatest score of each class in the pictures of each label, classes x labels. A
/// commutative monoid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScoreSums(Array2<i128>);

impl ScoreSums {
    /// No pictures.
    pub(super) fn new(classes: usize, labels: usize) -> Self {
        Self(Array2::zeros((classes, labels)))
    }

    /// Adds a picture of the label by the map `method` of its list. A class that is not detected,
    /// with the confidence that the rule asks, adds 0.
    ///
    /// # Panics
    /// When a class or label lies outside.
    pub(super) fn add(
        &mut self,
        record: &ImageRecord,
        method: usize,
        label: usize,
        importance: &Importance,
    ) {
        let mut best: BTreeMap<usize, f32> = BTreeMap::new();
        for (at, region) in record.boxes.iter().enumerate() {
            if region.confidence > importance.rule().min_confidence {
                let number = importance.number(record, method, at);
                best.entry(region.class)
                    .and_modify(|best| *best = best.max(number))
                    .or_insert(number);
            }
        }
        best.into_iter().for_each(|(class, number)| self.add_number(class, label, number));
    }

    /// Adds a class's number in a picture of the label.
    pub(super) fn add_number(&mut self, class: usize, label: usize, number: f32) {
        self.0[[class, label]] += (f64::from(number) * STEPS).round() as i128;
    }

    /// The means over `images`, the pictures of each label; `None` in the column of a label that no
    /// picture got.
    pub(super) fn means(&self, images: &[u64]) -> Array2<Option<f64>> {
        Array2::from_shape_fn(self.0.dim(), |(class, label)| {
            (images[label] > 0)
                .then(|| self.0[[class, label]] as f64 / STEPS / images[label] as f64)
        })
    }
}
