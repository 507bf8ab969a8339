//! Is a method any good? Faithfulness of activation maps to the model, over a corpus.
//!
//! In: pictures, the emotion model, methods. Out: per method and metric a mean over pictures with
//! its interval, beside the same for baselines that know nothing of the model. All perturbations
//! happen at the network's input: the photo squashed to its input size, levels 0..255 less the mean
//! image, f32, never rounded. The score is the softmax probability of the explained class. Each
//! metric has a file of its own, with its source; [`Judge`] brings them together for a picture,
//! [`Evaluation`] over pictures.
//!
//! These numbers say how well a map agrees with what the model does. They say nothing of whether
//! the model is right.

mod baseline;
mod confidence;
mod curve;
mod explained;
mod impute;
mod judge;
mod metric;
mod order;
mod picture;
mod pixels;
mod pointing;
mod probe;
mod record;
mod road;
mod sanity;
mod scene;
mod summary;
mod tables;
#[cfg(test)]
mod tests;

pub use judge::{Candidate, Judge, JudgingNetworks, Pointer};
pub use metric::{Better, Measure, Metric};
pub use picture::scorecard;
pub use record::{Judged, Verdict};
pub use summary::{Difference, Evaluation, MetricEstimate};
pub use tables::{write, write_groups};

use self::road::FIFTHS;
use crate::attribution::Method;
use crate::config::CamConfig;
use crate::run::{Experiment, Manifest};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The command by which `run.json` knows its runs.
pub const COMMAND: &str = "evaluate";

/// Probabilities over this are called saturated: there is next to nothing to be won, and little
/// moves.
pub const SATURATED: f64 = 0.999;

/// What is to be measured, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In any order, each once.
    pub measures: Vec<Measure>,
    /// Equal steps of the deletion and insertion curves.
    pub steps: usize,
    /// Which boxes the pointing game is about, where it is played.
    pub pointing: Option<Pointing>,
    /// Bootstrap samples.
    pub resamples: usize,
}

/// Whose boxes count in the pointing game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointing {
    /// Name of the detector's class.
    pub class: String,
    /// Boxes must be more confident than this.
    pub confidence: f32,
}

impl Plan {
    /// Refuses values no evaluation can use.
    ///
    /// # Errors
    /// [`Error::Setting`], naming option, value and range.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Setting(message));
        if self.measures.is_empty() {
            return refuse(
                "nothing is to be measured: name at least one of --metrics, or a class with \
                 --pointing"
                    .into(),
            );
        }
        if let Some(twice) =
            (1..self.measures.len()).find(|&at| self.measures[..at].contains(&self.measures[at]))
        {
            return refuse(
                format!("the metric {:?} is named twice", self.measures[twice]).to_lowercase(),
            );
        }
        if !(2..=1000).contains(&self.steps) {
            return refuse(format!("steps should be from 2 to 1000, found {}", self.steps));
        }
        if self.resamples > 1_000_000 {
            return refuse(format!(
                "resamples should be at most a million, found {}",
                self.resamples
            ));
        }
        match &self.pointing {
            Some(pointing) if !(0.0..=1.0).contains(&pointing.confidence) => refuse(format!(
                "pointing-confidence should be from 0 to 1, found {}",
                pointing.confidence
            )),
            _ => Ok(()),
        }
    }

    /// Whether `measure` is wanted.
    pub fn has(&self, measure: Measure) -> bool {
        self.measures.contains(&measure)
    }

    /// The metrics in the order of tables; `layers` is the number of layers the sanity check
    /// redraws.
    fn metrics(&self, layers: usize) -> Vec<Metric> {
        let mut measures = self.measures.clone();
        measures.sort_unstable();
        measures.into_iter().flat_map(|measure| measure.metrics(layers)).collect()
    }

    /// The curves, in the order of tables.
    fn curves(&self) -> Vec<Curve> {
        let all = [
            (Measure::Deletion, Curve::Deletion),
            (Measure::Insertion, Curve::Insertion),
            (Measure::Road, Curve::RoadMost),
            (Measure::Road, Curve::RoadLeast),
        ];
        all.into_iter().filter(|(measure, _)| self.has(*measure)).map(|(_, curve)| curve).collect()
    }

    /// The methods, the maps from elsewhere, and the baselines they have to beat.
    fn contenders(&self, cam: &CamConfig) -> Vec<Contender> {
        let external = cam.maps.iter().map(|maps| Contender::External(maps.name().into()));
        let methods = cam.methods.iter().copied().map(Contender::Method).chain(external);
        let uniform = self.has(Measure::Pointing).then_some(Contender::Uniform);
        methods.chain([Contender::Random, Contender::Centre]).chain(uniform).collect()
    }
}

