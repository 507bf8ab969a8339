//! The pictures of an embedding, one a row: their domains, labels, answers, and at every layer
//! their features.

use super::pass::EmbeddedPicture;
use crate::annotations::PeopleLabels;
use crate::run::Failure;
use crate::{Error, Result};
use ndarray::Array2;
use std::collections::BTreeSet;

/// Pictures and their features.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSet {
    /// In the order of the rows of every layer's features.
    pub pictures: Vec<PictureRow>,
    /// Names of the domains, which are the corpora.
    pub domains: Vec<String>,
    /// Names of the groups that are coloured and measured, in the order of the network's labels:
    /// the labels that people gave, or without any the network's answers.
    pub groups: Vec<String>,
    /// Whether the groups are labels that people gave.
    pub labelled: bool,
    /// Per layer (pictures, features).
    pub layers: Vec<Array2<f32>>,
}

/// What is known of a picture besides its features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureRow {
    /// Its path, as in every table.
    pub path: String,
    /// Number of its domain.
    pub domain: usize,
    /// What people say it shows.
    pub label: Option<String>,
    /// What the network answers.
    pub answer: String,
    /// Number of its group; a picture without a label has none where people gave labels.
    pub group: Option<usize>,
    /// Whether the answer is the label; `None` where the two cannot be compared.
    pub right: Option<bool>,
}

/// By what pictures are judged: labels that people gave, and how the network's are called there.
#[derive(Debug, Clone, Copy)]
pub struct Judgement<'a> {
    /// What people say; `None`: nothing.
    pub truth: Option<&'a PeopleLabels>,
    /// The network's labels.
    pub labels: &'a [String],
}

/// What the marks of the pictures' points tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkBy {
    /// The domain.
    Domain,
    /// Whether the answer is right.
    Right,
    /// Nothing.
    Nothing,
}

impl MarkBy {
    /// Its name in options and in `run.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Right => "right",
            Self::Nothing => "none",
        }
    }

    /// What is told where nobody asks for anything: the domain where there are several, else
    /// whether the answer is right where that is known.
    pub fn usual(domains: usize, labelled: bool) -> Self {
        match (domains, labelled) {
            (2.., _) => Self::Domain,
            (_, true) => Self::Right,
            _ => Self::Nothing,
        }
    }
}

impl FeatureSet {
    /// The pictures that went through the network, with the number of the domain of each. One with
    /// a feature that is not finite is a failure.
    ///
    /// # Errors
    /// A layer gives pictures different numbers of features.
    pub fn collect(
        pictures: Vec<(EmbeddedPicture, usize)>,
        domains: &[String],
        judgement: Judgement<'_>,
    ) -> Result<(Self, Vec<Failure>)> {
        let finite = |picture: &EmbeddedPicture| {
            picture.features.iter().flatten().all(|value| value.is_finite())
        };
        let (pictures, broken): (Vec<_>, Vec<_>) =
            pictures.into_iter().partition(|(picture, _)| finite(picture));
        let failure = |(picture, _): (EmbeddedPicture, usize)| Failure {
            path: picture.answer.path,
            stage: "features".into(),
            cause: "a feature is not a finite number".into(),
        };
        let failures = broken.into_iter().map(failure).collect();
        let mut rows: Vec<PictureRow> =
            pictures.iter().map(|(picture, domain)| judgement.row(picture, *domain)).collect();
        let groups = judgement.groups(&rows);
        for row in &mut rows {
            let name =
                if judgement.truth.is_some() { row.label.as_ref() } else { Some(&row.answer) };
            row.group = name.and_then(|name| groups.iter().position(|group| group == name));
        }
        let layers = layers(pictures)?;
        let labelled = judgement.truth.is_some();
        Ok((Self { pictures: rows, domains: domains.to_vec(), groups, labelled, layers }, failures))
    }

    /// Rows of the pictures of a domain.
    pub fn of_domain(&self, domain: usize) -> Vec<usize> {
        (0..self.pictures.len()).filter(|&row| self.pictures[row].domain == domain).collect()
    }

    /// What the groups are, in a word.
    pub fn grouped_by(&self) -> &'static str {
        if self.labelled { "label" } else { "answer" }
    }
}

