//! Small multiples: how several methods do by several measures, in panels of dots with intervals,
//! and in panels of curves. A method has the same colour everywhere; baselines are grey.

mod layout;
#[cfg(test)]
mod tests;

use self::layout::{Frame, HEAD_GAP, Layout, ROW_HEIGHT};
use super::colour::{BLACK, Rgb};
use super::svg::{Canvas, Stroke};
use super::text::{Anchor, Font, Text};
use super::{Svg, sample};
use crate::{Error, Result};

const TITLE: Font = Font::bold(13.0);
const SUBTITLE: Font = Font::regular(10.5);
const HEAD: Font = Font::bold(10.0);
const LABEL: Font = Font::regular(10.0);
const TICK: Font = Font::regular(8.5);
const SMALL: Font = Font::regular(8.5);

const GREY: Rgb = [0x44; 3];
const AXIS: Rgb = [0x66; 3];
const GRID: Rgb = [0xe4; 3];
const BASELINES: [Rgb; 2] = [[0x6e; 3], [0xa4; 3]];

/// Six colours that colour-blind readers can tell apart (Okabe & Ito 2008, without black and
/// yellow); the seventh method has the first again, with hollow dots and dashed lines.
const COLOURS: [Rgb; 6] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
];

/// The picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Panels {
    /// The first line, bold.
    pub title: String,
    /// Below the title; none when empty.
    pub subtitle: String,
    /// The methods: rows of dots, from the top.
    pub series: Vec<Series>,
    /// From the left to the right, then down; panels of dots before panels of lines.
    pub panels: Vec<Panel>,
    /// Lines of small print below everything.
    pub notes: Vec<String>,
}

/// A method.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Drawn in grey.
    pub baseline: bool,
}

/// A mean with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// The mean.
    pub value: f64,
    /// Lower and upper end.
    pub interval: Option<(f64, f64)>,
    /// A sign at the end of the row; none when empty.
    pub mark: &'static str,
    /// How many cases the mean is of, where that is known.
    pub n: Option<usize>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub enum Panel {
    /// A row for each series.
    Dots {
        /// What is measured.
        title: String,
        /// What the numbers are, below the axis.
        scale: String,
        /// Which side is good, at the right above the panel.
        better: String,
        /// One a series; none where there is no value.
        dots: Vec<Option<Dot>>,
        /// A dashed line.
        reference: Option<f64>,
    },
    /// A curve for each series.
    Lines {
        /// What is shown.
        title: String,
        /// Below the horizontal axis.
        across: String,
        /// Along the vertical axis.
        up: String,
        /// One a series, as (x, y), x ascending; none when empty.
        lines: Vec<Vec<(f64, f64)>>,
        /// The horizontal axis counts.
        whole_numbers: bool,
        /// How many cases the curves are of, where that is known.
        n: Option<usize>,
    },
}

impl Panel {
    /// The numbers of cases of its rows or curves, where they are known.
    fn numbers_of_cases(&self) -> Vec<usize> {
        match self {
            Self::Dots { dots, .. } => dots.iter().flatten().filter_map(|dot| dot.n).collect(),
            Self::Lines { n, .. } => n.iter().copied().collect(),
        }
    }

    /// Whether its rows are of different numbers of cases, so that each has its own at its end.
    fn has_a_number_in_each_row(&self) -> bool {
        self.numbers_of_cases().windows(2).any(|pair| pair[0] != pair[1])
    }
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy)]
struct Look {
    colour: Rgb,
    dashed: bool,
    hollow: bool,
}

impl Panels {
    /// Draws the picture.
    ///
    /// # Errors
    /// [`Error::Figure`] when there is nothing to draw, a panel has another number of entries than
    /// there are series, or a number is not finite.
    pub fn svg(&self) -> Result<Svg> {
        self.check()?;
        let layout = Layout::of(self)?;
        let mut canvas = Canvas::default();
        for (font, fill, lines) in [
            (TITLE, BLACK, &layout.title),
            (SUBTITLE, GREY, &layout.subtitle),
            (SMALL, GREY, &layout.notes),
        ] {
            for (line, at) in lines {
                text(&mut canvas, line, *at, font, Anchor::Start, fill);
            }
        }
        for (number, (panel, frame)) in self.panels.iter().zip(&layout.frames).enumerate() {
            canvas.group(&format!("panel-{number}"), |canvas| match panel {
                Panel::Dots { .. } => self.draw_dots(panel, frame, canvas),
                Panel::Lines { .. } => self.draw_lines(panel, frame, canvas),
            });
        }
        if let Some(at) = layout.legend {
            canvas.group("legend", |canvas| self.draw_legend(&layout, at, canvas));
        }
        Ok(canvas.finish(&self.title, layout.width, layout.height))
    }

