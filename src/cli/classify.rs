//! `emocam classify`: what a network answers for a corpus, and how often that is right.

use super::experiment::{RecordedPictures, Recording};
use super::labels::{LabelArgs, of_sources};
use super::output;
use super::session::{
    self, all_failures, corpus_info, device_name, open_device, print, say_failures, say_warning,
};
use super::settings::Settings;
use super::values::whole;
use emocam::classify::{COMMAND, ClassifyStage, ClassifyWorker, JudgedAnswers, Share, write};
use emocam::load;
use emocam::names::counted;
use emocam::pipeline::workers_on;
use emocam::regions::SCORING_CANVAS;
use emocam::run::{Experiment, Manifest, Outcome, Run, write_failures};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Ask a network what each image shows; with labels that people gave, how often it is right
///
/// The network is the one of --emotion-weights; no detector runs. Writes a run directory:
/// records.jsonl and predictions.csv (the answer for every image, the probability of every label,
/// the answer of every stream of a network with several), and with --labels confusion.csv, .png and
/// .svg, labels.csv (recall and precision, with Wilson's intervals) and accuracy.json.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of images, single images, .tar files, or @LIST for a list of files, as for analyze
    #[arg(required = true)]
    corpus: Vec<PathBuf>,

    /// The run directory [default: <CORPUS NAME>-classify-emocam]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,

    /// Continue the run in the run directory, or start it if there is none yet
    #[arg(long)]
    resume: bool,

    /// Only the first N images, in the order of their paths
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1, u64::MAX))]
    limit: Option<NonZeroUsize>,

    #[command(flatten)]
    labels: LabelArgs,

    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { corpus: roots, out, resume, limit, labels: given, settings } = args;
    let (mut config, machine) = settings.resolve()?;
    let mut corpus = super::corpus::images(&roots, limit)?;
    config.compute.for_images(corpus.images.len());
    let pictures = of_sources(&corpus.images);
    let known = given.given(&pictures)?;
    let folder = out.unwrap_or_else(|| {
        PathBuf::from(format!("{}-classify-emocam", super::corpus::name(&roots[0])))
    });
    let _claimed = output::run_folder(&folder, resume)?;
    let device = open_device(&machine)?;
    let (network, files) = load::network(&config, &machine.models, device)?;
    let truth = known.map(|known| given.beside(&known, &network.card().labels)).transpose()?;
    let boxes: (&[String], _) = (&[], SCORING_CANVAS);
    let info = corpus_info(&roots, &corpus)?;
    let manifest =
        session::manifest(&config, &files, device_name(device), network.card(), boxes, info);
    let experiment = Experiment { command: COMMAND.into(), settings: BTreeMap::new() };
    let manifest = Manifest { experiment: Some(experiment), ..manifest };
    say_warning(manifest.warning.as_ref());
    let mut run =
        if resume { Run::resume(&folder, manifest)? } else { Run::create(&folder, manifest)? };
    let (stage, streams) = (ClassifyStage::new(&*network, &config), stream_names(&*network)?);
    let batch = config.compute.batch;
    let worker = ClassifyWorker { network, batch };
    let mut workers = workers_on(worker, &[device], ClassifyWorker::on)?;
    let (items, threads) = (std::mem::take(&mut corpus.images), machine.threads);
    let recording = Recording {
        run: &run,
        stage: &stage,
        items,
        workers: &mut workers,
        batch,
        threads,
        unit: "images",
        sample: None,
    };
    let Some(RecordedPictures { done, failed, timings }) = recording.record()? else {
        return Ok(ExitCode::from(130));
    };
    let failures = all_failures(corpus.problems, failed);
    let judged = write(&run, &streams, truth.as_ref())?;
    write_failures(&run.path("failures.csv"), &failures)?;
    run.finish(Outcome { done, failed: failures.len(), timings, ..Outcome::default() })?;
    print(summary(judged.as_ref(), done).as_bytes())?;
    say!("{}", run.path("predictions.csv").display());
    say_failures(&failures, &run.path("failures.csv"));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Names of what a network with several streams answers besides, by asking it for a black picture.
fn stream_names(network: &dyn emocam::networks::Classifier) -> anyhow::Result<Vec<String>> {
    if network.streams().is_empty() {
        return Ok(Vec::new());
    }
    let black = emocam::image::Rgb8::filled(network.card().input(), [0; 3]);
    let activation = network.activation(&network.prepare(&[&black])?)?;
    Ok(network.stream_outputs(&activation)?.into_iter().map(|(name, _)| name).collect())
}

fn summary(judged: Option<&JudgedAnswers>, done: usize) -> String {
    let Some(judged) = judged else {
        return format!("{} answered\n", counted(done as u64, "image"));
    };
    let line = |name: &str, share: Option<Share>| match share {
        Some(Share { hits, cases, share, interval: (lower, upper) }) => {
            format!("{name:<24} {share:.3} [{lower:.3}, {upper:.3}]  {hits} of {cases}\n")
        }
        None => format!("{name:<24} no labelled image\n"),
    };
    let mut text = line("accuracy", judged.confusion.accuracy());
    for (name, share) in &judged.streams {
        text.push_str(&line(&format!("stream {name} alone"), *share));
    }
    for (label, name) in judged.confusion.labels.iter().enumerate() {
        if let Some(recall) = judged.confusion.recall(label) {
            text.push_str(&line(&format!("recall of {name}"), Some(recall)));
        }
    }
    if judged.unlabelled > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} images have no label that can be compared", judged.unlabelled);
    }
    text
}
