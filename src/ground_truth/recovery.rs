//! How well the association matrix recovers what interventions show.

use super::box_judge::BoxJudge;
use super::decision::{estimate, resampled};
use super::trial::{Trial, World};
use crate::stats::{Ranks, average_precision, mean, roc_area};
use ndarray::Array2;
use rayon::prelude::*;

/// What is measured of a judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryMeasure {
    /// Spearman correlation of the association matrix with the matrix of effects, over cells.
    Spearman,
    /// Area under the ROC curve of the matrix's cells: declared causes against all other classes of
    /// their label.
    RocArea,
    /// Average precision of the same.
    AveragePrecision,
    /// Share of the scenes with a decisive object in which the box with the highest score is that
    /// object.
    HitRate,
    /// Mean over scenes with at least three found objects of the Spearman correlation of their
    /// scores with their effects.
    SceneSpearman,
    /// Of a method whose regions have values: mean absolute difference of the matrix of the values
    /// of classes from the matrix of effects, over cells.
    EffectError,
}

impl RecoveryMeasure {
    /// In the order of the tables.
    pub const ALL: [Self; MEASURES] = [
        Self::Spearman,
        Self::RocArea,
        Self::AveragePrecision,
        Self::HitRate,
        Self::SceneSpearman,
        Self::EffectError,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spearman => "spearman",
            Self::RocArea => "roc_area",
            Self::AveragePrecision => "average_precision",
            Self::HitRate => "hit_rate",
            Self::SceneSpearman => "scene_spearman",
            Self::EffectError => "effect_error",
        }
    }
}

/// How many measures there are.
const MEASURES: usize = 6;

/// A number with its bootstrap interval over scenes; what is not defined is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RecoveryEstimate {
    /// The measure over all scenes.
    pub value: Option<f64>,
    /// The [`crate::stats::bias_spanning_interval`] at 95 %; `None` with fewer than
    /// [`crate::stats::FEWEST_RESAMPLED_CASES`] scenes, or where resamples are not defined.
    pub interval: Option<(f64, f64)>,
}

/// How well one judge's boxes recover the causes.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// Who said which boxes are important.
    pub judge: BoxJudge,
    /// In the order of [`RecoveryMeasure::ALL`].
    pub estimates: [RecoveryEstimate; MEASURES],
}

/// What came out.
#[derive(Debug)]
pub struct Validation {
    /// Scenes by predicted label.
    pub images: Vec<u64>,
    /// Scenes whose predicted label is the causal graph's.
    pub correct: usize,
    /// Scenes in which taking out a single object changes the answer.
    pub decisive: usize,
    /// Names of the rows: see [`World::things`].
    pub things: Vec<String>,
    /// Things x labels: mean over the scenes of a predicted label of the greatest drop of its
    /// probability when an object of the class is taken out (0 where there is none); `None` for
    /// labels never predicted.
    pub effects: Array2<Option<f64>>,
    /// Things x labels: share of the scenes of a label in which taking out an object of the class
    /// changes the answer.
    pub flips: Array2<Option<f64>>,
    /// One a judge.
    pub recoveries: Vec<Recovery>,
}

/// What a resample needs of a scene.
struct Digest {
    label: usize,
    /// (class, greatest drop, whether any flips)
    effects: Vec<(usize, f64, bool)>,
    /// Per judge.
    classes: Vec<Vec<usize>>,
    hits: Vec<Option<bool>>,
    ranks: Vec<Option<f64>>,
    /// (class, greatest value)
    values: Vec<Option<Vec<(usize, f64)>>>,
}

