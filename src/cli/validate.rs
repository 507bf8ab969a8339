//! `emocam validate`: the methods against interventions, in drawn worlds whose causes are known.

use super::experiment::{RecordedPictures, Recording};
use super::output::Overwrite;
use super::session::{self, device_name, print};
use super::settings::{MOST_SCENES, Machine, Settings};
use super::values::whole;
use super::world::{StyleName, graph_file, graph_or_standard};
use anyhow::Context;
use emocam::attribution::{Method, Needs};
use emocam::config::Config;
use emocam::demo::{DemoNetworks, use_models};
use emocam::files::sha256;
use emocam::ground_truth::{
    Asked, BoxJudge, Decision, DrawnWorld, HansReport, Trial, TrialStage, Validation,
    ValidationSettings, WORLDS, World, trials_of_run,
};
use emocam::load::Loaded;
use emocam::pipeline::{Worker, workers_on};
use emocam::run::{CorpusInfo, Manifest, ModelFile, Outcome, Run};
use emocam::score::ScoreRule;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Hold the maps against the truth, in drawn worlds whose causes are known
///
/// Draws scenes, takes every object out of each and asks the model again: what makes its answer
/// fall is what the answer rests on. Then says, for every method and every score of a box, how well
/// the association matrix and the highest box recover that; beside a random map and detections
/// alone. Methods are the five of the paper unless --cam says otherwise, and by --hans and --decide
/// object-shap too; detector and emotion model are the small ones that come with the program,
/// copied to DIR/models, each unless another that knows the drawn world is named. Every scene is
/// recorded as it is done, in DIR/scenes-NETWORK (by --decide below each world's folder): --resume
/// goes on after a kill.
///
/// There are four worlds. standard: which classes cause a label. hans: cause and companion of a
/// label are always in the picture together, and of two networks with the same answers one goes by
/// the cause, the other by the companion; does the method say which? parts: is it the whole that
/// makes the answer, or a part that does nothing? background: does the method say so where no
/// object makes the answer? --hans asks in the second alone, --decide in all of them, and makes one
/// table of methods and scores beside the paper's rule.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write here
    #[arg(long, value_name = "DIR", default_value = "emocam-validation")]
    out: PathBuf,

    /// Go on with the scenes that are recorded in --out
    #[arg(long)]
    resume: bool,

    /// Scenes to draw, 1 to 1000000 (by --decide of each world); fewer than ten have no intervals.
    /// How long 1,000 take is said when they are through
    #[arg(long, value_name = "N", default_value = "1000", value_parser = whole::<NonZeroU64>(1, MOST_SCENES))]
    scenes: NonZeroU64,

    /// Which stream of scenes; the models were trained on others
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = whole::<u64>(0, u64::MAX))]
    world: u64,

    /// standard: drawn as the models were trained; held-out: other palettes, lines and backgrounds
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = StyleName::Standard)]
    style: StyleName,

    /// The causal graph to draw from: standard, parts or background, which come with networks that
    /// know them, or a file as for `emocam world`, whose labels must be the emotion model's (name
    /// one that was trained on it, as with `emocam train multi-gap drawn=FILE.toml`) [default:
    /// standard]
    #[arg(long, value_name = "NAME|FILE.toml")]
    graph: Option<PathBuf>,

    /// Ask which of two things that are always together a network goes by: networks.csv, truth.csv,
    /// order.csv and a heatmap of each network
    #[arg(long, conflicts_with_all = ["graph", "decide"])]
    hans: bool,

    /// Ask in all worlds: decision.csv and decision.png, and every world's own tables in a folder
    /// of its name
    #[arg(long, conflicts_with = "graph")]
    decide: bool,

    /// Bootstrap resamples over scenes, 0 to 10000
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = whole::<u64>(0, 10_000))]
    resamples: u64,

    #[command(flatten)]
    overwrite: Overwrite,

    #[command(flatten)]
    settings: Settings,
}

/// Scenes of a usual validation: how long they take is said at the end of any.
const SAMPLE: u64 = 1000;

/// What all worlds have in common.
struct Plan {
    out: PathBuf,
    scenes: u64,
    seed: u64,
    style: StyleName,
    resamples: u64,
    /// Threshold of the mean, which sets those of the other scores.
    importance: f32,
    config: Config,
    machine: Machine,
    /// Where scenes are drawn from a graph that is a file: that file.
    graph_file: Option<ModelFile>,
    resume: bool,
    overwrite: Overwrite,
}

