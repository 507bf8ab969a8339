//! Points of two planes side by side: what they are by their colour, where they come from by their
//! mark.
//!
//! A panel is square and has the same scale along both axes, so that distances look as long in
//! every direction.

use super::Svg;
use super::colour::{BLACK, CATEGORIES, Rgb};
use super::heatmap::ticks;
use super::svg::{Area, Canvas};
use super::text::{Anchor, Font, Line, Text, lines, widths, wrap};
use crate::random::Random;
use crate::{Error, Result};

const TITLE: Font = Font::bold(13.0);
const SUBTITLE: Font = Font::regular(10.5);
const HEAD: Font = Font::bold(10.0);
const LABEL: Font = Font::regular(9.5);
const TICK: Font = Font::regular(8.5);
const SMALL: Font = Font::regular(8.5);

const GREY: Rgb = [0x44; 3];
const AXIS: Rgb = [0x88; 3];
const GRID: Rgb = [0xec; 3];
/// Of points that belong to no group.
const NO_GROUP: Rgb = [0xb4; 3];

const MARGIN: f64 = 14.0;
/// Between panels; the ticks of the right one stand in it.
const BETWEEN: f64 = 50.0;
/// Left of the first panel.
const LEFT: f64 = 52.0;
const SIDE: f64 = 330.0;
/// From a panel's lower edge to the baselines of ticks and label.
const TICK_DROP: f64 = 13.0;
const LABEL_DROP: f64 = 26.0;
/// Between the marks of the legend and their names, and between entries.
const LEGEND_GAP: f64 = 9.0;
const LEGEND_BETWEEN: f64 = 16.0;
const LEGEND_ROW: f64 = 15.0;

/// Most names in the legend; a number takes the place of the others.
const MOST_NAMES: usize = 42;

/// The picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scatter {
    /// The first line, bold.
    pub title: String,
    /// Below the title.
    pub subtitle: String,
    /// From the left to the right.
    pub panels: Vec<ScatterPanel>,
    /// What the points are, one entry a point of every panel.
    pub points: Vec<ScatterPoint>,
    /// What colours stand for.
    pub groups: Vec<String>,
    /// What points without a group are, for the legend.
    pub no_group: String,
    /// What marks stand for, with the mark; none where all points have the same.
    pub marks: Vec<(Mark, String)>,
    /// Lines of small print below everything.
    pub notes: Vec<String>,
}

/// A plane.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterPanel {
    /// Above it.
    pub title: String,
    /// Below it.
    pub caption: String,
    /// Along the vertical axis; `None` where coordinates mean nothing, so that there are no ticks
    /// either.
    pub up: Option<String>,
    /// One a point; none: what is missing, and why.
    pub places: Result<Vec<(f64, f64)>, String>,
}

/// What a point is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScatterPoint {
    /// The number of its group, which has its colour.
    pub group: Option<usize>,
    /// How it is drawn.
    pub mark: Mark,
}

/// How a point is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A disc.
    Disc,
    /// A triangle on its side.
    Triangle,
    /// A square.
    Square,
    /// A square on its corner.
    Diamond,
    /// A triangle on its tip.
    TriangleDown,
    /// A diagonal cross.
    Cross,
    /// A circle.
    Ring,
}

impl Mark {
    /// The marks of categories, the most different first; after the last comes the first again.
    pub fn of_category(number: usize) -> Self {
        const MARKS: [Mark; 5] =
            [Mark::Disc, Mark::Triangle, Mark::Square, Mark::Diamond, Mark::TriangleDown];
        MARKS[number % MARKS.len()]
    }

