//! A matrix as a picture: one coloured cell per value with the value printed in it, slanted column
//! labels, a colour bar. Made for association matrices (classes x emotions) and square tables of
//! correlations.

mod layout;
#[cfg(test)]
mod tests;

pub(super) use self::layout::ticks;
use self::layout::{Footer, Layout};
use super::Svg;
use super::colour::{BLACK, Rgb, Scale, faded, readable_on};
use super::svg::{Area, Canvas};
use super::text::{Anchor, Font, Text};
use crate::{Error, Result};

const TITLE: Font = Font::bold(13.0);
const SUBTITLE: Font = Font::regular(10.5);
const LABEL: Font = Font::regular(10.0);
const VALUE: Font = Font::regular(9.0);
const SMALL: Font = Font::regular(8.5);

/// The dot of a marked cell, and how far its middle is from the cell's edges.
const MARK_RADIUS: f64 = 1.4;
const MARK_INSET: f64 = 3.2;

const GREY: Rgb = [0x44; 3];
const AXIS: Rgb = [0x66; 3];
const EMPTY: Rgb = [0xf4; 3];
const HATCH: Rgb = [0xbc; 3];

/// What a heatmap shows. Every field is free to change; [`Heatmap::default`] is an empty one over
/// the range 0 to 1.
///
/// Labels may be long (they are shortened with an ellipsis from 400 pixels on, about 70 letters)
/// and may hold any characters; those that no font has appear as their code points, as `U+732B`.
#[derive(Debug, Clone, PartialEq)]
pub struct Heatmap {
    /// The first line, bold; none when empty.
    pub title: String,
    /// Below the title.
    pub subtitle: Option<String>,
    /// Labels of the rows, from the top.
    pub rows: Vec<String>,
    /// Labels of the columns, from the left.
    pub columns: Vec<String>,
    /// One inner vector per row, with one value per column; `None` is an empty cell: hatched and
    /// without a number.
    pub values: Vec<Vec<Option<f64>>>,
    /// The values at the two ends of the colour bar. With zero strictly inside, the colours diverge
    /// from zero.
    pub range: (f64, f64),
    /// What a value is, written along the colour bar.
    pub value_label: String,
    /// What an empty cell means, in the legend that is drawn when there is one.
    pub empty_label: String,
    /// A line below each column, as the number of images behind it; none at all when empty.
    pub column_notes: Vec<String>,
    /// What the column notes are, at their left.
    pub column_notes_label: String,
    /// Columns that are drawn faded, by number, as those of few images; what it means is for the
    /// notes to say.
    pub faded: Vec<usize>,
    /// Cells that get a dot in their upper right corner, as (row, column); what it means is for the
    /// notes to say.
    pub marks: Vec<(usize, usize)>,
    /// Lines of small print below everything.
    pub notes: Vec<String>,
}

