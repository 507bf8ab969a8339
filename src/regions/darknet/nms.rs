//! Non-maximum suppression.

use super::Detection;
use crate::image::BoundingBox;
use std::collections::HashMap;

/// Greedy suppression per class: in order of falling confidence a box stays unless its IoU with a box of its class that
/// stayed is over `iou`. Ties of confidence keep the order of `detections`. Returns what stays, by falling confidence.
pub fn suppress(detections: Vec<Detection>, iou: f32) -> Vec<Detection> {
    suppress_by(detections, iou, |detection| detection.bounding_box)
}

/// [`suppress`], where the IoU is that of the boxes that `compared` makes of the detections.
pub(in crate::regions) fn suppress_by(
    mut detections: Vec<Detection>,
    iou: f32,
    compared: impl Fn(&Detection) -> BoundingBox,
) -> Vec<Detection> {
    detections.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut kept: Vec<Detection> = Vec::new();
    let mut kept_of_class: HashMap<usize, Vec<BoundingBox>> = HashMap::new();
    for detection in detections {
        let rivals = kept_of_class.entry(detection.class).or_default();
        let own = compared(&detection);
        if rivals.iter().all(|rival| rival.iou(&own) <= iou) {
            rivals.push(own);
            kept.push(detection);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn detection(class: usize, confidence: f32, x: f32, width: f32) -> Detection {
        Detection { class, confidence, bounding_box: BoundingBox::new(x, 0.0, x + width, 10.0) }
    }

    #[test]
    fn the_strongest_of_a_class_stays() {
        let kept = suppress(
            vec![detection(1, 0.5, 0.0, 10.0), detection(1, 0.9, 1.0, 10.0), detection(2, 0.1, 0.0, 10.0)],
            0.45,
        );
        assert_eq!(kept, [detection(1, 0.9, 1.0, 10.0), detection(2, 0.1, 0.0, 10.0)]);
    }

    #[test]
    fn a_suppressed_box_suppresses_nothing() {
        // b overlaps a and c; a and c are apart: b goes, c stays.
        let (a, b, c) = (detection(0, 0.9, 0.0, 10.0), detection(0, 0.8, 6.0, 10.0), detection(0, 0.7, 12.0, 10.0));
        assert_eq!(suppress(vec![a, b, c], 0.2), [a, c]);
    }

    proptest! {
        #[test]
        fn what_stays_does_not_overlap_and_what_goes_did(
            boxes in prop::collection::vec((0..3_usize, 0.0..1.0_f32, 0.0..50.0_f32, 1.0..30.0_f32), 0..40),
            iou in 0.0..0.9_f32,
        ) {
            let all: Vec<_> = boxes.into_iter().map(|(class, p, x, w)| detection(class, p, x, w)).collect();
            let kept = suppress(all.clone(), iou);
            for (at, a) in kept.iter().enumerate() {
                for b in &kept[..at] {
                    prop_assert!(a.class != b.class || a.bounding_box.iou(&b.bounding_box) <= iou);
                }
            }
            for gone in all.iter().filter(|d| !kept.contains(d)) {
                prop_assert!(kept.iter().any(|k| k.class == gone.class
                    && k.confidence >= gone.confidence
                    && k.bounding_box.iou(&gone.bounding_box) > iou));
            }
        }
    }
}
