//! Fitting an image into a network's canvas without changing its shape, and mapping boxes there and
//! back.
//!
//! The scale is canvas / original of the tighter axis, in f64. How the content's sides become whole
//! pixels is a [`LetterboxRule`]; unless something else is said, it is Lightnet's (its `Letterbox`
//! transform, which the published pipeline uses). The padding on the left and top is
//! `int((canvas - content) / 2)` under either rule. Pixels are `u8` RGB, boxes are in pixels of the
//! original image or of the canvas, as each function says.

use super::resample::{Filter, resize, resize_linear};
use super::{BoundingBox, Extent, Rgb8, Size};
use serde::{Deserialize, Serialize};

/// How [`Letterbox::apply`] resizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterboxFilter {
    /// Pillow's antialiased bicubic: the paper's preset.
    Bicubic,
    /// Pillow's antialiased bilinear.
    Bilinear,
    /// Darknet's own `resize_image`: bilinear between the four neighbours with the corners' centres
    /// aligned, no antialiasing. Darknet goes on with the real values; here they are rounded to
    /// `u8`, which moves a network input in `[0, 1]` by at most 0.5 / 255 = 0.002.
    Darknet,
    /// OpenCV's `INTER_LINEAR`: bilinear between the four neighbours of the pixels' centres, no
    /// antialiasing. What Ultralytics' networks are trained and run with.
    OpenCv,
}

/// How the sides of the resized image are rounded to whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterboxRule {
    /// `int(side * scale)`: a side may come out one pixel short of the canvas. The published
    /// pipeline.
    #[default]
    Lightnet,
    /// `round(side * scale)`, halves to the even number: Ultralytics' `LetterBox`. Its padding,
    /// `round(difference / 2 - 0.1)` on the left and top, is the same number as Lightnet's.
    Ultralytics,
}

/// Where an image lies in a canvas: `content` at (`left`, `top`), padding around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letterbox {
    /// The image as it was.
    pub original: Size,
    /// The network's input.
    pub canvas: Size,
    /// The image as it is on the canvas.
    pub content: Size,
    /// Columns of padding to the left of the content; to the right there may be one more.
    pub left: u32,
    /// Rows of padding above the content; below there may be one more.
    pub top: u32,
}

/// The canvas on which a network takes pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// The whole input.
    pub size: Size,
    /// `Some`: only as much of the input as a picture's content needs, each side rounded up to a
    /// multiple of this, which is the network's stride. `None`: always the whole input, with bars.
    pub stride: Option<u32>,
    /// How the sides of a picture's content are rounded.
    pub rule: LetterboxRule,
}

impl From<Size> for Canvas {
    fn from(size: Size) -> Self {
        Self { size, stride: None, rule: LetterboxRule::default() }
    }
}

impl Canvas {
    /// Where an image of the size `original` lies on its canvas. Its content has the same size on
    /// either kind.
    ///
    /// # Panics
    /// As [`Letterbox::fit`].
    pub fn letterbox(self, original: Size) -> Letterbox {
        let whole = Letterbox::fit_by(self.rule, original, self.size);
        let Some(stride) = self.stride else { return whole };
        let side = |content: u32, most: u32| content.next_multiple_of(stride).min(most);
        let canvas = Size::new(
            side(whole.content.width, self.size.width),
            side(whole.content.height, self.size.height),
        );
        whole.centred_in(canvas)
    }
}

impl Letterbox {
    /// Fits an image of the size `original` into `canvas`, with Lightnet's rule.
    ///
    /// # Panics
    /// If either size has no area.
    pub fn fit(original: Size, canvas: Size) -> Self {
        Self::fit_by(LetterboxRule::Lightnet, original, canvas)
    }

    /// Fits an image of the size `original` into `canvas`. A side that would vanish has 1 pixel
    /// (Lightnet fails there).
    ///
    /// # Panics
    /// If either size has no area.
    pub fn fit_by(rule: LetterboxRule, original: Size, canvas: Size) -> Self {
        assert!(
            original.area() > 0 && canvas.area() > 0,
            "an image of {original} does not fit into {canvas}"
        );
        let [width, height] = [original.width, original.height].map(f64::from);
        let [canvas_width, canvas_height] = [canvas.width, canvas.height].map(f64::from);
        let scale = if width / canvas_width >= height / canvas_height {
            canvas_width / width
        } else {
            canvas_height / height
        };
        let whole = |side: f64| match rule {
            // The cast truncates like int(); the products can be a hair below a whole number, and
            // are then one less.
            LetterboxRule::Lightnet => side as u32,
            LetterboxRule::Ultralytics => side.round_ties_even() as u32,
        };
        let content = Size::new(
            whole(scale * width).clamp(1, canvas.width),
            whole(scale * height).clamp(1, canvas.height),
        );
        Self { original, canvas, content, left: 0, top: 0 }.centred_in(canvas)
    }

