//! Average precision of a detector: the area under the curve of precision over recall, every point
//! used, precision made to fall monotonically first (Everingham et al. 2015, PASCAL VOC since
//! 2010).

use crate::image::BoundingBox;
use crate::regions::darknet::Detection;
use crate::stats;

/// What is in one picture: class and box of every object.
pub type Truth = Vec<(usize, BoundingBox)>;

/// Per class the average precision, `None` where no picture shows the class. `found` and `truth`
/// have one entry a picture, in the same pixels.
///
/// In order of falling confidence (ties: order of the pictures, then of the detections) a detection
/// is right when the object of its class that it overlaps most has an IoU of at least `iou` with it
/// and no detection before had that object.
///
/// # Panics
/// When `found` and `truth` differ in length: a mistake of the caller.
pub fn average_precision(
    found: &[Vec<Detection>],
    truth: &[Truth],
    classes: usize,
    iou: f32,
) -> Vec<Option<f64>> {
    assert_eq!(found.len(), truth.len(), "detections and truth have one entry a picture");
    (0..classes).map(|class| of_class(found, truth, class, iou)).collect()
}

/// The mean of the classes that have a value, `None` where none has.
pub fn mean(per_class: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = per_class.iter().copied().flatten().collect();
    stats::mean(&known)
}

fn of_class(found: &[Vec<Detection>], truth: &[Truth], class: usize, iou: f32) -> Option<f64> {
    let objects: Vec<Vec<BoundingBox>> = truth
        .iter()
        .map(|picture| {
            picture.iter().filter(|(of, _)| *of == class).map(|(_, object)| *object).collect()
        })
        .collect();
    let count: usize = objects.iter().map(Vec::len).sum();
    if count == 0 {
        return None;
    }
    let mut ranked: Vec<(usize, &Detection)> = found
        .iter()
        .enumerate()
        .flat_map(|(picture, all)| {
            all.iter().filter(|d| d.class == class).map(move |d| (picture, d))
        })
        .collect();
    ranked.sort_by(|a, b| b.1.confidence.total_cmp(&a.1.confidence));
    let mut taken: Vec<Vec<bool>> =
        objects.iter().map(|objects| vec![false; objects.len()]).collect();
    let mut right = 0;
    // (recall, precision) after every detection.
    let mut curve: Vec<(f64, f64)> = Vec::with_capacity(ranked.len());
    for (rank, (picture, detection)) in ranked.into_iter().enumerate() {
        let overlaps =
            objects[picture].iter().map(|object| object.iou(&detection.bounding_box)).enumerate();
        let best = overlaps.fold(None, |best: Option<(usize, f32)>, now| match best {
            Some(before) if before.1 >= now.1 => Some(before),
            _ => Some(now),
        });
        if let Some((object, _)) =
            best.filter(|&(object, overlap)| overlap >= iou && !taken[picture][object])
        {
            taken[picture][object] = true;
            right += 1;
        }
        curve.push((f64::from(right) / count as f64, f64::from(right) / (rank + 1) as f64));
    }
    Some(area(&curve))
}

/// Area under the falling envelope of the points, which have rising recall.
fn area(curve: &[(f64, f64)]) -> f64 {
    let (mut envelope, mut area) = (0.0_f64, 0.0);
    for (at, &(recall, precision)) in curve.iter().enumerate().rev() {
        envelope = envelope.max(precision);
        let before = if at == 0 { 0.0 } else { curve[at - 1].0 };
        area += (recall - before) * envelope;
    }
    area
}
