//! From a map over the whole picture to one over the network's input.
//!
//! ReLU, min-max, and bilinear resampling to the size of the resized picture, of which the part that is in the input is
//! computed. Where a map becomes larger, that is the interpolation of [`super::super::finish`] (half-pixel centres, the
//! border repeated); where it becomes smaller, the triangle of the weights becomes as much wider, so that every cell
//! counts (Pillow's bilinear filter, PyTorch's with `antialias=True`): single points, as fixations are, do not fall
//! between the places that are looked at. The second min-max is the batch's.

use super::PictureMap;
use crate::attribution::map::EPSILON;
use crate::image::Placement;
use std::ops::Range;

/// The map over the input, row by row, in `[0, 1]`; 0 where the input is not of the picture.
pub(super) fn over_input(map: &PictureMap, placement: &Placement) -> Vec<f32> {
    let (columns, rows) = (map.size.width as usize, map.size.height as usize);
    let across = taps(columns, placement.resized.width, placement.columns.clone());
    let down = taps(rows, placement.resized.height, placement.rows.clone());
    let normalise = Normalisation::of(&map.values);
    // First along the rows, then along the columns.
    let narrow: Vec<f32> = map
        .values
        .chunks_exact(columns)
        .flat_map(|row| across.iter().map(|taps| taps.sum(|at| normalise.apply(row[at]))))
        .collect();
    let mut input = vec![0.0; placement.input.area()];
    for (row, taps) in down.iter().enumerate() {
        let start = (placement.top as usize + row) * placement.input.width as usize + placement.left as usize;
        for (column, value) in input[start..start + across.len()].iter_mut().enumerate() {
            *value = taps.sum(|at| narrow[at * across.len() + column]);
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
        let (least, most) = positive.fold((f32::INFINITY, 0.0_f32), |(l, m), value| (l.min(value), m.max(value)));
        Self { least, range: most - least + EPSILON as f32 }
    }

    fn apply(&self, value: f32) -> f32 {
        (value.max(0.0) - self.least) / self.range
    }
}

/// Weights of neighbouring cells, which sum to 1.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Taps {
    fn sum(&self, value: impl Fn(usize) -> f32) -> f32 {
        self.weights.iter().zip(self.first..).map(|(weight, at)| weight * value(at)).sum()
    }
}

/// Of a line of `cells` cells resized to `resized`, the weights for each place in `part`.
fn taps(cells: usize, resized: u32, part: Range<u32>) -> Vec<Taps> {
    let scale = cells as f64 / f64::from(resized);
    let reach = scale.max(1.0);
    let taps = |place: u32| {
        let centre = (f64::from(place) + 0.5) * scale;
        let first = ((centre - reach).floor().max(0.0) as usize).min(cells - 1);
        let last = ((centre + reach).ceil() as usize).clamp(first + 1, cells);
        let weight = |at: usize| (1.0 - ((at as f64 + 0.5 - centre) / reach).abs()).max(0.0);
        let total: f64 = (first..last).map(weight).sum();
        Taps { first, weights: (first..last).map(|at| (weight(at) / total) as f32).collect() }
    };
    part.map(taps).collect()
}
