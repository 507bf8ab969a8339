//! An object as data: its class, what the causal graph looks at, where it is, and in whose style it
//! is drawn.

use serde::{Deserialize, Serialize};

/// What the graph looks at besides the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// A class that has only one.
    Plain,
    /// A face that smiles.
    Smiling,
    /// A face with the corners of the mouth down.
    Sad,
    /// A face with a straight mouth.
    Neutral,
    /// A red flower.
    Red,
    /// A yellow flower.
    Yellow,
    /// A white flower.
    White,
    /// A blue flower.
    Blue,
    /// A violet flower.
    Violet,
    // Numbers of variants are kinds of objects in trained networks: new ones come last.
    /// A face with lowered brows, and bared teeth or pressed lips.
    Angry,
    /// A face with a wrinkled nose, narrow eyes and a crooked mouth.
    Disgusted,
}

impl Variant {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Smiling => "smiling",
            Self::Sad => "sad",
            Self::Neutral => "neutral",
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::White => "white",
            Self::Blue => "blue",
            Self::Violet => "violet",
            Self::Angry => "angry",
            Self::Disgusted => "disgusted",
        }
    }
}

/// A part of an object that has a name of its own in Open Images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectPart {
    /// Of a face: white and iris, without brow and glasses.
    Eye,
    /// Of a face: lips and what is between them.
    Mouth,
    /// Of a face.
    Nose,
    /// Of a face.
    Ear,
    /// Of a face, or of a person from behind.
    Hair,
    /// Of a car.
    Wheel,
    /// Of a house.
    Window,
    /// Of a house.
    Door,
}

/// Names of the parts in Open Images' spelling, in their order.
pub const PARTS: &[&str] = &[
    "Human eye",
    "Human mouth",
    "Human nose",
    "Human ear",
    "Human hair",
    "Wheel",
    "Window",
    "Door",
];

impl ObjectPart {
    /// Its name in Open Images.
    pub fn name(self) -> &'static str {
        PARTS[self as usize]
    }

    /// Its index as a class: behind those of the objects.
    pub fn class(self) -> usize {
        super::objects::CLASSES.len() + self as usize
    }
}

/// What is not an object and yet can make a scene have a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ambience {
    /// None: whatever is behind the objects, in plain light.
    #[default]
    Usual,
    /// Behind the objects is a dark sky with stars and a moon.
    NightSky,
    /// Behind the objects are dark clouds over a pale horizon.
    StormLight,
    /// The whole picture is brownish, as an old photo.
    WarmTone,
    /// The whole picture is bluish and pale.
    ColdTone,
}

impl Ambience {
    /// All, in their order.
    pub const ALL: [Self; 5] =
        [Self::Usual, Self::NightSky, Self::StormLight, Self::WarmTone, Self::ColdTone];

    /// Its name in graphs and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::NightSky => "night-sky",
            Self::StormLight => "storm-light",
            Self::WarmTone => "warm-tone",
            Self::ColdTone => "cold-tone",
        }
    }

    /// Whether it is the one of plain scenes.
    pub fn is_usual(&self) -> bool {
        *self == Self::Usual
    }
}

/// Whose hand draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// What networks are trained on.
    Standard,
    /// Other palettes, line widths, shading and backgrounds, of the same objects: for testing what
    /// was learnt.
    HeldOut,
}

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Centre of its box, 0 at the left edge of the picture, 1 at the right.
    pub x: f64,
    /// Centre of its box, 0 at the upper edge of the picture, 1 at the lower.
    pub y: f64,
    /// Longest side of its box, relative to the picture's shorter side.
    pub size: f64,
    /// Turn in degrees, clockwise.
    pub turn: f64,
}

/// An object of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Index among [`CLASSES`](super::CLASSES).
    pub class: usize,
    /// What the causal graph looks at.
    pub variant: Variant,
    /// Where it is.
    pub place: Place,
    /// Everything else about its looks.
    pub seed: u64,
    /// Parts that are not drawn: a bit each, in the order of the object's own parts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hidden: u32,
}

fn is_zero(bits: &u32) -> bool {
    *bits == 0
}
