//! Text of known width: lines cut and wrapped by what the renderer will really draw.

use super::colour::{BLACK, Rgb};
use super::glyphs::{self, drawable, is_drawable};
use super::markup::{escape, hex, number};
use super::outline::collect;
use crate::{Error, Result};
use resvg::usvg;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

/// The embedded font's name.
pub(super) const FAMILY: &str = "DejaVu Sans";

/// Shares of the font size, from DejaVu Sans' `hhea` and `OS/2` tables (of 2048 units: 1901, 483,
/// 1493).
pub(super) const ASCENT: f64 = 0.9282;
pub(super) const DESCENT: f64 = 0.2358;
pub(super) const CAP_HEIGHT: f64 = 0.729;

/// Line distance as a multiple of the font size.
pub(super) const LEADING: f64 = 1.35;

/// A line of text and the start of its baseline (for turned text: its anchor).
pub(super) type Line = (String, (f64, f64));

/// Size in pixels, and weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Font {
    pub size: f64,
    pub bold: bool,
}

impl Font {
    pub(super) const fn regular(size: f64) -> Self {
        Self { size, bold: false }
    }

    pub(super) const fn bold(size: f64) -> Self {
        Self { size, bold: true }
    }

    /// How far below its middle line a line of digits and capitals has its baseline.
    pub(super) fn drop(&self) -> f64 {
        self.size * CAP_HEIGHT / 2.0
    }
}

/// Which point of a line of text lies at its position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// One line of text: `at` is a point of the baseline, about which the line is turned clockwise by
/// `turn` degrees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub content: &'a str,
    pub at: (f64, f64),
    pub font: Font,
    pub anchor: Anchor,
    pub turn: f64,
    pub fill: Rgb,
}

impl Text<'_> {
    /// Appends the `<text>` element with the id `t<number>`, on a line of its own.
    pub(super) fn write_to(&self, markup: &mut String, id: usize) {
        let anchor = match self.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if self.font.bold { r#" font-weight="bold""# } else { "" };
        let (x, y) = (number(self.at.0), number(self.at.1));
        let turn = match self.turn {
            0.0 => String::new(),
            turn => format!(r#" transform="rotate({} {x} {y})""#, number(turn)),
        };
        let (size, fill, drawn) = (number(self.font.size), hex(self.fill), drawable(self.content));
        // Where code points stand for letters, screen readers get the letters.
        let label = match drawn {
            Cow::Borrowed(_) => String::new(),
            Cow::Owned(_) => format!(r#" aria-label="{}""#, escape(self.content)),
        };
        let content = escape(&drawn);
        // Writing to a string cannot fail.
        let _ = writeln!(
            markup,
            r#"<text id="t{id}" x="{x}" y="{y}" font-family="{FAMILY}" font-size="{size}"{weight} text-anchor="{anchor}" fill="{fill}"{turn}{label}>{content}</text>"#
        );
    }
}

/// Parses our SVG with the embedded font, and for what it lacks with those of the machine
/// ([`super::glyphs`]).
///
/// # Errors
/// [`Error::Figure`] when the renderer refuses the picture.
pub(super) fn parse(markup: &str) -> Result<usvg::Tree> {
    usvg::Tree::from_str(markup, &glyphs::options())
        .map_err(|e| Error::Figure(format!("the picture cannot be drawn: {e}")))
}

/// The widths of lines of text, in pixels: shaped, kerned and with code points for missing glyphs,
/// exactly as they will be drawn.
///
/// # Errors
/// As [`parse`].
pub(super) fn widths<S: AsRef<str>>(lines: &[S], font: Font) -> Result<Vec<f64>> {
    let mut markup =
        String::from(r#"<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1">"#);
    for (i, line) in lines.iter().enumerate() {
        let (at, anchor, content) = ((0.0, 0.0), Anchor::Start, line.as_ref());
        Text { content, at, font, anchor, turn: 0.0, fill: BLACK }.write_to(&mut markup, i);
    }
    markup.push_str("</svg>");
    let tree = parse(&markup)?;
    let mut texts = HashMap::new();
    collect(tree.root(), &mut texts);
    // A line without anything visible is not in the tree, and has no width.
    let width = |id: String| {
        texts.get(id.as_str()).map_or(0.0, |text| f64::from(text.bounding_box().width()))
    };
    Ok((0..lines.len()).map(|i| width(format!("t{i}"))).collect())
}

/// The line itself where it fits into `limit` pixels; else as much of its beginning as fits, with
/// an ellipsis.
///
/// # Errors
/// As [`parse`].
pub(super) fn shorten<S: AsRef<str>>(lines: &[S], font: Font, limit: f64) -> Result<Vec<String>> {
    let widths = widths(lines, font)?;
    lines
        .iter()
        .zip(widths)
        .map(|(line, width)| {
            let line = line.as_ref();
            if width <= limit {
                return Ok(line.to_string());
            }
            let kept = fitting_prefix(line, font, limit - font.size)?;
            Ok(format!("{}…", line[..kept].trim_end()))
        })
        .collect()
}

/// The text in lines of at most `limit` pixels, broken at white space; a word that is too long by
/// itself is cut.
///
/// # Errors
/// As [`parse`].
pub(super) fn wrap(text: &str, font: Font, limit: f64) -> Result<Vec<String>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut lines: Vec<String> = Vec::new();
    for (word, width) in words.iter().zip(widths(&words, font)?) {
        // A line is measured as it will be drawn: its words' widths do not add up, for words of two
        // scripts are shaped otherwise side by side than alone.
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line} {word}");
            if widths(&[&longer], font)?[0] <= limit {
                *line = longer;
                continue;
            }
        }
        let mut rest = *word;
        while width > limit && !rest.is_empty() {
            let (piece, after) = rest.split_at(fitting_prefix(rest, font, limit)?);
            lines.push(piece.to_string());
            rest = after;
        }
        if !rest.is_empty() {
            lines.push(rest.to_string());
        }
    }
    Ok(lines)
}