    fn draw(self, (x, y): (f64, f64), colour: Rgb, canvas: &mut Canvas) {
        let polygon = |canvas: &mut Canvas, corners: &[(f64, f64)]| {
            let corners: Vec<(f64, f64)> =
                corners.iter().map(|(right, down)| (x + right, y + down)).collect();
            canvas.polygon(&corners, colour);
        };
        match self {
            Self::Disc => canvas.disc((x, y), 2.6, colour),
            Self::Triangle => polygon(canvas, &[(0.0, -3.4), (3.1, 2.2), (-3.1, 2.2)]),
            Self::Square => polygon(canvas, &[(-2.4, -2.4), (2.4, -2.4), (2.4, 2.4), (-2.4, 2.4)]),
            Self::Diamond => polygon(canvas, &[(0.0, -3.4), (3.4, 0.0), (0.0, 3.4), (-3.4, 0.0)]),
            Self::TriangleDown => polygon(canvas, &[(0.0, 3.4), (3.1, -2.2), (-3.1, -2.2)]),
            Self::Cross => {
                canvas.line((x - 2.4, y - 2.4), (x + 2.4, y + 2.4), colour, 1.4);
                canvas.line((x - 2.4, y + 2.4), (x + 2.4, y - 2.4), colour, 1.4);
            }
            Self::Ring => canvas.ring((x, y), 2.2, colour),
        }
    }
}

/// The colour of a group: seven that every reader tells apart, then the same darker, then lighter.
fn colour(group: usize) -> Rgb {
    let base = CATEGORIES[group % CATEGORIES.len()];
    match group / CATEGORIES.len() % 3 {
        0 => base,
        1 => base.map(|level| (f64::from(level) * 0.55) as u8),
        _ => base.map(|level| (127.0 + f64::from(level) * 0.5) as u8),
    }
}

/// An entry of the legend.
struct Entry {
    name: String,
    mark: Mark,
    colour: Rgb,
}

impl Scatter {
    /// Draws the picture.
    ///
    /// # Errors
    /// [`Error::Figure`] when there is no panel, a panel has another number of places than there
    /// are points, or a place is not finite.
    pub fn svg(&self) -> Result<Svg> {
        self.check()?;
        let count = self.panels.len() as f64;
        let width = LEFT + count * SIDE + (count - 1.0) * BETWEEN + MARGIN;
        let (mut canvas, mut y) = (Canvas::default(), MARGIN);
        for (content, font, fill) in [(&self.title, TITLE, BLACK), (&self.subtitle, SUBTITLE, GREY)]
        {
            let wrapped = wrap(content, font, width - 2.0 * MARGIN)?;
            write_lines(&mut canvas, &lines(&wrapped, font, MARGIN, &mut y), font, fill);
        }
        y += 22.0;
        let order = self.drawing_order();
        for (number, panel) in self.panels.iter().enumerate() {
            let area = Area::new(LEFT + number as f64 * (SIDE + BETWEEN), y, SIDE, SIDE);
            canvas.group(&format!("panel-{number}"), |canvas| {
                self.draw_panel(panel, area, &order, canvas);
            });
        }
        y += SIDE + LABEL_DROP + 14.0;
        let entries = self.legend();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let widths = widths(&names, LABEL)?;
        canvas.group("legend", |canvas| {
            draw_legend(&entries, &widths, width - MARGIN, &mut y, canvas);
        });
        for note in &self.notes {
            let wrapped = wrap(note, SMALL, width - 2.0 * MARGIN)?;
            write_lines(&mut canvas, &lines(&wrapped, SMALL, MARGIN, &mut y), SMALL, GREY);
        }
        Ok(canvas.finish(&self.title, width, y + MARGIN))
    }

    fn check(&self) -> Result<()> {
        let refuse =
            |message: String| Err(Error::Figure(format!("picture `{}`: {message}", self.title)));
        if self.panels.is_empty() {
            return refuse("no panel leaves nothing to draw".into());
        }
        for panel in &self.panels {
            let Ok(places) = &panel.places else { continue };
            if places.len() != self.points.len()
                || places.iter().any(|(x, y)| !(x.is_finite() && y.is_finite()))
            {
                let (title, points) = (&panel.title, self.points.len());
                return refuse(format!(
                    "panel `{title}` should have {points} places, all finite; it has {}",
                    places.len()
                ));
            }
        }
        Ok(())
    }

