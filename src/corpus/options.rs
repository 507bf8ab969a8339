//! What is asked of every decoder, and what it gives.

use crate::image::{Canvas, Fit, Size};
use image::metadata::Orientation;

/// How images are decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecodeOptions {
    /// Leave the pixels as stored, whatever the EXIF orientation says. A TIFF's own orientation tag
    /// is no EXIF: it is always followed, as Pillow does.
    pub ignore_exif: bool,
    /// Width times height above which an image is refused before memory is taken for its pixels.
    /// The default, 200 million, admits the largest sensors in use (16320 x 12240) at 600 MB a
    /// picture; Pillow refuses above 179 million.
    pub max_pixels: u64,
    /// What JPEGs need not be larger than; `None`: all pixels are wanted.
    pub enough: Option<Enough>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { ignore_exif: false, max_pixels: 200_000_000, enough: None }
    }
}

/// What an image is decoded for, when it will be resized to that anyway.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Enough {
    /// It will be letterboxed onto this, where a detector looks at it.
    pub letterboxed: Option<Canvas>,
    /// And brought to the explained network's input so.
    pub fit: Fit,
}

impl Enough {
    /// By how much an image of this size, upright, may be reduced so that both its sides remain at
    /// least as large as either use needs: 8, 4, 2 or 1.
    fn reduction(self, original: Size) -> u32 {
        let resized = self.fit.placement(original).resized;
        let content = self.letterboxed.map_or(resized, |canvas| canvas.letterbox(original).content);
        let (width, height) =
            (content.width.max(resized.width), content.height.max(resized.height));
        let enough = |by: &u32| original.width / by >= width && original.height / by >= height;
        [8, 4, 2].into_iter().find(enough).unwrap_or(1)
    }
}

impl DecodeOptions {
    /// By how much a JPEG may be reduced, by its size as stored.
    pub(super) fn reduction(&self, stored: Size, orientation: Orientation) -> u32 {
        let upright = if self.ignore_exif { stored } else { upright(stored, orientation) };
        self.enough.map_or(1, |enough| enough.reduction(upright))
    }
}

/// The size of an image when it is turned upright.
pub(super) fn upright(stored: Size, orientation: Orientation) -> Size {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    match orientation {
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => {
            Size::new(stored.height, stored.width)
        }
        _ => stored,
    }
}

/// Pixels as stored, and how to turn them upright.
pub(super) struct Decoded {
    /// Of the image.
    pub(super) original: Size,
    /// Of the pixels.
    pub(super) size: Size,
    /// `3 * width * height` bytes, HWC RGB.
    pub(super) pixels: Vec<u8>,
    pub(super) orientation: Orientation,
}

/// So many pixels a picture may have in however few bytes.
const PIXELS_OF_ANY: u64 = 1 << 25;

/// Beyond that a file has a byte for so many of its pixels. Photos take a byte for 2 to 30, white
/// paper more; what takes yet more is made to take memory (a WebP of 36 bytes can have 200 million
/// pixels).
const PIXELS_OF_BYTE: u64 = 32;

/// The size, if an image in a file of so many `bytes` may have it.
pub(super) fn check_size(
    width: u32,
    height: u32,
    bytes: u64,
    max_pixels: u64,
) -> Result<Size, String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("{width}x{height} pixels are none"));
    }
    if pixels > max_pixels {
        return Err(format!("{width}x{height} are {pixels} pixels; the limit is {max_pixels}"));
    }
    if pixels > PIXELS_OF_ANY.max(bytes.saturating_mul(PIXELS_OF_BYTE)) {
        return Err(format!(
            "{width}x{height} are {pixels} pixels in {bytes} bytes, fewer than any photo takes: \
             above {PIXELS_OF_ANY} pixels a file has a byte for {PIXELS_OF_BYTE} of them; save it \
             smaller, or as a BMP or an unpacked TIFF"
        ));
    }
    Ok(Size::new(width, height))
}
