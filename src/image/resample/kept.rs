//! A resize that keeps its intermediate, so that the image with a patch in it is resized by its
//! footprint alone.
//!
//! The rows are resized first and rounded to `u8`, then the columns. A patch changes, of the first
//! pass, its own rows in the outputs whose taps reach its columns; of the second, those outputs
//! whose taps reach these rows. Everything else is what it was, byte for byte, and the changed part
//! is computed by the same kernels from the same numbers.

use super::{Filter, FixedTaps, Kernel, taps_of};
use crate::image::{Rgb8, Size};
use std::ops::Range;

/// An image, the same with its rows resized, and the same with both sides resized.
#[derive(Debug)]
pub struct KeptResize {
    image: Rgb8,
    /// As wide as the result, as high as the image.
    across: Rgb8,
    result: Rgb8,
    columns: FixedTaps,
    rows: FixedTaps,
}

impl KeptResize {
    /// [`super::resize`], with its intermediate kept. A side that does not change is resized by
    /// taps with one weight of 1.
    ///
    /// # Panics
    /// If `image` or `to` has no pixels.
    pub fn new(image: Rgb8, to: Size, filter: Filter) -> Self {
        Self::part(image, to, 0..to.width, 0..to.height, filter)
    }

    /// These columns and rows of the image resized to `to`, and nothing else of it.
    ///
    /// # Panics
    /// If `image` or the part has no pixels, or the part reaches beyond `to`.
    pub fn part(
        image: Rgb8,
        to: Size,
        columns: Range<u32>,
        rows: Range<u32>,
        filter: Filter,
    ) -> Self {
        assert!(
            columns.end <= to.width && rows.end <= to.height,
            "a part of the resized image lies inside it"
        );
        let original = image.size();
        let kernel = Kernel::detect();
        let size = Size::new(columns.len() as u32, rows.len() as u32);
        let columns = FixedTaps::new(&taps_of(original.width, to.width, columns, filter));
        let rows = FixedTaps::new(&taps_of(original.height, to.height, rows, filter));
        let mut across = Rgb8::filled(Size::new(size.width, original.height), [0; 3]);
        kernel.rows(image.data(), original.width as usize, &columns, across.data_mut());
        let mut result = Rgb8::filled(size, [0; 3]);
        kernel.columns(across.data(), 3 * size.width as usize, &rows, result.data_mut());
        Self { image, across, result, columns, rows }
    }

    /// The result alone.
    pub fn into_result(self) -> Rgb8 {
        self.result
    }

    /// The image at its own size.
    pub fn image(&self) -> &Rgb8 {
        &self.image
    }

    /// The image resized.
    pub fn result(&self) -> &Rgb8 {
        &self.result
    }

    /// The image with `patch` over it from the column `left` and the row `top` on, resized: the
    /// same bytes as by [`super::resize`].
    ///
    /// # Panics
    /// When the patch reaches beyond the image.
    pub fn with(&self, left: usize, top: usize, patch: &Rgb8) -> Rgb8 {
        let size = patch.size();
        let (right, bottom) = (left + size.width as usize, top + size.height as usize);
        let Size { width, height } = self.image.size();
        assert!(
            right <= width as usize && bottom <= height as usize,
            "a patch lies inside the image"
        );
        let (columns, rows) =
            (self.columns.touching(&(left..right)), self.rows.touching(&(top..bottom)));
        let mut result = self.result.clone();
        if columns.is_empty() || rows.is_empty() {
            return result;
        }
        let kernel = Kernel::detect();

        // Of the patch the part that these outputs come from: the result may be a part of the
        // whole.
        let (inputs, lines) = (self.columns.sources(&columns), self.rows.sources(&rows));
        let (left_most, right_most) = (left.max(inputs.start), right.min(inputs.end));
        let (first, last) = (top.max(lines.start), bottom.min(lines.end));
        let mut strip = self.image.crop(inputs.clone(), first..last);
        strip.put(
            left_most - inputs.start,
            0,
            &patch.crop(left_most - left..right_most - left, first - top..last - top),
        );
        let mut across =
            Rgb8::filled(Size::new(columns.len() as u32, (last - first) as u32), [0; 3]);
        let part = self.columns.part(&columns, inputs.start);
        kernel.rows(strip.data(), inputs.len(), &part, across.data_mut());

        let mut block = self.across.crop(columns.clone(), lines.clone());
        block.put(0, first - lines.start, &across);
        let mut changed = Rgb8::filled(Size::new(columns.len() as u32, rows.len() as u32), [0; 3]);
        let part = self.rows.part(&rows, lines.start);
        kernel.columns(block.data(), 3 * columns.len(), &part, changed.data_mut());
        result.put(columns.start, rows.start, &changed);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::resize;
    use proptest::prelude::*;

    fn noise(size: Size, seed: u64) -> Rgb8 {
        let mut random = crate::random::Random::new(seed, 0);
        Rgb8::new(size, (0..3 * size.area()).map(|_| random.next_u64() as u8).collect())
    }

    proptest! {
        #[test]
        fn a_patch_gives_the_bytes_of_a_whole_resize(
            from in (1u32..120, 1u32..90), to in (1u32..60, 1u32..70), corner in (0.0..1.0_f64, 0.0..1.0_f64),
            side in (0.0..1.0_f64, 0.0..1.0_f64), bicubic: bool, seed: u64,
        ) {
            let (from, to) = (Size::new(from.0, from.1), Size::new(to.0, to.1));
            let filter = if bicubic { Filter::Bicubic } else { Filter::Bilinear };
            let within = |corner: f64, side: f64, length: u32| {
                let start = (corner * f64::from(length)) as u32;
                (start as usize, 1 + (side * f64::from(length - start - 1)) as u32)
            };
            let (left, width) = within(corner.0, side.0, from.width);
            let (top, height) = within(corner.1, side.1, from.height);
            let patch = noise(Size::new(width, height), seed ^ 1);
            let kept = KeptResize::new(noise(from, seed), to, filter);
            prop_assert_eq!(kept.result(), &resize(kept.image(), to, filter));
            let mut whole = kept.image().clone();
            whole.put(left, top, &patch);
            let resized = resize(&whole, to, filter);
            prop_assert_eq!(kept.with(left, top, &patch), resized.clone());
            // A part of it is that part of the whole.
            let (columns, rows) = (to.width / 3..to.width, 0..to.height.div_ceil(2));
            let part = KeptResize::part(whole.clone(), to, columns.clone(), rows.clone(), filter);
            let wanted = resized.crop(columns.start as usize..columns.end as usize, 0..rows.end as usize);
            prop_assert_eq!(part.result(), &wanted);
            let unpatched = KeptResize::part(kept.image().clone(), to, columns, rows, filter);
            prop_assert_eq!(unpatched.with(left, top, &patch), wanted);
        }
    }
}
