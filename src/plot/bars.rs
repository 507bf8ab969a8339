//! Shares as bars with intervals: a panel for each thing, a group of bars for each place, a bar for
//! each treatment; short marks above the bars. Made for ObjectPaste (the paper's Fig. 7).

use super::colour::{BLACK, Rgb};
use super::svg::{Area, Canvas};
use super::text::{Anchor, Font, Text, shorten, widths, wrap};
use super::{Svg, sample};
use crate::{Error, Result};

const TITLE: Font = Font::bold(13.0);
const SUBTITLE: Font = Font::regular(10.5);
const HEAD: Font = Font::bold(10.0);
const LABEL: Font = Font::regular(9.0);
const MARK: Font = Font::regular(7.5);
const SMALL: Font = Font::regular(8.5);

const GREY: Rgb = [0x44; 3];
const AXIS: Rgb = [0x66; 3];
const GRID: Rgb = [0xe4; 3];

/// Four of Okabe and Ito's colours (2008), which colour-blind readers can tell apart.
const COLOURS: [Rgb; 4] =
    [[0x00, 0x72, 0xb2], [0xe6, 0x9f, 0x00], [0x56, 0xb4, 0xe9], [0xcc, 0x79, 0xa7]];

const EDGE: f64 = 12.0;
const AXIS_WIDTH: f64 = 44.0;
const PANEL_HEIGHT: f64 = 130.0;
/// Above a panel for its title, below it for the groups' names.
const HEAD_ROOM: f64 = 26.0;
const FOOT_ROOM: f64 = 20.0;
/// Below the groups' names where their numbers of cases differ.
const NUMBER_ROOM: f64 = 11.0;
const LINE: f64 = 13.0;
/// A group's name longer than this is shortened.
const LONGEST_NAME: f64 = 90.0;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// From 0 to 1.
    pub value: f64,
    /// Its lower and upper end.
    pub interval: (f64, f64),
    /// A few letters above it.
    pub mark: String,
    /// How many cases the share is of.
    pub n: u64,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct BarPanel {
    /// Above it.
    pub title: String,
    /// Per series a bar for each group; none where there is no value.
    pub series: Vec<Vec<Option<Bar>>>,
}

impl BarPanel {
    /// The numbers of cases of the bars of a group, or of all.
    fn numbers_of_cases(&self, group: Option<usize>) -> Vec<usize> {
        let of_series = |bars: &Vec<Option<Bar>>| match group {
            Some(group) => vec![bars[group].clone()],
            None => bars.clone(),
        };
        self.series.iter().flat_map(of_series).flatten().map(|bar| bar.n as usize).collect()
    }

    /// Whether its bars are of different numbers of cases, so that each group has its own below its
    /// name.
    fn has_numbers_below(&self) -> bool {
        self.numbers_of_cases(None).windows(2).any(|pair| pair[0] != pair[1])
    }
}

/// The picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// The first line, bold.
    pub title: String,
    /// Below the title.
    pub subtitle: String,
    /// Names of the groups, from the left.
    pub groups: Vec<String>,
    /// Names of the series, at most four, explained when there are several.
    pub series: Vec<String>,
    /// From the top.
    pub panels: Vec<BarPanel>,
    /// What a value is, along the axis.
    pub value_label: String,
    /// Lines of small print below everything.
    pub notes: Vec<String>,
}

/// Where everything lies.
struct Layout {
    width: f64,
    bar: f64,
    group: f64,
    /// The value at the upper end of the axis.
    top: f64,
    header: f64,
    /// Groups whose names are written: every one, or every n-th where there is no room.
    every: usize,
    /// The groups' names, shortened.
    names: Vec<String>,
}

impl Bars {
    /// Draws the picture.
    ///
    /// # Errors
    /// [`Error::Figure`] when there is nothing to draw, numbers of bars do not fit, or a number is
    /// not from 0 to 1.
    pub fn svg(&self) -> Result<Svg> {
        self.check()?;
        let layout = self.layout()?;
        let mut canvas = Canvas::default();
        canvas.text(&starting(&self.title, (EDGE, 24.0), TITLE, BLACK));
        canvas.text(&starting(&self.subtitle, (EDGE, 40.0), SUBTITLE, GREY));
        self.draw_key(&mut canvas);
        let mut y = layout.header;
        for panel in &self.panels {
            y += HEAD_ROOM;
            let position = (EDGE + AXIS_WIDTH, y - 10.0);
            let title = shorten(&[&panel.title], HEAD, 0.7 * (layout.width - position.0))?
                .pop()
                .unwrap_or_default();
            canvas.text(&starting(&title, position, HEAD, BLACK));
            let beside = (position.0 + widths(&[&title], HEAD)?[0] + 8.0, position.1);
            canvas.text(&starting(&sample(panel.numbers_of_cases(None)), beside, SMALL, GREY));
            let area = Area::new(
                EDGE + AXIS_WIDTH,
                y,
                layout.group * self.groups.len() as f64,
                PANEL_HEIGHT,
            );
            canvas.group("panel", |canvas| self.draw_panel(panel, area, &layout, canvas));
            y = area.bottom()
                + FOOT_ROOM
                + if panel.has_numbers_below() { NUMBER_ROOM } else { 0.0 };
        }
        y += 4.0;
        for note in &self.notes {
            for line in wrap(note, SMALL, layout.width - 2.0 * EDGE)? {
                y += LINE;
                canvas.text(&starting(&line, (EDGE, y), SMALL, GREY));
            }
        }
        Ok(canvas.finish(&self.title, layout.width, y + EDGE))
    }

