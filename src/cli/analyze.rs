//! `emocam analyze`: one pass over a corpus.

use super::associate::{print_summary, say_missing};
use super::filters::FilterKeeper;
use super::output;
use super::precision;
use super::progress;
use super::session::{
    self, all_failures, corpus_info, device_names, paths, say_failures, say_joined,
    say_smaller_batch, say_unused_maps, say_warning, stop_on_interrupt,
};
use super::settings::Settings;
use super::shard;
use super::values::whole;
use emocam::associate::{Columns, check_rule, matrices};
use emocam::config::Config;
use emocam::corpus::{Corpus, ShardChoice, Source};
use emocam::load::{Loaded, load};
use emocam::names::counted;
use emocam::nn;
use emocam::pipeline::{Analysis, Pass, PassProgress, Worker, workers_on};
use emocam::run::journal::RecordWriter;
use emocam::run::record::ImageRecord;
use emocam::run::{
    Failure, Manifest, Outcome, Run, Timings, failures_csv, images_and_objects_csv, save_maps,
};
use emocam::score::ScoreRule;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Run both networks over a corpus: records, tables, association matrix and heatmap
///
/// Without options this is the configuration of the EmoCAM paper. Results go to a run directory
/// while the pass goes on; a pass that was stopped or killed continues with --resume and ends in
/// the same tables.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of images (jpg, jpeg, png, webp, bmp, tif, tiff; searched to the bottom) or single
    /// images; uncompressed .tar files, also in folders; @LIST for a list of files, one path a
    /// line, relative to the list's folder (@- for stdin)
    #[arg(required = true)]
    corpus: Vec<PathBuf>,

    /// The run directory [default: <CORPUS NAME>-emocam; of a shard: <CORPUS
    /// NAME>-emocam-shards/03-of-16]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,

    /// Continue the run in the run directory, or start it if there is none yet; refused when
    /// configuration, models or corpus have changed
    #[arg(long)]
    resume: bool,

    /// Only the first N images, in the order of their paths
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1, u64::MAX))]
    limit: Option<NonZeroUsize>,

    /// Only the images of one of N shards, for several processes: 3/16 is the third of 16. `emocam
    /// merge` makes one run of all
    ///
    /// An image's shard follows from its path alone, so shards run in any order and on any machine
    /// that sees the same corpus. auto: in a Slurm job array, the shard of this task; auto/16: the
    /// shard of 16 with the number of this task, also when not all of them are in the array.
    #[arg(long, value_name = "K/N")]
    shard: Option<ShardChoice>,

    /// Keep every map, as <RUN>/maps/<IMAGE>.safetensors (about 200 KB for each image and method)
    #[arg(long)]
    save_maps: bool,

    /// Also make a page of the run at the end, as `emocam report RUN` does
    #[arg(long)]
    report: bool,

    /// Also measure which filters (channels of the explained activation) respond to which objects:
    /// <METHOD>/filters.csv, filter_weights.csv and a figure, by every method that weighs channels
    ///
    /// The sums lie in <RUN>/filters.safetensors (24 bytes for each class, channel and method),
    /// written every 30 seconds; after a kill, --resume does what came later again.
    #[arg(long)]
    filters: bool,

    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args {
        corpus: roots,
        out,
        resume,
        limit,
        shard: choice,
        save_maps,
        report,
        filters,
        settings,
    } = args;
    let shard = shard::resolve(choice)?;
    let (mut config, machine) = settings.resolve()?;
    config.cam.filters |= filters;
    config.check()?;
    let mut corpus = super::corpus::images(&roots, limit)?;
    config.compute.for_images(corpus.images.len());
    let folder = out.unwrap_or_else(|| {
        shard::folder(format!("{}-emocam", super::corpus::name(&roots[0])), shard)
    });
    shard::keep_problems(&mut corpus, shard);
    tch::set_num_threads(nn::network_threads());
    let devices = nn::open_all(&machine.device)?;
    let _claimed = output::run_folder(&folder, resume)?;
    let resumed = resume.then_some(folder.as_path());
    let measured_precision = precision::settle(
        &mut config,
        (machine.measures_precision, &machine.models),
        devices[0],
        resumed,
    )?;
    let loaded = load(&config, &machine.models, devices[0], &paths(&corpus.images))?;
    let worker = Worker { loaded, batch: config.compute.batch };
    let mut workers = workers_on(worker, &devices, Worker::on)?;
    nn::keep_freed_memory();
    let ours = shard::images(&corpus.images, shard);
    anyhow::ensure!(
        config.association.score != ScoreRule::Chance || ours.len() > 1,
        "the score chance compares an image's map with those of other images, and there is only \
         one: choose another --score"
    );
    let part = shard::info(shard, ours.len());
    let loaded = &workers[0].loaded;
    let manifest = Manifest {
        shard: part,
        measured_precision,
        ..manifest(&config, loaded, &devices, &roots, &corpus)?
    };
    check_rule(&manifest, &config.association)?;
    say_warning(manifest.warning.as_ref());
    say_joined(&loaded.regions);
    say_unused_maps(&loaded.maps);
    let mut run =
        if resume { Run::resume(&folder, manifest)? } else { Run::create(&folder, manifest)? };
    tch::set_num_threads(run.manifest.network_threads);
    let mut writer = RecordWriter::open(&run.path("records.jsonl"))?;
    let filters = FilterKeeper::begin(&run, &mut writer)?;
    let done = run.recorded::<ImageRecord>()?;
    let todo: Vec<&Source> =
        ours.iter().copied().filter(|source| !done.contains(&source.path)).collect();
    announce(&run, ours.len(), done.len(), &devices);

    let stop = stop_on_interrupt(
        "stopping after this batch; once more to stop at once (nothing that is recorded is lost)",
    )?;
    let progress = progress::Progress::new(ours.len() as u64, "images").from(done.len() as u64);
    let analysis = Analysis::new(&workers[0].loaded, &config, save_maps).with_filters();
    let batch = config.compute.batch;
    let pass = Pass {
        stage: &analysis,
        items: &todo,
        workers: &mut workers,
        batch,
        threads: machine.threads,
        stop,
    };
    let mut kept = Kept { run: &run, writer, maps: save_maps.then(|| run.path("maps")), filters };
    let (failed, timings) = record(pass, &mut kept, done.len(), progress)?;
    let stopped = stop.load(Ordering::Relaxed) && timings.images + failed.len() < todo.len();
    let failures = all_failures(corpus.problems, failed);
    if stopped {
        say!(
            "stopped after {} of {} images; the same command with --resume continues, `emocam \
             associate {}` looks at what is there",
            done.len() + timings.images,
            ours.len(),
            folder.display()
        );
        return Ok(ExitCode::from(130));
    }
    if let Some(filters) = kept.filters {
        filters.finish(&run, &config, &ours)?;
    }
    let status = finish(&mut run, &failures, timings)?;
    if report {
        super::report::of(run.folder())?;
    }
    Ok(status)
}

