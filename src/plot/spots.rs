//! A map of positions: a frame in the shape of a photo, in it the places and the size of what is
//! pasted there.

use super::Svg;
use super::colour::{BLACK, Rgb};
use super::svg::{Area, Canvas};
use super::text::{Anchor, Font, Text, shorten, widths};
use crate::{Error, Result};

const TITLE: Font = Font::bold(13.0);
const LABEL: Font = Font::regular(10.0);
const PAPER: Rgb = [0xf4; 3];
const LINE: Rgb = [0x66; 3];
const OUTLINE: Rgb = [0x00, 0x72, 0xb2];

/// A name longer than this is shortened.
const LONGEST_NAME: f64 = 110.0;

/// The frame: 4 to 3, as most photos.
const FRAME: Area = Area { x: 16.0, y: 36.0, width: 480.0, height: 360.0 };

/// The picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Spots {
    /// The first line, bold.
    pub title: String,
    /// Name, and shares of the width and height, of every place.
    pub spots: Vec<(String, f64, f64)>,
    /// Height of what is pasted, as a share of the photo's.
    pub height: f64,
}

impl Spots {
    /// Draws the picture: squares of the height that is pasted, cut at the frame.
    ///
    /// # Errors
    /// [`Error::Figure`] when a number is not finite.
    pub fn svg(&self) -> Result<Svg> {
        if self.spots.iter().any(|(_, x, y)| !(x.is_finite() && y.is_finite()))
            || !self.height.is_finite()
        {
            return Err(Error::Figure(format!("`{}`: a position is no number", self.title)));
        }
        let mut canvas = Canvas::default();
        let (content, at) = (&self.title, (FRAME.x, 22.0));
        canvas.text(&Text {
            content,
            at,
            font: TITLE,
            anchor: Anchor::Start,
            turn: 0.0,
            fill: BLACK,
        });
        canvas.rect(FRAME, PAPER);
        outline(FRAME, LINE, &mut canvas);
        let names: Vec<&str> = self.spots.iter().map(|(name, ..)| name.as_str()).collect();
        let names = shorten(&names, LABEL, LONGEST_NAME)?;
        let widths = widths(&names, LABEL)?;
        canvas.group("positions", |canvas| {
            for ((name, width), (_, x, y)) in names.iter().zip(widths).zip(&self.spots) {
                let (x, y) = (FRAME.x + x * FRAME.width, FRAME.y + y * FRAME.height);
                let half = self.height * FRAME.height / 2.0;
                let [left, right] = [x - half, x + half].map(|x| x.clamp(FRAME.x, FRAME.right()));
                let [top, bottom] = [y - half, y + half].map(|y| y.clamp(FRAME.y, FRAME.bottom()));
                outline(Area::new(left, top, right - left, bottom - top), OUTLINE, canvas);
                // A name at the edge stays on the paper.
                let position =
                    (x.clamp(FRAME.x + width / 2.0, FRAME.right() - width / 2.0), y + LABEL.drop());
                canvas.text(&Text {
                    content: name,
                    at: position,
                    font: LABEL,
                    anchor: Anchor::Middle,
                    turn: 0.0,
                    fill: BLACK,
                });
            }
        });
        Ok(canvas.finish(&self.title, FRAME.right() + 16.0, FRAME.bottom() + 16.0))
    }
}

fn outline(area: Area, colour: Rgb, canvas: &mut Canvas) {
    let corners = [
        (area.x, area.y),
        (area.right(), area.y),
        (area.right(), area.bottom()),
        (area.x, area.bottom()),
    ];
    for at in 0..4 {
        canvas.line(corners[at], corners[(at + 1) % 4], colour, 0.8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_is_named() {
        let spots = vec![("1".into(), 0.125, 0.125), ("edge".into(), 1.0, 0.0)];
        let svg = Spots { title: "Positions".into(), spots, height: 0.2 }.svg().unwrap();
        assert!(svg.as_str().contains(">1<") && svg.as_str().contains(">edge<"));
        let wrong =
            Spots { title: "x".into(), spots: vec![("1".into(), f64::NAN, 0.0)], height: 0.2 };
        assert!(wrong.svg().is_err());
    }
}
