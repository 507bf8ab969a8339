//! One scene: what the maps say of its boxes, and what happens to the answer when an object is taken out.

use crate::attribution::finish;
use crate::config::Config;
use crate::image::{resize, BoundingBox, Canvas, Filter, Letterbox, Rgb8, Size};
use crate::networks::{answers, logits, Emotion, EmotionModel};
use crate::pipeline::{examine, Models, Prepared};
use crate::random::Random;
use crate::run::record::BoxRecord;
use crate::run::Timings;
use crate::score::{BoxScore, Scorer};
use crate::world::{Scene, Style};
use crate::{Error, Result};
use rayon::prelude::*;
use tch::Tensor;

/// Side of the random map's grid, that of conv5.
const RANDOM_SIDE: usize = 13;

/// Which scenes.
#[derive(Debug, Clone, Copy)]
pub struct World {
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
}

impl Trial {
    /// The object that makes the answer: the one with the greatest drop, if taking it out changes the answer.
    pub fn decisive(&self) -> Option<&Effect> {
        self.effects.iter().max_by(|a, b| a.drop.total_cmp(&b.drop)).filter(|effect| effect.flips)
    }
}

/// The scenes `first..first + count` of the world. `report` is called after every batch with the number of scenes done.
///
/// # Errors
/// A network could not be run.
pub fn trials(
    world: World,
    count: u64,
    models: Models<'_>,
    config: &Config,
    report: &mut dyn FnMut(u64),
) -> Result<Vec<Trial>> {
    let (mut all, mut timings) = (Vec::new(), Timings::default());
    let batch = config.compute.batch as u64;
    // Networks stay on one thread; drawing needs their sizes alone.
    let inputs = (models.detector.canvas(config.detector.rect), models.emotion.input());
    for first in (0..count).step_by(config.compute.batch) {
        let numbers: Vec<u64> = (first..(first + batch).min(count)).collect();
        let staged: Vec<Staged> =
            numbers.par_iter().map(|&number| Staged::new(world, number, inputs, config)).collect();
        // Filled up to the full size, as in a pass over a corpus: results do not depend on the number of scenes.
        let mut filled: Vec<&Prepared> = staged.iter().map(|staged| &staged.prepared).collect();
        let [.., last] = filled[..] else { break };
        filled.resize(config.compute.batch, last);
        let examined = examine(&filled, models, config, &mut timings)?;
        let without = answers_without(&staged, models.emotion, config.compute.batch)?;
        for ((record, staged), without) in examined.records.into_iter().zip(&staged).zip(without) {
            let mut scores: Vec<Vec<BoxScore>> = record.maps.into_iter().map(|map| map.scores).collect();
            scores.push(random_scores(world.seed, staged, &record.boxes, models.emotion)?);
            let (label, p) = (record.label, f64::from(record.probabilities[record.label]));
            let effect = |(object, answer): (&Visible, Emotion)| Effect {
                class: object.class,
                bounding_box: object.bounding_box,
                drop: p - f64::from(answer.probabilities[label]),
                flips: answer.label != label,
            };
            let effects = staged.visible.iter().zip(without).map(effect).collect();
            all.push(Trial { label, truth: staged.truth, effects, boxes: record.boxes, scores });
        }
        report(all.len() as u64);
    }
    Ok(all)
}

/// An object that can be seen, and the scene without it as the emotion model takes it.
struct Visible {
    class: usize,
    bounding_box: BoundingBox,
    without: Rgb8,
}

/// A scene drawn, with every object and without each.
struct Staged {
    number: u64,
    letterbox: Letterbox,
    prepared: Prepared,
    truth: usize,
    visible: Vec<Visible>,
}

impl Staged {
    fn new(world: World, number: u64, (detector, emotion): (Canvas, Size), config: &Config) -> Self {
        let scene = Scene::draw(world.seed, number, world.style);
        let picture = scene.render();
        let visible = scene.boxes().into_iter().map(|(object, bounding_box)| Visible {
            class: scene.objects[object].class,
            bounding_box,
            without: resize(&scene.without(object).render(), emotion, Filter::Bicubic),
        });
        Self {
            number,
            letterbox: detector.letterbox(picture.size()),
            prepared: Prepared::new(&picture.into(), &format!("scene {number}"), detector, emotion, config),
            truth: scene.label(),
            visible: visible.collect(),
        }
    }
}

/// What the model answers without each object of each scene.
fn answers_without(staged: &[Staged], model: &dyn EmotionModel, batch: usize) -> Result<Vec<Vec<Emotion>>> {
    let pictures: Vec<&Rgb8> = staged.iter().flat_map(|of| of.visible.iter().map(|object| &object.without)).collect();
    let mut found = Vec::with_capacity(pictures.len());
    for chunk in pictures.chunks(batch) {
        let mut filled = chunk.to_vec();
        filled.resize(batch, chunk[0]);
        found.extend(answers(&logits(model, &model.features(&filled)?)?)?.into_iter().take(chunk.len()));
    }
    let mut found = found.into_iter();
    Ok(staged.iter().map(|of| found.by_ref().take(of.visible.len()).collect()).collect())
}

/// Scores of the boxes by a map that knows nothing: uniform random numbers on conv5's grid, finished like any other map.
fn random_scores(seed: u64, staged: &Staged, boxes: &[BoxRecord], model: &dyn EmotionModel) -> Result<Vec<BoxScore>> {
    let mut random = Random::of_text(seed, &format!("random map of scene {}", staged.number));
    let raw: Vec<f32> = (0..RANDOM_SIDE * RANDOM_SIDE).map(|_| random.uniform(0.0, 1.0) as f32).collect();
    let side = RANDOM_SIDE as i64;
    let maps = Tensor::f_from_slice(&raw)
        .and_then(|raw| finish(&raw.f_reshape([1, side, side])?, model.input()))
        .map_err(Error::torch("drawing a random map"))?;
    let placed = Scorer::new(staged.letterbox, maps.size()).place(&maps.values()?[0]);
    Ok(boxes.iter().map(|of| placed.score(&staged.letterbox.to_canvas(&of.bounding_box))).collect())
}
