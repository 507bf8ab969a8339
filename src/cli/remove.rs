//! `emocam remove`: regions taken away and kept alone, over a corpus or in the drawn world.

use super::experiment::{RecordedPictures, Recording};
use super::output;
use super::session::{
    self, all_failures, corpus_info, device_name, open_device, paths, print, say_failures,
    say_joined, say_warning,
};
use super::settings::{MOST_SCENES, Machine, Settings};
use super::shard;
use super::values::{by_name, whole};
use super::world::{StyleName, graph_file, graph_or_standard};
use emocam::attribution::{ClassChoice, HiddenFill};
use emocam::config::Config;
use emocam::corpus::{Corpus, Problem, Shard, ShardChoice};
use emocam::demo::{DemoNetworks, use_models};
use emocam::files::sha256;
use emocam::image::Canvas;
use emocam::load;
use emocam::pipeline::workers_on;
use emocam::regions::Regions;
use emocam::removal::{
    DrawnScenes, MOST_REGIONS, RemovalNetworks, RemovalSettings, RemovalStage, Subject, write,
};
use emocam::run::{
    CorpusInfo, Failure, Manifest, ModelFile, Outcome, Run, Timings, write_failures,
};
use emocam::world::{CLASSES, CausalGraph};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Take every region of every image away, and keep it alone, and see how the answer changes
///
/// The surest regions of an image (--player-confidence, --max-regions) are hidden one at a time in
/// the network's input, and the other way round all else is; hidden places are filled as --fills
/// says, one after the other. So that what an object does is told from what a patch does, the same
/// is done with a control: a patch of the region's size and shape at another place of the image,
/// drawn by --seed and the image's path among those apart from the region's box that lie least on
/// other regions; where the box fits nowhere else, in the corner where it overlaps least; a region
/// of which more than half would overlap has none.
///
/// Writes a run directory: records.jsonl, removal.csv (a row for each region, fill and kind),
/// classes.csv (per class, label, fill and kind: mean changes of the own label's probability, their
/// difference with interval, flips), removal.png and .svg. Each region and fill costs four inputs
/// of the emotion model (about 10 ms each on two cores).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of images, single images, .tar files, or @LIST for a list of files, as for analyze
    #[arg(required_unless_present = "drawn")]
    corpus: Vec<PathBuf>,

    /// The run directory [default: emocam-removal; of a shard: emocam-removal-shards/03-of-16]
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

    /// What stands in for hidden places, one after the other: some of black, mean (the image's mean
    /// colour), blur, and surroundings (the colours around them). Each costs as much as the first.
    /// --fill is for dnc-shap and object-shap alone
    #[arg(long, value_name = "FILL,...", value_parser = by_name::<HiddenFill>, value_delimiter = ',',
        default_values = ["mean", "blur", "surroundings"])]
    fills: Vec<HiddenFill>,

    /// At most so many regions of an image, the surest, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole::<usize>(1, MOST_REGIONS as u64))]
    max_regions: usize,

    /// Instead of a corpus, N drawn scenes (1 to 1000000) with the exact boxes of their objects.
    /// They can also be drawn again without an object: redrawing.csv says per fill how far the two
    /// effects are apart and how they correlate. The model is the small one that comes with the
    /// program, copied to RUN-models, unless --emotion-weights names another
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroU64>(1, MOST_SCENES),
        conflicts_with_all = ["corpus", "limit", "shard", "regions", "detector"])]
    drawn: Option<NonZeroU64>,

    /// Which stream of scenes --drawn draws; the models were trained on others
    #[arg(long, value_name = "N", default_value_t = 7, requires = "drawn", value_parser = whole::<u64>(0, u64::MAX))]
    world: u64,

    /// How --drawn draws: standard, as the models were trained; held-out: other palettes, lines and
    /// backgrounds
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = StyleName::Standard, requires = "drawn")]
    style: StyleName,

    /// The causal graph that --drawn draws from, as for `emocam world`; its labels must be the
    /// model's [default: the built-in one]
    #[arg(long, value_name = "FILE.toml", requires = "drawn")]
    graph: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

