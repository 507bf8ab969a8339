//! The run directory: what a pass over a corpus leaves behind, and what must agree before it is
//! continued.

mod contradictions;
pub mod journal;
mod manifest;
mod maps;
mod order;
mod outcome;
pub mod record;
mod regions;
mod tables;

pub use manifest::{
    CorpusInfo, Experiment, FORMAT, InputInfo, Manifest, MergedShard, ModelFile, ScoringInfo,
    ShardInfo,
};
pub use maps::{KeptMap, map_file, read_map, read_maps, save_maps, write_maps};
pub(crate) use order::Ordered;
pub use outcome::{Outcome, Timings};
pub use tables::{Failure, failures_csv, images_and_objects_csv, read_failures, write_failures};
pub(crate) use tables::{table, write_tables};

use self::record::{ImageRecord, RunRecord};
use crate::files::{read_text, remove_leftovers, write_bytes};
use crate::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// An existing run directory.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    /// `run.json`.
    pub manifest: Manifest,
}

impl Run {
    /// Starts a run in `folder`, which is made if need be and must be empty, but for a `run.json`
    /// half written by a process that was killed.
    ///
    /// # Errors
    /// The folder holds a run already, or anything else, or cannot be written.
    pub fn create(folder: &Path, manifest: Manifest) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        Self::check_free(folder)?;
        let run = Self { folder: folder.into(), manifest };
        run.save()?;
        Ok(run)
    }

    /// Sees whether a run can be started in `folder`, which is there, as [`Run::create`] will.
    ///
    /// # Errors
    /// The folder holds a run already, or anything else, or cannot be read.
    pub fn check_free(folder: &Path) -> Result<()> {
        if folder.join("run.json").exists() {
            return Err(Error::file(
                folder,
                "holds a run already: --resume continues it, --out names another folder",
            ));
        }
        remove_leftovers(folder, ".run.json.")?;
        let mut entries = std::fs::read_dir(folder).map_err(Error::io("read", folder))?;
        if entries.next().is_some() {
            return Err(Error::file(
                folder,
                "is not empty and holds no run: name another folder with --out",
            ));
        }
        Ok(())
    }

    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// There is none, or its `run.json` is damaged or of another version.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("run.json");
        if !path.exists() {
            return Err(Error::file(
                folder,
                "is no run directory: it has no run.json (`emocam analyze` makes one)",
            ));
        }
        let manifest =
            Manifest::parse(&read_text(&path)?).map_err(|message| Error::file(&path, message))?;
        Ok(Self { folder: folder.into(), manifest })
    }

    /// Opens the run in `folder` to continue it as `now` describes; starts it when there is none
    /// yet, as after a kill while the networks were loaded.
    ///
    /// # Errors
    /// As [`Run::create`], or the run was made differently: every difference is named.
    pub fn resume(folder: &Path, now: Manifest) -> Result<Self> {
        if !folder.join("run.json").exists() {
            return Self::create(folder, now);
        }
        let mut run = Self::open(folder)?;
        let differences = run.manifest.differences(&now, ["then", "now"]);
        if !differences.is_empty() {
            let message = format!(
                "this run was made differently and cannot be continued:\n  {}\nname another folder \
                 with --out",
                differences.join("\n  ")
            );
            return Err(Error::file(folder, message));
        }
        // The same number of threads, the same last digits.
        let (network_threads, merged) = (run.manifest.network_threads, run.manifest.merged.take());
        run.manifest = Manifest { network_threads, merged, ..now };
        remove_leftovers(folder, ".")?;
        for method in run.manifest.configuration.cam.names() {
            remove_leftovers(&run.path(&method), ".")?;
        }
        run.save()?;
        Ok(run)
    }

    /// Marks the run as finished, with what came out and the checksum of its records, and writes
    /// `run.json`.
    ///
    /// # Errors
    /// The records cannot be read, or the file cannot be written.
    pub fn finish(&mut self, outcome: Outcome) -> Result<()> {
        let checksum = journal::last_checksum(&self.path("records.jsonl"))?;
        self.manifest.outcome = Some(Outcome { checksum, ..outcome });
        self.manifest.complete = true;
        self.save()
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(&self.manifest)
            .map_err(|e| Error::file(&self.folder, e.to_string()))?;
        json.push(b'\n');
        write_bytes(&self.path("run.json"), &json)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Calls `take` with every record, checked against the run's classes, labels and methods, in
    /// file order.
    ///
    /// # Errors
    /// `records.jsonl` cannot be read; a line that is damaged, or does not fit the run, by its
    /// number; lines that are missing or too many in a finished run.
    pub fn for_each_record(&self, take: impl FnMut(ImageRecord) -> Result<()>) -> Result<()> {
        self.for_each_record_of(take)
    }

    /// [`Run::for_each_record`] of a run of any command, whose records are of the type `R`.
    ///
    /// # Errors
    /// As [`Run::for_each_record`]; another command has made the run.
    pub fn for_each_record_of<R: RunRecord>(
        &self,
        mut take: impl FnMut(R) -> Result<()>,
    ) -> Result<()> {
        self.for_each_line(|_, record| take(record))
    }

    /// Paths of the pictures that have a record.
    ///
    /// # Errors
    /// As [`Run::for_each_record_of`].
    pub fn recorded<R: RunRecord>(&self) -> Result<HashSet<String>> {
        let mut paths = HashSet::new();
        self.for_each_record_of(|record: R| match paths.insert(record.path().to_string()) {
            true => Ok(()),
            false => Err(Error::file(
                &self.path("records.jsonl"),
                format!("has two records of {}", record.path()),
            )),
        })?;
        Ok(paths)
    }

    /// [`Run::for_each_record_of`] with the record's line as it is in the file, line feed included.
    fn for_each_line<R: RunRecord>(
        &self,
        mut take: impl FnMut(&[u8], R) -> Result<()>,
    ) -> Result<()> {
        let fits = R::fits(&self.manifest).map_err(|message| Error::file(&self.folder, message))?;
        let path = self.path("records.jsonl");
        let mut number = 0;
        let end = journal::for_each_line(&path, |line, record: R| {
            number += 1;
            fits(&record).map_err(|cause| Error::line(&path, number, cause))?;
            take(line, record)
        })?;
        self.manifest
            .check_end(end.lines, &end.checksum())
            .map_err(|cause| Error::file(&path, cause))
    }
}
