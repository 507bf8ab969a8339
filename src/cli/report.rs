//! `emocam report`: runs as a page.

use super::association::Counting;
use super::labels::{LabelArgs, of_run};
use super::output::Overwrite;
use super::progress::Progress;
use super::session::{self, SAID_FAILURES, say_warning};
use super::settings::Machine;
use super::values::whole;
use emocam::Error;
use emocam::associate::BesidePeople;
use emocam::config::BackgroundRow;
use emocam::corpus::{DecodeOptions, Source};
use emocam::image::{Rgb8, Size};
use emocam::names::counted;
use emocam::nn::DeviceChoice;
use emocam::pipeline::{Analysis, Pass, Worker};
use emocam::report::{EvidenceSettings, PhotoSource, ReportInput, ReportSettings, write};
use emocam::run::{KeptMap, Run, map_file, read_map};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// Make a page of a run to read, click through and send on: what was done, what was found, the
/// photos behind it
///
/// index.html has the findings in sentences, the object-emotion matrix as a table whose cells lead
/// to their numbers and photos, what people say (--labels), how far methods agree, failures, and
/// everything that was set. Photos are read from where the run found them, with the map over them
/// where the run kept maps (analyze --save-maps) or with --compute-maps. Two runs are put beside
/// each other first. The pages need no script and no network.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run directories of `emocam analyze`
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,

    /// Write here [default: <RUN>/report of a single run, else report]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Classes of each method, 1 to 1000: the most prominent ones
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = whole::<u16>(1, 1000))]
    top: u16,

    /// Photos of a kind, 0 to 50: of the strongest for each label, of the weakest, of those at
    /// random
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole::<u8>(0, 50))]
    examples: u8,

    /// Labels of a class that have photos of their own, 0 to 255: those with the most images
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u8>(0, 255))]
    example_labels: u8,

    /// Everything in one file, index.html, to send on
    #[arg(long)]
    embed: bool,

    /// The most megabytes of that file, 1 to 1000; photos beyond are left out, evenly
    #[arg(long, value_name = "MB", default_value_t = 20, requires = "embed", 
        value_parser = whole::<u32>(1, 1000))]
    budget: u32,

    /// Seed of the photos at random
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u64>(0, u64::MAX))]
    seed: u64,

    /// Compute the maps of the photos that are shown, with the run's networks, where the run kept
    /// none
    #[arg(long)]
    compute_maps: bool,

    /// Folder of model files that are named without a path [default: $EMOCAM_MODELS, else
    /// ~/.local/share/emocam/models]
    #[arg(long, value_name = "DIR", requires = "compute_maps")]
    models: Option<PathBuf>,

    /// Where the networks compute: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", requires = "compute_maps")]
    device: DeviceChoice,

    #[command(flatten)]
    overwrite: Overwrite,

    #[command(flatten)]
    labels: LabelArgs,

    #[command(flatten)]
    counting: Counting,
}

/// The photos of a run's corpus.
#[derive(Debug)]
struct RunPhotos<'a> {
    run: &'a Run,
    sources: HashMap<String, Source>,
    options: DecodeOptions,
    maps: Option<PathBuf>,
    /// What computes maps, where the run kept none.
    machine: Option<Machine>,
    /// Maps that were computed: of each photo one a method, of the network's input, as levels of
    /// 255.
    computed: OnceLock<HashMap<String, Vec<Vec<u8>>>>,
}

impl<'a> RunPhotos<'a> {
    /// Finds the photos; `None` where they are not there any more, or no more the same, which is
    /// said.
    fn find(run: &'a Run, args: &Args) -> Option<Self> {
        let info = &run.manifest.corpus;
        let Some(images) = super::corpus::again(info) else {
            say!("no photos: they are not, or no more the same, in {}", info.folders.join(", "));
            return None;
        };
        let config = &run.manifest.configuration;
        let folder = run.path("maps");
        let maps = folder.is_dir().then_some(folder);
        let machine = (args.compute_maps && maps.is_none()).then(|| Machine {
            models: emocam::models::folder(args.models.as_deref()),
            device: args.device.clone(),
            measures_precision: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        });
        Some(Self {
            run,
            sources: images.into_iter().map(|source| (source.path.clone(), source)).collect(),
            options: DecodeOptions {
                ignore_exif: config.corpus.ignore_exif,
                ..DecodeOptions::default()
            },
            maps,
            machine,
            computed: OnceLock::new(),
        })
    }

    /// The maps of these photos, by the run's networks.
    fn compute(
        &self,
        machine: &Machine,
        paths: &BTreeSet<&str>,
    ) -> anyhow::Result<HashMap<String, Vec<Vec<u8>>>> {
        let config = &self.run.manifest.configuration;
        let sources: Vec<Source> =
            paths.iter().filter_map(|path| self.sources.get(*path).cloned()).collect();
        let (loaded, _) = session::load(config, machine, &sources)?;
        for file in &loaded.files {
            let known = self.run.manifest.models.iter().find(|known| known.role == file.role);
            anyhow::ensure!(
                known.is_none_or(|known| known.sha256 == file.sha256),
                "{}: is another file than the one the run was made with: maps would not be the \
                 run's",
                file.path
            );
        }
        let wanted: Vec<&Source> = sources.iter().collect();
        let analysis = Analysis::new(&loaded, config, true);
        let (batch, stop) = (config.compute.batch, AtomicBool::new(false));
        let mut workers = [Worker { loaded, batch }];
        let mut progress = Progress::new(sources.len() as u64, "maps");
        let mut computed = HashMap::new();
        let threads = machine.threads;
        let pass = Pass {
            stage: &analysis,
            items: &wanted,
            workers: &mut workers,
            batch,
            threads,
            stop: &stop,
        };
        let (failed, _) = pass.run(&mut |done, now| {
            for picture in done {
                let levels = |map: &KeptMap| {
                    map.values.iter().map(|value| (255.0 * value).round() as u8).collect()
                };
                computed.insert(
                    picture.item.path.clone(),
                    picture.outcome.maps.iter().map(levels).collect(),
                );
            }
            progress.at((now.done + now.failed) as u64, String::new());
            Ok(())
        })?;
        progress.finish();
        for failure in failed.iter().take(SAID_FAILURES) {
            say!("no map: {} ({}): {}", failure.path, failure.stage, failure.cause);
        }
        Ok(computed)
    }
}