impl Validation {
    /// Measures `judges` on `trials` of scenes of the world; `resamples` bootstrap resamples over
    /// scenes from `seed`.
    pub fn new(
        trials: &[Trial],
        judges: Vec<BoxJudge>,
        world: &World<'_>,
        resamples: u64,
        seed: u64,
    ) -> Self {
        let (graph, things) = (world.graph, world.things());
        let size = (things.len(), graph.labels.len());
        let digests: Vec<Digest> = trials.par_iter().map(|trial| digest(trial, &judges)).collect();
        let once = vec![1.0; trials.len()];
        let values = measure_all(&digests, &once, judges.len(), world);
        let drawn = resampled(digests.len(), resamples, seed, |weights| {
            measure_all(&digests, weights, judges.len(), world)
        });
        let recovery = |(number, judge): (usize, BoxJudge)| Recovery {
            judge,
            estimates: std::array::from_fn(|measure| {
                let resamples: Vec<Option<f64>> =
                    drawn.iter().map(|one| one[number][measure]).collect();
                estimate(values[number][measure], &resamples, digests.len())
            }),
        };
        let [effects, flips] = effect_matrices(&digests, &once, size);
        let mut images = vec![0; size.1];
        trials.iter().for_each(|trial| images[trial.label] += 1);
        Self {
            images,
            correct: trials.iter().filter(|trial| trial.label == trial.truth).count(),
            decisive: trials.iter().filter(|trial| trial.decisive().is_some()).count(),
            things,
            effects,
            flips,
            recoveries: judges.into_iter().enumerate().map(recovery).collect(),
        }
    }
}

fn digest(trial: &Trial, judges: &[BoxJudge]) -> Digest {
    let mut effects: Vec<(usize, f64, bool)> = Vec::new();
    for effect in &trial.effects {
        match effects.iter_mut().find(|(class, ..)| *class == effect.class) {
            Some((_, drop, flips)) => {
                (*drop, *flips) = (drop.max(effect.drop), *flips || effect.flips);
            }
            None => effects.push((effect.class, effect.drop, effect.flips)),
        }
    }
    Digest {
        label: trial.label,
        effects,
        classes: judges.iter().map(|judge| judge.classes(trial)).collect(),
        hits: judges.iter().map(|judge| judge.hits(trial)).collect(),
        ranks: judges.iter().map(|judge| judge.ranks(trial)).collect(),
        values: judges.iter().map(|judge| judge.values(trial)).collect(),
    }
}

/// Sums over scenes by (class, label), divided by the scenes of the label; `None` where there are
/// none.
fn shares(
    digests: &[Digest],
    weights: &[f64],
    size: (usize, usize),
    add: impl Fn(&Digest, &mut dyn FnMut(usize, f64)),
) -> Array2<Option<f64>> {
    let mut sums = Array2::<f64>::zeros(size);
    let mut images = vec![0.0; size.1];
    for (digest, weight) in digests.iter().zip(weights) {
        images[digest.label] += weight;
        add(digest, &mut |class, value| sums[[class, digest.label]] += weight * value);
    }
    Array2::from_shape_fn(sums.dim(), |(class, label)| {
        (images[label] > 0.0).then(|| sums[[class, label]] / images[label])
    })
}

fn effect_matrices(
    digests: &[Digest],
    weights: &[f64],
    size: (usize, usize),
) -> [Array2<Option<f64>>; 2] {
    let drops = shares(digests, weights, size, |digest, add| {
        digest.effects.iter().for_each(|&(class, drop, _)| add(class, drop));
    });
    let flips = shares(digests, weights, size, |digest, add| {
        digest.effects.iter().for_each(|&(class, _, flips)| add(class, f64::from(u8::from(flips))));
    });
    [drops, flips]
}

/// The mean over scenes of what is defined in them.
fn weighted_mean(
    digests: &[Digest],
    weights: &[f64],
    of: impl Fn(&Digest) -> Option<f64>,
) -> Option<f64> {
    let (mut scenes, mut sum) = (0.0, 0.0);
    for (value, weight) in
        digests.iter().zip(weights).filter_map(|(digest, weight)| Some((of(digest)?, weight)))
    {
        scenes += weight;
        sum += weight * value;
    }
    (scenes > 0.0).then(|| sum / scenes)
}

