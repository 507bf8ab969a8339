//! `emocam embed`: features of a network's layers over one or several corpora, in the plane and in
//! numbers.

use super::labels::{LabelArgs, of_sources};
use super::output;
use super::progress::Progress;
use super::session::{
    self, all_failures, corpus_info, device_name, open_device, print, say_failures, say_warning,
};
use super::session::{say_smaller_batch, stop_on_interrupt};
use super::settings::{MOST_THREADS, Machine};
use super::values::whole;
use emocam::classify::ClassifyWorker;
use emocam::config::Config;
use emocam::corpus::{Corpus, Source};
use emocam::embed::{
    COMMAND, EmbedSettings, EmbedStage, EmbeddedPicture, EmbeddingMeasure, FEWEST_PICTURES,
    FeatureLayer, FeatureSet, Judgement, LayerEmbedding, LayerReport, MarkBy, Space, choose,
    feature_layers, measure, write_layer,
};
use emocam::networks::Classifier;
use emocam::nn::{self, DeviceChoice};
use emocam::pipeline::Pass;
use emocam::regions::SCORING_CANVAS;
use emocam::run::{Experiment, Failure, Manifest, Outcome, Run, Timings, write_failures};
use emocam::{load, stats};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

const AFTER_HELP: &str = "\
Examples:
  emocam embed emonet.pth --list-layers
  emocam embed emonet.pth photos --labels folder --layer fc7 --out embedded
  emocam embed adapted.safetensors faces paintings --layer activation,fc7 --out embedded    do the domains overlap?";

/// Show the features of a network's layers in the plane (PCA and t-SNE), and measure what is seen
/// there
///
/// Every CORPUS is a domain. Writes a run directory with a folder for each layer: embedding.png and
/// .svg (PCA and t-SNE side by side, coloured by label, marked by domain or by right and wrong),
/// embedding.csv (path, domain, label, answer and the four coordinates), features.npy (f32, the
/// rows of embedding.csv), numbers.csv (silhouette; accuracy of the nearest neighbours, each image
/// left out of its own vote, with Wilson's interval; the share of the most frequent label to
/// compare it with; explained variance; trustworthiness of both planes) and, of several corpora,
/// domains.csv: for every two domains the accuracy of a linear classifier that tells them apart
/// (logistic regression, cross-validation in five parts, as many images of both, at most 2,000 of
/// each), the proxy A-distance 2 (1 - 2 error), and the distance of the means in standard
/// deviations.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The network: whatever --emotion-weights of the other commands takes (EmoNet, Multi-GAP, what
    /// `emocam train` leaves, a TorchScript file with its card)
    model: String,

    /// Folders of images, single images, .tar files, or @LIST for a list of files, as for analyze;
    /// each is a domain
    #[arg(required_unless_present = "list_layers")]
    corpus: Vec<PathBuf>,

    /// The run directory; it must be empty or not there
    #[arg(long, value_name = "DIR", required_unless_present = "list_layers")]
    out: Option<PathBuf>,

    /// Layers by their names, separated by commas or given several times: inner layers that the
    /// network names (mean over all places), `activation` (the explained activation, likewise),
    /// linear layers behind it where the network shows them (fc6 and fc7 of an AlexNet, behind
    /// their ReLU), `outputs`. --list-layers lists them [default: activation]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    layer: Vec<String>,

    /// Print the names of the network's layers, and end
    #[arg(long)]
    list_layers: bool,

    #[command(flatten)]
    labels: LabelArgs,

    /// What the marks of the points tell: the domain, whether the answer is right, or nothing
    /// [default: domain for several corpora, else right with --labels]
    #[arg(long, value_enum, value_name = "WHAT")]
    mark: Option<MarkName>,

    #[command(flatten)]
    embedding: Embedding,

    /// Only the first N images of each CORPUS, in the order of their paths
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1, u64::MAX))]
    limit: Option<NonZeroUsize>,

    /// Folder of model files that are named without a path [default: $EMOCAM_MODELS, else
    /// ~/.local/share/emocam/models]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,

    /// The network's mean image as published text [default: img_mean.txt beside it, where the
    /// checkpoint needs one]
    #[arg(long, value_name = "FILE")]
    emotion_mean: Option<String>,

    /// The stream of a network with several (Multi-GAP) whose last block is the explained
    /// activation [default: its first]
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,

    /// Leave photos as their pixels lie, whatever their EXIF orientation says
    #[arg(long)]
    ignore_exif: bool,

    #[command(flatten)]
    compute: EmbedCompute,
}

