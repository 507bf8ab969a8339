//! A layer's picture: both planes, and below them the numbers by which the eye is checked.

use super::features::{FeatureSet, MarkBy};
use super::measure::{EmbedSettings, EmbeddingMeasure, LayerEmbedding, Space};
use crate::plot::{Mark, Scatter, ScatterPanel, ScatterPoint};
use ndarray::Array2;

/// Pairs of domains that the picture names; `domains.csv` has all.
const MOST_PAIRS: usize = 3;

/// The picture called `title` of a layer; `warning` is what every reader must know.
pub(super) fn picture(
    title: String,
    set: &FeatureSet,
    embedding: &LayerEmbedding,
    settings: &EmbedSettings,
    mark: MarkBy,
    warning: Option<&str>,
) -> Scatter {
    let coloured =
        if set.labelled { "coloured by label" } else { "coloured by the network's answer" };
    let points = set.pictures.iter().map(|picture| {
        let of_picture = match mark {
            MarkBy::Domain => Mark::of_category(picture.domain),
            MarkBy::Right => mark_of_answer(picture.right),
            MarkBy::Nothing => Mark::Disc,
        };
        ScatterPoint { group: picture.group, mark: of_picture }
    });
    Scatter {
        title,
        subtitle: format!("{}, {coloured}", counted(set)),
        panels: panels(embedding, settings, set.pictures.len()),
        points: points.collect(),
        groups: set.groups.clone(),
        no_group: "no label".into(),
        marks: marks(set, mark),
        notes: notes(set, embedding, warning),
    }
}

/// "120 images: photos 80, paintings 40".
fn counted(set: &FeatureSet) -> String {
    let all = set.pictures.len();
    if set.domains.len() < 2 {
        return format!("{all} images");
    }
    let of_domain =
        |(number, name): (usize, &String)| format!("{name} {}", set.of_domain(number).len());
    let parts: Vec<String> = set.domains.iter().enumerate().map(of_domain).collect();
    format!("{all} images: {}", parts.join(", "))
}

fn mark_of_answer(right: Option<bool>) -> Mark {
    match right {
        Some(true) => Mark::Disc,
        Some(false) => Mark::Cross,
        None => Mark::Ring,
    }
}

/// What the marks stand for, as far as they occur.
fn marks(set: &FeatureSet, mark: MarkBy) -> Vec<(Mark, String)> {
    match mark {
        MarkBy::Nothing => Vec::new(),
        MarkBy::Domain => {
            let named =
                |(number, name): (usize, &String)| (Mark::of_category(number), name.clone());
            set.domains.iter().enumerate().map(named).collect()
        }
        MarkBy::Right => [
            (Some(true), "answered rightly"),
            (Some(false), "answered wrongly"),
            (None, "cannot be compared"),
        ]
        .into_iter()
        .filter(|(right, _)| set.pictures.iter().any(|picture| picture.right == *right))
        .map(|(right, name)| (mark_of_answer(right), name.to_string()))
        .collect(),
    }
}

fn panels(
    embedding: &LayerEmbedding,
    settings: &EmbedSettings,
    pictures: usize,
) -> Vec<ScatterPanel> {
    let plane = match embedding.explained.is_empty() {
        true => Err("the features are the same for all images".to_string()),
        false => Ok(places(&embedding.plane)),
    };
    let axis = |component: usize| match embedding.explained.get(component) {
        Some(share) => {
            format!("component {} ({:.1} % of the variance)", component + 1, 100.0 * share)
        }
        None => format!("component {} (no variance)", component + 1),
    };
    let t_sne = embedding.t_sne.as_ref().map(places);
    let missing = match embedding.explained.is_empty() {
        true => "the features are the same for all images".to_string(),
        false => format!("{pictures} images are too few"),
    };
    let how = embedding.perplexity.map_or(String::new(), |perplexity| {
        let EmbedSettings { iterations, seed, .. } = settings;
        let components = embedding.components;
        format!(
            "perplexity {perplexity}, {iterations} iterations, seed {seed}, on {components} \
             principal components"
        )
    });
    vec![
        ScatterPanel { title: "PCA".into(), caption: axis(0), up: Some(axis(1)), places: plane },
        ScatterPanel {
            title: "t-SNE".into(),
            caption: how,
            up: None,
            places: t_sne.ok_or(missing),
        },
    ]
}

