//! Text turned into outlines: every `<text>` line of a picture becomes a `<path>` with the text as
//! its label; all other lines stay as they are.

use super::markup::{hex, number};
use resvg::tiny_skia::{PathSegment, Point};
use resvg::usvg;
use std::collections::HashMap;
use std::fmt::Write;

/// The picture's markup with outlines instead of text; `tree` is the same picture, parsed.
pub(super) fn outlined(markup: &str, tree: &usvg::Tree) -> String {
    let mut texts = HashMap::new();
    collect(tree.root(), &mut texts);
    let mut outlined = String::with_capacity(4 * markup.len());
    for line in markup.lines() {
        let Some((id, attributes)) =
            line.strip_prefix(r#"<text id=""#).and_then(|rest| rest.split_once('"'))
        else {
            outlined.push_str(line);
            outlined.push('\n');
            continue;
        };
        let content = attributes
            .split_once('>')
            .map_or("", |(_, content)| content.trim_end_matches("</text>"));
        let named =
            attributes.split_once(" aria-label=\"").and_then(|(_, rest)| rest.split_once('"'));
        let label = named.map_or(content, |(label, _)| label);
        // Text in which nothing is visible is not in the tree.
        if let Some(text) = texts.get(id) {
            write_outlines(text.flattened(), label, &mut outlined);
        }
    }
    outlined
}

/// All texts of a group by their ids.
pub(super) fn collect<'a>(group: &'a usvg::Group, texts: &mut HashMap<&'a str, &'a usvg::Text>) {
    for node in group.children() {
        match node {
            usvg::Node::Group(inner) => collect(inner, texts),
            usvg::Node::Text(text) => {
                texts.insert(text.id(), text);
            }
            usvg::Node::Path(_) | usvg::Node::Image(_) => {}
        }
    }
}

fn write_outlines(group: &usvg::Group, label: &str, markup: &mut String) {
    for node in group.children() {
        match node {
            usvg::Node::Path(path) => {
                let placed = path.data().clone().transform(path.abs_transform());
                let Some((placed, usvg::Paint::Color(fill))) =
                    placed.zip(path.fill().map(usvg::Fill::paint))
                else {
                    continue;
                };
                let fill = hex([fill.red, fill.green, fill.blue]);
                let data = Pen::default().draw(placed.segments());
                // Writing to a string cannot fail.
                let _ =
                    writeln!(markup, r#"<path aria-label="{label}" fill="{fill}" d="{data}"/>"#);
            }
            usvg::Node::Group(inner) => write_outlines(inner, label, markup),
            usvg::Node::Text(_) | usvg::Node::Image(_) => {}
        }
    }
}

/// Writes path data in whole hundredths of a pixel relative to the point before: half as long as
/// absolute coordinates, and roundings do not add up, as the pen knows where it really is.
#[derive(Default)]
struct Pen {
    data: String,
    at: (i64, i64),
    start: (i64, i64),
    command: char,
}

impl Pen {
    fn draw(mut self, segments: impl Iterator<Item = PathSegment>) -> String {
        for segment in segments {
            match segment {
                PathSegment::MoveTo(to) => {
                    self.segment('m', &[to]);
                    self.start = self.at;
                }
                PathSegment::LineTo(to) => self.segment('l', &[to]),
                PathSegment::QuadTo(control, to) => self.segment('q', &[control, to]),
                PathSegment::CubicTo(first, second, to) => self.segment('c', &[first, second, to]),
                PathSegment::Close => {
                    self.data.push('z');
                    self.command = 'z';
                    self.at = self.start;
                }
            }
        }
        self.data
    }

    fn segment(&mut self, command: char, points: &[Point]) {
        // The same command again goes without saying, save that a second pair after `m` would be a
        // line.
        let mut separate = self.command == command && command != 'm';
        if !separate {
            self.data.push(command);
            self.command = command;
        }
        let mut to = self.at;
        for point in points {
            to = (hundredths(point.x), hundredths(point.y));
            for step in [to.0 - self.at.0, to.1 - self.at.1] {
                let length = number(step.abs() as f64 / 100.0);
                self.data.push_str(match step {
                    ..0 => "-",
                    _ if separate => " ",
                    _ => "",
                });
                self.data.push_str(if length.starts_with("0.") { &length[1..] } else { &length });
                separate = true;
            }
        }
        self.at = to;
    }
}

fn hundredths(coordinate: f32) -> i64 {
    (f64::from(coordinate) * 100.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use resvg::tiny_skia::PathBuilder;

    #[test]
    fn path_data_is_relative_and_short() {
        let mut path = PathBuilder::new();
        path.move_to(10.0, 20.5);
        path.line_to(10.25, 20.0);
        path.line_to(10.25, 30.25);
        path.close();
        path.move_to(1.0, 1.0);
        path.quad_to(2.0, 1.0, 2.0, 0.0);
        let path = path.finish().unwrap();
        assert_eq!(
            Pen::default().draw(path.segments()),
            "m10 20.5l.25-.5 0 10.25zm-9-19.5q1 0 1-1"
        );
    }
}
