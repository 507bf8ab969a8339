//! Bringing a picture to the input of a network that classifies it, and where the input then lies
//! on the picture.
//!
//! In: a picture and a [`Fit`], as the network's card states it. Out: pixels of the input's size,
//! and a [`Placement`], from which maps of the input's size find their way back to the picture.
//! Resizing is Pillow's (the module `resample`).

use super::resample::{Filter, KeptResize, resize};
use super::{Rgb8, Size};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How a picture of any shape becomes an input of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// The whole picture, its sides stretched to those of the input.
    #[default]
    Squash,
    /// The middle of the picture in its own shape; what reaches beyond the input is not seen.
    CenterCrop,
    /// The whole picture in its own shape, with black bars.
    Letterbox,
}

/// The rule by which pictures are brought to a network's input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// What happens to the shape.
    pub resize: Resize,
    /// For [`Resize::CenterCrop`]: the share of the resized picture that is kept along the tighter
    /// side, in (0, 1].
    pub crop: f64,
    /// How pixels are resampled.
    pub filter: Filter,
    /// Size of the input.
    pub input: Size,
}

/// The most cells along a side of a map over a whole picture.
const FINEST: u32 = 2048;

/// Where a picture of one size lies in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Size of the picture.
    pub original: Size,
    /// Size of the whole picture when it is resized.
    pub resized: Size,
    /// Columns of the resized picture that are in the input.
    pub columns: Range<u32>,
    /// Rows of the resized picture that are in the input.
    pub rows: Range<u32>,
    /// Columns of the input before the first of them, black.
    pub left: u32,
    /// Rows of the input above the first of them, black.
    pub top: u32,
    /// Size of the input.
    pub input: Size,
}

/// What one side of the input covers of the same side of the picture, in its pixels; it may reach
/// beyond the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cover {
    /// Where the input begins.
    pub start: f64,
    /// How much of the picture it is as long as.
    pub length: f64,
}

impl Fit {
    /// The rule of the paper's pipeline: squashed by Pillow's bicubic filter.
    pub fn squash(input: Size) -> Self {
        Self { resize: Resize::Squash, crop: 1.0, filter: Filter::Bicubic, input }
    }

    /// Where a picture of the size `original` lies in the input.
    ///
    /// * Squash: all of it.
    /// * Center crop: resized so that the input, divided by the share kept (rounded down), is just
    ///   covered, the other side rounded down; then the middle, `(resized - input) / 2` columns and
    ///   rows left away before it, halves to the even number: torchvision's `Resize` and
    ///   `CenterCrop`, and timm's.
    /// * Letterbox: resized so that it just fits (each side rounded down, at least 1),
    ///   `(input - resized) / 2` columns and rows of black before it.
    ///
    /// # Panics
    /// If `original` has no pixels.
    pub fn placement(&self, original: Size) -> Placement {
        assert!(original.area() > 0, "a picture of {original} has no pixels");
        let input = self.input;
        let whole = |resized: Size| Placement {
            original,
            resized,
            columns: 0..resized.width,
            rows: 0..resized.height,
            left: 0,
            top: 0,
            input,
        };
        match self.resize {
            Resize::Squash => whole(input),
            Resize::CenterCrop => {
                let resized = covering(original, input, self.crop);
                let (left, top) =
                    (before(resized.width, input.width), before(resized.height, input.height));
                let (columns, rows) = (left..left + input.width, top..top + input.height);
                Placement { columns, rows, ..whole(resized) }
            }
            Resize::Letterbox => {
                let [width, height] = [original.width, original.height].map(f64::from);
                let [columns, rows] = [input.width, input.height].map(f64::from);
                let scale = (columns / width).min(rows / height);
                let side = |side: f64, most: u32| ((side * scale) as u32).clamp(1, most);
                let resized = Size::new(side(width, input.width), side(height, input.height));
                let (left, top) =
                    ((input.width - resized.width) / 2, (input.height - resized.height) / 2);
                Placement { left, top, ..whole(resized) }
            }
        }
    }

    /// The input's pixels for `pixels`, a picture whose own size is `original` and which may have
    /// been decoded at a fraction of it.
    ///
    /// # Panics
    /// If either size has no pixels.
    pub fn apply(&self, pixels: &Rgb8, original: Size) -> Rgb8 {
        let placement = self.placement(original);
        if placement.is_whole() {
            return placement.frame(resize(pixels, placement.resized, self.filter));
        }
        let Placement { resized, columns, rows, .. } = placement.clone();
        placement.frame(
            KeptResize::part(pixels.clone(), resized, columns, rows, self.filter).into_result(),
        )
    }
}

