//! What a pass over a corpus keeps of every picture: a line of `records.jsonl`. Knows nothing of
//! networks.

use super::Manifest;
use crate::Result;
use crate::attribution::Game;
use crate::image::{BoundingBox, Extent};
use crate::score::{BoxScore, MapGrid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// Its path, as in every table.
    pub path: String,
    /// Pixels per row, upright.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// Index of the most probable label.
    pub label: usize,
    /// Softmax, one a label; empty for a network with a single output.
    pub probabilities: Vec<f32>,
    /// The output of a network with a single one; the label is the bin it lies in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<f32>,
    /// Valence predicted from the probabilities, when the model has a regression for it.
    pub valence: Option<f32>,
    /// Arousal, likewise.
    pub arousal: Option<f32>,
    /// Every labelled region over the detector's threshold that has a part in the picture, by
    /// falling confidence.
    pub boxes: Vec<BoxRecord>,
    /// Boxes that reached beyond the picture and were cut to it.
    pub clipped: usize,
    /// Boxes that lay outside the picture altogether and were dropped.
    pub outside: usize,
    /// One entry a method, in the order of the configuration.
    pub maps: Vec<MapRecord>,
}

/// One labelled region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxRecord {
    /// Index of the class.
    pub class: usize,
    /// In `[0, 1]`.
    pub confidence: f32,
    /// Its box in pixels of the picture, cut to it.
    #[serde(rename = "box")]
    pub bounding_box: BoundingBox,
    /// The box as it was found, which may reach beyond the picture: what is scored.
    pub extent: Extent,
    /// Its pixels, where the source of the regions knows them: COCO's compressed run lengths,
    /// column by column.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rle: Option<String>,
}

/// One method's map of the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapRecord {
    /// The method's name.
    pub method: String,
    /// The map shows nothing: no positive part, or one too small to be normalised.
    pub flat: bool,
    /// Standard error of the channel weights as a share of their norm, by a method that estimates
    /// them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<f32>,
    /// Mean over the map, in `[0, 1]`.
    pub mean: f32,
    /// One score a box, in the order of the boxes. Of a method that gives one number a region
    /// instead of a map, its value as a share of all positive ones, in place of each number.
    pub scores: Vec<BoxScore>,
    /// Of the regions with pixels of their own their scores on these, in the order of the boxes;
    /// absent where no region of the picture has any.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub mask_scores: Vec<Option<BoxScore>>,
    /// Of a method that estimates by sampling the standard error of each region's importance, the
    /// mean of the score that counts ([`Self::score`]), in the order of the boxes; else absent.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub score_errors: Vec<f32>,
    /// The score of what lies in no region's box or, where it has pixels of its own, on none of
    /// these. Its contrast is to the mean inside regions; z is 0. All is 0 where regions leave
    /// nothing. Of a method that gives numbers, the background's value as a share.
    pub background: BoxScore,
    /// The map itself, coarsely; absent where a method gives regions numbers instead of a map.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grid: Option<MapGrid>,
    /// The game that a method of Shapley values of parts of the picture played.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub game: Option<GameRecord>,
}

/// What a method of Shapley values found: `value_all` - `value_nothing` is the sum of all players'
/// values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GameRecord {
    /// The score of the whole picture.
    pub value_all: f32,
    /// The score of the picture of which everything is hidden.
    pub value_nothing: f32,
    /// How often a score was evaluated.
    pub evaluations: usize,
    /// Of which layer's output places were hidden, by its name; absent: of the picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layer: Option<String>,
    /// Value of what lies outside all regions, where regions play.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub background: Option<f32>,
    /// The player that each region belongs to, in the order of the boxes: regions of one number are
    /// one thing; 0 is the background.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub players: Vec<usize>,
    /// Value of each region's player, in units of the score; 0 for a region that is part of the
    /// background.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub values: Vec<f32>,
    /// Standard error of each value, where they were sampled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub errors: Option<Vec<f32>>,
}

impl GameRecord {
    /// Whether there is one of everything a region, or of nothing.
    fn fits(&self, regions: usize) -> bool {
        let expected = if self.background.is_some() { regions } else { 0 };
        let errors = self.errors.as_ref().is_none_or(|errors| errors.len() == expected);
        self.players.len() == expected && self.values.len() == expected && errors
    }
}

