//! From a photo and a map to the pixels of a panel, and pixels to a data URI.

use super::PHOTO_SCALE;
use crate::image::{Filter, Rgb8, Size, resize, taps};
use crate::plot::colour::{Rgb, Scale, inferno, jet};
use crate::{Error, Result};
use base64::prelude::{BASE64_STANDARD, Engine};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

/// Share of the map's colour in a pixel; the rest is the photo.
const UNIFORM_SHARE: f64 = 0.62;
/// The share of pytorch-grad-cam's pictures.
const JET_SHARE: f64 = 0.5;

/// Share of the strongest colour of a signed map.
const SIGNED_SHARE: f64 = 0.8;

/// Artefacts are not seen at this quality, without chroma subsampling, and an SVG of twelve photos
/// stays below 2 MB.
const JPEG_QUALITY: u8 = 92;

/// How a map is laid over the photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colouring {
    /// Inferno over the photo in grey.
    Uniform,
    /// Jet over the photo.
    Jet,
}

impl Colouring {
    /// The colour of a value from 0 to 1.
    pub(super) fn colour(self, value: f64) -> Rgb {
        match self {
            Self::Uniform => inferno(value),
            Self::Jet => jet(value),
        }
    }
}

/// The photo in the pixels of a panel of this size in CSS pixels.
pub(super) fn panel_pixels(photo: &Rgb8, (width, height): (f64, f64)) -> Rgb8 {
    let [width, height] = [width, height].map(|side| (side * PHOTO_SCALE).round().max(1.0) as u32);
    resize(photo, Size::new(width, height), Filter::Bicubic)
}

/// The photo in grey, Rec. 601 luma.
pub(super) fn grey(photo: &Rgb8) -> Rgb8 {
    let data =
        photo.data().chunks_exact(3).flat_map(|pixel| [luma(pixel).round() as u8; 3]).collect();
    Rgb8::new(photo.size(), data)
}

/// The map stretched over the photo (bilinear, half-pixel centres) and blended with it.
pub(super) fn overlay(photo: &Rgb8, map: &[f32], size: Size, colouring: Colouring) -> Rgb8 {
    let values = stretch(map, size, photo.size());
    let blend = |pixel: &[u8], value: f64| -> [u8; 3] {
        let colour = colouring.colour(value);
        let mix = |share: f64, channel: usize, below: f64| {
            (share * f64::from(colour[channel]) + (1.0 - share) * below).round() as u8
        };
        match colouring {
            Colouring::Uniform => {
                let below = luma(pixel);
                [0, 1, 2].map(|channel| mix(UNIFORM_SHARE, channel, below))
            }
            Colouring::Jet => {
                [0, 1, 2].map(|channel| mix(JET_SHARE, channel, f64::from(pixel[channel])))
            }
        }
    };
    let data = photo
        .data()
        .chunks_exact(3)
        .zip(&values)
        .flat_map(|(pixel, &value)| blend(pixel, value))
        .collect();
    Rgb8::new(photo.size(), data)
}

/// A signed map likewise: blue where it is negative, red where it is positive, strongest at the
/// greatest magnitude, and the photo in grey where it is 0.
pub(super) fn signed_overlay(photo: &Rgb8, map: &[f32], size: Size) -> Rgb8 {
    let values = stretch(map, size, photo.size());
    let greatest =
        values.iter().fold(f64::MIN_POSITIVE, |greatest, value| greatest.max(value.abs()));
    let scale = Scale::new((-1.0, 1.0));
    let blend = |pixel: &[u8], value: f64| -> [u8; 3] {
        let value = value / greatest;
        // Over grey, so that the colour alone says the sign.
        let (below, share) = (0.5 * luma(pixel) + 127.0 * 0.5, SIGNED_SHARE * value.abs().sqrt());
        scale
            .colour(value)
            .map(|level| (share * f64::from(level) + (1.0 - share) * below).round() as u8)
    };
    let data = photo
        .data()
        .chunks_exact(3)
        .zip(&values)
        .flat_map(|(pixel, &value)| blend(pixel, value))
        .collect();
    Rgb8::new(photo.size(), data)
}

