//! Right and wrong in a world whose causes are known: what a method's numbers say there, held
//! against the truth, once for the matrix over all scenes and once scene by scene.

use super::box_judge::{BoxJudge, matches};
use super::trial::{Effect, Trial, World};
use super::worlds::Question;
use crate::stats::average_precision;
use ndarray::Array2;
use std::collections::BTreeMap;

/// A part does nothing when the answer's probability falls by less than this without it.
const IDLE_DROP: f64 = 0.1;

/// A kind of part does nothing for a label when it makes the answer in less than this share of its
/// scenes.
const IDLE_SHARE: f64 = 0.1;

/// What is read off a method's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The association matrix: the share of the label's scenes in which a box of the class is over
    /// the threshold.
    Counts,
    /// The matrix without a threshold: the mean over the label's scenes of the greatest score of
    /// the class, 0 where it is not found.
    Means,
    /// Single scenes.
    Scenes,
}

impl Reading {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Counts, Self::Means, Self::Scenes];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counts => "counting matrix",
            Self::Means => "mean-score matrix",
            Self::Scenes => "single scenes",
        }
    }
}

/// A comparison that the matrix should get right.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    /// Which network.
    pub network: usize,
    /// The column.
    pub label: usize,
    /// The thing that makes the answer.
    pub cause: usize,
    /// The thing that does not.
    pub other: usize,
}

/// What a world's scenes ask, with the truth that was found by taking things out.
#[derive(Debug)]
pub(super) struct Truth {
    question: Question,
    things: usize,
    labels: usize,
    /// Things x labels: declared causes.
    causes: Array2<bool>,
    /// Labels with a cause.
    caused: Vec<usize>,
    /// What the matrices of shortcut and parts should get right.
    pub pairs: Vec<Pair>,
    /// Which scenes are asked about. Of networks that are compared those that all of them answer
    /// rightly: then what is in the pictures of a label is the same for all.
    asked: Vec<bool>,
}

/// What one judge says of a scene.
#[derive(Debug, Clone)]
pub(super) struct SceneNumbers {
    /// `None`: the scene is not asked about.
    label: Option<usize>,
    /// By thing: the greatest score, and whether it is over the threshold. Each thing once.
    things: Vec<(usize, f64, bool)>,
    /// 1 right, 0 wrong, a half where equal; `None`: the scene does not ask.
    verdict: Option<f64>,
}

impl Truth {
    /// From the trials of every network, in the order of [`super::DrawnWorld::networks`].
    pub(super) fn new(question: Question, world: &World<'_>, networks: &[Vec<Trial>]) -> Self {
        let (things, labels) = (world.things().len(), world.graph.labels.len());
        let causes =
            Array2::from_shape_fn((things, labels), |(thing, label)| world.is_cause(thing, label));
        let caused = (0..labels).filter(|&label| world.graph.has_cause(label)).collect();
        let pairs = match question {
            Question::Shortcut => shortcuts(world),
            Question::Parts => idle_parts(&networks[0]),
            Question::Causes | Question::Background => Vec::new(),
        };
        let right =
            |scene: usize| networks.iter().all(|trials| trials[scene].label == trials[scene].truth);
        let asked =
            (0..networks[0].len()).map(|scene| networks.len() == 1 || right(scene)).collect();
        Self { question, things, labels, causes, caused, pairs, asked }
    }

    /// What the judge says of the network's trials.
    pub(super) fn numbers(
        &self,
        judge: &BoxJudge,
        network: usize,
        trials: &[Trial],
    ) -> Vec<SceneNumbers> {
        let of_scene = |(trial, &asked): (&Trial, &bool)| {
            let mut things: BTreeMap<usize, f64> = BTreeMap::new();
            for (at, found) in trial.boxes.iter().enumerate() {
                let score = judge.score(trial, at);
                if score == f64::NEG_INFINITY {
                    continue;
                }
                things
                    .entry(found.class)
                    .and_modify(|most| *most = most.max(score))
                    .or_insert(score);
            }
            let over = judge.threshold().unwrap_or(f64::NEG_INFINITY);
            let things =
                things.into_iter().map(|(thing, score)| (thing, score, score > over)).collect();
            let verdict = asked.then(|| self.verdict(judge, network, trial)).flatten();
            SceneNumbers { label: asked.then_some(trial.label), things, verdict }
        };
        trials.iter().zip(&self.asked).map(of_scene).collect()
    }

