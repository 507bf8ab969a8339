//! Drawing helpers over tiny-skia: colours, paths, and a list of marks that is measured before it
//! is painted.
//!
//! A drawing is made in units of its own (x to the right, y down, about 2 units on the longest
//! side); where and how large it is painted is decided later. Nothing here calls the system's
//! mathematics library, whose last bits differ from machine to machine: sine and cosine are a
//! polynomial of our own, the rest is + - * / and square roots.

use super::object::ObjectPart;
use resvg::tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder,
    Pixmap, Point, RadialGradient, Rect, Shader, SpreadMode, Stroke, Transform,
};

/// A colour: red, green, blue in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Colour(pub [f32; 3]);

impl Colour {
    /// From `0xrrggbb`.
    pub(super) fn hex(rgb: u32) -> Self {
        let channel = |shift: u32| ((rgb >> shift) & 0xff) as f32 / 255.0;
        Self([channel(16), channel(8), channel(0)])
    }

    /// From hue in degrees, saturation and lightness in `[0, 1]`.
    pub(super) fn hsl(hue: f32, saturation: f32, lightness: f32) -> Self {
        let chroma = (1.0 - (2.0 * lightness - 1.0).abs()) * saturation;
        let sector = (hue / 60.0).rem_euclid(6.0);
        let ramp = |shift: f32| ((sector + shift).rem_euclid(6.0) - 3.0).abs() - 1.0;
        // Red peaks at sector 0, green at 2, blue at 4.
        Self([0.0, 4.0, 2.0].map(|shift| lightness + chroma * (ramp(shift).clamp(0.0, 1.0) - 0.5)))
    }

    /// `share` of `other` in it.
    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        let Self(other) = other;
        let mut mixed = self.0;
        for (channel, other) in mixed.iter_mut().zip(other) {
            *channel += (other - *channel) * share;
        }
        Self(mixed)
    }

    /// Towards white.
    pub(super) fn lighter(self, share: f32) -> Self {
        self.mix(Self([1.0; 3]), share)
    }

    /// Towards black.
    pub(super) fn darker(self, share: f32) -> Self {
        self.mix(Self([0.0; 3]), share)
    }

    /// As tiny-skia has it; `alpha` in `[0, 1]`.
    pub(super) fn skia(self, alpha: f32) -> Color {
        let [r, g, b] = self.0.map(|channel| channel.clamp(0.0, 1.0));
        Color::from_rgba(r, g, b, alpha).expect("all four lie in [0, 1]")
    }
}

/// Sine and cosine of an angle in degrees: Taylor's polynomials on an eighth of the circle.
pub(super) fn sin_cos(degrees: f32) -> (f32, f32) {
    let turns = f64::from(degrees) / 360.0;
    let quarter = (turns * 4.0).round();
    let x = (turns * 4.0 - quarter) * std::f64::consts::FRAC_PI_2;
    let s = x * x;
    let sin = x
        * (1.0
            - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0 * (1.0 - s / 72.0 * (1.0 - s / 110.0)))));
    let cos =
        1.0 - s / 2.0 * (1.0 - s / 12.0 * (1.0 - s / 30.0 * (1.0 - s / 56.0 * (1.0 - s / 90.0))));
    let (sin, cos) = match quarter.rem_euclid(4.0) as u8 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    };
    (sin as f32, cos as f32)
}

/// A point at `radius` from `(x, y)` in a direction given in degrees, clockwise from the right.
pub(super) fn polar(x: f32, y: f32, radius: f32, degrees: f32) -> (f32, f32) {
    let (sin, cos) = sin_cos(degrees);
    (x + radius * cos, y + radius * sin)
}

/// A turn by `degrees`, clockwise, about the origin.
pub(super) fn turn(degrees: f32) -> Transform {
    let (sin, cos) = sin_cos(degrees);
    Transform::from_row(cos, sin, -sin, cos, 0.0, 0.0)
}

/// How a path is coloured.
#[derive(Debug, Clone, Copy)]
pub(super) enum PathFill {
    /// One colour.
    Flat(Colour),
    /// From one colour at the upper left of the path to another at the lower right.
    Slope(Colour, Colour),
    /// From one colour near the upper left outwards to another.
    Bulge(Colour, Colour),
}

/// One path of a drawing.
#[derive(Debug, Clone)]
struct Mark {
    path: Path,
    fill: PathFill,
    /// Width of the line; `None`: the path is filled.
    line: Option<f32>,
    /// The part it belongs to, index among the drawing's.
    part: Option<usize>,
}

/// Marks in painting order.
#[derive(Debug, Clone, Default)]
pub(super) struct Drawing {
    marks: Vec<Mark>,
    /// Parts with names, in the order in which they were begun; a number tells those of one name
    /// apart.
    parts: Vec<(ObjectPart, usize)>,
    /// The part that is being drawn.
    current: Option<usize>,
}

