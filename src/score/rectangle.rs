//! A box in whole pixels, what lies around it, and its scores from sums over both.

use super::{BoxArea, BoxScore, at_corners};
use crate::image::{Extent, Letterbox, Size};
use std::ops::Range;

/// Along each side windows of a box's size lie at so many places.
pub(super) const WINDOWS: usize = 16;

/// Windows whose means differ by less than this share of their mean do so by rounding.
const SAME: f64 = 1e-4;

/// Pixels of the content.
#[derive(Debug, Clone)]
pub(super) struct Area {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

impl Area {
    /// Whether it has pixels at all.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() || self.columns.is_empty()
    }

    /// Its number of pixels.
    pub(super) fn area(&self) -> f64 {
        (self.rows.len() * self.columns.len()) as f64
    }

    /// Where in a table of sums with `stride` columns the four sums lie of which the first and the
    /// last count for it and the others against it.
    pub(super) fn corners(&self, stride: usize) -> [usize; 4] {
        let corner = |row: usize, column: usize| row * stride + column;
        let (Range { start: r0, end: r1 }, Range { start: c0, end: c1 }) =
            (&self.rows, &self.columns);
        [corner(*r1, *c1), corner(*r0, *c1), corner(*r1, *c0), corner(*r0, *c0)]
    }
}

/// A side `sqrt 2` times as long, with the same middle and cut to `side` pixels; longer by at least
/// a pixel at each end.
pub(super) fn wider(inside: &Range<usize>, side: usize) -> Range<usize> {
    let margin =
        ((inside.len() as f64 * (std::f64::consts::SQRT_2 - 1.0) / 2.0).round() as usize).max(1);
    inside.start.saturating_sub(margin)..(inside.end + margin).min(side)
}

/// A box in whole pixels.
#[derive(Debug)]
pub(super) struct Rectangle {
    /// What of the content is in it.
    inside: Area,
    /// Its number of pixels, padding included.
    pixels: f64,
    content: Size,
}

impl std::ops::Deref for Rectangle {
    type Target = Area;

    fn deref(&self) -> &Area {
        &self.inside
    }
}

/// What a box's scores are made of.
#[derive(Debug)]
pub(super) struct Sums {
    /// Over the box's part of the content.
    pub inside: f64,
    /// Over it and the frame around it.
    pub frame: f64,
    /// Over the whole content.
    pub total: f64,
    /// Mean and standard deviation of the sums over windows of the box's size.
    pub windows: [f64; 2],
}

impl Rectangle {
    /// See [`super::PlacedMap::score`].
    pub(super) fn new(letterbox: Letterbox, area: BoxArea, extent: &Extent) -> Self {
        let Letterbox { canvas, content, left, top, .. } = letterbox;
        let on_canvas = letterbox.to_canvas(extent);
        let whole = |from: f32, to: f32, side: u32| {
            let start = (from.clamp(0.0, side as f32) as u32).min(side - 1);
            (start, (to.clamp(0.0, side as f32) as u32).max(start + 1))
        };
        let (x0, x1) = whole(on_canvas.x_min, on_canvas.x_max, canvas.width);
        let (y0, y1) = whole(on_canvas.y_min, on_canvas.y_max, canvas.height);
        let inside =
            |edge: u32, start: u32, side: u32| edge.saturating_sub(start).min(side) as usize;
        let inside = Area {
            rows: inside(y0, top, content.height)..inside(y1, top, content.height),
            columns: inside(x0, left, content.width)..inside(x1, left, content.width),
        };
        let pixels = match area {
            BoxArea::Canvas => f64::from(x1 - x0) * f64::from(y1 - y0),
            // A box without any pixel of the picture has a mean of 0, whatever it is divided by.
            BoxArea::Picture => inside.area().max(1.0),
        };
        Self { inside, pixels, content }
    }

    /// It and the frame around it.
    pub(super) fn frame(&self) -> Area {
        Area {
            rows: wider(&self.rows, self.content.height as usize),
            columns: wider(&self.columns, self.content.width as usize),
        }
    }

    /// First rows and first columns of windows of its size.
    pub(super) fn places(&self) -> [[usize; WINDOWS]; 2] {
        let Size { width, height } = self.content;
        [(self.rows.len(), height), (self.columns.len(), width)].map(|(length, side)| {
            let free = side as usize - length;
            std::array::from_fn(|number| (2 * number * free + WINDOWS - 1) / (2 * (WINDOWS - 1)))
        })
    }

