//! Pictures for papers: what goes in is data with labels, what comes out is SVG, and PNG drawn from
//! it.
//!
//! A picture is written as SVG with text in DejaVu Sans, which the library carries with it: system
//! fonts are looked at only for characters that it lacks, and what no font has is written as its
//! code point. Lengths are CSS pixels, 1/96 inch. The same picture gives the same bytes.

mod bars;
mod colour;
mod explanation;
mod forest;
mod glyphs;
mod heatmap;
mod markup;
mod outline;
mod panels;
mod photo_rows;
mod scatter;
mod spots;
mod svg;
#[cfg(test)]
pub(crate) mod tests;
mod text;

pub use bars::{Bar, BarPanel, Bars};
pub use explanation::{
    Answer, Colours, Dimension, Explanation, MethodMap, OutlinedObject, PHOTO_SCALE, PartValue,
    Ranked, ValueBars,
};
pub use forest::{Forest, ForestRow};
pub use heatmap::Heatmap;
pub use panels::{Dot, Panel, Panels, Series};
pub use photo_rows::{PhotoRow, PhotoRows, RingedPhoto};
pub use scatter::{Mark, Scatter, ScatterPanel, ScatterPoint};
pub use spots::Spots;

use crate::{Error, Result, files};
use resvg::{tiny_skia, usvg};
use std::path::Path;

/// PNG pixels per CSS pixel for print: 300 dots an inch.
pub const PRINT_SCALE: f64 = 300.0 / 96.0;

/// Above this many pixels (400 MB while drawing) a PNG is refused.
const MOST_PIXELS: f64 = 1e8;

/// A finished picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Svg {
    markup: String,
    width: f64,
    height: f64,
}

impl Svg {
    /// The SVG with its text as text, which shows as intended only where DejaVu Sans is installed.
    pub fn as_str(&self) -> &str {
        &self.markup
    }

    /// The PNG: 8-bit RGB, `scale` pixels per CSS pixel, its resolution recorded so that its
    /// printed size is that of the SVG.
    ///
    /// # Errors
    /// [`Error::Figure`] when `scale` is not positive or the PNG would have more than 100 million
    /// pixels.
    pub fn png(&self, scale: f64) -> Result<Vec<u8>> {
        self.check(scale)?;
        self.draw(&text::parse(&self.markup)?, scale)
    }

    /// The SVG with its text as outlines. Browsers, office programs, LaTeX and drawing programs
    /// then all show the same picture; a font embedded in the file would be ignored by most but
    /// browsers, and would be larger. Each outline carries its text as `aria-label`.
    ///
    /// # Errors
    /// [`Error::Figure`] when the renderer refuses the picture.
    pub fn outlined(&self) -> Result<String> {
        Ok(outline::outlined(&self.markup, &text::parse(&self.markup)?))
    }

    fn check(&self, scale: f64) -> Result<()> {
        let [width, height] = [self.width, self.height].map(|side| (side * scale).round());
        if !(scale > 0.0 && width >= 1.0 && height >= 1.0 && width * height <= MOST_PIXELS) {
            return Err(Error::Figure(format!(
                "a PNG of {width} x {height} pixels (scale {scale}) cannot be drawn: the most is \
                 {MOST_PIXELS} pixels in all; show fewer rows or columns, or choose another scale"
            )));
        }
        Ok(())
    }

    fn draw(&self, tree: &usvg::Tree, scale: f64) -> Result<Vec<u8>> {
        let [width, height] = [self.width, self.height].map(|side| (side * scale).round() as u32);
        let undrawable =
            |e: &dyn std::fmt::Display| Error::Figure(format!("the PNG cannot be made: {e}"));
        let mut pixels =
            tiny_skia::Pixmap::new(width, height).ok_or_else(|| undrawable(&"no memory"))?;
        pixels.fill(tiny_skia::Color::WHITE);
        resvg::render(
            tree,
            tiny_skia::Transform::from_scale(scale as f32, scale as f32),
            &mut pixels.as_mut(),
        );
        // White paper below everything: alpha is 255 everywhere.
        let rgb: Vec<u8> =
            pixels.data().chunks_exact(4).flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]).collect();

        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        // Photos hardly become smaller for the time it takes; drawings become seven times smaller.
        encoder.set_compression(match self.markup.contains("<image") {
            true => png::Compression::Fast,
            false => png::Compression::Balanced,
        });
        let per_metre = (scale * 96.0 / 0.0254).round() as u32;
        encoder.set_pixel_dims(Some(png::PixelDimensions {
            xppu: per_metre,
            yppu: per_metre,
            unit: png::Unit::Meter,
        }));
        let mut writer = encoder.write_header().map_err(|e| undrawable(&e))?;
        writer.write_image_data(&rgb).map_err(|e| undrawable(&e))?;
        writer.finish().map_err(|e| undrawable(&e))?;
        Ok(bytes)
    }
}

/// How many cases something is of, in a few letters: `n = 12`, `n = 9 to 12`, or nothing where no
/// number is known.
pub(crate) fn sample(numbers: impl IntoIterator<Item = usize>) -> String {
    let ends = numbers.into_iter().fold(None, |ends, n| {
        let (least, most) = ends.unwrap_or((n, n));
        Some((n.min(least), n.max(most)))
    });
    match ends {
        None => String::new(),
        Some((least, most)) if least == most => format!("n = {most}"),
        Some((least, most)) => format!("n = {least} to {most}"),
    }
}

/// The colour of a value of an activation map, 0 to 1, dark to light: red, green, blue.
pub fn map_colour(value: f64) -> [u8; 3] {
    colour::inferno(value)
}

/// The colours of a heatmap's cell and of the text in it: red, green, blue.
pub fn cell_colours(value: f64, range: (f64, f64)) -> [[u8; 3]; 2] {
    let colour = colour::Scale::new(range).colour(value);
    [colour, colour::readable_on(colour)]
}

/// The same of a column that is faded, as of few images.
pub fn faded_cell_colours(value: f64, range: (f64, f64)) -> [[u8; 3]; 2] {
    let colour = colour::faded(colour::Scale::new(range).colour(value));
    [colour, colour::readable_on(colour)]
}

/// [`write_scaled`] at [`PRINT_SCALE`].
///
/// # Errors
/// As [`write_scaled`].
pub fn write(picture: &Svg, png_path: &Path, svg_path: &Path) -> Result<()> {
    write_scaled(picture, PRINT_SCALE, png_path, svg_path)
}

/// Writes the picture as PNG, `scale` pixels per CSS pixel, and as SVG with outlined text; each
/// file appears whole.
///
/// # Errors
/// As [`Svg::png`] and [`Svg::outlined`], before any file is touched; [`Error::Io`] when one cannot
/// be written.
pub fn write_scaled(picture: &Svg, scale: f64, png_path: &Path, svg_path: &Path) -> Result<()> {
    picture.check(scale)?;
    let tree = text::parse(&picture.markup)?;
    let png = picture.draw(&tree, scale)?;
    let svg = outline::outlined(&picture.markup, &tree);
    files::write_bytes(png_path, &png)?;
    files::write_bytes(svg_path, svg.as_bytes())
}
