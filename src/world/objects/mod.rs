//! The classes: their names, how each is drawn, and where in a picture it is put.

mod animals;
mod balls;
mod expressions;
mod faces;
mod home;
mod outdoors;
mod people;
mod plants;
mod things;

use super::hand::Hand;
use super::object::{Object, Style, Variant};
use super::pen::Drawing;

/// How a class is drawn and placed.
pub(super) struct Kind {
    /// Draws one, in units of its own.
    draw: fn(&mut Hand),
    /// Least longest side, relative to the picture's shorter side: what it takes to tell what it
    /// is.
    pub least: f64,
    /// Largest turn either way, degrees.
    pub turn: f64,
    /// Where the centre usually is between the top (0) and the bottom (1) of the picture.
    pub height: (f64, f64),
    /// The part that must stay in sight, relative to the object's box: left, top, right, bottom.
    pub decisive: [f64; 4],
    /// What there is of it.
    variants: &'static [Variant],
}

const ANYWHERE: (f64, f64) = (0.0, 1.0);
const GROUND: (f64, f64) = (0.45, 1.0);
const AIR: (f64, f64) = (0.0, 0.6);
/// Most of it.
const CORE: [f64; 4] = [0.15, 0.15, 0.85, 0.85];
const WHOLE: [f64; 4] = [0.0, 0.0, 1.0, 1.0];

const fn kind(
    draw: fn(&mut Hand),
    least: f64,
    turn: f64,
    height: (f64, f64),
    decisive: [f64; 4],
) -> Kind {
    Kind { draw, least, turn, height, decisive, variants: &[Variant::Plain] }
}

impl Kind {
    /// The same kind, of which there are these.
    const fn of_variants(self, variants: &'static [Variant]) -> Self {
        Self { variants, ..self }
    }
}

/// Expressions of faces.
const EXPRESSIONS: &[Variant] =
    &[Variant::Smiling, Variant::Sad, Variant::Neutral, Variant::Angry, Variant::Disgusted];
/// Colours of flowers.
const COLOURS: &[Variant] =
    &[Variant::Red, Variant::Yellow, Variant::White, Variant::Blue, Variant::Violet];

/// Names in Open Images' spelling.
pub const CLASSES: &[&str] = &[
    "Human face",
    "Person",
    "Football",
    "Flower",
    "Cake",
    "Tree",
    "Car",
    "Dog",
    "Book",
    "Chair",
    "Spider",
    "Balloon",
    "House",
    "Candle",
    "Umbrella",
    "Lamp",
    "Butterfly",
    "Boat",
    "Snake",
    "Clock",
];

/// One for each of [`CLASSES`].
static KINDS: [Kind; CLASSES.len()] = [
    kind(faces::face, 0.28, 12.0, ANYWHERE, [0.08, 0.28, 0.92, 1.0]).of_variants(EXPRESSIONS),
    kind(people::person, 0.32, 6.0, GROUND, CORE),
    kind(balls::football, 0.18, 180.0, ANYWHERE, CORE),
    kind(plants::flower, 0.24, 25.0, ANYWHERE, WHOLE).of_variants(COLOURS),
    kind(home::cake, 0.22, 8.0, GROUND, CORE),
    kind(plants::tree, 0.26, 6.0, GROUND, CORE),
    kind(outdoors::car, 0.24, 8.0, GROUND, CORE),
    kind(animals::dog, 0.26, 10.0, GROUND, CORE),
    kind(things::book, 0.2, 30.0, ANYWHERE, CORE),
    kind(home::chair, 0.24, 8.0, GROUND, CORE),
    kind(animals::spider, 0.22, 60.0, ANYWHERE, CORE),
    kind(balls::balloon, 0.24, 20.0, AIR, CORE),
    kind(outdoors::house, 0.24, 5.0, GROUND, CORE),
    kind(home::candle, 0.24, 8.0, GROUND, CORE),
    kind(things::umbrella, 0.24, 35.0, ANYWHERE, CORE),
    kind(home::lamp, 0.26, 6.0, ANYWHERE, CORE),
    kind(animals::butterfly, 0.2, 60.0, AIR, CORE),
    kind(outdoors::boat, 0.24, 10.0, ANYWHERE, CORE),
    kind(animals::snake, 0.26, 25.0, GROUND, CORE),
    kind(things::clock, 0.2, 10.0, ANYWHERE, CORE),
];

/// How the class of this index is drawn and placed.
pub(super) fn of(class: usize) -> &'static Kind {
    &KINDS[class]
}

/// The variants that there are of the class of this index.
pub(super) fn variants_of(class: usize) -> &'static [Variant] {
    KINDS[class].variants
}

/// The name of the class of this index.
pub(super) fn class_name(class: usize) -> &'static str {
    CLASSES[class]
}

/// The object's drawing, in units of its own.
pub(super) fn draw(object: &Object, style: Style) -> Drawing {
    let mut hand = Hand::new(object.seed, style, object.variant);
    (KINDS[object.class].draw)(&mut hand);
    hand.finish()
}