impl From<&Game> for GameRecord {
    fn from(game: &Game) -> Self {
        let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        Self {
            value_all: game.all as f32,
            value_nothing: game.nothing as f32,
            evaluations: game.evaluations,
            layer: game.layer.clone(),
            background: game.background.map(|value| value as f32),
            players: game.players.clone(),
            values: single(&game.values),
            errors: game.errors.as_deref().map(single),
        }
    }
}

impl ImageRecord {
    /// By how much the label's probability is greater than that of the next label; `None` for a
    /// network without probabilities, or with a single label.
    pub fn margin(&self) -> Option<f32> {
        let own = *self.probabilities.get(self.label)?;
        let others =
            self.probabilities.iter().enumerate().filter(|(label, _)| *label != self.label);
        others.map(|(_, &probability)| own - probability).min_by(f32::total_cmp)
    }
}

impl MapRecord {
    /// The game, where regions played it.
    pub fn game_of_regions(&self) -> Option<&GameRecord> {
        self.game.as_ref().filter(|game| game.background.is_some())
    }

    /// The score that counts for the region `index`: on its own pixels where they are known, else
    /// on its box.
    pub fn score(&self, index: usize) -> &BoxScore {
        self.mask_scores.get(index).and_then(Option::as_ref).unwrap_or(&self.scores[index])
    }
}

/// What a line of a `records.jsonl` holds.
pub trait Line: Serialize + DeserializeOwned + Send {
    /// What the type alone does not say.
    ///
    /// # Errors
    /// What contradicts itself.
    fn check(&self) -> Result<(), String>;
}

/// A line that is about one picture, in the `records.jsonl` of one of the commands that make run
/// directories.
pub trait RunRecord: Line {
    /// The picture's path, as in every table.
    fn path(&self) -> &str;

    /// What tells whether a record fits the run that `manifest` describes, in words where it does
    /// not.
    ///
    /// # Errors
    /// Another command has made the run, or its settings cannot be read; the message goes behind
    /// the run's name.
    fn fits(manifest: &Manifest) -> Result<impl Fn(&Self) -> Result<(), String>, String>;
}

impl Line for ImageRecord {
    fn check(&self) -> Result<(), String> {
        if self.output.is_some() != self.probabilities.is_empty() {
            return Err("it should have either probabilities or a single output".into());
        }
        if self.output.is_none() && self.label >= self.probabilities.len() {
            return Err(format!("label {} of {}", self.label, self.probabilities.len()));
        }
        if self.width == 0 || self.height == 0 {
            return Err(format!("a picture of {} x {} pixels", self.width, self.height));
        }
        self.check_probabilities()?;
        let count = self.boxes.len();
        for (number, region) in (1..).zip(&self.boxes) {
            region
                .check((self.width, self.height))
                .map_err(|message| format!("box {number}: {message}"))?;
        }
        if !self.boxes.is_sorted_by(|one, next| one.confidence >= next.confidence) {
            return Err("boxes that are not by falling confidence".into());
        }
        for map in &self.maps {
            map.check_scores()?;
            if map.scores.len() != count {
                return Err(format!(
                    "{} scores by {} for {count} boxes",
                    map.scores.len(),
                    map.method
                ));
            }
            if map.game.as_ref().is_some_and(|game| !game.fits(count)) {
                return Err(format!(
                    "the game of {} has not one value a box of {count}",
                    map.method
                ));
            }
            if !map.score_errors.is_empty() && map.score_errors.len() != count {
                return Err(format!(
                    "{} standard errors by {} for {count} boxes",
                    map.score_errors.len(),
                    map.method
                ));
            }
            if !map.mask_scores.is_empty() && map.mask_scores.len() != count {
                return Err(format!(
                    "{} scores of masks by {} for {count} boxes",
                    map.mask_scores.len(),
                    map.method
                ));
            }
        }
        Ok(())
    }
}

impl RunRecord for ImageRecord {
    fn path(&self) -> &str {
        &self.path
    }

    fn fits(manifest: &Manifest) -> Result<impl Fn(&Self) -> Result<(), String>, String> {
        match &manifest.experiment {
            None => Ok(|record: &Self| manifest.check_record(record)),
            Some(_) => Err(format!(
                "is a run of `{}`, whose records have no boxes: name a run of `emocam analyze`",
                manifest.command()
            )),
        }
    }
}
