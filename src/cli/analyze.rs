//! `emocam analyze`: one pass over a corpus.

use super::associate::print_summary;
use super::progress::Progress;
use super::settings::Settings;
use anyhow::Context;
use emocam::config::Config;
use emocam::corpus::{find, Corpus, Problem, Shard, ShardChoice, Source};
use emocam::emotion::EmotionModel;
use emocam::explain::Score;
use emocam::load::{load, Loaded};
use emocam::nn;
use emocam::pipeline::{Models, Pass};
use emocam::record::RecordWriter;
use emocam::run::{
    failures_csv, images_and_objects_csv, matrices, CorpusInfo, Failure, Manifest, Outcome, Run, ShardInfo, Timings,
};
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Run both networks over a corpus: records, tables, association matrix and heatmap
///
/// Without options this is the configuration of the EmoCAM paper. Results go to a run directory while the pass goes on;
/// a pass that was stopped or killed continues with --resume and ends in the same tables.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of images (jpg, jpeg, png, webp, bmp, tif, tiff; searched to the bottom) or single images
    #[arg(required = true)]
    corpus: Vec<PathBuf>,

    /// The run directory [default: <CORPUS NAME>-emocam; of a shard: <CORPUS NAME>-emocam-shards/03-of-16]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,

    /// Continue the run in the run directory, or start it if there is none yet; refused when configuration, models or
    /// corpus have changed
    #[arg(long)]
    resume: bool,

    /// Only the first N images, in the order of their paths
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,

    /// Only the images of one of N shards, for several processes: 3/16 is the third of 16. `emocam merge` makes one run of all
    ///
    /// An image's shard follows from its path alone, so shards run in any order and on any machine that sees the same
    /// corpus. auto: in a Slurm job array, the shard of this task; auto/16: the shard of 16 with the number of this task, also
    /// when not all of them are in the array.
    #[arg(long, value_name = "K/N")]
    shard: Option<ShardChoice>,

    /// Keep every map, as <RUN>/maps/<IMAGE>.safetensors (about 200 KB for each image and method)
    #[arg(long)]
    save_maps: bool,

    #[command(flatten)]
    settings: Settings,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { corpus: roots, out, resume, limit, shard, save_maps, settings } = args;
    let shard = shard.map(|choice| choice.resolve(|name| std::env::var(name).ok())).transpose()?;
    let (config, machine) = settings.resolve()?;
    let mut corpus = find(&roots)?;
    corpus.images.truncate(limit.map_or(usize::MAX, NonZeroUsize::get));
    anyhow::ensure!(
        !corpus.images.is_empty(),
        "no images in {}: looked for jpg, jpeg, png, webp, bmp, tif and tiff files in all folders below",
        roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ")
    );
    let folder = out.unwrap_or_else(|| default_folder(&roots[0], shard));
    let is_ours = |key: &str| shard.is_none_or(|shard| shard.contains(key));
    let ours: Vec<&Source> = corpus.images.iter().filter(|source| is_ours(source.shard_key())).collect();
    corpus.problems.retain(|problem| is_ours(problem.shard_key()));
    tch::set_num_threads(nn::network_threads());
    let device = nn::open(machine.device)?;
    let loaded = load(&config, &machine.models, device)?;
    nn::keep_freed_memory();
    let part = shard.map(|Shard { index, count }| ShardInfo { index, count, images: ours.len() });
    let manifest = Manifest { shard: part, ..manifest(&config, &loaded, device, &roots, &corpus)? };
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
    let todo: Vec<&Source> = ours.iter().copied().filter(|source| !done.contains(&source.path)).collect();
    announce(&run, ours.len(), done.len(), device);

    let stop =
        stop_on_interrupt("stopping after this batch; once more to stop at once (nothing that is recorded is lost)")?;
    let mut progress = Progress::new(ours.len() as u64, "images");
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
            ours.len(),
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
pub(super) fn say_flags(run: &Run) {
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
            "{} of {} images have a probability over {}, which hardly changes with the picture: `--target logit` \
             explains the logit instead",
            outcome.saturated,
            outcome.done,
            Outcome::SATURATED
        );
    }
}

fn outcome(run: &Run, failed: usize, timings: Timings) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { failed, timings, ..Outcome::default() };
    run.for_each_record(|record| {
        outcome.add(&record);
        Ok(())
    })?;
    Ok(outcome)
}

/// Where a run goes that was given no place.
fn default_folder(root: &Path, shard: Option<Shard>) -> PathBuf {
    let name = format!("{}-emocam", corpus_name(root));
    match shard {
        Some(shard) => PathBuf::from(format!("{name}-shards")).join(shard.folder_name()),
        None => name.into(),
    }
}

/// `photos` for a corpus `data/photos`: its run goes to `photos-emocam` in the current folder.
pub(super) fn corpus_name(root: &Path) -> String {
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.into());
    absolute.file_name().map_or("corpus".into(), |name| name.to_string_lossy().into_owned())
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
    let folders = roots.iter().map(|root| Ok(std::path::absolute(root)?.display().to_string()));
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
        shard: None,
        labels: loaded.emotion.card().labels.clone(),
        classes: loaded.classes.clone(),
        matrices: None,
        paste: None,
        outcome: None,
        merged: None,
    })
}

fn announce(run: &Run, images: usize, done: usize, device: tch::Device) {
    let device = match device {
        tch::Device::Cuda(number) => format!("GPU {number}"),
        _ => format!("CPU, {} threads", tch::get_num_threads()),
    };
    let manifest = &run.manifest;
    let shard = manifest.shard.map_or(String::new(), |shard| {
        format!(", shard {} of {} of a corpus of {}", shard.index, shard.count, manifest.corpus.images)
    });
    let already = if done > 0 { format!(", {done} already done") } else { String::new() };
    say!("{images} images{already}{shard}; {device}; results in {}", run.folder().display());
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
