//! What the experiment keeps of every photo: a line of `records.jsonl`, appended by the rules of
//! [`crate::run::record`].

use super::settings::PasteSettings;
use crate::image::BoundingBox;
use crate::run::Manifest;
use crate::run::record::{Line, RunRecord};
use serde::{Deserialize, Serialize};

/// One photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasteRecord {
    /// Its path, as in every table.
    pub path: String,
    /// Pixels per row, upright.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// Index of the most probable label, nothing pasted.
    pub label: usize,
    /// Softmax, one a label, nothing pasted.
    pub probabilities: Vec<f32>,
    /// Where something was pasted.
    pub spots: Vec<Spot>,
    /// One for every object, in it every fill, in it every spot.
    pub pasted: Vec<Pasted>,
}

/// A place in the photo.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    /// Index of the position, or of the class.
    pub position: usize,
    /// Of the object's centre: share of the width.
    pub x: f64,
    /// Of the object's centre: share of the height.
    pub y: f64,
    /// The box whose centre this is, in pixels of the photo.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none", default)]
    pub bounding_box: Option<BoundingBox>,
}

/// The answer with something pasted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pasted {
    /// Index of the most probable label.
    pub label: usize,
    /// Softmax, one a label.
    pub probabilities: Vec<f32>,
    /// Share of the photo's area that is hidden.
    pub covered: f32,
    /// What the maps say, when they were asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub focus: Option<Focus>,
}

/// The activation map before (nothing pasted) and after, of each picture's own label or of the
/// class that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Focus {
    /// Share of the map's sum inside the pasted outline, before; none for a map of zeros.
    pub mass_before: Option<f32>,
    /// After.
    pub mass_after: Option<f32>,
    /// Importance (mean of the map) of the box that was pasted on, before; none where there is no
    /// box.
    pub box_before: Option<f32>,
    /// After.
    pub box_after: Option<f32>,
    /// Spearman's correlation of the two maps; none when one is constant.
    pub correlation: Option<f32>,
}

impl Line for PasteRecord {
    fn check(&self) -> Result<(), String> {
        let labels = self.probabilities.len();
        let fits =
            |label: usize, probabilities: &[f32]| label < labels && probabilities.len() == labels;
        let all = self.pasted.iter().all(|pasted| fits(pasted.label, &pasted.probabilities));
        (fits(self.label, &self.probabilities) && all).then_some(()).ok_or_else(|| {
            format!("labels of {} that are not among its {labels} probabilities", self.path)
        })
    }
}

impl RunRecord for PasteRecord {
    fn path(&self) -> &str {
        &self.path
    }

    fn fits(manifest: &Manifest) -> Result<impl Fn(&Self) -> Result<(), String>, String> {
        let (settings, labels) = (PasteSettings::read(manifest)?, manifest.labels.len());
        Ok(move |record: &Self| record.check_against(&settings, labels))
    }
}

impl PasteRecord {
    /// Refuses a record that does not fit the experiment.
    fn check_against(&self, settings: &PasteSettings, labels: usize) -> Result<(), String> {
        let positions = settings.places.names().len();
        let fits = self.probabilities.len() == labels
            && self.spots.iter().all(|spot| spot.position < positions)
            && self.pasted.len()
                == settings.objects.len() * settings.fills.len() * self.spots.len();
        fits.then_some(()).ok_or_else(|| {
            format!(
                "the record of {} does not fit run.json: other labels, objects, controls or \
                 positions",
                self.path
            )
        })
    }
}
