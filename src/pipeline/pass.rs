//! The one expensive pass: decode threads, model threads in batches, results in the order of the
//! pictures.
//!
//! Every decode thread takes every T-th picture and has its own bounded channel; one thread reads
//! them in turn and makes batches, which the model threads get in turn, each by a channel of its
//! own; the calling thread takes what they found in turn. So batches arrive in order, and the
//! pictures in memory are bounded, without any further bookkeeping. Pictures of one shape go
//! together (the module `gather`). What is done with a picture is a [`Stage`]'s business.

use super::gather::{Ending, Gathering, InOrder};
use crate::image::Size;
use crate::run::{Failure, Timings};
use crate::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;
use tch::Device;

/// What a pass does with every picture.
pub trait Stage: Sync {
    /// Names a picture that is still to be done.
    type Item: Sync;
    /// A picture decoded and ready for the networks; it is kept until its result is taken.
    type Prepared: Send;
    /// The networks of a model thread.
    type Worker: Send;
    /// What comes of a picture.
    type Outcome: Send;

    /// The picture's path, as in every table, and where it is, for messages.
    fn name(&self, item: &Self::Item) -> (String, PathBuf);

    /// Decodes and prepares a picture, on a decode thread.
    ///
    /// # Errors
    /// The picture's own: its row of the failures.
    fn prepare(&self, item: &Self::Item) -> Result<Self::Prepared, Failure>;

    /// Pictures of different shapes share no batch.
    fn shape(&self, prepared: &Self::Prepared) -> Size;

    /// What comes of a batch of pictures of one shape, one entry each, on a model thread. `timings`
    /// are added to.
    ///
    /// # Errors
    /// The run's: a network cannot be run.
    fn run(
        &self,
        worker: &mut Self::Worker,
        batch: &[&Self::Prepared],
        timings: &mut Timings,
    ) -> Result<Vec<Self::Outcome>>;

    /// Pictures that the worker's networks take at a time by now: fewer than configured since
    /// memory ran out.
    fn batch_size(&self, worker: &Self::Worker) -> usize;
}

/// Model threads a GPU: it computes for one while the others prepare their batches, suppress and
/// score boxes, fit LIME-CAM's models or draw changed pictures on the processor. All queue their
/// work on one stream. On an H100 with 16 cores three made 15 % more of it than two in `analyze`
/// (398 and 346 pictures a second), in 7.0 instead of 4.9 GB with 32 pictures a batch.
const THREADS_A_GPU: usize = 3;

/// One set of networks a model thread: `first`, and others that `on` makes of it, which share its
/// tensors where they are on its device. The CPU has one thread, whose batches fill its cores.
///
/// # Errors
/// Whatever `on` reports.
///
/// # Panics
/// Without devices.
pub fn workers_on<W>(
    first: W,
    devices: &[Device],
    on: impl Fn(&W, Device) -> Result<W>,
) -> Result<Vec<W>> {
    let threads = |device: &Device| if device.is_cuda() { THREADS_A_GPU } else { 1 };
    // The devices in turn, so that the first batches go to different ones.
    let turns = (0..THREADS_A_GPU)
        .flat_map(|turn| devices.iter().filter(move |device| turn < threads(device)));
    let others = turns.skip(1).map(|&device| on(&first, device)).collect::<Result<Vec<_>>>()?;
    Ok(std::iter::once(first).chain(others).collect())
}

/// A pass over pictures.
#[derive(Debug)]
pub struct Pass<'a, S: Stage> {
    /// What is done.
    pub stage: &'a S,
    /// The pictures still to be done, in the order of the corpus.
    pub items: &'a [S::Item],
    /// The networks: one set a model thread, all with the same weights. One on the CPU, whose cores
    /// one batch fills; several a GPU, which computes for the one while the others are at work on
    /// the processor.
    pub workers: &'a mut [S::Worker],
    /// Pictures that are handed to a model thread at a time.
    pub batch: usize,
    /// Decode threads, at least 1.
    pub threads: usize,
    /// Set from outside to stop after the batches at hand.
    pub stop: &'a AtomicBool,
}