/// Per layer a matrix.
fn layers(pictures: Vec<(EmbeddedPicture, usize)>) -> Result<Vec<Array2<f32>>> {
    let count = pictures.len();
    let mut layers: Vec<Vec<f32>> = Vec::new();
    for (picture, _) in pictures {
        layers.resize(picture.features.len(), Vec::new());
        layers
            .iter_mut()
            .zip(picture.features)
            .for_each(|(layer, features)| layer.extend(features));
    }
    let matrix = |numbers: Vec<f32>| {
        let columns = numbers.len() / count.max(1);
        let uneven =
            |_| Error::Setting("a layer gives pictures different numbers of features".into());
        Array2::from_shape_vec((count, columns), numbers).map_err(uneven)
    };
    layers.into_iter().map(matrix).collect()
}

impl Judgement<'_> {
    fn row(&self, picture: &EmbeddedPicture, domain: usize) -> PictureRow {
        let path = picture.answer.path.clone();
        let answer = self.labels[picture.answer.label].clone();
        let said = self.truth.and_then(|truth| Some((truth, truth.of_picture(&path)?)));
        let label = said.map(|(truth, label)| truth.names[label].clone());
        // People may have no word for what the network means.
        let right =
            said.and_then(|(truth, label)| Some(truth.of_network[picture.answer.label]? == label));
        PictureRow { path, domain, label, answer, group: None, right }
    }

    /// The names that occur among the rows, the network's labels first and in their order.
    fn groups(&self, rows: &[PictureRow]) -> Vec<String> {
        let occurring: BTreeSet<&str> = match self.truth {
            Some(_) => rows.iter().filter_map(|row| row.label.as_deref()).collect(),
            None => rows.iter().map(|row| row.answer.as_str()).collect(),
        };
        let names = self.truth.map_or(self.labels, |truth| &truth.names);
        names.iter().filter(|name| occurring.contains(name.as_str())).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::LabelMap;
    use crate::classify::ClassifyRecord;

    fn picture(path: &str, label: usize, features: &[f32]) -> (EmbeddedPicture, usize) {
        let answer = ClassifyRecord {
            path: path.into(),
            label,
            probabilities: vec![0.5; 3],
            output: None,
            streams: Vec::new(),
        };
        (EmbeddedPicture { answer, features: vec![features.to_vec()] }, usize::from(path > "b"))
    }

    #[test]
    fn labels_are_joined_mapped_and_put_in_order_and_broken_features_are_failures() {
        let labels = ["sad", "glad", "calm"].map(String::from);
        let map = [("sad", "sadness"), ("glad", "joy"), ("calm", "")];
        let map = map.map(|(from, to)| (from.to_string(), to.to_string())).into();
        let map = LabelMap { labels: map, ..LabelMap::default() };
        let truth = [("a", "joy"), ("b", "awe"), ("c", "sadness"), ("d", "joy")];
        let truth = truth.map(|(path, label)| (path.to_string(), label.to_string())).into();
        let truth = PeopleLabels::new(&truth, &labels, &map);
        let pictures = vec![
            picture("a", 1, &[1.0, 2.0]),
            picture("b", 2, &[3.0, 4.0]),
            picture("c", 1, &[5.0, 6.0]),
            picture("d", 1, &[f32::NAN, 6.0]),
            picture("e", 0, &[7.0, 8.0]),
        ];
        let domains = ["here", "there"].map(String::from);
        let judgement = Judgement { truth: Some(&truth), labels: &labels };
        let (set, failures) = FeatureSet::collect(pictures.clone(), &domains, judgement).unwrap();
        assert_eq!(set.groups, ["sadness", "joy", "awe"]);
        let group: Vec<_> = set.pictures.iter().map(|picture| picture.group).collect();
        assert_eq!(group, [Some(1), Some(2), Some(0), None]);
        let right: Vec<_> = set.pictures.iter().map(|picture| picture.right).collect();
        assert_eq!(right, [Some(true), None, Some(false), None]);
        assert_eq!((set.layers[0].dim(), set.layers[0][[3, 1]]), ((4, 2), 8.0));
        assert_eq!(
            (failures.len(), failures[0].path.as_str(), failures[0].stage.as_str()),
            (1, "d", "features")
        );
        assert_eq!(set.of_domain(0), [0, 1]);
        // Without labels the groups are the answers.
        let judgement = Judgement { truth: None, labels: &labels };
        let (set, _) = FeatureSet::collect(pictures, &domains, judgement).unwrap();
        assert_eq!((set.groups, set.labelled), (labels.to_vec(), false));
    }

    #[test]
    fn marks_tell_what_is_there_to_tell() {
        let usual = [(1, false), (1, true), (3, true)]
            .map(|(domains, labelled)| MarkBy::usual(domains, labelled).name());
        assert_eq!(usual, ["none", "right", "domain"]);
    }
}
