//! `emocam evaluate`: is a method any good?

use super::experiment::{RecordedPictures, Recording};
use super::labels::{LabelArgs, of_sources};
use super::output;
use super::session::{
    self, all_failures, corpus_info, device_name, open_device, paths, print, say_failures,
    say_joined, say_unused_maps, say_warning,
};
use super::settings::{Machine, Settings};
use super::values::{by_name, whole};
use anyhow::Context;
use emocam::annotations::PeopleLabels;
use emocam::attribution::external::ExternalMaps;
use emocam::attribution::{self, Needs};
use emocam::config::Config;
use emocam::corpus::Corpus;
use emocam::faithfulness::{
    self, Evaluation, EvaluationSettings, Judge, Judged, JudgingNetworks, Measure, MetricEstimate,
    Plan, Pointer, Pointing,
};
use emocam::names::counted;
use emocam::networks::Classifier;
use emocam::pipeline::workers_on;
use emocam::regions::{Regions, SCORING_CANVAS};
use emocam::run::{Manifest, Outcome, Run};
use emocam::stats::FEWEST_RESAMPLED_CASES;
use emocam::{Error, load};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Judge the methods: deletion, insertion, ROAD, average drop, pointing game, sanity check, over a
/// corpus
///
/// Changes each image as its map says and asks the emotion model again, some 50 times for each
/// image and method, and does the same with maps that know nothing of the model (random, centre),
/// which a method has to beat. Writes a run directory: records.jsonl, evaluation.csv (means with 95
/// % bootstrap intervals, from ten images on), images.csv, curves.csv, failures.csv and a picture;
/// with --labels answers.csv, the means over images that are answered rightly and wrongly. What the
/// metrics measure is whether a map agrees with what the model does, not whether the model is
/// right. Costs some 1.2 s of processor time for each image and map, baselines included, and for
/// LIME-CAM 9 s; with --precision bf16, on processors made for it, 0.9 and 4 s. Not needed: a
/// detector, unless for --pointing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of images (jpg, jpeg, png, webp, bmp, tif, tiff; searched to the bottom) or single
    /// images; uncompressed .tar files, also in folders; @LIST for a list of files, one path a
    /// line, relative to the list's folder (@- for stdin)
    #[arg(required = true)]
    corpus: Vec<PathBuf>,

    /// The run directory [default: <CORPUS NAME>-emocam-evaluation]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,

    /// Continue the evaluation in the run directory, or start it if there is none yet
    #[arg(long)]
    resume: bool,

    /// Only the first N images, in the order of their paths
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1, u64::MAX))]
    limit: Option<NonZeroUsize>,

    /// What to measure, separated by commas: deletion, insertion, road, confidence (average drop,
    /// average gain, increase in confidence), sanity [default: all of these]
    #[arg(long, value_name = "METRIC,...", value_delimiter = ',', value_parser = measure, help_heading = "Evaluation")]
    metrics: Option<Vec<Measure>>,

    /// Steps of the deletion and insertion curves; each is one run of the emotion model, 2 to 1000
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = "Evaluation",
        value_parser = whole::<usize>(2, 1000))]
    steps: usize,

    /// Also play the energy pointing game with boxes of this class of the detector, which is loaded
    /// then
    #[arg(long, value_name = "CLASS", help_heading = "Evaluation")]
    pointing: Option<String>,

    /// Boxes of the pointing game must be more confident than this, 0 to 1
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.25,
        help_heading = "Evaluation",
        requires = "pointing"
    )]
    pointing_confidence: f32,

    /// Bootstrap samples for the intervals, 0 to 1000000; 0 leaves them out. Fewer than ten images
    /// have none
    #[arg(long, value_name = "N", default_value_t = 2000, help_heading = "Evaluation",
        value_parser = whole::<usize>(0, 1_000_000))]
    resamples: usize,

    #[command(flatten)]
    labels: LabelArgs,

    #[command(flatten)]
    settings: Settings,
}

