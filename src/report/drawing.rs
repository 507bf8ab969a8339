//! Pictures of the evidence: a photo with a method's map laid over it and the boxes of one class.

use super::evidence::ShownExample;
use crate::image::{Filter, Rgb8, Size, resize};
use crate::plot::map_colour;
use crate::{Error, Result};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

/// Longest sides of the picture in the page and of the one behind it, in pixels.
pub(super) const SMALL: u32 = 160;
pub(super) const LARGE: u32 = 640;

/// How opaque the map is where it is 0 and where it is 1.
const OPACITY: (f64, f64) = (0.2, 0.65);

/// JPEG's quality.
const QUALITY: u8 = 80;

/// A map over the whole photo, row by row, in `[0, 1]`.
pub(super) type MapOverPhoto = (Size, Vec<f32>);

/// The photo with map and boxes, its longest side at most `longest`, as JPEG.
///
/// # Errors
/// The encoder refuses it.
pub(super) fn draw(
    photo: &Rgb8,
    map: Option<&MapOverPhoto>,
    example: &ShownExample,
    longest: u32,
) -> Result<(Size, Vec<u8>)> {
    let Size { width, height } = photo.size();
    let scale = (f64::from(longest) / f64::from(width.max(height))).min(1.0);
    let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    let size = Size::new(side(width), side(height));
    let mut pixels =
        if size == photo.size() { photo.clone() } else { resize(photo, size, Filter::Bilinear) };
    if let Some(map) = map {
        lay_over(&mut pixels, map);
    }
    let across = f64::from(size.width) / f64::from(example.size.width.max(1));
    let down = f64::from(size.height) / f64::from(example.size.height.max(1));
    for counts in [false, true] {
        for (bounding_box, _) in example.boxes.iter().filter(|(_, other)| *other == counts) {
            let [x_min, y_min, x_max, y_max] = <[f32; 4]>::from(*bounding_box).map(f64::from);
            frame(
                &mut pixels,
                [x_min * across, y_min * down, x_max * across, y_max * down],
                counts,
            );
        }
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(pixels.data(), size.width, size.height, ExtendedColorType::Rgb8)
        .map_err(|error| {
            Error::Figure(format!("{} cannot be written as JPEG: {error}", example.path))
        })?;
    Ok((size, bytes))
}

/// Lays the map's colours over the pixels, the more opaque the higher the map.
fn lay_over(pixels: &mut Rgb8, (grid, values): &MapOverPhoto) {
    let size = pixels.size();
    let cell = |at: u32, side: u32, cells: u32| {
        let place = (f64::from(at) + 0.5) / f64::from(side) * f64::from(cells);
        (place as u32).min(cells.saturating_sub(1)) as usize
    };
    let columns: Vec<usize> = (0..size.width).map(|x| cell(x, size.width, grid.width)).collect();
    for (y, line) in
        (0..size.height).zip(pixels.data_mut().chunks_exact_mut(3 * size.width as usize))
    {
        let row = cell(y, size.height, grid.height) * grid.width as usize;
        for (pixel, column) in line.chunks_exact_mut(3).zip(&columns) {
            let value = f64::from(values[row + column]).clamp(0.0, 1.0);
            let opacity = OPACITY.0 + (OPACITY.1 - OPACITY.0) * value;
            for (below, above) in pixel.iter_mut().zip(map_colour(value)) {
                *below = (f64::from(*below) * (1.0 - opacity) + f64::from(above) * opacity).round()
                    as u8;
            }
        }
    }
}

/// A frame of two colours, so that it stands out on any ground: a box that counts white in black,
/// another grey and thin.
fn frame(pixels: &mut Rgb8, [x_min, y_min, x_max, y_max]: [f64; 4], counts: bool) {
    let lines: &[(i64, [u8; 3])] = if counts {
        &[(0, [0; 3]), (1, [255; 3]), (2, [255; 3]), (3, [0; 3])]
    } else {
        &[(0, [90; 3]), (1, [200; 3])]
    };
    let Size { width, height } = pixels.size();
    for &(inset, colour) in lines {
        let (left, top) = (x_min as i64 + inset, y_min as i64 + inset);
        let (right, bottom) = (x_max.ceil() as i64 - 1 - inset, y_max.ceil() as i64 - 1 - inset);
        if right < left || bottom < top {
            break;
        }
        let mut dot = |x: i64, y: i64| {
            if (0..i64::from(width)).contains(&x) && (0..i64::from(height)).contains(&y) {
                let start = 3 * (y as usize * width as usize + x as usize);
                pixels.data_mut()[start..start + 3].copy_from_slice(&colour);
            }
        };
        (left..=right).for_each(|x| [top, bottom].into_iter().for_each(|y| dot(x, y)));
        (top..=bottom).for_each(|y| [left, right].into_iter().for_each(|x| dot(x, y)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BoundingBox;

    #[test]
    fn maps_and_boxes_are_drawn_and_nothing_beyond_the_photo() {
        let example = ShownExample {
            path: "a.jpg".into(),
            size: Size::new(400, 200),
            label: 0,
            probability: None,
            score: 0.5,
            boxes: vec![
                (BoundingBox::new(200.0, 0.0, 500.0, 200.0), true),
                (BoundingBox::new(0.0, 0.0, 1.0, 1.0), false),
            ],
        };
        let photo = Rgb8::filled(Size::new(400, 200), [100; 3]);
        let map = (Size::new(2, 1), vec![0.0, 1.0]);
        let (size, bytes) = draw(&photo, Some(&map), &example, SMALL).unwrap();
        assert_eq!(size, Size::new(160, 80));
        let drawn = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(drawn.dimensions(), (160, 80));
        let brightness =
            |x, y| drawn.get_pixel(x, y).0.iter().map(|&level| u32::from(level)).sum::<u32>();
        assert!(
            brightness(40, 40) < 300 && brightness(120, 40) > 400,
            "the map is dark at the left, light at the right"
        );
        let alone =
            draw(&photo, None, &ShownExample { boxes: Vec::new(), ..example }, LARGE).unwrap();
        assert_eq!(alone.0, Size::new(400, 200));
    }
}