/// `map` in `to` pixels, rows first, as every resizing here.
fn stretch(map: &[f32], size: Size, to: Size) -> Vec<f64> {
    let across = taps(size.width, to.width, Filter::Bilinear);
    let lines: Vec<Vec<f64>> = map
        .chunks_exact(size.width as usize)
        .map(|line| across.apply(&line.iter().map(|&value| f64::from(value)).collect::<Vec<_>>()))
        .collect();
    let mut values = Vec::with_capacity(to.area());
    for (first, weights) in taps(size.height, to.height, Filter::Bilinear).iter() {
        let mut sums = vec![0.0; to.width as usize];
        for (weight, line) in weights.iter().zip(&lines[first..]) {
            sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += weight * value);
        }
        values.extend(sums);
    }
    values
}

fn luma(pixel: &[u8]) -> f64 {
    0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2])
}

/// The picture as a JPEG in a data URI.
///
/// # Errors
/// The encoder refuses it.
pub(in crate::plot) fn data_uri(picture: &Rgb8) -> Result<String> {
    let mut jpeg = Vec::new();
    let Size { width, height } = picture.size();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
        .encode(picture.data(), width, height, ExtendedColorType::Rgb8)
        .map_err(|error| {
            Error::Figure(format!(
                "a photo of {width}x{height} cannot be put into a figure: {error}"
            ))
        })?;
    Ok(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_stretched_with_half_pixel_centres() {
        // Three columns by one row over six by two: at -1/4, 1/4, 3/4, 5/4, 7/4, 9/4 of 0, 0.5, 1.
        let values = stretch(&[0.0, 0.5, 1.0], Size::new(3, 1), Size::new(6, 2));
        let expected = [0.0, 0.125, 0.375, 0.625, 0.875, 1.0];
        for (at, value) in values.iter().enumerate() {
            approx::assert_abs_diff_eq!(*value, expected[at % 6], epsilon = 1e-12);
        }
    }

    #[test]
    fn blends_by_hand() {
        let photo = Rgb8::filled(Size::new(4, 2), [200, 100, 0]);
        assert_eq!(grey(&photo).pixel(3, 1), [119; 3]);
        // Luma 118.5; inferno(1) = (252, 255, 164), jet(1) = (128, 0, 0).
        let high = [1.0_f32; 6];
        let size = Size::new(3, 2);
        assert_eq!(overlay(&photo, &high, size, Colouring::Uniform).pixel(0, 0), [201, 203, 147]);
        assert_eq!(overlay(&photo, &high, size, Colouring::Jet).pixel(2, 1), [164, 50, 0]);
        // The map's right end is high: the photo's, too.
        let slope = overlay(&photo, &[0.0, 0.5, 1.0, 0.0, 0.5, 1.0], size, Colouring::Uniform);
        assert!(slope.pixel(3, 0)[0] > slope.pixel(0, 0)[0] + 100);
    }

    #[test]
    fn a_data_uri_holds_the_picture() {
        let picture = Rgb8::filled(Size::new(5, 3), [10, 200, 90]);
        let uri = data_uri(&picture).unwrap();
        let jpeg =
            BASE64_STANDARD.decode(uri.strip_prefix("data:image/jpeg;base64,").unwrap()).unwrap();
        let decoded = image::load_from_memory(&jpeg).unwrap().into_rgb8();
        assert_eq!(decoded.dimensions(), (5, 3));
        assert!(
            decoded
                .get_pixel(4, 2)
                .0
                .iter()
                .zip([10, 200, 90])
                .all(|(&a, b): (&u8, u8)| a.abs_diff(b) <= 3)
        );
    }
}
