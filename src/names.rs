//! Names of classes and labels, from whatever file: they become rows and columns of tables and text
//! in pictures and in the terminal. And the words for a number of things.

use std::collections::BTreeSet;

/// Longer names are a mistake, and too long to draw.
const MOST_LETTERS: usize = 200;

/// The row of matrices for what lies in no region.
pub const BACKGROUND: &str = "(background)";

/// Names of rows of `counts.csv` that are no classes: the last one, and the background.
const RESERVED: [&str; 2] = ["images", BACKGROUND];

/// Refuses names that could not be told apart or shown; `kind` is `class` or `label`. The message
/// goes behind a file's name.
///
/// # Errors
/// A name that is empty, longer than 200 letters, has control characters, or is there twice; a
/// class named `images` or `(background)`.
pub fn check_names(names: &[String], kind: &str) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (number, name) in (1..).zip(names) {
        let letters = name.chars().count();
        if name.trim().is_empty() {
            return Err(format!("{kind} {number} has no name"));
        }
        if letters > MOST_LETTERS {
            let start: String = name.chars().take(20).collect();
            return Err(format!(
                "{kind} {number}, `{start}…`, has a name of {letters} letters: at most \
                 {MOST_LETTERS}"
            ));
        }
        if name.chars().any(char::is_control) {
            return Err(format!(
                "{kind} {number}, `{}`, has control characters in its name",
                name.escape_debug()
            ));
        }
        if kind == "class" && RESERVED.contains(&name.as_str()) {
            return Err(format!(
                "{kind} {number} is named `{name}`, as a row of counts.csv that is no class: give \
                 it another name"
            ));
        }
        if !seen.insert(name) {
            return Err(format!(
                "the {kind} `{name}` is there twice: each needs a name of its own"
            ));
        }
    }
    Ok(())
}

/// A number and what is counted, in the singular for one: `1 image`, `12 images`; `thing` forms its
/// plural by an s.
pub fn counted(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let said: Vec<String> = [0, 1, 2].map(|number| counted(number, "image")).into();
        assert_eq!(said, ["0 images", "1 image", "2 images"]);
    }

    #[test]
    fn names_that_cannot_be_shown_or_told_apart_are_refused() {
        let check = |names: &[&str], kind| {
            check_names(&names.iter().map(ToString::to_string).collect::<Vec<_>>(), kind)
        };
        assert_eq!(check(&["Cat", "Big, bad dog", "猫", "images of cats"], "class"), Ok(()));
        assert_eq!(check(&["images"], "label"), Ok(()));
        for (names, named) in [
            (&["Cat", " "][..], "class 2 has no name"),
            (&["Cat", "Cat"], "`Cat` is there twice"),
            (&["images"], "counts.csv"),
            (&["Cat", BACKGROUND], "class 2 is named `(background)`"),
            (&["a\u{1b}[31m"], "\\u{1b}"),
        ] {
            let message = check(names, "class").unwrap_err();
            assert!(message.contains(named), "{message}");
        }
        let long = "x".repeat(20_000);
        let message = check(&[&long], "label").unwrap_err();
        assert!(message.contains("20000 letters") && message.len() < 200, "{message}");
    }
}