    /// The same content in the middle of another canvas.
    fn centred_in(self, canvas: Size) -> Self {
        let content = self.content;
        let [left, top] =
            [(canvas.width - content.width) / 2, (canvas.height - content.height) / 2];
        Self { canvas, left, top, ..self }
    }

    /// A box from canvas pixels to pixels of the original image; not clipped.
    pub fn to_original(&self, on_canvas: &BoundingBox) -> Extent {
        let (x, y) = (1.0 / self.scale_x(), 1.0 / self.scale_y());
        let (left, top) = (f64::from(self.left), f64::from(self.top));
        let map = |edge: f32, start, scale| (f64::from(edge) - start) * scale;
        Extent::new(
            map(on_canvas.x_min, left, x),
            map(on_canvas.y_min, top, y),
            map(on_canvas.x_max, left, x),
            map(on_canvas.y_max, top, y),
        )
    }

    /// A box from pixels of the original image to canvas pixels; not clipped. Of
    /// [`Letterbox::to_original`] it gives back what was put in, to the last bit.
    pub fn to_canvas(&self, on_original: &Extent) -> BoundingBox {
        let (x, y) = (self.scale_x(), self.scale_y());
        let (left, top) = (f64::from(self.left), f64::from(self.top));
        let map = |edge: f64, start, scale| (edge * scale + start) as f32;
        BoundingBox::new(
            map(on_original.x_min, left, x),
            map(on_original.y_min, top, y),
            map(on_original.x_max, left, x),
            map(on_original.y_max, top, y),
        )
    }

    /// The canvas: `image` resized to `content`, every other byte `fill`. `image` has the size this
    /// letterbox was fitted for, or is that image reduced.
    ///
    /// # Panics
    /// If `image` is larger than this letterbox was fitted for.
    pub fn apply(&self, image: &Rgb8, filter: LetterboxFilter, fill: u8) -> Rgb8 {
        let Size { width, height } = image.size();
        let fits = width <= self.original.width && height <= self.original.height;
        assert!(
            fits,
            "the letterbox was fitted for {}, the image is {width}x{height}",
            self.original
        );
        let content = match filter {
            LetterboxFilter::Bicubic => resize(image, self.content, Filter::Bicubic),
            LetterboxFilter::Bilinear => resize(image, self.content, Filter::Bilinear),
            LetterboxFilter::Darknet => corner_aligned(image, self.content),
            LetterboxFilter::OpenCv => resize_linear(image, self.content),
        };
        let mut canvas = Rgb8::filled(self.canvas, [fill; 3]);
        let canvas_row = 3 * self.canvas.width as usize;
        let content_row = 3 * self.content.width as usize;
        let below = self.top as usize * canvas_row;
        let rows = canvas.data_mut()[below..].chunks_exact_mut(canvas_row);
        for (to, from) in rows.zip(content.data().chunks_exact(content_row)) {
            let left = 3 * self.left as usize;
            to[left..left + content_row].copy_from_slice(from);
        }
        canvas
    }

    /// Canvas pixels per original pixel, horizontally.
    fn scale_x(&self) -> f64 {
        f64::from(self.content.width) / f64::from(self.original.width)
    }

    /// Canvas pixels per original pixel, vertically.
    fn scale_y(&self) -> f64 {
        f64::from(self.content.height) / f64::from(self.original.height)
    }
}

/// Darknet's `resize_image` (`src/image.c`), in f32 as there, rounded to `u8` once at the end.
fn corner_aligned(image: &Rgb8, to: Size) -> Rgb8 {
    let original = image.size();
    if original == to {
        return image.clone();
    }
    let columns = neighbours(original.width, to.width);
    let source_row = 3 * original.width as usize;
    let mut data = Vec::with_capacity(3 * to.area());
    for (top, bottom, down) in neighbours(original.height, to.height) {
        let [top, bottom] = [top, bottom].map(|y| &image.data()[y * source_row..][..source_row]);
        for &(left, right, across) in &columns {
            for channel in 0..3 {
                let between = |row: &[u8]| {
                    let [left, right] = [left, right].map(|x| f32::from(row[3 * x + channel]));
                    (1.0 - across) * left + across * right
                };
                let value = (1.0 - down) * between(top) + down * between(bottom);
                data.push((value + 0.5) as u8);
            }
        }
    }
    Rgb8::new(to, data)
}

