//! A forest plot: a row for each estimate, with its interval, beside the line of no effect.

use super::Svg;
use super::colour::{BLACK, Rgb};
use super::heatmap::ticks;
use super::svg::{Area, Canvas, Stroke};
use super::text::{Anchor, Font, Line, Text, lines, shorten, widest, wrap};
use crate::{Error, Result};

const TITLE: Font = Font::bold(13.0);
const SUBTITLE: Font = Font::regular(10.5);
const LABEL: Font = Font::regular(10.0);
const REMARK: Font = Font::regular(9.0);
const SMALL: Font = Font::regular(8.5);

const GREY: Rgb = [0x44; 3];
const AXIS: Rgb = [0x66; 3];
const GRID: Rgb = [0xe4; 3];
const BAND: Rgb = [0xf6; 3];
const REFERENCE: Rgb = [0x9a; 3];
/// Of Okabe and Ito (Color Universal Design, 2008): above and below no effect.
const ABOVE: Rgb = [0xd5, 0x5e, 0x00];
const BELOW: Rgb = [0x00, 0x72, 0xb2];

const MARGIN: f64 = 14.0;
const GAP: f64 = 8.0;
const ROW_HEIGHT: f64 = 16.0;
const AXIS_WIDTH: f64 = 330.0;
/// Below the rows, for ticks and the axis' label.
const FOOT_HEIGHT: f64 = 34.0;
/// A label longer than this is shortened.
const LONGEST_LABEL: f64 = 300.0;
const RADIUS: f64 = 3.2;

/// The picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Forest {
    /// The first line, bold.
    pub title: String,
    /// Below the title.
    pub subtitle: String,
    /// From the top.
    pub rows: Vec<ForestRow>,
    /// What a value is, along the axis; 0 is no effect.
    pub value_label: String,
    /// Lines of small print below everything.
    pub notes: Vec<String>,
}

/// An estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestRow {
    /// What it is of, at the left.
    pub label: String,
    /// The estimate.
    pub value: f64,
    /// The ends of its interval.
    pub interval: (f64, f64),
    /// A filled disc; else a ring.
    pub filled: bool,
    /// Another value to compare with, a grey stroke across the row.
    pub reference: Option<f64>,
    /// A few words at the right.
    pub remark: String,
}

/// Where everything lies, and the text as it will be set.
struct Layout {
    title: Vec<Line>,
    subtitle: Vec<Line>,
    notes: Vec<Line>,
    labels: Vec<String>,
    /// The rows between the axis' ends.
    area: Area,
    range: (f64, f64),
    width: f64,
    height: f64,
}

impl Layout {
    fn of(picture: &Forest) -> Result<Self> {
        let labels: Vec<&str> = picture.rows.iter().map(|row| row.label.as_str()).collect();
        let labels = shorten(&labels, LABEL, LONGEST_LABEL)?;
        let remarks: Vec<&str> = picture.rows.iter().map(|row| row.remark.as_str()).collect();
        let left = MARGIN + widest(&labels, LABEL)? + GAP;
        let width = left + AXIS_WIDTH + GAP + widest(&remarks, REMARK)? + MARGIN;
        let inner = width - 2.0 * MARGIN;
        let mut y = MARGIN;
        let title = lines(&wrap(&picture.title, TITLE, inner)?, TITLE, MARGIN, &mut y);
        let subtitle = lines(&wrap(&picture.subtitle, SUBTITLE, inner)?, SUBTITLE, MARGIN, &mut y);
        y += GAP;
        let area = Area::new(left, y, AXIS_WIDTH, ROW_HEIGHT * picture.rows.len() as f64);
        y = area.bottom() + FOOT_HEIGHT;
        let mut notes = Vec::new();
        for note in &picture.notes {
            notes.extend(lines(&wrap(note, SMALL, inner)?, SMALL, MARGIN, &mut y));
        }
        Ok(Self {
            title,
            subtitle,
            notes,
            labels,
            area,
            range: picture.range(),
            width,
            height: y + MARGIN,
        })
    }

    fn x(&self, value: f64) -> f64 {
        let (lower, upper) = self.range;
        self.area.x + (value - lower) / (upper - lower) * self.area.width
    }
}

impl Forest {
    /// Draws the picture.
    ///
    /// # Errors
    /// [`Error::Figure`] when there is no row, or a number is not finite.
    pub fn svg(&self) -> Result<Svg> {
        self.check()?;
        let layout = Layout::of(self)?;
        let mut canvas = Canvas::default();
        let blocks = [
            (TITLE, BLACK, &layout.title),
            (SUBTITLE, GREY, &layout.subtitle),
            (SMALL, GREY, &layout.notes),
        ];
        for (font, fill, block) in blocks {
            block
                .iter()
                .for_each(|(line, at)| text(&mut canvas, line, *at, font, Anchor::Start, fill));
        }
        canvas.group("axis", |canvas| self.draw_axis(&layout, canvas));
        canvas.group("rows", |canvas| {
            self.rows
                .iter()
                .enumerate()
                .for_each(|(number, row)| draw_row(row, number, &layout, canvas));
        });
        Ok(canvas.finish(&self.title, layout.width, layout.height))
    }

    fn check(&self) -> Result<()> {
        let refuse = |message: String| {
            Err(Error::Figure(format!("forest plot `{}`: {message}", self.title)))
        };
        if self.rows.is_empty() {
            return refuse("no rows leave nothing to draw".into());
        }
        let numbers = |row: &ForestRow| {
            [row.value, row.interval.0, row.interval.1, row.reference.unwrap_or(0.0)]
        };
        match self.rows.iter().find(|row| !numbers(row).iter().all(|number| number.is_finite())) {
            Some(row) => refuse(format!("a number of row `{}` is not finite", row.label)),
            None => Ok(()),
        }
    }

