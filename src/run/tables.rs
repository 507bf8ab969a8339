//! `images.csv`, `objects.csv` and `failures.csv`, in the order of the corpus.

use super::{Ordered, Run};
use crate::files::write_whole;
use crate::run::record::ImageRecord;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// A picture or file that was not analysed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its path, as in every table.
    pub path: String,
    /// Where it failed: "find", "decode", ...
    pub stage: String,
    /// Why, in one line.
    pub cause: String,
}

/// A table being written to the file `path`.
pub(crate) struct Table<'a> {
    writer: csv::Writer<&'a mut BufWriter<File>>,
    path: &'a Path,
}

impl Table<'_> {
    pub(crate) fn row<T: AsRef<[u8]>>(&mut self, cells: impl IntoIterator<Item = T>) -> Result<()> {
        let failed = |error: csv::Error| Error::file(self.path, format!("cannot be written: {error}"));
        self.writer.write_record(cells).map_err(failed)
    }
}

/// Writes the table `path` whole.
pub(crate) fn table(path: &Path, fill: impl FnOnce(&mut Table<'_>) -> Result<()>) -> Result<()> {
    write_whole(path, |file| {
        let mut table = Table { writer: csv::Writer::from_writer(file), path };
        fill(&mut table)?;
        table.writer.flush().map_err(Error::io("write", path))
    })
}

/// `images.csv`, one row a picture, and `objects.csv`, one row a labelled box with its importance (mean of the map in the
/// box) by every method.
///
/// # Errors
/// Records that cannot be read, a table that cannot be written.
pub fn images_and_objects_csv(run: &Run) -> Result<()> {
    let mut ordered = Ordered::default();
    ordered.add(run, |_| Ok(()))?;
    write_tables(run, |row| ordered.for_each(|_, record| row(record)))
}

/// [`images_and_objects_csv`] of the records that `records` hands on, in the order of the corpus.
///
/// # Errors
/// A table cannot be written; whatever `records` returns.
pub(crate) fn write_tables(
    run: &Run,
    records: impl FnOnce(&mut dyn FnMut(&ImageRecord) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let manifest = &run.manifest;
    let (labels, methods) = (&manifest.labels, &manifest.configuration.cam.methods);
    table(&run.path("images.csv"), |images| {
        let head = ["path", "width", "height", "label", "probability"].map(String::from);
        images.row(head.into_iter().chain(labels.iter().cloned()).chain(["valence", "arousal"].map(String::from)))?;
        table(&run.path("objects.csv"), |objects| {
            let head = ["path", "label", "class", "confidence", "x_min", "y_min", "x_max", "y_max"].map(String::from);
            objects.row(head.into_iter().chain(methods.iter().map(ToString::to_string)))?;
            records(&mut |record| {
                images.row(image_cells(record, labels))?;
                (0..record.boxes.len())
                    .try_for_each(|at| objects.row(object_cells(record, at, labels, &manifest.classes)))
            })
        })
    })
}

fn image_cells(record: &ImageRecord, labels: &[String]) -> Vec<String> {
    let mut cells = vec![record.path.clone(), record.width.to_string(), record.height.to_string()];
    cells.extend([labels[record.label].clone(), record.probabilities[record.label].to_string()]);
    cells.extend(record.probabilities.iter().map(f32::to_string));
    cells
        .extend([record.valence, record.arousal].map(|value| value.map(|value| value.to_string()).unwrap_or_default()));
    cells
}

fn object_cells(record: &ImageRecord, at: usize, labels: &[String], classes: &[String]) -> Vec<String> {
    let of = &record.boxes[at];
    let mut cells = vec![record.path.clone(), labels[record.label].clone(), classes[of.class].clone()];
    cells.push(of.confidence.to_string());
    cells.extend(<[f32; 4]>::from(of.bounding_box).map(|edge| edge.to_string()));
    cells.extend(record.maps.iter().map(|map| map.scores[at].mean.to_string()));
    cells
}

/// `failures.csv`: always written, with its header alone when nothing failed.
///
/// # Errors
/// The table cannot be written.
pub fn failures_csv(run: &Run, failures: &[Failure]) -> Result<()> {
    write_failures(&run.path("failures.csv"), failures)
}

/// [`failures_csv`] anywhere.
///
/// # Errors
/// The table cannot be written.
pub fn write_failures(path: &Path, failures: &[Failure]) -> Result<()> {
    table(path, |table| {
        table.row(["path", "stage", "cause"])?;
        failures.iter().try_for_each(|failure| table.row([&failure.path, &failure.stage, &failure.cause]))
    })
}

/// Reads a `failures.csv`.
///
/// # Errors
/// There is none, or it is damaged.
pub fn read_failures(path: &Path) -> Result<Vec<Failure>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let failures: Result<Vec<Failure>, _> = csv::Reader::from_reader(file).deserialize().collect();
    failures.map_err(|error| Error::file(path, format!("not a table of failures: {error}")))
}
