//! `emocam paste`: the ObjectPaste experiment over a corpus.

mod find;

use super::analyze::{corpus_info, stop_on_interrupt};
use super::progress::Progress;
use super::settings::{Machine, Settings};
use anyhow::Context;
use emocam::config::Config;
use emocam::corpus::{Corpus, Source};
use emocam::image::Size;
use emocam::networks::{AlexNet, EmotionModel};
use emocam::paste::{
    write, Boxes, Fill, ObjectInfo, PastePass, PasteRecord, PasteSettings, PastedObject, Places, Positions,
    RecordedBoxes, Tally,
};
use emocam::regions::darknet::Darknet;
use emocam::run::record::{self, RecordWriter};
use emocam::run::{write_failures, Failure, Manifest, ModelFile, Outcome, Run, Timings};
use emocam::{load, nn};
use std::collections::{BTreeMap, HashSet};
use std::io::{ErrorKind, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// The value of `--controls`.
#[derive(Debug, Clone)]
struct Controls(Vec<Fill>);

fn controls(text: &str) -> Result<Controls, String> {
    let fills = match text {
        "none" => Vec::new(),
        "all" => Fill::CONTROLS.to_vec(),
        names => {
            let known = |name: &str| Fill::CONTROLS.iter().copied().find(|fill| fill.name() == name);
            let mut fills = names
                .split(',')
                .map(|name| known(name).ok_or(format!("`{name}` is no control; known: none, all, mean, blur, shuffle")))
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
/// Writes a run directory: records.jsonl (every answer), paste.csv (per object, control and position: share of labels changed
/// with interval, most frequent new label), switches.csv (from which label to which), cochran.csv and mcnemar.csv (tests),
/// paste.png and .svg. Per image it costs one input of the emotion model (about 10 ms on two cores) for each object, control
/// and position.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of images, single images, .tar files, or @LIST for a list of files, as for analyze
    #[arg(required_unless_present = "find")]
    corpus: Vec<PathBuf>,

    /// What to paste: PNG, WebP or TIFF with transparency; may be given several times (three come with the source, in
    /// models/objects)
    #[arg(long, value_name = "FILE", required = true)]
    object: Vec<PathBuf>,

    /// The run directory [default: <CORPUS NAME>-paste-emocam]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,

    /// Continue the run in the run directory, or start it if there is none yet
    #[arg(long)]
    resume: bool,

    /// Only the first N images, in the order of their paths
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,

    /// Height of the object, as a share of the image's
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    scale: f64,

    /// Where the object's centre goes: a grid of columns and rows (4x4), a list of shares of width and height (0.5,0.5;
    /// 0.25,0.75), or a file like configs/paste.toml [default: the 17 positions of configs/paste.toml]
    #[arg(long, value_name = "NxM|LIST|FILE", conflicts_with = "at")]
    positions: Option<String>,

    /// Paste on the centre of every detected box of this class; may be given several times. The detector runs once an image,
    /// unless --boxes names a run. --min-confidence leaves out boxes
    #[arg(long, value_name = "CLASS")]
    at: Vec<String>,

    /// Take the boxes for --at from the records of this run of `emocam analyze` over the same images
    #[arg(long, value_name = "RUN", requires = "at")]
    boxes: Option<PathBuf>,

    /// The same outline filled with something else, to tell the object from the hiding: none, all, or some of mean (the
    /// image's mean colour), blur (what is below, blurred), shuffle (the object's pixels in random order). Each costs as
    /// much as the object
    #[arg(long, value_name = "none|all|CONTROL,...", value_parser = controls, default_value = "none")]
    controls: Controls,

    /// Compare activation maps before and after, by the first method of --cam (focus.csv); about doubles the time
    #[arg(long)]
    focus: bool,

    /// Instead of a corpus, one photo: how its answer changes with the position of the object, on a grid and at a few
    /// scales. Writes into --out [default: <PHOTO NAME>-find-emocam] find.csv, a map for each object and scale, and the
    /// photo with the strongest switch
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["corpus", "resume", "limit", "scale", "positions", "at", "controls", "focus"])]
    find: Option<PathBuf>,

    /// Columns and rows of --find
    #[arg(long, value_name = "NxM", value_parser = find::grid, default_value = "16x12", requires = "find")]
    grid: (usize, usize),

    /// Heights of the object for --find, as shares of the image's
    #[arg(long, value_name = "SHARE,...", value_delimiter = ',', default_value = "0.1,0.2,0.3", requires = "find")]
    scales: Vec<f64>,

    #[command(flatten)]
    settings: Settings,
}

/// The networks that are needed, and their files.
struct Models {
    emotion: AlexNet,
    detector: Option<Darknet>,
    classes: Vec<String>,
    files: Vec<ModelFile>,
}

/// Everything that an experiment is made of.
struct Experiment {
    config: Config,
    machine: Machine,
    device: tch::Device,
    models: Models,
    objects: Vec<PastedObject>,
    settings: PasteSettings,
    /// Of the classes of --at in the detector's list.
    indices: Vec<usize>,
    recorded: Option<RecordedBoxes>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let objects = args.object.iter().map(|path| PastedObject::load(path)).collect::<emocam::Result<Vec<_>>>()?;
    if let Some(photo) = args.find.clone() {
        return find_in(args, &photo, &objects);
    }
    let corpus = super::corpus::images(&args.corpus, args.limit)?;
    let (roots, resume) = (args.corpus.clone(), args.resume);
    let folder = args.out.clone().unwrap_or_else(|| default_folder(&roots[0], "paste"));
    let experiment = prepare(args, objects)?;
    let manifest = manifest(&experiment, &roots, &corpus)?;
    if let Some(warning) = &manifest.warning {
        say!("warning: {warning}");
    }
    let run = if resume { Run::resume(&folder, manifest)? } else { Run::create(&folder, manifest)? };
    execute(&experiment, corpus, run)
}

/// Loads what the arguments name and resolves what they mean.
fn prepare(args: Args, objects: Vec<PastedObject>) -> anyhow::Result<Experiment> {
    // The others were seen to by the caller; a new one does not compile until it is named here.
    let Args {
        corpus: _,
        object: _,
        out: _,
        resume: _,
        limit: _,
        find: _,
        grid: _,
        scales: _,
        scale,
        positions,
        at,
        boxes,
        controls,
        focus,
        settings,
    } = args;
    let (config, machine) = settings.resolve()?;
    if config.corpus.fast_decode {
        say!("warning: fast decoding is for analyze and explain: objects are pasted on whole photos");
    }
    let from_run = boxes.as_deref().map(Run::open).transpose()?;
    let information = |object: &PastedObject| ObjectInfo { name: object.name.clone(), sha256: object.sha256.clone() };
    let records = from_run.as_ref().map(|run| run.path("records.jsonl"));
    let mut settings = PasteSettings {
        objects: objects.iter().map(information).collect(),
        fills: controls.0,
        scale,
        places: match positions {
            Some(text) => Places::Positions(Positions::parse(&text)?.positions),
            None => Places::Positions(Positions::default().positions),
        },
        boxes: records.map(|records| emocam::models::digest::sha256_file(&records)).transpose()?,
        focus: focus.then(|| config.cam.methods[0]),
    };
    settings.check()?;
    let device = open_device(&machine)?;
    let models = models(&config, &machine.models, device, !at.is_empty() && from_run.is_none())?;
    let classes = from_run.as_ref().map_or(&models.classes, |run| &run.manifest.classes);
    let indices = at.iter().map(|name| load::class_index(name, classes)).collect::<emocam::Result<Vec<usize>>>()?;
    if !at.is_empty() {
        settings.places = Places::Classes(indices.iter().map(|&index| classes[index].clone()).collect());
        settings.check()?;
    }
    let least = config.association.min_confidence;
    let recorded = from_run.as_ref().map(|run| recorded(run, &indices, least)).transpose()?;
    Ok(Experiment { config, machine, device, models, objects, settings, indices, recorded })
}

fn open_device(machine: &Machine) -> anyhow::Result<tch::Device> {
    tch::set_num_threads(nn::network_threads());
    Ok(nn::open(&machine.device)?)
}

/// Runs what of the experiment is still to be done.
fn execute(experiment: &Experiment, corpus: Corpus, mut run: Run) -> anyhow::Result<ExitCode> {
    let Experiment { config, machine, models, objects, settings, indices, recorded, .. } = experiment;
    nn::keep_freed_memory();
    tch::set_num_threads(run.manifest.network_threads);
    let mut writer = RecordWriter::open(&run.path("records.jsonl"))?;
    let mut done = HashSet::new();
    record::for_each(&run.path("records.jsonl"), |record: PasteRecord| {
        done.insert(record.path);
        Ok(())
    })?;
    let todo: Vec<&Source> = corpus.images.iter().filter(|source| !done.contains(&source.path)).collect();
    let already = if done.is_empty() { String::new() } else { format!(", {} already done", done.len()) };
    say!("{} images{already}; results in {}", corpus.images.len(), run.folder().display());
    let stop =
        stop_on_interrupt("stopping after this batch; once more to stop at once (nothing that is recorded is lost)")?;
    let mut progress = Progress::new(corpus.images.len() as u64, "images").from(done.len() as u64);
    let pass = PastePass {
        sources: &todo,
        objects,
        settings,
        config,
        emotion: &models.emotion,
        boxes: match (recorded, &models.detector) {
            (Some(recorded), _) => Boxes::Recorded(recorded),
            (None, Some(detector)) => Boxes::Detector(detector, indices),
            (None, None) => Boxes::None,
        },
        threads: machine.threads,
        stop,
    };
    let (failed, timings) = pass.run(&mut writer, &mut |now| {
        let note = if now.failed > 0 { format!("{} failed", now.failed) } else { String::new() };
        progress.at((done.len() + now.done + now.failed) as u64, note);
    })?;
    progress.finish();
    if stop.load(Ordering::Relaxed) && timings.images + failed.len() < todo.len() {
        say!(
            "stopped after {} of {} images; the same command with --resume continues",
            done.len() + timings.images,
            corpus.images.len()
        );
        return Ok(ExitCode::from(130));
    }
    let mut failures: Vec<Failure> = corpus
        .problems
        .into_iter()
        .map(|problem| Failure { path: problem.path, stage: "find".into(), cause: problem.cause })
        .chain(failed)
        .collect();
    failures.sort_by(|a, b| a.path.cmp(&b.path));
    finish(&mut run, settings, &failures, timings)
}

/// `--find`.
fn find_in(args: Args, photo: &Path, objects: &[PastedObject]) -> anyhow::Result<ExitCode> {
    let (config, machine) = args.settings.resolve()?;
    let folder = args.out.unwrap_or_else(|| default_folder(&photo.with_extension(""), "find"));
    let device = open_device(&machine)?;
    let Models { emotion, files, .. } = models(&config, &machine.models, device, false)?;
    let warning = load::warning(&files);
    if let Some(warning) = &warning {
        say!("warning: {warning}");
    }
    let (grid, scales) = (args.grid, &args.scales);
    find::run(&find::Task {
        photo,
        objects,
        grid,
        scales,
        folder: &folder,
        config: &config,
        model: &emotion,
        warning,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes tables, pictures and `run.json`, and says what came out.
fn finish(run: &mut Run, settings: &PasteSettings, failures: &[Failure], timings: Timings) -> anyhow::Result<ExitCode> {
    let (tally, pictures) = write(run)?;
    write_failures(&run.path("failures.csv"), failures)?;
    run.manifest.outcome =
        Some(Outcome { done: tally.images as usize, failed: failures.len(), timings, ..Outcome::default() });
    run.manifest.complete = true;
    run.save()?;
    match std::io::stdout().lock().write_all(summary(settings, &tally, &run.manifest.labels).as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error).context("cannot write to stdout"),
        _ => {}
    }
    for picture in pictures {
        say!("{}", picture.display());
    }
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
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for failure in failures.iter().take(3) {
        say!("failed: {} ({}): {}", failure.path, failure.stage, failure.cause);
    }
    say!("{} failed in all; see {}", failures.len(), run.path("failures.csv").display());
    Ok(ExitCode::from(1))
}

/// Per object and fill, over all positions: how many labels changed, and where most.
fn summary(settings: &PasteSettings, tally: &Tally, labels: &[String]) -> String {
    let names = settings.places.names();
    let mut out = format!("{:<20} {:<8} {:>8} {:>8}  most at\n", "object", "fill", "pastes", "changed");
    for (object, info) in settings.objects.iter().enumerate() {
        for (fill, of) in settings.fills.iter().enumerate() {
            let cells: Vec<_> = (0..names.len()).map(|position| tally.cell(object, fill, position)).collect();
            let (pastes, changed) = cells.iter().fold((0, 0), |(p, c), cell| (p + cell.pastes, c + cell.changed));
            let share = |cell: &emocam::paste::Cell| cell.changed as f64 / cell.pastes.max(1) as f64;
            let mut best = 0;
            for position in 1..cells.len() {
                if share(cells[position]) > share(cells[best]) {
                    best = position;
                }
            }
            let most = match cells[best].switched_to() {
                Some(to) => format!("{} ({:.2}, to {})", names[best], share(cells[best]), labels[to]),
                None => String::new(),
            };
            let share = if pastes > 0 { format!("{:.3}", changed as f64 / pastes as f64) } else { String::new() };
            let line = format!("{:<20} {:<8} {pastes:>8} {share:>8}  {most}", info.name, of.name());
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

fn models(config: &Config, folder: &Path, device: tch::Device, with_detector: bool) -> anyhow::Result<Models> {
    let (emotion, mut files) = load::emotion(config, folder, device)?;
    let (mut detector, mut classes) = (None, Vec::new());
    if with_detector {
        let (loaded, names, of_detector) = load::detector(config, folder, device)?;
        (detector, classes) = (Some(loaded), names);
        files.extend(of_detector);
    }
    Ok(Models { emotion, detector, classes, files })
}

/// The boxes of the wanted classes in a run.
fn recorded(run: &Run, wanted: &[usize], least: f32) -> anyhow::Result<RecordedBoxes> {
    let mut all = BTreeMap::new();
    run.for_each_record(|record| {
        let boxes = record.boxes.iter().filter(|of| of.confidence > least).filter_map(|of| {
            let position = wanted.iter().position(|&class| class == of.class)?;
            Some((position, of.bounding_box))
        });
        all.insert(record.path.clone(), (Size::new(record.width, record.height), boxes.collect()));
        Ok(())
    })?;
    Ok(all)
}

/// `photos-paste-emocam` for a corpus `data/photos`.
fn default_folder(root: &Path, what: &str) -> PathBuf {
    PathBuf::from(format!("{}-{what}-emocam", super::corpus::name(root)))
}

fn manifest(experiment: &Experiment, roots: &[PathBuf], corpus: &Corpus) -> anyhow::Result<Manifest> {
    let Experiment { config, device, models, settings, .. } = experiment;
    Ok(Manifest {
        emocam: env!("CARGO_PKG_VERSION").into(),
        libtorch: "2.11".into(),
        complete: false,
        warning: load::warning(&models.files),
        configuration: config.clone(),
        device: match device {
            tch::Device::Cuda(number) => format!("cuda:{number}"),
            _ => "cpu".into(),
        },
        network_threads: tch::get_num_threads(),
        models: models.files.clone(),
        corpus: corpus_info(roots, corpus)?,
        shard: None,
        labels: models.emotion.card().labels.clone(),
        classes: models.classes.clone(),
        matrices: None,
        paste: Some(settings.clone()),
        outcome: None,
        merged: None,
    })
}
