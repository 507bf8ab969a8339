//! What a merged run holds beside its records, by the command that made its shards.

use super::Checked;
use crate::Result;
use crate::associate::{Columns, Importance, Matrices, matrices};
use crate::filters::FilterSums;
use crate::paste::{self, PasteRecord, Tally};
use crate::removal::{self, RemovalRecord};
use crate::run::record::{ImageRecord, RunRecord};
use crate::run::{Outcome, Run, write_tables};
use crate::score::ScoreRule;
use std::path::PathBuf;

/// What the tables of a merged run say in short.
#[derive(Debug)]
pub enum Results {
    /// Of `emocam analyze`: the matrices.
    Matrices(Box<Matrices>),
    /// Of `emocam paste`: the counts.
    Tally(Box<Tally>),
    /// Of `emocam remove`: the text that sums it up.
    Summary(String),
}

/// What was made of the records.
#[derive(Debug)]
pub struct Tables {
    /// Counts of the records; failures and times are known elsewhere.
    pub outcome: Outcome,
    /// What the tables say.
    pub results: Results,
    /// The figures.
    pub pictures: Vec<PathBuf>,
}

/// Records of a command whose shards can be merged.
pub trait MergeRecord: RunRecord + Sized {
    /// Writes the records of all shards into `run`, and the tables and figures that the command
    /// makes of them; `report` is told how many records are written.
    ///
    /// # Errors
    /// A file cannot be read or written; two shards have the same picture.
    fn write(checked: &Checked<'_, Self>, run: &Run, report: &mut dyn FnMut(u64))
    -> Result<Tables>;

    /// What is wrong with other files of a shard that has `done` records.
    fn complaint(_shard: &Run, _done: usize) -> Option<String> {
        None
    }
}

impl MergeRecord for ImageRecord {
    /// Records and tables in one reading.
    fn write(
        checked: &Checked<'_, Self>,
        run: &Run,
        report: &mut dyn FnMut(u64),
    ) -> Result<Tables> {
        let rule = &run.manifest.configuration.association;
        // Where pictures are compared with others, all records must be there first.
        let mut counted = match rule.score {
            ScoreRule::Chance => None,
            _ => Some(Matrices::new(
                &run.manifest,
                &Importance::of_run(run, rule)?,
                Columns::Answers,
            )),
        };
        let mut outcome = Outcome::default();
        write_tables(run, |row| {
            let copied = checked.copy_records(run, report, |record| {
                row(record)?;
                counted.iter_mut().for_each(|matrices| matrices.add(record));
                outcome.add(record);
                Ok(())
            });
            copied.map(drop)
        })?;
        let matrices = counted.map_or_else(|| matrices(run, rule, Columns::Answers), Ok)?;
        let pictures = matrices.write(run.folder())?;
        write_filters(checked, run)?;
        Ok(Tables { outcome, results: Results::Matrices(Box::new(matrices)), pictures })
    }

    /// Whether the shard's filters are those of its records.
    fn complaint(shard: &Run, done: usize) -> Option<String> {
        if !shard.manifest.configuration.cam.filters {
            return None;
        }
        let folder = shard.folder().display();
        match FilterSums::open(shard) {
            Err(error) => Some(error.in_one_line()),
            Ok(sums) if sums.pictures as usize == done => None,
            Ok(sums) => Some(format!(
                "{folder}: filters.safetensors has {} images, expected {done}; the same `emocam \
                 analyze` with --resume does what is missing",
                sums.pictures
            )),
        }
    }
}

/// The sums of all shards' filters, and their tables, where the shards have them.
fn write_filters(checked: &Checked<'_, ImageRecord>, run: &Run) -> Result<()> {
    if !run.manifest.configuration.cam.filters {
        return Ok(());
    }
    let mut sums = FilterSums::new(&run.manifest);
    for shard in &checked.shards.runs {
        sums.merge(&FilterSums::open(shard)?);
    }
    sums.save(run)?;
    sums.write_tables(run.folder())
}

impl MergeRecord for PasteRecord {
    fn write(
        checked: &Checked<'_, Self>,
        run: &Run,
        report: &mut dyn FnMut(u64),
    ) -> Result<Tables> {
        let done = checked.copy_records(run, report, |_| Ok(()))?;
        let (tally, pictures) = paste::write(run)?;
        Ok(Tables { outcome: of_records(done), results: Results::Tally(Box::new(tally)), pictures })
    }
}

impl MergeRecord for RemovalRecord {
    fn write(
        checked: &Checked<'_, Self>,
        run: &Run,
        report: &mut dyn FnMut(u64),
    ) -> Result<Tables> {
        let done = checked.copy_records(run, report, |_| Ok(()))?;
        let (summary, picture) = removal::write(run)?;
        let pictures = picture.into_iter().collect();
        Ok(Tables { outcome: of_records(done), results: Results::Summary(summary), pictures })
    }
}

/// The outcome of an experiment, which counts nothing but records.
fn of_records(done: usize) -> Outcome {
    Outcome { done, ..Outcome::default() }
}