    /// Mean and standard deviation of the sums over windows of its size, from a table of sums with
    /// `stride` columns.
    pub(super) fn windows(&self, sums: &[f64], stride: usize) -> [f64; 2] {
        if self.is_empty() {
            return [0.0; 2];
        }
        let [rows, columns] = self.places();
        let (height, width) = (self.rows.len(), self.columns.len());
        let mut found = [0.0; WINDOWS * WINDOWS];
        for (row, found) in rows.into_iter().zip(found.chunks_exact_mut(WINDOWS)) {
            let (above, below) =
                (&sums[row * stride..][..stride], &sums[(row + height) * stride..][..stride]);
            for (column, found) in columns.into_iter().zip(found) {
                let end = column + width;
                *found = at_corners([below[end], above[end], below[column], above[column]]);
            }
        }
        let count = found.len() as f64;
        let mean = found.iter().sum::<f64>() / count;
        let squares: f64 = found.iter().map(|sum| (sum - mean).powi(2)).sum();
        [mean, (squares / count).sqrt()]
    }

    /// From sums, and the maximum over its part of the content.
    pub(super) fn score(&self, sums: &Sums, max: f32) -> BoxScore {
        if self.is_empty() {
            return BoxScore::default();
        }
        let area = self.inside.area();
        let max = if area == self.pixels { max } else { max.max(0.0) };
        let mass = if sums.total > 0.0 { sums.inside / sums.total } else { 0.0 };
        let frame = self.frame().area() - area;
        let contrast = match frame > 0.0 {
            true => sums.inside / area - (sums.frame - sums.inside) / frame,
            false => 0.0,
        };
        let [mean, deviation] = sums.windows;
        let z = if deviation > SAME * mean.abs() { (sums.inside - mean) / deviation } else { 0.0 };
        BoxScore {
            mean: (sums.inside / self.pixels) as f32,
            max,
            mass: mass as f32,
            contrast: contrast as f32,
            z: z as f32,
            lift: (mass * self.content.area() as f64 / area) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{BoundingBox, Fit};
    use crate::random::Random;
    use crate::score::{PlacedMap, Scorer};
    use proptest::prelude::*;

    const MAP: Size = Size { width: 9, height: 11 };

    /// A map on the canvas of 40 x 30 pixels, of a picture of these sides.
    fn placed(width: u32, height: u32, map: &[f32]) -> PlacedMap {
        let letterbox = Letterbox::fit(Size::new(width, height), Size::new(40, 30));
        let placement = Fit::squash(MAP).placement(letterbox.original);
        Scorer::new(&placement, MAP, letterbox, BoxArea::Canvas).place(map)
    }

    #[test]
    fn where_a_box_reaches_into_the_bar_its_greatest_value_is_not_below_the_zeros_there() {
        let letterbox = Letterbox::fit(Size::new(40, 20), Size::new(40, 30));
        let sums = Sums { inside: -1.0, frame: -1.0, total: -1.0, windows: [0.0; 2] };
        let max = |y_min: f32| {
            let extent = BoundingBox::new(4.0, y_min, 12.0, 9.0).into();
            Rectangle::new(letterbox, BoxArea::Canvas, &extent).score(&sums, -0.25).max
        };
        // Bicubic weights undershoot.
        assert_eq!([max(3.0), max(-2.0)], [-0.25, 0.0]);
    }

    fn random_map(seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed, 0);
        (0..MAP.area()).map(|_| random.uniform(0.0, 1.0) as f32).collect()
    }

    /// Contrast, z and lift pixel by pixel, as their documentation defines them.
    fn by_definition(placed: &PlacedMap, extent: &Extent) -> [f64; 3] {
        let Size { width, height } = placed.letterbox.content;
        let (width, height) = (width as usize, height as usize);
        let Area { rows, columns } =
            Rectangle::new(placed.letterbox, BoxArea::Canvas, extent).inside;
        let mean = |takes: &dyn Fn(usize, usize) -> bool| {
            let pixels = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
            let values = pixels.filter(|&(row, column)| takes(row, column));
            let values: Vec<f64> = values
                .map(|(row, column)| f64::from(placed.values()[row * width + column]))
                .collect();
            (values.len(), values.iter().sum::<f64>() / values.len() as f64)
        };
        let is_inside =
            |row: usize, column: usize| rows.contains(&row) && columns.contains(&column);
        let (area, inside) = mean(&is_inside);
        if area == 0 {
            return [0.0; 3];
        }
        let grown = |range: &Range<usize>| {
            let longer = range.len() as f64 * 2.0_f64.sqrt();
            let margin = ((longer - range.len() as f64) / 2.0).round().max(1.0) as i64;
            range.start as i64 - margin..range.end as i64 + margin
        };
        let (frame_rows, frame_columns) = (grown(&rows), grown(&columns));
        let (frame, outside) = mean(&|row, column| {
            frame_rows.contains(&(row as i64))
                && frame_columns.contains(&(column as i64))
                && !is_inside(row, column)
        });
        let contrast = if frame > 0 { inside - outside } else { 0.0 };
        let start = |number: usize, side: usize, length: usize| {
            (number as f64 * (side - length) as f64 / 15.0).round() as usize
        };
        let mut windows = Vec::new();
        for (across, down) in (0..16).flat_map(|down| (0..16).map(move |across| (across, down))) {
            let top = start(down, height, rows.len());
            let left = start(across, width, columns.len());
            let in_rows = top..top + rows.len();
            windows.push(
                mean(&|row, column| {
                    in_rows.contains(&row) && (left..left + columns.len()).contains(&column)
                })
                .1,
            );
        }
        let middle = windows.iter().sum::<f64>() / 256.0;
        let deviation =
            (windows.iter().map(|window| (window - middle).powi(2)).sum::<f64>() / 256.0).sqrt();
        let z = if deviation > 1e-4 * middle.abs() { (inside - middle) / deviation } else { 0.0 };
        let (_, whole) = mean(&|_, _| true);
        [contrast, z, if whole > 0.0 { inside / whole } else { 0.0 }]
    }

    fn numbers(score: &BoxScore) -> [f64; 3] {
        [score.contrast, score.z, score.lift].map(f64::from)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Boxes reach over the edge, too.
        #[test]
        fn scores_are_as_defined(
            width in 5..200_u32, height in 5..200_u32, seed: u64,
            x in -0.5..1.1_f64, y in -0.5..1.1_f64, w in 0.0..1.2_f64, h in 0.0..1.2_f64,
        ) {
            let placed = placed(width, height, &random_map(seed));
            let [across, down] = [width, height].map(f64::from);
            let extent = Extent::new(x * across, y * down, (x + w) * across, (y + h) * down);
            let found = numbers(&placed.score(&extent));
            for (found, expected) in found.into_iter().zip(by_definition(&placed, &extent)) {
                prop_assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{} {}", found, expected);
            }
        }

        #[test]
        fn z_and_lift_do_not_depend_on_the_scale_and_contrast_goes_with_it(
            seed: u64, factor in 0.01..1.0_f32, x in 0.0..40.0_f64, y in 0.0..30.0_f64, side in 1.0..20.0_f64,
        ) {
            let map = random_map(seed);
            let scaled: Vec<f32> = map.iter().map(|value| value * factor).collect();
            let extent = Extent::new(x, y, x + side, y + side);
            let [a, b] = [&map, &scaled].map(|map| numbers(&placed(40, 30, map).score(&extent)));
            prop_assert!((a[0] * f64::from(factor) - b[0]).abs() < 1e-6);
            for number in [1, 2] {
                prop_assert!((a[number] - b[number]).abs() < 1e-4 * (1.0 + a[number].abs()), "{:?} {:?}", a, b);
            }
        }

        #[test]
        fn a_constant_map_has_no_contrast_no_z_and_a_lift_of_one(
            value in 0.001..1.0_f32, x in -9.0..39.0_f64, y in -9.0..29.0_f64, side in 10.0..50.0_f64,
        ) {
            let extent = Extent::new(4.0 * x, 4.0 * y, 4.0 * (x + side), 4.0 * (y + side));
            let score = placed(160, 120, &vec![value; MAP.area()]).score(&extent);
            let is_as_expected = score.contrast.abs() < 1e-6 && score.z == 0.0 && (score.lift - 1.0).abs() < 1e-5;
            prop_assert!(is_as_expected, "{:?}", score);
        }
    }

    #[test]
    fn by_a_map_of_zeros_and_beside_the_picture_all_scores_are_zero() {
        let box_inside = Extent::new(3.0, 4.0, 20.0, 25.0);
        assert_eq!(placed(40, 30, &[0.0; 99]).score(&box_inside), BoxScore::default());
        assert_eq!(
            placed(40, 15, &random_map(1)).score(&Extent::new(0.0, -9.0, 40.0, -1.0)),
            BoxScore::default()
        );
    }

    #[test]
    fn the_whole_picture_has_nothing_around_it_and_nowhere_else_to_be() {
        let score = placed(40, 30, &random_map(2)).score(&Extent::new(-5.0, -5.0, 99.0, 99.0));
        assert_eq!((score.contrast, score.z, score.mass, score.lift), (0.0, 0.0, 1.0, 1.0));
    }
}