/// Where goes what comes of the pictures.
struct Kept<'a> {
    run: &'a Run,
    writer: RecordWriter,
    /// The folder of their maps, where these are kept.
    maps: Option<PathBuf>,
    /// What channels have to do with boxes, where that is kept.
    filters: Option<FilterKeeper>,
}

/// Runs the pass; records are appended as they come, their maps before them: a picture with a
/// record has its maps.
fn record<'a>(
    pass: Pass<'a, Analysis<'a>>,
    kept: &mut Kept<'_>,
    already: usize,
    mut progress: progress::Progress,
) -> anyhow::Result<(Vec<Failure>, Timings)> {
    let (configured, mut batch, size) = (pass.batch, pass.batch, pass.stage.enough().fit.input);
    let found = pass.run(&mut |done, now| {
        let mut records: Vec<ImageRecord> = Vec::with_capacity(done.len());
        for picture in done {
            let mut examined = picture.outcome;
            examined.record.path.clone_from(&picture.item.path);
            if let Some(filters) = &mut kept.filters {
                filters.add(&examined.record, examined.filters.as_ref());
            }
            if let Some(folder) = &kept.maps {
                save_maps(folder, &examined.record, size, &examined.maps)?;
            }
            records.push(examined.record);
        }
        if !records.is_empty() {
            kept.writer.append(&records)?;
        }
        if let Some(filters) = &mut kept.filters {
            filters.recorded(kept.run)?;
        }
        say_smaller_batch(&mut batch, now.batch, configured);
        progress.at((already + now.done + now.failed) as u64, note(&now));
        Ok(())
    })?;
    progress.finish();
    if let Some(filters) = &mut kept.filters {
        filters.save(kept.run)?;
    }
    Ok(found)
}