    fn check(&self) -> Result<()> {
        let refuse =
            |message: String| Err(Error::Figure(format!("picture `{}`: {message}", self.title)));
        if self.series.is_empty() || self.panels.is_empty() {
            return refuse("no method or no panel leaves nothing to draw".into());
        }
        for panel in &self.panels {
            let (title, count, finite) = match panel {
                Panel::Dots { title, dots, reference, .. } => {
                    let own = dots.iter().flatten().flat_map(|dot| {
                        [
                            Some(dot.value),
                            dot.interval.map(|interval| interval.0),
                            dot.interval.map(|interval| interval.1),
                        ]
                    });
                    (title, dots.len(), own.flatten().chain(*reference).all(f64::is_finite))
                }
                Panel::Lines { title, lines, .. } => (
                    title,
                    lines.len(),
                    lines.iter().flatten().all(|(x, y)| x.is_finite() && y.is_finite()),
                ),
            };
            if count != self.series.len() || !finite {
                return refuse(format!(
                    "panel `{title}` should have {} entries, all finite; it has {count}",
                    self.series.len()
                ));
            }
        }
        Ok(())
    }

    fn look(&self, at: usize) -> Look {
        let before = self.series[..at]
            .iter()
            .filter(|other| other.baseline == self.series[at].baseline)
            .count();
        if self.series[at].baseline {
            return Look {
                colour: BASELINES[before % 2],
                dashed: before % 2 == 1,
                hollow: before % 2 == 1,
            };
        }
        let again = before / COLOURS.len() % 2 == 1;
        Look { colour: COLOURS[before % COLOURS.len()], dashed: again, hollow: again }
    }

    fn draw_dots(&self, panel: &Panel, frame: &Frame, canvas: &mut Canvas) {
        let Panel::Dots { scale, better, dots, reference, .. } = panel else { return };
        let area = frame.area;
        text(canvas, &frame.title, (area.x, area.y - HEAD_GAP), HEAD, Anchor::Start, BLACK);
        text(canvas, better, (area.right(), area.y - HEAD_GAP), TICK, Anchor::End, GREY);
        draw_across(frame, scale, canvas);
        if let Some(value) = reference {
            let x = frame.x(*value);
            canvas.stroke(
                &[(x, area.y), (x, area.bottom())],
                Stroke { colour: BASELINES[0], width: 0.9, dashed: true },
            );
        }
        for (at, (series, dot)) in self.series.iter().zip(dots).enumerate() {
            let (y, look) = (area.y + (at as f64 + 0.5) * ROW_HEIGHT, self.look(at));
            if frame.labelled {
                let fill = if series.baseline { GREY } else { BLACK };
                let position = (area.x - layout::GAP, y + LABEL.drop());
                text(canvas, &series.name, position, LABEL, Anchor::End, fill);
            }
            let Some(dot) = dot else {
                text(canvas, "–", (area.x + 4.0, y + LABEL.drop()), LABEL, Anchor::Start, AXIS);
                continue;
            };
            if let Some((lower, upper)) = dot.interval {
                let stroke = Stroke { colour: look.colour, width: 1.6, dashed: false };
                canvas.stroke(&[(frame.x(lower), y), (frame.x(upper), y)], stroke);
            }
            canvas.dot((frame.x(dot.value), y), 3.2, look.colour, look.hollow);
            if !dot.mark.is_empty() {
                text(
                    canvas,
                    dot.mark,
                    (area.right() + 4.0, y + LABEL.drop()),
                    LABEL,
                    Anchor::Start,
                    BLACK,
                );
            }
            if let (true, Some(n)) = (panel.has_a_number_in_each_row(), dot.n) {
                let position = (area.right() + layout::ROW_NUMBER, y + TICK.drop());
                text(canvas, &n.to_string(), position, TICK, Anchor::Start, GREY);
            }
        }
        draw_sample(panel, frame, canvas);
    }

