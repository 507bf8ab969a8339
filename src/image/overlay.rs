//! Pictures with transparency, resized and laid over others by Pillow's arithmetic, bit for bit.
//!
//! Resizing multiplies the colours by the alpha first and divides afterwards (Pillow's modes "RGBa"
//! and "RGBA"), so that the colour of invisible pixels never shows. Laying over is
//! `Image.paste(picture, corner, picture)`: every channel is
//! (above * alpha + below * (255 - alpha)) / 255, rounded.

use super::{Filter, Rgb8, Size, resize};
use std::ops::Range;

/// An image with alpha: HWC, 8 bits a channel, RGBA, alpha not multiplied into the colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgba8 {
    colour: Rgb8,
    alpha: Vec<u8>,
}

impl Rgba8 {
    /// An image from its pixels, `4 * width * height` bytes.
    ///
    /// # Panics
    /// If the number of bytes is another one.
    pub fn new(size: Size, rgba: &[u8]) -> Self {
        assert_eq!(
            rgba.len(),
            4 * size.area(),
            "an RGBA image of {size} has {} bytes",
            4 * size.area()
        );
        let colour =
            rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self {
            colour: Rgb8::new(size, colour),
            alpha: rgba.chunks_exact(4).map(|pixel| pixel[3]).collect(),
        }
    }

    /// These colours, as transparent as `self`.
    ///
    /// # Panics
    /// If their size is another one.
    pub fn with_colour(&self, colour: Rgb8) -> Self {
        assert_eq!(colour.size(), self.size(), "colours and alpha have one size");
        Self { colour, alpha: self.alpha.clone() }
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.colour.size()
    }

    /// The colours.
    pub fn colour(&self) -> &Rgb8 {
        &self.colour
    }

    /// One byte a pixel, row by row: 0 invisible, 255 opaque.
    pub fn alpha(&self) -> &[u8] {
        &self.alpha
    }

    /// The alpha as a grey image.
    pub fn mask(&self) -> Rgb8 {
        Rgb8::new(self.size(), self.alpha.iter().flat_map(|&alpha| [alpha; 3]).collect())
    }

    /// The pixels of these columns and rows.
    ///
    /// # Panics
    /// When they reach beyond the image.
    pub fn crop(&self, columns: Range<usize>, rows: Range<usize>) -> Self {
        let stride = self.size().width as usize;
        let lines = self.alpha[stride * rows.start..stride * rows.end].chunks_exact(stride);
        let alpha = lines.flat_map(|line| &line[columns.clone()]).copied().collect();
        Self { colour: self.colour.crop(columns, rows), alpha }
    }

    /// Resizes as Pillow's `image.resize((to.width, to.height), filter)` does.
    ///
    /// # Panics
    /// If `self` or `to` has no pixels.
    pub fn resize(&self, to: Size, filter: Filter) -> Self {
        if to == self.size() {
            return self.clone();
        }
        let mut premultiplied = self.colour.clone();
        for (pixel, &alpha) in premultiplied.data_mut().chunks_exact_mut(3).zip(&self.alpha) {
            pixel
                .iter_mut()
                .for_each(|value| *value = over_255(u32::from(*value) * u32::from(alpha)));
        }
        let mut colour = resize(&premultiplied, to, filter);
        // Channels do not touch each other, so alpha may be resized as any of three.
        let alpha: Vec<u8> =
            resize(&self.mask(), to, filter).data().iter().step_by(3).copied().collect();
        for (pixel, &alpha) in colour.data_mut().chunks_exact_mut(3).zip(&alpha) {
            if alpha != 0 && alpha != 255 {
                let divided =
                    |value: u8| (255 * u32::from(value) / u32::from(alpha)).min(255) as u8;
                pixel.iter_mut().for_each(|value| *value = divided(*value));
            }
        }
        Self { colour, alpha }
    }

    /// Lays `self` over `below`, which has its size.
    ///
    /// # Panics
    /// If the sizes differ.
    pub fn lay_over(&self, below: &mut Rgb8) {
        assert_eq!(below.size(), self.size(), "a picture is laid over one of its size");
        let pixels = below
            .data_mut()
            .chunks_exact_mut(3)
            .zip(self.colour.data().chunks_exact(3))
            .zip(&self.alpha);
        for ((below, above), &alpha) in pixels {
            let alpha = u32::from(alpha);
            for (below, &above) in below.iter_mut().zip(above) {
                *below = over_255(u32::from(above) * alpha + u32::from(*below) * (255 - alpha));
            }
        }
    }
}

/// Divided by 255 and rounded, for products of two bytes and their blends.
fn over_255(product: u32) -> u8 {
    let biased = product + 128;
    (((biased >> 8) + biased) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_by_255_rounds() {
        for product in 0..=255 * 255 {
            assert_eq!(
                f64::from(over_255(product)),
                (f64::from(product) / 255.0).round(),
                "{product}"
            );
        }
    }

    #[test]
    fn the_colour_of_invisible_pixels_never_shows() {
        let size = Size::new(4, 3);
        let rgba: Vec<u8> = (0..12)
            .flat_map(|index| if index % 4 < 2 { [255, 0, 0, 0] } else { [0, 80, 0, 255] })
            .collect();
        let small = Rgba8::new(size, &rgba).resize(Size::new(3, 2), Filter::Bilinear);
        assert!(small.colour().data().chunks_exact(3).all(|pixel| pixel[0] == 0), "{small:?}");
        let mut below = Rgb8::filled(Size::new(3, 2), [10, 20, 30]);
        small.lay_over(&mut below);
        assert!(below.data().chunks_exact(3).all(|pixel| pixel[0] <= 10));
        assert_eq!(below.pixel(2, 1), [0, 80, 0]);
    }

    #[test]
    fn nothing_and_everything() {
        let picture = Rgba8::new(Size::new(2, 1), &[9, 8, 7, 0, 200, 100, 50, 255]);
        let mut below = Rgb8::new(Size::new(2, 1), vec![1, 2, 3, 4, 5, 6]);
        picture.lay_over(&mut below);
        assert_eq!(below.data(), [1, 2, 3, 200, 100, 50]);
    }
}
