//! A layer's features in the plane, and what is measured of them.
//!
//! Principal components first: the picture's first half, and what t-SNE works on. Everything that
//! is measured of the features themselves is measured in all their dimensions.

use super::features::FeatureSet;
use crate::stats::{
    Share, TsneSettings, domain_accuracy, largest_perplexity, mean_distance, principal_components,
    proxy_a_distance, separation, t_sne, trustworthiness,
};
use crate::{Error, Result};
use ndarray::{Array2, Axis, s};

/// The fewest pictures that make a picture.
pub const FEWEST_PICTURES: usize = 4;

/// The perplexity where nobody names one: the middle of the range that van der Maaten and Hinton
/// (2008) recommend.
const USUAL_PERPLEXITY: f64 = 30.0;

/// How features are embedded and measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmbedSettings {
    /// Of t-SNE; `None`: 30, or the largest that so many pictures allow.
    pub perplexity: Option<f64>,
    /// Of t-SNE.
    pub iterations: usize,
    /// Principal components that t-SNE works on.
    pub components: usize,
    /// Neighbours that vote, and that trustworthiness looks at.
    pub neighbours: usize,
    /// What the start of t-SNE and the rows of the domain classifier are drawn by.
    pub seed: u64,
}

impl EmbedSettings {
    /// The perplexity for so many pictures; `None` where they are too few for t-SNE.
    pub fn perplexity_for(&self, pictures: usize) -> Option<f64> {
        let perplexity =
            self.perplexity.unwrap_or(USUAL_PERPLEXITY).min(largest_perplexity(pictures));
        (perplexity >= 2.0).then_some(perplexity)
    }

    /// Refuses a perplexity that was asked for and is too large for so many pictures.
    ///
    /// # Errors
    /// As said, with the largest that is possible.
    pub fn check(&self, pictures: usize) -> Result<()> {
        let largest = largest_perplexity(pictures);
        match self.perplexity {
            Some(asked) if asked > largest => Err(Error::Setting(format!(
                "a perplexity of {asked} is too large for {pictures} images: at most a third of \
                 the others, {largest}; leave --perplexity out to have the largest that is \
                 possible"
            ))),
            _ => Ok(()),
        }
    }
}

/// In which space something is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// All features.
    Features,
    /// The first two principal components.
    Pca,
    /// t-SNE.
    Tsne,
}

impl Space {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Pca => "pca",
            Self::Tsne => "tsne",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingMeasure {
    /// How well groups are apart, in `[-1, 1]`.
    Silhouette,
    /// How often a picture's nearest neighbours vote for its group.
    NeighbourAccuracy,
    /// The share of the largest group, which that accuracy has to be compared with.
    LargestGroup,
    /// The share of the features' variance.
    ExplainedVariance,
    /// Whether neighbours in the picture are neighbours among the features.
    Trustworthiness,
    /// What t-SNE minimised.
    Divergence,
}

impl EmbeddingMeasure {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silhouette => "silhouette",
            Self::NeighbourAccuracy => "neighbour_accuracy",
            Self::LargestGroup => "largest_group",
            Self::ExplainedVariance => "explained_variance",
            Self::Trustworthiness => "trustworthiness",
            Self::Divergence => "kl_divergence",
        }
    }
}

/// A number of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// What is measured.
    pub measure: EmbeddingMeasure,
    /// Where.
    pub space: Space,
    /// Of what: "label", "answer" or "domain", or the component; empty where it is of all.
    pub by: &'static str,
    /// The number; `None` where it is not defined.
    pub value: Option<f64>,
    /// Of a share its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Pictures it is about.
    pub pictures: usize,
    /// Neighbours that are looked at, where any are.
    pub neighbours: Option<usize>,
}

/// How far apart two domains are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DomainPair {
    /// Numbers of the two.
    pub domains: [usize; 2],
    /// Pictures of each.
    pub pictures: [usize; 2],
    /// How often a linear classifier tells one from the other; `None` for fewer than five pictures
    /// of one.
    pub accuracy: Option<Share>,
    /// What follows from the accuracy.
    pub proxy_a_distance: Option<f64>,
    /// Of the means, in deviations within.
    pub mean_distance: Option<f64>,
}