/// How far a pass is.
#[derive(Debug, Clone, Copy)]
pub struct PassProgress {
    /// Pictures done in this pass.
    pub done: usize,
    /// Pictures that failed in this pass.
    pub failed: usize,
    /// Pictures a batch; fewer than configured since memory ran out.
    pub batch: usize,
    /// Where the time went so far.
    pub timings: Timings,
}

/// A picture with its result.
#[derive(Debug)]
pub struct Done<'a, S: Stage + ?Sized> {
    /// Which picture.
    pub item: &'a S::Item,
    /// As it went into the networks.
    pub prepared: S::Prepared,
    /// What came of it.
    pub outcome: S::Outcome,
}

/// A picture of the pass, decoded.
type DecodedItem<'a, S> = (&'a <S as Stage>::Item, <S as Stage>::Prepared);

/// Pictures of one shape for a model thread, with their numbers among those that could be decoded.
struct Batch<'a, S: Stage> {
    pictures: Vec<(usize, DecodedItem<'a, S>)>,
    /// What could not be decoded since the batch before.
    failures: Vec<Failure>,
}

/// What a model thread makes of a batch.
struct BatchDone<'a, S: Stage> {
    done: Vec<(usize, Done<'a, S>)>,
    failures: Vec<Failure>,
    batch: usize,
    timings: Timings,
}

