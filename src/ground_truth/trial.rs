//! One scene: what the maps say of its boxes, and what happens to the answer when an object is
//! taken out.

use crate::image::BoundingBox;
use crate::names::BACKGROUND;
use crate::run::record::BoxRecord;
use crate::score::BoxScore;
use crate::world::{CLASSES, CausalGraph, PARTS, Style};
use serde::{Deserialize, Serialize};

/// Which scenes.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The causal graph they are drawn from.
    pub graph: &'a CausalGraph,
    /// Seed of the stream of scenes.
    pub seed: u64,
    /// How they are drawn.
    pub style: Style,
    /// Whether parts of objects are taken out too; the detector must know them.
    pub parts: bool,
}

impl World<'_> {
    /// Names of what can be taken out of a scene, in the order of their indices: classes, parts of
    /// objects where they are asked about, and the background where something of it causes a label.
    pub fn things(&self) -> Vec<String> {
        let parts = if self.parts { PARTS } else { &[] };
        let background = if self.has_background() { &[BACKGROUND] as &[&str] } else { &[] };
        CLASSES.iter().chain(parts).chain(background).map(ToString::to_string).collect()
    }

    /// Whether the thing causes the label, by the graph.
    pub fn is_cause(&self, thing: usize, label: usize) -> bool {
        let parts = if self.parts { PARTS.len() } else { 0 };
        let is_background = self.has_background() && thing == CLASSES.len() + parts;
        (thing < CLASSES.len() && self.graph.is_cause(thing, label))
            || (is_background && self.graph.has_ambience(label))
    }

    /// Whether what is behind and around the objects is asked about.
    pub fn has_background(&self) -> bool {
        !self.graph.ambiences.is_empty()
    }
}

/// What taking an object, a part of one, or the background out of the scene does to the model's
/// answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// What it is, index among [`World::things`].
    pub class: usize,
    /// Of a part the class of its whole, and the place of the whole among the trial's effects.
    pub whole: Option<(usize, usize)>,
    /// Its box in the scene; of the background the whole picture.
    pub bounding_box: BoundingBox,
    /// By how much the probability of the predicted label falls, -1 to 1.
    pub drop: f64,
    /// Whether the answer becomes another label.
    pub flips: bool,
}

/// One scene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The label the model gives.
    pub label: usize,
    /// The label the causal graph gives.
    pub truth: usize,
    /// One entry an object that can be seen, then one a part that can be, then the background where
    /// it is not as usual.
    pub effects: Vec<Effect>,
    /// What the detector found; where the world asks about it, last the background: the whole
    /// picture, whose scores are those of what no box holds.
    pub boxes: Vec<BoxRecord>,
    /// Which of the boxes is the background.
    pub background: Option<usize>,
    /// Per method, in the order of the configuration, and last for a random map: one score a box.
    pub scores: Vec<Vec<BoxScore>>,
    /// Per method and box the score [`ScoreRule::Chance`](crate::score::ScoreRule::Chance), which
    /// compares scenes; empty where there are too few, and of methods without maps.
    #[serde(skip)]
    pub chance: Vec<Vec<f32>>,
    /// Per method the value of every box, of methods whose regions have values.
    pub values: Vec<Option<Vec<f32>>>,
}

impl Trial {
    /// The object that makes the answer: the one with the greatest drop, if taking it out changes
    /// the answer.
    pub fn decisive(&self) -> Option<&Effect> {
        self.effects.iter().max_by(|a, b| a.drop.total_cmp(&b.drop)).filter(|effect| effect.flips)
    }

    /// The same of whole objects alone, with its place among the effects.
    pub fn decisive_whole(&self) -> Option<(usize, &Effect)> {
        let wholes = self.effects.iter().enumerate().filter(|(_, effect)| effect.whole.is_none());
        wholes.max_by(|(_, a), (_, b)| a.drop.total_cmp(&b.drop)).filter(|(_, effect)| effect.flips)
    }
}
