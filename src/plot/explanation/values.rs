//! What the parts of the picture are worth, as bars that add up: from the score with everything
//! hidden, part by part, to the score of the whole picture.

use super::{BAR, GREY, LABEL, MARGIN, NAME, SMALL, TRACK};
use crate::Result;
use crate::plot::colour::{BLACK, Rgb, Scale};
use crate::plot::svg::{Area, Canvas};
use crate::plot::text::{ASCENT, Anchor, Font, Text, shorten};

/// Height of a row, and of the bar in it.
const ROW: (f64, f64) = (16.0, 10.0);
/// Width of the names, and of the numbers.
const TEXT: (f64, f64) = (170.0, 84.0);
/// Below the title, and between blocks.
const GAP: (f64, f64) = (20.0, 12.0);
/// How strong the colours of gains and losses are, of 1.
const STRENGTH: f64 = 0.7;

/// The values of the parts of a picture by one method.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueBars {
    /// The method and what it explains.
    pub title: String,
    /// The score with everything hidden.
    pub nothing: f64,
    /// The score of the whole picture: `nothing` and all values.
    pub all: f64,
    /// The parts, in the order in which they are drawn.
    pub parts: Vec<PartValue>,
}

/// What a part is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct PartValue {
    /// What it shows.
    pub name: String,
    /// How much the score changes with it.
    pub value: f64,
    /// Standard error of the value, where it was sampled.
    pub error: Option<f64>,
}

/// Everything placed.
#[derive(Debug)]
pub(super) struct Values {
    /// Where the blocks end.
    pub bottom: f64,
    rows: Vec<Row>,
    titles: Vec<(String, f64)>,
    left: f64,
    right: f64,
}

/// A row: its name, its bar from one place to another on the line, and its number.
#[derive(Debug)]
struct Row {
    top: f64,
    name: String,
    number: String,
    from: f64,
    to: f64,
    colour: Rgb,
    /// Of the line where the score is 0.
    zero: f64,
}

impl Values {
    /// Places the blocks from `top` on, `width` wide.
    ///
    /// # Errors
    /// The renderer refuses a text.
    pub(super) fn of(of: &[ValueBars], top: f64, width: f64) -> Result<Self> {
        let (left, right) = (MARGIN + TEXT.0, MARGIN + width - TEXT.1);
        let mut values = Self { bottom: top, rows: Vec::new(), titles: Vec::new(), left, right };
        for bars in of {
            values.add(bars, width)?;
        }
        Ok(values)
    }

    fn add(&mut self, bars: &ValueBars, width: f64) -> Result<()> {
        let title = shorten(&[bars.title.as_str()], NAME, width)?.concat();
        self.titles.push((title, self.bottom));
        let mut top = self.bottom + GAP.0;
        let steps = steps(bars);
        let ends = steps.iter().flat_map(|step| [step.from, step.to]);
        let (low, high) =
            ends.fold((0.0_f64, 0.0_f64), |(low, high), end| (low.min(end), high.max(end)));
        let span = if high > low { high - low } else { 1.0 };
        let place = |score: f64| self.left + (score - low) / span * (self.right - self.left);
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        let names = shorten(&names, LABEL, TEXT.0 - 8.0)?;
        for (step, name) in steps.iter().zip(names) {
            let (from, to, number) = (place(step.from), place(step.to), step.number.clone());
            self.rows.push(Row {
                top,
                name,
                number,
                from,
                to,
                colour: step.colour,
                zero: place(0.0),
            });
            top += ROW.0;
        }
        self.bottom = top + GAP.1;
        Ok(())
    }

    pub(super) fn draw(&self, canvas: &mut Canvas) {
        let mut text = |content: &str, at: (f64, f64), font: Font, anchor: Anchor, fill: Rgb| {
            canvas.text(&Text { content, at, font, anchor, turn: 0.0, fill });
        };
        for (title, top) in &self.titles {
            text(title, (MARGIN, top + NAME.size * ASCENT), NAME, Anchor::Start, BLACK);
        }
        for row in &self.rows {
            let middle = row.top + ROW.0 / 2.0;
            text(&row.name, (self.left - 6.0, middle + LABEL.drop()), LABEL, Anchor::End, BLACK);
            text(
                &row.number,
                (self.right + 6.0, middle + SMALL.drop()),
                SMALL,
                Anchor::Start,
                GREY,
            );
        }
        for row in &self.rows {
            let top = row.top + (ROW.0 - ROW.1) / 2.0;
            canvas.rect(
                Area::new(self.left, top + ROW.1 / 2.0 - 0.5, self.right - self.left, 1.0),
                TRACK,
            );
            let (start, end) = (row.from.min(row.to), row.from.max(row.to));
            canvas.rect(Area::new(start, top, (end - start).max(0.8), ROW.1), row.colour);
            canvas.line((row.zero, row.top), (row.zero, row.top + ROW.0), GREY, 0.6);
        }
    }
}

/// A row before it is placed, in units of the score.
struct Step {
    name: String,
    number: String,
    from: f64,
    to: f64,
    colour: Rgb,
}

fn steps(bars: &ValueBars) -> Vec<Step> {
    let signed = |value: f64| format!("{value:+.3}").replace('-', "−");
    let whole = |name: &str, score: f64| {
        let number = format!("{score:.3}").replace('-', "−");
        Step { name: name.into(), number, from: 0.0, to: score, colour: BAR }
    };
    let scale = Scale::new((-1.0, 1.0));
    let mut steps = vec![whole("everything hidden", bars.nothing)];
    let mut from = bars.nothing;
    for PartValue { name, value, error } in &bars.parts {
        let number = match error {
            Some(error) => format!("{} ± {error:.3}", signed(*value)),
            None => signed(*value),
        };
        let colour = scale.colour(STRENGTH.copysign(*value));
        steps.push(Step { name: name.clone(), number, from, to: from + value, colour });
        from += value;
    }
    steps.push(whole("whole picture", bars.all));
    steps
}