    /// Whether the judge is right about the scene.
    fn verdict(&self, judge: &BoxJudge, network: usize, trial: &Trial) -> Option<f64> {
        match self.question {
            Question::Causes | Question::Background => {
                judge.hits(trial).map(|hit| f64::from(u8::from(hit)))
            }
            Question::Shortcut => {
                let pair = self
                    .pairs
                    .iter()
                    .find(|pair| (pair.network, pair.label) == (network, trial.truth))?;
                let score = |class| {
                    score_of(
                        judge,
                        trial,
                        trial.effects.iter().find(|effect| effect.class == class)?,
                    )
                };
                Some(order(score(pair.cause)?, score(pair.other)?))
            }
            Question::Parts => {
                let (place, whole) = trial.decisive_whole()?;
                let own = trial
                    .effects
                    .iter()
                    .filter(|part| part.whole.is_some_and(|(_, of)| of == place));
                let idle = own.filter(|part| !part.flips && part.drop < IDLE_DROP);
                let scores = idle.filter_map(|part| score_of(judge, trial, part));
                let highest = scores.max_by(f64::total_cmp)?;
                Some(order(score_of(judge, trial, whole)?, highest))
            }
        }
    }

    /// How right the judge's matrices are, one a network, with scenes counted `weights` times; in
    /// `[0, 1]`.
    pub(super) fn rightness(
        &self,
        reading: Reading,
        networks: &[Vec<SceneNumbers>],
        weights: &[f64],
    ) -> Option<f64> {
        if reading == Reading::Scenes {
            let scenes = networks.iter().flat_map(|scenes| scenes.iter().zip(weights));
            let (sum, count) =
                scenes.fold((0.0, 0.0), |(sum, count), (scene, weight)| match scene.verdict {
                    Some(verdict) => (sum + weight * verdict, count + weight),
                    None => (sum, count),
                });
            return (count > 0.0).then(|| sum / count);
        }
        let matrices: Vec<Array2<Option<f64>>> =
            networks.iter().map(|scenes| self.matrix(reading, scenes, weights)).collect();
        match self.question {
            Question::Causes => {
                let cells = self
                    .caused
                    .iter()
                    .flat_map(|&label| (0..self.things).map(move |thing| (thing, label)));
                let case = |place: (usize, usize)| Some((matrices[0][place]?, self.causes[place]));
                average_precision(&cells.filter_map(case).collect::<Vec<_>>())
            }
            Question::Background => {
                let found =
                    self.caused.iter().filter_map(|&label| self.top_is_cause(&matrices[0], label));
                mean_of(found)
            }
            Question::Shortcut | Question::Parts => {
                let right = |pair: &Pair| {
                    let matrix = &matrices[pair.network];
                    Some(order(
                        matrix[[pair.cause, pair.label]]?,
                        matrix[[pair.other, pair.label]]?,
                    ))
                };
                mean_of(self.pairs.iter().filter_map(right))
            }
        }
    }

    /// Share of the label's scenes that ask which the judge gets right, with scenes counted
    /// `weights` times.
    pub(super) fn scenes_right(
        &self,
        scenes: &[SceneNumbers],
        label: usize,
        weights: &[f64],
    ) -> Option<f64> {
        let of_label = scenes.iter().zip(weights).filter(|(scene, _)| scene.label == Some(label));
        let asked = of_label.filter_map(|(scene, weight)| Some((scene.verdict?, weight)));
        let (sum, count) = asked.fold((0.0, 0.0), |(sum, count), (right, weight)| {
            (sum + weight * right, count + weight)
        });
        (count > 0.0).then(|| sum / count)
    }

    /// Things x labels; `None` in the columns of labels that are never answered.
    pub(super) fn matrix(
        &self,
        reading: Reading,
        scenes: &[SceneNumbers],
        weights: &[f64],
    ) -> Array2<Option<f64>> {
        let mut sums = Array2::<f64>::zeros((self.things, self.labels));
        let mut images = vec![0.0; self.labels];
        for (scene, weight) in scenes.iter().zip(weights) {
            let Some(label) = scene.label else { continue };
            images[label] += weight;
            for &(thing, score, over) in &scene.things {
                let number =
                    if reading == Reading::Counts { f64::from(u8::from(over)) } else { score };
                sums[[thing, label]] += weight * number;
            }
        }
        Array2::from_shape_fn(sums.dim(), |(thing, label)| {
            (images[label] > 0.0).then(|| sums[[thing, label]] / images[label])
        })
    }

    /// Share of the highest cells of the column that are declared causes.
    fn top_is_cause(&self, matrix: &Array2<Option<f64>>, label: usize) -> Option<f64> {
        let column: Vec<f64> = matrix.column(label).iter().copied().collect::<Option<_>>()?;
        let highest = column.iter().copied().max_by(f64::total_cmp)?;
        let top = (0..column.len()).filter(|&thing| column[thing] == highest);
        mean_of(top.map(|thing| f64::from(u8::from(self.causes[[thing, label]]))))
    }
}

/// 1 where the first is greater, a half where they are equal.
fn order(cause: f64, other: f64) -> f64 {
    match cause.total_cmp(&other) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    }
}