    /// A random order, the same for all pictures of as many points: the last group or corpus does
    /// not cover the others.
    fn drawing_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.points.len()).collect();
        Random::of_text(0, "order of drawing").shuffle(&mut order);
        order
    }

    fn draw_panel(&self, panel: &ScatterPanel, area: Area, order: &[usize], canvas: &mut Canvas) {
        text(canvas, &panel.title, (area.x, area.y - 7.0), HEAD, Anchor::Start, BLACK);
        let places = match &panel.places {
            Ok(places) => places,
            Err(missing) => {
                canvas.frame(area, GRID, 0.8, false);
                let middle = (area.x + area.width / 2.0, area.y + area.height / 2.0);
                return text(canvas, missing, middle, LABEL, Anchor::Middle, GREY);
            }
        };
        let view = View::of(places, area);
        if let Some(up) = &panel.up {
            draw_axes(&view, up, canvas);
        }
        let drop = if panel.up.is_some() { LABEL_DROP } else { TICK_DROP };
        let below = (area.x + area.width / 2.0, area.bottom() + drop);
        text(canvas, &panel.caption, below, TICK, Anchor::Middle, GREY);
        canvas.frame(area, AXIS, 0.8, false);
        for &point in order {
            let ScatterPoint { group, mark } = self.points[point];
            mark.draw(view.place(places[point]), group.map_or(NO_GROUP, colour), canvas);
        }
    }

    fn legend(&self) -> Vec<Entry> {
        let occurring: Vec<usize> = (0..self.groups.len())
            .filter(|group| self.points.iter().any(|point| point.group == Some(*group)))
            .collect();
        let group = |&group: &usize| Entry {
            name: self.groups[group].clone(),
            mark: Mark::Disc,
            colour: colour(group),
        };
        let mut entries: Vec<Entry> = occurring.iter().take(MOST_NAMES).map(group).collect();
        if let Some(more @ 1..) = occurring.len().checked_sub(MOST_NAMES) {
            entries.push(Entry {
                name: format!("and {more} more"),
                mark: Mark::Disc,
                colour: NO_GROUP,
            });
        }
        if self.points.iter().any(|point| point.group.is_none()) {
            entries.push(Entry { name: self.no_group.clone(), mark: Mark::Disc, colour: NO_GROUP });
        }
        let mark = |(mark, name): &(Mark, String)| Entry {
            name: name.clone(),
            mark: *mark,
            colour: BLACK,
        };
        entries.extend(self.marks.iter().map(mark));
        entries
    }
}

/// How places lie in a panel.
struct View {
    area: Area,
    /// The middle of the places.
    centre: (f64, f64),
    /// From the middle to the panel's edge.
    reach: f64,
}

impl View {
    fn of(places: &[(f64, f64)], area: Area) -> Self {
        let range = |value: fn(&(f64, f64)) -> f64| {
            let ends = (f64::INFINITY, f64::NEG_INFINITY);
            places
                .iter()
                .map(value)
                .fold(ends, |(lower, upper), value| (lower.min(value), upper.max(value)))
        };
        let ends = [range(|place| place.0), range(|place| place.1)];
        let [x, y] =
            ends.map(|(lower, upper)| if lower <= upper { (lower + upper) / 2.0 } else { 0.0 });
        let longest = ends.iter().map(|(lower, upper)| upper - lower).fold(0.0, f64::max);
        // Places that are all the same lie in the middle.
        let reach = if longest > 0.0 { longest * 0.53 } else { 1.0 };
        Self { area, centre: (x, y), reach }
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let half = self.area.width / 2.0;
        let (right, up) = ((x - self.centre.0) / self.reach, (y - self.centre.1) / self.reach);
        (self.area.x + half + right * half, self.area.y + half - up * half)
    }
}

fn draw_axes(view: &View, up: &str, canvas: &mut Canvas) {
    let (area, (x, y)) = (view.area, view.centre);
    for (value, label) in ticks((x - view.reach, x + view.reach)) {
        let column = view.place((value, y)).0;
        canvas.line((column, area.y), (column, area.bottom()), GRID, 0.8);
        text(canvas, &label, (column, area.bottom() + TICK_DROP), TICK, Anchor::Middle, GREY);
    }
    for (value, label) in ticks((y - view.reach, y + view.reach)) {
        let row = view.place((x, value)).1;
        canvas.line((area.x, row), (area.right(), row), GRID, 0.8);
        text(canvas, &label, (area.x - 4.0, row + TICK.drop()), TICK, Anchor::End, GREY);
    }
    let position = (area.x - 38.0, area.y + area.height / 2.0);
    canvas.text(&Text {
        content: up,
        at: position,
        font: TICK,
        anchor: Anchor::Middle,
        turn: -90.0,
        fill: GREY,
    });
}

