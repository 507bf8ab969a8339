//! `emocam report`: runs as a page.

use super::labels::{of_run, LabelArgs};
use super::session::{say_warning, SAID_FAILURES};
use super::settings::Counting;
use emocam::associate::BesidePeople;
use emocam::corpus::{digest, find, DecodeOptions, Source};
use emocam::image::{Rgb8, Size};
use emocam::report::{write, EvidenceSettings, PhotoSource, ReportInput, ReportSettings};
use emocam::run::{read_map, InputInfo, Run};
use emocam::Error;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Make a page of a run to read, click through and send on: what was done, what was found, the photos behind it
///
/// index.html has the findings in sentences, the object-emotion matrix as a table whose cells lead to their numbers and
/// photos, what people say (--labels), how far methods agree, failures, and everything that was set. Photos are read
/// from where the run found them, with the map over them where the run kept maps (analyze --save-maps). The pages need
/// no script and no network.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run directories of `emocam analyze`
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,

    /// Write here [default: <RUN>/report of a single run, else report]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Classes of each method: the most prominent ones
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,

    /// Photos of a kind: of the strongest for each label, of the weakest, of those at random
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=50))]
    examples: u8,

    /// Labels of a class that have photos of their own: those with the most images
    #[arg(long, value_name = "N", default_value_t = 5)]
    example_labels: u8,

    /// Everything in one file, index.html, to send on
    #[arg(long)]
    embed: bool,

    /// The most bytes of that file; photos beyond are left out, evenly
    #[arg(long, value_name = "MB", default_value_t = 20, requires = "embed", value_parser = clap::value_parser!(u32).range(1..=1000))]
    budget: u32,

    /// Seed of the photos at random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    #[command(flatten)]
    labels: LabelArgs,

    #[command(flatten)]
    counting: Counting,
}

/// The photos of a run's corpus.
#[derive(Debug)]
struct RunPhotos {
    sources: HashMap<String, Source>,
    options: DecodeOptions,
    maps: Option<PathBuf>,
    input: InputInfo,
}

impl RunPhotos {
    /// Finds the photos; `None` where they are not there any more, or no more the same, which is said.
    fn find(run: &Run) -> Option<Self> {
        let info = &run.manifest.corpus;
        // What came from standard input cannot be asked for again.
        let folders: Vec<PathBuf> = info.folders.iter().filter(|folder| *folder != "@-").map(PathBuf::from).collect();
        let mut images = find(&folders).map(|found| found.images).unwrap_or_default();
        images.truncate(info.images);
        if folders.len() < info.folders.len() || digest(&images) != info.sha256 {
            say!("no photos: they are not, or no more the same, in {}", info.folders.join(", "));
            return None;
        }
        let config = &run.manifest.configuration;
        let maps = run.path("maps");
        Some(Self {
            sources: images.into_iter().map(|source| (source.path.clone(), source)).collect(),
            options: DecodeOptions { ignore_exif: config.corpus.ignore_exif, ..DecodeOptions::default() },
            maps: maps.is_dir().then_some(maps),
            input: run.manifest.input,
        })
    }
}

impl PhotoSource for RunPhotos {
    fn photo(&self, path: &str) -> Result<Rgb8, Error> {
        let source = self.sources.get(path).ok_or_else(|| Error::file(path.as_ref(), "is no more in the corpus"))?;
        Ok(source.decode(&self.options)?.pixels)
    }

    fn map(&self, path: &str, method: &str, photo: Size) -> Result<Option<(Size, Vec<f32>)>, Error> {
        let Some(folder) = &self.maps else { return Ok(None) };
        let Some(([rows, columns], values)) = read_map(&emocam::run::map_file(folder, path), method)? else {
            return Ok(None);
        };
        let size = Size::new(columns as u32, rows as u32);
        Ok(Some(self.input.placement(photo).over_picture(&values, size)))
    }
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runs = args.runs.iter().map(|folder| Run::open(folder)).collect::<Result<Vec<_>, _>>()?;
    let default = match runs.as_slice() {
        [run] => run.path("report"),
        _ => PathBuf::from("report"),
    };
    let out = args.out.clone().unwrap_or(default);
    let photos: Vec<Option<RunPhotos>> = match args.examples {
        0 => runs.iter().map(|_| None).collect(),
        _ => runs.iter().map(RunPhotos::find).collect(),
    };
    let mut inputs = Vec::new();
    for (run, photos) in runs.iter().zip(&photos) {
        say_warning(run.manifest.warning.as_ref());
        let noted = run.manifest.matrices.clone();
        let mut config = run.manifest.configuration.clone();
        config.association = noted.unwrap_or(config.association);
        args.counting.clone().apply(&mut config.association);
        config.check()?;
        let rule = config.association;
        let people = match &args.labels.labels {
            None => None,
            Some(_) => {
                let given = args.labels.given(&of_run(run)?)?;
                let truth = given.map(|given| args.labels.beside(&given, &run.manifest.labels)).transpose()?;
                truth.map(|truth| BesidePeople::read(run, &rule, &Arc::new(truth))).transpose()?
            }
        };
        inputs.push(ReportInput { run, rule, people, photos: photos.as_ref().map(|photos| photos as &dyn PhotoSource) });
    }
    let evidence =
        EvidenceSettings { examples: args.examples.into(), labels: args.example_labels.into(), seed: args.seed };
    let embed = args.embed.then_some(args.budget as usize * 1_000_000);
    let written = write(inputs, &out, ReportSettings { top: args.top.into(), evidence, embed })?;
    for failure in written.missing.iter().take(SAID_FAILURES) {
        say!("not shown: {}: {}", failure.path, failure.cause);
    }
    if written.missing.len() > SAID_FAILURES {
        say!("not shown: {} photos in all", written.missing.len());
    }
    if written.left_out > 0 {
        say!("{} photos are left out for --budget {}", written.left_out, args.budget);
    }
    say!("{} with {} photos", written.index.display(), written.photos);
    Ok(ExitCode::SUCCESS)
}
