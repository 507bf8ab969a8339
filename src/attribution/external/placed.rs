//! From a map over the whole picture to one over the network's input.
//!
//! ReLU, min-max, and bilinear resampling to the size of the resized picture, of which the part
//! that is in the input is computed. Where a map becomes larger, that is the interpolation of
//! [`super::super::finish`] (half-pixel centres, the border repeated); where it becomes smaller,
//! the triangle of the weights becomes as much wider, so that every cell counts (Pillow's bilinear
//! filter, PyTorch's with `antialias=True`): single points, as fixations are, do not fall between
//! the places that are looked at. The second min-max follows with the batch.

use super::PictureMap;
use crate::attribution::map::EPSILON;
use crate::image::{Filter, Placement, taps_of};

/// The map over the input, row by row, in `[0, 1]`; 0 where the input is not of the picture.
pub(super) fn over_input(map: &PictureMap, placement: &Placement) -> Vec<f32> {
    let Placement { resized, columns, rows, .. } = placement;
    let across = taps_of(map.size.width, resized.width, columns.clone(), Filter::Bilinear);
    let down = taps_of(map.size.height, resized.height, rows.clone(), Filter::Bilinear);
    let normalise = Normalisation::of(&map.values);
    // First along the rows, then along the columns.
    let narrow = map.values.chunks_exact(map.size.width as usize).flat_map(|row| {
        across.iter().map(|(first, weights)| {
            let values = row[first..].iter().map(|&value| f64::from(normalise.apply(value)));
            weights.iter().zip(values).map(|(weight, value)| weight * value).sum::<f64>() as f32
        })
    });
    let (narrow, width): (Vec<f32>, usize) = (narrow.collect(), columns.len());
    let mut input = vec![0.0; placement.input.area()];
    for (row, (first, weights)) in down.iter().enumerate() {
        let start = (placement.top as usize + row) * placement.input.width as usize
            + placement.left as usize;
        for (column, value) in input[start..start + width].iter_mut().enumerate() {
            let values = narrow[first * width + column..]
                .iter()
                .step_by(width)
                .map(|&value| f64::from(value));
            *value = weights.iter().zip(values).map(|(weight, value)| weight * value).sum::<f64>()
                as f32;
        }
    }
    input
}

/// ReLU, then (x - min) / (max - min + epsilon).
struct Normalisation {
    least: f32,
    range: f32,
}

impl Normalisation {
    fn of(values: &[f32]) -> Self {
        let positive = values.iter().map(|value| value.max(0.0));
        let (least, most) =
            positive.fold((f32::INFINITY, 0.0_f32), |(l, m), value| (l.min(value), m.max(value)));
        Self { least, range: most - least + EPSILON as f32 }
    }

    fn apply(&self, value: f32) -> f32 {
        (value.max(0.0) - self.least) / self.range
    }
}
