//! Asking about scenes: every one is drawn, explained, and asked about again without each of its
//! objects.

use super::record::{TrialRecord, scene_name};
use super::trial::{Effect, Trial, World};
use crate::attribution::finish;
use crate::config::Config;
use crate::image::{BoundingBox, Canvas, Extent, Fit, Rgb8, Size};
use crate::load::Loaded;
use crate::networks::{Prediction, predict};
use crate::pipeline::{Analysis, Examined, Prepared, Stage, Worker, in_batches};
use crate::random::Random;
use crate::run::record::BoxRecord;
use crate::run::{Failure, Run, Timings};
use crate::score::{BoxScore, MapGrid, MapScores, OtherMaps, Scorer};
use crate::world::Scene;
use crate::{Error, Result};
use std::path::PathBuf;
use tch::Tensor;

/// Side of the random map's grid, that of conv5.
const RANDOM_SIDE: usize = 13;

/// Draws scenes and takes every object out of each: the stage of `validate` for a pass over the
/// numbers of scenes.
#[derive(Debug)]
pub struct TrialStage<'a> {
    world: World<'a>,
    config: &'a Config,
    analysis: Analysis<'a>,
    fit: Fit,
    canvas: Canvas,
}

impl<'a> TrialStage<'a> {
    /// In this world, with these networks.
    pub fn new(world: World<'a>, loaded: &Loaded, config: &'a Config) -> Self {
        let (fit, canvas) = (loaded.network.card().fit, loaded.regions.finder().canvas);
        let analysis = Analysis::new(loaded, config, false).without_errors();
        Self { world, config, analysis, fit, canvas }
    }

    /// What is kept of a map that knows nothing: uniform random numbers on conv5's grid, finished
    /// like any other map.
    fn random_scores(&self, staged: &StagedScene, boxes: &[BoxRecord]) -> Result<MapScores> {
        let mut random =
            Random::of_text(self.world.seed, &format!("random map of scene {}", staged.number));
        let raw: Vec<f32> =
            (0..RANDOM_SIDE * RANDOM_SIDE).map(|_| random.uniform(0.0, 1.0) as f32).collect();
        let side = RANDOM_SIDE as i64;
        let maps = Tensor::f_from_slice(&raw)
            .and_then(|raw| finish(&raw.f_reshape([1, side, side])?, self.fit.input))
            .map_err(Error::torch("drawing a random map"))?;
        let letterbox = self.canvas.letterbox(staged.size);
        let area = self.config.regions.box_area;
        let scorer = Scorer::new(&self.fit.placement(staged.size), maps.size(), letterbox, area);
        let extents: Vec<Extent> = boxes.iter().map(|found| found.bounding_box.into()).collect();
        let cover = scorer.cover(extents.iter().map(|extent| (extent, None)));
        Ok(scorer.place(&maps.values()?[0]).scores(&extents, &cover))
    }
}

impl TrialStage<'_> {
    /// What can be taken out of the scene.
    fn visible(&self, scene: &Scene, size: Size) -> Vec<Visible> {
        let without = |scene: Scene| self.fit.apply(&scene.render(), size);
        let objects = scene.boxes();
        let whole = |&(object, bounding_box): &(usize, BoundingBox)| Visible {
            class: scene.objects[object].class,
            whole: None,
            bounding_box,
            without: without(scene.without(object)),
        };
        let mut visible: Vec<Visible> = objects.iter().map(whole).collect();
        if self.world.parts {
            visible.extend(scene.part_boxes().into_iter().map(|part| {
                Visible {
                    class: part.kind.class(),
                    whole: objects
                        .iter()
                        .position(|(object, _)| *object == part.object)
                        .map(|place| (scene.objects[part.object].class, place)),
                    bounding_box: part.bounding_box,
                    without: without(scene.without_part(part.object, part.part)),
                }
            }));
        }
        if self.world.has_background() && !scene.ambience.is_usual() {
            let BoxRecord { class, bounding_box, .. } = self.background(size);
            visible.push(Visible {
                class,
                whole: None,
                bounding_box,
                without: without(scene.in_usual_ambience()),
            });
        }
        visible
    }

    /// The background as if it had been found.
    fn background(&self, size: Size) -> BoxRecord {
        let bounding_box = BoundingBox::new(0.0, 0.0, size.width as f32, size.height as f32);
        let class = self.world.things().len() - 1;
        BoxRecord { class, confidence: 1.0, bounding_box, extent: bounding_box.into(), rle: None }
    }
}

/// The trials of all scenes of `run`, which is one of `emocam validate`, in the order of their
/// numbers.
///
/// # Errors
/// Its records cannot be read.
pub fn trials_of_run(run: &Run) -> Result<Vec<Trial>> {
    let mut records = Vec::new();
    run.for_each_record_in_order(|record: &TrialRecord| {
        records.push(record.clone());
        Ok(())
    })?;
    Ok(trials(records))
}