/// The entries from the left to the right, then down from `y`, which moves below them.
fn draw_legend(entries: &[Entry], widths: &[f64], limit: f64, y: &mut f64, canvas: &mut Canvas) {
    let mut x = MARGIN;
    for (Entry { name, mark, colour }, width) in entries.iter().zip(widths) {
        if x > MARGIN && x + LEGEND_GAP + width > limit {
            (x, *y) = (MARGIN, *y + LEGEND_ROW);
        }
        mark.draw((x + 3.0, *y), *colour, canvas);
        text(canvas, name, (x + LEGEND_GAP, *y + LABEL.drop()), LABEL, Anchor::Start, BLACK);
        x += LEGEND_GAP + width + LEGEND_BETWEEN;
    }
    *y += LEGEND_ROW;
}

fn write_lines(canvas: &mut Canvas, lines: &[Line], font: Font, fill: Rgb) {
    lines.iter().for_each(|(content, at)| text(canvas, content, *at, font, Anchor::Start, fill));
}

fn text(canvas: &mut Canvas, content: &str, at: (f64, f64), font: Font, anchor: Anchor, fill: Rgb) {
    canvas.text(&Text { content, at, font, anchor, turn: 0.0, fill });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Scatter {
        let places = vec![(0.0, 0.0), (3.0, 1.0), (-2.0, 0.5)];
        let (caption, up) = ("component 1".to_string(), Some("component 2".to_string()));
        let panels = vec![
            ScatterPanel { title: "PCA".into(), caption, up, places: Ok(places) },
            ScatterPanel {
                title: "t-SNE".into(),
                caption: String::new(),
                up: None,
                places: Err("too few images".into()),
            },
        ];
        let point = |group, mark| ScatterPoint { group, mark };
        Scatter {
            title: "fc7 of a network".into(),
            subtitle: "3 images".into(),
            panels,
            points: vec![
                point(Some(1), Mark::Disc),
                point(None, Mark::Cross),
                point(Some(1), Mark::Triangle),
            ],
            groups: ["joy", "<fear>"].map(String::from).into(),
            no_group: "no label".into(),
            marks: vec![(Mark::Triangle, "elsewhere".into())],
            notes: vec!["silhouette 0.1".into()],
        }
    }

    #[test]
    fn every_point_is_drawn_once_and_what_occurs_is_in_the_legend() {
        let picture = picture();
        let svg = picture.svg().unwrap();
        let text = svg.as_str();
        // A disc of a point, two of the legend; the triangle once as a point and once in the
        // legend.
        assert_eq!(
            (text.matches("<circle").count(), text.matches("Z\"").count()),
            (3, 2),
            "{text}"
        );
        for words in [
            "&lt;fear&gt;",
            "no label",
            "elsewhere",
            "too few images",
            "component 2",
            "silhouette 0.1",
        ] {
            assert!(text.contains(&format!(">{words}<")), "{words}: {text}");
        }
        assert!(!text.contains(">joy<"), "no point is joy");
        assert_eq!(svg, picture.svg().unwrap());
    }

    #[test]
    fn many_groups_are_counted_and_all_colours_differ_for_twenty_one() {
        let mut picture = picture();
        picture.groups = (0..60).map(|number| format!("group {number}")).collect();
        picture.points =
            (0..60).map(|group| ScatterPoint { group: Some(group), mark: Mark::Ring }).collect();
        picture.panels[0].places = Ok(vec![(1.0, 1.0); 60]);
        assert!(picture.svg().unwrap().as_str().contains(">and 18 more<"));
        let colours: std::collections::BTreeSet<Rgb> = (0..21).map(colour).collect();
        assert_eq!(colours.len(), 21);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let mut broken = picture();
        broken.panels[0].places = Ok(vec![(0.0, 0.0), (f64::NAN, 1.0), (1.0, 1.0)]);
        assert!(broken.svg().unwrap_err().to_string().contains("all finite"));
        broken.panels[0].places = Ok(vec![(0.0, 0.0)]);
        assert!(broken.svg().unwrap_err().to_string().contains("should have 3 places"));
        broken.panels.clear();
        assert!(broken.svg().is_err());
    }
}
