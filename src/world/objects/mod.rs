//! The classes: their names, how each is drawn, and where in a picture it is put.

mod animals;
mod balls;
mod home;
mod outdoors;
mod people;
mod plants;
mod things;

use super::hand::Hand;
use super::object::{Object, Style};
use super::pen::Drawing;

/// How a class is drawn and placed.
pub struct Kind {
    /// Draws one, in units of its own.
    draw: fn(&mut Hand),
    /// Least longest side, relative to the picture's shorter side: what it takes to tell what it is.
    pub least: f64,
    /// Largest turn either way, degrees.
    pub turn: f64,
    /// Where the centre usually is between the top (0) and the bottom (1) of the picture.
    pub height: (f64, f64),
    /// The part that must stay in sight, relative to the object's box: left, top, right, bottom.
    pub decisive: [f64; 4],
}

const ANYWHERE: (f64, f64) = (0.0, 1.0);
const GROUND: (f64, f64) = (0.45, 1.0);
const AIR: (f64, f64) = (0.0, 0.6);
/// Most of it.
const CORE: [f64; 4] = [0.15, 0.15, 0.85, 0.85];
const WHOLE: [f64; 4] = [0.0, 0.0, 1.0, 1.0];

const fn kind(draw: fn(&mut Hand), least: f64, turn: f64, height: (f64, f64), decisive: [f64; 4]) -> Kind {
    Kind { draw, least, turn, height, decisive }
}

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
    kind(people::face, 0.28, 12.0, ANYWHERE, [0.08, 0.28, 0.92, 1.0]),
    kind(people::person, 0.32, 6.0, GROUND, CORE),
    kind(balls::football, 0.18, 180.0, ANYWHERE, CORE),
    kind(plants::flower, 0.24, 25.0, ANYWHERE, WHOLE),
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
pub fn of(class: usize) -> &'static Kind {
    &KINDS[class]
}

/// The name of the class of this index.
pub fn class_name(class: usize) -> &'static str {
    CLASSES[class]
}

/// The index of a class; a wrong name in a constant does not compile.
pub const fn class(name: &str) -> usize {
    position(CLASSES, name)
}

/// The index of `name` among `names`.
///
/// # Panics
/// It is not among them. Used for constants only, where it is an error of the compiler.
pub const fn position(names: &[&str], name: &str) -> usize {
    let mut at = 0;
    while at < names.len() {
        if equal(names[at].as_bytes(), name.as_bytes()) {
            return at;
        }
        at += 1;
    }
    panic!("no such name")
}

/// `==` for constants.
const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The object's drawing, in units of its own.
pub fn draw(object: &Object, style: Style) -> Drawing {
    let mut hand = Hand::new(object.seed, style, object.variant);
    (KINDS[object.class].draw)(&mut hand);
    hand.finish()
}
