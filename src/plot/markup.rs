//! Numbers, colours and text as they stand in an SVG.

use super::colour::Rgb;

/// A coordinate with at most two decimals: a hundredth of a pixel is below what print shows.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_string()
}

/// `#rrggbb`.
pub(super) fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text for element contents and attributes. Line ends, tabs and control characters, most of which
/// XML forbids, become spaces; the two code points that XML forbids besides become the replacement
/// character.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            '\u{2028}' | '\u{2029}' => escaped.push(' '),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_is_what_an_xml_reader_gives_back() {
        assert_eq!(
            escape("a<b & \"c\">\n\u{1}\u{ffff}"),
            "a&lt;b &amp; &quot;c&quot;&gt;  \u{fffd}"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, -0.001, 0.126, 20.0, -3.5].map(number), ["1", "0", "0.13", "20", "-3.5"]);
    }
}
