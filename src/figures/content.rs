//! What is said about a photo, with names in place of a record's numbers: the contents of its JSON
//! file.

use super::{ExaminedPhoto, Explainer};
use crate::config::Config;
use crate::image::BoundingBox;
use crate::networks::Prediction;
use crate::run::ModelFile;
use crate::run::record::BoxRecord;
use serde::{Serialize, Serializer};

/// A photo explained. Numbers are those of the record a run writes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// Version of this program.
    pub emocam: &'static str,
    /// A warning for every reader when weights were made by `emocam models synthesize`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// The photo, as named in a run.
    pub path: String,
    /// Pixels per row, upright.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// The most probable label; of a network with a single output the bin it lies in.
    pub predicted: ExplainedLabel,
    /// The label the maps explain; of a network with a single output that output's name.
    pub explained: ExplainedLabel,
    /// Softmax, by label, in the order of the network's outputs; empty for a network with a single
    /// output.
    #[serde(serialize_with = "as_object")]
    pub probabilities: Vec<ExplainedLabel>,
    /// What each stream of a network with several answers alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<ExplainedStream>,
    /// The output of a network with a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<f32>,
    /// Valence predicted from the probabilities, when the model has a regression for it.
    pub valence: Option<f32>,
    /// Arousal, likewise.
    pub arousal: Option<f32>,
    /// Number of detections.
    pub detections: usize,
    /// One a method, in the order of the configuration.
    pub methods: Vec<ExplainedMap>,
    /// Preset, file and flags together.
    pub configuration: Config,
    /// Every file that shaped the networks.
    pub models: Vec<ModelFile>,
}

/// What one stream answers alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedStream {
    /// Its name.
    pub stream: String,
    /// Its most probable label.
    #[serde(flatten)]
    pub answer: ExplainedLabel,
}

/// A label and its probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedLabel {
    /// The label.
    pub label: String,
    /// In `[0, 1]`; absent for a network with a single output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
}

/// One method's map and what it makes of the boxes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedMap {
    /// The method's name.
    pub method: String,
    /// The score it explains: "probability", "logit", "contrast" (of two logits), "valence",
    /// "arousal", or of a network with a single output "output"; absent of a map from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<&'static str>,
    /// The map had no positive part and is zero throughout.
    pub flat: bool,
    /// Standard error of the channel weights as a share of their norm, by a method that estimates
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<f32>,
    /// Mean over the map, in `[0, 1]`.
    pub mean: f32,
    /// The score of the whole picture, of a method of Shapley values of parts of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_all: Option<f32>,
    /// The score of the picture of which everything is hidden, likewise.
    /// `value_all` - `value_nothing` is `background` and the values of all players.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_nothing: Option<f32>,
    /// Value of what lies outside all regions, where regions play.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<f32>,
    /// Share of the map's sum that lies in no box, or on no pixels of regions with a mask; absent
    /// where a method gives regions values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<f32>,
    /// All boxes by falling importance, by the configured score; of equal ones the more confident
    /// first.
    pub boxes: Vec<ExplainedBox>,
}

/// A box and its importance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedBox {
    /// Index of the box in the record, which has the boxes by falling confidence.
    pub index: usize,
    /// Name of the class.
    pub class: String,
    /// In `[0, 1]`.
    pub confidence: f32,
    /// In pixels of the photo.
    #[serde(rename = "box")]
    pub bounding_box: BoundingBox,
    /// Whether the numbers that follow are those of the region's own pixels rather than of its box.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mask: bool,
    /// Mean of the map in the box: the paper's importance.
    pub mean: f32,
    /// Its standard error, by a method that estimates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_error: Option<f32>,
    /// Highest point of the map in the box.
    pub max: f32,
    /// The box's share of the sum of the whole map.
    pub mass: f32,
    /// Mean inside less mean in a frame of equal area around it.
    pub contrast: f32,
    /// Standard deviations above windows of the same size in the photo.
    pub z: f32,
    /// The box's share of the map over its share of the area.
    pub lift: f32,
    /// The one of the numbers that is configured to count.
    #[serde(skip)]
    pub importance: f32,
    /// The number of its player, where regions play: boxes of one number are one thing, which has
    /// its value once; 0 is the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub player: Option<usize>,
    /// The Shapley value of its player, in units of the score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shapley: Option<f32>,
    /// Standard error of the value, where it was sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shapley_error: Option<f32>,
    /// Whether it is over the threshold of the configuration.
    pub counts: bool,
}