/// The trials of scenes, in their order, each with what its maps are beside those of the others.
pub fn trials(records: Vec<TrialRecord>) -> Vec<Trial> {
    let name = |number: usize| format!("scene {number}");
    let mut maps = OtherMaps::default();
    for (number, record) in records.iter().enumerate() {
        maps.add(&name(number), record.grids.iter().copied());
    }
    let sample = maps.sample();
    let compare =
        |(number, TrialRecord { path: _, mut trial, size, grids }): (usize, TrialRecord)| {
            let own = name(number);
            let of_method = |(method, grid): (usize, &Option<MapGrid>)| {
                let score = |found: &BoxRecord| {
                    let edges = found.bounding_box.shares(size);
                    sample.as_ref()?.score(method, &own, grid.as_ref()?, edges)
                };
                trial.boxes.iter().map_while(score).collect()
            };
            trial.chance = grids.iter().enumerate().map(of_method).collect();
            trial
        };
    records.into_iter().enumerate().map(compare).collect()
}

/// What can be seen and taken out, and the scene without it as the explained network takes it.
#[derive(Debug)]
struct Visible {
    class: usize,
    whole: Option<(usize, usize)>,
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
    type Outcome = TrialRecord;

    fn name(&self, number: &u64) -> (String, PathBuf) {
        let name = scene_name(*number);
        (name.clone(), name.into())
    }

    fn prepare(&self, &number: &u64) -> Result<StagedScene, Failure> {
        let World { graph, seed, style, .. } = self.world;
        let scene = Scene::draw(graph, seed, number, style);
        let truth = graph.label(&scene).expect("what is drawn from a graph has a label by it");
        let picture = scene.render();
        let size = picture.size();
        let visible = self.visible(&scene, size);
        let prepared = self.analysis.prepare(&picture.into(), &format!("scene {number}"))?;
        Ok(StagedScene { number, size, prepared, truth, visible })
    }

    fn shape(&self, scene: &StagedScene) -> Size {
        self.analysis.shape(&scene.prepared)
    }

    fn run(
        &self,
        worker: &mut Worker,
        scenes: &[&StagedScene],
        timings: &mut Timings,
    ) -> Result<Vec<TrialRecord>> {
        let prepared: Vec<&Prepared> = scenes.iter().map(|scene| &scene.prepared).collect();
        let examined = self.analysis.examine(worker, &prepared, timings)?;
        let without: Vec<&Rgb8> = scenes
            .iter()
            .flat_map(|scene| scene.visible.iter().map(|object| &object.without))
            .collect();
        let Worker { loaded, batch } = worker;
        let mut answers =
            in_batches(&without, batch, |batch| predict(&*loaded.network, batch))?.into_iter();
        let trial = |(examined, scene): (Examined, &&StagedScene)| {
            let record = examined.record;
            let random = self.random_scores(scene, &record.boxes)?;
            let mut grids: Vec<Option<MapGrid>> = record.maps.iter().map(|map| map.grid).collect();
            grids.push(Some(random.grid));
            let mut backgrounds: Vec<BoxScore> =
                record.maps.iter().map(|map| map.background).collect();
            backgrounds.push(random.background);
            let mut values: Vec<Option<Vec<f32>>> = Vec::new();
            let mut scores: Vec<Vec<BoxScore>> = Vec::new();
            for map in record.maps {
                let background =
                    self.world.has_background().then(|| map.game.as_ref()?.background).flatten();
                values.push(
                    map.game_of_regions()
                        .map(|game| game.values.iter().copied().chain(background).collect()),
                );
                scores.push(map.scores);
            }
            scores.push(random.boxes);
            let mut boxes = record.boxes;
            let background = self.world.has_background().then_some(boxes.len());
            if self.world.has_background() {
                boxes.push(self.background(scene.size));
                scores
                    .iter_mut()
                    .zip(backgrounds)
                    .for_each(|(scores, background)| scores.push(background));
            }
            let (label, probability) =
                (record.label, f64::from(record.probabilities[record.label]));
            let effect = |(object, answer): (&Visible, Prediction)| Effect {
                class: object.class,
                whole: object.whole,
                bounding_box: object.bounding_box,
                drop: probability - f64::from(answer.probabilities[label]),
                flips: answer.label != label,
            };
            let own = answers.by_ref().take(scene.visible.len());
            let effects = scene.visible.iter().zip(own).map(effect).collect();
            let trial = Trial {
                label,
                truth: scene.truth,
                effects,
                boxes,
                background,
                scores,
                chance: Vec::new(),
                values,
            };
            Ok(TrialRecord { path: scene_name(scene.number), trial, size: scene.size, grids })
        };
        examined.into_iter().zip(scenes).map(trial).collect()
    }

    fn batch_size(&self, worker: &Worker) -> usize {
        worker.batch
    }
}
