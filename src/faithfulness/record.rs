//! What is kept of a picture on which methods were judged: a line of `records.jsonl`.

use super::{Curve, EvaluationSettings};
use crate::run::Manifest;
use crate::run::record::{Line, RunRecord};
use serde::{Deserialize, Serialize};

/// What one map is worth on one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The map shows nothing.
    pub flat: bool,
    /// One a metric of [`Judge::metrics`](super::Judge::metrics); none where it is undefined.
    pub values: Vec<Option<f64>>,
    /// Probabilities along the plan's curves; empty where the contender has none.
    pub curves: Vec<(Curve, Vec<f64>)>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Its name in the corpus.
    pub path: String,
    /// The explained class.
    pub class: usize,
    /// Its probability.
    pub probability: f64,
    /// The share of the picture inside boxes of the named class, where there is one.
    pub area: Option<f64>,
    /// One a contender.
    pub verdicts: Vec<Verdict>,
}

impl Line for Judged {
    fn check(&self) -> Result<(), String> {
        let curves = self.verdicts.iter().flat_map(|verdict| &verdict.curves);
        let points = curves.flat_map(|(_, points)| points);
        let mut shares = points.chain(&self.area).chain([&self.probability]);
        match shares.find(|share| !(0.0..=1.0).contains(*share)) {
            Some(share) => Err(format!(
                "probabilities and shares of {} should be from 0 to 1, found {share}",
                self.path
            )),
            None => Ok(()),
        }
    }
}

impl RunRecord for Judged {
    fn path(&self) -> &str {
        &self.path
    }

    fn fits(manifest: &Manifest) -> Result<impl Fn(&Self) -> Result<(), String>, String> {
        let EvaluationSettings { plan, redrawn_layers } = EvaluationSettings::read(manifest)?;
        let contenders = plan.contenders(&manifest.configuration.cam).len();
        let metrics = plan.metrics(redrawn_layers).len();
        let (curves, labels) = (plan.curves(), manifest.labels.len());
        Ok(move |record: &Self| {
            let fits = |verdict: &Verdict| {
                let own = verdict.curves.iter().map(|(curve, points)| (*curve, points.len()));
                let planned = curves.iter().map(|&curve| (curve, curve.points(plan.steps)));
                verdict.values.len() == metrics && (verdict.curves.is_empty() || own.eq(planned))
            };
            let all = record.class < labels
                && record.verdicts.len() == contenders
                && record.verdicts.iter().all(fits);
            all.then_some(()).ok_or_else(|| {
                format!(
                    "the record of {} does not fit run.json: other labels, methods or metrics",
                    record.path
                )
            })
        })
    }
}
