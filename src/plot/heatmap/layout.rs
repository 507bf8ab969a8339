//! Where everything in a heatmap goes. All text is measured first, and the paper is made large
//! enough for it.

use super::{Heatmap, LABEL, SMALL, SUBTITLE, TITLE, VALUE};
use crate::Result;
use crate::plot::svg::Area;
use crate::plot::text::{ASCENT, DESCENT, LEADING, Line, lines, shorten, widest, widths, wrap};
use std::collections::BTreeSet;

/// Between the picture and the paper's edge.
const MARGIN: f64 = 14.0;
/// Between the cells and their labels.
pub(super) const GAP: f64 = 5.0;
/// Between blocks: header, cells, small print.
const BLOCK: f64 = 12.0;
const CELL_WIDTH: f64 = 30.0;
const CELL_HEIGHT: f64 = 20.0;
/// White between neighbouring cells.
const SEAM: f64 = 1.0;
/// Degrees by which column labels rise. At 45 degrees labels 30 apart are 21 from middle line to
/// middle line, more than a line of text is high, so that they cannot collide.
pub(super) const SLANT: f64 = 45.0;
/// A label longer than this is shortened.
const LONGEST_LABEL: f64 = 400.0;
const LONGEST_NOTE: f64 = 120.0;
const BAR_WIDTH: f64 = 12.0;
const BAR_HEIGHT: (f64, f64) = (110.0, 300.0);
pub(super) const TICK: f64 = 3.0;
/// A narrow picture is widened up to here for its title, before the title is wrapped.
const TITLE_WIDTH: f64 = 480.0;
const SWATCH: (f64, f64) = (18.0, 11.0);

/// How column notes are set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Footer {
    None,
    /// Horizontally, where every note is narrower than its column.
    Level,
    /// Upwards.
    Upright,
}

/// Positions in pixels and the text as it will be set.
#[derive(Debug)]
pub(super) struct Layout {
    pub title: Vec<Line>,
    pub subtitle: Vec<Line>,
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    pub column_notes: Vec<String>,
    pub column_notes_label: String,
    pub footer: Footer,
    pub value_label: Vec<Line>,
    pub notes: Vec<Line>,
    /// The sample of an empty cell beside the first note.
    pub swatch: Option<Area>,
    /// All cells together.
    pub grid: Area,
    pub bar: Area,
    pub ticks: Vec<(f64, String)>,
    pub width: f64,
    pub height: f64,
    cell_width: f64,
}

impl Layout {
    /// Lays out a heatmap whose contents have been checked.
    pub(super) fn of(map: &Heatmap) -> Result<Self> {
        let mut layout = Self::with_contents(map)?;
        layout.place_across(map)?;
        layout.place_down(map)?;
        Ok(layout)
    }

    /// One cell, without the seam to its neighbours.
    pub(super) fn cell(&self, row: usize, column: usize) -> Area {
        let (x, y) =
            (self.grid.x + column as f64 * self.cell_width, self.grid.y + row as f64 * CELL_HEIGHT);
        Area::new(x + SEAM / 2.0, y + SEAM / 2.0, self.cell_width - SEAM, CELL_HEIGHT - SEAM)
    }

    pub(super) fn column_centre(&self, column: usize) -> f64 {
        self.grid.x + (column as f64 + 0.5) * self.cell_width
    }

    /// The start of a column label's baseline: the middle line of the slanted text meets the middle
    /// of the column.
    pub(super) fn column_label(&self, column: usize) -> (f64, f64) {
        (self.column_centre(column) + LABEL.drop() * SLANT.to_radians().sin(), self.grid.y - GAP)
    }

    /// The text as it will be set, and sizes; no positions yet.
    fn with_contents(map: &Heatmap) -> Result<Self> {
        let numbers: BTreeSet<String> =
            map.values.iter().flatten().flatten().map(|v| cell_text(*v)).collect();
        let numbers: Vec<String> = numbers.into_iter().collect();
        let cell_width = (widest(&numbers, VALUE)? + 6.0).max(CELL_WIDTH);
        let column_notes = shorten(&map.column_notes, SMALL, LONGEST_NOTE)?;
        let footer = match widest(&column_notes, SMALL)? {
            _ if column_notes.is_empty() => Footer::None,
            width if width + 3.0 <= cell_width => Footer::Level,
            _ => Footer::Upright,
        };
        let mut label = shorten(&[&map.column_notes_label], SMALL, LONGEST_LABEL)?;
        let grid = Area::new(
            0.0,
            0.0,
            cell_width * map.columns.len() as f64,
            CELL_HEIGHT * map.rows.len() as f64,
        );
        Ok(Self {
            title: Vec::new(),
            subtitle: Vec::new(),
            rows: shorten(&map.rows, LABEL, LONGEST_LABEL)?,
            columns: shorten(&map.columns, LABEL, LONGEST_LABEL)?,
            column_notes,
            column_notes_label: label.pop().unwrap_or_default(),
            footer,
            value_label: Vec::new(),
            notes: Vec::new(),
            swatch: None,
            grid,
            bar: Area::new(0.0, 0.0, BAR_WIDTH, grid.height.clamp(BAR_HEIGHT.0, BAR_HEIGHT.1)),
            ticks: ticks(map.range),
            width: 0.0,
            height: 0.0,
            cell_width,
        })
    }