/// Per output of one axis: the input before it, the one after, and how far between them it lies, in
/// `[0, 1)`. The last output is the last input, as in Darknet, also where it is the only one.
fn neighbours(from: u32, to: u32) -> Vec<(usize, usize, f32)> {
    let last = from as usize - 1;
    let scale = last as f32 / (to as f32 - 1.0);
    (0..to)
        .map(|output| {
            if output + 1 == to || last == 0 {
                return (last, last, 0.0);
            }
            let centre = output as f32 * scale;
            let before = (centre as usize).min(last);
            (before, (before + 1).min(last), centre - before as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_landscape_photo_in_a_square_canvas() {
        let fitted = Letterbox::fit(Size::new(768, 576), Size::new(608, 608));
        assert_eq!(fitted.content, Size::new(608, 456));
        assert_eq!((fitted.left, fitted.top), (0, 76));
    }

    #[test]
    fn an_odd_remainder_goes_to_the_right() {
        let fitted = Letterbox::fit(Size::new(50, 100), Size::new(57, 20));
        assert_eq!(fitted.content, Size::new(10, 20));
        assert_eq!((fitted.left, fitted.top), (23, 0));
    }

    #[test]
    fn a_side_never_vanishes() {
        assert_eq!(
            Letterbox::fit(Size::new(5000, 1), Size::new(608, 320)).content,
            Size::new(608, 1)
        );
        assert_eq!(
            Letterbox::fit(Size::new(1, 5000), Size::new(608, 320)).content,
            Size::new(1, 320)
        );
    }

    #[test]
    fn a_canvas_with_a_stride_is_cut_down_to_whole_multiples() {
        let [whole, rect] =
            [None, Some(32)].map(|stride| Canvas { stride, ..Size::new(608, 608).into() });
        let photo = Size::new(3000, 2000);
        assert_eq!(whole.letterbox(photo), Letterbox::fit(photo, whole.size));
        let cut = rect.letterbox(photo);
        assert_eq!((cut.canvas, cut.content), (Size::new(608, 416), Size::new(608, 405)));
        assert_eq!((cut.left, cut.top), (0, 5));
        let upright = rect.letterbox(Size::new(480, 640));
        assert_eq!((upright.canvas, upright.left, upright.top), (Size::new(480, 608), 12, 0));
        assert_eq!(rect.letterbox(Size::new(5000, 1)).canvas, Size::new(608, 32));
        // A side that came out one short is rounded up again.
        assert_eq!(rect.letterbox(Size::new(1187, 1187)).canvas, whole.size);
    }

    #[test]
    fn sides_are_truncated_in_f64_as_in_python() {
        // CPython's int(608 / w * w); of the widths below 9000, 72 come out one short.
        for (width, expected) in [(262, 608), (263, 607), (1187, 607), (2345, 607), (4032, 608)] {
            let fitted = Letterbox::fit(Size::new(width, 3), Size::new(608, 608));
            assert_eq!(fitted.content.width, expected, "width {width}");
        }
    }

    #[test]
    fn under_ultralytics_rule_sides_are_rounded_to_the_nearest_and_halves_to_even() {
        // Python's round(w * min(320 / h, 416 / w)), likewise the height, and round(difference /
        // 2 - 0.1).
        for (original, content, corner) in [
            ((768, 576), (416, 312), (0, 4)),
            ((773, 512), (416, 276), (0, 22)),
            ((1187, 1187), (320, 320), (48, 0)),
            ((832, 5), (416, 2), (0, 159)),
            ((832, 7), (416, 4), (0, 158)),
            ((11, 640), (6, 320), (205, 0)),
            ((1000, 1), (416, 1), (0, 159)),
        ] {
            let canvas = Canvas { rule: LetterboxRule::Ultralytics, ..Size::new(416, 320).into() };
            let fitted = canvas.letterbox(Size::new(original.0, original.1));
            assert_eq!(fitted.content, Size::new(content.0, content.1), "{original:?}");
            assert_eq!((fitted.left, fitted.top), corner, "{original:?}");
        }
    }

    #[test]
    fn the_padding_has_the_fill_and_the_content_its_place() {
        let image = Rgb8::filled(Size::new(4, 2), [9, 8, 7]);
        let fitted = Letterbox::fit(image.size(), Size::new(9, 8));
        let canvas = fitted.apply(&image, LetterboxFilter::Bicubic, 127);
        assert_eq!(fitted.content, Size::new(9, 4));
        for y in 0..8 {
            let expected = if (2..6).contains(&y) { [9, 8, 7] } else { [127; 3] };
            assert!((0..9).all(|x| canvas.pixel(x, y) == expected), "row {y}");
        }
    }

    #[test]
    fn darknets_filter_keeps_the_corners_and_interpolates_between_them() {
        let image = Rgb8::new(Size::new(2, 2), vec![0, 0, 0, 100, 10, 0, 200, 20, 0, 44, 30, 0]);
        let resized = corner_aligned(&image, Size::new(5, 3));
        assert_eq!(resized.pixel(0, 0), [0, 0, 0]);
        assert_eq!(resized.pixel(4, 0), [100, 10, 0]);
        assert_eq!(resized.pixel(4, 2), [44, 30, 0]);
        assert_eq!(resized.pixel(1, 0), [25, 3, 0]);
        assert_eq!(resized.pixel(2, 1), [86, 15, 0]);
    }

    #[test]
    fn darknets_filter_survives_single_rows_and_columns() {
        let line = Rgb8::new(Size::new(3, 1), vec![1, 1, 1, 5, 5, 5, 9, 9, 9]);
        assert_eq!(corner_aligned(&line, Size::new(1, 2)).data(), [9; 6]);
        assert_eq!(corner_aligned(&line, Size::new(5, 1)).pixel(1, 0), [3; 3]);
    }

    proptest! {
        #[test]
        fn boxes_return_to_where_they_were(
            original in (1u32..5000, 1u32..4000), canvas in (32u32..700, 32u32..700),
            corner in (-20f32..3000.0, -20f32..3000.0), side in (0f32..900.0, 0f32..900.0),
        ) {
            let fitted = Letterbox::fit(Size::new(original.0, original.1), Size::new(canvas.0, canvas.1));
            let there = BoundingBox::new(corner.0, corner.1, corner.0 + side.0, corner.1 + side.1);
            let back = fitted.to_original(&fitted.to_canvas(&there.into()));
            for (a, b) in <[f64; 4]>::from(Extent::from(there)).into_iter().zip(<[f64; 4]>::from(back)) {
                // f32 on the canvas: one part in 10^7 of the canvas position, scaled back.
                prop_assert!((a - b).abs() <= 1e-3 * a.abs().max(10.0), "{there:?} came back as {back:?}");
            }
        }

        #[test]
        fn on_either_canvas_boxes_mean_the_same(
            original in (1u32..5000, 1u32..4000), at in (-20f32..700.0, -20f32..700.0),
        ) {
            let original = Size::new(original.0, original.1);
            let [whole, rect] =
                [None, Some(32)].map(|stride| Canvas { stride, ..Size::new(608, 320).into() }.letterbox(original));
            prop_assert_eq!(whole.content, rect.content);
            prop_assert!(rect.canvas.width % 32 == 0 && rect.canvas.width <= 608 && rect.canvas.height <= 320);
            prop_assert!(rect.canvas.width - rect.content.width < 32 && rect.canvas.height - rect.content.height < 32);
            let shift = (whole.left as f32 - rect.left as f32, whole.top as f32 - rect.top as f32);
            let there = BoundingBox::new(at.0, at.1, at.0 + 9.0, at.1 + 5.0);
            let moved = BoundingBox::new(at.0 - shift.0, at.1 - shift.1, at.0 + 9.0 - shift.0, at.1 + 5.0 - shift.1);
            let pair = [whole.to_original(&there), rect.to_original(&moved)].map(<[f64; 4]>::from);
            for (a, b) in pair[0].into_iter().zip(pair[1]) {
                // f32 on the canvas: 700 +- 6e-5, scaled back by up to 5000.
                prop_assert!((a - b).abs() <= 1e-3 * a.abs().max(400.0), "{} and {}", a, b);
            }
        }

        #[test]
        fn the_whole_image_covers_the_content(original in (1u32..5000, 1u32..4000), canvas in (1u32..700, 1u32..700)) {
            let (original, canvas) = (Size::new(original.0, original.1), Size::new(canvas.0, canvas.1));
            let fitted = Letterbox::fit(original, canvas);
            let [width, height] = [original.width, original.height].map(|side| side as f32);
            let whole = fitted.to_canvas(&BoundingBox::new(0.0, 0.0, width, height).into());
            let (left, top) = (fitted.left as f32, fitted.top as f32);
            let (right, bottom) = (left + fitted.content.width as f32, top + fitted.content.height as f32);
            prop_assert_eq!(whole, BoundingBox::new(left, top, right, bottom));
            prop_assert!(right <= canvas.width as f32 && bottom <= canvas.height as f32);
            prop_assert!(fitted.content.width + 1 >= canvas.width || fitted.content.height + 1 >= canvas.height);
        }
    }
}
