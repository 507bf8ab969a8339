//! Whether every shard has what its `run.json` says, before anything is written.

use super::{MergeRecord, Shards, refuse_if_any};
use crate::Result;
use crate::run::{Failure, Manifest, MergedShard, Ordered, Run, Timings, read_failures};

/// Shards whose records `R` have all been read once and found whole.
#[derive(Debug)]
pub struct Checked<'a, R> {
    pub(super) shards: &'a Shards,
    pub(super) ordered: Ordered<'a, R>,
    /// Records, a number a shard.
    done: Vec<usize>,
    /// Of the finished shards, in the order of the corpus.
    pub(super) failures: Vec<Failure>,
}

impl Shards {
    /// Pictures in all shards that are there.
    pub fn images(&self) -> usize {
        self.runs.iter().filter_map(|run| run.manifest.shard).map(|shard| shard.images).sum()
    }

    /// Reads every record and failure once; `report` is told how many records have been read. `R`
    /// are the records of the command that made the shards.
    ///
    /// # Errors
    /// In one error, of every shard: records or failures that are damaged, missing or too many.
    pub fn check<R: MergeRecord>(&self, report: &mut dyn FnMut(u64)) -> Result<Checked<'_, R>> {
        let (mut complaints, mut read) = (Vec::new(), 0);
        let mut checked = Checked {
            shards: self,
            ordered: Ordered::new(),
            done: Vec::new(),
            failures: Vec::new(),
        };
        for run in &self.runs {
            let (before, has_records) = (read, run.path("records.jsonl").exists());
            if has_records || run.manifest.complete {
                let counted = checked.ordered.add(run, |_| {
                    read += 1;
                    report(read);
                    Ok(())
                });
                if let Err(error) = counted {
                    complaints.push(error.in_one_line());
                    continue;
                }
            }
            let done = (read - before) as usize;
            checked.done.push(done);
            complaints.extend(R::complaint(run, done));
            if run.manifest.complete {
                match finished(run, done) {
                    Ok(failures) => checked.failures.extend(failures),
                    Err(complaint) => complaints.push(complaint),
                }
            }
        }
        let (here, all) = (self.images(), self.runs[0].manifest.corpus.images);
        if self.missing.is_empty() && here != all {
            complaints.push(format!(
                "the shards have {here} images, their corpus {all}: they do not belong together"
            ));
        }
        refuse_if_any(&complaints)?;
        checked.failures.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(checked)
    }
}

/// The failures of a finished run with so many records, or what is wrong.
fn finished(run: &Run, done: usize) -> Result<Vec<Failure>, String> {
    let folder = run.folder().display();
    let outcome = run
        .manifest
        .outcome
        .as_ref()
        .ok_or_else(|| format!("{folder}: run.json has no outcome"))?;
    let again = format!("the same `{}` with --resume does what is missing", run.manifest.command());
    let failures = read_failures(&run.path("failures.csv")).map_err(|error| error.in_one_line())?;
    if failures.len() != outcome.failed {
        return Err(format!(
            "{folder}: failures.csv has {} rows, expected {}; {again}",
            failures.len(),
            outcome.failed
        ));
    }
    // What could not even be looked at is no picture.
    let failed = failures.iter().filter(|failure| failure.stage != "find").count();
    let images = run.manifest.shard.map_or(0, |shard| shard.images);
    if done + failed != images {
        return Err(format!(
            "{folder}: {done} images done and {failed} failed, expected {images} in all; {again}"
        ));
    }
    Ok(failures)
}

impl<R> Checked<'_, R> {
    /// Whether nothing is missing.
    pub(super) fn is_complete(&self) -> bool {
        self.shards.missing.is_empty()
    }

    /// `run.json` of the merged run before it is finished: as the first shard's, but for what a
    /// shard alone has.
    pub(super) fn manifest(&self) -> Manifest {
        let merged = self.shards.runs.iter().zip(&self.done).map(|(run, &done)| MergedShard {
            shard: run.manifest.shard.map_or(0, |shard| shard.index),
            folder: run.folder().display().to_string(),
            device: run.manifest.device.clone(),
            network_threads: run.manifest.network_threads,
            done,
            timings: run.manifest.outcome.as_ref().map(|outcome| outcome.timings),
        });
        Manifest {
            complete: false,
            shard: None,
            matrices: None,
            outcome: None,
            merged: Some(merged.collect()),
            ..self.shards.runs[0].manifest.clone()
        }
    }

    /// The times of all shards together.
    pub(super) fn timings(&self) -> Timings {
        let mut sum = Timings::default();
        for outcome in self.shards.runs.iter().filter_map(|run| run.manifest.outcome.as_ref()) {
            sum.add(&outcome.timings);
        }
        sum
    }
}
