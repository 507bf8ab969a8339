//! Where the panels go: as many beside each other as are useful, names of methods at the left of
//! each row of dots.

use super::{HEAD, LABEL, Panel, Panels, SMALL, SUBTITLE, TICK, TITLE};
use crate::Result;
use crate::plot::heatmap::ticks;
use crate::plot::svg::Area;
use crate::plot::text::{ASCENT, DESCENT, Font, shorten, widest, widths, wrap};

const MARGIN: f64 = 14.0;
/// Between names and panels.
pub(super) const GAP: f64 = 6.0;
/// Panels in a row.
const ACROSS: usize = 4;
const PANEL_WIDTH: f64 = 170.0;
/// Between panels; those of lines need room for their ticks.
const BETWEEN: f64 = 34.0;
const LINES_HEIGHT: f64 = 120.0;
/// A row of dots.
pub(super) const ROW_HEIGHT: f64 = 16.0;
/// From a panel's title's baseline to the panel.
pub(super) const HEAD_GAP: f64 = 6.0;
const HEAD_HEIGHT: f64 = 18.0;
/// From a panel's lower edge to the baselines of ticks, label and number of cases.
pub(super) const TICK_DROP: f64 = 13.0;
pub(super) const SCALE_DROP: f64 = 25.0;
pub(super) const SAMPLE_DROP: f64 = 36.0;
const FOOT_HEIGHT: f64 = 51.0;
/// From a panel's right edge to the number of cases of a row, right of its mark.
pub(super) const ROW_NUMBER: f64 = 13.0;
/// From a panel's left edge to the middle of the turned label.
pub(super) const UP_LABEL: f64 = 28.0;
const LEADING: f64 = 1.35;

type Line = (String, (f64, f64));

/// A panel's place and axes.
#[derive(Debug)]
pub(super) struct Frame {
    pub area: Area,
    /// Ranges of the two axes; the vertical one is unused for dots.
    range: (f64, f64),
    range_up: (f64, f64),
    /// Values and labels of the ticks.
    pub across: Vec<(f64, String)>,
    pub up: Vec<(f64, String)>,
    /// The first of its row.
    pub labelled: bool,
    /// The panel's title, cut where it is longer than there is room for.
    pub title: String,
}

impl Frame {
    pub(super) fn x(&self, value: f64) -> f64 {
        let (lower, upper) = self.range;
        self.area.x + (value - lower) / (upper - lower) * self.area.width
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let (lower, upper) = self.range_up;
        self.area.bottom() - (value - lower) / (upper - lower) * self.area.height
    }
}

/// Positions, and the text as it will be set.
#[derive(Debug)]
pub(super) struct Layout {
    pub title: Vec<Line>,
    pub subtitle: Vec<Line>,
    pub notes: Vec<Line>,
    /// One a panel.
    pub frames: Vec<Frame>,
    /// The legend's upper left, and each entry's place from there.
    pub legend: Option<(f64, f64)>,
    pub legend_at: Vec<(f64, f64)>,
    pub width: f64,
    pub height: f64,
}

impl Layout {
    pub(super) fn of(picture: &Panels) -> Result<Self> {
        let names: Vec<&str> = picture.series.iter().map(|series| series.name.as_str()).collect();
        let names = widths(&names, LABEL)?;
        let left = MARGIN + names.iter().copied().fold(UP_LABEL, f64::max) + GAP;
        let across = picture.panels.len().min(ACROSS);
        let inner = across as f64 * PANEL_WIDTH + (across - 1) as f64 * BETWEEN;
        let width = left + inner + row_numbers(&picture.panels)?.max(8.0) + MARGIN;
        let mut y = MARGIN;
        let title = lines(&wrap(&picture.title, TITLE, width - 2.0 * MARGIN)?, TITLE, &mut y);
        let subtitle =
            lines(&wrap(&picture.subtitle, SUBTITLE, width - 2.0 * MARGIN)?, SUBTITLE, &mut y);
        y += 12.0;

        let (dots, curves): (Vec<usize>, Vec<usize>) = (0..picture.panels.len())
            .partition(|&at| matches!(picture.panels[at], Panel::Dots { .. }));
        let mut frames: Vec<(usize, Frame)> = Vec::new();
        let rows = dots
            .chunks(ACROSS)
            .map(|row| (row, ROW_HEIGHT * picture.series.len() as f64, PANEL_WIDTH));
        // One curve more than fits is let in by making all of them narrower.
        let of_curves = curves.len().clamp(1, ACROSS + 1);
        let narrow = ((inner + BETWEEN) / of_curves as f64 - BETWEEN).min(PANEL_WIDTH);
        for (row, height, wide) in
            rows.chain(curves.chunks(of_curves).map(|row| (row, LINES_HEIGHT, narrow)))
        {
            y += HEAD_HEIGHT;
            for (column, &at) in row.iter().enumerate() {
                let area = Area::new(left + column as f64 * (wide + BETWEEN), y, wide, height);
                frames.push((at, frame(&picture.panels[at], area, column == 0)?));
            }
            y += height + FOOT_HEIGHT;
        }
        frames.sort_by_key(|(at, _)| *at);

        let (mut legend, mut legend_at) = (None, Vec::new());
        if dots.is_empty() {
            legend = Some((left, y));
            legend_at = flow(&names, inner);
            y += legend_at.last().map_or(0.0, |place| place.1) + 18.0;
        }
        let mut notes = Vec::new();
        for note in &picture.notes {
            notes.extend(lines(&wrap(note, SMALL, width - 2.0 * MARGIN)?, SMALL, &mut y));
        }
        let frames = frames.into_iter().map(|(_, frame)| frame).collect();
        Ok(Self { title, subtitle, notes, frames, legend, legend_at, width, height: y + MARGIN })
    }
}

