//! Filters in `emocam analyze`: sums that are kept while the pass goes on, tables and figures at
//! its end; and the figures again of a run that `emocam merge` makes.

use emocam::config::Config;
use emocam::corpus::{DecodeOptions, Source};
use emocam::filters::{FilterSums, PictureFilters, figure};
use emocam::plot;
use emocam::run::Run;
use emocam::run::journal::{RecordWriter, count_lines};
use emocam::run::record::ImageRecord;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two writings of the sums: what a kill costs at most, besides the batch at hand.
const INTERVAL: Duration = Duration::from_secs(30);

/// The sums of a run while its pass goes on.
pub(super) struct FilterKeeper {
    sums: FilterSums,
    written: Instant,
}

impl FilterKeeper {
    /// Goes on where the sums of `run` end: records behind them are dropped, to be made again.
    /// Nothing where the run keeps no filters.
    pub(super) fn begin(run: &Run, writer: &mut RecordWriter) -> anyhow::Result<Option<Self>> {
        let cam = &run.manifest.configuration.cam;
        if !cam.filters {
            return Ok(None);
        }
        let without =
            cam.methods.iter().filter(|method| !method.weighs_channels()).map(ToString::to_string);
        let without = without.collect::<Vec<_>>().join(", ");
        if !without.is_empty() {
            say!("no filters.csv by {without}: what weighs places and not channels has no filters");
        }
        let sums = FilterSums::open(run)?;
        let (records, with_sums) =
            (count_lines(&run.path("records.jsonl"))?, sums.pictures as usize);
        anyhow::ensure!(
            with_sums <= records,
            "{}: filters.safetensors has {with_sums} images and records.jsonl {records}: they do \
             not belong together; name another folder with --out",
            run.folder().display()
        );
        if with_sums < records {
            say!(
                "{} images whose filters were not written before the end are done again",
                records - with_sums
            );
            writer.keep(with_sums)?;
        }
        Ok(Some(Self { sums, written: Instant::now() }))
    }

    /// Adds a picture.
    pub(super) fn add(&mut self, record: &ImageRecord, picture: Option<&PictureFilters>) {
        if let Some(picture) = picture {
            self.sums.add(&record.path, record.label, picture);
        }
    }

    /// Writes the sums if that was long ago; everything that was added has its record by then.
    pub(super) fn recorded(&mut self, run: &Run) -> emocam::Result<()> {
        if self.written.elapsed() >= INTERVAL {
            self.save(run)?;
        }
        Ok(())
    }

    /// Writes the sums.
    pub(super) fn save(&mut self, run: &Run) -> emocam::Result<()> {
        self.sums.save(run)?;
        self.written = Instant::now();
        Ok(())
    }

    /// Writes tables and figures of a finished pass over `images`.
    pub(super) fn finish(
        &self,
        run: &Run,
        config: &Config,
        images: &[&Source],
    ) -> anyhow::Result<()> {
        self.sums.write_tables(run.folder())?;
        draw(&self.sums, run, config, images.iter().copied())
    }
}

/// Draws the figures of a merged run, whose photos are looked up where `run.json` says they are;
/// says why where they are not there as they were.
pub(super) fn draw_again(run: &Run) -> anyhow::Result<()> {
    let info = &run.manifest.corpus;
    let Some(images) = super::corpus::again(info) else {
        say!(
            "filters.csv is that of all images; no filters.png: the photos are not, or no more the \
             same, in {}: merge where they are",
            info.folders.join(", ")
        );
        return Ok(());
    };
    draw(&FilterSums::open(run)?, run, &run.manifest.configuration, images.iter())
}

/// Draws `filters.png` and `.svg` of every method that has any, with photos from `images`.
fn draw<'a>(
    sums: &FilterSums,
    run: &Run,
    config: &Config,
    images: impl Iterator<Item = &'a Source>,
) -> anyhow::Result<()> {
    let sources: HashMap<&str, &Source> =
        images.map(|source| (source.path.as_str(), source)).collect();
    let options =
        DecodeOptions { ignore_exif: config.corpus.ignore_exif, ..DecodeOptions::default() };
    let mut open =
        |path: &str| sources.get(path)?.decode(&options).ok().map(|picture| picture.pixels);
    for (method, picture) in figure(sums, run.manifest.warning.as_deref(), &mut open) {
        let [png, svg] = ["filters.png", "filters.svg"].map(|name| run.path(&method).join(name));
        plot::write(&picture.svg()?, &png, &svg)?;
        say!("{}", png.display());
    }
    Ok(())
}
