//! Which characters can be drawn, and in which font.
//!
//! Nearly all text is set in the embedded DejaVu Sans, the same on every machine. It has Latin,
//! Greek, Cyrillic, Arabic, Hebrew and more, but no Chinese, Japanese or Korean. A character that
//! it lacks is taken from a font of the machine where one has it, and is otherwise written as its
//! code point, as `U+732B`: a reader can look that up, and an empty box says nothing.
//!
//! In: text. Out: the text that is drawn in its place, and the renderer's options. The machine's
//! fonts are looked for once, and only when a character asks for them.

use super::text::FAMILY;
use resvg::usvg::{self, FontResolver, Options, fontdb};
use skrifa::{FontRef, MetadataProvider};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// DejaVu Sans 2.37, unmodified, as in Debian's fonts-dejavu-core; licence in `fonts/LICENSE`.
static REGULAR: &[u8] = include_bytes!("fonts/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("fonts/DejaVuSans-Bold.ttf");

/// From this weight on text is bold, as in CSS.
const BOLD_WEIGHT: u16 = 600;

/// First and last code point of the characters that a font has, ascending.
type Coverage = Vec<(u32, u32)>;

/// The embedded faces, and perhaps others behind them.
struct Fonts {
    database: Arc<fontdb::Database>,
    regular: fontdb::ID,
    bold: fontdb::ID,
    /// Faces in the order in which they are asked: the embedded ones, then the others by their
    /// names.
    order: Vec<fontdb::ID>,
    coverage: HashMap<fontdb::ID, Coverage>,
}

impl Fonts {
    /// The embedded faces and those that `add` loads.
    fn new(add: impl FnOnce(&mut fontdb::Database)) -> Self {
        let mut database = fontdb::Database::new();
        let [regular, bold] = [REGULAR, BOLD].map(|face| {
            let ids = database.load_font_source(fontdb::Source::Binary(Arc::new(face)));
            ids.first().copied().expect("the embedded fonts are fonts, as the tests have seen")
        });
        add(&mut database);
        let name = |id: &fontdb::ID| {
            database
                .face(*id)
                .map(|face| (face.weight != fontdb::Weight::NORMAL, face.post_script_name.clone()))
        };
        let mut others: Vec<fontdb::ID> = database
            .faces()
            .map(|face| face.id)
            .filter(|id| ![regular, bold].contains(id))
            .collect();
        others.sort_by_cached_key(name);
        let order = [vec![regular, bold], others].concat();
        let of_face = |&id: &fontdb::ID| {
            let found = database.with_face_data(id, coverage);
            (id, found.flatten().unwrap_or_default())
        };
        let coverage = order.iter().map(of_face).collect();
        Self { database: Arc::new(database), regular, bold, order, coverage }
    }

    /// The first face that has the character and is none of `but`.
    fn face_of(&self, character: char, but: &[fontdb::ID]) -> Option<fontdb::ID> {
        let code = u32::from(character);
        let has = |id: &fontdb::ID| {
            let ranges = &self.coverage[id];
            let following = ranges.partition_point(|&(first, _)| first <= code);
            following.checked_sub(1).is_some_and(|index| code <= ranges[index].1)
        };
        self.order.iter().copied().find(|id| !but.contains(id) && has(id))
    }
}

/// The characters for which a font has outlines; `None` of what is no such font, as one of bitmaps,
/// which would be lost in an SVG.
fn coverage(data: &[u8], index: u32) -> Option<Coverage> {
    let font = FontRef::from_index(data, index).ok()?;
    font.outline_glyphs().format()?;
    let mut codes: Vec<u32> = font
        .charmap()
        .mappings()
        .filter(|(_, glyph)| glyph.to_u32() != 0)
        .map(|mapping| mapping.0)
        .collect();
    codes.sort_unstable();
    let mut ranges: Coverage = Vec::new();
    for code in codes {
        match ranges.last_mut() {
            Some((_, last)) if code <= *last + 1 => *last = code,
            _ => ranges.push((code, code)),
        }
    }
    Some(ranges)
}

fn embedded() -> &'static Fonts {
    static FONTS: OnceLock<Fonts> = OnceLock::new();
    FONTS.get_or_init(|| Fonts::new(|_| ()))
}

