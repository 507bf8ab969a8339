//! Over pictures: means, intervals, mean curves.

use super::{Contender, Curve, EvaluationSettings, Judged, Metric, SATURATED};
use crate::run::{Outcome, Run, Timings};
use crate::stats::{mean, percentile_interval_of_mean};
use crate::{Error, Result};
use rayon::prelude::*;

/// What was found on all pictures so far.
#[derive(Debug, Clone)]
pub struct Evaluation {
    contenders: Vec<Contender>,
    metrics: Vec<Metric>,
    /// In the order of the corpus; their curves are taken out and summed.
    pictures: Vec<Judged>,
    /// Per contender and curve the sum of the probabilities over pictures.
    curves: Vec<Vec<(Curve, Vec<f64>)>>,
}

/// A metric's mean over pictures for a contender.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricEstimate {
    /// Whose maps.
    pub contender: Contender,
    /// What is measured.
    pub metric: Metric,
    /// None where no picture has a value.
    pub mean: Option<f64>,
    /// Of the mean, 95 %; none for fewer than
    /// [`FEWEST_RESAMPLED_CASES`](crate::stats::FEWEST_RESAMPLED_CASES) pictures.
    pub interval: Option<(f64, f64)>,
    /// Pictures with a value.
    pub n: usize,
    /// Picture by picture less the random baseline's; none for that baseline, and where it has no
    /// value.
    pub over_random: Option<Difference>,
}

/// A mean of paired differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Over the pictures on which both have a value.
    pub mean: f64,
    /// The 95 % interval of the mean; none for fewer than
    /// [`FEWEST_RESAMPLED_CASES`](crate::stats::FEWEST_RESAMPLED_CASES) pictures.
    pub interval: Option<(f64, f64)>,
}

impl Evaluation {
    /// Of all pictures of `run`, which is one of `emocam evaluate`, in the order of the corpus.
    ///
    /// # Errors
    /// Its records cannot be read.
    pub fn of_run(run: &Run) -> Result<Self> {
        let settings = EvaluationSettings::read(&run.manifest);
        let EvaluationSettings { plan, redrawn_layers } =
            settings.map_err(|message| Error::file(run.folder(), message))?;
        let contenders = plan.contenders(&run.manifest.configuration.cam);
        let curves = vec![Vec::new(); contenders.len()];
        let mut all = Self {
            contenders,
            metrics: plan.metrics(redrawn_layers),
            pictures: Vec::new(),
            curves,
        };
        run.for_each_record_in_order(|judged: &Judged| {
            all.add(judged.clone());
            Ok(())
        })?;
        Ok(all)
    }

    /// Counts for `run.json`, of so many failures and these times.
    pub fn outcome(&self, failed: usize, timings: Timings) -> Outcome {
        let contenders =
            self.contenders.iter().enumerate().filter(|(_, contender)| !contender.is_baseline());
        Outcome {
            done: self.pictures.len(),
            failed,
            saturated: self.saturated(),
            flat_maps: contenders
                .map(|(at, contender)| (contender.name(), self.flat(at)))
                .collect(),
            timings,
            ..Outcome::default()
        }
    }