/// `{"Joy": 0.5, ...}`
fn as_object<S: Serializer>(labels: &[ExplainedLabel], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().map(|label| (&label.label, label.probability)))
}

impl Explainer<'_> {
    /// Puts names to the numbers.
    pub fn content(&self, of: &ExaminedPhoto) -> Explained {
        let record = &of.record;
        let labels = &self.card.labels;
        let named = |label: &String, probability: Option<f32>| ExplainedLabel {
            label: label.clone(),
            probability,
        };
        let named_probability =
            |(label, &probability): (&String, &f32)| named(label, Some(probability));
        let probabilities: Vec<ExplainedLabel> =
            labels.iter().zip(&record.probabilities).map(named_probability).collect();
        let (predicted, explained) = match &self.card.scalar {
            Some(scalar) => (named(&labels[record.label], None), named(&scalar.name, None)),
            None => {
                let explained = self.class.unwrap_or(record.label);
                (probabilities[record.label].clone(), probabilities[explained].clone())
            }
        };
        Explained {
            emocam: env!("CARGO_PKG_VERSION"),
            warning: self.warning.clone(),
            path: record.path.clone(),
            width: record.width,
            height: record.height,
            predicted,
            explained,
            probabilities,
            streams: of
                .streams
                .iter()
                .map(|(stream, answer)| self.stream(stream, answer))
                .collect(),
            output: record.output,
            valence: record.valence,
            arousal: record.arousal,
            detections: record.boxes.len(),
            methods: (0..record.maps.len()).map(|method| self.map(of, method)).collect(),
            configuration: self.config.clone(),
            models: self.files.to_vec(),
        }
    }

    fn stream(&self, stream: &str, answer: &Prediction) -> ExplainedStream {
        let answer = ExplainedLabel {
            label: self.card.labels[answer.label].clone(),
            probability: answer.probability(),
        };
        ExplainedStream { stream: stream.into(), answer }
    }

    fn map(&self, of: &ExaminedPhoto, method: usize) -> ExplainedMap {
        let map = &of.record.maps[method];
        let game = map.game_of_regions();
        let named = |(index, region): (usize, &BoxRecord)| {
            let score = map.score(index);
            ExplainedBox {
                index,
                class: self.classes[region.class].clone(),
                confidence: region.confidence,
                bounding_box: region.bounding_box,
                mask: region.rle.is_some(),
                mean: score.mean,
                mean_error: map.score_errors.get(index).copied(),
                max: score.max,
                mass: score.mass,
                contrast: score.contrast,
                z: score.z,
                lift: score.lift,
                importance: self.importance.number(&of.record, method, index),
                player: game.map(|game| game.players[index]),
                shapley: game.map(|game| game.values[index]),
                shapley_error: game
                    .and_then(|game| game.errors.as_ref())
                    .map(|errors| errors[index]),
                counts: self.importance.counts(&of.record, method, index),
            }
        };
        let mut boxes: Vec<ExplainedBox> = of.record.boxes.iter().enumerate().map(named).collect();
        boxes.sort_by(|a, b| b.importance.total_cmp(&a.importance));
        let cam = &self.config.cam;
        ExplainedMap {
            method: map.method.clone(),
            score: cam.methods_of_maps().get(method).map(|method| {
                match method.score(&cam.options()) {
                    _ if self.card.scalar.is_some() => "output",
                    score => score.name(),
                }
            }),
            flat: map.flat,
            error: map.error,
            mean: map.mean,
            value_all: map.game.as_ref().map(|game| game.value_all),
            value_nothing: map.game.as_ref().map(|game| game.value_nothing),
            background: game.and_then(|game| game.background),
            outside: (game.is_none() && !map.flat).then_some(map.background.mass),
            boxes,
        }
    }
}
