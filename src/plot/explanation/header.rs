//! The network's answer: the photo's name, the label, the most probable labels as bars, valence and
//! arousal on their scales.

use super::{
    AXIS, Answer, BAR, Dimension, Explanation, GREY, LABEL, SMALL, STRONG, SUBTITLE, TITLE, TRACK,
};
use crate::Result;
use crate::plot::colour::{BLACK, Rgb};
use crate::plot::svg::{Area, Canvas};
use crate::plot::text::{ASCENT, Anchor, Font, LEADING, Line, Text, lines, shorten, widest, wrap};

/// Labels with bars.
const SHOWN: usize = 5;
const BAR_HEIGHT: f64 = 9.0;
const BAR_STEP: f64 = 15.0;
/// The most a label takes beside its bar.
const LONGEST_LABEL: f64 = 130.0;
/// "100.0 %" beside a bar.
const PERCENT: f64 = 50.0;
const GAP: f64 = 6.0;
/// Between the bars and the scales.
const BETWEEN: f64 = 34.0;
/// The bars' block and the scales' block are no wider than this.
const WIDEST: f64 = 320.0;
/// From one scale to the next.
const SCALE_STEP: f64 = 38.0;

/// Everything placed.
#[derive(Debug)]
pub(super) struct Header {
    /// Where it ends.
    pub bottom: f64,
    title: Vec<Line>,
    subtitle: Vec<Line>,
    bars: Vec<Bar>,
    scales: Vec<Scale>,
}

#[derive(Debug)]
struct Bar {
    label: String,
    font: Font,
    percent: String,
    track: Area,
    /// Share of the track.
    filled: f64,
    colour: Rgb,
}

#[derive(Debug)]
struct Scale {
    name: String,
    name_at: (f64, f64),
    value: String,
    /// The axis's ends.
    from: (f64, f64),
    to: (f64, f64),
    /// Position of the value on it.
    marker: f64,
    ends: [String; 2],
}

impl Header {
    /// Places the header from `top` on, `width` wide.
    ///
    /// # Errors
    /// The renderer refuses a text.
    pub(super) fn of(of: &Explanation<'_>, top: f64, width: f64) -> Result<Self> {
        let (left, mut y) = (super::MARGIN, top);
        let title = lines(&wrap(&of.title, TITLE, width)?, TITLE, left, &mut y);
        let subtitle = lines(&wrap(&sentence(of), SUBTITLE, width)?, SUBTITLE, left, &mut y);
        y += GAP;
        let half = ((width - BETWEEN) / 2.0).min(WIDEST);
        let bars = bars(of, (left, y), half)?;
        let scales = scales(&of.dimensions, (left + half + BETWEEN, y), half)?;
        let bottom = y + f64::max(bars.len() as f64 * BAR_STEP, scales.len() as f64 * SCALE_STEP);
        Ok(Self { bottom, title, subtitle, bars, scales })
    }

    pub(super) fn draw(&self, canvas: &mut Canvas) {
        let mut text = |content: &str, at: (f64, f64), font: Font, anchor: Anchor, fill: Rgb| {
            canvas.text(&Text { content, at, font, anchor, turn: 0.0, fill });
        };
        self.title.iter().for_each(|(line, at)| text(line, *at, TITLE, Anchor::Start, BLACK));
        self.subtitle.iter().for_each(|(line, at)| text(line, *at, SUBTITLE, Anchor::Start, GREY));
        self.bars.iter().for_each(|bar| bar.draw(canvas));
        self.scales.iter().for_each(|scale| scale.draw(canvas));
    }
}

/// What was predicted and what is explained.
fn sentence(of: &Explanation<'_>) -> String {
    if let Some(answer) = &of.answer {
        return format!("answer: {answer}");
    }
    let said =
        |at: usize| format!("{}, {}", of.answers[at].label, percent(of.answers[at].probability));
    if of.predicted == of.explained {
        format!("predicted and explained: {}", said(of.predicted))
    } else {
        format!("predicted: {}; the maps explain {}", said(of.predicted), said(of.explained))
    }
}

fn percent(probability: f64) -> String {
    format!("{:.1} %", 100.0 * probability)
}