fn measure(text: &str) -> Result<Measure, String> {
    match by_name(text)? {
        Measure::Pointing => {
            Err("the pointing game needs a class: --pointing CLASS plays it".into())
        }
        measure => Ok(measure),
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args {
        corpus: roots,
        out,
        resume,
        limit,
        metrics,
        steps,
        pointing,
        pointing_confidence,
        resamples,
        labels: given,
        settings,
    } = args;
    let (mut config, machine) = settings.resolve()?;
    // Before anything else runs on many threads.
    rayon::ThreadPoolBuilder::new()
        .num_threads(machine.threads)
        .build_global()
        .context("cannot start threads")?;
    if config.corpus.fast_decode {
        say!(
            "warning: fast decoding is for analyze and explain: methods are judged on whole photos"
        );
    }
    let measures = metrics.clone().unwrap_or_else(|| Measure::WITHOUT_DETECTOR.to_vec());
    let measures =
        measures.into_iter().chain(pointing.is_some().then_some(Measure::Pointing)).collect();
    let pointing = pointing.map(|class| Pointing { class, confidence: pointing_confidence });
    let mut plan = Plan { measures, steps, pointing, resamples };
    plan.check()?;
    let mut corpus = super::corpus::images(&roots, limit)?;
    config.compute.for_images(corpus.images.len());
    let folder = out.unwrap_or_else(|| {
        PathBuf::from(format!("{}-emocam-evaluation", super::corpus::name(&roots[0])))
    });
    let _claimed = output::run_folder(&folder, resume)?;
    let Judging { mut networks, pointer, maps, manifest } =
        Judging::load(&config, &mut plan, metrics.is_none(), &machine, &roots, &corpus)?;
    let known = given.given(&of_sources(&corpus.images))?;
    let truth = known.map(|known| given.beside(&known, &manifest.labels)).transpose()?;
    let judge = Judge::new(&networks[0], pointer, maps, &config, &plan)?;
    say_warning(manifest.warning.as_ref());
    let mut run =
        if resume { Run::resume(&folder, manifest)? } else { Run::create(&folder, manifest)? };
    let (items, batch, threads) = (
        std::mem::take(&mut corpus.images),
        networks[0].pictures(),
        machine.threads.min(DECODE_THREADS),
    );
    let recording = Recording {
        run: &run,
        stage: &judge,
        items,
        workers: &mut networks,
        batch,
        threads,
        unit: "images",
        sample: None,
    };
    let Some(RecordedPictures { failed, timings, .. }) = recording.record()? else {
        return Ok(ExitCode::from(130));
    };

    let failures = all_failures(corpus.problems, failed);
    let evaluation = Evaluation::of_run(&run)?;
    let estimates = evaluation.estimates(plan.resamples, config.cam.seed);
    faithfulness::write(&run, &evaluation, &estimates, &plan, &failures)?;
    if let Some(truth) = truth {
        faithfulness::write_groups(
            &folder,
            &by_answer(&evaluation, &truth, plan.resamples, config.cam.seed),
        )?;
        say!("{}", folder.join("answers.csv").display());
    }
    let outcome = evaluation.outcome(failures.len(), timings);
    run.finish(outcome.clone())?;
    print_means(&evaluation, &estimates)?;
    say_flags(&outcome, &evaluation, &plan, &folder);
    say_failures(&failures, &run.path("failures.csv"));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The estimates over images whose answer is what people say, and over those whose answer is not.
fn by_answer(
    evaluation: &Evaluation,
    truth: &PeopleLabels,
    resamples: usize,
    seed: u64,
) -> [(&'static str, Vec<MetricEstimate>); 2] {
    // `None`: nobody says anything, or has no word for the answer.
    let is_right = |picture: &Judged| {
        Some(truth.of_picture(&picture.path)? == truth.of_network[picture.class]?)
    };
    [("right", true), ("wrong", false)].map(|(name, right)| {
        let group = evaluation.of_pictures(|picture| is_right(picture) == Some(right));
        (name, group.estimates(resamples, seed))
    })
}

/// Pictures decode faster than they are judged.
const DECODE_THREADS: usize = 2;

/// What an evaluation runs.
struct Judging {
    /// One set a model thread.
    networks: Vec<JudgingNetworks>,
    /// Where the regions of the pointing game come from.
    pointer: Option<Pointer>,
    /// Maps from elsewhere.
    maps: Arc<ExternalMaps>,
    /// What `run.json` says of all that.
    manifest: Manifest,
}

impl Judging {
    /// Loads the explained network, and the regions where the plan needs them; the class's name in
    /// the plan becomes their own. A name that is not known is refused before any weights are read.
    /// A check that the network does not admit is left out of a plan that nobody made by name
    /// (`default`).
    fn load(
        config: &Config,
        plan: &mut Plan,
        default: bool,
        machine: &Machine,
        roots: &[PathBuf],
        corpus: &Corpus,
    ) -> anyhow::Result<Self> {
        let class = match &mut plan.pointing {
            Some(pointing) => {
                let names = load::classes(config, &machine.models)?;
                let class = load::class_index(&pointing.class, &names)?;
                pointing.class.clone_from(&names[class]);
                Some(class)
            }
            None => None,
        };
        let (maps, map_files) = load::maps(config, &paths(&corpus.images))?;
        say_unused_maps(&maps);
        let device = open_device(machine)?;
        let (network, mut files) = load::network(config, &machine.models, device)?;
        attribution::check(&config.cam.methods, &config.cam.options(), &*network)?;
        config.cam.check_one_stream()?;
        if let Some(method) =
            config.cam.methods.iter().find(|method| method.row().needs == Needs::Regions)
        {
            let message =
                "gives one number a region and no map, and evaluate judges maps: leave it out";
            return Err(Error::Setting(format!("{method} {message}")).into());
        }
        leave_out_sanity(plan, default, &*network);
        let card = network.card().clone();
        let regions = match class {
            Some(_) => {
                let (regions, own) =
                    load::regions(config, &machine.models, device, &paths(&corpus.images))?;
                files.extend(own);
                say_joined(&regions);
                Some(regions)
            }
            None => None,
        };
        files.extend(map_files);
        let pointer =
            |class| regions.as_ref().map(|regions: &Regions| Pointer::new(regions, class));
        let pointer = class.and_then(pointer);
        let networks = JudgingNetworks::new(network, regions, plan, config)?;
        let (boxes, corpus): ((&[String], _), _) =
            ((&[], SCORING_CANVAS), corpus_info(roots, corpus)?);
        let manifest = session::manifest(config, &files, device_name(device), &card, boxes, corpus);
        let settings =
            EvaluationSettings { plan: plan.clone(), redrawn_layers: networks.redrawn_layers() };
        let manifest = Manifest { experiment: Some(settings.to_experiment()?), ..manifest };
        let networks = workers_on(networks, &[device], JudgingNetworks::on)?;
        Ok(Self { networks, pointer, maps, manifest })
    }
}

/// The sanity check redraws layers; a network that does not show any is judged by the other
/// metrics.
fn leave_out_sanity(plan: &mut Plan, default: bool, network: &dyn Classifier) {
    if default && network.layers().is_none() && plan.has(Measure::Sanity) {
        plan.measures.retain(|measure| *measure != Measure::Sanity);
        say!(
            "sanity is left out: it redraws the layers of the network's head, which this network \
             does not show"
        );
    }
}

/// The means as a table on stdout: a row for each method, a column for each metric.
fn print_means(evaluation: &Evaluation, estimates: &[MetricEstimate]) -> anyhow::Result<()> {
    let mut rows = vec![vec!["mean over images".to_string()], vec!["better".to_string()]];
    for metric in evaluation.metrics() {
        rows[0].push(metric.name());
        rows[1].push(metric.better().name().to_string());
    }
    for contender in evaluation.contenders() {
        let mark = if contender.is_baseline() { " (baseline)" } else { "" };
        let mean = |metric: &_| {
            let found = estimates
                .iter()
                .find(|estimate| estimate.contender == *contender && estimate.metric == *metric);
            found
                .and_then(|estimate| estimate.mean)
                .map_or("-".to_string(), |mean| format!("{mean:.3}"))
        };
        let cells = evaluation.metrics().iter().map(mean);
        rows.push(std::iter::once(format!("{}{mark}", contender.name())).chain(cells).collect());
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|index| rows.iter().map(|row| row[index].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = Vec::new();
    for row in rows {
        let (first, rest) = row.split_first().expect("every row begins with a name");
        write!(out, "{first:<width$}", width = widths[0])?;
        for (cell, width) in rest.iter().zip(&widths[1..]) {
            write!(out, "  {cell:>width$}")?;
        }
        writeln!(out)?;
    }
    print(&out)
}

/// What a reader of the numbers should know.
fn say_flags(outcome: &Outcome, evaluation: &Evaluation, plan: &Plan, folder: &Path) {
    for (method, flat) in outcome.flat_maps.iter().filter(|(_, flat)| **flat > 0) {
        say!(
            "{method}: {flat} of {} maps show nothing (`flat` in images.csv) and count as random \
             ones",
            outcome.done
        );
    }
    if outcome.saturated > 0 {
        say!(
            "{} of {} images have a probability over {}: it can hardly increase, and little moves \
             it",
            outcome.saturated,
            outcome.done,
            faithfulness::SATURATED
        );
    }
    if let Some(pointing) = &plan.pointing {
        let with_box =
            evaluation.pictures().iter().filter(|picture| picture.area.is_some()).count();
        let (class, confidence) = (&pointing.class, pointing.confidence);
        say!(
            "pointing game: {with_box} of {} images have a box of {class} over {confidence}",
            outcome.done
        );
    }
    if (1..FEWEST_RESAMPLED_CASES).contains(&outcome.done) && plan.resamples > 0 {
        say!(
            "{}: no intervals and no verdicts against the random baseline, which need \
             {FEWEST_RESAMPLED_CASES}; of so few they would call chance a difference",
            counted(outcome.done as u64, "image")
        );
    }
    if outcome.done > 0 {
        say!("{}", folder.join("evaluation.png").display());
    }
}
