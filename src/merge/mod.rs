//! One run from the runs of its shards.
//!
//! In: run folders of `emocam analyze --shard`, in any order. Out: the run folder that one `emocam analyze` over the
//! whole corpus would have left, byte for byte but for `run.json`, which sums the times and says which shards there
//! were. First everything is checked and everything that is wrong is named; then all files are written to a hidden
//! folder beside the target, which takes the target's name at the very end. Memory depends on the number of failures,
//! not on that of pictures. Networks are not needed.

mod check;
mod maps;
mod pending;
mod shards;

pub use check::Checked;
pub use maps::MapsMoved;
pub use shards::Shards;

use crate::associate::Matrices;
use crate::files::write_whole;
use crate::filters::FilterSums;
use crate::run::{failures_csv, write_tables, Failure, Outcome, Run};
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
    /// Its matrices.
    pub matrices: Matrices,
    /// Its heatmaps.
    pub pictures: Vec<PathBuf>,
    /// What could not be analysed, in the order of the corpus.
    pub failures: Vec<Failure>,
    /// What became of the shards' maps.
    pub maps: MapsMoved,
}

impl Checked<'_> {
    /// Writes the merged run to `target`, which must not exist or be empty; `report` is told how many records are
    /// written.
    ///
    /// # Errors
    /// A file cannot be read or written; two shards have the same picture. `target` is then as it was before.
    pub fn write(self, target: &Path, report: &mut dyn FnMut(u64)) -> Result<Merged> {
        let pending = Pending::begin(target)?;
        let mut run = Run::create(pending.folder(), self.manifest())?;
        let (outcome, matrices) = self.write_records(&run, report)?;
        if self.is_complete() {
            failures_csv(&run, &self.failures)?;
        }
        let pictures = matrices.write(run.folder())?;
        self.write_filters(&run)?;
        let maps = maps::gather(&self.shards.runs, &run.path("maps"))?;
        run.manifest.complete = self.is_complete();
        run.manifest.outcome = self.is_complete().then_some(outcome);
        run.save()?;
        let placed = |path: PathBuf| path.strip_prefix(pending.folder()).map(|name| target.join(name)).unwrap_or(path);
        let pictures = pictures.into_iter().map(placed).collect();
        pending.finish()?;
        Ok(Merged { run: Run::open(target)?, matrices, pictures, failures: self.failures, maps })
    }

    /// The sums of all shards' filters, and their tables, where the shards have them.
    fn write_filters(&self, run: &Run) -> Result<()> {
        if !run.manifest.configuration.cam.filters {
            return Ok(());
        }
        let mut sums = FilterSums::new(&run.manifest);
        for shard in &self.shards.runs {
            sums.merge(&FilterSums::open(shard)?);
        }
        sums.save(run)?;
        sums.write_tables(run.folder())
    }

    /// Records and tables in one reading, counting what is read.
    fn write_records(&self, run: &Run, report: &mut dyn FnMut(u64)) -> Result<(Outcome, Matrices)> {
        let path = run.path("records.jsonl");
        let mut matrices = Matrices::new(&run.manifest, &run.manifest.configuration.association);
        let mut outcome = Outcome { failed: self.failures.len(), timings: self.timings(), ..Outcome::default() };
        let mut last: Option<String> = None;
        write_whole(&path, |file| {
            write_tables(run, |row| {
                self.ordered.for_each(|line, record| {
                    if last.as_ref() == Some(&record.path) {
                        let message = format!("{} is there twice, in one shard or in two", record.path);
                        return Err(Error::Setting(message));
                    }
                    last.get_or_insert_default().clone_from(&record.path);
                    file.write_all(line).map_err(Error::io("write", &path))?;
                    row(record)?;
                    matrices.add(record);
                    outcome.add(record);
                    report(outcome.done as u64);
                    Ok(())
                })
            })
        })?;
        Ok((outcome, matrices))
    }
}