    fn check(&self) -> Result<()> {
        let refuse =
            |message: String| Err(Error::Figure(format!("bars `{}`: {message}", self.title)));
        if self.groups.is_empty() || self.panels.is_empty() || self.series.is_empty() {
            return refuse("no groups, panels or series leave nothing to draw".into());
        }
        if self.series.len() > COLOURS.len() {
            return refuse(format!("{} series, but {} colours", self.series.len(), COLOURS.len()));
        }
        for BarPanel { title, series } in &self.panels {
            if series.len() != self.series.len()
                || series.iter().any(|bars| bars.len() != self.groups.len())
            {
                return refuse(format!(
                    "panel `{title}` should have {} series of {}",
                    self.series.len(),
                    self.groups.len()
                ));
            }
            for Bar { value, interval: (lower, upper), .. } in series.iter().flatten().flatten() {
                if [value, lower, upper].iter().any(|number| !(0.0..=1.0).contains(*number)) {
                    return refuse(format!(
                        "panel `{title}`: {value} ({lower} to {upper}) are no shares"
                    ));
                }
            }
        }
        Ok(())
    }

    fn layout(&self) -> Result<Layout> {
        let highest = self
            .panels
            .iter()
            .flat_map(|p| &p.series)
            .flatten()
            .flatten()
            .fold(0.0_f64, |top, b| top.max(b.interval.1));
        let top = [0.1, 0.2, 0.5].into_iter().find(|&top| highest <= 0.92 * top).unwrap_or(1.0);
        // Bars as wide as is seemly for a few, and as fits a page for many.
        let count = (self.groups.len() * self.series.len()) as f64;
        let bar = (760.0 / count).clamp(3.0, 20.0);
        let group = bar * self.series.len() as f64 + bar.max(6.0) * 0.8;
        let panels = self.panels.iter().filter(|panel| panel.has_numbers_below());
        let below = panels.flat_map(|panel| {
            (0..self.groups.len()).map(|index| sample(panel.numbers_of_cases(Some(index))))
        });
        let below = widths(&below.collect::<Vec<_>>(), MARK)?;
        let shortened = shorten(&self.groups, LABEL, LONGEST_NAME)?;
        let widest = widths(&shortened, LABEL)?.into_iter().chain(below).fold(0.0, f64::max) + 4.0;
        let names = |font, texts: &[&String]| widths(texts, font);
        let header = names(TITLE, &[&self.title])?[0].max(names(SUBTITLE, &[&self.subtitle])?[0]);
        let width =
            (AXIS_WIDTH + group * self.groups.len() as f64).max(header).max(360.0) + 2.0 * EDGE;
        let every = ((widest / group).ceil() as usize).max(1);
        let key = if self.series.len() > 1 { LINE * self.series.len() as f64 + 4.0 } else { 0.0 };
        Ok(Layout { width, bar, group, top, header: 44.0 + key, every, names: shortened })
    }

    fn draw_key(&self, canvas: &mut Canvas) {
        if self.series.len() < 2 {
            return;
        }
        for (at, (name, colour)) in self.series.iter().zip(COLOURS).enumerate() {
            let y = 48.0 + LINE * at as f64;
            canvas.rect(Area::new(EDGE, y, 9.0, 9.0), colour);
            let position = (EDGE + 14.0, y + 8.0);
            canvas.text(&Text {
                content: name,
                at: position,
                font: SMALL,
                anchor: Anchor::Start,
                turn: 0.0,
                fill: GREY,
            });
        }
    }

