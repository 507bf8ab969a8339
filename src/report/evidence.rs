//! Which pictures are shown for a class: those in which it is most important for each label, those
//! in which it is detected and least important, and some at random, so that nobody sees the best
//! ones alone.

use crate::Result;
use crate::associate::{Columns, Importance, detected_classes};
use crate::config::AssociationConfig;
use crate::image::{BoundingBox, Size};
use crate::random::Random;
use crate::run::Run;
use crate::run::record::{BoxRecord, ImageRecord};
use std::collections::{HashMap, HashSet};

/// A picture that is shown for a class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ShownExample {
    /// Its path.
    pub path: String,
    /// Width and height of the upright picture.
    pub size: Size,
    /// Its column.
    pub label: usize,
    /// The probability of the network's answer, where there is one.
    pub probability: Option<f32>,
    /// The highest score of a box of the class.
    pub score: f32,
    /// The boxes of the class, and whether each counts.
    pub boxes: Vec<(BoundingBox, bool)>,
}

/// What is shown for a class.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ClassEvidence {
    /// For labels, the most frequent ones of the class first: the pictures with the highest scores.
    pub strongest: Vec<(usize, Vec<ShownExample>)>,
    /// Pictures in which the class is detected, with the lowest scores.
    pub weakest: Vec<ShownExample>,
    /// Pictures in which the class is detected, at random.
    pub random: Vec<ShownExample>,
}

impl ClassEvidence {
    /// All pictures.
    pub(super) fn examples(&self) -> impl Iterator<Item = &ShownExample> {
        self.strongest
            .iter()
            .flat_map(|(_, examples)| examples)
            .chain(&self.weakest)
            .chain(&self.random)
    }

    /// The groups of pictures in their order, each with its heading; left out is one that shows no
    /// picture that is in none of those before it, as where the class is detected in a few pictures
    /// alone.
    pub(super) fn groups(&self, labels: &[String]) -> Vec<(String, &[ShownExample])> {
        let strongest = self.strongest.iter();
        let strongest = strongest
            .map(|(label, of)| (format!("Most important, answer {}", labels[*label]), &of[..]));
        let others = [
            ("Detected, and least important", &self.weakest),
            ("Detected, at random", &self.random),
        ];
        let all = strongest.chain(others.map(|(heading, of)| (heading.to_string(), &of[..])));
        let mut seen = HashSet::new();
        let has_new = |(_, of): &(String, &[ShownExample])| {
            of.iter().filter(|example| seen.insert(example.path.clone())).count() > 0
        };
        all.filter(has_new).collect()
    }
}

/// The best few of many, by a key and then by path; smaller keys are better.
#[derive(Debug, Default)]
struct Best {
    kept: Vec<(f64, ShownExample)>,
}

impl Best {
    fn offer(&mut self, most: usize, key: f64, example: &dyn Fn() -> ShownExample, path: &str) {
        let place = self.kept.partition_point(|(known, kept)| {
            known.total_cmp(&key).then_with(|| kept.path.as_str().cmp(path)).is_lt()
        });
        if place < most {
            self.kept.insert(place, (key, example()));
            self.kept.truncate(most);
        }
    }

    fn into_examples(self) -> Vec<ShownExample> {
        self.kept.into_iter().map(|(_, example)| example).collect()
    }
}

/// How many pictures are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceSettings {
    /// Pictures of a kind.
    pub examples: usize,
    /// Labels of a class with pictures of their own.
    pub labels: usize,
    /// Seed of those at random.
    pub seed: u64,
}

/// What was found for a class so far.
#[derive(Debug, Default)]
struct Found {
    by_label: HashMap<usize, (u64, Best)>,
    weakest: Best,
    random: Best,
}