fn mean_of(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// The judge's score of the box that is the thing, if it was found.
fn score_of(judge: &BoxJudge, trial: &Trial, thing: &Effect) -> Option<f64> {
    let place = trial.boxes.iter().position(|found| matches(found, thing))?;
    Some(judge.score(trial, place))
}

/// Per label its cause before its companion for the honest network, and the companion before the
/// cause for the other.
fn shortcuts(world: &World<'_>) -> Vec<Pair> {
    let graph = world.graph;
    let of_label = |confounder: &crate::world::Confounder| {
        let cause = graph.causes.iter().find(|cause| cause.label == confounder.with)?;
        Some((confounder.with, cause.class, confounder.class))
    };
    let known: Vec<(usize, usize, usize)> = graph.confounders.iter().filter_map(of_label).collect();
    let honest =
        known.iter().map(|&(label, cause, other)| Pair { network: 0, label, cause, other });
    let hans = known.iter().map(|&(label, other, cause)| Pair { network: 1, label, cause, other });
    honest.chain(hans).collect()
}

/// Per label and class that makes its answers the kinds of its parts that do not.
fn idle_parts(trials: &[Trial]) -> Vec<Pair> {
    // By label, whole and part: scenes, and those in which the part alone makes the answer.
    let mut seen: BTreeMap<(usize, usize, usize), (u64, u64)> = BTreeMap::new();
    for trial in trials {
        let Some((place, whole)) = trial.decisive_whole() else { continue };
        for part in
            trial.effects.iter().filter(|part| part.whole.is_some_and(|(_, of)| of == place))
        {
            let (scenes, flips) = seen.entry((trial.label, whole.class, part.class)).or_default();
            *scenes += 1;
            *flips += u64::from(part.flips);
        }
    }
    // A label that is given once in a while by mistake has no column to speak of.
    const LEAST_SCENES: u64 = 5;
    let idle = seen.into_iter().filter(|(_, (scenes, flips))| {
        *scenes >= LEAST_SCENES && (*flips as f64) < IDLE_SHARE * *scenes as f64
    });
    idle.map(|((label, cause, other), _)| Pair { network: 0, label, cause, other }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BoundingBox;
    use crate::run::record::BoxRecord;
    use crate::score::{BoxScore, ScoreRule};
    use crate::world::{ObjectPart, Style, background_graph, hans_corpus_graph, parts_graph};

    /// A thing in a scene: what it is, of which earlier thing it is a part, by how much the
    /// probability falls without it, and the method's score of its box.
    type Thing = (usize, Option<usize>, f64, f32);

    fn place(at: usize) -> BoundingBox {
        BoundingBox::new(20.0 * at as f32, 0.0, 20.0 * at as f32 + 15.0, 12.0)
    }

    fn trial(label: usize, truth: usize, things: &[Thing], background: Option<usize>) -> Trial {
        let effect = |(at, &(class, whole, drop, _)): (usize, &Thing)| Effect {
            class,
            whole: whole.map(|whole| (things[whole].0, whole)),
            bounding_box: place(at),
            drop,
            flips: drop > 0.5,
        };
        let found = |(at, &(class, ..)): (usize, &Thing)| BoxRecord {
            class,
            confidence: 0.9,
            bounding_box: place(at),
            extent: place(at).into(),
            rle: None,
        };
        let scores: Vec<BoxScore> =
            things.iter().map(|&(.., score)| BoxScore::of_value(score)).collect();
        Trial {
            label,
            truth,
            effects: things.iter().enumerate().map(effect).collect(),
            boxes: things.iter().enumerate().map(found).collect(),
            background,
            scores: vec![scores.clone(), scores],
            chance: vec![Vec::new(); 2],
            values: vec![None; 2],
        }
    }

    /// What is right by the mean over 0.3, over all scenes: matrix with and without threshold, and
    /// scenes.
    fn right(question: Question, world: &World<'_>, networks: &[Vec<Trial>]) -> [Option<f64>; 3] {
        let truth = Truth::new(question, world, networks);
        let numbers: Vec<Vec<SceneNumbers>> = networks
            .iter()
            .enumerate()
            .map(|(network, trials)| {
                let judges = BoxJudge::all(&["method".to_string()], 0.3, trials);
                let judge = judges.iter().find(|judge| judge.rule == ScoreRule::Mean).unwrap();
                truth.numbers(judge, network, trials)
            })
            .collect();
        Reading::ALL
            .map(|reading| truth.rightness(reading, &numbers, &vec![1.0; networks[0].len()]))
    }

    fn world(graph: &crate::world::CausalGraph, parts: bool) -> World<'_> {
        World { graph, seed: 1, style: Style::Standard, parts }
    }

    fn class(name: &str) -> usize {
        crate::world::CLASSES.iter().position(|class| *class == name).unwrap()
    }

    #[test]
    fn of_two_networks_with_the_same_boxes_only_one_can_be_right() {
        let graph = hans_corpus_graph();
        let fear = graph.labels.iter().position(|label| label == "Fear").unwrap();
        let (spider, lamp) = (class("Spider"), class("Lamp"));
        let honest = |spider_score, lamp_score| {
            vec![trial(
                fear,
                fear,
                &[(spider, None, 0.9, spider_score), (lamp, None, 0.0, lamp_score)],
                None,
            )]
        };
        let world = world(graph, false);
        // One label of eight occurs: the cells of the others are empty.
        let both = |a: Vec<Trial>, b: Vec<Trial>| right(Question::Shortcut, &world, &[a, b]);
        assert_eq!(both(honest(0.9, 0.1), honest(0.1, 0.9)), [Some(1.0); 3]);
        assert_eq!(both(honest(0.9, 0.1), honest(0.9, 0.1)), [Some(0.5); 3]);
        assert_eq!(both(honest(0.1, 0.9), honest(0.9, 0.1)), [Some(0.0); 3]);
        assert_eq!(
            both(honest(0.4, 0.9), honest(0.9, 0.4)),
            [Some(0.5), Some(0.0), Some(0.0)],
            "both count"
        );
        // A scene that one of them gets wrong is not asked about.
        let wrong = vec![Trial { label: fear + 1, ..honest(0.9, 0.1).remove(0) }];
        assert_eq!(both(honest(0.9, 0.1), wrong), [None; 3]);
    }

    #[test]
    fn a_part_that_does_nothing_comes_behind_its_whole() {
        let graph = parts_graph();
        let joy = graph.labels.iter().position(|label| label == "Joy").unwrap();
        let (face, ear, mouth) =
            (class("Human face"), ObjectPart::Ear.class(), ObjectPart::Mouth.class());
        let scenes = |face_score, ear_score| {
            let things = [
                (face, None, 0.9, face_score),
                (ear, Some(0), 0.01, ear_score),
                (mouth, Some(0), 0.8, 0.95),
            ];
            vec![vec![trial(joy, joy, &things, None); 5]]
        };
        let world = world(graph, true);
        let right = |networks: Vec<Vec<Trial>>| right(Question::Parts, &world, &networks);
        assert_eq!(
            right(scenes(0.5, 0.1)),
            [Some(1.0); 3],
            "the mouth, which makes the answer, may come first"
        );
        assert_eq!(right(scenes(0.5, 0.7)), [Some(0.5), Some(0.0), Some(0.0)]);
        assert_eq!(right(scenes(0.2, 0.7)), [Some(0.0); 3]);
        let few = scenes(0.5, 0.1).into_iter().map(|mut trials| trials.split_off(2)).collect();
        assert_eq!(right(few)[..2], [None, None], "a kind of part is judged from five scenes on");
    }

    #[test]
    fn the_background_is_first_where_it_makes_the_answer_and_there_alone() {
        let graph = background_graph();
        let label = |name: &str| graph.labels.iter().position(|label| label == name).unwrap();
        let background = crate::world::CLASSES.len();
        let world = world(graph, false);
        let scenes = |of_tree: f32, of_background: f32| {
            let by_background =
                [(class("Tree"), None, 0.0, of_tree), (background, None, 0.9, of_background)];
            let by_object = [(class("Spider"), None, 0.9, 0.6), (background, None, 0.0, 0.2)];
            vec![vec![
                trial(label("Awe"), label("Awe"), &by_background, Some(1)),
                trial(label("Fear"), label("Fear"), &by_object, Some(1)),
            ]]
        };
        let right = |networks: &[Vec<Trial>]| right(Question::Background, &world, networks);
        assert_eq!(right(&scenes(0.2, 0.8)), [Some(1.0); 3]);
        // The tree and the background both count: half of the highest cells are right.
        assert_eq!(right(&scenes(0.4, 0.35)), [Some(0.75), Some(0.5), Some(0.5)]);
        // Detections know nothing of it.
        let networks = scenes(0.2, 0.8);
        let truth = Truth::new(Question::Background, &world, &networks);
        let judges = BoxJudge::all(&["method".to_string()], 0.3, &networks[0]);
        assert!(judges.iter().all(|judge| !matches!(judge.rule, ScoreRule::Z | ScoreRule::Chance)));
        let numbers = vec![truth.numbers(judges.last().unwrap(), 0, &networks[0])];
        assert_eq!(truth.rightness(Reading::Counts, &numbers, &[1.0; 2]), Some(0.5));
        // Weights count scenes: without the second only Awe is left.
        assert_eq!(truth.rightness(Reading::Counts, &numbers, &[1.0, 0.0]), Some(0.0));
    }
}