/// How features are embedded and measured.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Embedding")]
struct Embedding {
    /// Of t-SNE: about how many neighbours of each image matter; at most a third of the other
    /// images [default: 30, or the largest that so few images allow; no t-SNE below 2]
    #[arg(long, value_name = "N")]
    perplexity: Option<f64>,

    /// Steps of t-SNE's descent, 500 to 100000; its cost grows with them
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = whole::<usize>(500, 100_000))]
    iterations: usize,

    /// Principal components that t-SNE works on: few enough that it is fast, and enough to keep
    /// what is no noise
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = whole::<usize>(1, u64::MAX))]
    components: usize,

    /// Neighbours that vote for a label, and that trustworthiness looks at
    #[arg(long, value_name = "K", default_value_t = 5, visible_alias = "neighbors",
        value_parser = whole::<usize>(1, u64::MAX))]
    neighbours: usize,

    /// Seed of t-SNE's start and of the images that are drawn for the domain classifier
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u64>(0, u64::MAX))]
    seed: u64,
}

/// How the network computes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Computing")]
struct EmbedCompute {
    /// auto (the first GPU when CUDA works, else the CPU), cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,

    /// Images a batch, 1 to 4096 [default: 4]
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1, 4096))]
    batch: Option<NonZeroUsize>,

    /// Threads that read and resize images, 1 to 1024 [default: all cores]. The network's threads
    /// follow OMP_NUM_THREADS
    #[arg(long, value_name = "N", value_parser = whole::<u16>(1, MOST_THREADS))]
    threads: Option<u16>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum MarkName {
    Domain,
    Right,
    None,
}