/// The first two columns; 0 where there is no second.
fn places(rows: &Array2<f64>) -> Vec<(f64, f64)> {
    let coordinate = |row: usize, column: usize| rows.get((row, column)).copied().unwrap_or(0.0);
    (0..rows.nrows()).map(|row| (coordinate(row, 0), coordinate(row, 1))).collect()
}

fn notes(set: &FeatureSet, embedding: &LayerEmbedding, warning: Option<&str>) -> Vec<String> {
    let mut notes = Vec::new();
    let kinds: &[&str] =
        if set.domains.len() > 1 { &[set.grouped_by(), "domain"] } else { &[set.grouped_by()] };
    for kind in kinds {
        notes.extend(separation_note(embedding, kind));
    }
    let trusted = |space| {
        embedding
            .find(EmbeddingMeasure::Trustworthiness, space, "")
            .and_then(|one| Some((one.value?, one.neighbours?)))
    };
    if let (Some((pca, neighbours)), Some((t_sne, _))) = (trusted(Space::Pca), trusted(Space::Tsne))
    {
        notes.push(format!(
            "Trustworthiness ({neighbours} neighbours): PCA {pca:.3}, t-SNE {t_sne:.3}. t-SNE \
             keeps neighbourhoods; sizes of clusters and distances between them mean little."
        ));
    }
    for pair in embedding.domains.iter().take(MOST_PAIRS) {
        let [a, b] = pair.domains.map(|domain| set.domains[domain].as_str());
        let Some(accuracy) = pair.accuracy else { continue };
        let (lower, upper) = accuracy.interval;
        let means = pair
            .mean_distance
            .map_or(String::new(), |distance| format!("; means {distance:.2} deviations apart"));
        notes.push(format!(
            "{a} and {b}: a linear classifier tells them apart in {:.3} [{lower:.3}, {upper:.3}] \
             of the cases, a proxy A-distance of {:.2}{means}.",
            accuracy.share,
            pair.proxy_a_distance.unwrap_or_default(),
        ));
    }
    if embedding.domains.len() > MOST_PAIRS {
        notes.push(format!("domains.csv has all {} pairs.", embedding.domains.len()));
    }
    notes.extend(warning.map(|warning| format!("Warning: {warning}")));
    notes
}

/// How well groups are apart in all three spaces.
fn separation_note(embedding: &LayerEmbedding, by: &str) -> Option<String> {
    let value = |measure, space| embedding.find(measure, space, by).and_then(|one| one.value);
    let in_spaces = |measure| {
        let named = [(Space::Features, "features"), (Space::Pca, "PCA"), (Space::Tsne, "t-SNE")];
        let shown = named
            .iter()
            .filter_map(|(space, name)| Some(format!("{name} {:.3}", value(measure, *space)?)));
        shown.collect::<Vec<String>>().join(", ")
    };
    let accuracy = embedding.find(EmbeddingMeasure::NeighbourAccuracy, Space::Features, by)?;
    let (share, (lower, upper)) = (accuracy.value?, accuracy.interval?);
    let largest = value(EmbeddingMeasure::LargestGroup, Space::Features)?;
    Some(format!(
        "By {by}: silhouette: {}. The {} nearest neighbours among the features name the {by} in \
         {share:.3} [{lower:.3}, {upper:.3}] of {} images (the most frequent one: {largest:.3}).",
        in_spaces(EmbeddingMeasure::Silhouette),
        accuracy.neighbours?,
        accuracy.pictures
    ))
}
