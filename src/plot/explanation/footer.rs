//! What the colours mean, and small print.

use super::overlay::Colouring;
use super::{AXIS, BLOCK, Explanation, GREY, MARGIN, SMALL};
use crate::Result;
use crate::plot::colour::Rgb;
use crate::plot::svg::{Area, Canvas};
use crate::plot::text::{ASCENT, Anchor, LEADING, Line, Text, lines, wrap};

const BAR: (f64, f64) = (200.0, 10.0);
const BETWEEN: f64 = 40.0;
const TICK: f64 = 3.0;

/// Everything placed.
#[derive(Debug)]
pub(super) struct Footer {
    /// Where it ends.
    pub bottom: f64,
    bars: Vec<(Colouring, Area)>,
    notes: Vec<Line>,
}

impl Footer {
    /// Places the footer from `top` on, `width` wide.
    ///
    /// # Errors
    /// The renderer refuses a text.
    pub(super) fn of(of: &Explanation<'_>, top: f64, width: f64) -> Result<Self> {
        let line = SMALL.size * LEADING;
        let place = |(at, &colouring): (usize, &Colouring)| {
            let x = MARGIN + at as f64 * (BAR.0 + BETWEEN);
            (colouring, Area::new(x, top + line, BAR.0, BAR.1))
        };
        let bars: Vec<_> = of.colours.rows().iter().enumerate().map(place).collect();
        let mut y = top + line + BAR.1 + TICK + line + BLOCK / 2.0;
        let mut notes = Vec::new();
        for note in of.notes.iter().filter(|note| !note.trim().is_empty()) {
            notes.extend(lines(&wrap(note, SMALL, width)?, SMALL, MARGIN, &mut y));
        }
        Ok(Self { bottom: y, bars, notes })
    }

    pub(super) fn draw(&self, canvas: &mut Canvas) {
        for (colouring, bar) in &self.bars {
            draw_bar(*colouring, *bar, canvas);
        }
        for (content, at) in &self.notes {
            canvas.text(&Text {
                content,
                at: *at,
                font: SMALL,
                anchor: Anchor::Start,
                turn: 0.0,
                fill: GREY,
            });
        }
    }
}

fn draw_bar(colouring: Colouring, bar: Area, canvas: &mut Canvas) {
    let (id, caption) = match colouring {
        Colouring::Uniform => ("uniform", "inferno over the photo in grey"),
        Colouring::Jet => ("jet", "jet over the photo"),
    };
    let colours: Vec<Rgb> = (0..=32).map(|i| colouring.colour(f64::from(i) / 32.0)).collect();
    canvas.gradient(id, bar, &colours);
    let mut text = |content: &str, at: (f64, f64), anchor: Anchor| {
        canvas.text(&Text { content, at, font: SMALL, anchor, turn: 0.0, fill: GREY });
    };
    text(caption, (bar.x, bar.y - SMALL.size * (LEADING - ASCENT)), Anchor::Start);
    let below = bar.bottom() + TICK + SMALL.size * ASCENT;
    for (share, label, anchor) in
        [(0.0, "0", Anchor::Start), (0.5, "0.5", Anchor::Middle), (1.0, "1", Anchor::End)]
    {
        text(label, (bar.x + share * bar.width, below), anchor);
    }
    for share in [0.0, 0.5, 1.0] {
        let x = bar.x + share * bar.width;
        canvas.line((x, bar.bottom()), (x, bar.bottom() + TICK), AXIS, 0.8);
    }
}
