//! The picture of an evaluation: one panel a metric, then the mean curves.

use super::{Better, Contender, Curve, Evaluation, Metric, MetricEstimate, Plan};
use crate::names::counted;
use crate::plot::{Dot, Panel, Panels, Series};
use crate::run::Timings;
use crate::stats::FEWEST_RESAMPLED_CASES;

/// The picture, for [`Panels::svg`], of what `plan` asked; `warning` is for every reader.
pub fn scorecard(
    evaluation: &Evaluation,
    estimates: &[MetricEstimate],
    plan: &Plan,
    warning: Option<&str>,
) -> Panels {
    // The uniform map takes part in one panel only: there it is a line.
    let shown: Vec<usize> = (0..evaluation.contenders().len())
        .filter(|&at| evaluation.contenders()[at] != Contender::Uniform)
        .collect();
    let series = shown
        .iter()
        .map(|&at| &evaluation.contenders()[at])
        .map(|contender| Series { name: contender.name(), baseline: contender.is_baseline() });
    let mut panels: Vec<Panel> = evaluation
        .metrics()
        .iter()
        // The last of the cascade stands for all; the others are in its curve.
        .filter(|metric| !matches!(metric, Metric::Sanity(layers) if *layers < deepest(evaluation)))
        .map(|&metric| dots(evaluation, estimates, plan, metric, &shown))
        .collect();
    panels.extend(curve_panels(evaluation, &shown));
    if deepest(evaluation) > 0 {
        panels.push(cascade(evaluation, estimates, &shown));
    }
    let outcome = evaluation.outcome(0, Timings::default());
    let mut notes = vec![format!(
        "Dots: means over n images. {} Grey: baselines that know nothing of the model, random maps \
         as smooth as the others and a Gaussian about the centre; dashed lines: what maps without \
         information score. Curves have the colours of the rows. Faithfulness to the model, not to \
         the world.",
        sureness_described(plan)
    )];
    if outcome.saturated > 0 {
        let percent = 100.0 * outcome.saturated as f64 / outcome.done as f64;
        notes.push(format!(
            "{percent:.0} % of the images have a probability over 0.999, which can hardly increase."
        ));
    }
    for (method, flat) in outcome.flat_maps.iter().filter(|(_, flat)| **flat > 0) {
        notes.push(format!(
            "{method}: {flat} of {} maps show nothing and count as random ones.",
            outcome.done
        ));
    }
    notes.extend(warning.map(str::to_string));
    Panels {
        title: "Faithfulness of the maps".into(),
        subtitle: format!(
            "{}, score: probability of the explained class",
            counted(outcome.done as u64, "image")
        ),
        series: series.collect(),
        panels,
        notes,
    }
}

/// What bars and signs mean, or why there are none.
fn sureness_described(plan: &Plan) -> String {
    if plan.resamples == 0 {
        return "Without resamples (--resamples 0) there are no intervals and no verdicts.".into();
    }
    format!(
        "Bars: 95 % bootstrap intervals. + and −: better and worse than the random baseline, image \
         by image (the interval of the difference leaves out zero). Of fewer than \
         {FEWEST_RESAMPLED_CASES} images there are neither: intervals of so few are too narrow, \
         and call chance a difference."
    )
}

/// How many layers the sanity check redraws at most.
fn deepest(evaluation: &Evaluation) -> usize {
    let layers =
        |metric: &Metric| if let Metric::Sanity(layers) = metric { Some(*layers) } else { None };
    evaluation.metrics().iter().filter_map(layers).max().unwrap_or(0)
}

fn find<'a>(
    estimates: &'a [MetricEstimate],
    contender: &Contender,
    metric: Metric,
) -> Option<&'a MetricEstimate> {
    estimates.iter().find(|estimate| estimate.contender == *contender && estimate.metric == metric)
}

