//! Non-maximum suppression.

use super::Detection;
use crate::image::BoundingBox;
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

/// Greedy suppression per class: in order of falling confidence a box stays unless its IoU with a
/// box of its class that stayed is over `iou`. Ties of confidence keep the order of `detections`.
/// Returns what stays, by falling confidence.
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
    let mut kept_of_class: HashMap<usize, Rivals> = HashMap::new();
    for detection in detections {
        let rivals = kept_of_class.entry(detection.class).or_default();
        let own = compared(&detection);
        if rivals.all_within(&own, iou) {
            rivals.push(own);
            kept.push(detection);
        }
    }
    kept
}

/// The boxes of a class that stayed, found by where they are: many small ones that are far apart
/// take no time. Boxes whose longer side is about as long, within a factor of two, share a grid of
/// cells of that length.
#[derive(Debug, Default)]
struct Rivals {
    /// By the logarithm of the cells' side.
    grids: BTreeMap<i32, Grid>,
}

#[derive(Debug, Default)]
struct Grid {
    all: Vec<BoundingBox>,
    /// Places in `all`, by the cell of the upper left corner.
    cells: HashMap<(i64, i64), Vec<usize>>,
}

/// x_min, y_min, x_max, y_max.
fn edges(of: &BoundingBox) -> [f64; 4] {
    <[f32; 4]>::from(*of).map(f64::from)
}

/// The smallest power of two, as its logarithm, that is no shorter than the longer side.
fn level(of: &BoundingBox) -> i32 {
    let [x_min, y_min, x_max, y_max] = edges(of);
    (x_max - x_min).max(y_max - y_min).max(f64::MIN_POSITIVE).log2().ceil() as i32
}

impl Rivals {
    fn push(&mut self, own: BoundingBox) {
        let level = level(&own);
        let side = f64::from(level).exp2();
        let [x_min, y_min, ..] = edges(&own);
        let grid = self.grids.entry(level).or_default();
        grid.cells
            .entry(((x_min / side).floor() as i64, (y_min / side).floor() as i64))
            .or_default()
            .push(grid.all.len());
        grid.all.push(own);
    }

    /// Whether no rival's IoU with `own` is over `iou`, which is not negative: so boxes apart need
    /// no look.
    fn all_within(&self, own: &BoundingBox, iou: f32) -> bool {
        let [x_min, y_min, x_max, y_max] = edges(own);
        let area = (x_max - x_min) * (y_max - y_min);
        self.grids.iter().all(|(&level, grid)| {
            let side = f64::from(level).exp2();
            // No IoU is over the ratio of the areas; a little more, for the last digits.
            if side * side * 1.001 < f64::from(iou) * area {
                return true;
            }
            // A rival reaches at most one side beyond its corner.
            let first = |edge: f64| ((edge - side) / side).floor() as i64;
            let last = |edge: f64| (edge / side).floor() as i64;
            let (columns, rows) = (first(x_min)..=last(x_max), first(y_min)..=last(y_max));
            let count = |range: &RangeInclusive<i64>| {
                range.end().saturating_sub(*range.start()).saturating_add(1)
            };
            let within = |rival: &BoundingBox| rival.iou(own) <= iou;
            if count(&columns).saturating_mul(count(&rows)) >= grid.all.len() as i64 {
                return grid.all.iter().all(within);
            }
            columns.into_iter().all(|column| {
                rows.clone().all(|row| {
                    let cell = grid.cells.get(&(column, row));
                    cell.is_none_or(|cell| cell.iter().all(|&rival| within(&grid.all[rival])))
                })
            })
        })
    }
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
            vec![
                detection(1, 0.5, 0.0, 10.0),
                detection(1, 0.9, 1.0, 10.0),
                detection(2, 0.1, 0.0, 10.0),
            ],
            0.45,
        );
        assert_eq!(kept, [detection(1, 0.9, 1.0, 10.0), detection(2, 0.1, 0.0, 10.0)]);
    }

    #[test]
    fn a_suppressed_box_suppresses_nothing() {
        // b overlaps a and c; a and c are apart: b goes, c stays.
        let (a, b, c) = (
            detection(0, 0.9, 0.0, 10.0),
            detection(0, 0.8, 6.0, 10.0),
            detection(0, 0.7, 12.0, 10.0),
        );
        assert_eq!(suppress(vec![a, b, c], 0.2), [a, c]);
    }

    #[test]
    fn many_small_boxes_apart_take_no_time() {
        // Compared one by one this would be two billion comparisons.
        let corner = |place: usize| ((place % 256) as f32 * 8.0, (place / 256) as f32 * 8.0);
        let all: Vec<Detection> = (0..65_536)
            .map(|place| {
                let (x, y) = corner(place);
                let bounding_box = BoundingBox::new(x, y, x + 0.1, y + 0.1);
                Detection { class: 0, confidence: 0.5, bounding_box }
            })
            .collect();
        assert_eq!(suppress(all, 0.005).len(), 65_536);
    }

    proptest! {
        #[test]
        fn what_stays_is_what_stays_by_comparing_all_with_all(
            boxes in prop::collection::vec(
                (0..2_usize, 0..9_u8, -50.0..150.0_f32, -50.0..150.0_f32, -6.0..8.0_f32, -6.0..8.0_f32), 0..120),
            iou in prop::sample::select(vec![0.0_f32, 0.005, 0.3, 0.9]),
        ) {
            let all: Vec<Detection> = boxes
                .into_iter()
                .map(|(class, confidence, x, y, w, h)| {
                    let bounding_box = BoundingBox::new(x, y, x + w.exp2(), y + h.exp2());
                    Detection { class, confidence: f32::from(confidence) / 9.0, bounding_box }
                })
                .collect();
            let mut sorted = all.clone();
            sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
            let mut expected: Vec<Detection> = Vec::new();
            for one in sorted {
                let stays = |other: &Detection| {
                    other.class != one.class || other.bounding_box.iou(&one.bounding_box) <= iou
                };
                if expected.iter().all(stays) {
                    expected.push(one);
                }
            }
            prop_assert_eq!(suppress(all, iou), expected);
        }

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