/// A layer in the plane.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerEmbedding {
    /// The first principal components (pictures, 2 or fewer where the features vary in fewer
    /// directions).
    pub plane: Array2<f64>,
    /// The share of variance along each.
    pub explained: Vec<f64>,
    /// Of t-SNE (pictures, 2); `None` where pictures are too few or all alike.
    pub t_sne: Option<Array2<f64>>,
    /// The perplexity that t-SNE had.
    pub perplexity: Option<f64>,
    /// The principal components that t-SNE worked on.
    pub components: usize,
    /// All numbers.
    pub measurements: Vec<Measurement>,
    /// Every two domains.
    pub domains: Vec<DomainPair>,
}

impl LayerEmbedding {
    /// The number of this measure, space and kind of group.
    pub fn find(&self, measure: EmbeddingMeasure, space: Space, by: &str) -> Option<&Measurement> {
        self.measurements
            .iter()
            .find(|one| one.measure == measure && one.space == space && one.by == by)
    }
}

/// Embeds and measures the layer number `layer` of `set`.
///
/// # Errors
/// Fewer than four pictures.
pub fn measure(set: &FeatureSet, layer: usize, settings: &EmbedSettings) -> Result<LayerEmbedding> {
    let features = set.layers[layer].mapv(f64::from);
    let pictures = features.nrows();
    let too_few = || {
        Error::Setting(format!(
            "an embedding needs at least {FEWEST_PICTURES} images; there are {pictures}"
        ))
    };
    let components = principal_components(&features, settings.components.max(2))
        .filter(|_| pictures >= FEWEST_PICTURES);
    let components = components.ok_or_else(too_few)?;
    let explained: Vec<f64> =
        (0..2).filter_map(|component| components.explained(component)).collect();
    let before = components.scores.ncols().min(settings.components);
    let perplexity = settings.perplexity_for(pictures).filter(|_| before > 0);
    let embedded = perplexity.and_then(|perplexity| {
        let tsne_settings =
            TsneSettings { perplexity, iterations: settings.iterations, seed: settings.seed };
        t_sne(&components.scores.slice(s![.., ..before]).to_owned(), tsne_settings)
    });
    let plane = components.scores.slice(s![.., ..explained.len()]).to_owned();
    let divergence = embedded.as_ref().and_then(|embedded| embedded.divergence);
    let t_sne = embedded.map(|embedded| embedded.points);
    let mut measurements = explained_variances(&explained, pictures);
    let spaces = [
        (Space::Features, Some(&features).filter(|_| !explained.is_empty())),
        (Space::Pca, Some(&plane).filter(|_| !explained.is_empty())),
        (Space::Tsne, t_sne.as_ref()),
    ];
    measurements.extend(trust(&spaces, settings.neighbours));
    let unmeasured = Measurement::new(EmbeddingMeasure::Divergence, Space::Tsne, "", pictures);
    measurements.push(Measurement { value: divergence, ..unmeasured });
    for (space, rows) in spaces {
        measurements.extend(separations(set, space, rows, settings.neighbours));
    }
    let domains = domain_pairs(set, layer, settings.seed);
    Ok(LayerEmbedding {
        plane,
        explained,
        t_sne,
        perplexity,
        components: before,
        measurements,
        domains,
    })
}

impl Measurement {
    /// Without a value yet.
    fn new(measure: EmbeddingMeasure, space: Space, by: &'static str, pictures: usize) -> Self {
        Self { measure, space, by, value: None, interval: None, pictures, neighbours: None }
    }
}

fn explained_variances(explained: &[f64], pictures: usize) -> Vec<Measurement> {
    let of_component = |(component, by)| Measurement {
        value: explained.get(component).copied(),
        ..Measurement::new(EmbeddingMeasure::ExplainedVariance, Space::Pca, by, pictures)
    };
    [(0, "pca_1"), (1, "pca_2")].map(of_component).into()
}

