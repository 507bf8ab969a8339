//! `emocam analyze`: one pass over a corpus.

use super::associate::print_summary;
use super::progress::Progress;
use super::settings::Settings;
use anyhow::Context;
use emocam::config::Config;
use emocam::corpus::{Corpus, Problem, Source};
use emocam::emotion::EmotionModel;
use emocam::explain::Score;
use emocam::load::{load, Loaded};
use emocam::nn;
use emocam::pipeline::{Models, Pass};
use emocam::record::RecordWriter;
use emocam::run::{
    failures_csv, images_and_objects_csv, matrices, CorpusInfo, Failure, Manifest, Outcome, Run, Timings,
};
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Probabilities over this are called saturated.
const SATURATED: f32 = 0.999;

/// Run both networks over a corpus: records, tables, association matrix and heatmap
///
/// Without options this is the configuration of the EmoCAM paper. Results go to a run directory while the pass goes on;
/// a pass that was stopped or killed continues with --resume and ends in the same tables.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of images (jpg, jpeg, png, webp, bmp, tif, tiff; searched to the bottom) or single images; uncompressed .tar
    /// files, also in folders; @LIST for a list of files, one path a line, relative to the list's folder (@- for stdin)
    #[arg(required = true)]
    corpus: Vec<PathBuf>,

    /// The run directory [default: <CORPUS NAME>-emocam]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,

    /// Continue the run in the run directory, or start it if there is none yet; refused when configuration, models or
    /// corpus have changed
    #[arg(long)]
    resume: bool,

    /// Only the first N images, in the order of their paths
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,

    /// Keep every map, as <RUN>/maps/<IMAGE>.safetensors (about 200 KB for each image and method)
    #[arg(long)]
    save_maps: bool,

    #[command(flatten)]
    settings: Settings,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { corpus: roots, out, resume, limit, save_maps, settings } = args;
    let (config, machine) = settings.resolve()?;
    let corpus = super::corpus::images(&roots, limit)?;
    let folder = out.unwrap_or_else(|| PathBuf::from(format!("{}-emocam", super::corpus::name(&roots[0]))));
    tch::set_num_threads(nn::network_threads());
    let device = nn::open(machine.device)?;
    let loaded = load(&config, &machine.models, device)?;
    nn::keep_freed_memory();
    let manifest = manifest(&config, &loaded, device, &roots, &corpus)?;
    if let Some(warning) = &manifest.warning {
        say!("warning: {warning}");
    }
    let mut run = if resume { Run::resume(&folder, manifest)? } else { Run::create(&folder, manifest)? };
    tch::set_num_threads(run.manifest.network_threads);
    let mut writer = RecordWriter::open(&run.path("records.jsonl"))?;
    let mut done = HashSet::new();
    run.for_each_record(|record| {
        done.insert(record.path);
        Ok(())
    })?;
    let todo: Vec<&Source> = corpus.images.iter().filter(|source| !done.contains(&source.path)).collect();
    announce(&corpus, done.len(), device, &folder);

    let stop =
        stop_on_interrupt("stopping after this batch; once more to stop at once (nothing that is recorded is lost)")?;
    let mut progress = Progress::new(corpus.images.len() as u64, "images");
    let maps = run.path("maps");
    let pass = Pass {
        sources: &todo,
        models: Models { detector: &loaded.detector, emotion: &loaded.emotion },
        config: &config,
        threads: machine.threads,
        maps: save_maps.then_some(maps.as_path()),
        stop,
    };
    let (failed, timings) = pass.run(&mut writer, &mut |now| {
        let note = if now.failed > 0 { format!("{} failed", now.failed) } else { String::new() };
        progress.at((done.len() + now.done + now.failed) as u64, note);
    })?;
    progress.finish();
    let stopped = stop.load(Ordering::Relaxed) && timings.images + failed.len() < todo.len();
    let failures = all_failures(corpus.problems, failed);
    if stopped {
        say!(
            "stopped after {} of {} images; the same command with --resume continues, \
             `emocam associate {}` looks at what is there",
            done.len() + timings.images,
            corpus.images.len(),
            folder.display()
        );
        return Ok(ExitCode::from(130));
    }
    finish(&mut run, &failures, timings)
}

