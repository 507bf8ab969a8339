//! One table that decides: every method by every score of a box, in every world, against the
//! paper's rule.

use super::answers::{Reading, SceneNumbers, Truth};
use super::box_judge::BoxJudge;
use super::recovery::RecoveryEstimate;
use super::trial::Trial;
use super::worlds::DrawnWorld;
use crate::random::Random;
use crate::score::ScoreRule;
use crate::stats::{FEWEST_RESAMPLED_CASES, bias_spanning_interval};
use crate::world::Style;
use rayon::prelude::*;

/// What the networks of a world said of its scenes.
#[derive(Debug)]
pub struct Asked {
    /// Which world.
    pub world: &'static DrawnWorld,
    /// One list of trials a network, of the same scenes.
    pub networks: Vec<Vec<Trial>>,
}

/// How right one judge is in one world, by one reading.
#[derive(Debug, Clone)]
pub struct Rightness {
    /// The world's name.
    pub world: &'static str,
    /// Which method and score, with the threshold of the world's first network.
    pub judge: BoxJudge,
    /// What is read.
    pub reading: Reading,
    /// In `[0, 1]`, with its interval over scenes.
    pub estimate: RecoveryEstimate,
    /// What it is more than by the paper's rule on the same scenes: for matrices the counting one
    /// by Grad-CAM's mean over 0.3, for scenes Grad-CAM's mean.
    pub difference: RecoveryEstimate,
}

/// The rows of the table that decides.
#[derive(Debug)]
pub struct Decision {
    /// By world, judge and reading.
    pub rows: Vec<Rightness>,
}

/// A world's judges with what each says, one list of scenes a network.
pub(super) struct Judged {
    pub truth: Truth,
    pub judges: Vec<(BoxJudge, Vec<Vec<SceneNumbers>>)>,
    pub scenes: usize,
}

impl Judged {
    pub(super) fn new(asked: &Asked, methods: &[String], importance: f32) -> Self {
        let world = asked.world.world(0, Style::Standard);
        let truth = Truth::new(asked.world.question, &world, &asked.networks);
        // Thresholds are set for every network's maps alone.
        let of_network: Vec<Vec<BoxJudge>> = asked
            .networks
            .iter()
            .map(|trials| BoxJudge::all(methods, importance, trials))
            .collect();
        // One that cannot be asked about every network is left out.
        let judge = |first: &BoxJudge| {
            let numbers = |(network, trials): (usize, &Vec<Trial>)| {
                let same = |judge: &&BoxJudge| {
                    (&judge.name, judge.rule_name()) == (&first.name, first.rule_name())
                };
                Some(truth.numbers(of_network[network].iter().find(same)?, network, trials))
            };
            let numbers: Option<Vec<Vec<SceneNumbers>>> =
                asked.networks.iter().enumerate().map(numbers).collect();
            Some((first.clone(), numbers?))
        };
        let judges = of_network[0].iter().filter_map(judge).collect();
        Self { truth, judges, scenes: asked.networks[0].len() }
    }

    /// By judge and reading, with scenes counted `weights` times.
    fn measure(&self, weights: &[f64]) -> Vec<ByReading> {
        let of_judge = |(_, numbers): &(BoxJudge, Vec<Vec<SceneNumbers>>)| {
            Reading::ALL.map(|reading| self.truth.rightness(reading, numbers, weights))
        };
        self.judges.iter().map(of_judge).collect()
    }

    /// The paper's rule, where its method is among those that are judged.
    pub(super) fn paper(&self) -> Option<usize> {
        self.judges
            .iter()
            .position(|(judge, _)| judge.name == "grad-cam" && judge.rule == ScoreRule::Mean)
    }
}

impl Decision {
    /// Judges all worlds; `resamples` bootstrap resamples over scenes from `seed`.
    pub fn new(
        asked: &[Asked],
        methods: &[String],
        importance: f32,
        resamples: u64,
        seed: u64,
    ) -> Self {
        let rows = asked
            .iter()
            .flat_map(|asked| rows(asked, methods, importance, resamples, seed))
            .collect();
        Self { rows }
    }
}

/// What `measure` says of resamples of the scenes, each given as how often every scene counts.
pub(super) fn resampled<T: Send>(
    scenes: usize,
    resamples: u64,
    seed: u64,
    measure: impl Fn(&[f64]) -> T + Sync,
) -> Vec<T> {
    let resample = |number: u64| {
        let mut random = Random::new(seed, number + 1);
        let mut weights = vec![0.0; scenes];
        for _ in 0..scenes {
            weights[random.uniform(0.0, scenes as f64) as usize] += 1.0;
        }
        measure(&weights)
    };
    (0..resamples).into_par_iter().map(resample).collect()
}

/// The number over all scenes with its interval, where there are at least
/// [`FEWEST_RESAMPLED_CASES`] scenes.
pub(super) fn estimate(
    value: Option<f64>,
    resamples: &[Option<f64>],
    scenes: usize,
) -> RecoveryEstimate {
    let enough = scenes >= FEWEST_RESAMPLED_CASES;
    let interval =
        value.filter(|_| enough).and_then(|value| bias_spanning_interval(value, resamples));
    RecoveryEstimate { value, interval: interval.map(|ends| (ends.lower, ends.upper)) }
}

/// Of one judge its numbers by reading.
type ByReading = [Option<f64>; 3];

fn rows(
    asked: &Asked,
    methods: &[String],
    importance: f32,
    resamples: u64,
    seed: u64,
) -> Vec<Rightness> {
    let judged = Judged::new(asked, methods, importance);
    let values = judged.measure(&vec![1.0; judged.scenes]);
    let drawn = resampled(judged.scenes, resamples, seed, |weights| judged.measure(weights));
    let paper = judged.paper();
    let measured = |number: &dyn Fn(&[ByReading]) -> Option<f64>| {
        let resamples: Vec<Option<f64>> = drawn.iter().map(|values| number(values)).collect();
        estimate(number(&values), &resamples, judged.scenes)
    };
    let row = |(at, reading): (usize, usize)| {
        let beside = if Reading::ALL[reading] == Reading::Scenes { reading } else { 0 };
        Rightness {
            world: asked.world.name,
            judge: judged.judges[at].0.clone(),
            reading: Reading::ALL[reading],
            estimate: measured(&|values| values[at][reading]),
            difference: measured(&|values| Some(values[at][reading]? - values[paper?][beside]?)),
        }
    };
    (0..judged.judges.len())
        .flat_map(|index| (0..3).map(move |reading| (index, reading)))
        .map(row)
        .collect()
}
