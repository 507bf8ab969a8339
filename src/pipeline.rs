//! What happens to a picture, from pixels to its record: both networks, all maps, scores. [`Pass`] does it to a corpus.
//!
//! A batch always has its full size: one that is short is filled up with copies, because libtorch's results differ in their last digits
//! from one batch size to another, but neither with the place in a batch nor with its other pictures. That is what makes
//! a resumed run equal an uninterrupted one byte for byte. Pictures of different shapes (`--rect`) share no batch: [`gather`]
//! has the rule.

mod gather;
mod pass;
#[cfg(test)]
mod tests;

pub use pass::{Pass, Progress};

use crate::config::Config;
use crate::detect::{Detection, Detector};
use crate::emotion::{answers, logits, Card, Emotion, EmotionModel, Regression};
use crate::explain::{explain, HeadPass, Maps, Network};
use crate::image::{resize, Canvas, Filter, Letterbox, Picture, Rgb8, Size};
use crate::random::Random;
use crate::record::{BoxRecord, ImageRecord, MapRecord};
use crate::run::Timings;
use crate::score::Scorer;
use crate::Result;
use rayon::prelude::*;
use std::time::Instant;

/// The two networks.
#[derive(Clone, Copy)]
pub struct Models<'a> {
    /// Finds objects.
    pub detector: &'a dyn Detector,
    /// Names emotions.
    pub emotion: &'a dyn EmotionModel,
}

/// A picture ready for both networks.
#[derive(Debug)]
pub struct Prepared {
    letterbox: Letterbox,
    detector: Rgb8,
    emotion: Rgb8,
    /// For methods that draw at random: of the run's seed and the picture's path, so that neither order nor threads nor a
    /// resumption change a result.
    seed: u64,
}

impl Prepared {
    /// Letterboxes and squashes the picture named `path` in the corpus.
    pub fn new(picture: &Picture, path: &str, detector: Canvas, emotion: Size, config: &Config) -> Self {
        let letterbox = detector.letterbox(picture.original);
        let seed = Random::of_text(config.cam.seed, path).next_u64();
        let config = &config.detector;
        Self {
            letterbox,
            seed,
            detector: letterbox.apply(&picture.pixels, config.letterbox_filter, config.fill()),
            emotion: resize(&picture.pixels, emotion, Filter::Bicubic),
        }
    }

    /// The size of the detector's input.
    fn canvas(&self) -> Size {
        self.letterbox.canvas
    }
}

/// What a batch came to: per picture its record without a path, per method the maps of all pictures.
#[derive(Debug)]
pub struct Examined {
    /// One a picture, `path` empty.
    pub records: Vec<ImageRecord>,
    /// One a method, in the order of the configuration.
    pub maps: Vec<Maps>,
}

/// Runs both networks, all methods and the scoring on `batch`, adding what it took to `timings`.
///
/// # Errors
/// A network could not be run.
pub fn examine(batch: &[&Prepared], models: Models<'_>, config: &Config, timings: &mut Timings) -> Result<Examined> {
    let clock = Instant::now();
    let pictures: Vec<&Rgb8> = batch.iter().map(|prepared| &prepared.detector).collect();
    let detections = models.detector.detect(&pictures)?;
    timings.detect += clock.elapsed().as_secs_f64();

    let clock = Instant::now();
    let pictures: Vec<&Rgb8> = batch.iter().map(|prepared| &prepared.emotion).collect();
    let input = models.emotion.prepare(&pictures)?;
    let activation = models.emotion.activation(&input)?;
    let emotions = answers(&logits(models.emotion, &activation)?)?;
    timings.emotion += clock.elapsed().as_secs_f64();

    let clock = Instant::now();
    let fixed = config.cam.class.index(&models.emotion.card().labels)?;
    let classes: Vec<usize> = emotions.iter().map(|emotion| fixed.unwrap_or(emotion.label)).collect();
    let seeds: Vec<u64> = batch.iter().map(|prepared| prepared.seed).collect();
    let (body, head) = (models.emotion.body(), models.emotion.head());
    let network = Network { input: &input, body, activation: &activation, head };
    let pass = HeadPass::new(network, config.cam.options(), &classes, &seeds);
    let size = models.emotion.input();
    let methods = config.cam.methods.iter();
    let maps = methods.map(|&method| explain(method, &pass, size)).collect::<Result<Vec<_>>>()?;
    timings.explain += clock.elapsed().as_secs_f64();

    let clock = Instant::now();
    let card = models.emotion.card();
    let records = (0..batch.len())
        .into_par_iter()
        .map(|at| record(batch[at].letterbox, &detections[at], &emotions[at], &maps, at, card, config))
        .collect();
    timings.score += clock.elapsed().as_secs_f64();
    Ok(Examined { records, maps })
}