/// The trustworthiness of both planes.
fn trust(spaces: &[(Space, Option<&Array2<f64>>); 3], neighbours: usize) -> Vec<Measurement> {
    let [(_, features), planes @ ..] = spaces;
    let there: Vec<&Array2<f64>> = planes.iter().filter_map(|(_, plane)| *plane).collect();
    let trusted = features.and_then(|features| trustworthiness(features, &there, neighbours));
    let mut trusted = trusted.unwrap_or_default().into_iter();
    let pictures = features.map_or(0, |features| features.nrows());
    let of_plane = |(space, plane): &(Space, Option<&Array2<f64>>)| Measurement {
        value: plane.and_then(|_| trusted.next()),
        neighbours: Some(neighbours),
        ..Measurement::new(EmbeddingMeasure::Trustworthiness, *space, "", pictures)
    };
    planes.iter().map(of_plane).collect()
}

/// How well labels, and where there are several domains these, are apart in a space.
fn separations(
    set: &FeatureSet,
    space: Space,
    rows: Option<&Array2<f64>>,
    neighbours: usize,
) -> Vec<Measurement> {
    let groups: Vec<Option<usize>> = set.pictures.iter().map(|picture| picture.group).collect();
    let mut found = of_groups(space, rows, set.grouped_by(), &groups, neighbours).to_vec();
    if set.domains.len() > 1 {
        let domains: Vec<Option<usize>> =
            set.pictures.iter().map(|picture| Some(picture.domain)).collect();
        found.extend(of_groups(space, rows, "domain", &domains, neighbours));
    }
    found
}

/// Silhouette, accuracy of neighbours and what it is to be compared with, among rows that have a
/// group.
fn of_groups(
    space: Space,
    rows: Option<&Array2<f64>>,
    by: &'static str,
    groups: &[Option<usize>],
    neighbours: usize,
) -> [Measurement; 3] {
    let (grouped, groups): (Vec<usize>, Vec<usize>) =
        groups.iter().enumerate().filter_map(|(row, group)| Some((row, (*group)?))).unzip();
    let apart =
        rows.and_then(|rows| separation(&rows.select(Axis(0), &grouped), &groups, neighbours));
    let mut sizes = vec![0_u64; groups.iter().max().map_or(0, |last| last + 1)];
    groups.iter().for_each(|&group| sizes[group] += 1);
    let largest = sizes.iter().max().and_then(|largest| Share::of(*largest, groups.len() as u64));
    let empty = |measure| Measurement::new(measure, space, by, grouped.len());
    let share = |measure, share: Option<Share>| Measurement {
        value: share.map(|share| share.share),
        interval: share.map(|share| share.interval),
        ..empty(measure)
    };
    let accuracy = share(EmbeddingMeasure::NeighbourAccuracy, apart.map(|apart| apart.neighbours));
    [
        Measurement {
            value: apart.map(|apart| apart.silhouette),
            ..empty(EmbeddingMeasure::Silhouette)
        },
        Measurement { neighbours: Some(neighbours), ..accuracy },
        share(EmbeddingMeasure::LargestGroup, largest.filter(|_| apart.is_some())),
    ]
}

