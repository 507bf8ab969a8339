//! What happens to a picture, from pixels to its record: both networks, all maps, scores. [`Pass`] does it to a corpus.
//!
//! A batch always has its full size: one that is short is filled up with copies, because libtorch's results differ in
//! their last digits from one batch size to another, but neither with the place in a batch nor with its other pictures.
//! That is what makes a resumed run equal an uninterrupted one byte for byte. Pictures of different shapes (`--rect`)
//! share no batch: the module `gather` has the rule.

mod gather;
mod pass;
#[cfg(test)]
mod tests;

pub use pass::{Pass, Progress};

use crate::attribution::{explain, HeadPass, Maps, Method, Network};
use crate::config::Config;
use crate::image::{resize, BoundingBox, Canvas, Filter, Letterbox, Picture, Rgb8, Size};
use crate::networks::{answers, values, Card, Emotion, EmotionModel, Regression};
use crate::random::Random;
use crate::regions::darknet::{Detection, Detector};
use crate::run::record::{BoxRecord, ImageRecord, MapRecord};
use crate::run::Timings;
use crate::score::{scores_on_device, BoxScore, Scorer};
use crate::{Error, Result};
use rayon::prelude::*;
use std::time::Instant;
use tch::Tensor;

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
    let values = values(models.emotion, &models.emotion.activation(&input)?)?;
    let emotions = answers(&values[values.len() - 1])?;
    timings.emotion += clock.elapsed().as_secs_f64();

    let clock = Instant::now();
    let fixed = config.cam.class.index(&models.emotion.card().labels)?;
    let classes: Vec<usize> = emotions.iter().map(|emotion| fixed.unwrap_or(emotion.label)).collect();
    let seeds: Vec<u64> = batch.iter().map(|prepared| prepared.seed).collect();
    let (body, head) = (models.emotion.body(), models.emotion.head());
    let network = Network { input: &input, body, head, values: &values };
    let pass = HeadPass::new(network, config.cam.options(), &classes, &seeds);
    let size = models.emotion.input();
    let methods = config.cam.methods.iter();
    let maps = methods.map(|&method| explain(method, &pass, size)).collect::<Result<Vec<_>>>()?;
    timings.explain += clock.elapsed().as_secs_f64();

    let clock = Instant::now();
    let found: Vec<Found> =
        batch.iter().zip(&detections).map(|(of, detections)| Found::new(of.letterbox, detections)).collect();
    let scores = scores(batch, &found, &maps)?;
    let card = models.emotion.card();
    let map_records =
        scores.into_iter().enumerate().map(|(at, scores)| map_records(&config.cam.methods, &maps, at, scores));
    let records = found.into_iter().zip(batch).zip(&emotions).zip(map_records);
    let records =
        records.map(|(((found, of), emotion), maps)| found.record(of.letterbox, emotion, card, maps)).collect();
    timings.score += clock.elapsed().as_secs_f64();
    Ok(Examined { records, maps })
}

/// The detections of a picture.
struct Found {
    /// In pixels of the picture, cut to it.
    boxes: Vec<BoxRecord>,
    /// The same in pixels of the detector's canvas, whole.
    on_canvas: Vec<BoundingBox>,
    /// How many were cut.
    clipped: usize,
    /// How many lay outside and are left out.
    outside: usize,
}

impl Found {
    fn new(letterbox: Letterbox, detections: &[Detection]) -> Self {
        let (width, height) = (letterbox.original.width as f32, letterbox.original.height as f32);
        let mut found = Self { boxes: Vec::new(), on_canvas: Vec::new(), clipped: 0, outside: 0 };
        for &Detection { class, confidence, bounding_box } in detections {
            let whole = letterbox.to_original(&bounding_box);
            match whole.clip(width, height) {
                Some(inside) => {
                    found.clipped += usize::from(inside != whole);
                    found.boxes.push(BoxRecord { class, confidence, bounding_box: inside });
                    found.on_canvas.push(bounding_box);
                }
                None => found.outside += 1,
            }
        }
        found
    }

    fn record(self, letterbox: Letterbox, emotion: &Emotion, card: &Card, maps: Vec<MapRecord>) -> ImageRecord {
        let predict = |regression: &Option<Regression>| {
            regression.as_ref().map(|regression| regression.predict(&emotion.probabilities) as f32)
        };
        ImageRecord {
            path: String::new(),
            width: letterbox.original.width,
            height: letterbox.original.height,
            label: emotion.label,
            probabilities: emotion.probabilities.clone(),
            valence: predict(&card.valence),
            arousal: predict(&card.arousal),
            clipped: self.clipped,
            outside: self.outside,
            maps,
            boxes: self.boxes,
        }
    }
}

/// Scores by picture, method and box: where the maps are, on a GPU or on the processor's cores.
fn scores(batch: &[&Prepared], found: &[Found], maps: &[Maps]) -> Result<Vec<Vec<Vec<BoxScore>>>> {
    let Some(size) = maps.first().map(Maps::size) else { return Ok(vec![Vec::new(); batch.len()]) };
    let scorers: Vec<Scorer> = batch.par_iter().map(|of| Scorer::new(of.letterbox, size)).collect();
    let boxes: Vec<&[BoundingBox]> = found.iter().map(|found| found.on_canvas.as_slice()).collect();
    let tensors: Vec<&Tensor> = maps.iter().map(Maps::tensor).collect();
    if tensors.iter().all(|maps| maps.device().is_cuda()) {
        return scores_on_device(&scorers, &tensors, &boxes).map_err(Error::torch("scoring boxes"));
    }
    let values = maps.iter().map(Maps::values).collect::<Result<Vec<_>>>()?;
    let of = |at: usize| {
        let by_method = values.iter().map(|maps| {
            let placed = scorers[at].place(&maps[at]);
            boxes[at].iter().map(|on_canvas| placed.score(on_canvas)).collect()
        });
        by_method.collect()
    };
    Ok((0..batch.len()).into_par_iter().map(of).collect())
}

/// What is kept of the maps of the picture at `at` in its batch.
fn map_records(methods: &[Method], maps: &[Maps], at: usize, scores: Vec<Vec<BoxScore>>) -> Vec<MapRecord> {
    let each = methods.iter().zip(maps).zip(scores);
    each.map(|((method, maps), scores)| MapRecord {
        method: method.to_string(),
        flat: maps.flat[at],
        error: maps.errors.as_ref().map(|errors| errors[at]),
        mean: maps.means[at],
        scores,
    })
    .collect()
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
        for (at, maps) in examined.maps.into_iter().enumerate() {
            let maps = maps.first(batch.len())?;
            match all.maps.get_mut(at) {
                Some(all) => all.append(maps)?,
                None => all.maps.push(maps),
            }
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