/// Every judge's measures, with scenes counted `weights` times.
fn measure_all(
    digests: &[Digest],
    weights: &[f64],
    judges: usize,
    world: &World<'_>,
) -> Vec<[Option<f64>; MEASURES]> {
    let graph = world.graph;
    let size = (world.things().len(), graph.labels.len());
    let [truth, _] = effect_matrices(digests, weights, size);
    let effects: Vec<f64> = truth.iter().flatten().copied().collect();
    let of_judge = |judge: usize| {
        let association = shares(digests, weights, size, |digest, add| {
            digest.classes[judge].iter().for_each(|&class| add(class, 1.0));
        });
        let cells: Vec<f64> = association.iter().flatten().copied().collect();
        let cases: Vec<(f64, bool)> = association
            .indexed_iter()
            .filter(|((_, label), _)| graph.has_cause(*label))
            .filter_map(|((class, label), share)| {
                share.map(|share| (share, world.is_cause(class, label)))
            })
            .collect();
        let hits = weighted_mean(digests, weights, |digest| {
            digest.hits[judge].map(|hit| f64::from(u8::from(hit)))
        });
        let valued = digests.iter().any(|digest| digest.values[judge].is_some());
        let error = valued.then(|| {
            let values = shares(digests, weights, size, |digest, add| {
                digest.values[judge].iter().flatten().for_each(|&(class, value)| add(class, value));
            });
            let differences: Vec<f64> = values
                .iter()
                .zip(&truth)
                .filter_map(|(a, b)| Some(((*a)? - (*b)?).abs()))
                .collect();
            mean(&differences)
        });
        [
            Ranks::of(&cells).spearman(&Ranks::of(&effects)),
            roc_area(&cases),
            average_precision(&cases),
            hits,
            weighted_mean(digests, weights, |digest| digest.ranks[judge]),
            error.flatten(),
        ]
    };
    (0..judges).map(of_judge).collect()
}

#[cfg(test)]
mod tests {
    use super::super::trial::Effect;
    use super::*;
    use crate::image::BoundingBox;
    use crate::run::record::BoxRecord;
    use crate::score::BoxScore;
    use crate::world::{CLASSES, Style, graph};

    /// A scene with a cause and two other objects side by side; the map lies on box number `lit`,
    /// and the model answers `label` because of box 0.
    fn trial(label: usize, classes: [usize; 3], lit: usize) -> Trial {
        let place =
            |at: usize| BoundingBox::new(30.0 * at as f32, 2.0, 30.0 * at as f32 + 20.0, 31.0);
        let score = |at: usize| if at == lit { 0.9 } else { 0.05 };
        let scores = |value: f32| BoxScore::of_value(value);
        Trial {
            label,
            truth: label,
            effects: classes
                .iter()
                .enumerate()
                .map(|(at, &class)| Effect {
                    class,
                    whole: None,
                    bounding_box: place(at),
                    drop: if at == 0 { 0.8 } else { 0.0 },
                    flips: at == 0,
                })
                .collect(),
            boxes: classes
                .iter()
                .enumerate()
                .map(|(at, &class)| BoxRecord {
                    class,
                    confidence: 0.9 - 0.1 * at as f32,
                    bounding_box: place(at),
                    extent: place(at).into(),
                    rle: None,
                })
                .collect(),
            values: Vec::new(),
            background: None,
            chance: vec![vec![0.5; 3]; 2],
            scores: vec![
                (0..3).map(|index| scores(score(index))).collect(),
                (0..3).map(|index| scores(score(2 - index))).collect(),
            ],
        }
    }

    /// Every declared cause, in scenes with two classes that cause nothing: one always goes with
    /// the label.
    fn scenes(lit: usize) -> Vec<Trial> {
        let idle: Vec<usize> = (0..CLASSES.len())
            .filter(|&class| graph().causes.iter().all(|cause| cause.class != class))
            .collect();
        let causes: Vec<(usize, usize)> =
            graph().causes.iter().map(|cause| (cause.label, cause.class)).collect();
        (0..60)
            .map(|index| {
                let (label, class) = causes[index % causes.len()];
                trial(label, [class, idle[label % idle.len()], idle[index % idle.len()]], lit)
            })
            .collect()
    }

