//! One run from the runs of its shards.
//!
//! In: run folders of `emocam analyze --shard`, or of `paste` or `remove`, in any order. Out: the
//! run folder that the same command over the whole corpus would have left, byte for byte but for
//! `run.json`, which sums the times and says which shards there were. First everything is checked
//! and everything that is wrong is named; then all files are written to a hidden folder beside the
//! target, which takes the target's name at the very end. Memory depends on the number of failures,
//! not on that of pictures, but for `remove`, whose tables need a few numbers of each picture.
//! Networks are not needed.
//!
//! What differs from command to command is [`MergeRecord`]: what a record is, and what tables are
//! made of the records.

mod check;
mod maps;
mod pending;
mod shards;
mod tables;

pub use check::Checked;
pub use maps::MapsMoved;
pub use shards::{RunKind, Shards};
pub use tables::{MergeRecord, Results, Tables};

use crate::files::write_whole;
use crate::run::journal::Sealer;
use crate::run::{Failure, Outcome, Run, failures_csv};
use crate::{Error, Result};
use pending::Pending;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Complaints that are listed; further ones are counted.
const LISTED: usize = 20;

/// Refuses when there are complaints, listing them.
fn refuse_if_any(complaints: &[String]) -> Result<()> {
    if complaints.is_empty() {
        return Ok(());
    }
    let mut message = String::from("these runs cannot be merged:");
    for complaint in complaints.iter().take(LISTED) {
        message.push_str("\n  ");
        message.push_str(complaint);
    }
    if complaints.len() > LISTED {
        message.push_str(&format!("\n  and {} more", complaints.len() - LISTED));
    }
    Err(Error::Setting(message))
}

/// What a merge left behind.
#[derive(Debug)]
pub struct Merged {
    /// The run; complete unless something was missing and that was allowed.
    pub run: Run,
    /// What its tables say.
    pub results: Results,
    /// Its figures.
    pub pictures: Vec<PathBuf>,
    /// What could not be analysed, in the order of the corpus.
    pub failures: Vec<Failure>,
    /// What became of the shards' maps.
    pub maps: MapsMoved,
}

impl<R: MergeRecord> Checked<'_, R> {
    /// Writes the merged run to `target`, which must not exist or be empty; `report` is told how
    /// many records are written.
    ///
    /// # Errors
    /// A file cannot be read or written; two shards have the same picture. `target` is then as it
    /// was before.
    pub fn write(self, target: &Path, report: &mut dyn FnMut(u64)) -> Result<Merged> {
        let pending = Pending::begin(target)?;
        let mut run = Run::create(pending.folder(), self.manifest())?;
        let Tables { outcome, results, pictures } = R::write(&self, &run, report)?;
        if self.is_complete() {
            failures_csv(&run, &self.failures)?;
        }
        let maps = maps::gather(&self.shards.runs, &run.path("maps"))?;
        let outcome = Outcome { failed: self.failures.len(), timings: self.timings(), ..outcome };
        if self.is_complete() {
            run.finish(outcome)?;
        }
        let placed = |path: PathBuf| {
            path.strip_prefix(pending.folder()).map(|name| target.join(name)).unwrap_or(path)
        };
        let pictures = pictures.into_iter().map(placed).collect();
        pending.finish()?;
        Ok(Merged { run: Run::open(target)?, results, pictures, failures: self.failures, maps })
    }

    /// Writes `records.jsonl` in the order of the corpus, handing every record to `take`; returns
    /// how many there are.
    fn copy_records(
        &self,
        run: &Run,
        report: &mut dyn FnMut(u64),
        mut take: impl FnMut(&R) -> Result<()>,
    ) -> Result<usize> {
        let path = run.path("records.jsonl");
        let mut last: Option<String> = None;
        let (mut sealer, mut sealed) = (Sealer::default(), Vec::new());
        let mut done = 0;
        write_whole(&path, |file| {
            self.ordered.for_each(|line, record| {
                if last.as_deref() == Some(record.path()) {
                    let message =
                        format!("{} is there twice, in one shard or in two", record.path());
                    return Err(Error::Setting(message));
                }
                record.path().clone_into(last.get_or_insert_default());
                sealed.clear();
                sealer.seal(line, &mut sealed);
                file.write_all(&sealed).map_err(Error::io("write", &path))?;
                take(record)?;
                done += 1;
                report(done as u64);
                Ok(())
            })
        })?;
        Ok(done)
    }
}