impl Found {
    /// A picture in which the class is detected; `lot` is its number among those at random.
    fn add(
        &mut self,
        record: &ImageRecord,
        (method, class, label): (usize, usize, usize),
        importance: &Importance,
        lot: f64,
        most: usize,
    ) {
        let of_class = |(at, region): (usize, &BoxRecord)| {
            (region.class == class && region.confidence > importance.rule().min_confidence).then(
                || {
                    (
                        region.bounding_box,
                        importance.counts(record, method, at),
                        importance.number(record, method, at),
                    )
                },
            )
        };
        let boxes: Vec<(BoundingBox, bool, f32)> =
            record.boxes.iter().enumerate().filter_map(of_class).collect();
        let score = boxes.iter().map(|&(.., score)| score).fold(f32::MIN, f32::max);
        let example = || ShownExample {
            path: record.path.clone(),
            size: Size::new(record.width, record.height),
            label,
            probability: record.probabilities.get(record.label).copied(),
            score,
            boxes: boxes.iter().map(|&(at, counts, _)| (at, counts)).collect(),
        };
        let path = record.path.as_str();
        if boxes.iter().any(|&(_, counts, _)| counts) {
            let (count, best) = self.by_label.entry(label).or_default();
            *count += 1;
            best.offer(most, -f64::from(score), &example, path);
        }
        self.weakest.offer(most, f64::from(score), &example, path);
        self.random.offer(most, lot, &example, path);
    }

    /// The pictures, of the `most` labels that have the most.
    fn into_evidence(self, most: usize) -> ClassEvidence {
        let mut labels: Vec<(usize, (u64, Best))> = self.by_label.into_iter().collect();
        labels.sort_by(|(label, (a, _)), (other, (b, _))| b.cmp(a).then(label.cmp(other)));
        labels.truncate(most);
        ClassEvidence {
            strongest: labels
                .into_iter()
                .map(|(label, (_, best))| (label, best.into_examples()))
                .collect(),
            weakest: self.weakest.into_examples(),
            random: self.random.into_examples(),
        }
    }
}

/// For each method, for each of its `classes`, what is shown.
///
/// # Errors
/// The records cannot be read.
pub(super) fn collect(
    run: &Run,
    rule: &AssociationConfig,
    columns: &Columns,
    classes: &[Vec<usize>],
    settings: EvidenceSettings,
) -> Result<Vec<HashMap<usize, ClassEvidence>>> {
    let mut found: Vec<HashMap<usize, Found>> = classes
        .iter()
        .map(|classes| classes.iter().map(|&class| (class, Found::default())).collect())
        .collect();
    let importance = Importance::of_run(run, rule)?;
    run.for_each_record(|record: ImageRecord| {
        let Some(label) = columns.of(&record).filter(|_| rule.takes(record.margin())) else {
            return Ok(());
        };
        // A number for each picture, whatever the order of the records.
        let lot = Random::of_text(settings.seed, &record.path).uniform(0.0, 1.0);
        let detected = detected_classes(&record, rule);
        for (method, found) in found.iter_mut().enumerate() {
            for &class in &detected {
                let Some(found) = found.get_mut(&class) else { continue };
                found.add(&record, (method, class, label), &importance, lot, settings.examples);
            }
        }
        Ok(())
    })?;
    let of_method = |found: HashMap<usize, Found>| {
        found
            .into_iter()
            .map(|(class, found)| (class, found.into_evidence(settings.labels)))
            .collect()
    };
    Ok(found.into_iter().map(of_method).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(paths: &[&str]) -> Vec<ShownExample> {
        let example = |path: &&str| ShownExample {
            path: path.to_string(),
            size: Size::new(4, 3),
            label: 0,
            probability: None,
            score: 0.5,
            boxes: Vec::new(),
        };
        paths.iter().map(example).collect()
    }

    #[test]
    fn a_group_without_a_picture_of_its_own_is_left_out() {
        let headings = |weakest: &[&str], random: &[&str]| {
            let strongest = vec![(1, examples(&["a", "b"])), (0, examples(&["c"]))];
            let evidence =
                ClassEvidence { strongest, weakest: examples(weakest), random: examples(random) };
            let groups = evidence.groups(&["Joy", "Awe"].map(String::from));
            groups.into_iter().map(|(heading, _)| heading).collect::<Vec<_>>()
        };
        let strongest = ["Most important, answer Awe", "Most important, answer Joy"];
        let (weakest, random) = ("Detected, and least important", "Detected, at random");
        assert_eq!(headings(&["c", "a"], &["b", "c"]), strongest);
        assert_eq!(headings(&["c", "d"], &["d", "b"]), [&strongest[..], &[weakest]].concat());
        assert_eq!(headings(&["c"], &["b", "d"]), [&strongest[..], &[random]].concat());
        assert_eq!(headings(&["d"], &["e"]), [&strongest[..], &[weakest, random]].concat());
    }
}