    fn draw_lines(&self, panel: &Panel, frame: &Frame, canvas: &mut Canvas) {
        let Panel::Lines { across, up, lines, .. } = panel else { return };
        let area = frame.area;
        text(canvas, &frame.title, (area.x, area.y - HEAD_GAP), HEAD, Anchor::Start, BLACK);
        for (value, label) in &frame.up {
            let y = frame.y(*value);
            canvas.line((area.x, y), (area.right(), y), GRID, 0.8);
            text(canvas, label, (area.x - 3.0, y + TICK.drop()), TICK, Anchor::End, GREY);
        }
        draw_across(frame, across, canvas);
        if frame.labelled {
            let position = (area.x - layout::UP_LABEL, area.y + area.height / 2.0);
            let (content, font, anchor) = (up.as_str(), TICK, Anchor::Middle);
            canvas.text(&Text { content, at: position, font, anchor, turn: -90.0, fill: GREY });
        }
        // Baselines first, so that they lie below.
        let mut order: Vec<usize> = (0..lines.len()).collect();
        order.sort_by_key(|&at| !self.series[at].baseline);
        for at in order.into_iter().filter(|&at| !lines[at].is_empty()) {
            let points: Vec<(f64, f64)> =
                lines[at].iter().map(|&(x, y)| (frame.x(x), frame.y(y))).collect();
            let look = self.look(at);
            canvas.stroke(&points, Stroke { colour: look.colour, width: 1.4, dashed: look.dashed });
        }
        draw_sample(panel, frame, canvas);
    }

    /// What the colours are, where there are no rows of dots to say it.
    fn draw_legend(&self, layout: &Layout, (left, top): (f64, f64), canvas: &mut Canvas) {
        for (at, (series, x)) in self.series.iter().zip(&layout.legend_at).enumerate() {
            let (look, y) = (self.look(at), top + x.1);
            let stroke = Stroke { colour: look.colour, width: 1.4, dashed: look.dashed };
            canvas.stroke(&[(left + x.0, y), (left + x.0 + 18.0, y)], stroke);
            text(
                canvas,
                &series.name,
                (left + x.0 + 22.0, y + LABEL.drop()),
                LABEL,
                Anchor::Start,
                BLACK,
            );
        }
    }
}

/// The horizontal axis: ticks, grid, label.
fn draw_across(frame: &Frame, label: &str, canvas: &mut Canvas) {
    let area = frame.area;
    for (value, tick) in &frame.across {
        let x = frame.x(*value);
        canvas.line((x, area.y), (x, area.bottom()), GRID, 0.8);
        canvas.line((x, area.bottom()), (x, area.bottom() + 3.0), AXIS, 0.8);
        let position = (x, area.bottom() + layout::TICK_DROP);
        text(canvas, tick, position, TICK, Anchor::Middle, GREY);
    }
    canvas.line((area.x, area.bottom()), (area.right(), area.bottom()), AXIS, 0.8);
    let position = (area.x + area.width / 2.0, area.bottom() + layout::SCALE_DROP);
    text(canvas, label, position, TICK, Anchor::Middle, GREY);
}

/// Below the axis: how many cases a panel is of.
fn draw_sample(panel: &Panel, frame: &Frame, canvas: &mut Canvas) {
    let area = frame.area;
    let position = (area.x + area.width / 2.0, area.bottom() + layout::SAMPLE_DROP);
    let sample = match panel.has_a_number_in_each_row() {
        true => "n: at the right".to_string(),
        false => sample(panel.numbers_of_cases()),
    };
    text(canvas, &sample, position, TICK, Anchor::Middle, GREY);
}

fn text(canvas: &mut Canvas, content: &str, at: (f64, f64), font: Font, anchor: Anchor, fill: Rgb) {
    canvas.text(&Text { content, at, font, anchor, turn: 0.0, fill });
}
