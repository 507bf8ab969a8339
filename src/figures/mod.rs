//! Single photos with everything that is computed on the way: the stages of a run, their
//! intermediates kept.
//!
//! In: pictures of a corpus. Out: per picture its record, its maps, and from these the contents of
//! a JSON file ([`Explained`]) and a figure. No second pipeline: pictures go through the pass of a
//! run, in batches of the run's size, so that the numbers are a run's.

mod content;
mod figure;
mod names;

pub use content::{Explained, ExplainedBox, ExplainedLabel, ExplainedMap, ExplainedStream};
pub use figure::percentage;
pub use names::names;

use crate::Result;
use crate::associate::Importance;
use crate::config::Config;
use crate::corpus::{DecodeOptions, Source};
use crate::image::{Picture, Rgb8, Size};
use crate::load::{Loaded, warning};
use crate::networks::{Card, Prediction};
use crate::pipeline::{Analysis, Examined, Prepared, Stage, Worker};
use crate::run::record::ImageRecord;
use crate::run::{Failure, KeptMap, ModelFile, Timings, write_maps};
use std::path::{Path, PathBuf};

/// What all photos of a call share, save the networks: these stay with the model threads.
#[derive(Debug)]
pub struct Explainer<'a> {
    config: &'a Config,
    importance: Importance,
    analysis: Analysis<'a>,
    card: Card,
    classes: Vec<String>,
    files: Vec<ModelFile>,
    /// The output that all maps explain; `None`: each photo's own.
    class: Option<usize>,
    warning: Option<String>,
}

/// A decoded photo, ready for the networks.
#[derive(Debug)]
pub struct Photo {
    pixels: Rgb8,
    prepared: Prepared,
}

/// A photo with its record and maps.
#[derive(Debug)]
pub struct ExaminedPhoto {
    pixels: Rgb8,
    record: ImageRecord,
    /// One a method.
    maps: Vec<KeptMap>,
    /// What each stream of the network answers alone.
    streams: Vec<(String, Prediction)>,
    size: Size,
}

impl<'a> Explainer<'a> {
    /// For these networks; `config` says what to do, the batch's size included, as in a run, and
    /// `importance` which boxes count by it.
    pub fn new(loaded: &Loaded, config: &'a Config, importance: Importance) -> Self {
        Self {
            config,
            importance,
            analysis: Analysis::new(loaded, config, true),
            card: loaded.network.card().clone(),
            classes: loaded.regions.classes().to_vec(),
            files: loaded.files.clone(),
            class: loaded.class,
            warning: warning(&loaded.files),
        }
    }

    fn open(&self, source: &Source) -> Result<Photo, Failure> {
        let options = self.config.corpus.decoding(self.analysis.enough());
        let decode = |options: &DecodeOptions| {
            source.decode(options).map_err(|error| Failure::new(&source.path, "decode", &error))
        };
        let mut picture = decode(&options)?;
        let prepared = self.analysis.prepare(&picture, &source.path)?;
        if picture.pixels.size() != picture.original {
            // Enough for the networks, but the figure shows the photo.
            picture = decode(&DecodeOptions { enough: None, ..options })?;
        }
        let Picture { pixels, .. } = picture;
        Ok(Photo { pixels, prepared })
    }

    /// A photo and what came of it, under its path in the corpus.
    pub fn examined(&self, path: &str, photo: Photo, examined: Examined) -> ExaminedPhoto {
        let Examined { mut record, maps, filters: _, streams } = examined;
        record.path = path.into();
        ExaminedPhoto { pixels: photo.pixels, record, maps, streams, size: self.card.input() }
    }
}

impl Stage for Explainer<'_> {
    type Item = Source;
    type Prepared = Photo;
    type Worker = Worker;
    type Outcome = Examined;

    fn name(&self, source: &Source) -> (String, PathBuf) {
        (source.path.clone(), source.place())
    }

    fn prepare(&self, source: &Source) -> Result<Photo, Failure> {
        self.open(source)
    }

    fn shape(&self, photo: &Photo) -> Size {
        self.analysis.shape(&photo.prepared)
    }

    fn run(
        &self,
        worker: &mut Worker,
        batch: &[&Photo],
        timings: &mut Timings,
    ) -> Result<Vec<Examined>> {
        let prepared: Vec<&Prepared> = batch.iter().map(|photo| &photo.prepared).collect();
        self.analysis.examine(worker, &prepared, timings)
    }

    fn batch_size(&self, worker: &Worker) -> usize {
        worker.batch
    }
}

impl ExaminedPhoto {
    /// The photo's name.
    pub fn path(&self) -> &str {
        &self.record.path
    }

    /// Writes the maps to `file`, as a run's.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_maps(&self, file: &Path) -> Result<()> {
        write_maps(file, &self.record, self.size, &self.maps)
    }
}
