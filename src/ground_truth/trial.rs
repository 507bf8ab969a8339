//! One scene: what the maps say of its boxes, and what happens to the answer when an object is taken out.

use crate::attribution::finish;
use crate::config::Config;
use crate::image::{BoundingBox, Fit, Rgb8, Size};
use crate::load::Loaded;
use crate::networks::{predict, Prediction};
use crate::pipeline::{in_batches, Analysis, Examined, Pass, Prepared, Stage, Worker};
use crate::random::Random;
use crate::regions::{scoring_letterbox, View};
use crate::run::record::BoxRecord;
use crate::run::{Failure, Timings};
use crate::score::{BoxScore, Scorer};
use crate::world::{CausalGraph, Scene, Style};
use crate::{Error, Result};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use tch::Tensor;

/// Side of the random map's grid, that of conv5.
const RANDOM_SIDE: usize = 13;

/// Which scenes.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The causal graph they are drawn from.
    pub graph: &'a CausalGraph,
    /// Seed of the stream of scenes.
    pub seed: u64,
    /// How they are drawn.
    pub style: Style,
}

/// What taking an object out of the scene does to the model's answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The object's class.
    pub class: usize,
    /// Its box in the scene.
    pub bounding_box: BoundingBox,
    /// By how much the probability of the predicted label falls, -1 to 1.
    pub drop: f64,
    /// Whether the answer becomes another label.
    pub flips: bool,
}

/// One scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The label the model gives.
    pub label: usize,
    /// The label the causal graph gives.
    pub truth: usize,
    /// One entry an object that can be seen.
    pub effects: Vec<Effect>,
    /// What the detector found.
    pub boxes: Vec<BoxRecord>,
    /// Per method, in the order of the configuration, and last for a random map: one score a box.
    pub scores: Vec<Vec<BoxScore>>,
    /// Per method the value of every box, of methods whose regions have values.
    pub values: Vec<Option<Vec<f32>>>,
}

impl Trial {
    /// The object that makes the answer: the one with the greatest drop, if taking it out changes the answer.
    pub fn decisive(&self) -> Option<&Effect> {
        self.effects.iter().max_by(|a, b| a.drop.total_cmp(&b.drop)).filter(|effect| effect.flips)
    }
}

/// Draws scenes and takes every object out of each: the stage of `validate` for a pass over the numbers of scenes.
#[derive(Debug)]
pub struct TrialStage<'a> {
    world: World<'a>,
    config: &'a Config,
    analysis: Analysis<'a>,
    fit: Fit,
    view: Option<View>,
}

impl<'a> TrialStage<'a> {
    /// In this world, with these networks.
    pub fn new(world: World<'a>, loaded: &Loaded, config: &'a Config) -> Self {
        let (fit, view) = (loaded.network.card().fit, loaded.regions.finder().view);
        Self { world, config, analysis: Analysis::new(loaded, config, false), fit, view }
    }

    /// Scores of the boxes by a map that knows nothing: uniform random numbers on conv5's grid, finished like any other
    /// map.
    fn random_scores(&self, staged: &StagedScene, boxes: &[BoxRecord]) -> Result<Vec<BoxScore>> {
        let mut random = Random::of_text(self.world.seed, &format!("random map of scene {}", staged.number));
        let raw: Vec<f32> = (0..RANDOM_SIDE * RANDOM_SIDE).map(|_| random.uniform(0.0, 1.0) as f32).collect();
        let side = RANDOM_SIDE as i64;
        let maps = Tensor::f_from_slice(&raw)
            .and_then(|raw| finish(&raw.f_reshape([1, side, side])?, self.fit.input))
            .map_err(Error::torch("drawing a random map"))?;
        let letterbox = scoring_letterbox(self.view, staged.size);
        let area = self.config.regions.box_area;
        let scorer = Scorer::new(&self.fit.placement(staged.size), maps.size(), letterbox, area);
        let placed = scorer.place(&maps.values()?[0]);
        Ok(boxes.iter().map(|found| placed.score(&found.bounding_box.into())).collect())
    }
}

