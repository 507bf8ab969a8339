//! What the experiment keeps of every picture: a line of `records.jsonl`, appended by the rules of
//! [`crate::run::record`].

use super::settings::{RemovalKind, RemovalSettings};
use crate::image::BoundingBox;
use crate::run::Manifest;
use crate::run::record::{Line, RunRecord};
use serde::{Deserialize, Serialize};

/// One picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovalRecord {
    /// Its path, as in every table; of a drawn scene `scene` and its number.
    pub path: String,
    /// Pixels per row, upright.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// Index of the most probable label of the whole picture: its own label.
    pub label: usize,
    /// Softmax, one a label, of the whole picture.
    pub probabilities: Vec<f32>,
    /// The regions that were taken away, the surest first.
    pub regions: Vec<RegionRecord>,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionRecord {
    /// Index of its class.
    pub class: usize,
    /// In `[0, 1]`; 1 where people, or the scene itself, say where it is.
    pub confidence: f32,
    /// Its box in pixels of the picture, cut to it.
    #[serde(rename = "box")]
    pub bounding_box: BoundingBox,
    /// Its own pixels, where it has some, as COCO's compressed run lengths.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rle: Option<String>,
    /// Its share of the picture that the network sees, in `(0, 1]`.
    pub covered: f32,
    /// The patch of its size and shape; none where there is no other place for it.
    pub control: Option<ControlRecord>,
    /// One entry a fill, in the order of the settings.
    pub answers: Vec<FillAnswers>,
    /// For the scene drawn again without the object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub redrawn: Option<RemovalAnswer>,
}

/// Where the control patch of a region is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlRecord {
    /// The box around it in pixels of the picture.
    #[serde(rename = "box")]
    pub bounding_box: BoundingBox,
    /// The share of it that lies on the region, at most a half.
    pub overlap: f32,
    /// The share of it that lies on sure regions of the picture, this one among them.
    pub on_regions: f32,
}

/// What the network answers when a region, or its control, is hidden or kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillAnswers {
    /// The region alone taken away.
    pub removed: RemovalAnswer,
    /// The region alone kept.
    pub kept: RemovalAnswer,
    /// The control alone taken away.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub removed_control: Option<RemovalAnswer>,
    /// The control alone kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept_control: Option<RemovalAnswer>,
}

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovalAnswer {
    /// Index of the most probable label.
    pub label: usize,
    /// Probability of the whole picture's own label.
    pub probability: f32,
}

impl FillAnswers {
    /// One of them; none of a control that is not there.
    pub fn of_kind(&self, kind: RemovalKind) -> Option<RemovalAnswer> {
        match kind {
            RemovalKind::Removed => Some(self.removed),
            RemovalKind::Kept => Some(self.kept),
            RemovalKind::RemovedControl => self.removed_control,
            RemovalKind::KeptControl => self.kept_control,
        }
    }
}

impl RegionRecord {
    fn all_answers(&self) -> impl Iterator<Item = RemovalAnswer> + '_ {
        let of_fills = self
            .answers
            .iter()
            .flat_map(|fill| RemovalKind::ALL.into_iter().filter_map(|kind| fill.of_kind(kind)));
        of_fills.chain(self.redrawn)
    }
}

impl RemovalRecord {
    /// Probability of the own label, nothing hidden.
    pub fn probability(&self) -> f64 {
        f64::from(self.probabilities[self.label])
    }

    /// How an answer differs from that for the whole picture: change of the own label's
    /// probability, -1 to 1.
    pub fn change(&self, answer: RemovalAnswer) -> f64 {
        f64::from(answer.probability) - self.probability()
    }

    /// Refuses a record that does not fit the experiment.
    fn check_against(
        &self,
        settings: &RemovalSettings,
        labels: usize,
        classes: usize,
    ) -> Result<(), String> {
        let region = |region: &RegionRecord| {
            region.class < classes && region.answers.len() == settings.fills.len()
        };
        let fits = self.probabilities.len() == labels && self.regions.iter().all(region);
        fits.then_some(()).ok_or_else(|| {
            format!(
                "the record of {} does not fit run.json: other labels, classes or fills",
                self.path
            )
        })
    }
}

impl Line for RemovalRecord {
    fn check(&self) -> Result<(), String> {
        let labels = self.probabilities.len();
        let answers = self.regions.iter().flat_map(RegionRecord::all_answers);
        let fits = self.label < labels && answers.into_iter().all(|answer| answer.label < labels);
        fits.then_some(()).ok_or_else(|| {
            format!("labels of {} that are not among its {labels} probabilities", self.path)
        })
    }
}

impl RunRecord for RemovalRecord {
    fn path(&self) -> &str {
        &self.path
    }

    fn fits(manifest: &Manifest) -> Result<impl Fn(&Self) -> Result<(), String>, String> {
        let (labels, classes) = (manifest.labels.len(), manifest.classes.len());
        let settings = RemovalSettings::read(manifest)?;
        Ok(move |record: &Self| record.check_against(&settings, labels, classes))
    }
}