/// What is asked for, beside the network and the corpora.
struct Plan {
    config: Config,
    machine: Machine,
    settings: EmbedSettings,
    layers: Vec<FeatureLayer>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (mut config, machine, settings) = resolve(args)?;
    if args.list_layers {
        let (network, _) = load::network(&config, &machine.models, open_device(&machine)?)?;
        let line = |layer: FeatureLayer| format!("{:<20} {}\n", layer.name, layer.description());
        print(feature_layers(&*network).into_iter().map(line).collect::<String>().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = args.out.clone().expect("clap asks for it");
    let domains = Domains::find(&args.corpus, args.limit)?;
    let Domains { corpus, names, .. } = &domains;
    anyhow::ensure!(
        corpus.images.len() >= FEWEST_PICTURES,
        "an embedding needs at least {FEWEST_PICTURES} images; there are {}",
        corpus.images.len()
    );
    settings.check(corpus.images.len())?;
    config.compute.for_images(corpus.images.len());
    let given = args.labels.given(&of_sources(&corpus.images))?;
    let mark = mark(args.mark, names.len(), given.is_some())?;
    let _claimed = output::empty_folder(&folder)?;
    let device = open_device(&machine)?;
    let (network, files) = load::network(&config, &machine.models, device)?;
    let labels = network.card().labels.clone();
    let truth = given.map(|given| args.labels.beside(&given, &labels)).transpose()?;
    let layers = choose(&*network, &args.layer)?;
    let (info, card) = (corpus_info(&args.corpus, corpus)?, network.card());
    let manifest =
        session::manifest(&config, &files, device_name(device), card, (&[], SCORING_CANVAS), info);
    let plan = Plan { config, machine, settings, layers };
    let told = told(&plan, &domains, truth.is_some(), mark);
    let manifest = Manifest {
        experiment: Some(Experiment { command: COMMAND.into(), settings: told }),
        ..manifest
    };
    say_warning(manifest.warning.as_ref());
    let Some((pictures, failed, timings)) = pass(&plan, network, &corpus.images)? else {
        return Ok(ExitCode::from(130));
    };
    let pictures = pictures.into_iter().map(|picture| domains.with_domain(picture)).collect();
    let judgement = Judgement { truth: truth.as_ref(), labels: &labels };
    let (set, broken) = FeatureSet::collect(pictures, names, judgement)?;
    let failures =
        all_failures(corpus.problems.clone(), failed.into_iter().chain(broken).collect());
    let mut run = Run::create(&folder, manifest)?;
    write_failures(&run.path("failures.csv"), &failures)?;
    say_failures(&failures, &run.path("failures.csv"));
    report(&run, &plan, &set, mark)?;
    let done = set.pictures.len();
    run.finish(Outcome { done, failed: failures.len(), timings, ..Outcome::default() })?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Flags to configuration, machine and settings.
fn resolve(args: &Args) -> anyhow::Result<(Config, Machine, EmbedSettings)> {
    let &Embedding { perplexity, iterations, components, neighbours, seed } = &args.embedding;
    let fewest = stats::FEWEST_ITERATIONS;
    anyhow::ensure!(
        iterations >= fewest,
        "--iterations {iterations}: t-SNE needs at least {fewest}"
    );
    anyhow::ensure!(components > 0, "--components 0: t-SNE needs at least one");
    anyhow::ensure!(neighbours > 0, "--neighbours 0: at least one has to vote");
    if let Some(perplexity) = perplexity {
        anyhow::ensure!(perplexity >= 2.0, "--perplexity {perplexity}: at least 2");
    }
    let mut config = Config::default();
    config.emotion.weights.clone_from(&args.model);
    config.emotion.mean = args.emotion_mean.clone().unwrap_or(config.emotion.mean);
    config.cam.streams = args.stream.iter().cloned().collect();
    config.corpus.ignore_exif = args.ignore_exif;
    config.compute.batch = args.compute.batch.map_or(config.compute.batch, NonZeroUsize::get);
    config.check()?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.compute.threads.map_or_else(cores, usize::from);
    let (models, device) =
        (emocam::models::folder(args.models.as_deref()), args.compute.device.clone());
    let settings = EmbedSettings { perplexity, iterations, components, neighbours, seed };
    Ok((config, Machine { models, device, measures_precision: false, threads }, settings))
}

fn mark(asked: Option<MarkName>, domains: usize, labelled: bool) -> anyhow::Result<MarkBy> {
    match asked {
        None => Ok(MarkBy::usual(domains, labelled)),
        Some(MarkName::Right) if !labelled => {
            anyhow::bail!("--mark right: without --labels nobody knows which answers are right")
        }
        Some(MarkName::Right) => Ok(MarkBy::Right),
        Some(MarkName::Domain) => Ok(MarkBy::Domain),
        Some(MarkName::None) => Ok(MarkBy::Nothing),
    }
}

/// The settings as `run.json` has them.
fn told(
    plan: &Plan,
    domains: &Domains,
    labelled: bool,
    mark: MarkBy,
) -> BTreeMap<String, serde_json::Value> {
    let EmbedSettings { iterations, components, neighbours, seed, .. } = plan.settings;
    let perplexity = plan.settings.perplexity_for(domains.corpus.images.len());
    let layers: Vec<&str> = plan.layers.iter().map(|layer| layer.name.as_str()).collect();
    let told = serde_json::json!({
        "layers": layers, "domains": domains.names, "labelled": labelled, "mark": mark.name(), "perplexity": perplexity,
        "iterations": iterations, "components": components, "neighbours": neighbours, "seed": seed,
    });
    told.as_object().expect("it was made as one").clone().into_iter().collect()
}

/// Answers and features of all images that could be decoded, what failed, and where the time went;
/// `None` when Ctrl-C ended that early.
#[expect(clippy::type_complexity, reason = "three things that come of a pass, used once")]
fn pass(
    plan: &Plan,
    network: Box<dyn Classifier>,
    images: &[Source],
) -> anyhow::Result<Option<(Vec<EmbeddedPicture>, Vec<Failure>, Timings)>> {
    nn::keep_freed_memory();
    let stage = EmbedStage::new(&*network, &plan.config, &plan.layers);
    let batch = plan.config.compute.batch;
    let mut worker = ClassifyWorker { network, batch };
    let stop = stop_on_interrupt("stopping after this batch; once more to stop at once")?;
    let total = images.len();
    let (mut progress, mut pictures, mut inputs) =
        (Progress::new(total as u64, "images"), Vec::new(), batch);
    let (workers, threads) = (std::slice::from_mut(&mut worker), plan.machine.threads);
    let pass = Pass { stage: &stage, items: images, workers, batch, threads, stop };
    let (failed, timings) = pass.run(&mut |done, now| {
        pictures.extend(done.into_iter().map(|picture| picture.outcome));
        say_smaller_batch(&mut inputs, now.batch, batch);
        let note = if now.failed > 0 { format!("{} failed", now.failed) } else { String::new() };
        progress.at((now.done + now.failed) as u64, note);
        Ok(())
    })?;
    progress.finish();
    if stop.load(Ordering::Relaxed) && timings.images + failed.len() < total {
        say!("stopped after {} of {total} images; nothing is kept", timings.images);
        return Ok(None);
    }
    Ok(Some((pictures, failed, timings)))
}

/// Embeds, measures and writes every layer, and says the most important numbers on stdout.
fn report(run: &Run, plan: &Plan, set: &FeatureSet, mark: MarkBy) -> anyhow::Result<()> {
    let unlabelled = set.pictures.iter().filter(|picture| picture.group.is_none()).count();
    if unlabelled > 0 {
        say!(
            "{unlabelled} images have no label in --labels: they are grey, and left out of what is \
             measured by label"
        );
    }
    let settings = &plan.settings;
    for (number, layer) in plan.layers.iter().enumerate() {
        let embedding = &measure(set, number, settings)?;
        if embedding.t_sne.is_none() {
            say!("{}: no t-SNE, for too few images or features that are all the same", layer.name);
        }
        let folder =
            write_layer(run, &LayerReport { layer, number, set, embedding, settings, mark })?;
        print(summary(&layer.name, set, embedding).as_bytes())?;
        say!("{}", folder.join("embedding.png").display());
    }
    Ok(())
}

fn summary(layer: &str, set: &FeatureSet, embedding: &LayerEmbedding) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<f64>, interval: Option<(f64, f64)>| {
        let Some(value) = value else { return };
        let interval =
            interval.map_or(String::new(), |(lower, upper)| format!(" [{lower:.3}, {upper:.3}]"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{layer:<16} {name:<44} {value:.3}{interval}");
    };
    let named = [
        (EmbeddingMeasure::Silhouette, Space::Features, set.grouped_by(), "silhouette"),
        (
            EmbeddingMeasure::NeighbourAccuracy,
            Space::Features,
            set.grouped_by(),
            "accuracy of nearest neighbours",
        ),
        (
            EmbeddingMeasure::LargestGroup,
            Space::Features,
            set.grouped_by(),
            "share of the most frequent",
        ),
        (EmbeddingMeasure::Trustworthiness, Space::Tsne, "", "trustworthiness of t-SNE"),
        (EmbeddingMeasure::Trustworthiness, Space::Pca, "", "trustworthiness of PCA"),
    ];
    for (measure, space, by, name) in named {
        let name = if by.is_empty() { name.to_string() } else { format!("{name} ({by})") };
        let found = embedding.find(measure, space, by);
        line(&name, found.and_then(|one| one.value), found.and_then(|one| one.interval));
    }
    for pair in &embedding.domains {
        let [a, b] = pair.domains.map(|domain| set.domains[domain].as_str());
        line(
            &format!("{a} | {b}: domain classifier"),
            pair.accuracy.map(|share| share.share),
            pair.accuracy.map(|share| share.interval),
        );
        line(&format!("{a} | {b}: proxy A-distance"), pair.proxy_a_distance, None);
        line(&format!("{a} | {b}: distance of means"), pair.mean_distance, None);
    }
    text
}

/// The corpora, each a domain.
struct Domains {
    corpus: Corpus,
    names: Vec<String>,
    /// Number of the domain of every image, by its path.
    of_path: HashMap<String, usize>,
}

impl Domains {
    /// The images below all roots, each of the first root that has it; at most `limit` of each.
    fn find(roots: &[PathBuf], limit: Option<NonZeroUsize>) -> anyhow::Result<Self> {
        let stdin = roots.iter().any(|root| root == Path::new("@-"));
        anyhow::ensure!(
            roots.len() == 1 || !stdin,
            "@- cannot be a domain among several: write the list to a file"
        );
        let mut corpus = super::corpus::images(roots, None)?;
        let identity =
            |source: &Source| (source.file.clone(), source.member.map(|member| member.offset));
        let mut of_image = HashMap::new();
        for (domain, root) in roots.iter().enumerate().filter(|_| roots.len() > 1) {
            for source in super::corpus::images(std::slice::from_ref(root), None)?.images {
                of_image.entry(identity(&source)).or_insert(domain);
            }
        }
        let mut counts = vec![0; roots.len()];
        let mut of_path = HashMap::new();
        corpus.images.retain(|source| {
            let domain = of_image.get(&identity(source)).copied().unwrap_or(0);
            counts[domain] += 1;
            of_path.insert(source.path.clone(), domain);
            limit.is_none_or(|limit| counts[domain] <= limit.get())
        });
        Ok(Self { corpus, names: names(roots), of_path })
    }

    fn with_domain(&self, picture: EmbeddedPicture) -> (EmbeddedPicture, usize) {
        let domain = self.of_path.get(&picture.answer.path).copied().unwrap_or(0);
        (picture, domain)
    }
}

/// Names of the domains: of folder, list or tar; as they are given where two would have the same.
fn names(roots: &[PathBuf]) -> Vec<String> {
    let short: Vec<String> = roots.iter().map(|root| super::corpus::name(root)).collect();
    let unique = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    let name = |(root, name): (&PathBuf, &String)| {
        if unique(name) { name.clone() } else { root.display().to_string() }
    };
    roots.iter().zip(&short).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_named_shortly_where_that_tells_them_apart() {
        let roots = ["data/faces", "data/art", "other/art"].map(PathBuf::from);
        assert_eq!(names(&roots), ["faces", "data/art", "other/art"]);
    }
}