/// The pictures of an experiment.
enum Pictures {
    /// Of a corpus those of a shard, or all.
    Photos(Corpus, Option<Shard>),
    /// So many scenes that are drawn from a causal graph.
    Scenes(Arc<CausalGraph>, u64),
}

/// Everything that an experiment is made of.
struct Experiment {
    config: Config,
    machine: Machine,
    /// One set a model thread.
    networks: Vec<RemovalNetworks>,
    settings: RemovalSettings,
    pictures: Pictures,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (resume, shard) = (args.resume, shard::resolve(args.shard)?);
    let folder = args.out.clone().unwrap_or_else(|| shard::folder("emocam-removal".into(), shard));
    let _claimed = output::run_folder(&folder, resume)?;
    let (mut experiment, manifest) = prepare(args, shard, &folder)?;
    say_warning(manifest.warning.as_ref());
    let run =
        if resume { Run::resume(&folder, manifest)? } else { Run::create(&folder, manifest)? };
    execute(&mut experiment, run)
}

/// Loads what the arguments name and resolves what they mean.
fn prepare(
    args: Args,
    shard: Option<Shard>,
    folder: &Path,
) -> anyhow::Result<(Experiment, Manifest)> {
    // The others were seen to by the caller; a new one does not compile until it is named here.
    let Args {
        corpus: roots,
        out: _,
        resume: _,
        shard: _,
        limit,
        fills,
        max_regions,
        drawn,
        world,
        style,
        graph,
        settings,
    } = args;
    let drawn_scenes = drawn.map(|_| DrawnScenes { world, style: style.into() });
    let removal = RemovalSettings { fills, max_regions, drawn: drawn_scenes };
    removal.check()?;
    let (mut config, machine) = settings.resolve()?;
    check_settings(&config)?;
    let pictures = match drawn {
        Some(count) => Pictures::Scenes(graph_or_standard(graph.as_deref())?, count.get()),
        None => {
            let mut corpus = super::corpus::images(&roots, limit)?;
            config.compute.for_images(corpus.images.len());
            shard::keep_problems(&mut corpus, shard);
            Pictures::Photos(corpus, shard)
        }
    };
    if drawn.is_some() {
        use_world(&mut config, folder)?;
    }
    let device = open_device(&machine)?;
    let (network, mut files) = load::network(&config, &machine.models, device)?;
    let (regions, corpus) = match &pictures {
        Pictures::Photos(corpus, _) => {
            let (found, own) =
                load::regions(&config, &machine.models, device, &paths(&corpus.images))?;
            say_joined(&found);
            files.extend(own);
            (Some(found), corpus_info(&roots, corpus)?)
        }
        Pictures::Scenes(causes, count) => {
            causes.check_network(&network.card().labels)?;
            files.extend(graph.as_deref().map(graph_file).transpose()?);
            (None, scenes_info(*count, &removal)?)
        }
    };
    let classes = class_names(regions.as_ref());
    let canvas = regions.as_ref().map(Regions::finder).unwrap_or_default().canvas;
    let networks = RemovalNetworks::new(network, regions, &config)?;
    let manifest =
        manifest(&config, &networks, &files, device, (&classes, canvas), corpus, &removal)?;
    let part = match &pictures {
        Pictures::Photos(corpus, shard) => {
            shard::info(*shard, shard::images(&corpus.images, *shard).len())
        }
        Pictures::Scenes(..) => None,
    };
    let manifest = Manifest { shard: part, ..manifest };
    let networks = workers_on(networks, &[device], RemovalNetworks::on)?;
    Ok((Experiment { config, machine, networks, settings: removal, pictures }, manifest))
}

/// Refuses maps and a choice of answers that removing regions has no use for.
fn check_settings(config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.cam.maps.is_empty(),
        "removing regions changes the images, and no folder has maps of the changed ones; leave \
         out --maps"
    );
    anyhow::ensure!(
        config.cam.class == ClassChoice::Predicted,
        "removing regions measures the probability of each image's own label; leave --class out"
    );
    Ok(())
}