/// No network's head has more layers that the sanity check redraws.
const MOST_REDRAWN_LAYERS: usize = 1000;

/// The part of `run.json` that must agree before an evaluation is continued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationSettings {
    /// What is measured, and how.
    #[serde(flatten)]
    pub plan: Plan,
    /// How many layers of the network's head the sanity check redraws.
    pub redrawn_layers: usize,
}

impl EvaluationSettings {
    /// What `run.json` says of them.
    ///
    /// # Errors
    /// The settings are no plain data; a test excludes it.
    pub fn to_experiment(&self) -> Result<Experiment> {
        Experiment::new(COMMAND, self)
    }

    /// Those of the run that `manifest` describes.
    ///
    /// # Errors
    /// It is no run of `emocam evaluate`, or its settings cannot be read; the message goes behind
    /// the run's name.
    pub fn read(manifest: &Manifest) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| {
            format!("settings of {COMMAND} that cannot be read: {error}")
        };
        let read: Self = manifest.settings_of(COMMAND)?;
        read.plan.check().map_err(|error| wrong(&error))?;
        if read.redrawn_layers > MOST_REDRAWN_LAYERS {
            return Err(wrong(&format!(
                "{} redrawn layers; the limit is {MOST_REDRAWN_LAYERS}",
                read.redrawn_layers
            )));
        }
        Ok(read)
    }
}

/// Whose maps are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contender {
    /// A method.
    Method(Method),
    /// Maps from elsewhere, by their name.
    External(String),
    /// Random maps as smooth as a class activation map.
    Random,
    /// A Gaussian about the centre.
    Centre,
    /// The same everywhere: in the pointing game, which alone it plays, the boxes' share of the
    /// area.
    Uniform,
}

impl Contender {
    /// The name in tables.
    pub fn name(&self) -> String {
        match self {
            Self::Method(method) => method.to_string(),
            Self::External(name) => name.clone(),
            Self::Random => "random".into(),
            Self::Centre => "centre".into(),
            Self::Uniform => "uniform".into(),
        }
    }

    /// Whether it knows nothing of the model.
    pub fn is_baseline(&self) -> bool {
        !matches!(self, Self::Method(_) | Self::External(_))
    }
}

/// Probabilities over a growing share of changed pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// Highest pixels replaced by the network's zero.
    Deletion,
    /// Highest pixels shown on the blurred picture.
    Insertion,
    /// Highest pixels removed and filled in.
    RoadMost,
    /// Lowest pixels removed and filled in.
    RoadLeast,
}

impl Curve {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deletion => "deletion",
            Self::Insertion => "insertion",
            Self::RoadMost => "road-most-relevant-first",
            Self::RoadLeast => "road-least-relevant-first",
        }
    }

    /// Whether removed pixels are filled in.
    fn is_road(self) -> bool {
        matches!(self, Self::RoadMost | Self::RoadLeast)
    }

    /// Its points, both ends included, in an evaluation of so many equal steps.
    fn points(self, steps: usize) -> usize {
        if self.is_road() { 1 + FIFTHS.len() } else { 1 + steps }
    }

    /// The changed share at point `at` of a curve of `points` points.
    fn fraction(self, at: usize, points: usize) -> f64 {
        match self {
            Self::Deletion | Self::Insertion => at as f64 / (points - 1) as f64,
            Self::RoadMost | Self::RoadLeast => at as f64 / 5.0,
        }
    }
}