impl PhotoSource for RunPhotos<'_> {
    fn expect(&self, paths: &BTreeSet<&str>) -> Result<(), Error> {
        if let Some(machine) = &self.machine {
            let computed =
                self.compute(machine, paths).map_err(|error| match error.downcast() {
                    Ok(known) => known,
                    Err(other) => Error::Setting(format!("{other:#}")),
                })?;
            self.computed.get_or_init(|| computed);
        }
        Ok(())
    }

    fn photo(&self, path: &str) -> Result<Rgb8, Error> {
        let source = self
            .sources
            .get(path)
            .ok_or_else(|| Error::file(path.as_ref(), "is no more in the corpus"))?;
        Ok(source.decode(&self.options)?.pixels)
    }

    fn map(
        &self,
        path: &str,
        method: &str,
        photo: Size,
    ) -> Result<Option<(Size, Vec<f32>)>, Error> {
        let input = self.run.manifest.input;
        let found = match (&self.maps, self.computed.get().and_then(|computed| computed.get(path)))
        {
            (Some(folder), _) => read_map(&map_file(folder, path), method)?
                .map(|([rows, columns], values)| (Size::new(columns as u32, rows as u32), values)),
            (None, Some(maps)) => {
                let names = self.run.manifest.configuration.cam.names();
                let place = names.iter().position(|name| name == method);
                place.and_then(|place| maps.get(place)).map(|levels| {
                    let values = levels.iter().map(|&level| f32::from(level) / 255.0).collect();
                    (Size::new(input.width, input.height), values)
                })
            }
            (None, None) => None,
        };
        Ok(found.map(|(size, values)| input.placement(photo).over_picture(&values, size)))
    }
}

/// The report of a run that has just been made, as without any flags.
pub(super) fn of(run: &std::path::Path) -> anyhow::Result<ExitCode> {
    #[derive(clap::Parser)]
    struct Plain {
        #[command(flatten)]
        args: Args,
    }
    let arguments = [std::ffi::OsStr::new("report"), run.as_os_str()];
    self::run(&<Plain as clap::Parser>::try_parse_from(arguments)?.args)
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runs = args.runs.iter().map(|folder| Run::open(folder)).collect::<Result<Vec<_>, _>>()?;
    let default = match runs.as_slice() {
        [run] => run.path("report"),
        _ => PathBuf::from("report"),
    };
    let out = args.out.clone().unwrap_or(default);
    let _claimed = args.overwrite.figures(&out)?;
    let photos: Vec<Option<RunPhotos>> = match args.examples {
        0 => runs.iter().map(|_| None).collect(),
        _ => runs.iter().map(|run| RunPhotos::find(run, args)).collect(),
    };
    let mut inputs = Vec::new();
    for (run, photos) in runs.iter().zip(&photos) {
        say_warning(run.manifest.warning.as_ref());
        let mut config = run.manifest.configuration.clone();
        config.association = run.manifest.association_of_tables().clone();
        // A page is about classes, with photos of each.
        config.association.background = BackgroundRow::None;
        args.counting.clone().apply(&mut config.association);
        config.check()?;
        let rule = config.association;
        let people = match &args.labels.labels {
            None => None,
            Some(_) => {
                let given = args.labels.given(&of_run(run)?)?;
                let truth = given
                    .map(|given| args.labels.beside(&given, &run.manifest.labels))
                    .transpose()?;
                truth.map(|truth| BesidePeople::read(run, &rule, &Arc::new(truth))).transpose()?
            }
        };
        inputs.push(ReportInput {
            run,
            rule,
            people,
            photos: photos.as_ref().map(|photos| photos as &dyn PhotoSource),
        });
    }
    let evidence = EvidenceSettings {
        examples: args.examples.into(),
        labels: args.example_labels.into(),
        seed: args.seed,
    };
    let embed = args.embed.then_some(args.budget as usize * 1_000_000);
    let settings =
        ReportSettings { top: args.top.into(), evidence, embed, replace: args.overwrite.overwrite };
    let written = write(inputs, &out, settings)?;
    for failure in written.missing.iter().take(SAID_FAILURES) {
        say!("not shown: {}: {}", failure.path, failure.cause);
    }
    if written.missing.len() > SAID_FAILURES {
        say!("not shown: {} photos in all", written.missing.len());
    }
    if written.left_out > 0 {
        say!(
            "{} left out for --budget {}",
            counted(written.left_out as u64, "picture"),
            args.budget
        );
    }
    let [pictures, photos] = [(written.pictures, "picture"), (written.photos, "photo")]
        .map(|(number, what)| counted(number as u64, what));
    match written.pictures {
        0 => say!("{} without photos", written.index.display()),
        _ => say!("{} with {pictures} of {photos}", written.index.display()),
    }
    Ok(ExitCode::SUCCESS)
}
