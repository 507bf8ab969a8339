//! The drawn worlds that come with the program: what each asks of a method, what its scenes are
//! drawn from, and which of the demo's networks know it.

use super::trial::World;
use crate::world::{CausalGraph, Style, background_graph, graph, hans_corpus_graph, parts_graph};
use std::sync::Arc;

/// What is asked of a method in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Does it find the causes of every label among all classes?
    Causes,
    /// Of two things that are always together, which one does the network go by? Two networks
    /// answer alike, one by the cause, the other by its companion.
    Shortcut,
    /// Is it the whole that makes the answer, and not a part that does nothing?
    Parts,
    /// Does it say so when no object makes the answer?
    Background,
}

/// A world that comes with the program.
#[derive(Debug)]
pub struct DrawnWorld {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// What is asked there.
    pub question: Question,
    /// What its scenes are drawn from.
    pub graph: fn() -> &'static Arc<CausalGraph>,
    /// Names of the demo's emotion networks that are asked, see [`crate::demo`].
    pub networks: &'static [&'static str],
    /// Name of the demo's detector.
    pub detector: &'static str,
    /// Whether parts are taken out of objects too.
    pub parts: bool,
}

/// All of them.
pub static WORLDS: [DrawnWorld; 4] = [
    DrawnWorld {
        name: "standard",
        question: Question::Causes,
        graph,
        networks: &["emotion"],
        detector: "detector",
        parts: false,
    },
    DrawnWorld {
        name: "hans",
        question: Question::Shortcut,
        graph: hans_corpus_graph,
        networks: &["emotion", "hans"],
        detector: "detector",
        parts: false,
    },
    DrawnWorld {
        name: "parts",
        question: Question::Parts,
        graph: parts_graph,
        networks: &["surroundings"],
        detector: "parts",
        parts: true,
    },
    DrawnWorld {
        name: "background",
        question: Question::Background,
        graph: background_graph,
        networks: &["surroundings"],
        detector: "detector",
        parts: false,
    },
];

impl DrawnWorld {
    /// Its scenes of the stream `seed`.
    pub fn world(&self, seed: u64, style: Style) -> World<'static> {
        World { graph: (self.graph)(), seed, style, parts: self.parts }
    }

    /// The world of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        WORLDS.iter().find(|world| world.name == name)
    }
}