    fn draw_panel(&self, panel: &BarPanel, area: Area, layout: &Layout, canvas: &mut Canvas) {
        let height = |value: f64| area.bottom() - value / layout.top * area.height;
        for step in 0..=4 {
            let value = layout.top * f64::from(step) / 4.0;
            let y = height(value);
            canvas.line((area.x, y), (area.right(), y), if step == 0 { AXIS } else { GRID }, 0.8);
            // As many decimals as a quarter of the axis needs, and no more.
            let text = format!("{value:.3}");
            let content = text.trim_end_matches('0').trim_end_matches('.');
            let position = (area.x - 5.0, y + LABEL.drop());
            canvas.text(&Text {
                content,
                at: position,
                font: LABEL,
                anchor: Anchor::End,
                turn: 0.0,
                fill: GREY,
            });
        }
        let text_position = (EDGE + 7.0, area.y + area.height / 2.0);
        let content = &self.value_label;
        canvas.text(&Text {
            content,
            at: text_position,
            font: LABEL,
            anchor: Anchor::Middle,
            turn: -90.0,
            fill: GREY,
        });
        for (group, name) in layout.names.iter().enumerate() {
            let left = area.x + layout.group * group as f64;
            if group % layout.every == 0 {
                let position = (left + layout.group / 2.0, area.bottom() + 13.0);
                let (content, anchor) = (name, Anchor::Middle);
                canvas.text(&Text {
                    content,
                    at: position,
                    font: LABEL,
                    anchor,
                    turn: 0.0,
                    fill: BLACK,
                });
                if panel.has_numbers_below() {
                    let (content, position) = (
                        &sample(panel.numbers_of_cases(Some(group))),
                        (position.0, position.1 + NUMBER_ROOM),
                    );
                    canvas.text(&Text {
                        content,
                        at: position,
                        font: MARK,
                        anchor,
                        turn: 0.0,
                        fill: GREY,
                    });
                }
            }
            let indent = (layout.group - layout.bar * self.series.len() as f64) / 2.0;
            for (at, (bars, colour)) in panel.series.iter().zip(COLOURS).enumerate() {
                let Some(bar) = &bars[group] else { continue };
                let x = left + indent + layout.bar * at as f64;
                draw_bar(bar, (x, layout.bar), &height, colour, canvas);
            }
        }
    }
}

/// A line of text from its left end.
fn starting(content: &str, at: (f64, f64), font: Font, fill: Rgb) -> Text<'_> {
    Text { content, at, font, anchor: Anchor::Start, turn: 0.0, fill }
}

fn draw_bar(
    bar: &Bar,
    (x, width): (f64, f64),
    height: &impl Fn(f64) -> f64,
    colour: Rgb,
    canvas: &mut Canvas,
) {
    let (foot, head) = (height(0.0), height(bar.value));
    canvas.rect(Area::new(x + 0.4, head, width - 0.8, foot - head), colour);
    let middle = x + width / 2.0;
    let (lower, upper) = (height(bar.interval.0), height(bar.interval.1));
    canvas.line((middle, lower), (middle, upper), BLACK, 0.8);
    if !bar.mark.is_empty() {
        let (content, at) = (&bar.mark, (middle, upper - 2.5));
        canvas.text(&Text {
            content,
            at,
            font: MARK,
            anchor: Anchor::Middle,
            turn: 0.0,
            fill: BLACK,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars() -> Bars {
        let bar = |value: f64, mark: &str| {
            Some(Bar { value, interval: (value / 2.0, value * 1.2), mark: mark.into(), n: 40 })
        };
        Bars {
            title: "Title <1>".into(),
            subtitle: "below".into(),
            groups: vec!["1".into(), "2".into()],
            series: vec!["object".into(), "mean".into()],
            panels: vec![BarPanel {
                title: "ball".into(),
                series: vec![vec![bar(0.3, "Jo"), None], vec![bar(0.1, "Ex"), bar(0.0, "")]],
            }],
            value_label: "share".into(),
            notes: vec!["A note.".into()],
        }
    }

    #[test]
    fn every_bar_has_its_interval_and_mark() {
        let svg = bars().svg().unwrap();
        for text in ["Jo<", "Ex<", "ball<", "A note.<", "Title &lt;1&gt;<", "mean<"] {
            assert!(svg.as_str().contains(text), "{text}: {}", svg.as_str());
        }
        // Background and two swatches of the key; three bars.
        assert_eq!(svg.as_str().matches("<rect").count(), 1 + 2 + 3);
        svg.png(1.0).unwrap();
    }

    #[test]
    fn every_bar_says_how_many_cases_it_is_of() {
        let mut bars = bars();
        assert!(bars.svg().unwrap().as_str().contains(">n = 40<"));
        bars.panels[0].series[1][0].as_mut().unwrap().n = 38;
        bars.panels[0].series[1][1].as_mut().unwrap().n = 7;
        let svg = bars.svg().unwrap();
        for n in [">n = 7 to 40<", ">n = 38 to 40<", ">n = 7<"] {
            assert!(svg.as_str().contains(n), "{n}: {}", svg.as_str());
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let mut wrong = bars();
        wrong.panels[0].series[0].pop();
        assert!(wrong.svg().is_err());
        let mut wrong = bars();
        wrong.panels[0].series[0][0] =
            Some(Bar { value: f64::NAN, interval: (0.0, 1.0), mark: String::new(), n: 40 });
        assert!(wrong.svg().unwrap_err().to_string().contains("no shares"));
        assert!(Bars { groups: Vec::new(), ..bars() }.svg().is_err());
    }
}
