//! Pixels and boxes: what an image, a size and a box are here, and how images are resized and
//! letterboxed.
//!
//! Knows nothing of files, networks or emotions. Images are HWC `u8` RGB; boxes are half-open, x to
//! the right, y down.

mod bounding_box;
mod extent;
mod fit;
mod inside;
pub mod letterbox;
pub mod mask;
mod overlay;
mod region;
pub mod resample;

pub use bounding_box::BoundingBox;
pub use extent::Extent;
pub use fit::{Cover, Fit, Placement, Resize};
pub use inside::inside;
pub use letterbox::{Canvas, Letterbox, LetterboxFilter, LetterboxRule};
pub use mask::{Mask, Span};
pub use overlay::Rgba8;
pub use region::Region;
pub(crate) use resample::taps_of;
pub use resample::{Filter, KeptResize, Taps, resize, taps};

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Pixels per row.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

impl Size {
    /// A size from its two sides.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Number of pixels.
    pub const fn area(self) -> usize {
        self.width as usize * self.height as usize
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// An image: HWC, 8 bits a channel, RGB, rows from the top, no padding between rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb8 {
    size: Size,
    data: Vec<u8>,
}

/// An image that may have been decoded at a fraction of its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What was decoded.
    pub pixels: Rgb8,
    /// The image's own size, upright as the pixels are, and at least theirs.
    pub original: Size,
}

impl From<Rgb8> for Picture {
    fn from(pixels: Rgb8) -> Self {
        Self { original: pixels.size(), pixels }
    }
}

impl Rgb8 {
    /// An image from its pixels, `3 * width * height` bytes.
    ///
    /// # Panics
    /// If the number of bytes is another one: a mistake of the caller, never of a file.
    pub fn new(size: Size, data: Vec<u8>) -> Self {
        assert_eq!(
            data.len(),
            3 * size.area(),
            "an RGB image of {size} has {} bytes",
            3 * size.area()
        );
        Self { size, data }
    }

    /// An image of one colour.
    pub fn filled(size: Size, colour: [u8; 3]) -> Self {
        Self { size, data: colour.repeat(size.area()) }
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// All bytes, row by row: R, G, B of the leftmost pixel of the top row first.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All bytes, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The pixel `x` from the left and `y` from the top.
    ///
    /// # Panics
    /// Outside the image.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        assert!(
            x < self.size.width && y < self.size.height,
            "({x}, {y}) lies outside an image of {}",
            self.size
        );
        let start = 3 * (y as usize * self.size.width as usize + x as usize);
        [self.data[start], self.data[start + 1], self.data[start + 2]]
    }

    /// The pixels of these columns and rows.
    ///
    /// # Panics
    /// When they reach beyond the image.
    pub fn crop(&self, columns: Range<usize>, rows: Range<usize>) -> Self {
        let stride = 3 * self.size.width as usize;
        let lines = self.data[stride * rows.start..stride * rows.end].chunks_exact(stride);
        let data =
            lines.flat_map(|line| &line[3 * columns.start..3 * columns.end]).copied().collect();
        Self::new(Size::new(columns.len() as u32, rows.len() as u32), data)
    }

    /// Writes `other` over the pixels from the column `left` and the row `top` on.
    ///
    /// # Panics
    /// When it reaches beyond the image.
    pub fn put(&mut self, left: usize, top: usize, other: &Self) {
        let [stride, width] = [self.size.width, other.size.width].map(|side| 3 * side as usize);
        let lines = self.data[stride * top..].chunks_exact_mut(stride);
        assert!(lines.len() >= other.size.height as usize, "the lower part of it lies outside");
        for (to, from) in lines.zip(other.data.chunks_exact(width)) {
            to[3 * left..3 * left + width].copy_from_slice(from);
        }
    }
}