/// The record of the picture at `at` in its batch.
fn record(
    letterbox: Letterbox,
    detections: &[Detection],
    emotion: &Emotion,
    maps: &[Maps],
    at: usize,
    card: &Card,
    config: &Config,
) -> ImageRecord {
    let (width, height) = (letterbox.original.width as f32, letterbox.original.height as f32);
    let mut boxes = Vec::with_capacity(detections.len());
    let mut on_canvas = Vec::with_capacity(detections.len());
    let mut clipped = 0;
    for detection in detections {
        let whole = letterbox.to_original(&detection.bounding_box);
        if let Some(inside) = whole.clip(width, height) {
            clipped += usize::from(inside != whole);
            boxes.push(BoxRecord { class: detection.class, confidence: detection.confidence, bounding_box: inside });
            on_canvas.push(detection.bounding_box);
        }
    }
    let predict = |regression: &Option<Regression>| {
        regression.as_ref().map(|regression| regression.predict(&emotion.probabilities) as f32)
    };
    let scorer = Scorer::new(letterbox, Size::new(card.input, card.input));
    let scored = config.cam.methods.iter().zip(maps).map(|(method, maps)| {
        let placed = scorer.place(&maps.values[at]);
        let mean = maps.values[at].iter().map(|&value| f64::from(value)).sum::<f64>() / maps.size.area() as f64;
        MapRecord {
            method: method.to_string(),
            flat: maps.flat[at],
            error: maps.errors.as_ref().map(|errors| errors[at]),
            mean: mean as f32,
            scores: on_canvas.iter().map(|on_canvas| placed.score(on_canvas)).collect(),
        }
    });
    ImageRecord {
        path: String::new(),
        width: letterbox.original.width,
        height: letterbox.original.height,
        label: emotion.label,
        probabilities: emotion.probabilities.clone(),
        valence: predict(&card.valence),
        arousal: predict(&card.arousal),
        clipped,
        outside: detections.len() - boxes.len(),
        maps: scored.collect(),
        boxes,
    }
}

/// [`examine`], in batches of `size` pictures. Where the memory does not suffice for one, `size` is halved, and what was done
/// is done again.
///
/// # Errors
/// A network could not be run, or not even on a single picture.
pub fn examine_in_memory(
    pictures: &[&Prepared],
    size: &mut usize,
    models: Models<'_>,
    config: &Config,
    timings: &mut Timings,
) -> Result<Examined> {
    loop {
        match examine_by(*size, pictures, models, config, timings) {
            Err(error) if error.is_out_of_memory() && *size > 1 => *size = size.div_ceil(2),
            result => return result,
        }
    }
}

fn examine_by(
    size: usize,
    pictures: &[&Prepared],
    models: Models<'_>,
    config: &Config,
    timings: &mut Timings,
) -> Result<Examined> {
    let mut all = Examined { records: Vec::with_capacity(pictures.len()), maps: Vec::new() };
    for batch in pictures.chunks(size) {
        let mut filled = batch.to_vec();
        filled.resize(size, batch[batch.len() - 1]);
        let examined = examine(&filled, models, config, timings)?;
        all.records.extend(examined.records.into_iter().take(batch.len()));
        let maps = examined.maps.into_iter().map(|maps| maps.first(batch.len()));
        if all.maps.is_empty() {
            all.maps.extend(maps);
        } else {
            all.maps.iter_mut().zip(maps).for_each(|(all, more)| all.append(more));
        }
    }
    Ok(all)
}

/// An error and its sources in one line, for a table's cell.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
