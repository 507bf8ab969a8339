//! The pass over a corpus: decode threads, then one model thread whose batches run across photos, then records in order.
//!
//! Every photo is decoded and resized once; each object, fill and spot then costs the pixels of its footprint and one input
//! of the network. As in [`crate::pipeline`] a batch always has its full size, filled up with copies, so that a resumed run
//! equals an uninterrupted one byte for byte.

use super::focus;
use super::object::PastedObject;
use super::photo::{on_box, Open, Preparation, PreparedPhoto};
use super::record::{Focus, Spot};
use super::settings::{PasteSettings, Places};
use crate::attribution::Maps;
use crate::config::Config;
use crate::corpus::Source;
use crate::image::{BoundingBox, Rgb8, Size};
use crate::networks::{answers, values, EmotionModel};
use crate::pipeline::{in_one_line, Progress};
use crate::regions::darknet::Detector;
use crate::run::record::RecordWriter;
use crate::run::{Failure, Timings};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::time::Instant;

/// Inputs of the emotion model for each photo of `compute.batch`, which counts pictures in the detector: an input costs it a
/// fifteenth of the memory. Many share one reading of the fully connected layers' weights, but with more than 16 or so at a
/// time what the first layers make no longer fits the processor's cache.
const INPUTS: usize = 4;

/// Boxes of an earlier run: per path the size of the photo and the boxes, each with the index of its class.
pub type RecordedBoxes = BTreeMap<String, (Size, Vec<(usize, BoundingBox)>)>;

/// Where the boxes of [`Places::Classes`] come from.
#[derive(Clone, Copy)]
pub enum Boxes<'a> {
    /// There are none: positions are fixed.
    None,
    /// The detector; the classes' indices, in the order of the settings.
    Detector(&'a dyn Detector, &'a [usize]),
    /// An earlier run; classes are indices into the settings' list.
    Recorded(&'a RecordedBoxes),
}

/// A pass over photos.
pub struct PastePass<'a> {
    /// The photos still to be done, in the order of the corpus.
    pub sources: &'a [&'a Source],
    /// What is pasted, in the order of the settings.
    pub objects: &'a [PastedObject],
    /// What is done.
    pub settings: &'a PasteSettings,
    /// How the networks compute, and the seed.
    pub config: &'a Config,
    /// The model that is asked.
    pub emotion: &'a dyn EmotionModel,
    /// Where boxes come from.
    pub boxes: Boxes<'a>,
    /// Decode threads, at least 1.
    pub threads: usize,
    /// Set from outside to stop after the photos at hand.
    pub stop: &'a AtomicBool,
}