    fn validation(trials: &[Trial]) -> Validation {
        let judges = BoxJudge::all(&["oracle".to_string()], 0.3, trials);
        assert_eq!(
            judges.len(),
            7 + 7 + 2,
            "a method and a random map by seven rules, and detections, all and sure"
        );
        let world = World { graph: graph(), seed: 1, style: Style::Standard, parts: false };
        Validation::new(trials, judges, &world, 200, 1)
    }

    #[test]
    fn a_map_on_the_cause_recovers_it_and_a_map_elsewhere_does_not() {
        let good = validation(&scenes(0));
        for recovery in &good.recoveries[..6] {
            let [spearman, roc, precision, hits, ..] = recovery.estimates;
            assert!(spearman.value.unwrap() > 0.7, "{spearman:?}");
            assert_eq!((roc.value, precision.value, hits.value), (Some(1.0), Some(1.0), Some(1.0)));
            assert_eq!(hits.interval, Some((1.0, 1.0)));
        }
        let bad = validation(&scenes(1));
        assert_eq!(bad.recoveries[0].estimates[3].value, Some(0.0));
        assert!(bad.recoveries[0].estimates[1].value.unwrap() < 0.5);
        assert_eq!(good.decisive, 60);
        assert_eq!(good.correct, 60);
    }

    #[test]
    fn detections_alone_count_every_class_that_is_there() {
        let mut trials = scenes(0);
        for (at, trial) in trials.iter_mut().enumerate() {
            // Here and there something is seen that is not there, without conviction.
            let ghost =
                BoxRecord { class: at % CLASSES.len(), confidence: 0.1, ..trial.boxes[2].clone() };
            trial.boxes.push(ghost);
            trial.scores.iter_mut().for_each(|scores| scores.push(BoxScore::default()));
            trial.chance.iter_mut().for_each(|chance| chance.push(0.0));
        }
        let validated = validation(&trials);
        let [.., all, sure] = &validated.recoveries[..] else { panic!() };
        assert_eq!((all.judge.rule_name(), all.judge.threshold()), ("any", None));
        assert_eq!((sure.judge.rule_name(), sure.judge.threshold()), ("over 0.5", Some(0.5)));
        let [all, sure] = [all, sure].map(|recovery| recovery.estimates[1].value.unwrap());
        assert!(
            0.5 < all && all <= sure && sure < 1.0,
            "others are in the picture as well: {all}, {sure}"
        );
    }

    #[test]
    fn matched_thresholds_count_as_many_boxes() {
        let mut trials = scenes(0);
        for (at, trial) in trials.iter_mut().enumerate() {
            for score in &mut trial.scores[0] {
                score.mass = score.mean * 0.1 + at as f32 * 1e-4;
            }
        }
        let judges = BoxJudge::all(&["m".to_string()], 0.3, &trials);
        let count = |judge: &BoxJudge| {
            trials.iter().map(|trial| judge.important_boxes(trial).count()).sum::<usize>()
        };
        assert_eq!(count(&judges[0]), 60);
        assert_eq!(count(&judges[2]), 60);
    }

    #[test]
    fn without_scenes_or_boxes_nothing_is_defined_and_nothing_is_nan() {
        for trials in [
            vec![],
            vec![Trial {
                boxes: vec![],
                scores: vec![vec![]; 2],
                chance: vec![vec![]; 2],
                ..trial(0, [0, 1, 2], 0)
            }],
        ] {
            let validated = validation(&trials);
            for estimate in validated.recoveries.iter().flat_map(|recovery| &recovery.estimates) {
                assert!(
                    estimate.value.is_none_or(f64::is_finite) && estimate.interval.is_none(),
                    "{estimate:?}"
                );
            }
        }
    }
}