    /// Takes in a picture.
    fn add(&mut self, mut judged: Judged) {
        for (sums, verdict) in self.curves.iter_mut().zip(&mut judged.verdicts) {
            let curves = std::mem::take(&mut verdict.curves);
            if sums.is_empty() {
                *sums = curves;
                continue;
            }
            for ((_, sums), (_, values)) in sums.iter_mut().zip(curves) {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        self.pictures.push(judged);
    }

    /// Of the pictures for which `keep` says so; their curves are not known by themselves.
    pub fn of_pictures(&self, keep: impl Fn(&Judged) -> bool) -> Self {
        Self {
            contenders: self.contenders.clone(),
            metrics: self.metrics.clone(),
            pictures: self.pictures.iter().filter(|picture| keep(picture)).cloned().collect(),
            curves: vec![Vec::new(); self.contenders.len()],
        }
    }

    /// The pictures, without their curves.
    pub fn pictures(&self) -> &[Judged] {
        &self.pictures
    }

    /// Whose maps were judged.
    pub fn contenders(&self) -> &[Contender] {
        &self.contenders
    }

    /// What was measured.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Pictures whose probability is [`SATURATED`].
    pub fn saturated(&self) -> usize {
        self.pictures.iter().filter(|picture| picture.probability > SATURATED).count()
    }

    /// Maps of contender `at` that show nothing.
    pub fn flat(&self, at: usize) -> usize {
        self.pictures.iter().filter(|picture| picture.verdicts[at].flat).count()
    }

    /// Per contender the mean of every curve: (curve, changed share, mean probability).
    pub fn curves(&self, contender: usize) -> Vec<(Curve, Vec<(f64, f64)>)> {
        let pictures = self.pictures.len() as f64;
        let points = |curve: Curve, sums: &[f64]| {
            sums.iter()
                .enumerate()
                .map(|(at, sum)| (curve.fraction(at, sums.len()), sum / pictures))
                .collect()
        };
        self.curves[contender].iter().map(|(curve, sums)| (*curve, points(*curve, sums))).collect()
    }

    /// Every contender's every metric, contender by contender. A contender that cannot have a value
    /// by its nature (baselines in the sanity check, the uniform map outside the pointing game) is
    /// left out.
    pub fn estimates(&self, resamples: usize, seed: u64) -> Vec<MetricEstimate> {
        let pairs: Vec<(usize, usize)> = (0..self.contenders.len())
            .flat_map(|contender| (0..self.metrics.len()).map(move |metric| (contender, metric)))
            .filter(|&(contender, metric)| {
                takes_part(&self.contenders[contender], self.metrics[metric])
            })
            .collect();
        pairs
            .into_par_iter()
            .map(|(contender, metric)| self.estimate(contender, metric, resamples, seed))
            .collect()
    }

    fn estimate(
        &self,
        contender: usize,
        metric: usize,
        resamples: usize,
        seed: u64,
    ) -> MetricEstimate {
        let values: Vec<f64> = self.values(contender, metric).flatten().collect();
        let random = self.contenders.iter().position(|other| *other == Contender::Random);
        let over_random = random.filter(|&random| random != contender).and_then(|random| {
            let pairs = self.values(contender, metric).zip(self.values(random, metric));
            let differences: Vec<f64> =
                pairs.filter_map(|(own, random)| Some(own? - random?)).collect();
            Some(Difference {
                mean: mean(&differences)?,
                interval: percentile_interval_of_mean(&differences, resamples, seed),
            })
        });
        MetricEstimate {
            contender: self.contenders[contender].clone(),
            metric: self.metrics[metric],
            mean: mean(&values),
            interval: percentile_interval_of_mean(&values, resamples, seed),
            n: values.len(),
            over_random,
        }
    }

    fn values(&self, contender: usize, metric: usize) -> impl Iterator<Item = Option<f64>> + '_ {
        self.pictures.iter().map(move |picture| picture.verdicts[contender].values[metric])
    }
}

/// Whether `contender` can have a value at all.
fn takes_part(contender: &Contender, metric: Metric) -> bool {
    match (contender, metric) {
        (Contender::Method(_), _) => true,
        // They are what they are, whatever the network's layers.
        (Contender::External(_), metric) => !matches!(metric, Metric::Sanity(_)),
        (Contender::Uniform, metric) => metric == Metric::Pointing,
        (_, metric) => !matches!(metric, Metric::Sanity(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::Method;
    use crate::faithfulness::picture::scorecard;
    use crate::faithfulness::{Measure, Plan, Pointing, Verdict};
    use crate::plot::tests::golden::assert_golden;
    use crate::random::Random;
    use crate::stats::FEWEST_RESAMPLED_CASES;

    /// So many pictures, on which the methods with even numbers beat the random baseline.
    fn invented(methods: Vec<Contender>, pictures: usize) -> Evaluation {
        let contenders: Vec<Contender> =
            methods.into_iter().chain([Contender::Random, Contender::Centre]).collect();
        let metrics = vec![Metric::Deletion, Metric::Insertion, Metric::Pointing];
        let mut random = Random::new(4, 0);
        let mut verdict = |at: usize, number: usize| {
            let better = if contenders[at].is_baseline() || at % 2 == 1 { 0.0 } else { 0.2 };
            let mut noise = || random.uniform(0.0, 0.2);
            let (deletion, insertion, pointing) =
                (0.5 - better + noise(), 0.4 + better + noise(), 0.3 + noise());
            let values = vec![
                Some(deletion),
                Some(insertion),
                (!number.is_multiple_of(3)).then_some(pointing),
            ];
            Verdict { flat: false, values, curves: Vec::new() }
        };
        let picture = |number: usize| Judged {
            path: format!("{number}.jpg"),
            class: 0,
            probability: 0.9,
            area: (!number.is_multiple_of(3)).then_some(0.2),
            verdicts: (0..contenders.len()).map(|index| verdict(index, number)).collect(),
        };
        let pictures: Vec<Judged> = (0..pictures).map(picture).collect();
        let line = |at: usize| {
            (0..=4)
                .map(|step| 10.0 - (step as f64) * (1.0 + at as f64 / 10.0))
                .collect::<Vec<f64>>()
        };
        let curves =
            (0..contenders.len()).map(|index| vec![(Curve::Deletion, line(index))]).collect();
        Evaluation { contenders, metrics, pictures, curves }
    }

    fn named(names: &[&str]) -> Vec<Contender> {
        names.iter().map(|name| Contender::External(name.to_string())).collect()
    }

    #[test]
    fn fewer_images_than_the_fewest_have_means_and_neither_intervals_nor_verdicts() {
        for (pictures, enough) in
            [(2, false), (3, false), (9, false), (FEWEST_RESAMPLED_CASES, true)]
        {
            let estimates = invented(named(&["a", "b"]), pictures).estimates(500, 1);
            let estimate_of = |metric: Metric| {
                estimates.iter().find(move |estimate| estimate.metric == metric).unwrap()
            };
            let better = estimate_of(Metric::Deletion);
            assert!(better.mean.is_some() && better.n == pictures);
            assert_eq!(better.interval.is_some(), enough, "{pictures}");
            assert_eq!(better.over_random.unwrap().interval.is_some(), enough, "{pictures}");
        }
        // Of ten images six have boxes.
        let estimates = invented(named(&["a"]), 10).estimates(500, 1);
        let pointing =
            estimates.iter().find(|estimate| estimate.metric == Metric::Pointing).unwrap();
        assert_eq!((pointing.n, pointing.interval), (6, None));
    }

    fn plan() -> Plan {
        let pointing = Some(Pointing { class: "Human face".into(), confidence: 0.25 });
        let measures = vec![Measure::Deletion, Measure::Insertion, Measure::Pointing];
        Plan { measures, steps: 4, pointing, resamples: 500 }
    }

    #[test]
    fn golden_evaluations() {
        let hard = named(&[
            "grad-cam",
            "a method of a name that is longer than its place",
            "سعادة",
            "悲しみ",
        ]);
        let many = |count: usize| {
            (0..count).map(|index| Contender::External(format!("method {index}"))).collect()
        };
        let one = vec![Contender::Method(Method::paper()[0])];
        for (name, methods, pictures, scale) in [
            ("evaluation-1", one, 3, 0.4),
            ("evaluation-20", [hard, many(14)].concat(), 12, 0.4),
            ("evaluation-601", many(599), 12, 0.1),
        ] {
            let evaluation = invented(methods, pictures);
            let picture =
                scorecard(&evaluation, &evaluation.estimates(200, 1), &plan(), None).svg().unwrap();
            let markup = picture.as_str();
            let has_verdicts = markup.contains(">+<");
            assert_eq!(has_verdicts, pictures >= FEWEST_RESAMPLED_CASES, "{name}");
            assert!(markup.contains("Pointing: Human face<"), "{name}");
            assert_golden(name, &picture, scale);
        }
    }
}