/// What of a drawing is painted.
#[derive(Debug, Clone, Copy)]
pub(super) enum ShownMarks {
    /// Everything but the parts whose bits are set.
    Without(u32),
    /// Where this part is seen, white; all else black or transparent.
    Alone(usize),
}

impl Drawing {
    /// Adds a mark under `frame`; a path without extent is nothing to draw.
    pub(super) fn add(
        &mut self,
        path: Option<Path>,
        frame: Transform,
        fill: PathFill,
        line: Option<f32>,
    ) {
        if let Some(path) = path
            .and_then(|path| if frame.is_identity() { Some(path) } else { path.transform(frame) })
        {
            self.marks.push(Mark { path, fill, line, part: self.current });
        }
    }

    /// From now on marks belong to this part, or to none; returns what they belonged to before.
    pub(super) fn begin(
        &mut self,
        part: Option<(ObjectPart, usize)>,
    ) -> Option<(ObjectPart, usize)> {
        let before = self.current.map(|index| self.parts[index]);
        self.current = part.map(|part| {
            let known = self.parts.iter().position(|known| *known == part);
            known.unwrap_or_else(|| {
                self.parts.push(part);
                self.parts.len() - 1
            })
        });
        before
    }

    /// What its parts are, in the order of the bits of [`ShownMarks::Without`].
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = ObjectPart> + '_ {
        self.parts.iter().map(|(part, _)| *part)
    }

    /// Edges of all marks under `transform`: left, top, right, bottom; `None` for an empty drawing.
    ///
    /// `transform` must scale both axes alike (lines are as wide as that scale says).
    pub(super) fn bounds(&self, transform: Transform) -> Option<[f32; 4]> {
        let (sx, ky) = (transform.sx, transform.ky);
        let scale = (sx * sx + ky * ky).sqrt();
        let edges = self.marks.iter().filter_map(|mark| {
            let box_ = mark.path.clone().transform(transform)?.compute_tight_bounds()?;
            let margin = mark.line.map_or(0.0, |width| width * scale / 2.0);
            Some([
                box_.left() - margin,
                box_.top() - margin,
                box_.right() + margin,
                box_.bottom() + margin,
            ])
        });
        edges.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
    }

    /// Paints what is shown.
    pub(super) fn paint(&self, onto: &mut Pixmap, transform: Transform, shown: ShownMarks) {
        for mark in &self.marks {
            let fill = match shown {
                ShownMarks::Without(hidden)
                    if mark.part.is_some_and(|part| hidden >> part & 1 == 1) =>
                {
                    continue;
                }
                ShownMarks::Without(_) => mark.fill,
                ShownMarks::Alone(part) if mark.part == Some(part) => {
                    PathFill::Flat(Colour::hex(0xffffff))
                }
                ShownMarks::Alone(_) => PathFill::Flat(Colour::hex(0)),
            };
            let paint =
                Paint { shader: shader(&mark.path, fill), anti_alias: true, ..Paint::default() };
            match mark.line {
                None => onto.fill_path(&mark.path, &paint, FillRule::Winding, transform, None),
                Some(width) => {
                    let stroke = Stroke {
                        width,
                        line_cap: LineCap::Round,
                        line_join: LineJoin::Round,
                        ..Stroke::default()
                    };
                    onto.stroke_path(&mark.path, &paint, &stroke, transform, None);
                }
            }
        }
    }
}

fn shader(path: &Path, fill: PathFill) -> Shader<'static> {
    let area = path.bounds();
    let stops = |from: Colour, to: Colour| {
        vec![GradientStop::new(0.0, from.skia(1.0)), GradientStop::new(1.0, to.skia(1.0))]
    };
    let (shader, otherwise) = match fill {
        PathFill::Flat(colour) => return Shader::SolidColor(colour.skia(1.0)),
        PathFill::Slope(from, to) => {
            let start = Point::from_xy(area.left() + 0.2 * area.width(), area.top());
            let end = Point::from_xy(area.right() - 0.2 * area.width(), area.bottom());
            (
                LinearGradient::new(
                    start,
                    end,
                    stops(from, to),
                    SpreadMode::Pad,
                    Transform::identity(),
                ),
                from.mix(to, 0.5),
            )
        }
        PathFill::Bulge(from, to) => {
            let centre =
                Point::from_xy(area.left() + 0.35 * area.width(), area.top() + 0.3 * area.height());
            let radius = 0.8 * area.width().max(area.height());
            let identity = Transform::identity();
            let shader = RadialGradient::new(
                centre,
                0.0,
                centre,
                radius,
                stops(from, to),
                SpreadMode::Pad,
                identity,
            );
            (shader, from.mix(to, 0.5))
        }
    };
    // tiny-skia refuses gradients over no distance: they are one colour.
    shader.unwrap_or(Shader::SolidColor(otherwise.skia(1.0)))
}

/// An ellipse about `(x, y)`.
pub(super) fn oval(x: f32, y: f32, rx: f32, ry: f32) -> Option<Path> {
    PathBuilder::from_oval(Rect::from_ltrb(x - rx, y - ry, x + rx, y + ry)?)
}