/// The most probable labels, and the explained one where it is not among them.
fn bars(of: &Explanation<'_>, (x, y): (f64, f64), width: f64) -> Result<Vec<Bar>> {
    if of.answers.is_empty() {
        return Ok(Vec::new());
    }
    let mut order: Vec<usize> = (0..of.answers.len()).collect();
    order.sort_by(|&a, &b| {
        of.answers[b].probability.total_cmp(&of.answers[a].probability).then(a.cmp(&b))
    });
    let among = order.iter().take(SHOWN).any(|&at| at == of.explained);
    order.truncate(if among { SHOWN } else { SHOWN - 1 });
    if !among {
        order.push(of.explained);
    }
    let names: Vec<&str> = order.iter().map(|&at| of.answers[at].label.as_str()).collect();
    let names = shorten(&names, STRONG, LONGEST_LABEL.min(width / 2.0))?;
    let beside = widest(&names, STRONG)? + GAP;
    let bar = |(row, (&at, label)): (usize, (&usize, String))| {
        let Answer { probability, .. } = of.answers[at];
        let explained = at == of.explained;
        let top = y + row as f64 * BAR_STEP + (BAR_STEP - BAR_HEIGHT) / 2.0;
        Bar {
            label,
            font: if explained { STRONG } else { LABEL },
            percent: percent(probability),
            track: Area::new(x + beside, top, width - beside - PERCENT, BAR_HEIGHT),
            filled: probability.min(1.0),
            colour: if explained { BLACK } else { BAR },
        }
    };
    Ok(order.iter().zip(names).enumerate().map(bar).collect())
}

impl Bar {
    fn draw(&self, canvas: &mut Canvas) {
        let Self { track, font, .. } = *self;
        canvas.rect(track, TRACK);
        canvas.rect(Area { width: self.filled * track.width, ..track }, self.colour);
        let y = track.y + track.height / 2.0 + font.drop();
        let mut text = |content: &str, x: f64, anchor: Anchor| {
            canvas.text(&Text { content, at: (x, y), font, anchor, turn: 0.0, fill: BLACK });
        };
        text(&self.label, track.x - GAP, Anchor::End);
        text(&self.percent, track.right() + PERCENT, Anchor::End);
    }
}

fn scales(dimensions: &[Dimension], (x, y): (f64, f64), width: f64) -> Result<Vec<Scale>> {
    let names: Vec<&str> = dimensions.iter().map(|dimension| dimension.name.as_str()).collect();
    let names = shorten(&names, STRONG, width / 3.0)?;
    let values: Vec<String> =
        dimensions.iter().map(|dimension| two_decimals(dimension.value)).collect();
    let (before, after) =
        (widest(&names, STRONG)? + 2.0 * GAP, widest(&values, STRONG)? + 2.0 * GAP);
    let (from, to) = (x + before, x + width - after);
    let mut scales = Vec::with_capacity(dimensions.len());
    for (row, (dimension, (name, value))) in
        dimensions.iter().zip(names.into_iter().zip(values)).enumerate()
    {
        let middle = y + row as f64 * SCALE_STEP + BAR_STEP / 2.0;
        let ends = [&dimension.lower, &dimension.upper]
            .map(|(end, what)| format!("{} {what}", two_decimals(*end)));
        let ends = shorten(&ends, SMALL, (to - from) / 2.0 - GAP)?;
        let share = (dimension.value - dimension.lower.0) / (dimension.upper.0 - dimension.lower.0);
        scales.push(Scale {
            name,
            name_at: (x, middle + STRONG.drop()),
            value,
            from: (from, middle),
            to: (to, middle),
            marker: from + share.clamp(0.0, 1.0) * (to - from),
            ends: [ends[0].clone(), ends[1].clone()],
        });
    }
    Ok(scales)
}

impl Scale {
    fn draw(&self, canvas: &mut Canvas) {
        let (from, to) = (self.from, self.to);
        canvas.line(from, to, AXIS, 1.0);
        for x in [from.0, to.0] {
            canvas.line((x, from.1 - 4.0), (x, from.1 + 4.0), AXIS, 1.0);
        }
        canvas.rect(Area::new(self.marker - 2.0, from.1 - 6.0, 4.0, 12.0), BLACK);
        let below = from.1 + 6.0 + SMALL.size * (LEADING - 1.0) + SMALL.size * ASCENT;
        let mut text = |content: &str, at: (f64, f64), font: Font, anchor: Anchor, fill: Rgb| {
            canvas.text(&Text { content, at, font, anchor, turn: 0.0, fill });
        };
        text(&self.name, self.name_at, STRONG, Anchor::Start, BLACK);
        text(&self.value, (to.0 + 2.0 * GAP, self.name_at.1), STRONG, Anchor::Start, BLACK);
        text(&self.ends[0], (from.0, below), SMALL, Anchor::Start, GREY);
        text(&self.ends[1], (to.0, below), SMALL, Anchor::End, GREY);
    }
}

fn two_decimals(value: f64) -> String {
    format!("{value:.2}").replace('-', "−")
}
