//! How good two networks are on examples they were not trained with, run exactly as `analyze` runs
//! them.

use super::average_precision::{Truth, average_precision, mean};
use super::detector::letterboxed;
use super::emotion::squashed;
use super::{Examples, stream};
use crate::Result;
use crate::image::Rgb8;
use crate::networks::{Classifier, predict};
use crate::regions::darknet::{Darknet, Detection, suppress};
use serde::Serialize;

/// A detection is right when it overlaps an object of its class by this much.
pub const RIGHT: f32 = 0.5;

/// Pictures a batch.
const BATCH: u64 = 8;

/// What a detector found and what there was, one entry a picture, in pixels of its input.
#[derive(Debug, Default)]
pub struct Found {
    /// The detections.
    pub detections: Vec<Vec<Detection>>,
    /// The objects.
    pub truth: Vec<Truth>,
}

/// Runs `detector` on examples 0 to `count` - 1. Detections come with the detector's own
/// suppression; `nms_iou` may ask for more.
///
/// # Errors
/// The network could not be run.
pub fn detections(
    detector: &Darknet,
    examples: &dyn Examples,
    count: u64,
    threads: usize,
    mut told: impl FnMut(u64),
) -> Result<Found> {
    let mut found = Found::default();
    let input = detector.input();
    let make = |number| {
        batch(number, count)
            .map(|index| letterboxed(&examples.example(index), input))
            .collect::<Vec<_>>()
    };
    stream::in_order(count.div_ceil(BATCH), threads, make, |number, examples| {
        let pictures: Vec<&Rgb8> = examples.iter().map(|example| &example.picture).collect();
        found.detections.extend(detector.detect(&pictures)?);
        found.truth.extend(examples.into_iter().map(|example| example.boxes));
        told(batch(number, count).end);
        Ok(())
    })?;
    Ok(found)
}

fn batch(number: u64, count: u64) -> std::ops::Range<u64> {
    number * BATCH..((number + 1) * BATCH).min(count)
}

impl Found {
    /// With boxes of one class that overlap by more than `iou` suppressed further.
    pub fn suppressed(&self, iou: f32) -> Vec<Vec<Detection>> {
        self.detections.iter().map(|picture| suppress(picture.clone(), iou)).collect()
    }

    /// Average precision of every class, at an overlap of [`RIGHT`].
    pub fn average_precision(&self, classes: usize, nms_iou: f32) -> Vec<Option<f64>> {
        average_precision(&self.suppressed(nms_iou), &self.truth, classes, RIGHT)
    }
}

/// How often an emotion network named the example's label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accuracy {
    /// Examples in all.
    pub examples: u64,
    /// Of these answered rightly.
    pub right: u64,
    /// Per label: how many examples had it, and how many of them were answered rightly.
    pub per_label: Vec<(u64, u64)>,
}

impl Accuracy {
    /// Share of the examples answered rightly.
    pub fn share(&self) -> f64 {
        self.right as f64 / self.examples as f64
    }
}

/// Runs `network` on examples 0 to `count` - 1.
///
/// # Errors
/// The network could not be run.
pub fn accuracy(
    network: &dyn Classifier,
    examples: &dyn Examples,
    count: u64,
    threads: usize,
    mut told: impl FnMut(u64),
) -> Result<Accuracy> {
    let mut per_label = vec![(0, 0); network.card().labels.len()];
    let make = |number| -> (Vec<Rgb8>, Vec<usize>) {
        batch(number, count)
            .map(|index| {
                let example = examples.example(index);
                (squashed(&example), example.label)
            })
            .unzip()
    };
    stream::in_order(count.div_ceil(BATCH), threads, make, |number, (pictures, labels)| {
        let pictures: Vec<&Rgb8> = pictures.iter().collect();
        let predictions = predict(network, &pictures)?;
        for (answer, label) in predictions.iter().zip(labels) {
            per_label[label].0 += 1;
            per_label[label].1 += u64::from(answer.label == label);
        }
        told(batch(number, count).end);
        Ok(())
    })?;
    let sum = |part: fn(&(u64, u64)) -> u64| per_label.iter().map(part).sum();
    Ok(Accuracy { examples: sum(|label| label.0), right: sum(|label| label.1), per_label })
}

/// Mean of [`Found::average_precision`] over the classes that occur.
pub fn mean_average_precision(found: &Found, classes: usize, nms_iou: f32) -> Option<f64> {
    mean(&found.average_precision(classes, nms_iou))
}
