//! The one expensive pass: decode threads, model threads in batches, then records in the order of the corpus.
//!
//! Every decode thread takes every T-th picture and has its own bounded channel; one thread reads them in turn and makes
//! batches, which the model threads get in turn, each by a channel of its own; the calling thread takes what they found in
//! turn. So batches arrive in order, and the pictures in memory are bounded, without any further bookkeeping. Pictures of one
//! shape go together (the module `gather`).

use super::gather::{Ending, Gathering, InOrder};
use super::{examine_in_memory, in_one_line, Examined, Models, Prepared};
use crate::attribution::Maps;
use crate::config::Config;
use crate::corpus::{Enough, Source};
use crate::image::{Canvas, Size};
use crate::load::Loaded;
use crate::networks::EmotionModel;
use crate::regions::darknet::Detector;
use crate::run::record::{ImageRecord, RecordWriter};
use crate::run::{Failure, Timings};
use crate::{Error, Result};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::time::Instant;

/// A pass over pictures.
pub struct Pass<'a> {
    /// The pictures still to be done, in the order of the corpus.
    pub sources: &'a [&'a Source],
    /// The networks: one set a model thread, all with the same weights. One on the CPU, whose cores one batch fills; two a
    /// GPU, which computes for the one while the other is at work on the processor.
    pub models: &'a mut [Loaded],
    /// What to do.
    pub config: &'a Config,
    /// Decode threads, at least 1.
    pub threads: usize,
    /// Folder for the maps, when they are wanted.
    pub maps: Option<&'a Path>,
    /// Set from outside to stop after the batches at hand.
    pub stop: &'a AtomicBool,
}

/// How far a pass is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Pictures done in this pass.
    pub done: usize,
    /// Pictures that failed in this pass.
    pub failed: usize,
    /// Pictures a batch; fewer than configured since memory ran out.
    pub batch: usize,
    /// Where the time went so far.
    pub timings: Timings,
}

/// A picture on its way to a model thread.
type Waiting<'a> = (&'a Source, Prepared);

/// Pictures of one shape for a model thread, with their numbers.
struct Batch<'a> {
    pictures: Vec<(usize, Waiting<'a>)>,
    /// What could not be decoded since the batch before.
    failures: Vec<Failure>,
}

/// What a model thread makes of it.
struct Found<'a> {
    sources: Vec<(usize, &'a Source)>,
    failures: Vec<Failure>,
    examined: Examined,
    /// Pictures a batch.
    batch: usize,
    timings: Timings,
}

impl<'a> Pass<'a> {
    /// Runs the pass, appending records to `writer`; `report` is called after every batch. Returns the failures, in the
    /// order of the corpus, and the times.
    ///
    /// # Errors
    /// A network cannot be run, or a record cannot be written. What was appended is safe.
    ///
    /// # Panics
    /// Without networks.
    pub fn run(self, writer: &mut RecordWriter, report: &mut dyn FnMut(Progress)) -> Result<(Vec<Failure>, Timings)> {
        let Self { sources, models, config, threads, maps, stop } = self;
        let threads = threads.clamp(1, sources.len().max(1));
        let (detector, emotion) = (models[0].detector.canvas(config.detector.rect), models[0].emotion.input());
        let busy = AtomicU64::new(0);
        let decoding = Decoding { sources, config, detector, emotion, busy: &busy };
        // Enough for each thread to work ahead while every model thread has a batch.
        let ahead = (config.compute.batch * models.len()).div_ceil(threads) + 1;
        let network_threads = tch::get_num_threads();
        let (failures, timings) = (Vec::new(), Timings::default());
        let mut writing = Writing { writer, maps, report, order: InOrder::new(), failures, timings };
        writing.timings.decode_threads = threads;
        writing.timings.model_threads = models.len();
        std::thread::scope(|scope| {
            let (mut decoded, mut to_models, mut from_models) = (Vec::new(), Vec::new(), Vec::new());
            for thread in 0..threads {
                let (sender, receiver) = sync_channel(ahead);
                scope.spawn(move || decoding.every(thread, threads, &sender));
                decoded.push(receiver);
            }
            for models in models {
                let ((sender, batches), (found, receiver)) = (sync_channel(1), sync_channel(1));
                scope.spawn(move || {
                    // libtorch keeps this number for every thread anew.
                    tch::set_num_threads(network_threads);
                    work(models, config, &batches, &found);
                });
                to_models.push(sender);
                from_models.push(receiver);
            }
            scope.spawn(move || hand_out(sources, config.compute.batch, stop, &decoded, &to_models));
            let begin = Instant::now();
            for turn in 0.. {
                // A channel closes when the batches are at an end, or when its thread panicked, which the scope passes on.
                let Ok(found) = from_models[turn % from_models.len()].recv() else { break };
                writing.timings.total = begin.elapsed().as_secs_f64();
                writing.timings.decode = busy.load(Ordering::Relaxed) as f64 / 1e9;
                writing.take(found?)?;
            }
            writing.timings.total = begin.elapsed().as_secs_f64();
            writing.timings.decode = busy.load(Ordering::Relaxed) as f64 / 1e9;
            Ok((writing.failures, writing.timings))
        })
    }
}

