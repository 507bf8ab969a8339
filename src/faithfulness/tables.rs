//! What an evaluation leaves behind in its run directory: `evaluation.csv`, `images.csv`,
//! `curves.csv`, `failures.csv` and the picture.

use super::{Evaluation, MetricEstimate, Plan, picture};
use crate::Result;
use crate::nn::Precision;
use crate::plot;
use crate::run::{Failure, Run, table, write_failures};
use std::path::Path;

/// Writes everything into the folder of `run`. Without a judged picture there is no picture to
/// draw.
///
/// # Errors
/// A file cannot be written.
pub fn write(
    run: &Run,
    evaluation: &Evaluation,
    estimates: &[MetricEstimate],
    plan: &Plan,
    failures: &[Failure],
) -> Result<()> {
    evaluation_csv(&run.path("evaluation.csv"), estimates)?;
    images_csv(&run.path("images.csv"), evaluation, &run.manifest.labels)?;
    curves_csv(&run.path("curves.csv"), evaluation)?;
    write_failures(&run.path("failures.csv"), failures)?;
    if evaluation.pictures().is_empty() {
        return Ok(());
    }
    let mut picture =
        picture::scorecard(evaluation, estimates, plan, run.manifest.warning.as_deref());
    let precision = run.manifest.configuration.compute.precision;
    if precision != Precision::F32 {
        picture.notes.push(format!("The network answered for changed images in {precision}."));
    }
    plot::write(&picture.svg()?, &run.path("evaluation.png"), &run.path("evaluation.svg"))
}

/// A number, or an empty cell.
fn cell(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The columns of `evaluation.csv`.
const COLUMNS: &str =
    "method,kind,metric,better,mean,lower,upper,n,over_random,over_random_lower,over_random_upper";

/// Writes `answers.csv` into `folder`: the estimates over groups of pictures, as over those that
/// are answered rightly and wrongly, with the group's name in the first column.
///
/// # Errors
/// The table cannot be written.
pub fn write_groups(folder: &Path, groups: &[(&str, Vec<MetricEstimate>)]) -> Result<()> {
    table(&folder.join("answers.csv"), |table| {
        table.row(["answer"].into_iter().chain(COLUMNS.split(',')))?;
        groups.iter().try_for_each(|(name, estimates)| {
            estimates.iter().try_for_each(|estimate| {
                table.row([name.to_string()].into_iter().chain(cells(estimate)))
            })
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
        let head = ["path", "label", "probability", "box_area", "method", "kind", "flat"]
            .map(String::from);
        table
            .row(head.into_iter().chain(evaluation.metrics().iter().map(|metric| metric.name())))?;
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
                table.row(
                    start.into_iter().chain(verdict.values.iter().map(|value| cell(*value))),
                )?;
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
