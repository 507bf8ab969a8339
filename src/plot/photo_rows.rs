//! Rows of photos with a few words before each: what the photos of a row share, and in each photo a
//! ring where it is.

use super::colour::{BLACK, Rgb};
use super::explanation::data_uri;
use super::svg::{Area, Canvas};
use super::text::{Anchor, Font, Text, shorten, wrap};
use super::{PHOTO_SCALE, Svg};
use crate::image::{Filter, Rgb8, Size, resize};
use crate::{Error, Result};

const TITLE: Font = Font::bold(13.0);
const NAME: Font = Font::bold(10.5);
const TEXT: Font = Font::regular(9.5);
const SMALL: Font = Font::regular(8.5);
const GREY: Rgb = [0x44; 3];
const RING: Rgb = [0xd5, 0x5e, 0x00];

/// Around everything.
const EDGE: f64 = 16.0;
/// Width of the words.
const WORDS: f64 = 230.0;
/// A photo's room, and the distance to the next.
const PHOTO: (f64, f64) = (128.0, 96.0);
const GAP: f64 = 10.0;
/// Height of a caption.
const CAPTION: f64 = 14.0;
const LINE: f64 = 13.0;

/// The picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhotoRows {
    /// The first line, bold.
    pub title: String,
    /// Below the title.
    pub subtitle: String,
    /// From the top.
    pub rows: Vec<PhotoRow>,
    /// Lines of small print below everything.
    pub notes: Vec<String>,
}

/// A row of photos.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoRow {
    /// The first line before them, bold.
    pub name: String,
    /// Further lines.
    pub lines: Vec<String>,
    /// From the left; some may be missing.
    pub photos: Vec<RingedPhoto>,
}

/// A photo with a ring.
#[derive(Debug, Clone, PartialEq)]
pub struct RingedPhoto {
    /// The photo in any size; it is drawn small, in its own shape.
    pub pixels: Rgb8,
    /// The ring's middle, in shares of width and height.
    pub ring: (f64, f64),
    /// Below it, shortened where it is long.
    pub caption: String,
}

impl PhotoRows {
    /// Draws the picture.
    ///
    /// # Errors
    /// [`Error::Figure`] when there is no row, or a ring's place is no number.
    pub fn svg(&self) -> Result<Svg> {
        let places = self.rows.iter().flat_map(|row| &row.photos).map(|photo| photo.ring);
        if self.rows.is_empty() || !places.into_iter().all(|(x, y)| x.is_finite() && y.is_finite())
        {
            let message = "no row, or a ring at no place, cannot be drawn";
            return Err(Error::Figure(format!("picture `{}`: {message}", self.title)));
        }
        let most = self.rows.iter().map(|row| row.photos.len()).max().unwrap_or(0).max(1);
        let width = 2.0 * EDGE + WORDS + most as f64 * (PHOTO.0 + GAP);
        let mut canvas = Canvas::default();
        let mut y = EDGE;
        for (content, font, fill) in [(&self.title, TITLE, BLACK), (&self.subtitle, TEXT, GREY)] {
            for line in wrap(content, font, width - 2.0 * EDGE)? {
                y += LINE + 2.0;
                write(&mut canvas, &line, (EDGE, y), font, fill);
            }
        }
        y += LINE;
        for (number, row) in self.rows.iter().enumerate() {
            let mut drawn = Ok(());
            canvas.group(&format!("row-{number}"), |canvas| drawn = row.draw(y, canvas));
            drawn?;
            y += PHOTO.1 + CAPTION + GAP;
        }
        for note in &self.notes {
            for line in wrap(note, SMALL, width - 2.0 * EDGE)? {
                y += LINE;
                write(&mut canvas, &line, (EDGE, y), SMALL, GREY);
            }
        }
        Ok(canvas.finish(&self.title, width, y + EDGE))
    }
}

impl PhotoRow {
    fn draw(&self, top: f64, canvas: &mut Canvas) -> Result<()> {
        let names = [(&self.name, NAME, BLACK)].into_iter();
        let mut y = top;
        for (content, font, fill) in names.chain(self.lines.iter().map(|line| (line, TEXT, GREY))) {
            for line in wrap(content, font, WORDS - GAP)? {
                y += LINE;
                write(canvas, &line, (EDGE, y), font, fill);
            }
        }
        for (number, photo) in self.photos.iter().enumerate() {
            photo.draw((EDGE + WORDS + number as f64 * (PHOTO.0 + GAP), top), canvas)?;
        }
        Ok(())
    }
}

impl RingedPhoto {
    fn draw(&self, (left, top): (f64, f64), canvas: &mut Canvas) -> Result<()> {
        let Size { width, height } = self.pixels.size();
        let [width, height] = [width, height].map(f64::from);
        let scale = (PHOTO.0 / width).min(PHOTO.1 / height);
        let area = Area::new(left, top, width * scale, height * scale);
        let [columns, rows] =
            [area.width, area.height].map(|side| (side * PHOTO_SCALE).round().max(1.0) as u32);
        canvas.image(
            area,
            &data_uri(&resize(&self.pixels, Size::new(columns, rows), Filter::Bicubic))?,
        );
        let position = (area.x + self.ring.0 * area.width, area.y + self.ring.1 * area.height);
        for (colour, radius) in [([0xff; 3], 6.6), (RING, 5.4)] {
            canvas.ring(position, radius, colour);
        }
        let caption = shorten(&[&self.caption], SMALL, PHOTO.0)?.concat();
        write(canvas, &caption, (left, area.bottom() + 10.0), SMALL, GREY);
        Ok(())
    }
}

fn write(canvas: &mut Canvas, content: &str, at: (f64, f64), font: Font, fill: Rgb) {
    canvas.text(&Text { content, at, font, anchor: Anchor::Start, turn: 0.0, fill });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_their_words_their_photos_and_their_rings() {
        let photo = |width, height| RingedPhoto {
            pixels: Rgb8::filled(Size::new(width, height), [10, 200, 30]),
            ring: (0.5, 0.25),
            caption: "a/photo.jpg".into(),
        };
        let row = PhotoRow {
            name: "Dog".into(),
            lines: vec!["channel 7".into()],
            photos: vec![photo(60, 30), photo(20, 90)],
        };
        let rows = PhotoRows { title: "Filters".into(), rows: vec![row], ..PhotoRows::default() };
        let svg = rows.svg().unwrap();
        let text = svg.as_str();
        assert_eq!((text.matches("<image").count(), text.matches("<circle").count()), (2, 4));
        assert!(
            text.contains(">Dog<")
                && text.contains(">channel 7<")
                && text.contains(">a/photo.jpg<")
        );
        svg.png(1.0).unwrap();
        assert!(PhotoRows::default().svg().is_err());
    }
}