/// Writes the tables, matrices and `run.json`, and says what came out.
fn finish(run: &mut Run, failures: &[Failure], timings: Timings) -> anyhow::Result<ExitCode> {
    run.manifest.outcome = Some(outcome(run, failures.len(), timings)?);
    failures_csv(run, failures)?;
    images_and_objects_csv(run)?;
    let matrices = matrices(run, &run.manifest.configuration.association)?;
    let pictures = matrices.write(run.folder())?;
    run.manifest.complete = true;
    run.save()?;
    print_summary(&matrices)?;
    for picture in pictures {
        say!("{}", picture.display());
    }
    say_flags(run);
    say_failures(failures, &run.path("failures.csv"));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What could not be looked at and what failed, in the order of the paths.
pub(super) fn all_failures(problems: Vec<Problem>, failed: Vec<Failure>) -> Vec<Failure> {
    let of = |problem: Problem| Failure { path: problem.path, stage: "find".into(), cause: problem.cause };
    let mut failures: Vec<Failure> = problems.into_iter().map(of).chain(failed).collect();
    failures.sort_by(|a, b| a.path.cmp(&b.path));
    failures
}

/// The first failures, and where all of them are.
pub(super) fn say_failures(failures: &[Failure], table: &Path) {
    for failure in failures.iter().take(3) {
        say!("failed: {} ({}): {}", failure.path, failure.stage, failure.cause);
    }
    if !failures.is_empty() {
        say!("{} failed in all; see {}", failures.len(), table.display());
    }
}

/// What a reader of the matrices should know of the maps.
fn say_flags(run: &Run) {
    let (Some(outcome), cam) = (&run.manifest.outcome, &run.manifest.configuration.cam) else { return };
    for (method, count) in outcome.flat_maps.iter().filter(|(_, count)| **count > 0) {
        say!(
            "{method}: {count} of {} maps show nothing (`flat` in records.jsonl); no box in them counts",
            outcome.done
        );
    }
    let explains_probability = cam.methods.iter().any(|method| method.score(&cam.options()) == Score::Probability);
    if outcome.saturated > 0 && explains_probability {
        say!(
            "{} of {} images have a probability over {SATURATED}, which hardly changes with the picture: `--target logit` \
             explains the logit instead",
            outcome.saturated,
            outcome.done
        );
    }
}

fn outcome(run: &Run, failed: usize, timings: Timings) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { failed, timings, ..Outcome::default() };
    run.for_each_record(|record| {
        outcome.done += 1;
        outcome.boxes += record.boxes.len();
        outcome.clipped += record.clipped;
        outcome.outside += record.outside;
        outcome.saturated += usize::from(record.probabilities[record.label] > SATURATED);
        for map in &record.maps {
            *outcome.flat_maps.entry(map.method.clone()).or_default() += usize::from(map.flat);
        }
        Ok(())
    })?;
    Ok(outcome)
}

/// As in `run.json`.
pub(super) fn device_name(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".into(),
    }
}

/// What says later whether a corpus is still the same.
pub(super) fn corpus_info(roots: &[PathBuf], corpus: &Corpus) -> anyhow::Result<CorpusInfo> {
    let folders = roots.iter().map(|root| super::corpus::absolute(root));
    Ok(CorpusInfo {
        folders: folders.collect::<std::io::Result<_>>().context("cannot name the corpus folders")?,
        images: corpus.images.len(),
        sha256: emocam::corpus::digest(&corpus.images),
    })
}

fn manifest(
    config: &Config,
    loaded: &Loaded,
    device: tch::Device,
    roots: &[PathBuf],
    corpus: &Corpus,
) -> anyhow::Result<Manifest> {
    Ok(Manifest {
        emocam: env!("CARGO_PKG_VERSION").into(),
        libtorch: "2.11".into(),
        complete: false,
        warning: emocam::load::warning(&loaded.files),
        configuration: config.clone(),
        device: device_name(device),
        network_threads: tch::get_num_threads(),
        models: loaded.files.clone(),
        corpus: corpus_info(roots, corpus)?,
        labels: loaded.emotion.card().labels.clone(),
        classes: loaded.classes.clone(),
        matrices: None,
        paste: None,
        outcome: None,
    })
}

fn announce(corpus: &Corpus, done: usize, device: tch::Device, folder: &Path) {
    let device = match device {
        tch::Device::Cuda(number) => format!("GPU {number}"),
        _ => format!("CPU, {} threads", tch::get_num_threads()),
    };
    let already = if done > 0 { format!(", {done} already done") } else { String::new() };
    say!("{} images{already}; {device}; results in {}", corpus.images.len(), folder.display());
}

/// The first Ctrl-C (or SIGTERM) lets the work at hand finish and says `note`, the second ends the process.
pub(super) fn stop_on_interrupt(note: &'static str) -> anyhow::Result<&'static AtomicBool> {
    static STOP: AtomicBool = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        say!("\n{note}");
    })
    .context("cannot catch Ctrl-C")?;
    Ok(&STOP)
}