    /// From the lowest to the highest number, 0 included, and a little more.
    fn range(&self) -> (f64, f64) {
        let numbers = self
            .rows
            .iter()
            .flat_map(|row| [row.interval.0, row.interval.1, row.reference.unwrap_or(0.0)]);
        let (lower, upper) =
            numbers.fold((0.0_f64, 0.0_f64), |(a, b), number| (a.min(number), b.max(number)));
        let room = if upper > lower { 0.03 * (upper - lower) } else { 1.0 };
        (lower - room, upper + room)
    }

    fn draw_axis(&self, layout: &Layout, canvas: &mut Canvas) {
        let area = layout.area;
        for number in (1..self.rows.len()).step_by(2) {
            let y = area.y + ROW_HEIGHT * number as f64;
            canvas.rect(Area::new(MARGIN, y, layout.width - 2.0 * MARGIN, ROW_HEIGHT), BAND);
        }
        for (value, label) in ticks(layout.range) {
            let x = layout.x(value);
            canvas.line((x, area.y), (x, area.bottom()), GRID, 0.8);
            canvas.line((x, area.bottom()), (x, area.bottom() + 3.0), AXIS, 0.8);
            text(canvas, &label, (x, area.bottom() + 13.0), SMALL, Anchor::Middle, GREY);
        }
        let zero = layout.x(0.0);
        canvas.line((zero, area.y), (zero, area.bottom()), AXIS, 1.0);
        canvas.line((area.x, area.bottom()), (area.right(), area.bottom()), AXIS, 0.8);
        let middle = (area.x + area.width / 2.0, area.bottom() + 26.0);
        text(canvas, &self.value_label, middle, SMALL, Anchor::Middle, GREY);
    }
}

fn draw_row(row: &ForestRow, number: usize, layout: &Layout, canvas: &mut Canvas) {
    let area = layout.area;
    let y = area.y + ROW_HEIGHT * (number as f64 + 0.5);
    text(
        canvas,
        &layout.labels[number],
        (area.x - GAP, y + LABEL.drop()),
        LABEL,
        Anchor::End,
        BLACK,
    );
    text(canvas, &row.remark, (area.right() + GAP, y + REMARK.drop()), REMARK, Anchor::Start, GREY);
    if let Some(reference) = row.reference {
        let x = layout.x(reference);
        canvas.line((x, y - 6.0), (x, y + 6.0), REFERENCE, 2.0);
    }
    let colour = if row.value < 0.0 { BELOW } else { ABOVE };
    let ends = [(layout.x(row.interval.0), y), (layout.x(row.interval.1), y)];
    canvas.stroke(&ends, Stroke { colour, width: 1.6, dashed: false });
    canvas.dot((layout.x(row.value), y), RADIUS, colour, !row.filled);
}

fn text(canvas: &mut Canvas, content: &str, at: (f64, f64), font: Font, anchor: Anchor, fill: Rgb) {
    canvas.text(&Text { content, at, font, anchor, turn: 0.0, fill });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64, filled: bool) -> ForestRow {
        ForestRow {
            label: format!("Tree & <{value}>, Joy"),
            value,
            interval: (value - 0.5, value + 0.7),
            filled,
            reference: filled.then_some(0.25),
            remark: "12 of 30".into(),
        }
    }

    fn forest() -> Forest {
        Forest {
            title: "Associations".into(),
            subtitle: "by hand".into(),
            rows: vec![row(2.0, true), row(0.1, false), row(-1.5, true)],
            value_label: "log odds ratio".into(),
            notes: vec!["A note.".into()],
        }
    }

    #[test]
    fn every_row_has_its_disc_its_interval_and_its_words() {
        let svg = forest().svg().unwrap();
        let markup = svg.as_str();
        assert_eq!(markup.matches("<circle").count(), 3);
        let hollow = |colour: &str| {
            markup.matches(&format!("fill=\"#ffffff\" stroke=\"#{colour}\"")).count()
        };
        assert_eq!((hollow("d55e00"), hollow("0072b2")), (1, 0), "{markup}");
        for words in
            ["Tree &amp; &lt;2&gt;, Joy", "12 of 30", "A note.", "log odds ratio", ">by hand<"]
        {
            assert!(markup.contains(words), "{words}: {markup}");
        }
        // Grey strokes of the two rows that have something to compare with.
        assert_eq!(markup.matches("stroke=\"#9a9a9a\"").count(), 2);
        assert!(svg.png(1.0).unwrap().len() > 1000);
    }

    #[test]
    fn the_axis_holds_every_interval_and_zero() {
        let layout = Layout::of(&forest()).unwrap();
        assert!(layout.range.0 < -2.0 && layout.range.1 > 2.7);
        let above = Forest { rows: vec![row(3.0, true)], ..forest() };
        assert!(Layout::of(&above).unwrap().range.0 < 0.0);
        assert_eq!(layout.x(layout.range.0), layout.area.x);
        approx::assert_abs_diff_eq!(layout.x(layout.range.1), layout.area.right(), epsilon = 1e-9);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert!(Forest { rows: Vec::new(), ..forest() }.svg().is_err());
        let wrong = Forest { rows: vec![row(f64::INFINITY, true)], ..forest() };
        assert!(wrong.svg().unwrap_err().to_string().contains("not finite"));
    }
}
