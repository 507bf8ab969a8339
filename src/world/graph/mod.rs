//! A declared causal graph, as data: which objects cause which label, which only go along, which do
//! neither.
//!
//! This is the truth an explanation is measured against. A scene has one cause or none; none is the
//! neutral label, if the graph has one. Confounders and bystanders never change a label. Graphs
//! come from TOML files, see [`file`].

mod file;

pub use file::{
    background_graph, face_graph, graph, hans_corpus_graph, hans_graph, named_graph, parts_graph,
    surroundings_graph,
};

use super::object::{Ambience, Variant};
use super::objects::{CLASSES, class_name};
use super::scene::{Scene, below};
use crate::random::Random;
use crate::{Error, Result};
use serde_json::{Value, json};
use std::fmt;

/// EmoNet's labels, in the order of its outputs: those of [`graph()`].
pub const LABELS: [&str; 20] = [
    "Adoration",
    "Aesthetic Appreciation",
    "Amusement",
    "Anxiety",
    "Awe",
    "Boredom",
    "Confusion",
    "Craving",
    "Disgust",
    "Empathetic Pain",
    "Entrancement",
    "Excitement",
    "Fear",
    "Horror",
    "Interest",
    "Joy",
    "Romance",
    "Sadness",
    "Sexual Desire",
    "Surprise",
];

/// An object that makes a scene have a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// Index among the graph's labels.
    pub label: usize,
    /// Index among [`CLASSES`].
    pub class: usize,
    /// The variant that causes it; [`Variant::Plain`] where the class has no other.
    pub variant: Variant,
}

/// An ambience that makes a scene have a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmbienceCause {
    /// Index among the graph's labels.
    pub label: usize,
    /// What causes it; never the usual one.
    pub ambience: Ambience,
}

/// An object that goes along with a label, and does nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confounder {
    /// Index among [`CLASSES`], of a class without variants.
    pub class: usize,
    /// The label, index among the graph's labels, it goes along with.
    pub with: usize,
    /// Share of that label's scenes that have it.
    pub rate: f64,
    /// Share of every other label's scenes that have it.
    pub base: f64,
}

/// An object that occurs in the same share of every label's scenes, and does nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Bystander {
    /// Index among [`CLASSES`].
    pub class: usize,
    /// Its variants, all as frequent.
    pub variants: Vec<Variant>,
    /// Share of scenes that have it.
    pub rate: f64,
}

/// A causal graph. What comes from a file has been checked: no object has two roles, and all shares
/// are shares.
#[derive(Debug, Clone, PartialEq)]
pub struct CausalGraph {
    /// Names of all labels, in the order of a network's outputs; not all of them need to occur.
    pub labels: Vec<String>,
    /// What causes a label. The labels are as frequent as each other, and so are the causes of one
    /// label.
    pub causes: Vec<Cause>,
    /// What causes a label and is no object, as frequent as the objects that cause the same.
    pub ambiences: Vec<AmbienceCause>,
    /// What goes along.
    pub confounders: Vec<Confounder>,
    /// What does neither.
    pub bystanders: Vec<Bystander>,
    /// The label of a scene without cause; `None`: every scene that is drawn has a cause.
    pub neutral: Option<usize>,
}

/// What an object is to the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Causes this label.
    Cause(usize),
    /// Goes along with this label.
    Confounder(usize),
    /// Has nothing to do with any.
    Bystander,
}

impl Role {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cause(_) => "cause",
            Self::Confounder(_) => "confounder",
            Self::Bystander => "bystander",
        }
    }
}

/// How far the bystanders' rates are scaled up and down from scene to scene: so far that a scene of
/// the built-in graph has two objects at least and six at most.
const DENSITY_SPREAD: f64 = 0.8;

/// The same in scenes without a cause.
const NEUTRAL_DENSITY_SPREAD: f64 = 0.19;

