//! For tests: pictures compared with committed ones, and the contrast of their text.
//!
//! The committed pictures, `tests/reference/golden/*.png`, are coarse, so that all are small. A
//! picture that differs in more than [`MOST_DIFFERING`] of its pixels is written into a folder of
//! temporary files, with a picture of the difference beside it. Where a change was meant,
//! `EMOCAM_GOLDEN=write cargo test --lib golden` writes them anew.

use crate::plot::Svg;
use crate::plot::colour::{Rgb, contrast};
use std::path::{Path, PathBuf};

/// A pixel differs where a channel does by more than so many levels: less than what can be seen.
const SAME_LEVELS: u8 = 12;

/// The share of differing pixels from which a picture is another one: a changed digit of a cell is
/// more.
const MOST_DIFFERING: f64 = 0.0002;

/// What the WCAG ask of text, of whatever size.
const LEAST_CONTRAST: f64 = 4.5;

/// Compares the picture, drawn at `scale`, with the committed one of this name, and looks at its
/// text.
pub(crate) fn assert_golden(name: &str, picture: &Svg, scale: f64) {
    assert_readable(name, picture.as_str());
    let found = picture.png(scale).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/golden")
        .join(format!("{name}.png"));
    if std::env::var("EMOCAM_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
        return;
    }
    let wanted = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; EMOCAM_GOLDEN=write makes it where the picture is new", path.display())
    });
    if let Some(complaint) = difference(&decoded(&wanted), &decoded(&found)) {
        let written = written(name, &found, complaint.picture.as_ref());
        panic!("{name}: {}; {written}", complaint.message);
    }
}

/// How two pictures differ.
struct Difference {
    message: String,
    /// The committed picture in grey with what differs in red, where they have the same size.
    picture: Option<image::RgbImage>,
}

fn decoded(png: &[u8]) -> image::RgbImage {
    image::load_from_memory_with_format(png, image::ImageFormat::Png).unwrap().into_rgb8()
}

/// `None` where they are the same, but for what nobody can see.
fn difference(wanted: &image::RgbImage, found: &image::RgbImage) -> Option<Difference> {
    let sizes = [wanted, found].map(|picture| picture.dimensions());
    if sizes[0] != sizes[1] {
        let message = format!("{:?} pixels are committed, found {:?}", sizes[0], sizes[1]);
        return Some(Difference { message, picture: None });
    }
    let mut picture = image::RgbImage::from_fn(sizes[0].0, sizes[0].1, |x, y| {
        let grey = wanted.get_pixel(x, y).0.iter().map(|&level| u32::from(level)).sum::<u32>() / 3;
        image::Rgb([(128 + grey / 2) as u8; 3])
    });
    let (mut count, mut from, mut to) = (0_u32, (u32::MAX, u32::MAX), (0, 0));
    for ((x, y, wanted), found) in wanted.enumerate_pixels().zip(found.pixels()) {
        if wanted.0.iter().zip(found.0).any(|(a, b)| a.abs_diff(b) > SAME_LEVELS) {
            picture.put_pixel(x, y, image::Rgb([255, 0, 0]));
            (from, to) = ((from.0.min(x), from.1.min(y)), (to.0.max(x), to.1.max(y)));
            count += 1;
        }
    }
    let share = f64::from(count) / f64::from(sizes[0].0 * sizes[0].1);
    (share > MOST_DIFFERING).then(|| Difference {
        message: format!("{:.2} % of the pixels differ, from {from:?} to {to:?}", 100.0 * share),
        picture: Some(picture),
    })
}

/// Writes what was found, and the difference; says where.
fn written(name: &str, found: &[u8], difference: Option<&image::RgbImage>) -> String {
    let folder = std::env::temp_dir().join("emocam-golden");
    let path = |kind: &str| -> PathBuf { folder.join(format!("{name}-{kind}.png")) };
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(path("found"), found).unwrap();
    let shown = difference.map(|picture| picture.save(path("difference")).unwrap());
    let beside = if shown.is_some() {
        format!(" and {}", path("difference").display())
    } else {
        String::new()
    };
    format!("see {}{beside}", path("found").display())
}

/// A rectangle of the markup, or a line of text.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_once(&format!(" {name}=\""))?.1.split_once('"').map(|(value, _)| value)
}

fn colour(line: &str) -> Option<Rgb> {
    let hex = attribute(line, "fill")?.strip_prefix('#')?;
    let level = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    Some([level(0)?, level(2)?, level(4)?])
}

/// Asserts that every text has enough contrast with the rectangle that lies below it, or with the
/// paper.
fn assert_readable(name: &str, markup: &str) {
    let mut grounds: Vec<([f64; 4], Rgb)> = Vec::new();
    for line in markup.lines() {
        let number = |name: &str| attribute(line, name).and_then(|value| value.parse::<f64>().ok());
        if let (true, Some([x, y])) =
            (line.starts_with("<text"), number("x").zip(number("y")).map(|(x, y)| [x, y]))
        {
            // The middle of its first, middle or last letter.
            let middle = y - 0.3 * number("font-size").unwrap_or_default();
            let over = |([left, top, width, height], _): &&([f64; 4], Rgb)| {
                (*left..=left + width).contains(&x) && (*top..=top + height).contains(&middle)
            };
            let ground = grounds.iter().rev().find(over).map_or([255; 3], |(_, ground)| *ground);
            let found = contrast(colour(line).unwrap(), ground);
            assert!(found >= LEAST_CONTRAST, "{name}: contrast {found:.2} on {ground:?} of {line}");
        } else if let (true, Some(fill)) = (line.starts_with("<rect"), colour(line))
            && let (Some(x), Some(y), Some(width), Some(height)) =
                (number("x"), number("y"), number("width"), number("height"))
        {
            grounds.push(([x, y, width, height], fill));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_digit_is_another_picture_and_noise_is_not() {
        let digit = |value: f64| {
            let map = crate::plot::Heatmap {
                rows: vec!["Tree".into()],
                columns: vec!["Joy".into()],
                values: vec![vec![Some(value)]],
                ..Default::default()
            };
            decoded(&map.svg().unwrap().png(0.5).unwrap())
        };
        let (one, other) = (digit(0.512), digit(0.572));
        assert!(difference(&one, &one).is_none());
        let found = difference(&one, &other).unwrap();
        assert!(found.message.contains("% of the pixels differ, from ("), "{}", found.message);
        assert_eq!(found.picture.unwrap().dimensions(), one.dimensions());
        let noise = image::RgbImage::from_fn(one.width(), one.height(), |x, y| {
            image::Rgb(one.get_pixel(x, y).0.map(|level| level.saturating_sub(((x + y) % 5) as u8)))
        });
        assert!(difference(&one, &noise).is_none());
        assert!(
            difference(&one, &image::RgbImage::new(3, 2))
                .unwrap()
                .message
                .contains("are committed")
        );
    }

    #[test]
    #[should_panic(expected = "contrast 2.")]
    fn grey_on_grey_is_seen() {
        let text = r##"<text id="t0" x="12" y="18" font-size="9" fill="#888888">a</text>"##;
        assert_readable(
            "x",
            &format!("<rect x=\"10\" y=\"10\" width=\"9\" height=\"9\" fill=\"#dddddd\"/>\n{text}"),
        );
    }
}