/// The classes of the regions; of drawn scenes, which say their objects themselves, those of the
/// drawn world.
fn class_names(regions: Option<&Regions>) -> Vec<String> {
    match regions {
        Some(regions) => regions.classes().to_vec(),
        None => CLASSES.iter().map(|name| (*name).to_string()).collect(),
    }
}

/// The embedded models, beside the run, for drawn scenes where none is named; regions are known.
fn use_world(config: &mut Config, out: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.regions.file.is_empty(),
        "scenes are drawn as they are needed: no file has their regions; leave [regions] file out"
    );
    if config.emotion.weights == Config::default().emotion.weights {
        let mut folder = out.as_os_str().to_os_string();
        folder.push("-models");
        use_models(config, Path::new(&folder), DemoNetworks::default())?;
    }
    Ok(())
}

/// What says later whether the scenes are still the same.
fn scenes_info(count: u64, settings: &RemovalSettings) -> anyhow::Result<CorpusInfo> {
    let text = serde_json::to_string(&settings.drawn)?;
    Ok(CorpusInfo { folders: Vec::new(), images: count as usize, sha256: sha256(text.as_bytes()) })
}

fn manifest(
    config: &Config,
    networks: &RemovalNetworks,
    files: &[ModelFile],
    device: tch::Device,
    boxes: (&[String], Canvas),
    corpus: CorpusInfo,
    settings: &RemovalSettings,
) -> anyhow::Result<Manifest> {
    let card = networks.network().card();
    let manifest = session::manifest(config, files, device_name(device), card, boxes, corpus);
    Ok(Manifest { experiment: Some(settings.to_experiment()?), ..manifest })
}

/// Runs what of the experiment is still to be done.
fn execute(experiment: &mut Experiment, mut run: Run) -> anyhow::Result<ExitCode> {
    let Experiment { config, machine, networks, settings, pictures } = experiment;
    let (items, unit): (Vec<Subject<'_>>, _) = match &*pictures {
        Pictures::Photos(corpus, shard) => (
            shard::images(&corpus.images, *shard).into_iter().map(Subject::Photo).collect(),
            "images",
        ),
        Pictures::Scenes(graph, count) => {
            ((0..*count).map(|number| Subject::Scene { graph, number }).collect(), "scenes")
        }
    };
    let stage = RemovalStage::new(&networks[0], settings, config);
    let (batch, threads) = (config.compute.batch, machine.threads);
    let recording = Recording {
        run: &run,
        stage: &stage,
        items,
        workers: networks,
        batch,
        threads,
        unit,
        sample: None,
    };
    let Some(RecordedPictures { done, failed, timings }) = recording.record()? else {
        return Ok(ExitCode::from(130));
    };
    finish(&mut run, &all_failures(problems(pictures), failed), done, timings)
}

/// What of the corpus could not be looked at.
fn problems(pictures: &mut Pictures) -> Vec<Problem> {
    match pictures {
        Pictures::Photos(corpus, _) => std::mem::take(&mut corpus.problems),
        Pictures::Scenes(..) => Vec::new(),
    }
}

/// Writes tables, the picture and `run.json`, and says what came out.
fn finish(
    run: &mut Run,
    failures: &[Failure],
    done: usize,
    timings: Timings,
) -> anyhow::Result<ExitCode> {
    let (summary, picture) = write(run)?;
    write_failures(&run.path("failures.csv"), failures)?;
    run.finish(Outcome { done, failed: failures.len(), timings, ..Outcome::default() })?;
    print(summary.as_bytes())?;
    say_picture(picture.as_deref());
    say_failures(failures, &run.path("failures.csv"));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Where the picture is, if there is one.
pub(super) fn say_picture(picture: Option<&Path>) {
    match picture {
        Some(picture) => say!("{}", picture.display()),
        None => say!("no region with a control: no picture"),
    }
}
