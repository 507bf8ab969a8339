//! How much of every channel of A lies in regions: all channels at once, by one matrix product.
//!
//! In: A of a picture (K, rows, columns) and sets of boxes in pixels of the picture. A channel is
//! upsampled bilinearly (half-pixel centres, the border repeated) from A's places to the picture's
//! pixels; what of it lies in a set of boxes is the sum over the pixels that are in at least one of
//! them, with edges cut to whole pixels as everywhere here. That sum is linear in A, sum over
//! places of u A, and u follows from the boxes alone: bilinear weights are separable, so that a
//! rectangle's u is the outer product of two differences of running sums. Where the network does
//! not see the picture (a center crop), channels are 0.

use crate::image::{BoundingBox, Cover, Placement, Size};
use std::ops::Range;
use tch::{Kind, TchError, Tensor};

/// From boxes of a picture to u, for channels of one size.
#[derive(Debug)]
pub struct ChannelScorer {
    picture: Size,
    rows: RunningSums,
    columns: RunningSums,
}

/// Along one side: sums of the bilinear weights of every place over the first pixels of the
/// picture.
#[derive(Debug)]
struct RunningSums {
    /// (pixels + 1, places), row by row.
    sums: Vec<f64>,
    places: usize,
}

impl RunningSums {
    fn new(cover: Cover, places: u32, pixels: u32) -> Self {
        let places_of_side = places as usize;
        let mut sums = vec![0.0; places_of_side];
        for pixel in 0..pixels {
            let before = sums.len() - places_of_side;
            sums.extend_from_within(before..);
            let (first, weights) = cover.bilinear(f64::from(pixel) + 0.5, places);
            for (at, weight) in weights.into_iter().enumerate().filter(|(_, weight)| *weight > 0.0)
            {
                sums[before + places_of_side + first + at] += weight;
            }
        }
        Self { sums, places: places_of_side }
    }

    /// The sums over a range of pixels, one a place.
    fn over(&self, pixels: &Range<u32>) -> impl Iterator<Item = f64> + '_ {
        let [start, end] = [pixels.start, pixels.end].map(|pixel| pixel as usize * self.places);
        (0..self.places).map(move |place| self.sums[end + place] - self.sums[start + place])
    }
}

impl ChannelScorer {
    /// For pictures that lie in the network's input as `placement` says, and channels of the size
    /// `grid` over that input.
    pub fn new(placement: &Placement, grid: Size) -> Self {
        let picture = placement.original;
        Self {
            picture,
            rows: RunningSums::new(placement.down(), grid.height, picture.height),
            columns: RunningSums::new(placement.across(), grid.width, picture.width),
        }
    }

    /// u of the union of `boxes`, in pixels of the picture and cut to it, in shares of the
    /// picture's pixels: one number a place of A, row by row.
    pub fn places(&self, boxes: &[BoundingBox]) -> Vec<f64> {
        let Size { width, height } = self.picture;
        let rectangles: Vec<(Range<u32>, Range<u32>)> = boxes
            .iter()
            .map(|region| {
                (
                    whole_pixels(region.y_min, region.y_max, height),
                    whole_pixels(region.x_min, region.x_max, width),
                )
            })
            .collect();
        let mut edges: Vec<u32> =
            rectangles.iter().flat_map(|(rows, _)| [rows.start, rows.end]).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut found = vec![0.0; self.rows.places * self.columns.places];
        // Between two edges the same columns are in the union.
        for strip in edges.windows(2).map(|pair| pair[0]..pair[1]) {
            let across = rectangles.iter().filter(|(rows, _)| rows.contains(&strip.start));
            let mut columns = vec![0.0; self.columns.places];
            for columns_inside in union(across.map(|(_, columns)| columns.clone()).collect()) {
                columns
                    .iter_mut()
                    .zip(self.columns.over(&columns_inside))
                    .for_each(|(sum, more)| *sum += more);
            }
            for (row, line) in self.rows.over(&strip).zip(found.chunks_exact_mut(columns.len())) {
                line.iter_mut().zip(&columns).for_each(|(sum, column)| *sum += row * column);
            }
        }
        let pixels = f64::from(width) * f64::from(height);
        found.iter_mut().for_each(|sum| *sum /= pixels);
        found
    }

    /// u of the whole picture, likewise.
    pub fn whole(&self) -> Vec<f64> {
        let Size { width, height } = self.picture;
        self.places(&[BoundingBox::new(0.0, 0.0, width as f32, height as f32)])
    }
}

/// What of a box's side is in whole pixels: the edges truncated, at least one pixel.
fn whole_pixels(from: f32, to: f32, side: u32) -> Range<u32> {
    let start = (from.clamp(0.0, side as f32) as u32).min(side - 1);
    start..(to.clamp(0.0, side as f32) as u32).max(start + 1)
}

