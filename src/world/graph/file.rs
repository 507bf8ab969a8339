//! A causal graph as a TOML file: names in, a checked graph with indices out; and the graphs that
//! come with the program.
//!
//! The keys are those of `graph.json`, and `labels` beside them; `configs/graphs/standard.toml`
//! explains each. A file is refused when scenes drawn from it would not have what it declares: an
//! object with two roles, a share that is none, more objects than find a place.

use super::{AmbienceCause, Bystander, CausalGraph, Cause, Confounder};
use crate::files::read_text;
use crate::world::objects::{CLASSES, variants_of};
use crate::world::{Ambience, Variant};
use crate::{Error, Result};
use serde::Deserialize;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The most objects of a scene: more do not find a place in a picture without hiding each other.
const MOST_OBJECTS: usize = 6;

/// A graph that comes with the program.
struct BuiltIn {
    name: &'static str,
    text: &'static str,
    graph: OnceLock<Arc<CausalGraph>>,
}

impl BuiltIn {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, graph: OnceLock::new() }
    }

    fn graph(&self) -> &Arc<CausalGraph> {
        let read = || {
            Arc::new(
                CausalGraph::parse(self.text).expect("the embedded files are checked by a test"),
            )
        };
        self.graph.get_or_init(read)
    }
}

/// The files in configs/graphs that are built in, by their names without ending.
static BUILT_IN: [BuiltIn; 7] = [
    BuiltIn::new("standard", include_str!("../../../configs/graphs/standard.toml")),
    BuiltIn::new("faces", include_str!("../../../configs/graphs/faces.toml")),
    BuiltIn::new("hans", include_str!("../../../configs/graphs/hans.toml")),
    BuiltIn::new("hans-corpus", include_str!("../../../configs/graphs/hans-corpus.toml")),
    BuiltIn::new("parts", include_str!("../../../configs/graphs/parts.toml")),
    BuiltIn::new("background", include_str!("../../../configs/graphs/background.toml")),
    BuiltIn::new("surroundings", include_str!("../../../configs/graphs/surroundings.toml")),
];

/// The graph of this name that comes with the program: of a file in configs/graphs, without its
/// ending.
pub fn named_graph(name: &str) -> Option<&'static Arc<CausalGraph>> {
    BUILT_IN.iter().find(|graph| graph.name == name).map(BuiltIn::graph)
}

/// The causal graph of the drawn world, unless another is named.
pub fn graph() -> &'static Arc<CausalGraph> {
    BUILT_IN[0].graph()
}

/// The causal graph of pictures of a single face: its expression is the label.
pub fn face_graph() -> &'static Arc<CausalGraph> {
    BUILT_IN[1].graph()
}

/// What the demo's clever Hans was trained on: labels go by what only goes along with their causes.
pub fn hans_graph() -> &'static Arc<CausalGraph> {
    BUILT_IN[2].graph()
}

/// Scenes in which the cause of a label by [`graph()`] and that by [`hans_graph`] are always
/// together.
pub fn hans_corpus_graph() -> &'static Arc<CausalGraph> {
    BUILT_IN[3].graph()
}

/// Scenes of causes that are made of parts.
pub fn parts_graph() -> &'static Arc<CausalGraph> {
    BUILT_IN[4].graph()
}

/// Scenes some of whose causes are no objects.
pub fn background_graph() -> &'static Arc<CausalGraph> {
    BUILT_IN[5].graph()
}