/// What progress says besides the rate: failures, and who waits for whom.
fn note(now: &PassProgress) -> String {
    let mut note = String::new();
    if now.failed > 0 {
        note.push_str(&format!("{} failed, ", now.failed));
    }
    if let Some((decode, networks)) = now.timings.utilisation() {
        note.push_str(&format!(
            "busy: decoding {:.0} %, networks {:.0} %",
            100.0 * decode,
            100.0 * networks
        ));
    }
    note
}

/// Writes the tables, matrices and `run.json`, and says what came out.
fn finish(run: &mut Run, failures: &[Failure], timings: Timings) -> anyhow::Result<ExitCode> {
    let outcome = outcome(run, failures.len(), timings)?;
    failures_csv(run, failures)?;
    images_and_objects_csv(run)?;
    let matrices = matrices(run, &run.manifest.configuration.association, Columns::Answers)?;
    let pictures = matrices.write(run.folder())?;
    run.finish(outcome)?;
    say_timings(&timings);
    print_summary(&matrices)?;
    say_missing(&matrices);
    for picture in pictures {
        say!("{}", picture.display());
    }
    say_flags(run);
    say_failures(failures, &run.path("failures.csv"));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Where the time went: what to change for more speed.
fn say_timings(timings: &Timings) {
    let Some((decode, networks)) = timings.utilisation().filter(|_| timings.images > 0) else {
        return;
    };
    let of_all = |part: f64| 100.0 * part / (timings.total * timings.model_threads as f64);
    say!(
        "{} in {}, {:.2}/s; busy: decoding {:.0} % of {}, networks {:.0} % (detector {:.0} %, \
         emotion {:.0} %, maps {:.0} %, boxes {:.0} %)",
        counted(timings.images as u64, "image"),
        indicatif::HumanDuration(std::time::Duration::from_secs_f64(timings.total)),
        timings.images as f64 / timings.total,
        100.0 * decode,
        if timings.decode_threads == 1 {
            "1 thread".into()
        } else {
            format!("{} threads", timings.decode_threads)
        },
        100.0 * networks,
        of_all(timings.detect),
        of_all(timings.emotion),
        of_all(timings.explain),
        of_all(timings.score)
    );
}

/// What a reader of the matrices should know of the maps.
pub(super) fn say_flags(run: &Run) {
    let (Some(outcome), cam) = (&run.manifest.outcome, &run.manifest.configuration.cam) else {
        return;
    };
    for (method, count) in outcome.flat_maps.iter().filter(|(_, count)| **count > 0) {
        say!(
            "{method}: {count} of {} maps show nothing (`flat` in records.jsonl); no box in them \
             counts",
            outcome.done
        );
    }
    let (options, mut methods) = (cam.options(), cam.methods.iter());
    if outcome.saturated > 0 && methods.any(|method| method.score(&options).is_of_probabilities()) {
        say!(
            "{} of {} images have a probability over {}, which hardly changes with the picture: \
             `--target logit` explains the logit instead",
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

fn manifest(
    config: &Config,
    loaded: &Loaded,
    devices: &[tch::Device],
    roots: &[PathBuf],
    corpus: &Corpus,
) -> anyhow::Result<Manifest> {
    let boxes = (loaded.regions.classes(), loaded.regions.finder().canvas);
    let card = loaded.network.card();
    let corpus = corpus_info(roots, corpus)?;
    Ok(session::manifest(config, &loaded.files, device_names(devices), card, boxes, corpus))
}

fn announce(run: &Run, images: usize, done: usize, devices: &[tch::Device]) {
    let device = match devices {
        [tch::Device::Cuda(number)] => format!("GPU {number}"),
        [_] => format!("CPU, {} threads", tch::get_num_threads()),
        _ => format!("{} GPUs", devices.len()),
    };
    let shard = shard::in_words(&run.manifest);
    let already = if done > 0 { format!(", {done} already done") } else { String::new() };
    let images = counted(images as u64, "image");
    say!("{images}{already}{shard}; {device}; results in {}", run.folder().display());
}