/// Ranges that do not meet and cover what `ranges` cover.
fn union(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut apart: Vec<Range<u32>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

/// Sums of the positive part and of the negative part of every channel of `activation` (K, rows,
/// columns), f32, with the weights u of several sets of boxes: (2 K, sets), row by row, the
/// positive parts ReLU(A) first, then ReLU(-A). Whatever a channel's weight w is, ReLU(w A) is |w|
/// times the one or the other.
///
/// # Errors
/// Sets of another number of places than the activation has, or no memory.
pub fn channel_sums(activation: &Tensor, sets: &[Vec<f64>]) -> Result<Vec<f32>, TchError> {
    let _no_grad = tch::no_grad_guard();
    let channels = activation.size()[0];
    let flat = activation.f_reshape([channels, -1])?;
    let parts = Tensor::f_cat(&[flat.f_relu()?, flat.f_neg()?.f_relu()?], 0)?;
    let weights: Vec<f32> = sets.iter().flatten().map(|&weight| weight as f32).collect();
    let weights = Tensor::f_from_slice(&weights)?.f_reshape([sets.len() as i64, -1])?;
    let sums = parts.f_matmul(&weights.f_to_device(activation.device())?.f_transpose(0, 1)?)?;
    Vec::<f32>::try_from(&sums.f_to_kind(Kind::Float)?.f_flatten(0, -1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Fit;
    use proptest::prelude::*;

    fn boxes() -> impl Strategy<Value = Vec<BoundingBox>> {
        let one = (0f32..40.0, 0f32..30.0, 0f32..25.0, 0f32..25.0);
        prop::collection::vec(
            one.prop_map(|(x, y, w, h)| BoundingBox::new(x, y, x + w, y + h)),
            0..6,
        )
    }

    #[test]
    fn a_box_has_a_pixel_at_least() {
        let found = [(2.2, 2.9), (2.2, 4.5), (6.0, 9.0), (-3.0, -1.0), (0.0, 5.0)]
            .map(|(from, to)| whole_pixels(from, to, 5));
        assert_eq!(found, [2..3, 2..4, 4..5, 0..1, 0..5]);
    }

    proptest! {
        /// Against libtorch's upsampling of every channel, its sum over the pixels in any box.
        #[test]
        fn sums_are_those_of_upsampled_channels(boxes in boxes(), seed in 0..999_u64) {
            let (picture, grid) = (Size::new(41, 29), Size::new(5, 4));
            let mut random = crate::random::Random::new(seed, 0);
            let values: Vec<f32> = random.spread(3 * 20, 1.0).into_iter().map(|value| value as f32).collect();
            let a = Tensor::from_slice(&values).reshape([3, 4, 5]);
            let scorer = ChannelScorer::new(&Fit::squash(Size::new(50, 40)).placement(picture), grid);
            let found = channel_sums(&a, &[scorer.whole(), scorer.places(&boxes)]).unwrap();
            let mut inside = vec![0.0_f32; picture.area()];
            for region in &boxes {
                for y in whole_pixels(region.y_min, region.y_max, 29) {
                    for x in whole_pixels(region.x_min, region.x_max, 41) {
                        inside[(y * 41 + x) as usize] = 1.0;
                    }
                }
            }
            let inside = Tensor::from_slice(&inside).reshape([29, 41]);
            for (half, part) in [a.relu(), (-&a).relu()].into_iter().enumerate() {
                let large = part.unsqueeze(0).upsample_bilinear2d([29, 41], false, None, None).squeeze_dim(0);
                for channel in 0..3 {
                    let large = large.get(channel) / 1189.0;
                    let expected = [large.sum(Kind::Double), (&large * &inside).sum(Kind::Double)];
                    for (set, expected) in expected.iter().enumerate() {
                        let found = f64::from(found[(half * 3 + channel as usize) * 2 + set]);
                        prop_assert!((found - f64::try_from(expected).unwrap()).abs() < 2e-6);
                    }
                }
            }
        }

        /// Where the network sees all of the picture, a channel that is 1 everywhere has the boxes'
        /// area.
        #[test]
        fn a_constant_channel_has_the_area(boxes in boxes()) {
            let placement = Fit::squash(Size::new(50, 40)).placement(Size::new(41, 29));
            let scorer = ChannelScorer::new(&placement, Size::new(7, 3));
            let covered = (0..29).flat_map(|y| (0..41).map(move |x| (x, y))).filter(|&(x, y)| {
                let inside = |of: &BoundingBox| {
                    let rows = whole_pixels(of.y_min, of.y_max, 29);
                    whole_pixels(of.x_min, of.x_max, 41).contains(&x) && rows.contains(&y)
                };
                boxes.iter().any(inside)
            });
            let expected = covered.count() as f64 / 1189.0;
            prop_assert!((scorer.places(&boxes).iter().sum::<f64>() - expected).abs() < 1e-9);
            prop_assert!((scorer.whole().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }
}