    /// Everything's x, and the width.
    fn place_across(&mut self, map: &Heatmap) -> Result<()> {
        let mut labels = widest(&self.rows, LABEL)?;
        if self.footer != Footer::None {
            labels = labels.max(widest(&[&self.column_notes_label], SMALL)?);
        }
        self.grid.x = MARGIN + labels + GAP;
        self.bar.x = self.grid.right() + 16.0;
        let tick_labels: Vec<&str> = self.ticks.iter().map(|(_, label)| label.as_str()).collect();
        let mut right = self.bar.right() + TICK + 2.0 + widest(&tick_labels, VALUE)?;
        for line in wrap(&map.value_label, LABEL, self.bar.height)? {
            right += LABEL.size * LEADING;
            self.value_label.push((line, (right, 0.0)));
        }
        right += if self.value_label.is_empty() { 0.0 } else { LABEL.size * DESCENT };
        for (column, width) in widths(&self.columns, LABEL)?.into_iter().enumerate() {
            right = right.max(self.column_label(column).0 + slanted(width + LABEL.size * DESCENT));
        }
        let title = widths(&[&map.title], TITLE)?[0];
        self.width = (right + MARGIN).max((title + 2.0 * MARGIN + 1.0).min(TITLE_WIDTH));
        Ok(())
    }

    /// Everything's y, the lines of running text, and the height.
    fn place_down(&mut self, map: &Heatmap) -> Result<()> {
        let inner = self.width - 2.0 * MARGIN;
        let mut y = MARGIN;
        self.title = lines(&wrap(&map.title, TITLE, inner)?, TITLE, MARGIN, &mut y);
        self.subtitle = lines(
            &wrap(map.subtitle.as_deref().unwrap_or_default(), SUBTITLE, inner)?,
            SUBTITLE,
            MARGIN,
            &mut y,
        );
        if y > MARGIN {
            y += BLOCK;
        }
        let slant = slanted(widest(&self.columns, LABEL)? + LABEL.size * ASCENT);
        // The topmost tick's number reaches above the bar.
        self.grid.y = y + slant.max(VALUE.size / 2.0) + GAP;
        self.bar.y = self.grid.y;
        for (_, at) in &mut self.value_label {
            at.1 = self.bar.y + self.bar.height / 2.0;
        }
        let footer = match self.footer {
            Footer::None => 0.0,
            Footer::Level => GAP + SMALL.size * (ASCENT + DESCENT),
            Footer::Upright => {
                GAP + widest(&self.column_notes, SMALL)?.max(SMALL.size * (ASCENT + DESCENT))
            }
        };
        y = (self.grid.bottom() + footer).max(self.bar.bottom() + VALUE.size / 2.0);
        self.place_small_print(map, inner, &mut y)?;
        self.height = y + MARGIN;
        Ok(())
    }

    fn place_small_print(&mut self, map: &Heatmap, inner: f64, y: &mut f64) -> Result<()> {
        let notes: Vec<&String> = map.notes.iter().filter(|note| !note.trim().is_empty()).collect();
        if map.has_empty_cells() {
            *y += BLOCK;
            let indent = SWATCH.0 + 6.0;
            self.notes =
                lines(&wrap(&map.empty_label, SMALL, inner - indent)?, SMALL, MARGIN + indent, y);
            let baseline = match self.notes.first() {
                Some((_, at)) => at.1,
                None => {
                    *y += SWATCH.1;
                    *y
                }
            };
            let middle = baseline - SMALL.drop();
            self.swatch = Some(Area::new(MARGIN, middle - SWATCH.1 / 2.0, SWATCH.0, SWATCH.1));
        }
        *y += if notes.is_empty() {
            0.0
        } else {
            BLOCK / if self.swatch.is_some() { 3.0 } else { 1.0 }
        };
        for note in notes {
            self.notes.extend(lines(&wrap(note, SMALL, inner)?, SMALL, MARGIN, y));
        }
        Ok(())
    }
}

/// Two decimals without the leading zero, as in the paper's figure: `.52`, `−.12`; from one on one
/// decimal, `1.0`; from ten thousand on a power of ten.
pub(super) fn cell_text(value: f64) -> String {
    let hundredths = format!("{:.2}", value.abs());
    let digits = match hundredths.strip_prefix('0') {
        Some(decimals) => decimals.to_string(),
        None if value.abs() < 1e4 => format!("{:.1}", value.abs()),
        None => format!("{:.1e}", value.abs()),
    };
    let negative = value < 0.0 && digits != ".00";
    format!("{}{digits}", if negative { "−" } else { "" })
}

/// Round values within the range, a step of 1, 2 or 5 times a power of ten apart, about five in
/// all, with their labels.
pub(in crate::plot) fn ticks((lower, upper): (f64, f64)) -> Vec<(f64, String)> {
    let rough = (upper - lower) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|s| *s >= rough * 0.999)
        .unwrap_or(rough);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let slack = 1e-9 * step;
    let first = ((lower - slack) / step).ceil();
    // Never more than a handful, also where the step is below the resolution of the numbers.
    (0..=10)
        .map(|i| (first + f64::from(i)) * step)
        .take_while(|value| *value <= upper + slack)
        .map(|value| {
            let label = if decimals > 6 || value.abs() >= 1e6 {
                format!("{value:.1e}")
            } else {
                format!("{:.decimals$}", value + 0.0)
            };
            (value.clamp(lower, upper), label.replace('-', "−"))
        })
        .collect()
}

/// How far text of this length reaches along either axis when slanted.
fn slanted(length: f64) -> f64 {
    length * SLANT.to_radians().sin()
}
