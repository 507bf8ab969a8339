//! `emocam analyze`: one pass over a corpus.

use super::associate::print_summary;
use super::progress;
use super::settings::Settings;
use anyhow::Context;
use emocam::associate::matrices;
use emocam::attribution::Score;
use emocam::config::Config;
use emocam::corpus::{Corpus, Problem, Shard, ShardChoice, Source};
use emocam::load::{load, Loaded};
use emocam::networks::EmotionModel;
use emocam::nn;
use emocam::pipeline::{Pass, Progress};
use emocam::run::record::RecordWriter;
use emocam::run::{
    failures_csv, images_and_objects_csv, CorpusInfo, Failure, Manifest, Outcome, Run, ShardInfo, Timings,
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
    /// Folders of images (jpg, jpeg, png, webp, bmp, tif, tiff; searched to the bottom) or single images; uncompressed .tar
    /// files, also in folders; @LIST for a list of files, one path a line, relative to the list's folder (@- for stdin)
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
    let mut corpus = super::corpus::images(&roots, limit)?;
    let folder = out.unwrap_or_else(|| default_folder(&roots[0], shard));
    let is_ours = |key: &str| shard.is_none_or(|shard| shard.contains(key));
    let ours: Vec<&Source> = corpus.images.iter().filter(|source| is_ours(source.shard_key())).collect();
    corpus.problems.retain(|problem| is_ours(problem.shard_key()));
    tch::set_num_threads(nn::network_threads());
    let devices = nn::open_all(&machine.device)?;
    let mut models = model_threads(&config, &machine.models, &devices)?;
    nn::keep_freed_memory();
    let part = shard.map(|Shard { index, count }| ShardInfo { index, count, images: ours.len() });
    let manifest = Manifest { shard: part, ..manifest(&config, &models[0], &devices, &roots, &corpus)? };
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
    announce(&run, ours.len(), done.len(), &devices);

    let stop =
        stop_on_interrupt("stopping after this batch; once more to stop at once (nothing that is recorded is lost)")?;
    let mut progress = progress::Progress::new(ours.len() as u64, "images").from(done.len() as u64);
    let maps = run.path("maps");
    let pass = Pass {
        sources: &todo,
        models: &mut models,
        config: &config,
        threads: machine.threads,
        maps: save_maps.then_some(maps.as_path()),
        stop,
    };
    let mut batch = config.compute.batch;
    let (failed, timings) = pass.run(&mut writer, &mut |now| {
        if now.batch < batch {
            batch = now.batch;
            say!(
                "the memory does not suffice for batches of {}: going on with {batch}. Last digits follow the batch; for \
                 tables that are the same at every run start with --batch {batch}",
                config.compute.batch
            );
        }
        progress.at((done.len() + now.done + now.failed) as u64, note(&now));
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

/// Model threads a GPU: it computes for the one while the other prepares its batch, suppresses boxes or fits LIME-CAM's
/// models on the processor. Both queue their work on one stream.
const THREADS_A_GPU: usize = 2;

/// A set of networks for every model thread, read once and shared by the threads of a GPU. The CPU has one thread, whose
/// batches fill its cores.
fn model_threads(config: &Config, folder: &Path, devices: &[tch::Device]) -> anyhow::Result<Vec<Loaded>> {
    let threads = |device: &tch::Device| if device.is_cuda() { THREADS_A_GPU } else { 1 };
    // The devices in turn, so that the first batches go to different ones.
    let turns = (0..THREADS_A_GPU).flat_map(|turn| devices.iter().filter(move |device| turn < threads(device)));
    let first = load(config, folder, devices[0])?;
    let others = turns.skip(1).map(|&device| first.on(device)).collect::<emocam::Result<Vec<_>>>()?;
    Ok(std::iter::once(first).chain(others).collect())
}

/// What progress says besides the rate: failures, and who waits for whom.
fn note(now: &Progress) -> String {
    let mut note = String::new();
    if now.failed > 0 {
        note.push_str(&format!("{} failed, ", now.failed));
    }
    if let Some((decode, networks)) = now.timings.utilisation() {
        note.push_str(&format!("busy: decoding {:.0} %, networks {:.0} %", 100.0 * decode, 100.0 * networks));
    }
    note
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
    say_timings(&timings);
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

/// Where the time went: what to change for more speed.
fn say_timings(timings: &Timings) {
    let Some((decode, networks)) = timings.utilisation().filter(|_| timings.images > 0) else { return };
    let of_all = |part: f64| 100.0 * part / (timings.total * timings.model_threads as f64);
    say!(
        "{} images in {}, {:.2}/s; busy: decoding {:.0} % of {}, networks {:.0} % (detector {:.0} %, emotion {:.0} %, maps \
         {:.0} %, boxes {:.0} %)",
        timings.images,
        indicatif::HumanDuration(std::time::Duration::from_secs_f64(timings.total)),
        timings.images as f64 / timings.total,
        100.0 * decode,
        if timings.decode_threads == 1 { "1 thread".into() } else { format!("{} threads", timings.decode_threads) },
        100.0 * networks,
        of_all(timings.detect),
        of_all(timings.emotion),
        of_all(timings.explain),
        of_all(timings.score)
    );
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

/// As in `run.json`: "cpu", "cuda:0" or "cuda:0,1".
fn device_names(devices: &[tch::Device]) -> String {
    let names: Vec<String> = devices.iter().map(|&device| device_name(device)).collect();
    names.join(",").replace(",cuda:", ",")
}

/// Where a run goes that was given no place.
fn default_folder(root: &Path, shard: Option<Shard>) -> PathBuf {
    let name = format!("{}-emocam", super::corpus::name(root));
    match shard {
        Some(shard) => PathBuf::from(format!("{name}-shards")).join(shard.folder_name()),
        None => name.into(),
    }
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
    devices: &[tch::Device],
    roots: &[PathBuf],
    corpus: &Corpus,
) -> anyhow::Result<Manifest> {
    Ok(Manifest {
        emocam: env!("CARGO_PKG_VERSION").into(),
        libtorch: "2.11".into(),
        complete: false,
        warning: emocam::load::warning(&loaded.files),
        configuration: config.clone(),
        device: device_names(devices),
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

fn announce(run: &Run, images: usize, done: usize, devices: &[tch::Device]) {
    let device = match devices {
        [tch::Device::Cuda(number)] => format!("GPU {number}"),
        [_] => format!("CPU, {} threads", tch::get_num_threads()),
        _ => format!("{} GPUs", devices.len()),
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
