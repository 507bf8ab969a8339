//! Rules that say which boxes of a scene are important.

use super::trial::{Effect, Trial};
use crate::run::record::BoxRecord;
use crate::score::ScoreRule;
use crate::stats::Ranks;
use std::collections::BTreeMap;

/// A box is the decisive object's when they overlap this much (intersection over union) and have
/// the same class.
const MATCH: f32 = 0.5;

/// Confidence over which a detection is sure.
const SURE: f64 = 0.5;

/// A rule that says which boxes are important.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxJudge {
    /// The method, "random map", or "detection only".
    pub name: String,
    /// Index of its scores in a [`Trial`]; `None`: the detector's confidence alone.
    scores: Option<usize>,
    /// Which of a box's scores counts; meaningless for detections alone.
    pub rule: ScoreRule,
    /// A box is important when its score is over this.
    pub threshold: f64,
}

impl BoxJudge {
    /// Every method by every rule (one whose regions have values by these alone), a random map by
    /// every rule, detections alone: all that the maps are asked about, and those more confident
    /// than 1/2, a better adversary. The threshold of the mean is `importance`; those of other
    /// scores are set so that as many boxes are important as by the mean, since they are not on one
    /// scale. Where the background is asked about, which has no other place to be, there is no z
    /// and no chance.
    pub fn all(methods: &[String], importance: f32, trials: &[Trial]) -> Vec<Self> {
        let names = methods.iter().cloned().chain(["random map".to_string()]);
        let of_method = |(at, name): (usize, String)| {
            let judge = move |rule, threshold| Self {
                name: name.clone(),
                scores: Some(at),
                rule,
                threshold,
            };
            let mean = judge(ScoreRule::Mean, f64::from(importance));
            if trials.iter().any(|trial| trial.values.get(at).is_some_and(Option::is_some)) {
                return vec![mean];
            }
            let wanted = trials.iter().map(|trial| mean.important_boxes(trial).count()).sum();
            let matched = |rule: &ScoreRule| {
                let rule = *rule;
                let mut judge = judge(rule, f64::NEG_INFINITY);
                judge.threshold = judge.threshold_for(trials, wanted);
                judge
            };
            let background = trials.iter().any(|trial| trial.background.is_some());
            let compares = |trial: &Trial| {
                trial.chance.get(at).is_some_and(|chance| chance.len() == trial.boxes.len())
            };
            let comparable = !background && trials.iter().all(compares);
            let others = ScoreRule::ALL[1..].iter().filter(|rule| match rule {
                ScoreRule::Chance => comparable,
                ScoreRule::Z => !background,
                _ => true,
            });
            let others: Vec<Self> = others.map(matched).collect();
            [mean].into_iter().chain(others).collect()
        };
        let detections = |threshold| Self {
            name: "detection only".into(),
            scores: None,
            rule: ScoreRule::Mean,
            threshold,
        };
        let detections = [detections(f64::NEG_INFINITY), detections(SURE)];
        names.enumerate().flat_map(of_method).chain(detections).collect()
    }

    /// What stands in tables for the rule: of detections alone, which of them count.
    pub fn rule_name(&self) -> &'static str {
        match (self.scores, self.rule) {
            (None, _) if self.threshold.is_finite() => "over 0.5",
            (None, _) => "any",
            (_, rule) => rule.name(),
        }
    }

    /// The threshold, where there is one.
    pub fn threshold(&self) -> Option<f64> {
        self.threshold.is_finite().then_some(self.threshold)
    }

    /// What the judge says of the box `at`; minus infinity where it knows nothing of it: detections
    /// nothing of the background, which nobody detects.
    pub(super) fn score(&self, trial: &Trial, at: usize) -> f64 {
        match self.scores {
            Some(method) => {
                let number = self.rule.pick(&trial.scores[method][at]);
                f64::from(number.unwrap_or_else(|| trial.chance[method][at]))
            }
            None if trial.background == Some(at) => f64::NEG_INFINITY,
            None => f64::from(trial.boxes[at].confidence),
        }
    }

    pub(super) fn important_boxes<'a>(
        &'a self,
        trial: &'a Trial,
    ) -> impl Iterator<Item = usize> + 'a {
        (0..trial.boxes.len()).filter(|&at| self.score(trial, at) > self.threshold)
    }

    /// The score that `wanted` boxes are over, ties aside.
    fn threshold_for(&self, trials: &[Trial], wanted: usize) -> f64 {
        let mut scores: Vec<f64> = trials
            .iter()
            .flat_map(|trial| (0..trial.boxes.len()).map(|index| self.score(trial, index)))
            .collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.get(wanted).copied().unwrap_or(f64::NEG_INFINITY)
    }

    /// Classes with an important box, each once.
    pub(super) fn classes(&self, trial: &Trial) -> Vec<usize> {
        let mut classes: Vec<usize> =
            self.important_boxes(trial).map(|index| trial.boxes[index].class).collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// Whether the box with the highest score is the object that makes the answer; `None` where no
    /// single object does.
    pub(super) fn hits(&self, trial: &Trial) -> Option<bool> {
        let decisive = trial.decisive()?;
        // Of equal ones the surest, which comes first: one thing under several names has one value.
        let top = (0..trial.boxes.len())
            .rev()
            .max_by(|&a, &b| self.score(trial, a).total_cmp(&self.score(trial, b)));
        Some(top.is_some_and(|top| matches(&trial.boxes[top], decisive)))
    }

    /// The rank correlation of the scores of the objects that were found with their effects; `None`
    /// where fewer than three were found.
    pub(super) fn ranks(&self, trial: &Trial) -> Option<f64> {
        let found = |effect: &Effect| {
            let found_place = trial.boxes.iter().position(|found| matches(found, effect))?;
            Some((self.score(trial, found_place), effect.drop))
        };
        let (scores, drops): (Vec<f64>, Vec<f64>) = trial.effects.iter().filter_map(found).unzip();
        (scores.len() >= 3).then(|| Ranks::of(&scores).spearman(&Ranks::of(&drops)))?
    }

    /// The greatest value of every class, of a method whose regions have values.
    pub(super) fn values(&self, trial: &Trial) -> Option<Vec<(usize, f64)>> {
        let values = trial.values.get(self.scores?)?.as_ref()?;
        let mut greatest: BTreeMap<usize, f64> = BTreeMap::new();
        for (found, &value) in
            trial.boxes.iter().zip(values).filter(|(found, _)| f64::from(found.confidence) > SURE)
        {
            let value = f64::from(value);
            greatest.entry(found.class).and_modify(|most| *most = most.max(value)).or_insert(value);
        }
        Some(greatest.into_iter().collect())
    }
}

/// Whether a box is the object.
pub(super) fn matches(found: &BoxRecord, object: &Effect) -> bool {
    found.class == object.class && found.bounding_box.iou(&object.bounding_box) >= MATCH
}