/// The size of a picture that just covers `input` divided by `crop`, in its own shape.
fn covering(original: Size, input: Size, crop: f64) -> Size {
    // A share as 224 / 232 is a rounded number, and the quotient should be 232 again.
    let target = |side: u32| ((f64::from(side) / crop + 1e-6) as u64).max(side.into());
    let [width, height] = [original.width, original.height].map(u64::from);
    let (columns, rows) = (target(input.width), target(input.height));
    let side = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
    match columns * height >= rows * width {
        true => Size::new(side(columns), side(columns * height / width)),
        false => Size::new(side(rows * width / height), side(rows)),
    }
}

/// What is left away before the middle: half of the difference, halves to the even number.
fn before(resized: u32, input: u32) -> u32 {
    let half = (resized - input) / 2;
    half + u32::from((resized - input) % 2 == 1 && half % 2 == 1)
}

impl Placement {
    /// Whether all of the picture is in the input.
    fn is_whole(&self) -> bool {
        self.columns == (0..self.resized.width) && self.rows == (0..self.resized.height)
    }

    /// The input: `part`, which are the columns and rows of the resized picture that are in it,
    /// with black around it.
    ///
    /// # Panics
    /// If `part` has another size.
    pub fn frame(&self, part: Rgb8) -> Rgb8 {
        let size = Size::new(self.columns.len() as u32, self.rows.len() as u32);
        assert_eq!(part.size(), size, "the part of the resized picture that is in the input");
        if size == self.input {
            return part;
        }
        let mut framed = Rgb8::filled(self.input, [0; 3]);
        framed.put(self.left as usize, self.top as usize, &part);
        framed
    }

    /// A map over the input, row by row, as one over the whole picture, about as fine: 0 where the
    /// input does not cover the picture.
    pub fn over_picture(&self, map: &[f32], size: Size) -> (Size, Vec<f32>) {
        if self.is_whole() && self.resized == self.input {
            return (size, map.to_vec());
        }
        let side = |cells: u32, resized: u32, input: u32| {
            let finer = f64::from(cells) * f64::from(resized) / f64::from(input);
            (finer.round() as u32).clamp(1, FINEST)
        };
        let picture = Size::new(
            side(size.width, self.resized.width, self.input.width),
            side(size.height, self.resized.height, self.input.height),
        );
        let place = |cell: u32, cells: u32, original: u32| {
            (f64::from(cell) + 0.5) * f64::from(original) / f64::from(cells)
        };
        let (across, down) = (self.across(), self.down());
        let columns: Vec<(usize, [f64; 2])> = (0..picture.width)
            .map(|cell| {
                across.bilinear(place(cell, picture.width, self.original.width), size.width)
            })
            .collect();
        let mut values = Vec::with_capacity(picture.area());
        for row in 0..picture.height {
            let (y, down) =
                down.bilinear(place(row, picture.height, self.original.height), size.height);
            for (x, across) in &columns {
                let mut value = 0.0;
                for (i, v) in down.iter().enumerate().filter(|(_, v)| **v > 0.0) {
                    for (j, h) in across.iter().enumerate().filter(|(_, h)| **h > 0.0) {
                        value += v * h * f64::from(map[(y + i) * size.width as usize + x + j]);
                    }
                }
                values.push(value as f32);
            }
        }
        (picture, values)
    }

    /// What the input's width covers of the picture's.
    pub fn across(&self) -> Cover {
        Cover::new(
            self.original.width,
            self.resized.width,
            self.columns.start,
            self.left,
            self.input.width,
        )
    }

    /// What the input's height covers of the picture's.
    pub fn down(&self) -> Cover {
        Cover::new(
            self.original.height,
            self.resized.height,
            self.rows.start,
            self.top,
            self.input.height,
        )
    }
}

impl Cover {
    fn new(original: u32, resized: u32, skipped: u32, before: u32, input: u32) -> Self {
        let scaled = |pixels: f64| f64::from(original) * pixels / f64::from(resized);
        Self {
            start: scaled(f64::from(skipped) - f64::from(before)),
            length: scaled(f64::from(input)),
        }
    }

    /// Bilinear interpolation in a line of `cells` equal cells over the input at the point `place`
    /// of the picture: the first of two neighbouring cells, and the weights of it and the next;
    /// half-pixel centres, the border repeated. Where the input does not cover the picture both
    /// weights are 0.
    pub fn bilinear(&self, place: f64, cells: u32) -> (usize, [f64; 2]) {
        let last = f64::from(cells - 1);
        let Some(cell) = self.cell(place, cells) else {
            return (if place < self.start { 0 } else { cells as usize - 1 }, [0.0, 0.0]);
        };
        let x = cell - 0.5;
        let low = x.floor().clamp(0.0, last);
        let fraction = (x - low).clamp(0.0, 1.0);
        if low as u32 + 1 >= cells {
            (low as usize, [1.0, 0.0])
        } else {
            (low as usize, [1.0 - fraction, fraction])
        }
    }