impl PastePass<'_> {
    /// Runs the pass, appending records to `writer`; `report` is called after every batch. Returns the failures, in the
    /// order of the corpus, and the times.
    ///
    /// # Errors
    /// A network cannot be run, or a record cannot be written. What was appended is safe.
    pub fn run(&self, writer: &mut RecordWriter, report: &mut dyn FnMut(Progress)) -> Result<(Vec<Failure>, Timings)> {
        let threads = self.threads.clamp(1, self.sources.len().max(1));
        let (sources, preparation) = (
            self.sources,
            Preparation {
                objects: self.objects,
                settings: self.settings,
                config: self.config,
                input: self.emotion.input(),
                detector: match self.boxes {
                    Boxes::Detector(detector, _) => Some(detector.canvas(self.config.detector.rect)),
                    _ => None,
                },
            },
        );
        std::thread::scope(|scope| {
            let receivers: Vec<Receiver<Result<PreparedPhoto, Failure>>> = (0..threads)
                .map(|thread| {
                    let (sender, receiver) = sync_channel(1);
                    scope.spawn(move || decode_every(preparation, sources, (thread, threads), &sender));
                    receiver
                })
                .collect();
            self.consume(&receivers, writer, report)
        })
    }

    fn consume(
        &self,
        receivers: &[Receiver<Result<PreparedPhoto, Failure>>],
        writer: &mut RecordWriter,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(Vec<Failure>, Timings)> {
        let (mut failures, mut timings, begin) = (Vec::new(), Timings::default(), Instant::now());
        let mut open: VecDeque<Open<'_>> = VecDeque::new();
        let batch = INPUTS * self.config.compute.batch;
        let waiting = |open: &VecDeque<Open<'_>>| open.iter().map(|one| one.inputs - one.begun).sum::<usize>();
        for (at, source) in self.sources.iter().enumerate() {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let clock = Instant::now();
            let prepared =
                receivers[at % receivers.len()].recv().expect("a decode thread sends every picture of its own");
            timings.waiting += clock.elapsed().as_secs_f64();
            match prepared {
                Ok(prepared) => match self.open(source, prepared, &mut timings)? {
                    Ok(one) => open.push_back(one),
                    Err(failure) => failures.push(failure),
                },
                Err(failure) => failures.push(failure),
            }
            while waiting(&open) >= batch {
                self.batch(&mut open, batch, writer, &mut timings)?;
                report(Progress { done: timings.images, failed: failures.len(), batch, timings });
            }
        }
        while waiting(&open) > 0 {
            self.batch(&mut open, batch, writer, &mut timings)?;
            report(Progress { done: timings.images, failed: failures.len(), batch, timings });
        }
        timings.total = begin.elapsed().as_secs_f64();
        Ok((failures, timings))
    }

    /// Finds the photo's spots. The inner error is the photo's, the outer one the run's.
    fn open<'s>(
        &self,
        source: &'s Source,
        prepared: PreparedPhoto,
        timings: &mut Timings,
    ) -> Result<Result<Open<'s>, Failure>>
    where
        Self: 's,
    {
        let size = prepared.photo.image().size();
        let on_boxes = |boxes: &mut dyn Iterator<Item = (usize, BoundingBox)>| -> Vec<Spot> {
            boxes.map(|(position, of)| on_box(position, of, size)).collect()
        };
        let spots = match (&self.settings.places, self.boxes) {
            (Places::Positions(positions), _) => positions
                .iter()
                .enumerate()
                .map(|(position, at)| Spot { position, x: at.x, y: at.y, bounding_box: None })
                .collect(),
            (Places::Classes(_), Boxes::None) => Vec::new(),
            (Places::Classes(_), Boxes::Detector(detector, classes)) => {
                let clock = Instant::now();
                let boxes = self.detected(&prepared, detector, classes)?;
                timings.detect += clock.elapsed().as_secs_f64();
                on_boxes(&mut boxes.into_iter())
            }
            (Places::Classes(_), Boxes::Recorded(recorded)) => match recorded.get(&source.path) {
                Some((then, boxes)) if *then == size => on_boxes(&mut boxes.iter().copied()),
                found => {
                    let cause = match found {
                        Some((then, _)) => format!("the photo is {size}, the run with the boxes has it as {then}"),
                        None => "the run with the boxes has no record of it".into(),
                    };
                    return Ok(Err(Failure { path: source.path.clone(), stage: "boxes".into(), cause }));
                }
            },
        };
        Ok(Ok(Open::new(source, prepared, spots, &self.settings.fills)))
    }

    /// The boxes of the wanted classes over the least confidence, in pixels of the photo, by falling confidence.
    fn detected(
        &self,
        prepared: &PreparedPhoto,
        detector: &dyn Detector,
        classes: &[usize],
    ) -> Result<Vec<(usize, BoundingBox)>> {
        let Some((letterbox, canvas)) = &prepared.canvas else { return Ok(Vec::new()) };
        let (width, height) = (letterbox.original.width as f32, letterbox.original.height as f32);
        let found = detector.detect(&[canvas])?.remove(0);
        let wanted = found.iter().filter(|found| found.confidence > self.config.association.min_confidence);
        Ok(wanted
            .filter_map(|found| {
                let position = classes.iter().position(|&class| class == found.class)?;
                Some((position, letterbox.to_original(&found.bounding_box).clip(width, height)?))
            })
            .collect())
    }

    /// Composes and asks the next `size` inputs, and writes the photos that are complete then.
    fn batch(
        &self,
        open: &mut VecDeque<Open<'_>>,
        size: usize,
        writer: &mut RecordWriter,
        timings: &mut Timings,
    ) -> Result<()> {
        let clock = Instant::now();
        let mut todo = Vec::with_capacity(size);
        for (at, one) in open.iter_mut().enumerate() {
            let end = one.inputs.min(one.begun + size - todo.len());
            todo.extend((one.begun..end).map(|input| (at, input)));
            one.begun = end;
        }
        let photos = &*open;
        let composed: Vec<Rgb8> = todo.par_iter().map(|&(at, input)| photos[at].compose(input)).collect();
        *timings.compose.get_or_insert(0.0) += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let mut pictures: Vec<&Rgb8> = composed.iter().collect();
        pictures.resize(size, composed.last().expect("a batch has inputs"));
        let input = self.emotion.prepare(&pictures)?;
        let values = values(self.emotion, &self.emotion.activation(&input)?)?;
        let emotions = answers(&values[values.len() - 1])?;
        timings.emotion += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let focus = match self.settings.focus {
            Some(method) => {
                let classes: Vec<usize> = emotions.iter().map(|emotion| emotion.label).collect();
                let maps = focus::maps(method, self.emotion, self.config, (&input, &values), &classes)?;
                compare(open, &todo, &maps)?
            }
            None => vec![None; todo.len()],
        };
        timings.explain += clock.elapsed().as_secs_f64();
        // What fills up the batch is left behind here.
        for ((&(at, _), emotion), focus) in todo.iter().zip(emotions).zip(focus) {
            open[at].answers.push((emotion, focus));
        }

        let clock = Instant::now();
        let mut records = Vec::new();
        while open.front().is_some_and(|one| one.answers.len() == one.inputs) {
            records.push(open.pop_front().expect("it was there just now").record());
        }
        writer.append(&records)?;
        timings.images += records.len();
        timings.write += clock.elapsed().as_secs_f64();
        Ok(())
    }
}

/// What the maps of a batch say of each input but the originals, whose maps the others are compared with.
fn compare(open: &mut VecDeque<Open<'_>>, todo: &[(usize, usize)], maps: &Maps) -> Result<Vec<Option<Focus>>> {
    let values = maps.values()?;
    for (&(at, _), map) in todo.iter().zip(&values).filter(|((_, input), _)| *input == 0) {
        open[at].look_at(maps.size(), map);
    }
    let photos = &*open;
    Ok(todo.par_iter().zip(&values).map(|(&(at, input), map)| photos[at].focus(input, map)).collect())
}

/// Decodes the photos `thread`, `thread + threads`, ... until all are done or nobody listens.
fn decode_every(
    preparation: Preparation<'_>,
    sources: &[&Source],
    (thread, threads): (usize, usize),
    sender: &SyncSender<Result<PreparedPhoto, Failure>>,
) {
    for source in sources.iter().skip(thread).step_by(threads) {
        // A crash of a decoder is that picture's failure, not the run's.
        let prepared = catch_unwind(AssertUnwindSafe(|| preparation.prepare(source))).unwrap_or_else(|_| {
            Err(Error::file(&source.place(), "the decoder crashed on this file; please report it with the file"))
        });
        let failure = |error| Failure { path: source.path.clone(), stage: "decode".into(), cause: in_one_line(&error) };
        if sender.send(prepared.map_err(failure)).is_err() {
            return;
        }
    }
}