/// What is asked: networks about a world, whose graph has a name.
#[derive(Clone, Copy)]
struct Question<'a> {
    world: &'a World<'a>,
    graph: &'a str,
    networks: DemoNetworks<'a>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args {
        out,
        resume,
        scenes,
        world,
        style,
        graph,
        hans,
        decide,
        resamples,
        overwrite,
        settings,
    } = args;
    let built_in =
        graph.as_ref().map_or(Some("standard"), |graph| graph.to_str()).and_then(DrawnWorld::named);
    let hans = hans || built_in.is_some_and(|world| world.networks.len() > 1);
    let own = match (&graph, built_in) {
        (Some(file), None) => Some((graph_or_standard(Some(file))?, graph_file(file)?)),
        _ => None,
    };
    // Where methods are to be told apart, one that sees what is hidden is among them.
    let beyond = |method: &Method| (hans || decide) && method.row().needs == Needs::Regions;
    let methods =
        Method::paper().into_iter().chain(Method::all().into_iter().filter(beyond)).collect();
    let (mut config, machine) = settings.resolve_or(methods)?;
    config.cam.check_explains_label()?;
    anyhow::ensure!(
        config.cam.maps.is_empty(),
        "scenes are drawn as they are needed: no folder has maps of them; leave out --maps"
    );
    anyhow::ensure!(
        config.regions.file.is_empty(),
        "scenes are drawn as they are needed: no file has their regions; leave out --regions"
    );
    let published = Config::default();
    anyhow::ensure!(
        !(hans || decide) || config.emotion.weights == published.emotion.weights,
        "networks that come with the program are compared: leave out --emotion-weights"
    );
    anyhow::ensure!(
        !decide || config.detector.weights == published.detector.weights,
        "every world has a detector that comes with the program: leave out --detector and \
         --detector-weights"
    );
    config.compute.for_images(usize::try_from(scenes.get()).unwrap_or(usize::MAX));
    let _claimed = overwrite.figures(&out)?;
    let rule = &config.association;
    let importance = match rule.score {
        ScoreRule::Mean => rule.importance,
        _ => ScoreRule::Mean.default_importance(),
    };
    let (own, graph_file) = own.unzip();
    let plan = Plan {
        importance,
        out,
        scenes: scenes.get(),
        seed: world,
        style,
        resamples,
        config,
        machine,
        graph_file,
        resume,
        overwrite,
    };
    let done = if decide {
        plan.decide()?
    } else if hans {
        plan.hans(
            DrawnWorld::named("hans").context("the program has a world of this name")?,
            &plan.out,
        )?
        .is_some()
    } else if let Some(graph) = &own {
        let world = World { graph, seed: world, style: style.into(), parts: false };
        let question = Question { world: &world, graph: "file", networks: DemoNetworks::default() };
        plan.validate(question, &plan.out)?.is_some()
    } else {
        let world = built_in.context("a world that is no file has a name")?;
        plan.validate_drawn(world, &plan.out)?.is_some()
    };
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::from(130) })
}

impl Plan {
    /// Asks networks of the demo, each unless another is named, about the world's scenes, recorded
    /// below `folder`; `None`: stopped before the last.
    fn ask(&self, question: Question<'_>, folder: &Path) -> anyhow::Result<Option<Vec<Trial>>> {
        let Question { world, networks, .. } = question;
        let mut config = self.config.clone();
        use_models(&mut config, &self.out.join("models"), networks)?;
        let (loaded, device) = session::load(&config, &self.machine, &[])?;
        let things = world.things();
        let (found, expected) = (
            loaded.regions.classes(),
            &things[..things.len() - usize::from(world.has_background())],
        );
        anyhow::ensure!(
            found == expected,
            "the detector's classes are not those of the drawn world: {} classes from {} on, \
             expected {} from {} on",
            found.len(),
            found.first().map_or("none", String::as_str),
            expected.len(),
            expected[0]
        );
        world.graph.check_network(&loaded.network.card().labels)?;
        let folder = folder.join(format!("scenes-{}", networks.emotion));
        let mut run = self.run_in(&folder, self.manifest(question, &loaded, device, &config)?)?;
        let stage = TrialStage::new(*world, &loaded, &config);
        let (batch, threads, items) =
            (config.compute.batch, self.machine.threads, (0..self.scenes).collect());
        let worker = Worker { loaded, batch };
        let mut workers = workers_on(worker, &[device], Worker::on)?;
        let recording = Recording {
            run: &run,
            stage: &stage,
            items,
            workers: &mut workers,
            batch,
            threads,
            unit: "scenes",
            sample: Some(SAMPLE),
        };
        let Some(RecordedPictures { done, timings, .. }) = recording.record()? else {
            return Ok(None);
        };
        run.finish(Outcome { done, timings, ..Outcome::default() })?;
        Ok(Some(trials_of_run(&run)?))
    }

