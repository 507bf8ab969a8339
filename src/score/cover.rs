//! Which pixels of a picture lie in no region: its background.

use super::rectangle::Rectangle;
use super::{BoxArea, BoxScore};
use crate::image::{Extent, Letterbox, Mask, Size};
use std::ops::Range;

/// The pixels of a picture's content on the canvas that lie in regions: in their masks where they
/// have one, else in their boxes. Made once for all maps.
#[derive(Debug, Clone)]
pub struct RegionCover {
    content: Size,
    /// Row by row.
    covered: Vec<bool>,
    /// Pixels in no region.
    free: usize,
}

impl RegionCover {
    /// Of regions in pixels of the picture. A pixel of the canvas is in a mask when its middle is.
    pub fn new<'a>(
        letterbox: Letterbox,
        regions: impl Iterator<Item = (&'a Extent, Option<&'a Mask>)>,
    ) -> Self {
        let Letterbox { original, content, .. } = letterbox;
        let width = content.width as usize;
        let mut covered = vec![false; content.area()];
        let mut of_picture: Option<[Vec<usize>; 2]> = None;
        for (extent, mask) in regions {
            let mut fill = |rows: Range<usize>, columns: Range<usize>| {
                for row in rows {
                    covered[row * width..][columns.clone()].fill(true);
                }
            };
            let Some(mask) = mask else {
                let inside = Rectangle::new(letterbox, BoxArea::Picture, extent);
                fill(inside.rows.clone(), inside.columns.clone());
                continue;
            };
            let [across, down] = of_picture.get_or_insert_with(|| {
                [edges(original.width, content.width), edges(original.height, content.height)]
            });
            for span in mask.spans() {
                let (column, rows) = (span.column as usize, &span.rows);
                fill(
                    down[rows.start as usize]..down[rows.end as usize],
                    across[column]..across[column + 1],
                );
            }
        }
        let free = covered.iter().filter(|covered| !**covered).count();
        Self { content, covered, free }
    }

    /// Row by row whether a pixel lies in a region.
    pub(super) fn covered(&self) -> &[bool] {
        &self.covered
    }

    /// The background's score from the sum and the maximum over its pixels, the sum over those in
    /// regions, and the sum of the whole map. The contrast is to the mean inside regions, 0 where
    /// there are none; z is 0, since a background has no other place to be. Of a picture without
    /// background all is 0.
    pub(super) fn score(&self, sum: f64, max: f32, inside: f64, total: f64) -> BoxScore {
        let (area, free) = (self.content.area() as f64, self.free as f64);
        if self.free == 0 {
            return BoxScore::default();
        }
        let mass = if total > 0.0 { sum / total } else { 0.0 };
        let contrast = if free < area { sum / free - inside / (area - free) } else { 0.0 };
        BoxScore {
            mean: (sum / free) as f32,
            max,
            mass: mass as f32,
            contrast: contrast as f32,
            z: 0.0,
            lift: (mass * area / free) as f32,
        }
    }

    /// [`Self::score`] of a map's values, row by row, with their sum. What lies in regions is added
    /// up by itself: as the difference of two sums a pixel or two would bear the rounding of all.
    pub(super) fn of_map(&self, values: &[f32], total: f64) -> BoxScore {
        let (mut sum, mut inside, mut max) = (0.0, 0.0, f32::NEG_INFINITY);
        for (values, covered) in values.chunks(PIECE).zip(self.covered.chunks(PIECE)) {
            // Sixteen lanes, which the processor adds at once; a piece is short enough for sums in
            // single precision.
            let (mut free_sums, mut inside_sums) = ([0.0_f32; 16], [0.0_f32; 16]);
            let mut maxima = [f32::NEG_INFINITY; 16];
            for (values, covered) in values.chunks(16).zip(covered.chunks(16)) {
                for (lane, (&value, &covered)) in values.iter().zip(covered).enumerate() {
                    free_sums[lane] += if covered { 0.0 } else { value };
                    inside_sums[lane] += if covered { value } else { 0.0 };
                    maxima[lane] =
                        if covered || value <= maxima[lane] { maxima[lane] } else { value };
                }
            }
            sum += free_sums.into_iter().map(f64::from).sum::<f64>();
            inside += inside_sums.into_iter().map(f64::from).sum::<f64>();
            max = maxima.into_iter().fold(max, f32::max);
        }
        self.score(sum, max, inside, total)
    }
}

/// Where the pixels of a side of the picture begin, in whole pixels of its content on the canvas:
/// at the first pixel whose middle is not before. In whole numbers, since a middle may lie on the
/// edge of a pixel.
fn edges(original: u32, content: u32) -> Vec<usize> {
    let (original, content) = (original as usize, content as usize);
    let edge = |pixel: usize| {
        (2 * pixel * content).saturating_sub(original).div_ceil(2 * original).min(content)
    };
    (0..=original).map(edge).collect()
}