impl Default for Heatmap {
    fn default() -> Self {
        Self {
            title: String::new(),
            subtitle: None,
            rows: Vec::new(),
            columns: Vec::new(),
            values: Vec::new(),
            range: (0.0, 1.0),
            value_label: String::new(),
            empty_label: "no data".into(),
            column_notes: Vec::new(),
            column_notes_label: String::new(),
            faded: Vec::new(),
            marks: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl Heatmap {
    /// Draws the picture.
    ///
    /// # Errors
    /// [`Error::Figure`] when there is no cell, when labels and values differ in number, when the
    /// range is not finite and ascending, or when a value is not finite or lies outside the range
    /// by more than rounding.
    pub fn svg(&self) -> Result<Svg> {
        self.check()?;
        let layout = Layout::of(self)?;
        let mut canvas = Canvas::default();
        self.draw_header(&layout, &mut canvas);
        canvas.group("rows", |canvas| draw_row_labels(&layout, canvas));
        canvas.group("columns", |canvas| self.draw_column_labels(&layout, canvas));
        canvas.group("cells", |canvas| self.draw_cells(&layout, canvas));
        self.draw_column_notes(&layout, &mut canvas);
        canvas.group("colour-bar", |canvas| self.draw_colour_bar(&layout, canvas));
        self.draw_small_print(&layout, &mut canvas);
        Ok(canvas.finish(&self.title, layout.width, layout.height))
    }

    fn check(&self) -> Result<()> {
        let refuse =
            |message: String| Err(Error::Figure(format!("heatmap `{}`: {message}", self.title)));
        let (rows, columns) = (self.rows.len(), self.columns.len());
        if rows == 0 || columns == 0 {
            return refuse(format!("{rows} rows and {columns} columns leave nothing to draw"));
        }
        if self.values.len() != rows {
            return refuse(format!("{rows} row labels, but {} rows of values", self.values.len()));
        }
        if let Some(row) = self.values.iter().position(|row| row.len() != columns) {
            let found = self.values[row].len();
            return refuse(format!(
                "{columns} column labels, but {found} values in row `{}`",
                self.rows[row]
            ));
        }
        if !self.column_notes.is_empty() && self.column_notes.len() != columns {
            return refuse(format!(
                "{columns} columns, but {} column notes",
                self.column_notes.len()
            ));
        }
        let (lower, upper) = self.range;
        let span = upper - lower;
        // The span is finite when both ends are, save for overflow, which cannot be drawn either.
        if !(span > 0.0 && span.is_finite()) {
            return refuse(format!("the range {lower} to {upper} is not finite and ascending"));
        }
        let rounding = 1e-6 * span;
        for (row, values) in self.rows.iter().zip(&self.values) {
            for (column, value) in self.columns.iter().zip(values) {
                if let Some(value) =
                    value.filter(|v| !(lower - rounding..=upper + rounding).contains(v))
                {
                    return refuse(format!(
                        "the value of row `{row}`, column `{column}` is {value}, not a number from \
                         {lower} to {upper}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn has_empty_cells(&self) -> bool {
        self.values.iter().flatten().any(Option::is_none)
    }

    fn draw_header(&self, layout: &Layout, canvas: &mut Canvas) {
        for (line, at) in &layout.title {
            canvas.text(&Text {
                content: line,
                at: *at,
                font: TITLE,
                anchor: Anchor::Start,
                turn: 0.0,
                fill: BLACK,
            });
        }
        for (line, at) in &layout.subtitle {
            canvas.text(&Text {
                content: line,
                at: *at,
                font: SUBTITLE,
                anchor: Anchor::Start,
                turn: 0.0,
                fill: GREY,
            });
        }
    }

    fn draw_cells(&self, layout: &Layout, canvas: &mut Canvas) {
        let scale = Scale::new(self.range);
        for (row, values) in self.values.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let area = layout.cell(row, column);
                let Some(value) = *value else {
                    draw_empty(area, canvas);
                    continue;
                };
                let colour = match self.faded.contains(&column) {
                    true => faded(scale.colour(value)),
                    false => scale.colour(value),
                };
                canvas.rect(area, colour);
                let position =
                    (area.x + area.width / 2.0, area.y + area.height / 2.0 + VALUE.drop());
                let (content, fill) = (&layout::cell_text(value), readable_on(colour));
                canvas.text(&Text {
                    content,
                    at: position,
                    font: VALUE,
                    anchor: Anchor::Middle,
                    turn: 0.0,
                    fill,
                });
                if self.marks.contains(&(row, column)) {
                    canvas.spot(
                        (area.right() - MARK_INSET, area.y + MARK_INSET),
                        MARK_RADIUS,
                        fill,
                    );
                }
            }
        }
    }

    fn draw_column_labels(&self, layout: &Layout, canvas: &mut Canvas) {
        for (column, content) in layout.columns.iter().enumerate() {
            let (at, fill) = (
                layout.column_label(column),
                if self.faded.contains(&column) { AXIS } else { BLACK },
            );
            canvas.text(&Text {
                content,
                at,
                font: LABEL,
                anchor: Anchor::Start,
                turn: -layout::SLANT,
                fill,
            });
        }
    }

    fn draw_column_notes(&self, layout: &Layout, canvas: &mut Canvas) {
        if layout.footer == Footer::None {
            return;
        }
        canvas.group("column-notes", |canvas| {
            let y = layout.grid.bottom() + layout::GAP + SMALL.size * super::text::ASCENT;
            let position = (layout.grid.x - layout::GAP, y);
            let content = &layout.column_notes_label;
            canvas.text(&Text {
                content,
                at: position,
                font: SMALL,
                anchor: Anchor::End,
                turn: 0.0,
                fill: GREY,
            });
            for (column, content) in layout.column_notes.iter().enumerate() {
                let x = layout.column_centre(column);
                let (position, anchor, turn) = match layout.footer {
                    Footer::Upright => {
                        ((x + SMALL.drop(), layout.grid.bottom() + layout::GAP), Anchor::End, -90.0)
                    }
                    Footer::Level | Footer::None => ((x, y), Anchor::Middle, 0.0),
                };
                canvas.text(&Text { content, at: position, font: SMALL, anchor, turn, fill: GREY });
            }
        });
    }

    fn draw_colour_bar(&self, layout: &Layout, canvas: &mut Canvas) {
        let bar = layout.bar;
        let (lower, upper) = self.range;
        let scale = Scale::new(self.range);
        let colours: Vec<Rgb> =
            (0..=32).map(|i| scale.colour(lower + (upper - lower) * f64::from(i) / 32.0)).collect();
        canvas.gradient("values", bar, &colours);
        for (value, label) in &layout.ticks {
            let y = bar.bottom() - (value - lower) / (upper - lower) * bar.height;
            canvas.line((bar.right(), y), (bar.right() + layout::TICK, y), AXIS, 0.8);
            let position = (bar.right() + layout::TICK + 2.0, y + VALUE.drop());
            canvas.text(&Text {
                content: label,
                at: position,
                font: VALUE,
                anchor: Anchor::Start,
                turn: 0.0,
                fill: GREY,
            });
        }
        for (line, at) in &layout.value_label {
            let (font, anchor) = (LABEL, Anchor::Middle);
            canvas.text(&Text { content: line, at: *at, font, anchor, turn: -90.0, fill: BLACK });
        }
    }

    fn draw_small_print(&self, layout: &Layout, canvas: &mut Canvas) {
        if let Some(swatch) = layout.swatch {
            canvas.group("empty", |canvas| draw_empty(swatch, canvas));
        }
        for (line, at) in &layout.notes {
            canvas.text(&Text {
                content: line,
                at: *at,
                font: SMALL,
                anchor: Anchor::Start,
                turn: 0.0,
                fill: GREY,
            });
        }
    }
}

fn draw_empty(area: Area, canvas: &mut Canvas) {
    canvas.rect(area, EMPTY);
    canvas.hatch(area, 5.0, HATCH, 0.7);
}

fn draw_row_labels(layout: &Layout, canvas: &mut Canvas) {
    for (row, content) in layout.rows.iter().enumerate() {
        let cell = layout.cell(row, 0);
        let position = (layout.grid.x - layout::GAP, cell.y + cell.height / 2.0 + LABEL.drop());
        canvas.text(&Text {
            content,
            at: position,
            font: LABEL,
            anchor: Anchor::End,
            turn: 0.0,
            fill: BLACK,
        });
    }
}