impl CausalGraph {
    /// The labels that occur: those with a cause, and the neutral one, in the order of all labels.
    pub fn occurring(&self) -> Vec<usize> {
        let objects = self.causes.iter().map(|cause| cause.label);
        let ambiences = self.ambiences.iter().map(|cause| cause.label);
        let mut labels: Vec<usize> = objects.chain(ambiences).chain(self.neutral).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Whether anything causes the label.
    pub fn has_cause(&self, label: usize) -> bool {
        self.causes.iter().any(|cause| cause.label == label) || self.has_ambience(label)
    }

    /// Whether an ambience causes the label.
    pub fn has_ambience(&self, label: usize) -> bool {
        self.ambiences.iter().any(|cause| cause.label == label)
    }

    /// Whether an object of the class causes the label, whatever its variant.
    pub fn is_cause(&self, class: usize, label: usize) -> bool {
        self.causes.iter().any(|cause| (cause.class, cause.label) == (class, label))
    }

    /// What an object of this class and variant is.
    pub fn role(&self, class: usize, variant: Variant) -> Role {
        if let Some(cause) =
            self.causes.iter().find(|cause| cause.class == class && cause.variant == variant)
        {
            return Role::Cause(cause.label);
        }
        let confounder = self.confounders.iter().find(|confounder| confounder.class == class);
        confounder.map_or(Role::Bystander, |confounder| Role::Confounder(confounder.with))
    }

    /// The object that causes the scene's label: of several, as only edited scenes have, the
    /// largest; of equals the last.
    pub fn cause(&self, scene: &Scene) -> Option<usize> {
        let is_cause = |class, variant| matches!(self.role(class, variant), Role::Cause(_));
        let objects = scene.objects.iter().enumerate();
        let causes = objects.filter(|(_, object)| is_cause(object.class, object.variant));
        causes.max_by(|(_, a), (_, b)| a.place.size.total_cmp(&b.place.size)).map(|(at, _)| at)
    }

    /// The scene's label, as an index among the graph's labels: that of the object that causes one,
    /// else of the ambience that does. `None` of a scene without cause, as only an edited one is,
    /// by a graph without a neutral label.
    pub fn label(&self, scene: &Scene) -> Option<usize> {
        let Some(cause) = self.cause(scene) else {
            let ambience = self.ambiences.iter().find(|cause| cause.ambience == scene.ambience);
            return ambience.map(|cause| cause.label).or(self.neutral);
        };
        match self.role(scene.objects[cause].class, scene.objects[cause].variant) {
            Role::Cause(label) => Some(label),
            _ => self.neutral,
        }
    }

    /// The label, or in a share of `rate` of scenes any other of those that occur. Which scenes
    /// these are follows from their seeds: those of a lower rate are among those of a higher.
    pub fn noisy_label(&self, scene: &Scene, rate: f64) -> Option<usize> {
        let mut random = Random::of_text(scene.seed, "label");
        let label = self.label(scene)?;
        if random.uniform(0.0, 1.0) >= rate {
            return Some(label);
        }
        let mut others = self.occurring();
        others.retain(|&other| other != label);
        Some(others[below(&mut random, others.len())])
    }

    /// All variants of a class that occur, in the order in which the graph names them.
    pub fn variants(&self, class: usize) -> Vec<Variant> {
        let causes =
            self.causes.iter().filter(|cause| cause.class == class).map(|cause| cause.variant);
        let confounders = self.confounders.iter().filter(|confounder| confounder.class == class);
        let bystanders = self.bystanders.iter().filter(|bystander| bystander.class == class);
        causes
            .chain(confounders.map(|_| Variant::Plain))
            .chain(bystanders.flat_map(|bystander| bystander.variants.iter().copied()))
            .collect()
    }

    /// All classes that occur with their variants, in the order of [`CLASSES`].
    pub fn kinds(&self) -> Vec<(usize, Variant)> {
        let of_class =
            |class| self.variants(class).into_iter().map(move |variant| (class, variant));
        (0..CLASSES.len()).flat_map(of_class).collect()
    }

    /// By how much of 1 the bystanders' rates of a scene are scaled up or down at most; never so
    /// far that a rate is over 1.
    pub(super) fn density_spread(&self, has_cause: bool) -> f64 {
        let usual = if has_cause { DENSITY_SPREAD } else { NEUTRAL_DENSITY_SPREAD };
        let greatest = self.bystanders.iter().map(|bystander| bystander.rate).fold(0.0, f64::max);
        usual.min(1.0 / greatest - 1.0)
    }

    /// The most objects that a scene of the label has.
    fn most_objects(&self, label: usize) -> usize {
        let has_object = self.causes.iter().any(|cause| cause.label == label);
        let rate = |confounder: &Confounder| {
            if confounder.with == label { confounder.rate } else { confounder.base }
        };
        let confounders: f64 = self.confounders.iter().map(rate).sum();
        let bystanders: f64 = self.bystanders.iter().map(|bystander| bystander.rate).sum();
        let others = confounders + bystanders * (1.0 + self.density_spread(has_object));
        // The last digit of a sum of shares is no object.
        usize::from(has_object) + (others - 1e-9).ceil() as usize
    }

    /// Refuses a network whose labels are not the graph's.
    ///
    /// # Errors
    /// Both labels, found and expected.
    pub fn check_network(&self, labels: &[String]) -> Result<()> {
        if self.labels == labels {
            return Ok(());
        }
        Err(Error::Setting(format!(
            "the network's labels are not those of the causal graph: expected {}, found {}",
            self.labels.join(", "),
            labels.join(", ")
        )))
    }

    /// The graph with names for indices, as `graph.json` has it.
    pub fn to_json(&self) -> Value {
        let label = |label: usize| self.labels[label].as_str();
        let causes: Vec<Value> = self
            .causes
            .iter()
            .map(|c| json!({"label": label(c.label), "class": class_name(c.class), "variant": c.variant}))
            .collect();
        let confounders: Vec<Value> = self
            .confounders
            .iter()
            .map(|c| {
                let (class, with) = (class_name(c.class), label(c.with));
                json!({"class": class, "with": with, "rate": c.rate, "base_rate": c.base})
            })
            .collect();
        let bystanders: Vec<Value> = self
            .bystanders
            .iter()
            .map(|b| json!({"class": class_name(b.class), "variants": b.variants, "rate": b.rate}))
            .collect();
        let mut graph = json!({
            "causes": causes,
            "neutral": self.neutral.map(label),
            "confounders": confounders,
            "bystanders": bystanders,
        });
        if !self.ambiences.is_empty() {
            let ambiences = self.ambiences.iter();
            graph["ambiences"] = ambiences
                .map(|c| json!({"label": label(c.label), "ambience": c.ambience}))
                .collect::<Value>();
        }
        graph
    }
}

/// An object in words: "Cake"; "Flower, red".
fn object_name(class: usize, variant: Variant) -> String {
    match variant {
        Variant::Plain => class_name(class).to_string(),
        variant => format!("{}, {}", class_name(class), variant.name()),
    }
}

impl fmt::Display for CausalGraph {
    /// One line a cause, confounder and bystander.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in &self.causes {
            writeln!(f, "{} <- {}", self.labels[c.label], object_name(c.class, c.variant))?;
        }
        for c in &self.ambiences {
            writeln!(
                f,
                "{} <- {} behind and around the objects",
                self.labels[c.label],
                c.ambience.name()
            )?;
        }
        if let Some(neutral) = self.neutral {
            writeln!(f, "{} <- none of these", self.labels[neutral])?;
        }
        for c in &self.confounders {
            let (class, with) = (class_name(c.class), &self.labels[c.with]);
            writeln!(
                f,
                "{class}: in {:.2} of {with}, {:.2} of all other scenes; no effect",
                c.rate, c.base
            )?;
        }
        for b in &self.bystanders {
            let variants: Vec<String> =
                b.variants.iter().map(|&variant| object_name(b.class, variant)).collect();
            writeln!(f, "{}: in {:.2} of all scenes; no effect", variants.join(" or "), b.rate)?;
        }
        Ok(())
    }
}
