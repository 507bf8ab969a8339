//! An object to paste: a picture file with transparency.

use crate::files::sha256;
use crate::image::{Filter, Rgba8, Size};
use crate::{Error, Result};
use image::{DynamicImage, ImageDecoder, ImageReader};
use std::io::Cursor;
use std::panic::catch_unwind;
use std::path::Path;

/// Filter by which an object is resized, antialiased and on colours multiplied by alpha. A triangle
/// and not the cubic, whose negative lobes would draw a bright or dark rim along every outline.
pub(super) const FILTER: Filter = Filter::Bilinear;

/// A side may be at most this many times the other: a hair's breadth of an object would be millions
/// of pixels long.
const LONGEST: u32 = 50;

/// The most pixels of an object: more than any photo shows of it, and 300 MB at most while it is
/// decoded.
const MOST_PIXELS: u64 = 1 << 24;

/// A decoded object.
#[derive(Debug, Clone)]
pub struct PastedObject {
    /// Its file's name without the extension.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its pixels at the file's size.
    pub pixels: Rgba8,
}

impl PastedObject {
    /// Reads a PNG, WebP or TIFF with alpha.
    ///
    /// # Errors
    /// The file cannot be read or decoded; it has no alpha, or nothing in it is visible.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        // Unwind safety: the bytes alone are looked at, and nothing of a decoder that panicked is.
        let decoded = catch_unwind(|| decode(&bytes))
            .unwrap_or_else(|_| Err("the decoder failed on it".into()));
        let decoded = decoded.map_err(|cause| {
            Error::file(path, format!("cannot be decoded as an object to paste: {cause}"))
        })?;
        let pixels = check(&decoded).map_err(|message| Error::file(path, message))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, sha256: sha256(&bytes), pixels })
    }

    /// The size at which the object is pasted into a photo of this height: `scale` of it high, as
    /// wide as its shape asks, at least one pixel each, halves rounded up.
    pub fn size_in(&self, height: u32, scale: f64) -> Size {
        let own = self.pixels.size();
        let rounded = |length: f64| (length + 0.5).floor().max(1.0) as u32;
        let height = rounded(scale * f64::from(height));
        Size::new(rounded(f64::from(height) * f64::from(own.width) / f64::from(own.height)), height)
    }
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    let text = |error: image::ImageError| error.to_string();
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let decoder = reader.into_decoder().map_err(text)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MOST_PIXELS {
        return Err(format!(
            "{width}x{height} are {pixels} pixels; {MOST_PIXELS} are the most of an object"
        ));
    }
    DynamicImage::from_decoder(decoder).map_err(text)
}

fn check(decoded: &DynamicImage) -> Result<Rgba8, String> {
    let (width, height) = (decoded.width(), decoded.height());
    if !decoded.color().has_alpha() {
        return Err(format!(
            "has no transparency ({width}x{height} pixels without an alpha channel): the whole \
             rectangle would be pasted; save it as a PNG with a transparent background"
        ));
    }
    if width == 0 || height == 0 || width.max(height) > LONGEST.saturating_mul(width.min(height)) {
        return Err(format!(
            "is {width}x{height} pixels: one side should be at most {LONGEST} times the other"
        ));
    }
    let pixels = Rgba8::new(Size::new(width, height), decoded.to_rgba8().as_raw());
    if pixels.alpha().iter().all(|&alpha| alpha == 0) {
        return Err(format!(
            "is transparent everywhere ({width}x{height} pixels): nothing would be pasted"
        ));
    }
    Ok(pixels)
}
