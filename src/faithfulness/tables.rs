//! What an evaluation leaves behind: `evaluation.csv`, `images.csv`, `curves.csv`, `failures.csv`, `evaluate.json` and
//! the picture.

use super::{Evaluation, MetricEstimate, Plan, Seconds, picture};
use crate::config::Config;
use crate::plot;
use crate::run::{CorpusInfo, Failure, ModelFile, table, write_failures};
use crate::{Error, Result, files};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The contents of `evaluate.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// Version of this program.
    pub emocam: String,
    /// Version of libtorch it was built for.
    pub libtorch: String,
    /// Whether every picture of the corpus was looked at.
    pub complete: bool,
    /// A warning for every reader when weights were made by `emocam models synthesize`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What was measured, and how.
    pub evaluation: Plan,
    /// Preset, file and flags together.
    pub configuration: Config,
    /// "cpu" or "cuda:N".
    pub device: String,
    /// Threads of the networks on the CPU; the last digits of a result depend on them.
    pub network_threads: i32,
    /// Every file that shaped the networks.
    pub models: Vec<ModelFile>,
    /// The pictures.
    pub corpus: CorpusInfo,
    /// Counts, flags and times.
    pub outcome: EvaluationOutcome,
}

/// Counts, flags and times.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct EvaluationOutcome {
    /// Pictures that were judged.
    pub done: usize,
    /// Pictures and files in `failures.csv`.
    pub failed: usize,
    /// Pictures whose explained class has a probability over 0.999.
    pub saturated: usize,
    /// Pictures with a box of the pointing game's class, where it is played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_boxes: Option<usize>,
    /// Maps that show nothing, per method.
    pub flat_maps: BTreeMap<String, usize>,
    /// From the first picture to the last.
    pub seconds: f64,
    /// Where they went.
    pub parts: Seconds,
}

impl EvaluationOutcome {
    /// Counts and flags of `evaluation`; failures and times are the caller's.
    pub fn of(evaluation: &Evaluation, plan: &Plan) -> Self {
        let pictures = evaluation.pictures();
        let contenders = evaluation.contenders().iter().enumerate().filter(|(_, contender)| !contender.is_baseline());
        Self {
            done: pictures.len(),
            saturated: evaluation.saturated(),
            with_boxes: plan.pointing.is_some().then(|| pictures.iter().filter(|of| of.area.is_some()).count()),
            flat_maps: contenders.map(|(at, contender)| (contender.name(), evaluation.flat(at))).collect(),
            ..Self::default()
        }
    }
}

/// Writes everything into `folder`, which must be there; `labels` are the emotion model's. Without a judged picture
/// there is no picture to draw.
///
/// # Errors
/// A file cannot be written.
pub fn write(
    folder: &Path,
    document: &Document,
    evaluation: &Evaluation,
    estimates: &[MetricEstimate],
    labels: &[String],
    failures: &[Failure],
) -> Result<()> {
    evaluation_csv(&folder.join("evaluation.csv"), estimates)?;
    images_csv(&folder.join("images.csv"), evaluation, labels)?;
    curves_csv(&folder.join("curves.csv"), evaluation)?;
    write_failures(&folder.join("failures.csv"), failures)?;
    if !evaluation.pictures().is_empty() {
        let picture = picture::scorecard(evaluation, estimates, document).svg()?;
        plot::write(&picture, &folder.join("evaluation.png"), &folder.join("evaluation.svg"))?;
    }
    let path = folder.join("evaluate.json");
    let mut json = serde_json::to_vec_pretty(document).map_err(|error| Error::file(&path, error.to_string()))?;
    json.push(b'\n');
    files::write_bytes(&path, &json)
}

/// A number, or an empty cell.
fn cell(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The columns of `evaluation.csv`.
const COLUMNS: &str = "method,kind,metric,better,mean,lower,upper,n,over_random,over_random_lower,over_random_upper";

/// Writes `answers.csv` into `folder`: the estimates over groups of pictures, as over those that are answered rightly
/// and wrongly, with the group's name in the first column.
///
/// # Errors
/// The table cannot be written.
pub fn write_groups(folder: &Path, groups: &[(&str, Vec<MetricEstimate>)]) -> Result<()> {
    table(&folder.join("answers.csv"), |table| {
        table.row(["answer"].into_iter().chain(COLUMNS.split(',')))?;
        groups.iter().try_for_each(|(name, estimates)| {
            estimates.iter().try_for_each(|estimate| table.row([name.to_string()].into_iter().chain(cells(estimate))))
        })
    })
}

fn evaluation_csv(path: &Path, estimates: &[MetricEstimate]) -> Result<()> {
    table(path, |table| {
        table.row(COLUMNS.split(','))?;
        estimates.iter().try_for_each(|estimate| table.row(cells(estimate)))
    })
}

/// An estimate as a row of [`COLUMNS`].
fn cells(estimate: &MetricEstimate) -> [String; 11] {
    let (interval, over) = (estimate.interval, estimate.over_random);
    let over_interval = over.and_then(|over| over.interval);
    [
        estimate.contender.name(),
        kind(estimate.contender.is_baseline()).into(),
        estimate.metric.name(),
        estimate.metric.better().name().into(),
        cell(estimate.mean),
        cell(interval.map(|(lower, _)| lower)),
        cell(interval.map(|(_, upper)| upper)),
        estimate.n.to_string(),
        cell(over.map(|over| over.mean)),
        cell(over_interval.map(|(lower, _)| lower)),
        cell(over_interval.map(|(_, upper)| upper)),
    ]
}

fn images_csv(path: &Path, evaluation: &Evaluation, labels: &[String]) -> Result<()> {
    table(path, |table| {
        let head = ["path", "label", "probability", "box_area", "method", "kind", "flat"].map(String::from);
        table.row(head.into_iter().chain(evaluation.metrics().iter().map(|metric| metric.name())))?;
        for picture in evaluation.pictures() {
            for (contender, verdict) in evaluation.contenders().iter().zip(&picture.verdicts) {
                let start = [
                    picture.path.clone(),
                    labels[picture.class].clone(),
                    picture.probability.to_string(),
                    cell(picture.area),
                    contender.name(),
                    kind(contender.is_baseline()).into(),
                    verdict.flat.to_string(),
                ];
                table.row(start.into_iter().chain(verdict.values.iter().map(|value| cell(*value))))?;
            }
        }
        Ok(())
    })
}

fn curves_csv(path: &Path, evaluation: &Evaluation) -> Result<()> {
    table(path, |table| {
        table.row(["method", "kind", "curve", "fraction", "probability"])?;
        for (at, contender) in evaluation.contenders().iter().enumerate() {
            for (curve, points) in evaluation.curves(at) {
                for (fraction, probability) in points {
                    let (name, kind) = (contender.name(), kind(contender.is_baseline()));
                    let numbers = [fraction.to_string(), probability.to_string()];
                    table.row([&name, kind, curve.name(), &numbers[0], &numbers[1]])?;
                }
            }
        }
        Ok(())
    })
}

fn kind(baseline: bool) -> &'static str {
    if baseline { "baseline" } else { "method" }
}