    /// Where in a line of `cells` equal cells over the input the point `place` of the picture lies,
    /// in cells; `None` where the input does not cover it.
    pub fn cell(&self, place: f64, cells: u32) -> Option<f64> {
        let inside = self.start <= place && place < self.start + self.length;
        inside.then(|| (place - self.start) * f64::from(cells) / self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fit(resize: Resize, crop: f64, width: u32, height: u32) -> Fit {
        Fit { resize, crop, filter: Filter::Bilinear, input: Size::new(width, height) }
    }

    #[test]
    fn placements_by_hand() {
        let photo = Size::new(400, 200);
        let squashed = fit(Resize::Squash, 1.0, 100, 80).placement(photo);
        assert_eq!((squashed.across(), squashed.down()), (cover(0.0, 400.0), cover(0.0, 200.0)));
        // 80 rows divided by 0.8 are 100: half size, 200 x 100, of which 100 x 80 are kept.
        let cropped = fit(Resize::CenterCrop, 0.8, 100, 80).placement(photo);
        assert_eq!(
            (cropped.resized, &cropped.columns, &cropped.rows),
            (Size::new(200, 100), &(50..150), &(10..90))
        );
        assert_eq!((cropped.across(), cropped.down()), (cover(100.0, 200.0), cover(20.0, 160.0)));
        // A quarter, 100 x 50, with 15 rows of black above it, which are 60 of the photo's.
        let boxed = fit(Resize::Letterbox, 1.0, 100, 80).placement(photo);
        assert_eq!((boxed.resized, boxed.left, boxed.top), (Size::new(100, 50), 0, 15));
        assert_eq!((boxed.across(), boxed.down()), (cover(0.0, 400.0), cover(-60.0, 320.0)));
        assert_eq!((boxed.down().cell(-61.0, 80), boxed.down().cell(0.0, 80)), (None, Some(15.0)));
    }

    /// scripts/reference/torchvision_crop.py
    #[test]
    fn center_crops_lie_where_torchvision_cuts() {
        let cases: Vec<[u32; 8]> =
            serde_json::from_str(include_str!("../../tests/reference/torchvision_crop.json"))
                .unwrap();
        assert!(cases.len() > 200);
        for [width, height, short, input, resized_width, resized_height, left, top] in cases {
            let fit = fit(Resize::CenterCrop, f64::from(input) / f64::from(short), input, input);
            let found = fit.placement(Size::new(width, height));
            assert_eq!(
                found.resized,
                Size::new(resized_width, resized_height),
                "{width} x {height}, {short}, {input}"
            );
            assert_eq!(
                (found.columns.start, found.rows.start),
                (left, top),
                "{width} x {height}, {short}, {input}"
            );
        }
    }

    fn cover(start: f64, length: f64) -> Cover {
        Cover { start, length }
    }

    proptest! {
        #[test]
        fn every_input_has_its_size_and_every_placement_lies_inside(
            width in 1_u32..300, height in 1_u32..300, kind in 0..3_usize, crop in 0.1..1.0_f64,
        ) {
            let resize = [Resize::Squash, Resize::CenterCrop, Resize::Letterbox][kind];
            let fit = fit(resize, crop, 23, 17);
            let photo = Rgb8::filled(Size::new(width, height), [200, 100, 50]);
            let input = fit.apply(&photo, photo.size());
            prop_assert_eq!(input.size(), Size::new(23, 17));
            let placement = fit.placement(photo.size());
            let Placement { resized, columns, rows, .. } = &placement;
            prop_assert!(columns.end <= resized.width && rows.end <= resized.height);
            // Where there is no black, there is the picture.
            if resize != Resize::Letterbox {
                prop_assert!(input.data().chunks_exact(3).all(|pixel| pixel == [200, 100, 50]));
            }
        }

        /// A picture of one pixel's height does not become one of a million columns.
        #[test]
        fn extreme_shapes_cost_the_input_alone(long in 10_000_u32..60_000) {
            let fit = fit(Resize::CenterCrop, 1.0, 64, 48);
            let photo = Rgb8::filled(Size::new(long, 1), [9; 3]);
            prop_assert_eq!(fit.apply(&photo, photo.size()), Rgb8::filled(Size::new(64, 48), [9; 3]));
        }
    }
}