/// The room that the longest number of cases at the end of a row takes, right of the panels.
fn row_numbers(panels: &[Panel]) -> Result<f64> {
    let with_numbers = panels.iter().filter(|panel| panel.has_a_number_in_each_row());
    let numbers: Vec<String> =
        with_numbers.flat_map(|panel| panel.numbers_of_cases()).map(|n| n.to_string()).collect();
    Ok(if numbers.is_empty() { 0.0 } else { ROW_NUMBER + widest(&numbers, TICK)? })
}

/// The axes of a panel.
fn frame(panel: &Panel, area: Area, labelled: bool) -> Result<Frame> {
    Ok(match panel {
        Panel::Dots { title, better, dots, reference, .. } => {
            let beside = widest(&[better], TICK)?;
            let title = one_line(title, area.width - beside - GAP)?;
            let own = dots.iter().flatten().flat_map(|dot| {
                let (lower, upper) = dot.interval.unwrap_or((dot.value, dot.value));
                [lower, dot.value, upper]
            });
            let range = padded(own.chain(*reference));
            Frame {
                area,
                range,
                range_up: (0.0, 1.0),
                across: few(range, 4),
                up: Vec::new(),
                labelled,
                title,
            }
        }
        Panel::Lines { title, lines, whole_numbers, .. } => {
            let title = one_line(title, area.width + BETWEEN - GAP)?;
            let points = || lines.iter().flatten();
            let highest = points().map(|point| point.0).fold(0.0, f64::max);
            let range = (0.0, if highest > 0.0 { highest } else { 1.0 });
            let range_up = padded(points().map(|point| point.1));
            let across = match whole_numbers {
                true => {
                    (0..=highest as usize).map(|value| (value as f64, value.to_string())).collect()
                }
                false => few(range, 5),
            };
            Frame { area, range, range_up, across, up: few(range_up, 5), labelled, title }
        }
    })
}

/// A title in the room that it has.
fn one_line(title: &str, limit: f64) -> Result<String> {
    Ok(shorten(&[title], HEAD, limit)?.pop().unwrap_or_default())
}

/// The values' range and a little more; never empty.
fn padded(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (lower, upper) =
        values.fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(value), b.max(value)));
    if lower > upper {
        return (0.0, 1.0);
    }
    // Where all values are the same, a round range about them.
    let room = if upper > lower { (upper - lower) * 0.08 } else { upper.abs().max(0.1) / 2.0 };
    (lower - room, upper + room)
}

/// Ticks, every other one left out until there are at most `most`.
fn few(range: (f64, f64), most: usize) -> Vec<(f64, String)> {
    let mut found = ticks(range);
    while found.len() > most {
        // Zero stays where it is a tick.
        let zero = found.iter().position(|(value, _)| *value == 0.0).unwrap_or(0);
        found = found
            .into_iter()
            .enumerate()
            .filter(|(at, _)| at % 2 == zero % 2)
            .map(|(_, tick)| tick)
            .collect();
    }
    found
}

/// Places of the legend's entries, from the left to the right, then down.
fn flow(names: &[f64], limit: f64) -> Vec<(f64, f64)> {
    let (mut x, mut y) = (0.0, 4.0);
    names
        .iter()
        .map(|width| {
            let needed = 22.0 + width + 16.0;
            if x > 0.0 && x + needed > limit {
                (x, y) = (0.0, y + 15.0);
            }
            let position = (x, y);
            x += needed;
            position
        })
        .collect()
}

/// Sets lines one below the other from `y`, which moves below the last.
fn lines(text: &[String], font: Font, y: &mut f64) -> Vec<Line> {
    let above = font.size * ((LEADING - ASCENT - DESCENT) / 2.0 + ASCENT);
    let line = |line: &String| {
        let position = (MARGIN, *y + above);
        *y += font.size * LEADING;
        (line.clone(), position)
    };
    text.iter().map(line).collect()
}
