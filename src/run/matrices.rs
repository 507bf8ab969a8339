//! Per method `association.csv`, `counts.csv` and the heatmap, recomputed from the records.

use super::Run;
use crate::associate::Counts;
use crate::config::AssociationConfig;
use crate::files::write_whole;
use crate::plot::{self, Heatmap};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The counts of every method of a run.
#[derive(Debug)]
pub struct Matrices {
    methods: Vec<(String, Counts)>,
    rule: AssociationConfig,
    labels: Vec<String>,
    classes: Vec<String>,
    warning: Option<String>,
}

/// Counts a run's records by `rule`, for every method at once.
///
/// # Errors
/// The records cannot be read.
pub fn matrices(run: &Run, rule: &AssociationConfig) -> Result<Matrices> {
    let manifest = &run.manifest;
    let (labels, classes) = (manifest.labels.clone(), manifest.classes.clone());
    let names = manifest.configuration.cam.methods.iter().map(ToString::to_string);
    let mut methods: Vec<(String, Counts)> =
        names.map(|name| (name, Counts::new(classes.len(), labels.len()))).collect();
    run.for_each_record(|record| {
        methods.iter_mut().enumerate().for_each(|(at, (_, counts))| counts.add(&record, at, rule));
        Ok(())
    })?;
    Ok(Matrices { methods, rule: rule.clone(), labels, classes, warning: manifest.warning.clone() })
}

impl Matrices {
    /// Every method's name and counts.
    pub fn methods(&self) -> &[(String, Counts)] {
        &self.methods
    }

    /// Names of the columns.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Names of the rows.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Writes `<folder>/<method>/association.csv`, `counts.csv`, `heatmap.png` and `heatmap.svg` for every method, and
    /// returns the heatmaps' paths.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        self.methods
            .iter()
            .map(|(method, counts)| {
                let folder = folder.join(method);
                std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
                let association = counts.association();
                self.table(&folder.join("association.csv"), association.rows().into_iter().map(|row| {
                    row.iter().map(|share| share.map(|share| share.to_string()).unwrap_or_default()).collect()
                }))?;
                self.table(
                    &folder.join("counts.csv"),
                    counts
                        .cells
                        .rows()
                        .into_iter()
                        .map(|row| row.iter().map(u64::to_string).collect())
                        .chain([counts.images.iter().map(u64::to_string).collect()]),
                )?;
                let picture = folder.join("heatmap.png");
                plot::write(&self.heatmap(method, counts).svg()?, &picture, &folder.join("heatmap.svg"))?;
                Ok(picture)
            })
            .collect()
    }

    /// A table with the labels as header and the classes, then `images`, as first column.
    fn table(&self, path: &Path, rows: impl Iterator<Item = Vec<String>>) -> Result<()> {
        let failed = |error: csv::Error| Error::file(path, format!("cannot be written: {error}"));
        write_whole(path, |file| {
            let mut table = csv::Writer::from_writer(file);
            table.write_record(["class"].into_iter().chain(self.labels.iter().map(String::as_str))).map_err(failed)?;
            let names = self.classes.iter().map(String::as_str).chain(["images"]);
            for (name, cells) in names.zip(rows) {
                table.write_record([name.to_string()].into_iter().chain(cells)).map_err(failed)?;
            }
            table.flush().map_err(Error::io("write", path))
        })
    }
}