impl<'a, S: Stage> Pass<'a, S> {
    /// Runs the pass. `take` gets the results that are due, in the order of the pictures, after
    /// every batch, and how far the pass is. Returns the failures, in the order of the pictures,
    /// and the times.
    ///
    /// # Errors
    /// A network cannot be run; whatever `take` returns.
    ///
    /// # Panics
    /// Without workers.
    pub fn run(
        self,
        take: &mut dyn FnMut(Vec<Done<'a, S>>, PassProgress) -> Result<()>,
    ) -> Result<(Vec<Failure>, Timings)> {
        let Self { stage, items, workers, batch, threads, stop } = self;
        let threads = threads.clamp(1, items.len().max(1));
        let busy = AtomicU64::new(0);
        // Enough for each thread to work ahead while every model thread has a batch.
        let ahead = (batch * workers.len()).div_ceil(threads) + 1;
        let network_threads = tch::get_num_threads();
        let timings =
            Timings { decode_threads: threads, model_threads: workers.len(), ..Timings::default() };
        let mut ending = Taking { take, order: InOrder::new(), failures: Vec::new(), timings };
        std::thread::scope(|scope| {
            let (mut decoded, mut to_models, mut from_models) =
                (Vec::new(), Vec::new(), Vec::new());
            for thread in 0..threads {
                let (sender, receiver) = sync_channel(ahead);
                let (own, busy) = (items.iter().skip(thread).step_by(threads), &busy);
                scope.spawn(move || decode(stage, own, busy, &sender));
                decoded.push(receiver);
            }
            for worker in workers {
                let ((sender, batches), (done, receiver)) = (sync_channel(1), sync_channel(1));
                scope.spawn(move || {
                    // libtorch keeps this number for every thread anew.
                    tch::set_num_threads(network_threads);
                    work(stage, worker, &batches, &done);
                });
                to_models.push(sender);
                from_models.push(receiver);
            }
            scope.spawn(move || hand_out(stage, items, batch, stop, &decoded, &to_models));
            let begin = Instant::now();
            let clock = |timings: &mut Timings| {
                timings.total = begin.elapsed().as_secs_f64();
                timings.decode = busy.load(Ordering::Relaxed) as f64 / 1e9;
            };
            for turn in 0.. {
                // A channel closes when the batches are at an end, or when its thread panicked,
                // which the scope passes on.
                let Ok(done) = from_models[turn % from_models.len()].recv() else { break };
                clock(&mut ending.timings);
                ending.batch(done?)?;
            }
            clock(&mut ending.timings);
            Ok((ending.failures, ending.timings))
        })
    }
}

/// Makes batches of `size` and hands them to the model threads in turn, until all are handed out,
/// `stop` is set, or nobody listens.
fn hand_out<'a, S: Stage>(
    stage: &S,
    items: &'a [S::Item],
    size: usize,
    stop: &AtomicBool,
    decoded: &[Receiver<Result<S::Prepared, Failure>>],
    to_models: &[SyncSender<Batch<'a, S>>],
) {
    let (mut gathering, mut failures, mut turn) = (Gathering::new(size), Vec::new(), 0);
    let mut hand = |batch: Batch<'a, S>| {
        turn += 1;
        to_models[(turn - 1) % to_models.len()].send(batch).is_ok()
    };
    for (number, item) in items.iter().enumerate() {
        // A channel closes early when its thread panicked, which the scope passes on.
        let Ok(prepared) = decoded[number % decoded.len()].recv() else { return };
        match prepared {
            Ok(prepared) => gathering.push(stage.shape(&prepared), (item, prepared)),
            Err(failure) => failures.push(failure),
        }
        let stopped = stop.load(Ordering::Relaxed);
        let ending = match number + 1 == items.len() {
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
fn work<'a, S: Stage>(
    stage: &S,
    worker: &mut S::Worker,
    batches: &Receiver<Batch<'a, S>>,
    done: &SyncSender<Result<BatchDone<'a, S>>>,
) {
    loop {
        let clock = Instant::now();
        let Ok(Batch { pictures, failures }) = batches.recv() else { return };
        let mut timings = Timings { waiting: clock.elapsed().as_secs_f64(), ..Timings::default() };
        let prepared: Vec<&S::Prepared> =
            pictures.iter().map(|(_, (_, prepared))| prepared).collect();
        let outcomes = if prepared.is_empty() {
            Ok(Vec::new())
        } else {
            stage.run(worker, &prepared, &mut timings)
        };
        let result = outcomes.map(|outcomes| BatchDone {
            done: pictures
                .into_iter()
                .zip(outcomes)
                .map(|((number, (item, prepared)), outcome)| {
                    (number, Done { item, prepared, outcome })
                })
                .collect(),
            failures,
            batch: stage.batch_size(worker),
            timings,
        });
        let failed = result.is_err();
        if done.send(result).is_err() || failed {
            return;
        }
    }
}

/// Decodes `items` until all are done or nobody listens; `busy` counts the nanoseconds of work of
/// all threads.
fn decode<'a, S: Stage + 'a>(
    stage: &S,
    items: impl Iterator<Item = &'a S::Item>,
    busy: &AtomicU64,
    sender: &SyncSender<Result<S::Prepared, Failure>>,
) {
    for item in items {
        let clock = Instant::now();
        // A crash of a decoder is that picture's failure, not the run's.
        let prepared =
            catch_unwind(AssertUnwindSafe(|| stage.prepare(item))).unwrap_or_else(|_| {
                let (path, place) = stage.name(item);
                let message = "the decoder crashed on this file; please report it with the file";
                Err(Failure::new(&path, "decode", &Error::file(&place, message)))
            });
        busy.fetch_add(clock.elapsed().as_nanos() as u64, Ordering::Relaxed);
        if sender.send(prepared).is_err() {
            return;
        }
    }
}

/// The end of the pass: results in order, failures and times added up.
struct Taking<'t, 'a, S: Stage> {
    take: &'t mut dyn FnMut(Vec<Done<'a, S>>, PassProgress) -> Result<()>,
    order: InOrder<Done<'a, S>>,
    failures: Vec<Failure>,
    timings: Timings,
}

impl<'a, S: Stage> Taking<'_, 'a, S> {
    fn batch(&mut self, batch: BatchDone<'a, S>) -> Result<()> {
        let BatchDone { done, failures, batch, timings } = batch;
        let clock = Instant::now();
        done.into_iter().for_each(|(number, done)| self.order.push(number, done));
        let due = self.order.due();
        self.failures.extend(failures);
        self.timings.add(&timings);
        self.timings.images += due.len();
        let (done, failed) = (self.timings.images, self.failures.len());
        (self.take)(due, PassProgress { done, failed, batch, timings: self.timings })?;
        self.timings.write += clock.elapsed().as_secs_f64();
        Ok(())
    }
}
