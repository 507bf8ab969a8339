//! What the experiments on pictures share: the pass over what is still to be done, recorded as it
//! goes.

use super::progress::Progress;
use super::session::{say_smaller_batch, stop_on_interrupt};
use super::shard;
use emocam::names::counted;
use emocam::nn;
use emocam::pipeline::{Pass, Stage};
use emocam::run::journal::RecordWriter;
use emocam::run::record::RunRecord;
use emocam::run::{Failure, Run, Timings};
use std::sync::atomic::Ordering;

/// An experiment on all pictures of a run.
pub(super) struct Recording<'a, S: Stage> {
    pub run: &'a Run,
    pub stage: &'a S,
    /// Those that are done already are passed over.
    pub items: Vec<S::Item>,
    /// One a model thread.
    pub workers: &'a mut [S::Worker],
    /// Pictures that are at hand together.
    pub batch: usize,
    /// Decode threads.
    pub threads: usize,
    /// What is counted, in the plural.
    pub unit: &'static str,
    /// How long so many of them take is said at the end.
    pub sample: Option<u64>,
}

/// What came of it.
pub(super) struct RecordedPictures {
    /// Pictures with a record, those of earlier processes among them.
    pub done: usize,
    pub failed: Vec<Failure>,
    pub timings: Timings,
}

impl<S: Stage<Outcome: RunRecord>> Recording<'_, S> {
    /// Appends a record of each picture that has none yet; `None` when Ctrl-C ended that early.
    pub(super) fn record(self) -> anyhow::Result<Option<RecordedPictures>> {
        let Self { run, stage, items, workers, batch, threads, unit, sample } = self;
        nn::keep_freed_memory();
        tch::set_num_threads(run.manifest.network_threads);
        let mut writer = RecordWriter::open(&run.path("records.jsonl"))?;
        let done = run.recorded::<S::Outcome>()?;
        let total = items.len();
        let todo: Vec<S::Item> =
            items.into_iter().filter(|item| !done.contains(&stage.name(item).0)).collect();
        let already =
            if done.is_empty() { String::new() } else { format!(", {} already done", done.len()) };
        let part = shard::in_words(&run.manifest);
        let all = counted(total as u64, unit.trim_end_matches('s'));
        say!(
            "{all}{already}{part}; {}; results in {}",
            run.manifest.device,
            run.folder().display()
        );
        let stop = stop_on_interrupt(
            "stopping after this batch; once more to stop at once (nothing that is recorded is \
             lost)",
        )?;
        let mut progress = Progress::new(total as u64, unit).from(done.len() as u64);
        let configured = stage.batch_size(&workers[0]);
        let mut inputs = configured;
        let pass = Pass { stage, items: &todo, workers, batch, threads, stop };
        let (failed, timings) = pass.run(&mut |pictures, now| {
            let records: Vec<S::Outcome> =
                pictures.into_iter().map(|picture| picture.outcome).collect();
            if !records.is_empty() {
                writer.append(&records)?;
            }
            say_smaller_batch(&mut inputs, now.batch, configured);
            let note =
                if now.failed > 0 { format!("{} failed", now.failed) } else { String::new() };
            progress.at((done.len() + now.done + now.failed) as u64, note);
            Ok(())
        })?;
        progress.finish_with_rate(sample);
        let so_far = done.len() + timings.images;
        if stop.load(Ordering::Relaxed) && timings.images + failed.len() < todo.len() {
            say!(
                "stopped after {so_far} of {total} {unit}; the same command with --resume continues"
            );
            return Ok(None);
        }
        Ok(Some(RecordedPictures { done: so_far, failed, timings }))
    }
}
