//! The few SVG elements our pictures are made of. Lengths are CSS pixels (1/96 inch), x to the
//! right, y down; text is escaped here and nowhere else.

use super::markup::{escape, hex, number};
use super::text::Text;
use super::{Svg, colour::Rgb};
use std::fmt::Write;

/// A rectangle: left, top, width, height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Area {
    pub(super) fn new(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self { x, y, width, height }
    }

    pub(super) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.height
    }
}

/// How an open line is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub colour: Rgb,
    pub width: f64,
    pub dashed: bool,
}

/// An SVG document being written, one element a line.
#[derive(Default)]
pub(super) struct Canvas {
    body: String,
    texts: usize,
}

impl Canvas {
    /// A filled rectangle without an outline.
    pub(super) fn rect(&mut self, area: Area, fill: Rgb) {
        self.filled(area, &hex(fill));
    }

    /// The outline of a rectangle, its middle line along the area's edges; `dashed` draws it
    /// broken.
    pub(super) fn frame(&mut self, area: Area, stroke: Rgb, width: f64, dashed: bool) {
        let (stroke, stroke_width) = (hex(stroke), number(width));
        let dashes = if dashed { r#" stroke-dasharray="5 3""# } else { "" };
        let [x, y, width, height] = [area.x, area.y, area.width, area.height].map(number);
        self.element(format_args!(
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="none" stroke="{stroke}" stroke-width="{stroke_width}"{dashes}/>"#
        ));
    }

    /// A picture given as a data URI, stretched over the area. The attribute is XLink's, which
    /// older programs than the newest browsers know too.
    pub(super) fn image(&mut self, area: Area, uri: &str) {
        let [x, y, width, height] = [area.x, area.y, area.width, area.height].map(number);
        self.element(format_args!(
            r#"<image xmlns:xlink="http://www.w3.org/1999/xlink" x="{x}" y="{y}" width="{width}" height="{height}" preserveAspectRatio="none" xlink:href="{uri}"/>"#
        ));
    }

    /// A rectangle filled with colours at equal distances: along its longer side, from the left or
    /// from the bottom.
    pub(super) fn gradient(&mut self, id: &str, area: Area, colours: &[Rgb]) {
        let last = colours.len().saturating_sub(1).max(1) as f64;
        let direction = match area.width > area.height {
            true => r#"x1="0" y1="0" x2="1" y2="0""#,
            false => r#"x1="0" y1="1" x2="0" y2="0""#,
        };
        self.element(format_args!(r#"<linearGradient id="{id}" {direction}>"#));
        for (i, colour) in colours.iter().enumerate() {
            self.element(format_args!(
                r#"<stop offset="{:.5}" stop-color="{}"/>"#,
                i as f64 / last,
                hex(*colour)
            ));
        }
        self.element(format_args!("</linearGradient>"));
        self.filled(area, &format!("url(#{id})"));
    }

    /// A straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Rgb, width: f64) {
        let path = segment(from, to);
        self.stroked(&path, stroke, width);
    }

    /// A line through points, its corners rounded.
    pub(super) fn stroke(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{} {}", number(*x), number(*y))).collect();
        let (path, colour, width) = (path.join("L"), hex(stroke.colour), number(stroke.width));
        let dashes = if stroke.dashed { r#" stroke-dasharray="4 2.5""# } else { "" };
        self.element(format_args!(
            r#"<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{dashes}/>"#
        ));
    }

    /// A disc, or a ring with white inside.
    pub(super) fn dot(&mut self, at: (f64, f64), radius: f64, colour: Rgb, hollow: bool) {
        let [x, y, radius] = [at.0, at.1, radius].map(number);
        let (fill, colour) = (if hollow { "#ffffff".into() } else { hex(colour) }, hex(colour));
        self.element(format_args!(
            r#"<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}" stroke="{colour}" stroke-width="1.4"/>"#
        ));
    }

    /// A filled disc without an outline.
    pub(super) fn spot(&mut self, at: (f64, f64), radius: f64, colour: Rgb) {
        let ([x, y, radius], colour) = ([at.0, at.1, radius].map(number), hex(colour));
        self.element(format_args!(r#"<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}"/>"#));
    }

    /// A filled polygon with a thin white edge, by which those that overlap are told apart.
    pub(super) fn polygon(&mut self, corners: &[(f64, f64)], fill: Rgb) {
        let path: Vec<String> =
            corners.iter().map(|(x, y)| format!("{} {}", number(*x), number(*y))).collect();
        let (path, fill) = (path.join("L"), hex(fill));
        self.element(format_args!(
            r##"<path d="M{path}Z" fill="{fill}" stroke="#ffffff" stroke-width="0.4"/>"##
        ));
    }

    /// A disc with a thin white edge, as [`Canvas::polygon`].
    pub(super) fn disc(&mut self, at: (f64, f64), radius: f64, fill: Rgb) {
        let ([x, y, radius], fill) = ([at.0, at.1, radius].map(number), hex(fill));
        self.element(format_args!(
            r##"<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}" stroke="#ffffff" stroke-width="0.4"/>"##
        ));
    }

    /// A ring that shows what is inside.
    pub(super) fn ring(&mut self, at: (f64, f64), radius: f64, colour: Rgb) {
        let ([x, y, radius], colour) = ([at.0, at.1, radius].map(number), hex(colour));
        self.element(format_args!(
            r#"<circle cx="{x}" cy="{y}" r="{radius}" fill="none" stroke="{colour}" stroke-width="1.6"/>"#
        ));
    }

    /// Parallel lines from the lower left to the upper right, `distance` apart along x, that fill
    /// `area`. Lines and not a pattern: many viewers draw patterns as blurred bitmaps.
    pub(super) fn hatch(&mut self, area: Area, distance: f64, stroke: Rgb, width: f64) {
        let mut path = String::new();
        let mut offset = distance / 2.0;
        while offset < area.width + area.height {
            // The line x + y = offset, in the area's own coordinates.
            let (left, right) = ((offset - area.height).max(0.0), offset.min(area.width));
            let point = |x: f64| (area.x + x, area.y + offset - x);
            path.push_str(&segment(point(left), point(right)));
            offset += distance;
        }
        self.stroked(&path, stroke, width);
    }

    /// One line of text.
    pub(super) fn text(&mut self, text: &Text<'_>) {
        text.write_to(&mut self.body, self.texts);
        self.texts += 1;
    }

    /// The elements that `fill` adds, as one group with an `id`.
    pub(super) fn group(&mut self, id: &str, fill: impl FnOnce(&mut Self)) {
        self.element(format_args!(r#"<g id="{id}">"#));
        fill(self);
        self.element(format_args!("</g>"));
    }

    /// The document on white paper of this size; screen readers and tooltips show the title.
    pub(super) fn finish(self, title: &str, width: f64, height: f64) -> Svg {
        let (width, height) = (width.ceil(), height.ceil());
        let paper = r##"<rect width="100%" height="100%" fill="#ffffff"/>"##;
        let title = escape(title);
        let root = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">"#
        );
        Svg {
            markup: format!("{root}\n<title>{title}</title>\n{paper}\n{}</svg>\n", self.body),
            width,
            height,
        }
    }

    fn filled(&mut self, area: Area, fill: &str) {
        let [x, y, width, height] = [area.x, area.y, area.width, area.height].map(number);
        self.element(format_args!(
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"/>"#
        ));
    }

    fn stroked(&mut self, path: &str, stroke: Rgb, width: f64) {
        let (stroke, width) = (hex(stroke), number(width));
        self.element(format_args!(
            r#"<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{width}"/>"#
        ));
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

fn segment(from: (f64, f64), to: (f64, f64)) -> String {
    format!("M{} {}L{} {}", number(from.0), number(from.1), number(to.0), number(to.1))
}
