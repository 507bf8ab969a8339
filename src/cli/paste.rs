//! `emocam paste`: the ObjectPaste experiment over a corpus.

mod find;

use super::experiment::{RecordedPictures, Recording};
use super::output::{self, Overwrite};
use super::session::{
    self, all_failures, corpus_info, device_name, open_device, paths, print, say_failures,
    say_joined, say_warning,
};
use super::settings::{Machine, Settings};
use super::shard;
use super::values::whole;
use emocam::attribution;
use emocam::config::Config;
use emocam::corpus::{Corpus, Shard, ShardChoice};
use emocam::image::Canvas;
use emocam::load;
use emocam::paste::{
    Fill, ObjectInfo, PasteNetworks, PasteSettings, PasteStage, PastedObject, Places, Positions,
    Tally, write,
};
use emocam::pipeline::workers_on;
use emocam::regions::Regions;
use emocam::run::{Failure, Manifest, ModelFile, Outcome, Run, Timings, write_failures};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The value of `--controls`.
#[derive(Debug, Clone)]
struct Controls(Vec<Fill>);

fn controls(text: &str) -> Result<Controls, String> {
    let fills = match text {
        "none" => Vec::new(),
        "all" => Fill::CONTROLS.to_vec(),
        names => {
            let known =
                |name: &str| Fill::CONTROLS.iter().copied().find(|fill| fill.name() == name);
            let mut fills = names
                .split(',')
                .map(|name| {
                    known(name).ok_or(format!(
                        "`{name}` is no control; known: none, all, mean, blur, shuffle"
                    ))
                })
                .collect::<Result<Vec<_>, _>>()?;
            fills.sort_unstable();
            fills.dedup();
            fills
        }
    };
    Ok(Controls([Fill::Object].into_iter().chain(fills).collect()))
}

/// Paste objects into every image and count the labels that change, with the emotion model alone
///
/// Writes a run directory: records.jsonl (every answer), paste.csv (per object, control and
/// position: share of labels changed with interval, most frequent new label), switches.csv (from
/// which label to which), cochran.csv and mcnemar.csv (tests), paste.png and .svg. Per image it
/// costs one input of the emotion model (about 10 ms on two cores) for each object, control and
/// position.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of images, single images, .tar files, or @LIST for a list of files, as for analyze
    #[arg(required_unless_present = "find")]
    corpus: Vec<PathBuf>,

    /// What to paste: PNG, WebP or TIFF with transparency; may be given several times (three come
    /// with the source, in models/objects)
    #[arg(long, value_name = "FILE", required = true)]
    object: Vec<PathBuf>,

    /// The run directory [default: <CORPUS NAME>-paste-emocam; of a shard: <CORPUS
    /// NAME>-paste-emocam-shards/03-of-16]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,

    /// Continue the run in the run directory, or start it if there is none yet
    #[arg(long)]
    resume: bool,

    /// Only the first N images, in the order of their paths
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1, u64::MAX))]
    limit: Option<NonZeroUsize>,

    /// Only the images of one of N shards, as for analyze. `emocam merge` makes one run of all
    #[arg(long, value_name = "K/N")]
    shard: Option<ShardChoice>,

    /// Height of the object, as a share of the image's
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    scale: f64,

    /// Where the object's centre goes: a grid of columns and rows (4x4), a list of shares of width
    /// and height (0.5,0.5; 0.25,0.75), or a file like configs/paste.toml; at most 10000 positions
    /// [default: the 17 of configs/paste.toml]
    #[arg(long, value_name = "NxM|LIST|FILE", conflicts_with = "at")]
    positions: Option<String>,

    /// Paste on the centre of every box of this class; may be given several times. The detector
    /// runs once an image, unless --regions names a file or a run over the same images.
    /// --min-confidence leaves out boxes
    #[arg(long, value_name = "CLASS")]
    at: Vec<String>,

    /// The same outline filled with something else, to tell the object from the hiding: none, all,
    /// or some of mean (the image's mean colour), blur (what is below, blurred), shuffle (the
    /// object's pixels in random order). Each costs as much as the object
    #[arg(long, value_name = "none|all|CONTROL,...", value_parser = controls, default_value = "none")]
    controls: Controls,

    /// Compare activation maps before and after, by the first method of --cam (focus.csv); about
    /// doubles the time
    #[arg(long)]
    focus: bool,

    /// Instead of a corpus, one photo: how its answer changes with the position of the object, on a
    /// grid and at a few scales. Writes into --out [default: <PHOTO NAME>-find-emocam] find.csv, a
    /// map for each object and scale, and the photo with the strongest switch
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["corpus", "resume", "limit", "shard", "scale", "positions",
        "at", "controls", "focus"])]
    find: Option<PathBuf>,

    /// Columns and rows of --find, each from 1 to 100
    #[arg(long, value_name = "NxM", value_parser = find::grid, default_value = "16x12", requires = "find")]
    grid: (usize, usize),

    /// Heights of the object for --find, as shares of the image's
    #[arg(
        long,
        value_name = "SHARE,...",
        value_delimiter = ',',
        default_value = "0.1,0.2,0.3",
        requires = "find"
    )]
    scales: Vec<f64>,

    #[command(flatten)]
    overwrite: Overwrite,

    #[command(flatten)]
    settings: Settings,
}