static INSTALLED: OnceLock<Fonts> = OnceLock::new();

/// The embedded faces and those of the machine; in unit tests, whose pictures are the same
/// everywhere, without those.
fn installed() -> &'static Fonts {
    INSTALLED.get_or_init(|| {
        Fonts::new(|database| {
            if !cfg!(test) {
                database.load_system_fonts();
            }
        })
    })
}

/// The renderer's options. Text must have gone through [`drawable`] before: fonts of the machine
/// are there once a character has asked for them.
pub(super) fn options() -> Options<'static> {
    let fonts = INSTALLED.get().unwrap_or_else(embedded);
    let select_font = |font: &usvg::Font, _: &mut Arc<fontdb::Database>| {
        Some(if font.weight() >= BOLD_WEIGHT { fonts.bold } else { fonts.regular })
    };
    let select_fallback = |character: char, used: &[fontdb::ID], _: &mut Arc<fontdb::Database>| {
        fonts.face_of(character, used)
    };
    Options {
        font_family: FAMILY.into(),
        fontdb: Arc::clone(&fonts.database),
        font_resolver: FontResolver {
            select_font: Box::new(select_font),
            select_fallback: Box::new(select_fallback),
        },
        ..Options::default()
    }
}

/// The text as it is drawn: a character that no font has is written as its code point.
pub(super) fn drawable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_drawable) {
        return Cow::Borrowed(text);
    }
    let mut drawn = String::with_capacity(2 * text.len());
    let mut after_escape = false;
    for character in text.chars() {
        let escaped = !is_drawable(character);
        let joins = |other: char| !other.is_whitespace();
        if (escaped && drawn.chars().next_back().is_some_and(joins))
            || (after_escape && !escaped && joins(character))
        {
            drawn.push(' ');
        }
        match escaped {
            true => drawn.push_str(&format!("U+{:04X}", u32::from(character))),
            false => drawn.push(character),
        }
        after_escape = escaped;
    }
    Cow::Owned(drawn)
}

/// Whether a character shows, or is not meant to.
pub(super) fn is_drawable(character: char) -> bool {
    character.is_control()
        || character.is_whitespace()
        || is_ignorable(character)
        || embedded().face_of(character, &[]).is_some()
        || installed().face_of(character, &[]).is_some()
}

/// Characters that join, separate or direct others and have no shape of their own (Unicode 16,
/// Default_Ignorable_Code_Point), and those for which [`super::markup::escape`] puts something
/// else.
fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{fffe}'..='\u{ffff}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_font_has_is_written_as_its_code_point() {
        for text in
            ["Tree", "Übung ñ", "سعادة", "радость", "שמחה", "a\tb", "e\u{301}", "a\u{200d}b"]
        {
            assert!(matches!(drawable(text), Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(drawable("猫"), "U+732B");
        assert_eq!(drawable("悲しみ of 猫s"), "U+60B2 U+3057 U+307F of U+732B s");
        assert_eq!(drawable("\u{1f9ff}!"), "U+1F9FF !");
    }

    #[test]
    fn a_font_of_the_machine_is_asked_after_the_embedded_ones() {
        let others = Fonts::new(|database| database.load_font_data(REGULAR.to_vec()));
        let [regular, bold, other] = others.order[..] else { panic!("{:?}", others.order) };
        assert_eq!(others.face_of('ب', &[]), Some(regular));
        assert_eq!(others.face_of('ب', &[regular]), Some(bold));
        assert_eq!(others.face_of('ب', &[regular, bold]), Some(other));
        assert_eq!(others.face_of('猫', &[]), None);
        assert_eq!(
            Fonts::new(|database| database.load_font_data(b"no font".to_vec())).order.len(),
            2
        );
    }
}
