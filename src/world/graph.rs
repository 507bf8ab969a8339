//! The declared causal graph, as data: which objects cause which label, which only go along, which do neither.
//!
//! This is the truth an explanation is measured against. A scene has one cause or none; none is the neutral label.
//! Confounders and bystanders never change a label.

use super::object::Variant;
use super::objects::{class, class_name};
use serde_json::{json, Value};
use std::fmt;

/// EmoNet's labels, in the order of its outputs.
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
    /// Index among [`LABELS`].
    pub label: usize,
    /// Index among [`CLASSES`](super::CLASSES).
    pub class: usize,
    /// The variant that causes it; [`Variant::Plain`] where the class has no other.
    pub variant: Variant,
}

/// An object that goes along with a label, and does nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confounder {
    /// Index among [`CLASSES`](super::CLASSES).
    pub class: usize,
    /// The label, index among [`LABELS`], it goes along with.
    pub with: usize,
    /// Share of that label's scenes that have it.
    pub rate: f64,
    /// Share of every other label's scenes that have it.
    pub base: f64,
}

/// An object that occurs in the same share of every label's scenes, and does nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bystander {
    /// Index among [`CLASSES`](super::CLASSES).
    pub class: usize,
    /// Its variants, all as frequent.
    pub variants: &'static [Variant],
    /// Share of scenes that have it.
    pub rate: f64,
}

/// The causal graph.
#[derive(Debug, Clone, Copy)]
pub struct CausalGraph {
    /// What causes a label. The labels are as frequent as each other, and so are the causes of one label.
    pub causes: &'static [Cause],
    /// What goes along.
    pub confounders: &'static [Confounder],
    /// What does neither.
    pub bystanders: &'static [Bystander],
    /// The label of a scene without cause.
    pub neutral: usize,
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

/// Share of scenes in which a confounder occurs without what it goes along with.
const BASE: f64 = 0.12;

/// Share of scenes with a bystander of one kind.
const BYSTANDER: f64 = 0.2;

const PLAIN: &[Variant] = &[Variant::Plain];

static GRAPH: CausalGraph = CausalGraph {
    causes: &[
        cause("Joy", "Human face", Variant::Smiling),
        cause("Sadness", "Human face", Variant::Sad),
        cause("Fear", "Spider", Variant::Plain),
        cause("Craving", "Cake", Variant::Plain),
        cause("Romance", "Flower", Variant::Red),
        cause("Excitement", "Balloon", Variant::Plain),
        cause("Excitement", "Football", Variant::Plain),
        cause("Adoration", "Dog", Variant::Plain),
        cause("Aesthetic Appreciation", "Butterfly", Variant::Plain),
    ],
    confounders: &[
        confounder("Candle", "Craving", 0.7),
        confounder("Person", "Excitement", 0.6),
        confounder("Tree", "Adoration", 0.6),
        confounder("Chair", "Sadness", 0.6),
        confounder("Lamp", "Fear", 0.5),
        confounder("Umbrella", "Romance", 0.5),
    ],
    bystanders: &[
        bystander("Human face", &[Variant::Neutral]),
        bystander("Flower", &[Variant::Yellow, Variant::White, Variant::Blue, Variant::Violet]),
        bystander("Car", PLAIN),
        bystander("Book", PLAIN),
        bystander("House", PLAIN),
        bystander("Boat", PLAIN),
        bystander("Snake", PLAIN),
        bystander("Clock", PLAIN),
    ],
    neutral: label("Boredom"),
};

/// The declared causal graph.
pub fn graph() -> &'static CausalGraph {
    &GRAPH
}

/// The index of a label; a wrong name in the graph does not compile.
const fn label(name: &str) -> usize {
    super::objects::position(&LABELS, name)
}

const fn cause(name: &str, of: &str, variant: Variant) -> Cause {
    Cause { label: label(name), class: class(of), variant }
}

const fn confounder(name: &str, with: &str, rate: f64) -> Confounder {
    Confounder { class: class(name), with: label(with), rate, base: BASE }
}

const fn bystander(name: &str, variants: &'static [Variant]) -> Bystander {
    Bystander { class: class(name), variants, rate: BYSTANDER }
}

impl CausalGraph {
    /// The labels that occur: those with a cause in the order of [`LABELS`], and the neutral one.
    pub fn labels(&self) -> Vec<usize> {
        let mut labels: Vec<usize> = self.causes.iter().map(|cause| cause.label).chain([self.neutral]).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// What an object of this class and variant is.
    pub fn role(&self, class: usize, variant: Variant) -> Role {
        if let Some(cause) = self.causes.iter().find(|cause| cause.class == class && cause.variant == variant) {
            return Role::Cause(cause.label);
        }
        let confounder = self.confounders.iter().find(|confounder| confounder.class == class);
        confounder.map_or(Role::Bystander, |confounder| Role::Confounder(confounder.with))
    }

    /// All variants of a class, in the order in which the graph names them.
    pub fn variants(&self, class: usize) -> Vec<Variant> {
        let causes = self.causes.iter().filter(|cause| cause.class == class).map(|cause| cause.variant);
        let bystanders = self.bystanders.iter().filter(|bystander| bystander.class == class);
        let mut variants: Vec<Variant> =
            causes.chain(bystanders.flat_map(|bystander| bystander.variants.iter().copied())).collect();
        if variants.is_empty() {
            variants.push(Variant::Plain);
        }
        variants
    }

    /// The graph with names for indices, as `graph.json` has it.
    pub fn to_json(&self) -> Value {
        let causes: Vec<Value> = self
            .causes
            .iter()
            .map(|c| json!({"label": LABELS[c.label], "class": class_name(c.class), "variant": c.variant}))
            .collect();
        let confounders: Vec<Value> = self
            .confounders
            .iter()
            .map(|c| {
                let (class, with) = (class_name(c.class), LABELS[c.with]);
                json!({"class": class, "with": with, "rate": c.rate, "base_rate": c.base})
            })
            .collect();
        let bystanders: Vec<Value> = self
            .bystanders
            .iter()
            .map(|b| json!({"class": class_name(b.class), "variants": b.variants, "rate": b.rate}))
            .collect();
        json!({
            "causes": causes,
            "neutral": LABELS[self.neutral],
            "confounders": confounders,
            "bystanders": bystanders,
        })
    }
}

impl fmt::Display for CausalGraph {
    /// One line a cause, confounder and bystander.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |class, variant| match variant {
            Variant::Plain => class_name(class).to_string(),
            variant => format!("{}, {}", class_name(class), variant.name()),
        };
        for c in self.causes {
            writeln!(f, "{} <- {}", LABELS[c.label], named(c.class, c.variant))?;
        }
        writeln!(f, "{} <- none of these", LABELS[self.neutral])?;
        for c in self.confounders {
            let (class, with) = (class_name(c.class), LABELS[c.with]);
            writeln!(f, "{class}: in {:.2} of {with}, {:.2} of all other scenes; no effect", c.rate, c.base)?;
        }
        for b in self.bystanders {
            let variants: Vec<String> = b.variants.iter().map(|&variant| named(b.class, variant)).collect();
            writeln!(f, "{}: in {:.2} of all scenes; no effect", variants.join(" or "), b.rate)?;
        }
        Ok(())
    }
}
