//! What is kept of a classified picture: a line of `records.jsonl`.

use crate::run::Manifest;
use crate::run::record::{Line, RunRecord};
use serde::{Deserialize, Serialize};

/// A picture's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifyRecord {
    /// The picture's path, as in every table.
    pub path: String,
    /// Index of the most probable label; of a network with a single output the bin it lies in.
    pub label: usize,
    /// Softmax over the labels; empty for a network with a single output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probabilities: Vec<f32>,
    /// The single output of a network that has no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<f32>,
    /// What each stream of a network with several answers alone, as an index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<usize>,
}

impl Line for ClassifyRecord {
    fn check(&self) -> Result<(), String> {
        let fits = self.output.is_some() || self.label < self.probabilities.len();
        fits.then_some(())
            .ok_or_else(|| format!("the label of {} is not among its probabilities", self.path))
    }
}

/// The command by which `run.json` knows its runs.
pub const COMMAND: &str = "classify";

impl RunRecord for ClassifyRecord {
    fn path(&self) -> &str {
        &self.path
    }

    fn fits(manifest: &Manifest) -> Result<impl Fn(&Self) -> Result<(), String>, String> {
        if manifest.experiment.as_ref().is_none_or(|experiment| experiment.command != COMMAND) {
            return Err("is no run of `emocam classify`".into());
        }
        let (labels, scalar) = (manifest.labels.len(), manifest.output.is_some());
        Ok(move |record: &Self| {
            let probabilities = if scalar { 0 } else { labels };
            let answers = record.streams.iter().chain([&record.label]);
            let fits = record.probabilities.len() == probabilities
                && answers.into_iter().all(|&label| label < labels);
            fits.then_some(()).ok_or_else(|| {
                format!("the record of {} does not fit run.json: other labels", record.path)
            })
        })
    }
}