fn domain_pairs(set: &FeatureSet, layer: usize, seed: u64) -> Vec<DomainPair> {
    let rows: Vec<Array2<f32>> = (0..set.domains.len())
        .map(|domain| set.layers[layer].select(Axis(0), &set.of_domain(domain)))
        .collect();
    let mut pairs = Vec::new();
    for (first, a) in rows.iter().enumerate() {
        for (second, b) in rows.iter().enumerate().skip(first + 1) {
            let accuracy = domain_accuracy(a, b, seed);
            pairs.push(DomainPair {
                domains: [first, second],
                pictures: [a.nrows(), b.nrows()],
                accuracy,
                proxy_a_distance: accuracy.map(|accuracy| proxy_a_distance(accuracy.share)),
                mean_distance: mean_distance(a, b),
            });
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::PictureRow;
    use crate::random::Random;

    const SETTINGS: EmbedSettings =
        EmbedSettings { perplexity: None, iterations: 500, components: 50, neighbours: 5, seed: 1 };

    /// Pictures of two domains and three groups, every tenth without a label.
    fn set(count: usize, feature: impl Fn(usize, usize, f64) -> f64) -> FeatureSet {
        let mut random = Random::new(2, 0);
        let picture = |row: usize| PictureRow {
            path: format!("{row:03}.png"),
            domain: row % 2,
            label: None,
            answer: "x".into(),
            group: (row % 10 != 9).then_some(row % 3),
            right: None,
        };
        let features = Array2::from_shape_fn((count, 6), |(row, column)| {
            feature(row, column, random.uniform(-1.0, 1.0)) as f32
        });
        FeatureSet {
            pictures: (0..count).map(picture).collect(),
            domains: ["here", "there"].map(String::from).into(),
            groups: ["a", "b", "c"].map(String::from).into(),
            labelled: true,
            layers: vec![features],
        }
    }

    #[test]
    fn groups_and_domains_that_are_apart_are_measured_so() {
        let apart = |row: usize, column: usize, noise: f64| {
            noise
                + if column == row % 3 { 5.0 } else { 0.0 }
                + if column == 5 { 9.0 * (row % 2) as f64 } else { 0.0 }
        };
        let found = measure(&set(120, apart), 0, &SETTINGS).unwrap();
        let value = |measure, space, by| found.find(measure, space, by).unwrap().value;
        assert!(value(EmbeddingMeasure::Silhouette, Space::Features, "label").unwrap() > 0.2);
        assert_eq!(value(EmbeddingMeasure::NeighbourAccuracy, Space::Features, "label"), Some(1.0));
        assert_eq!(
            found
                .find(EmbeddingMeasure::NeighbourAccuracy, Space::Features, "label")
                .unwrap()
                .pictures,
            108
        );
        assert!(value(EmbeddingMeasure::Silhouette, Space::Pca, "domain").unwrap() > 0.4);
        assert!(value(EmbeddingMeasure::Trustworthiness, Space::Tsne, "").unwrap() > 0.8);
        assert!(value(EmbeddingMeasure::Divergence, Space::Tsne, "").unwrap() > 0.0);
        assert_eq!(found.perplexity, Some(30.0));
        let [pair] = found.domains[..] else { panic!("{:?}", found.domains) };
        assert_eq!((pair.pictures, pair.proxy_a_distance), ([60, 60], Some(2.0)));
        assert!(pair.mean_distance.unwrap() > 1.0);
    }

    #[test]
    fn few_pictures_have_a_smaller_perplexity_or_no_t_sne_and_fewer_still_no_picture() {
        let found = measure(&set(13, |_, _, noise| noise), 0, &SETTINGS).unwrap();
        assert_eq!((found.perplexity, found.t_sne.is_some()), (Some(4.0), true));
        let found = measure(&set(6, |_, _, noise| noise), 0, &SETTINGS).unwrap();
        assert_eq!(
            (found.perplexity, found.t_sne.is_some(), found.plane.dim()),
            (None, false, (6, 2))
        );
        assert_eq!(
            found.find(EmbeddingMeasure::Trustworthiness, Space::Pca, "").unwrap().value,
            None
        );
        assert!(measure(&set(3, |_, _, noise| noise), 0, &SETTINGS).is_err());
        let asked = EmbedSettings { perplexity: Some(30.0), ..SETTINGS };
        assert!(asked.check(90).unwrap_err().to_string().contains("29"));
        assert!(asked.check(91).is_ok() && SETTINGS.check(5).is_ok());
    }

    #[test]
    fn features_that_never_vary_have_empty_cells() {
        let found = measure(&set(40, |_, column, _| column as f64), 0, &SETTINGS).unwrap();
        assert_eq!((found.plane.dim(), found.t_sne.is_some()), ((40, 0), false));
        let unmeasured = found.measurements.iter().filter(|one| one.value.is_some());
        assert_eq!(unmeasured.count(), 0, "{:?}", found.measurements);
        // They vary in one direction alone.
        let line = measure(&set(40, |row, column, _| (row * column) as f64), 0, &SETTINGS).unwrap();
        assert_eq!(
            (line.plane.dim(), line.explained.len(), line.t_sne.is_some()),
            ((40, 1), 1, true)
        );
    }
}
