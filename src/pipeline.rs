//! The one expensive pass: decode threads, then one model thread in batches, then records in the order of the corpus.
//!
//! Every decode thread takes every T-th picture and has its own bounded channel; the model thread reads the channels in
//! turn. So pictures arrive in order, and the pictures in memory are bounded, without any further bookkeeping.
//!
//! A batch always has its full size: one that is short is filled up with copies, because libtorch's results differ in
//! their last digits from one batch size to another, but neither with the place in a batch nor with its other pictures.
//! That is what makes a resumed run equal an uninterrupted one byte for byte. Pictures of different shapes (`--rect`)
//! share no batch: the module `gather` has the rule.

mod gather;

use crate::config::Config;
use crate::corpus::{Enough, Source};
use crate::detect::{Detection, Detector};
use crate::emotion::{answers, logits, Card, Emotion, EmotionModel, Regression};
use crate::explain::{explain, HeadPass, Maps, Network};
use crate::image::{resize, Canvas, Filter, Letterbox, Picture, Rgb8, Size};
use crate::random::Random;
use crate::record::{BoxRecord, ImageRecord, MapRecord, RecordWriter};
use crate::run::{Failure, Timings};
use crate::score::Scorer;
use crate::{Error, Result};
use gather::{Ending, Gathering, InOrder};
use rayon::prelude::*;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
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

/// A pass over pictures.
pub struct Pass<'a> {
    /// The pictures still to be done, in the order of the corpus.
    pub sources: &'a [&'a Source],
    /// The networks.
    pub models: Models<'a>,
    /// What to do.
    pub config: &'a Config,
    /// Decode threads, at least 1.
    pub threads: usize,
    /// Folder for the maps, when they are wanted.
    pub maps: Option<&'a Path>,
    /// Set from outside to stop after the current batch.
    pub stop: &'a AtomicBool,
}

/// How far a pass is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Pictures done in this pass.
    pub done: usize,
    /// Pictures that failed in this pass.
    pub failed: usize,
}

impl Pass<'_> {
    /// Runs the pass, appending records to `writer`; `report` is called after every batch. Returns the failures, in the
    /// order of the corpus, and the times.
    ///
    /// # Errors
    /// A network cannot be run, or a record cannot be written. What was appended is safe.
    pub fn run(&self, writer: &mut RecordWriter, report: &mut dyn FnMut(Progress)) -> Result<(Vec<Failure>, Timings)> {
        let threads = self.threads.clamp(1, self.sources.len().max(1));
        let decoding = Decoding {
            sources: self.sources,
            config: self.config,
            detector: self.models.detector.canvas(self.config.detector.rect),
            emotion: self.models.emotion.input(),
        };
        // Enough for each thread to work ahead while a batch is in the networks.
        let ahead = self.config.compute.batch.div_ceil(threads) + 1;
        std::thread::scope(|scope| {
            let receivers: Vec<Receiver<Result<Prepared, Failure>>> = (0..threads)
                .map(|thread| {
                    let (sender, receiver) = sync_channel(ahead);
                    scope.spawn(move || decoding.every(thread, threads, &sender));
                    receiver
                })
                .collect();
            self.consume(&receivers, writer, report)
        })
    }

    fn consume(
        &self,
        receivers: &[Receiver<Result<Prepared, Failure>>],
        writer: &mut RecordWriter,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(Vec<Failure>, Timings)> {
        let (mut failures, mut timings, begin) = (Vec::new(), Timings::default(), Instant::now());
        let (mut gathering, mut order) = (Gathering::new(self.config.compute.batch), InOrder::new());
        for (at, source) in self.sources.iter().enumerate() {
            let clock = Instant::now();
            let prepared =
                receivers[at % receivers.len()].recv().expect("a decode thread sends every picture of its own");
            timings.waiting += clock.elapsed().as_secs_f64();
            match prepared {
                Ok(prepared) => gathering.push(prepared.canvas(), (*source, prepared)),
                Err(failure) => failures.push(failure),
            }
            let stop = self.stop.load(Ordering::Relaxed);
            let ending = match at + 1 == self.sources.len() {
                true => Ending::All,
                false if stop => Ending::Stop,
                false => Ending::No,
            };
            while let Some(batch) = gathering.next(ending) {
                self.finish_batch(&batch, &mut order, writer, &mut timings)?;
                report(Progress { done: timings.images, failed: failures.len() });
            }
            if stop {
                break;
            }
        }
        timings.total = begin.elapsed().as_secs_f64();
        Ok((failures, timings))
    }

    /// Examines a batch and writes the records that are due, and maps before them: a picture with a record has its maps.
    fn finish_batch(
        &self,
        batch: &[(usize, (&Source, Prepared))],
        order: &mut InOrder<ImageRecord>,
        writer: &mut RecordWriter,
        timings: &mut Timings,
    ) -> Result<()> {
        let mut filled: Vec<&Prepared> = batch.iter().map(|(_, (_, prepared))| prepared).collect();
        let last = *filled.last().expect("a batch has pictures");
        filled.resize(self.config.compute.batch, last);
        let mut examined = examine(&filled, self.models, self.config, timings)?;
        examined.records.truncate(batch.len());
        let clock = Instant::now();
        for (record, (_, (source, _))) in examined.records.iter_mut().zip(batch) {
            record.path.clone_from(&source.path);
        }
        if let Some(folder) = self.maps {
            for (at, record) in examined.records.iter().enumerate() {
                crate::run::save_maps(folder, record, examined.maps.iter().map(|maps| (maps.size, &maps.values[at])))?;
            }
        }
        batch.iter().zip(examined.records).for_each(|((number, _), record)| order.push(*number, record));
        let due = order.due();
        if !due.is_empty() {
            writer.append(&due)?;
        }
        timings.write += clock.elapsed().as_secs_f64();
        timings.images += due.len();
        Ok(())
    }
}

/// What the decode threads need, which is no network.
#[derive(Clone, Copy)]
struct Decoding<'a> {
    sources: &'a [&'a Source],
    config: &'a Config,
    detector: Canvas,
    emotion: Size,
}

impl Decoding<'_> {
    /// Decodes the pictures `thread`, `thread + threads`, ... until all are done or nobody listens.
    fn every(self, thread: usize, threads: usize, sender: &SyncSender<Result<Prepared, Failure>>) {
        for source in self.sources.iter().skip(thread).step_by(threads) {
            // A crash of a decoder is that picture's failure, not the run's.
            let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare(source))).unwrap_or_else(|_| {
                Err(Error::file(&source.place(), "the decoder crashed on this file; please report it with the file"))
            });
            let prepared = prepared.map_err(|error| Failure {
                path: source.path.clone(),
                stage: "decode".into(),
                cause: in_one_line(&error),
            });
            if sender.send(prepared).is_err() {
                return;
            }
        }
    }

    fn prepare(&self, source: &Source) -> Result<Prepared> {
        let enough = Enough { letterboxed: self.detector.size, squashed: self.emotion };
        let picture = source.decode(&self.config.corpus.decoding(enough))?;
        Ok(Prepared::new(&picture, &source.path, self.detector, self.emotion, self.config))
    }
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