/// Makes batches of `size` and hands them to the model threads in turn, until all are handed out, `stop` is set, or nobody
/// listens.
fn hand_out<'a>(
    sources: &[&'a Source],
    size: usize,
    stop: &AtomicBool,
    decoded: &[Receiver<Result<Prepared, Failure>>],
    to_models: &[SyncSender<Batch<'a>>],
) {
    let (mut gathering, mut failures, mut turn) = (Gathering::new(size), Vec::new(), 0);
    let mut hand = |batch: Batch<'a>| {
        turn += 1;
        to_models[(turn - 1) % to_models.len()].send(batch).is_ok()
    };
    for (at, source) in sources.iter().enumerate() {
        // A channel closes early when its thread panicked, which the scope passes on.
        let Ok(prepared) = decoded[at % decoded.len()].recv() else { return };
        match prepared {
            Ok(prepared) => gathering.push(prepared.canvas(), (*source, prepared)),
            Err(failure) => failures.push(failure),
        }
        let stopped = stop.load(Ordering::Relaxed);
        let ending = match at + 1 == sources.len() {
            true => Ending::All,
            false if stopped => Ending::Stop,
            false => Ending::No,
        };
        while let Some(pictures) = gathering.next(ending) {
            if !hand(Batch { pictures, failures: std::mem::take(&mut failures) }) {
                return;
            }
        }
        if stopped {
            break;
        }
    }
    // What failed behind the last batch; the end is the same whether anybody listens.
    hand(Batch { pictures: Vec::new(), failures });
}

/// A model thread: batch after batch, until there are no more, nobody listens, or a network fails.
fn work<'a>(models: &Loaded, config: &Config, batches: &Receiver<Batch<'a>>, found: &SyncSender<Result<Found<'a>>>) {
    let models = Models { detector: &models.detector, emotion: &models.emotion };
    let mut size = config.compute.batch;
    loop {
        let clock = Instant::now();
        let Ok(Batch { pictures, failures }) = batches.recv() else { return };
        let mut timings = Timings { waiting: clock.elapsed().as_secs_f64(), ..Timings::default() };
        let prepared: Vec<&Prepared> = pictures.iter().map(|(_, (_, prepared))| prepared).collect();
        let examined = examine_in_memory(&prepared, &mut size, models, config, &mut timings);
        let sources = pictures.iter().map(|(number, (source, _))| (*number, *source)).collect();
        let done = examined.map(|examined| Found { sources, failures, examined, batch: size, timings });
        let failed = done.is_err();
        if found.send(done).is_err() || failed {
            return;
        }
    }
}

/// The end of the pass: records and maps to the disk, failures and times added up.
struct Writing<'a> {
    writer: &'a mut RecordWriter,
    maps: Option<&'a Path>,
    report: &'a mut dyn FnMut(Progress),
    order: InOrder<ImageRecord>,
    failures: Vec<Failure>,
    timings: Timings,
}

impl Writing<'_> {
    /// Writes the records that are due, and maps before them: a picture with a record has its maps.
    fn take(&mut self, found: Found<'_>) -> Result<()> {
        let Found { sources, failures, mut examined, batch, timings } = found;
        let clock = Instant::now();
        for (record, (_, source)) in examined.records.iter_mut().zip(&sources) {
            record.path.clone_from(&source.path);
        }
        if let Some(folder) = self.maps {
            let values = examined.maps.iter().map(Maps::values).collect::<Result<Vec<_>>>()?;
            for (at, record) in examined.records.iter().enumerate() {
                let maps = examined.maps.iter().zip(&values).map(|(of, values)| (of.size(), &values[at]));
                crate::run::save_maps(folder, record, maps)?;
            }
        }
        sources.iter().zip(examined.records).for_each(|((number, _), record)| self.order.push(*number, record));
        let due = self.order.due();
        if !due.is_empty() {
            self.writer.append(&due)?;
        }
        self.failures.extend(failures);
        self.timings.add(&timings);
        self.timings.write += clock.elapsed().as_secs_f64();
        self.timings.images += due.len();
        let (done, failed) = (self.timings.images, self.failures.len());
        (self.report)(Progress { done, failed, batch, timings: self.timings });
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
    /// Nanoseconds of work, all threads added.
    busy: &'a AtomicU64,
}

impl Decoding<'_> {
    /// Decodes the pictures `thread`, `thread + threads`, ... until all are done or nobody listens.
    fn every(self, thread: usize, threads: usize, sender: &SyncSender<Result<Prepared, Failure>>) {
        for source in self.sources.iter().skip(thread).step_by(threads) {
            let clock = Instant::now();
            // A crash of a decoder is that picture's failure, not the run's.
            let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare(source))).unwrap_or_else(|_| {
                Err(Error::file(&source.place(), "the decoder crashed on this file; please report it with the file"))
            });
            let prepared = prepared.map_err(|error| Failure {
                path: source.path.clone(),
                stage: "decode".into(),
                cause: in_one_line(&error),
            });
            self.busy.fetch_add(clock.elapsed().as_nanos() as u64, Ordering::Relaxed);
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