fn dots(
    evaluation: &Evaluation,
    estimates: &[MetricEstimate],
    plan: &Plan,
    metric: Metric,
    shown: &[usize],
) -> Panel {
    let mean = |contender| find(estimates, contender, metric).and_then(|estimate| estimate.mean);
    let dot = |&at: &usize| {
        let estimate = find(estimates, &evaluation.contenders()[at], metric)?;
        Some(Dot {
            value: estimate.mean?,
            interval: estimate.interval,
            mark: mark(estimate),
            n: Some(estimate.n),
        })
    };
    let better = match metric.better() {
        Better::Lower => "← better",
        Better::Higher => "better →",
        Better::Zero => "0 is best",
    };
    let class = plan.pointing.as_ref().map(|pointing| pointing.class.as_str());
    let title = match (metric, class) {
        (Metric::Pointing, Some(class)) => format!("Pointing: {class}"),
        _ => title_of(metric).to_string(),
    };
    let scale = match metric {
        Metric::Deletion | Metric::Insertion => "area under the curve",
        Metric::Road => "(least − most relevant removed) / 2",
        Metric::AverageDrop => "share of the probability lost",
        Metric::AverageGain => "share of the rest to 1 won",
        Metric::Increase => "share of the images",
        Metric::Pointing => "share of the map in the boxes",
        Metric::Sanity(_) => "correlation, whole head redrawn",
    };
    // What a map without information scores: in the pointing game the boxes' share of the area.
    let reference = if metric == Metric::Pointing {
        mean(&Contender::Uniform)
    } else {
        mean(&Contender::Random)
    };
    let dots = shown.iter().map(dot).collect();
    Panel::Dots { title, scale: scale.into(), better: better.into(), dots, reference }
}

/// A panel's title.
fn title_of(metric: Metric) -> &'static str {
    match metric {
        Metric::Deletion => "Deletion",
        Metric::Insertion => "Insertion",
        Metric::Road => "ROAD",
        Metric::AverageDrop => "Average drop",
        Metric::AverageGain => "Average gain",
        Metric::Increase => "Increase in confidence",
        Metric::Pointing => "Energy pointing game",
        Metric::Sanity(_) => "Sanity check",
    }
}

/// "+" where a mean is better than the random baseline's by more than chance, "−" where it is
/// worse: the interval of the paired difference leaves zero out. Fewer than
/// [`FEWEST_RESAMPLED_CASES`] pictures have no such interval. Pictures differ more than methods do,
/// so that intervals of the means hide it.
fn mark(estimate: &MetricEstimate) -> &'static str {
    let Some((lower, upper)) = estimate.over_random.and_then(|over| over.interval) else {
        return "";
    };
    match (lower > 0.0, upper < 0.0, estimate.metric.better()) {
        (true, _, Better::Higher) | (_, true, Better::Lower) => "+",
        (true, _, Better::Lower) | (_, true, Better::Higher) => "−",
        _ => "",
    }
}

fn curve_panels(evaluation: &Evaluation, shown: &[usize]) -> Vec<Panel> {
    let mean_lines = |curve: Curve| -> Vec<Vec<(f64, f64)>> {
        let find =
            |&at: &usize| evaluation.curves(at).into_iter().find(|(other, _)| *other == curve);
        shown.iter().map(|index| find(index).map_or_else(Vec::new, |(_, points)| points)).collect()
    };
    [
        (Curve::Deletion, "Deletion", "share of the pixels deleted"),
        (Curve::Insertion, "Insertion", "share of the pixels shown"),
        (Curve::RoadMost, "ROAD, most relevant first", "share of the pixels removed"),
        (Curve::RoadLeast, "ROAD, least relevant first", "share of the pixels removed"),
    ]
    .into_iter()
    .map(|(curve, title, across)| (mean_lines(curve), title, across))
    .filter(|(lines, ..)| lines.iter().any(|points| !points.is_empty()))
    .map(|(lines, title, across)| Panel::Lines {
        title: title.into(),
        across: across.into(),
        up: "mean probability".into(),
        lines,
        whole_numbers: false,
        n: Some(evaluation.pictures().len()),
    })
    .collect()
}

fn cascade(evaluation: &Evaluation, estimates: &[MetricEstimate], shown: &[usize]) -> Panel {
    let line = |&at: &usize| -> Vec<(f64, f64)> {
        let contender = &evaluation.contenders()[at];
        if contender.is_baseline() {
            return Vec::new();
        }
        let mean = |layers| {
            find(estimates, contender, Metric::Sanity(layers)).and_then(|estimate| estimate.mean)
        };
        let redrawn =
            (1..=deepest(evaluation)).filter_map(|layers| Some((layers as f64, mean(layers)?)));
        std::iter::once((0.0, 1.0)).chain(redrawn).collect()
    };
    let of_layers =
        estimates.iter().filter(|estimate| matches!(estimate.metric, Metric::Sanity(_)));
    Panel::Lines {
        title: "Sanity check".into(),
        n: of_layers.map(|estimate| estimate.n).max(),
        across: "layers redrawn, from the last".into(),
        up: "rank correlation".into(),
        lines: shown.iter().map(line).collect(),
        whole_numbers: true,
    }
}
