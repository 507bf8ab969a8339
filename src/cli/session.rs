//! What the commands over pictures share: devices, networks, failures, Ctrl-C, a reader of stdout
//! that has gone.

use super::settings::Machine;
use anyhow::Context;
use emocam::attribution::external::ExternalMaps;
use emocam::config::Config;
use emocam::corpus::{Corpus, Joined, Problem, Source};
use emocam::image::Canvas;
use emocam::load::{self, Loaded};
use emocam::networks::Card;
use emocam::nn;
use emocam::regions::Regions;
use emocam::run::{CorpusInfo, FORMAT, Failure, Manifest, ModelFile};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The paths by which pictures are known.
pub(super) fn paths(images: &[Source]) -> Vec<&str> {
    images.iter().map(|source| source.path.as_str()).collect()
}

/// Sets libtorch up and opens the one device of a command that computes on one.
pub(super) fn open_device(machine: &Machine) -> anyhow::Result<tch::Device> {
    anyhow::ensure!(
        !machine.measures_precision,
        "--precision auto measures at the beginning of a long run, and belongs to analyze: name \
         f32, bf16 or f16 here"
    );
    tch::set_num_threads(nn::network_threads());
    Ok(nn::open(&machine.device)?)
}

/// Loads both ends of an analysis on one device, and says what a reader of the results should know
/// of them.
pub(super) fn load(
    config: &Config,
    machine: &Machine,
    images: &[Source],
) -> anyhow::Result<(Loaded, tch::Device)> {
    let device = open_device(machine)?;
    let loaded = load::load(config, &machine.models, device, &paths(images))?;
    nn::keep_freed_memory();
    say_warning(load::warning(&loaded.files).as_ref());
    say_joined(&loaded.regions);
    Ok((loaded, device))
}

/// A warning for every reader.
pub(super) fn say_warning(warning: Option<&String>) {
    if let Some(warning) = warning {
        say!("warning: {warning}");
    }
}

/// How pictures and the entries of a file of regions fitted together, where they did not wholly.
pub(super) fn say_joined(regions: &Regions) {
    let Regions::Known(known) = regions else { return };
    let Some(joined) = known.joined() else { return };
    let Joined {
        pictures_without_entry,
        entries_without_picture,
        example_pictures,
        example_entries,
        ..
    } = joined;
    let file = known.file().display();
    if *pictures_without_entry > 0 {
        let examples = example_pictures.join(", ");
        say!(
            "{file}: {pictures_without_entry} images have no entry and count as images without \
             objects ({examples})"
        );
    }
    if *entries_without_picture > 0 {
        let examples = example_entries.join(", ");
        say!(
            "{file}: {entries_without_picture} entries belong to no image of the corpus \
             ({examples})"
        );
    }
}

/// Files of the folders of maps from elsewhere that belong to no picture: perhaps they are
/// misnamed.
pub(super) fn say_unused_maps(maps: &ExternalMaps) {
    for files in maps.folders().iter().filter(|files| files.files_without_picture > 0) {
        let (folder, count) = (files.folder().display(), files.files_without_picture);
        say!(
            "{folder}: {count} files belong to no image of the corpus ({})",
            files.example_files.join(", ")
        );
    }
}

/// As in `run.json`.
pub(super) fn device_name(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".into(),
    }
}

/// As in `run.json`: "cpu", "cuda:0" or "cuda:0,1".
pub(super) fn device_names(devices: &[tch::Device]) -> String {
    let names: Vec<String> = devices.iter().map(|&device| device_name(device)).collect();
    names.join(",").replace(",cuda:", ",")
}

/// What says later whether a corpus is still the same.
pub(super) fn corpus_info(roots: &[PathBuf], corpus: &Corpus) -> anyhow::Result<CorpusInfo> {
    let folders = roots.iter().map(|root| super::corpus::absolute(root));
    Ok(CorpusInfo {
        folders: folders
            .collect::<std::io::Result<_>>()
            .context("cannot name the corpus folders")?,
        images: corpus.images.len(),
        sha256: emocam::corpus::digest(&corpus.images),
    })
}

/// `run.json` of a run that begins; `device` is as there, `boxes` are the names of the regions'
/// classes and the canvas on which boxes are scored.
pub(super) fn manifest(
    config: &Config,
    files: &[ModelFile],
    device: String,
    card: &Card,
    boxes: (&[String], Canvas),
    corpus: CorpusInfo,
) -> Manifest {
    let (classes, canvas) = boxes;
    Manifest {
        format: FORMAT,
        emocam: env!("CARGO_PKG_VERSION").into(),
        libtorch: "2.11".into(),
        complete: false,
        warning: load::warning(files),
        configuration: config.clone(),
        device,
        network_threads: tch::get_num_threads(),
        measured_precision: None,
        models: files.to_vec(),
        corpus,
        shard: None,
        labels: card.labels.clone(),
        output: card.scalar.as_ref().map(|scalar| scalar.name.clone()),
        classes: classes.to_vec(),
        input: card.fit.into(),
        scoring: canvas.into(),
        matrices: None,
        experiment: None,
        outcome: None,
        merged: None,
    }
}

/// What could not be looked at and what failed, in the order of the paths.
pub(super) fn all_failures(problems: Vec<Problem>, failed: Vec<Failure>) -> Vec<Failure> {
    let found = |problem: Problem| Failure {
        path: problem.path,
        stage: "find".into(),
        cause: problem.cause,
    };
    let mut failures: Vec<Failure> = problems.into_iter().map(found).chain(failed).collect();
    failures.sort_by(|a, b| a.path.cmp(&b.path));
    failures
}

/// Failures that are said one by one.
pub(super) const SAID_FAILURES: usize = 3;

/// The first failures, and where all of them are.
pub(super) fn say_failures(failures: &[Failure], table: &Path) {
    for failure in failures.iter().take(SAID_FAILURES) {
        say!("failed: {} ({}): {}", failure.path, failure.stage, failure.cause);
    }
    if !failures.is_empty() {
        say!("{} failed in all; see {}", failures.len(), table.display());
    }
}

/// The first Ctrl-C (or SIGTERM) lets the work at hand finish and says `note`, the second ends the
/// process. Of several calls the first one's note is said.
pub(super) fn stop_on_interrupt(note: &'static str) -> anyhow::Result<&'static AtomicBool> {
    static STOP: AtomicBool = AtomicBool::new(false);
    static IS_SET: AtomicBool = AtomicBool::new(false);
    if IS_SET.swap(true, Ordering::Relaxed) {
        return Ok(&STOP);
    }
    ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::Relaxed) {
            // SAFETY: it takes nothing and does not return. Not `exit`, which would take libtorch's
            // tables away from the threads that are still computing.
            unsafe { libc::_exit(130) };
        }
        say!("\n{note}");
    })
    .context("cannot catch Ctrl-C")?;
    Ok(&STOP)
}

/// Says once that batches have become smaller for lack of memory; `batch` is what was said last.
pub(super) fn say_smaller_batch(batch: &mut usize, now: usize, configured: usize) {
    if now < *batch {
        *batch = now;
        say!(
            "the memory does not suffice for batches of {configured}: going on with {now}. Last \
             digits may follow the batch; for tables that are the same at every run start with \
             --batch {now}"
        );
    }
}

/// Text to stdout. A reader that has seen enough is no failure: the files are written, and the exit
/// status is theirs.
pub(super) fn print(text: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout()
        .lock()
        .write_all(super::printable(&String::from_utf8_lossy(text)).as_bytes())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(()),
    }
}