    /// What `run.json` says of the networks' answers about a world.
    fn manifest(
        &self,
        question: Question<'_>,
        loaded: &Loaded,
        device: tch::Device,
        config: &Config,
    ) -> anyhow::Result<Manifest> {
        let settings = ValidationSettings::new(question.world, question.graph);
        let canvas = loaded.regions.finder().canvas;
        let sha256 = sha256(serde_json::to_string(&settings)?.as_bytes());
        let scenes = CorpusInfo { folders: Vec::new(), images: self.scenes as usize, sha256 };
        let files: Vec<ModelFile> = loaded.files.iter().chain(&self.graph_file).cloned().collect();
        let (card, boxes) = (loaded.network.card(), (loaded.regions.classes(), canvas));
        let manifest = session::manifest(config, &files, device_name(device), card, boxes, scenes);
        Ok(Manifest { experiment: Some(settings.to_experiment()?), ..manifest })
    }

    /// The run directory `folder`: begun anew, or gone on with.
    fn run_in(&self, folder: &Path, manifest: Manifest) -> anyhow::Result<Run> {
        if self.resume {
            return Ok(Run::resume(folder, manifest)?);
        }
        // Of an earlier validation, whose tables are replaced too.
        let earlier = Run::open(folder).ok();
        if let Some(earlier) =
            earlier.filter(|earlier| ValidationSettings::read(&earlier.manifest).is_ok())
        {
            anyhow::ensure!(
                earlier.manifest.complete || self.overwrite.overwrite,
                "{} holds a validation that was stopped: --resume goes on with it, --overwrite \
                 begins it anew",
                folder.display()
            );
            std::fs::remove_dir_all(folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        Ok(Run::create(folder, manifest)?)
    }

    /// How well the methods recover the causes; `None`: stopped.
    fn validate(
        &self,
        question: Question<'_>,
        folder: &Path,
    ) -> anyhow::Result<Option<Vec<Trial>>> {
        let Some(found) = self.ask(question, folder)? else { return Ok(None) };
        let world = question.world;
        let methods = self.config.cam.names();
        let judges = BoxJudge::all(&methods, self.importance, &found);
        let validation =
            Validation::new(&found, judges, world, self.resamples, self.config.cam.seed);
        validation.write(folder, &world.graph.labels)?;
        print(validation.summary().as_bytes())?;
        say!("{}", folder.join("validity.png").display());
        Ok(Some(found))
    }

    /// The same in a world that comes with the program.
    fn validate_drawn(
        &self,
        drawn: &'static DrawnWorld,
        folder: &Path,
    ) -> anyhow::Result<Option<Asked>> {
        if drawn.networks.len() > 1 {
            return self.hans(drawn, folder);
        }
        let world = drawn.world(self.seed, self.style.into());
        let networks = DemoNetworks { emotion: drawn.networks[0], detector: drawn.detector };
        let found =
            self.validate(Question { world: &world, graph: drawn.name, networks }, folder)?;
        Ok(found.map(|trials| Asked { world: drawn, networks: vec![trials] }))
    }

    /// Whether the methods tell two networks apart; `None`: stopped.
    fn hans(&self, drawn: &'static DrawnWorld, folder: &Path) -> anyhow::Result<Option<Asked>> {
        let world = drawn.world(self.seed, self.style.into());
        let mut all = Vec::new();
        for emotion in drawn.networks {
            let networks = DemoNetworks { emotion, detector: drawn.detector };
            let question = Question { world: &world, graph: drawn.name, networks };
            let Some(found) = self.ask(question, folder)? else { return Ok(None) };
            all.push(found);
        }
        let asked = Asked { world: drawn, networks: all };
        let (methods, importance) = (self.config.cam.names(), self.importance);
        let report =
            HansReport::new(&asked, &methods, importance, self.resamples, self.config.cam.seed);
        report.write(folder)?;
        print(report.summary().as_bytes())?;
        let one = std::slice::from_ref(&asked);
        let decision =
            Decision::new(one, &methods, importance, self.resamples, self.config.cam.seed);
        decision.write(folder)?;
        print(decision.summary().as_bytes())?;
        say!("{}", folder.join("decision.png").display());
        Ok(Some(asked))
    }

    /// All worlds and the table over them; `false`: stopped.
    fn decide(&self) -> anyhow::Result<bool> {
        let mut all = Vec::new();
        for drawn in &WORLDS {
            say!("{}:", drawn.name);
            let Some(asked) = self.validate_drawn(drawn, &self.out.join(drawn.name))? else {
                return Ok(false);
            };
            all.push(asked);
        }
        let (methods, importance) = (self.config.cam.names(), self.importance);
        let decision =
            Decision::new(&all, &methods, importance, self.resamples, self.config.cam.seed);
        decision.write(&self.out)?;
        print(decision.summary().as_bytes())?;
        say!("{}", self.out.join("decision.png").display());
        Ok(true)
    }
}