/// Everything that an experiment is made of.
struct Experiment {
    config: Config,
    machine: Machine,
    device: tch::Device,
    /// One set a model thread.
    networks: Vec<PasteNetworks>,
    files: Vec<ModelFile>,
    /// Names of the regions' classes, where objects are pasted on boxes, and where these are
    /// scored.
    classes: Vec<String>,
    canvas: Canvas,
    objects: Vec<PastedObject>,
    settings: PasteSettings,
    /// Of the classes of --at in the regions' list.
    indices: Vec<usize>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let objects = args
        .object
        .iter()
        .map(|path| PastedObject::load(path))
        .collect::<emocam::Result<Vec<_>>>()?;
    if let Some(photo) = args.find.clone() {
        return find_in(args, &photo, &objects);
    }
    anyhow::ensure!(
        !args.overwrite.overwrite,
        "--overwrite belongs to --find: a run needs a new folder, or --resume"
    );
    let shard = shard::resolve(args.shard)?;
    let mut corpus = super::corpus::images(&args.corpus, args.limit)?;
    shard::keep_problems(&mut corpus, shard);
    let (roots, resume) = (args.corpus.clone(), args.resume);
    let folder =
        args.out.clone().unwrap_or_else(|| shard::folder(default_name(&roots[0], "paste"), shard));
    let _claimed = output::run_folder(&folder, resume)?;
    let mut experiment = prepare(args, objects, &corpus)?;
    let part = shard::info(shard, shard::images(&corpus.images, shard).len());
    let manifest = Manifest { shard: part, ..manifest(&experiment, &roots, &corpus)? };
    say_warning(manifest.warning.as_ref());
    let run =
        if resume { Run::resume(&folder, manifest)? } else { Run::create(&folder, manifest)? };
    execute(&mut experiment, corpus, shard, run)
}

/// [`Settings::resolve`]; maps from elsewhere are of the photos as they were.
fn resolve(settings: Settings) -> anyhow::Result<(Config, Machine)> {
    let (config, machine) = settings.resolve()?;
    anyhow::ensure!(
        config.cam.maps.is_empty(),
        "pasting changes the images, and no folder has maps of the changed ones; leave out --maps"
    );
    Ok((config, machine))
}

/// Loads what the arguments name and resolves what they mean.
fn prepare(args: Args, objects: Vec<PastedObject>, corpus: &Corpus) -> anyhow::Result<Experiment> {
    // The others were seen to by the caller; a new one does not compile until it is named here.
    let Args {
        corpus: _,
        object: _,
        out: _,
        resume: _,
        limit: _,
        shard: _,
        find: _,
        grid: _,
        scales: _,
        overwrite: _,
        scale,
        positions,
        at,
        controls,
        focus,
        settings,
    } = args;
    let (mut config, machine) = resolve(settings)?;
    config.compute.for_images(corpus.images.len());
    if config.corpus.fast_decode {
        say!(
            "warning: fast decoding is for analyze and explain: objects are pasted on whole photos"
        );
    }
    let information = |object: &PastedObject| ObjectInfo {
        name: object.name.clone(),
        sha256: object.sha256.clone(),
    };
    let mut settings = PasteSettings {
        objects: objects.iter().map(information).collect(),
        fills: controls.0,
        scale,
        places: match positions {
            Some(text) => Places::Positions(Positions::parse(&text)?.positions),
            None => Places::Positions(Positions::default().positions),
        },
        focus: focus.then(|| config.cam.methods[0]),
    };
    settings.check()?;
    let classes = if at.is_empty() { Vec::new() } else { load::classes(&config, &machine.models)? };
    let indices = at
        .iter()
        .map(|name| load::class_index(name, &classes))
        .collect::<emocam::Result<Vec<usize>>>()?;
    if !at.is_empty() {
        settings.places =
            Places::Classes(indices.iter().map(|&index| classes[index].clone()).collect());
        settings.check()?;
    }
    let device = open_device(&machine)?;
    let (network, mut files) = load::network(&config, &machine.models, device)?;
    if let Some(method) = settings.focus {
        attribution::check(&[method], &config.cam.options(), &*network)?;
    }
    let mut regions = None;
    if !at.is_empty() {
        let (found, own) = load::regions(&config, &machine.models, device, &paths(&corpus.images))?;
        say_joined(&found);
        files.extend(own);
        regions = Some(found);
    }
    let canvas = regions.as_ref().map(Regions::finder).unwrap_or_default().canvas;
    let networks = PasteNetworks::new(network, regions, &config)?;
    let networks = workers_on(networks, &[device], PasteNetworks::on)?;
    Ok(Experiment {
        config,
        machine,
        device,
        networks,
        files,
        classes,
        canvas,
        objects,
        settings,
        indices,
    })
}