/// The scenes `0..count` of the world. `report` is called after every batch with the number of scenes done.
///
/// # Errors
/// A network could not be run.
pub fn trials(
    world: World<'_>,
    count: u64,
    worker: &mut Worker,
    config: &Config,
    threads: usize,
    stop: &AtomicBool,
    report: &mut dyn FnMut(u64),
) -> Result<Vec<Trial>> {
    let stage = TrialStage::new(world, &worker.loaded, config);
    let numbers: Vec<u64> = (0..count).collect();
    let (workers, batch) = (std::slice::from_mut(worker), config.compute.batch);
    let pass = Pass { stage: &stage, items: &numbers, workers, batch, threads, stop };
    let mut all = Vec::new();
    pass.run(&mut |done, progress| {
        all.extend(done.into_iter().map(|scene| scene.outcome));
        report(progress.done as u64);
        Ok(())
    })?;
    Ok(all)
}

/// An object that can be seen, and the scene without it as the explained network takes it.
#[derive(Debug)]
struct Visible {
    class: usize,
    bounding_box: BoundingBox,
    without: Rgb8,
}

/// A scene drawn, with every object and without each.
#[derive(Debug)]
pub struct StagedScene {
    number: u64,
    size: Size,
    prepared: Prepared,
    truth: usize,
    visible: Vec<Visible>,
}

impl Stage for TrialStage<'_> {
    type Item = u64;
    type Prepared = StagedScene;
    type Worker = Worker;
    type Outcome = Trial;

    fn name(&self, number: &u64) -> (String, PathBuf) {
        let name = format!("scene {number}");
        (name.clone(), name.into())
    }

    fn prepare(&self, &number: &u64) -> Result<StagedScene, Failure> {
        let World { graph, seed, style } = self.world;
        let scene = Scene::draw(graph, seed, number, style);
        let truth = graph.label(&scene).expect("what is drawn from a graph has a label by it");
        let picture = scene.render();
        let size = picture.size();
        let visible = scene.boxes().into_iter().map(|(object, bounding_box)| Visible {
            class: scene.objects[object].class,
            bounding_box,
            without: self.fit.apply(&scene.without(object).render(), size),
        });
        let visible = visible.collect();
        let name = format!("scene {number}");
        let prepared = self.analysis.prepare(&picture.into(), &name)?;
        Ok(StagedScene { number, size, prepared, truth, visible })
    }

    fn shape(&self, scene: &StagedScene) -> Size {
        self.analysis.shape(&scene.prepared)
    }

    fn run(&self, worker: &mut Worker, scenes: &[&StagedScene], timings: &mut Timings) -> Result<Vec<Trial>> {
        let prepared: Vec<&Prepared> = scenes.iter().map(|scene| &scene.prepared).collect();
        let examined = self.analysis.examine(worker, &prepared, timings)?;
        let without: Vec<&Rgb8> =
            scenes.iter().flat_map(|scene| scene.visible.iter().map(|object| &object.without)).collect();
        let Worker { loaded, batch } = worker;
        let mut answers = in_batches(&without, batch, |batch| predict(&*loaded.network, batch))?.into_iter();
        let trial = |(examined, scene): (Examined, &&StagedScene)| {
            let record = examined.record;
            let values = record.maps.iter().map(|map| map.game_of_regions().map(|game| game.values.clone())).collect();
            let mut scores: Vec<Vec<BoxScore>> = record.maps.into_iter().map(|map| map.scores).collect();
            scores.push(self.random_scores(scene, &record.boxes)?);
            let (label, probability) = (record.label, f64::from(record.probabilities[record.label]));
            let effect = |(object, answer): (&Visible, Prediction)| Effect {
                class: object.class,
                bounding_box: object.bounding_box,
                drop: probability - f64::from(answer.probabilities[label]),
                flips: answer.label != label,
            };
            let own = answers.by_ref().take(scene.visible.len());
            let effects = scene.visible.iter().zip(own).map(effect).collect();
            Ok(Trial { label, truth: scene.truth, effects, boxes: record.boxes, scores, values })
        };
        examined.into_iter().zip(scenes).map(trial).collect()
    }

    fn batch_size(&self, worker: &Worker) -> usize {
        worker.batch
    }
}