/// The causes of [`parts_graph`] and of [`background_graph`] together: what one network of the demo
/// was trained on.
pub fn surroundings_graph() -> &'static Arc<CausalGraph> {
    BUILT_IN[6].graph()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GraphFile {
    labels: Vec<String>,
    neutral: Option<String>,
    #[serde(default)]
    causes: Vec<CauseEntry>,
    #[serde(default)]
    ambiences: Vec<AmbienceEntry>,
    #[serde(default)]
    confounders: Vec<ConfounderEntry>,
    #[serde(default)]
    bystanders: Vec<BystanderEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CauseEntry {
    label: String,
    class: String,
    #[serde(default = "plain")]
    variant: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AmbienceEntry {
    label: String,
    ambience: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfounderEntry {
    class: String,
    with: String,
    rate: f64,
    base_rate: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BystanderEntry {
    class: String,
    #[serde(default = "only_plain")]
    variants: Vec<String>,
    rate: f64,
}

fn plain() -> String {
    Variant::Plain.name().into()
}

fn only_plain() -> Vec<String> {
    vec![plain()]
}

impl CausalGraph {
    /// The graph in a TOML file.
    ///
    /// # Errors
    /// The file cannot be read or is no graph; a name that is not known; a share that is none; an
    /// object with two roles; fewer than two labels that occur; more objects in a scene than find a
    /// place.
    pub fn load(file: &Path) -> Result<Self> {
        Self::parse(&read_text(file)?).map_err(|message| Error::file(file, message))
    }

    /// The graph that `text` describes; of an error the part behind the file's name.
    fn parse(text: &str) -> Result<Self, String> {
        let file: GraphFile =
            toml::from_str(text).map_err(|error| format!("not a causal graph: {error}"))?;
        let graph = file.resolve()?;
        graph.check_labels()?;
        graph.check_roles()?;
        graph.check_object_counts()?;
        Ok(graph)
    }

    /// Two labels can be told apart, and the neutral one is caused by nothing.
    fn check_labels(&self) -> Result<(), String> {
        if let Some(neutral) = self.neutral.filter(|&label| self.has_cause(label)) {
            let name = &self.labels[neutral];
            return Err(format!(
                "neutral: `{name}` has causes, and the neutral label is that of scenes without one"
            ));
        }
        match self.occurring().len() {
            0 | 1 => {
                Err("causes: at least two labels should have one, or one label and `neutral`"
                    .into())
            }
            _ => Ok(()),
        }
    }

    /// No object has two roles.
    fn check_roles(&self) -> Result<(), String> {
        for (number, cause) in self.ambiences.iter().enumerate() {
            if self.ambiences[..number].iter().any(|other| other.ambience == cause.ambience) {
                return Err(format!(
                    "ambiences[{number}]: {} causes a label already",
                    cause.ambience.name()
                ));
            }
        }
        let causes = self
            .causes
            .iter()
            .enumerate()
            .map(|(at, c)| (format!("causes[{at}]"), c.class, c.variant));
        let confounders = self.confounders.iter().enumerate();
        let confounders =
            confounders.map(|(at, c)| (format!("confounders[{at}]"), c.class, Variant::Plain));
        let bystanders = self.bystanders.iter().enumerate().flat_map(|(at, b)| {
            b.variants.iter().map(move |&variant| (format!("bystanders[{at}]"), b.class, variant))
        });
        let all: Vec<(String, usize, Variant)> =
            causes.chain(confounders).chain(bystanders).collect();
        for (number, (key, class, variant)) in all.iter().enumerate() {
            let same = |(_, other_class, other): &&(String, usize, Variant)| {
                (other_class, other) == (class, variant)
            };
            if let Some((earlier, ..)) = all[..number].iter().find(same) {
                let name = super::object_name(*class, *variant);
                return Err(format!(
                    "{key}: {name} is {earlier} already, and an object has one role"
                ));
            }
        }
        Ok(())
    }

    /// The objects of every scene find a place.
    fn check_object_counts(&self) -> Result<(), String> {
        for label in self.occurring() {
            let most = self.most_objects(label);
            if most > MOST_OBJECTS {
                let name = &self.labels[label];
                return Err(format!(
                    "rates: a scene of `{name}` would have up to {most} objects, and \
                     {MOST_OBJECTS} find a place: lower some of the confounders' and bystanders'"
                ));
            }
        }
        Ok(())
    }
}

impl GraphFile {
    fn resolve(self) -> Result<CausalGraph, String> {
        let Self { labels, neutral, causes, ambiences, confounders, bystanders } = self;
        check_names(&labels)?;
        let neutral = neutral.map(|name| position(&labels, "neutral", &name)).transpose()?;
        let cause = |(number, entry): (usize, &CauseEntry)| {
            let key = |name: &str| format!("causes[{number}].{name}");
            let class = position(CLASSES, &key("class"), &entry.class)?;
            let variant = variant(class, &key("variant"), &entry.variant)?;
            Ok(Cause { label: position(&labels, &key("label"), &entry.label)?, class, variant })
        };
        let ambience = |(number, entry): (usize, &AmbienceEntry)| {
            let key = |name: &str| format!("ambiences[{number}].{name}");
            let known =
                Ambience::ALL[1..].iter().map(|ambience| ambience.name()).collect::<Vec<_>>();
            let ambience = Ambience::ALL[1 + position(&known, &key("ambience"), &entry.ambience)?];
            Ok(AmbienceCause { label: position(&labels, &key("label"), &entry.label)?, ambience })
        };
        let confounder = |(number, entry): (usize, &ConfounderEntry)| {
            let key = |name: &str| format!("confounders[{number}].{name}");
            let class = position(CLASSES, &key("class"), &entry.class)?;
            if variants_of(class) != [Variant::Plain] {
                let known = variant_names(class);
                return Err(format!(
                    "{}: {} has variants ({known}), and confounders are of classes without",
                    key("class"),
                    entry.class
                ));
            }
            let companion = position(&labels, &key("with"), &entry.with)?;
            let (rate, base) =
                (share(&key("rate"), entry.rate)?, share(&key("base_rate"), entry.base_rate)?);
            Ok(Confounder { class, with: companion, rate, base })
        };
        let bystander = |(number, entry): (usize, &BystanderEntry)| {
            let key = |name: &str| format!("bystanders[{number}].{name}");
            let class = position(CLASSES, &key("class"), &entry.class)?;
            let named = entry.variants.iter().map(|name| variant(class, &key("variants"), name));
            let variants = named.collect::<Result<Vec<Variant>, String>>()?;
            if variants.is_empty() {
                return Err(format!(
                    "{} is empty; known: {}",
                    key("variants"),
                    variant_names(class)
                ));
            }
            Ok(Bystander { class, variants, rate: share(&key("rate"), entry.rate)? })
        };
        Ok(CausalGraph {
            causes: causes.iter().enumerate().map(cause).collect::<Result<_, String>>()?,
            ambiences: ambiences.iter().enumerate().map(ambience).collect::<Result<_, String>>()?,
            confounders: confounders
                .iter()
                .enumerate()
                .map(confounder)
                .collect::<Result<_, String>>()?,
            bystanders: bystanders
                .iter()
                .enumerate()
                .map(bystander)
                .collect::<Result<_, String>>()?,
            neutral,
            labels,
        })
    }
}

/// Labels have distinct names.
fn check_names(labels: &[String]) -> Result<(), String> {
    for (number, label) in labels.iter().enumerate() {
        if label.trim().is_empty() {
            return Err(format!("labels[{number}] is empty: a label has a name"));
        }
        if labels[..number].contains(label) {
            return Err(format!("labels[{number}]: `{label}` is named twice"));
        }
    }
    Ok(())
}

/// The index of the name `found` under `key` among those that are known.
fn position<T: AsRef<str>>(known: &[T], key: &str, found: &str) -> Result<usize, String> {
    known.iter().position(|name| name.as_ref() == found).ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        format!("{key}: `{found}` is not known; known: {}", known.join(", "))
    })
}

/// The variant of a class that `found` under `key` names.
fn variant(class: usize, key: &str, found: &str) -> Result<Variant, String> {
    let named = variants_of(class).iter().find(|variant| variant.name() == found);
    named.copied().ok_or_else(|| {
        format!(
            "{key}: `{found}` is no variant of {}; known: {}",
            CLASSES[class],
            variant_names(class)
        )
    })
}

fn variant_names(class: usize) -> String {
    variants_of(class).iter().map(|variant| variant.name()).collect::<Vec<_>>().join(", ")
}

fn share(key: &str, found: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&found) {
        Ok(found)
    } else {
        Err(format!("{key} should be from 0 to 1, found {found}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::LABELS;

    #[test]
    fn the_embedded_graphs_are_read() {
        assert!(BUILT_IN.iter().all(|built_in| !built_in.graph().occurring().is_empty()));
        assert_eq!(graph().labels, LABELS);
        assert_eq!(graph().occurring().len(), 9);
        assert_eq!(face_graph().labels, ["happy", "sad", "angry", "disgusted", "neutral"]);
        assert_eq!(face_graph().occurring(), [0, 1, 2, 3, 4]);
    }

    /// A graph of two labels, with one line in place of another.
    fn changed(line: &str, other: &str) -> String {
        let text = r#"
labels = ["up", "down"]
causes = [
    { label = "up", class = "Flower", variant = "red" },
    { label = "down", class = "Cake" },
]
confounders = [{ class = "Lamp", with = "up", rate = 0.5, base_rate = 0.1 }]
bystanders = [{ class = "Human face", variants = ["angry", "sad"], rate = 1.0 }]
"#;
        assert!(text.contains(line), "{line}");
        text.replace(line, other)
    }

    #[test]
    fn what_a_graph_cannot_be_is_refused_by_key() {
        assert!(CausalGraph::parse(&changed("labels", "labels")).is_ok());
        let wrong = [
            (r#"["up", "down"]"#, r#"["up", "up"]"#, "labels[1]: `up` is named twice"),
            (r#"["up", "down"]"#, r#"["up", "down", " "]"#, "labels[2] is empty"),
            (
                r#"label = "down""#,
                r#"label = "dwn""#,
                "causes[1].label: `dwn` is not known; known: up, down",
            ),
            (r#"label = "down""#, r#"label = "up""#, "causes: at least two labels should have one"),
            (
                r#""Cake""#,
                r#""Pie""#,
                "causes[1].class: `Pie` is not known; known: Human face, Person,",
            ),
            (
                r#""red""#,
                r#""green""#,
                "causes[0].variant: `green` is no variant of Flower; known: red, yellow,",
            ),
            (r#", variant = "red""#, "", "causes[0].variant: `plain` is no variant of Flower"),
            (r#""Lamp""#, r#""Flower""#, "confounders[0].class: Flower has variants (red, yellow,"),
            (
                r#"with = "up""#,
                r#"with = "left""#,
                "confounders[0].with: `left` is not known; known: up, down",
            ),
            ("rate = 0.5", "rate = 1.5", "confounders[0].rate should be from 0 to 1, found 1.5"),
            (
                "base_rate = 0.1",
                "base_rate = nan",
                "confounders[0].base_rate should be from 0 to 1, found NaN",
            ),
            (r#"["angry", "sad"]"#, "[]", "bystanders[0].variants is empty; known: smiling, sad,"),
            (
                r#"["angry", "sad"]"#,
                r#"["sad", "sad"]"#,
                "bystanders[0]: Human face, sad is bystanders[0] already",
            ),
            (
                r#""Lamp""#,
                r#""Cake""#,
                "confounders[0]: Cake is causes[1] already, and an object has one role",
            ),
            ("causes =", "neutral = \"down\"\ncauses =", "neutral: `down` has causes"),
            (
                "base_rate",
                "base",
                "unknown field `base`, expected one of `class`, `with`, `rate`, `base_rate`",
            ),
        ];
        for (line, other, phrase) in wrong {
            let message = CausalGraph::parse(&changed(line, other)).unwrap_err();
            assert!(message.contains(phrase), "{message}");
        }
    }

    #[test]
    fn more_objects_than_find_a_place_are_refused() {
        let others = ["Car", "Book", "House", "Boat", "Snake"]
            .map(|class| format!(r#"{{ class = "{class}", rate = 1.0 }}"#));
        let text = changed("bystanders = [", &format!("bystanders = [{},", others.join(", ")));
        let message = CausalGraph::parse(&text).unwrap_err();
        assert!(
            message.contains("a scene of `up` would have up to 8 objects, and 6 find a place"),
            "{message}"
        );
    }

    #[test]
    fn the_error_of_a_file_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("graph.toml");
        std::fs::write(&file, "labels = 3").unwrap();
        let message = CausalGraph::load(&file).unwrap_err().to_string();
        assert!(message.contains("graph.toml: not a causal graph"), "{message}");
    }
}
