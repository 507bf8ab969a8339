//! What is kept of a scene, and by which settings: `records.jsonl` and `run.json` of a validation.

use super::trial::{Trial, World};
use crate::Result;
use crate::image::Size;
use crate::run::record::{Line, RunRecord};
use crate::run::{Experiment, Manifest};
use crate::score::MapGrid;
use crate::world::Style;
use serde::{Deserialize, Serialize};

/// The command by which `run.json` knows its runs.
pub(super) const COMMAND: &str = "validate";

/// A scene as a path, so that the order of the paths is that of the numbers.
pub(super) fn scene_name(number: u64) -> String {
    format!("scene {number:07}")
}

/// A trial before it is compared with others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialRecord {
    /// The scene, as `scene 0000012`.
    pub path: String,
    /// Without what compares it with others.
    pub trial: Trial,
    /// Of the scene, in pixels.
    pub size: Size,
    /// Per method and for the random map the map, coarsely.
    pub grids: Vec<Option<MapGrid>>,
}

/// What must agree before a validation is continued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationSettings {
    /// What scenes are drawn from: the name of a graph that comes with the program, or `file`,
    /// whose digest stands among the models.
    pub graph: String,
    /// Seed of the stream of scenes.
    pub world: u64,
    /// How they are drawn.
    pub style: Style,
    /// Whether parts of objects are taken out too.
    pub parts: bool,
    /// Whether the background is asked about.
    pub background: bool,
}

impl ValidationSettings {
    /// Of `world`, whose graph has this name.
    pub fn new(world: &World<'_>, graph: &str) -> Self {
        let &World { seed, style, parts, .. } = world;
        Self { graph: graph.into(), world: seed, style, parts, background: world.has_background() }
    }

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
    /// It is no run of `emocam validate`, or its settings cannot be read; the message goes behind
    /// the run's name.
    pub fn read(manifest: &Manifest) -> Result<Self, String> {
        manifest.settings_of(COMMAND)
    }
}

impl Line for TrialRecord {
    fn check(&self) -> Result<(), String> {
        let Trial { effects, boxes, background, scores, values, .. } = &self.trial;
        if self.size.width == 0 || self.size.height == 0 {
            return Err(format!("{} has no pixels", self.path));
        }
        if let Some(effect) = effects.iter().find(|effect| !(-1.0..=1.0).contains(&effect.drop)) {
            return Err(format!(
                "probabilities of {} fall by -1 to 1, found {}",
                self.path, effect.drop
            ));
        }
        let a_value_a_box =
            scores.iter().map(Vec::len).chain(values.iter().flatten().map(Vec::len));
        let wholes = effects.iter().filter_map(|effect| effect.whole);
        let fits = { a_value_a_box }.all(|count| count == boxes.len())
            && { wholes }
                .all(|(class, place)| effects.get(place).is_some_and(|whole| whole.class == class))
            && background.is_none_or(|place| place < boxes.len());
        fits.then_some(()).ok_or_else(|| {
            format!("scores, boxes and effects of {} do not fit each other", self.path)
        })
    }
}

impl RunRecord for TrialRecord {
    fn path(&self) -> &str {
        &self.path
    }

    fn fits(manifest: &Manifest) -> Result<impl Fn(&Self) -> Result<(), String>, String> {
        let ValidationSettings { background, .. } = ValidationSettings::read(manifest)?;
        let (labels, methods) = (manifest.labels.len(), manifest.configuration.cam.names().len());
        // The background counts as a class behind those of the detector.
        let classes = manifest.classes.len() + usize::from(background);
        Ok(move |record: &Self| {
            let Trial { label, truth, effects, boxes, background: place, scores, values, .. } =
                &record.trial;
            let fits = *label < labels
                && *truth < labels
                && effects.iter().all(|effect| effect.class < classes)
                && boxes.iter().all(|found| found.class < classes)
                && place.is_some() == background
                && (scores.len(), record.grids.len(), values.len())
                    == (methods + 1, methods + 1, methods);
            fits.then_some(()).ok_or_else(|| {
                format!(
                    "the record of {} does not fit run.json: other labels, classes or methods",
                    record.path
                )
            })
        })
    }
}
