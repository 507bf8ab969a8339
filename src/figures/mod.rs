//! Single photos with everything that is computed on the way: the stages of a run, their intermediates kept.
//!
//! In: pictures of a corpus. Out: per picture its record, its maps, and from these the contents of a JSON file
//! ([`Explained`]) and a figure. No second pipeline: pictures are prepared and examined as in a run, in batches of the
//! run's size, so that the numbers are a run's.

mod content;
mod figure;
mod names;

pub use content::{Explained, ExplainedBox, ExplainedLabel, ExplainedMap};
pub use names::names;

use crate::attribution::Maps;
use crate::config::Config;
use crate::corpus::{DecodeOptions, Enough, Source};
use crate::image::{Canvas, Picture, Rgb8, Size};
use crate::load::{warning, Loaded};
use crate::networks::{Card, EmotionModel};
use crate::pipeline::{examine, Models, Prepared};
use crate::regions::darknet::Detector;
use crate::run::record::ImageRecord;
use crate::run::{write_maps, ModelFile, Timings};
use crate::Result;
use std::path::Path;

/// What all photos of a call share, save the networks: these stay on one thread, the rest may go to many.
#[derive(Debug)]
pub struct Explainer<'a> {
    config: &'a Config,
    card: &'a Card,
    classes: &'a [String],
    files: &'a [ModelFile],
    /// The label all maps explain; `None`: each photo's own.
    class: Option<usize>,
    warning: Option<String>,
    detector: Canvas,
    emotion: Size,
}

/// A decoded photo, ready for the networks.
#[derive(Debug)]
pub struct Photo {
    path: String,
    pixels: Rgb8,
    prepared: Prepared,
}

/// A photo with its record and maps.
#[derive(Debug)]
pub struct Examined {
    photo: Photo,
    record: ImageRecord,
    /// One a method, row by row, in `[0, 1]`.
    maps: Vec<Vec<f32>>,
    size: Size,
}

impl<'a> Explainer<'a> {
    /// For these networks; `config` says what to do, the batch's size included, as in a run.
    pub fn new(loaded: &'a Loaded, config: &'a Config) -> Self {
        Self {
            config,
            card: loaded.emotion.card(),
            classes: &loaded.classes,
            files: &loaded.files,
            class: loaded.class,
            warning: warning(&loaded.files),
            detector: loaded.detector.canvas(config.detector.rect),
            emotion: loaded.emotion.input(),
        }
    }

    /// Decodes and prepares a photo.
    ///
    /// # Errors
    /// As [`Source::decode`].
    pub fn open(&self, source: &Source) -> Result<Photo> {
        let enough = Enough { letterboxed: self.detector.size, squashed: self.emotion };
        let options = self.config.corpus.decoding(enough);
        let mut picture = source.decode(&options)?;
        let prepared = Prepared::new(&picture, &source.path, self.detector, self.emotion, self.config);
        if picture.pixels.size() != picture.original {
            // Enough for the networks, but the figure shows the photo.
            picture = source.decode(&DecodeOptions { enough: None, ..options })?;
        }
        let Picture { pixels, .. } = picture;
        Ok(Photo { path: source.path.clone(), pixels, prepared })
    }

    /// Examines photos, at most a batch at a time, which is filled up as in a run.
    ///
    /// # Errors
    /// As [`examine`].
    pub fn examine(&self, photos: Vec<Photo>, models: Models<'_>) -> Result<Vec<Examined>> {
        let mut examined = Vec::with_capacity(photos.len());
        let mut photos = photos.into_iter().peekable();
        while photos.peek().is_some() {
            let batch: Vec<Photo> = photos.by_ref().take(self.config.compute.batch).collect();
            let mut filled: Vec<&Prepared> = batch.iter().map(|photo| &photo.prepared).collect();
            let last = *filled.last().expect("there was one to peek at");
            filled.resize(self.config.compute.batch, last);
            let found = examine(&filled, models, self.config, &mut Timings::default())?;
            let mut values = found.maps.iter().map(Maps::values).collect::<Result<Vec<_>>>()?;
            for ((at, photo), mut record) in batch.into_iter().enumerate().zip(found.records) {
                record.path.clone_from(&photo.path);
                let maps = values.iter_mut().map(|maps| std::mem::take(&mut maps[at])).collect();
                examined.push(Examined { photo, record, maps, size: self.emotion });
            }
        }
        Ok(examined)
    }
}

impl Examined {
    /// The photo's name.
    pub fn path(&self) -> &str {
        &self.record.path
    }

    /// Writes the maps to `file`, as a run's.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_maps(&self, file: &Path) -> Result<()> {
        write_maps(file, &self.record, self.maps.iter().map(|map| (self.size, map)))
    }
}
