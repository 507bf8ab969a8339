//! The picture of an evaluation: one panel a metric, then the mean curves.

use super::{Better, Contender, Curve, Document, Evaluation, Metric, MetricEstimate};
use crate::plot::{Dot, Panel, Panels, Series};

/// The picture, for [`Panels::svg`].
pub fn scorecard(evaluation: &Evaluation, estimates: &[MetricEstimate], document: &Document) -> Panels {
    // The uniform map takes part in one panel only: there it is a line.
    let shown: Vec<usize> =
        (0..evaluation.contenders().len()).filter(|&at| evaluation.contenders()[at] != Contender::Uniform).collect();
    let series = shown
        .iter()
        .map(|&at| &evaluation.contenders()[at])
        .map(|contender| Series { name: contender.name(), baseline: contender.is_baseline() });
    let mut panels: Vec<Panel> = evaluation
        .metrics()
        .iter()
        // The last of the cascade stands for all; the others are in its curve.
        .filter(|metric| !matches!(metric, Metric::Sanity(layers) if *layers < deepest(evaluation)))
        .map(|&metric| dots(evaluation, estimates, metric, &shown))
        .collect();
    panels.extend(curve_panels(evaluation, &shown));
    if deepest(evaluation) > 0 {
        panels.push(cascade(evaluation, estimates, &shown));
    }
    let outcome = &document.outcome;
    let mut notes = vec![
        "Dots: means over images; bars: 95 % bootstrap intervals. + and −: better and worse than the random baseline, image by \
         image (the interval of the difference leaves out zero). Grey: baselines that know nothing of the model, random maps \
         as smooth as the others and a Gaussian about the centre; dashed lines: what maps without information score. Curves \
         have the colours of the rows. Faithfulness to the model, not to the world."
            .to_string(),
    ];
    if outcome.saturated > 0 {
        let percent = 100.0 * outcome.saturated as f64 / outcome.done as f64;
        notes.push(format!("{percent:.0} % of the images have a probability over 0.999, which can hardly increase."));
    }
    for (method, flat) in outcome.flat_maps.iter().filter(|(_, flat)| **flat > 0) {
        notes.push(format!("{method}: {flat} of {} maps show nothing and count as random ones.", outcome.done));
    }
    notes.extend(document.warning.clone());
    let images = if outcome.done == 1 { "image" } else { "images" };
    Panels {
        title: "Faithfulness of the maps".into(),
        subtitle: format!("{} {images}, score: probability of the explained class", outcome.done),
        series: series.collect(),
        panels,
        notes,
    }
}

/// How many layers the sanity check redraws at most.
fn deepest(evaluation: &Evaluation) -> usize {
    let layers = |metric: &Metric| if let Metric::Sanity(layers) = metric { Some(*layers) } else { None };
    evaluation.metrics().iter().filter_map(layers).max().unwrap_or(0)
}

fn find<'a>(estimates: &'a [MetricEstimate], contender: &Contender, metric: Metric) -> Option<&'a MetricEstimate> {
    estimates.iter().find(|of| of.contender == *contender && of.metric == metric)
}

fn dots(evaluation: &Evaluation, estimates: &[MetricEstimate], metric: Metric, shown: &[usize]) -> Panel {
    let mean = |contender| find(estimates, contender, metric).and_then(|estimate| estimate.mean);
    let dot = |&at: &usize| {
        let estimate = find(estimates, &evaluation.contenders()[at], metric)?;
        Some(Dot { value: estimate.mean?, interval: estimate.interval, mark: mark(estimate) })
    };
    let better = match metric.better() {
        Better::Lower => "← better",
        Better::Higher => "better →",
        Better::Zero => "0 is best",
    };
    let (title, scale) = match metric {
        Metric::Deletion => ("Deletion", "area under the curve"),
        Metric::Insertion => ("Insertion", "area under the curve"),
        Metric::Road => ("ROAD", "(least − most relevant removed) / 2"),
        Metric::AverageDrop => ("Average drop", "share of the probability lost"),
        Metric::AverageGain => ("Average gain", "share of the rest to 1 won"),
        Metric::Increase => ("Increase in confidence", "share of the images"),
        Metric::Pointing => ("Energy pointing game", "share of the map in the boxes"),
        Metric::Sanity(_) => ("Sanity check", "correlation, whole head redrawn"),
    };
    // What a map without information scores: in the pointing game the boxes' share of the area.
    let reference = if metric == Metric::Pointing { mean(&Contender::Uniform) } else { mean(&Contender::Random) };
    let dots = shown.iter().map(dot).collect();
    Panel::Dots { title: title.into(), scale: scale.into(), better: better.into(), dots, reference }
}

/// "+" where a mean is better than the random baseline's by more than chance, "−" where it is worse: the interval of
/// the paired difference leaves zero out. Pictures differ more than methods do, so that intervals of the means hide it.
fn mark(estimate: &MetricEstimate) -> &'static str {
    let Some((lower, upper)) = estimate.over_random.and_then(|over| over.interval) else { return "" };
    match (lower > 0.0, upper < 0.0, estimate.metric.better()) {
        (true, _, Better::Higher) | (_, true, Better::Lower) => "+",
        (true, _, Better::Lower) | (_, true, Better::Higher) => "−",
        _ => "",
    }
}

fn curve_panels(evaluation: &Evaluation, shown: &[usize]) -> Vec<Panel> {
    let of = |curve: Curve| -> Vec<Vec<(f64, f64)>> {
        let find = |&at: &usize| evaluation.curves(at).into_iter().find(|(other, _)| *other == curve);
        shown.iter().map(|at| find(at).map_or_else(Vec::new, |(_, points)| points)).collect()
    };
    [
        (Curve::Deletion, "Deletion", "share of the pixels deleted"),
        (Curve::Insertion, "Insertion", "share of the pixels shown"),
        (Curve::RoadMost, "ROAD, most relevant first", "share of the pixels removed"),
        (Curve::RoadLeast, "ROAD, least relevant first", "share of the pixels removed"),
    ]
    .into_iter()
    .map(|(curve, title, across)| (of(curve), title, across))
    .filter(|(lines, ..)| lines.iter().any(|points| !points.is_empty()))
    .map(|(lines, title, across)| Panel::Lines {
        title: title.into(),
        across: across.into(),
        up: "mean probability".into(),
        lines,
        whole_numbers: false,
    })
    .collect()
}

fn cascade(evaluation: &Evaluation, estimates: &[MetricEstimate], shown: &[usize]) -> Panel {
    let line = |&at: &usize| -> Vec<(f64, f64)> {
        let contender = &evaluation.contenders()[at];
        if contender.is_baseline() {
            return Vec::new();
        }
        let mean = |layers| find(estimates, contender, Metric::Sanity(layers)).and_then(|estimate| estimate.mean);
        let redrawn = (1..=deepest(evaluation)).filter_map(|layers| Some((layers as f64, mean(layers)?)));
        std::iter::once((0.0, 1.0)).chain(redrawn).collect()
    };
    Panel::Lines {
        title: "Sanity check".into(),
        across: "layers redrawn, from the last".into(),
        up: "rank correlation".into(),
        lines: shown.iter().map(line).collect(),
        whole_numbers: true,
    }
}