/// Runs what of the experiment is still to be done.
fn execute(
    experiment: &mut Experiment,
    corpus: Corpus,
    shard: Option<Shard>,
    mut run: Run,
) -> anyhow::Result<ExitCode> {
    let Experiment { config, machine, networks, objects, settings, indices, .. } = experiment;
    let stage = PasteStage::new(&networks[0], objects, settings, config, indices.clone())?;
    let (batch, threads, items) =
        (stage.photos(&networks[0]), machine.threads, shard::images(&corpus.images, shard));
    let recording = Recording {
        run: &run,
        stage: &stage,
        items,
        workers: networks,
        batch,
        threads,
        unit: "images",
        sample: None,
    };
    let Some(RecordedPictures { failed, timings, .. }) = recording.record()? else {
        return Ok(ExitCode::from(130));
    };
    finish(&mut run, settings, &all_failures(corpus.problems, failed), timings)
}

/// `--find`.
fn find_in(args: Args, photo: &Path, objects: &[PastedObject]) -> anyhow::Result<ExitCode> {
    let (config, machine) = resolve(args.settings)?;
    let folder = args.out.unwrap_or_else(|| default_name(&photo.with_extension(""), "find").into());
    let _claimed = args.overwrite.figures(&folder)?;
    let device = open_device(&machine)?;
    let (network, files) = load::network(&config, &machine.models, device)?;
    let network = PasteNetworks::new(network, None, &config)?;
    let warning = load::warning(&files);
    say_warning(warning.as_ref());
    find::run(&find::Task {
        photo,
        objects,
        grid: args.grid,
        scales: &args.scales,
        folder: &folder,
        config: &config,
        network: network.network(),
        warning,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes tables, pictures and `run.json`, and says what came out.
fn finish(
    run: &mut Run,
    settings: &PasteSettings,
    failures: &[Failure],
    timings: Timings,
) -> anyhow::Result<ExitCode> {
    let (tally, pictures) = write(run)?;
    write_failures(&run.path("failures.csv"), failures)?;
    let done = tally.images as usize;
    run.finish(Outcome { done, failed: failures.len(), timings, ..Outcome::default() })?;
    print_results(settings, &tally, &run.manifest.labels)?;
    for picture in pictures {
        say!("{}", picture.display());
    }
    say_failures(failures, &run.path("failures.csv"));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The counts in short, and which classes of --at are nowhere.
pub(super) fn print_results(
    settings: &PasteSettings,
    tally: &Tally,
    labels: &[String],
) -> anyhow::Result<()> {
    print(summary(settings, tally, labels).as_bytes())?;
    if let Places::Classes(classes) = &settings.places {
        let none = |position: &usize| tally.cell(0, 0, *position).pastes == 0;
        for position in (0..classes.len()).filter(none) {
            say!(
                "no box of the class {} in any of {} images: nothing was pasted there",
                classes[position],
                tally.images
            );
        }
    }
    Ok(())
}

/// Per object and fill, over all positions: how many labels changed, and where most.
fn summary(settings: &PasteSettings, tally: &Tally, labels: &[String]) -> String {
    let names = settings.places.names();
    let mut out =
        format!("{:<20} {:<8} {:>8} {:>8}  most at\n", "object", "fill", "pastes", "changed");
    for (object, info) in settings.objects.iter().enumerate() {
        for (fill, of) in settings.fills.iter().enumerate() {
            let cells: Vec<_> =
                (0..names.len()).map(|position| tally.cell(object, fill, position)).collect();
            let (pastes, changed) =
                cells.iter().fold((0, 0), |(p, c), cell| (p + cell.pastes, c + cell.changed));
            let share =
                |cell: &emocam::paste::Cell| cell.changed as f64 / cell.pastes.max(1) as f64;
            let mut best = 0;
            for position in 1..cells.len() {
                if share(cells[position]) > share(cells[best]) {
                    best = position;
                }
            }
            let most = match cells[best].switched_to() {
                Some(to) => {
                    format!("{} ({:.2}, to {})", names[best], share(cells[best]), labels[to])
                }
                None => String::new(),
            };
            let share = if pastes > 0 {
                format!("{:.3}", changed as f64 / pastes as f64)
            } else {
                String::new()
            };
            let line = format!("{:<20} {:<8} {pastes:>8} {share:>8}  {most}", info.name, of.name());
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

/// `photos-paste-emocam` for a corpus `data/photos`.
fn default_name(root: &Path, what: &str) -> String {
    format!("{}-{what}-emocam", super::corpus::name(root))
}

fn manifest(
    experiment: &Experiment,
    roots: &[PathBuf],
    corpus: &Corpus,
) -> anyhow::Result<Manifest> {
    let Experiment { config, device, networks, files, classes, canvas, settings, .. } = experiment;
    let (device, card) = (device_name(*device), networks[0].network().card());
    let corpus = corpus_info(roots, corpus)?;
    let manifest = session::manifest(config, files, device, card, (classes, *canvas), corpus);
    Ok(Manifest { experiment: Some(settings.to_experiment()?), ..manifest })
}