/// Pixels that are summed in single precision.
const PIECE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Fit;
    use crate::random::Random;
    use crate::score::Scorer;
    use proptest::prelude::*;

    #[test]
    fn a_middle_on_an_edge_lies_behind_it() {
        for (original, content) in [(42, 27), (3, 1), (1, 5), (7, 7), (90, 40)] {
            let middle = |at: u32| (2 * at + 1) * original / (2 * content);
            let expected: Vec<usize> = (0..=original)
                .map(|pixel| (0..content).filter(|&at| middle(at) < pixel).count())
                .collect();
            assert_eq!(edges(original, content), expected, "{original} on {content}");
        }
    }

    #[test]
    fn one_pixel_in_a_region_bears_no_rounding_of_the_others() {
        let size = Size::new(640, 480);
        let mut random = Random::new(3, 0);
        let values: Vec<f32> = (0..size.area()).map(|_| random.uniform(0.0, 1.0) as f32).collect();
        let total: f64 = values.iter().copied().map(f64::from).sum();
        for (column, row) in [(0_u16, 0_u16), (319, 200), (639, 479)] {
            let [left, top] = [column, row].map(f64::from);
            let pixel = Extent::new(left, top, left + 1.0, top + 1.0);
            let cover = RegionCover::new(Letterbox::fit(size, size), [(&pixel, None)].into_iter());
            let inside = f64::from(values[usize::from(row) * 640 + usize::from(column)]);
            let expected = (total - inside) / (size.area() - 1) as f64 - inside;
            let found = f64::from(cover.of_map(&values, total).contrast);
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Against every pixel of the canvas by itself.
        #[test]
        fn the_background_is_what_no_region_has(
            width in 4..90_u32, height in 4..90_u32, seed: u64,
            boxes in prop::collection::vec((-0.3..1.0_f64, -0.3..1.0_f64, 0.0..0.8_f64, 0.0..0.8_f64, 0..2_u8), 0..5),
        ) {
            let original = Size::new(width, height);
            let letterbox = Letterbox::fit(original, Size::new(40, 30));
            let mut random = Random::new(seed, 0);
            let map: Vec<f32> = (0..99).map(|_| random.uniform(0.0, 1.0) as f32).collect();
            let placement = Fit::squash(Size::new(9, 11)).placement(original);
            let placed = Scorer::new(&placement, Size::new(9, 11), letterbox, BoxArea::Canvas).place(&map);
            let bits: Vec<bool> = (0..original.area()).map(|_| random.uniform(0.0, 1.0) < 0.4).collect();
            let mask = Mask::from_bits(original, &bits).unwrap();
            let extents: Vec<Extent> = boxes.iter().map(|&(x, y, w, h, _)| {
                let [across, down] = [width, height].map(f64::from);
                Extent::new(x * across, y * down, (x + w) * across, (y + h) * down)
            }).collect();
            let masks: Vec<Option<&Mask>> = boxes.iter().map(|region| (region.4 == 1).then_some(&mask)).collect();
            let cover = RegionCover::new(letterbox, extents.iter().zip(masks.iter().copied()));
            let Size { width: columns, height: rows } = letterbox.content;
            let middle = |at: u32, original: u32, side: u32| {
                ((f64::from(at) + 0.5) * f64::from(original) / f64::from(side)) as usize
            };
            let (mut free, mut inside) = (Vec::new(), Vec::new());
            for (at, &value) in placed.values().iter().enumerate() {
                let (row, column) = (at as u32 / columns, at as u32 % columns);
                let in_mask = bits[middle(row, height, rows) * width as usize + middle(column, width, columns)];
                let in_box = |extent: &Extent| {
                    let inside = Rectangle::new(letterbox, BoxArea::Canvas, extent);
                    inside.rows.contains(&(row as usize)) && inside.columns.contains(&(column as usize))
                };
                let covered = extents.iter().zip(&masks)
                    .any(|(extent, mask)| if mask.is_some() { in_mask } else { in_box(extent) });
                if covered { &mut inside } else { &mut free }.push(f64::from(value));
            }
            let found = placed.scores(&[], &cover).background;
            if free.is_empty() {
                prop_assert_eq!(found, BoxScore::default());
                return Ok(());
            }
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let all = free.iter().chain(&inside).sum::<f64>();
            let mass = free.iter().sum::<f64>() / all;
            let contrast = if inside.is_empty() { 0.0 } else { mean(&free) - mean(&inside) };
            let lift = mass * (free.len() + inside.len()) as f64 / free.len() as f64;
            let max = free.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let expected = [mean(&free), max, mass, contrast, 0.0, lift];
            for (found, expected) in <[f32; 6]>::from(found).into_iter().zip(expected) {
                prop_assert!((f64::from(found) - expected).abs() < 1e-5, "{} {}", found, expected);
            }
        }
    }
}