/// A rectangle.
pub(super) fn rectangle(left: f32, top: f32, right: f32, bottom: f32) -> Option<Path> {
    Rect::from_ltrb(left, top, right, bottom).map(PathBuilder::from_rect)
}

/// A rectangle with round corners.
pub(super) fn rounded(left: f32, top: f32, right: f32, bottom: f32, radius: f32) -> Option<Path> {
    let r = radius.min((right - left) / 2.0).min((bottom - top) / 2.0);
    let mut path = PathBuilder::new();
    path.move_to(left + r, top);
    path.line_to(right - r, top);
    path.quad_to(right, top, right, top + r);
    path.line_to(right, bottom - r);
    path.quad_to(right, bottom, right - r, bottom);
    path.line_to(left + r, bottom);
    path.quad_to(left, bottom, left, bottom - r);
    path.line_to(left, top + r);
    path.quad_to(left, top, left + r, top);
    path.close();
    path.finish()
}

/// A closed polygon.
pub(super) fn polygon(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = straight(points)?;
    path.close();
    path.finish()
}

/// Straight lines from point to point.
pub(super) fn polyline(points: &[(f32, f32)]) -> Option<Path> {
    straight(points)?.finish()
}

fn straight(points: &[(f32, f32)]) -> Option<PathBuilder> {
    let (first, rest) = points.split_first()?;
    let mut path = PathBuilder::new();
    path.move_to(first.0, first.1);
    for &(x, y) in rest {
        path.line_to(x, y);
    }
    Some(path)
}

/// A closed curve near the points: parabolas through the middles of the polygon's sides.
pub(super) fn blob(points: &[(f32, f32)]) -> Option<Path> {
    let middle = |a: (f32, f32), b: (f32, f32)| ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
    let start = middle(*points.last()?, points[0]);
    let mut path = PathBuilder::new();
    path.move_to(start.0, start.1);
    for (at, &point) in points.iter().enumerate() {
        let end = middle(point, points[(at + 1) % points.len()]);
        path.quad_to(point.0, point.1, end.0, end.1);
    }
    path.close();
    path.finish()
}

/// A curve from the first point to the last, bent by those between.
pub(super) fn curve(points: &[(f32, f32)]) -> Option<Path> {
    let (first, last) = (points.first()?, points.last()?);
    let bends = points.get(1..points.len() - 1)?;
    let mut path = PathBuilder::new();
    path.move_to(first.0, first.1);
    for (at, &bend) in bends.iter().enumerate() {
        let end = bends
            .get(at + 1)
            .map_or(*last, |next| ((bend.0 + next.0) / 2.0, (bend.1 + next.1) / 2.0));
        path.quad_to(bend.0, bend.1, end.0, end.1);
    }
    path.finish()
}

/// A part of an ellipse as points, from one angle to another in degrees, clockwise from the right.
pub(super) fn arc(x: f32, y: f32, rx: f32, ry: f32, from: f32, to: f32) -> Vec<(f32, f32)> {
    const STEPS: usize = 14;
    let point = |step| {
        let (sin, cos) = sin_cos(from + (to - from) * step as f32 / STEPS as f32);
        (x + rx * cos, y + ry * sin)
    };
    (0..=STEPS).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_are_those_of_the_mathematics_library() {
        for tenth in -7_300..7_300_i16 {
            let degrees = f32::from(tenth) / 10.0;
            let (sin, cos) = sin_cos(degrees);
            let exact = f64::from(degrees).to_radians();
            assert!((f64::from(sin) - exact.sin()).abs() < 1e-7, "sin {degrees}: {sin}");
            assert!((f64::from(cos) - exact.cos()).abs() < 1e-7, "cos {degrees}: {cos}");
        }
    }

    #[test]
    fn hues_are_where_they_should_be() {
        for (hue, rgb) in [
            (0.0, 0xff0000),
            (60.0, 0xffff00),
            (120.0, 0x00ff00),
            (240.0, 0x0000ff),
            (300.0, 0xff00ff),
        ] {
            assert_eq!(Colour::hsl(hue, 1.0, 0.5), Colour::hex(rgb));
        }
    }

    #[test]
    fn a_drawing_is_as_large_as_its_marks() {
        let mut drawing = Drawing::default();
        let red = PathFill::Flat(Colour::hex(0xff0000));
        drawing.add(rectangle(-1.0, 0.0, 2.0, 1.0), Transform::identity(), red, None);
        drawing.add(polyline(&[(0.0, 0.0), (0.0, -3.0)]), Transform::identity(), red, Some(0.5));
        assert_eq!(drawing.bounds(Transform::identity()), Some([-1.0, -3.25, 2.0, 1.0]));
        assert_eq!(drawing.bounds(Transform::from_scale(2.0, 2.0)), Some([-2.0, -6.5, 4.0, 2.0]));
        assert_eq!(Drawing::default().bounds(Transform::identity()), None);
    }
}