/// The width of the widest line, 0 when there is none.
///
/// # Errors
/// As [`parse`].
pub(super) fn widest<S: AsRef<str>>(lines: &[S], font: Font) -> Result<f64> {
    Ok(widths(lines, font)?.into_iter().fold(0.0, f64::max))
}

/// Sets lines one below the other from `y`, which moves below the last.
pub(super) fn lines(text: &[String], font: Font, x: f64, y: &mut f64) -> Vec<Line> {
    let above = font.size * ((LEADING - ASCENT - DESCENT) / 2.0 + ASCENT);
    text.iter()
        .map(|line| {
            let position = (x, *y + above);
            *y += font.size * LEADING;
            (line.clone(), position)
        })
        .collect()
}

/// The length in bytes of the longest beginning whose characters, each set alone, fit; at least one
/// character.
fn fitting_prefix(line: &str, font: Font, limit: f64) -> Result<usize> {
    let characters: Vec<&str> =
        line.char_indices().map(|(at, c)| &line[at..at + c.len_utf8()]).collect();
    // Spaces alone have no width: they get that of an "n", which is wider. So do those about a code
    // point.
    let alone = |c: &&str| match c.chars().all(is_drawable) {
        true if c.trim().is_empty() => "n".to_string(),
        true => c.to_string(),
        false => format!("{c}nn"),
    };
    let set: Vec<String> = characters.iter().map(alone).collect();
    let mut used = 0.0;
    let mut kept = 0;
    for (character, width) in characters.iter().zip(widths(&set, font)?) {
        used += width;
        if used > limit && kept > 0 {
            break;
        }
        kept += character.len();
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use proptest::prelude::*;

    const TEN: Font = Font::regular(10.0);

    #[test]
    fn widths_are_the_fonts_own_advances() {
        // Advances from the font's hmtx table: digits 1303, W 2025, each of 2048 units.
        let found = widths(&["0", "52", "W", "", "  "], TEN).unwrap();
        let expected = [13030.0 / 2048.0, 26060.0 / 2048.0, 20250.0 / 2048.0, 0.0, 0.0];
        for (found, expected) in found.iter().zip(expected) {
            assert_abs_diff_eq!(*found, expected, epsilon = 1e-3);
        }
        assert!(
            widths(&["Clothing"], Font::bold(10.0)).unwrap() > widths(&["Clothing"], TEN).unwrap()
        );
    }

    #[test]
    fn a_missing_glyph_has_a_width() {
        assert!(widths(&["\u{1f600}", "漢字"], TEN).unwrap().iter().all(|&width| width > 3.0));
    }

    #[test]
    fn long_lines_are_shortened_and_wrapped() {
        assert_eq!(shorten(&["Tree", "Sexual Desire"], TEN, 40.0).unwrap(), ["Tree", "Sexu…"]);
        assert_eq!(wrap(" one two\nthree ", TEN, 45.0).unwrap(), ["one two", "three"]);
        assert_eq!(wrap("a mmmmmmmmmm b", TEN, 45.0).unwrap(), ["a", "mmmm", "mmmm", "mm b"]);
        assert!(wrap("", TEN, 45.0).unwrap().is_empty());
        let scripts = wrap("aAAA AkaaΑA зrΑLΔFYш еDYZ TaбfSiD", TEN, 120.0).unwrap();
        assert!(widest(&scripts, TEN).unwrap() <= 120.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Of letters: what no font has is written as its code point, which may not fit into a
        /// line.
        #[test]
        fn wrapping_loses_no_word_and_keeps_the_limit(
            words in prop::collection::vec("[a-zA-ZΑ-ΡΣ-Ωб-я]{1,8}", 0..12),
        ) {
            let lines = wrap(&words.join(" "), TEN, 120.0).unwrap();
            prop_assert_eq!(lines.join(" "), words.join(" "));
            for width in widths(&lines, TEN).unwrap() {
                prop_assert!(width <= 120.0, "{}", width);
            }
        }

        #[test]
        fn any_text_has_a_finite_width(text in any::<String>()) {
            prop_assert!(widths(&[text], TEN).unwrap()[0].is_finite());
        }
    }
}
