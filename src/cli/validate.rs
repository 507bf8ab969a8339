//! `emocam validate`: the association matrix against interventions, in the drawn world.

use super::progress::Progress;
use super::session::{self, make_figures_folder, print, say_smaller_batch, stop_on_interrupt};
use super::settings::Settings;
use super::world::{graph_or_standard, StyleName};
use emocam::demo::use_models;
use emocam::ground_truth::{trials, BoxJudge, Validation, World};
use emocam::pipeline::Worker;
use emocam::world::CLASSES;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Hold the maps against the truth, in a drawn world whose causes are known
///
/// Draws scenes, takes every object out of each and asks the model again: what makes its answer fall is what the answer
/// rests on. Then says, for every method and every score of a box, how well the association matrix and the highest box
/// recover that; beside a random map and detections alone. Methods are the five of the paper unless --cam says
/// otherwise; detector and emotion model are the small ones that come with the program, copied to DIR/models, each
/// unless another that knows the drawn world is named. The small emotion model has the labels of the built-in causal
/// graph: for another --graph name one that was trained on it, as with `emocam train multi-gap drawn=FILE.toml`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write here
    #[arg(long, value_name = "DIR", default_value = "emocam-validation")]
    out: PathBuf,

    /// Scenes to draw
    #[arg(long, value_name = "N", default_value = "1000")]
    scenes: NonZeroU64,

    /// Which stream of scenes; the models were trained on others
    #[arg(long, value_name = "N", default_value_t = 7)]
    world: u64,

    /// standard: drawn as the models were trained; held-out: other palettes, lines and backgrounds
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = StyleName::Standard)]
    style: StyleName,

    /// The causal graph to draw from, as for `emocam world`; its labels must be the emotion model's [default: the
    /// built-in one]
    #[arg(long, value_name = "FILE.toml")]
    graph: Option<PathBuf>,

    /// Bootstrap resamples over scenes
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    resamples: u64,

    #[command(flatten)]
    settings: Settings,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { out, scenes, world, style, graph, resamples, settings } = args;
    let graph = graph_or_standard(graph.as_deref())?;
    let (mut config, machine) = settings.resolve_or_paper_methods()?;
    config.cam.check_explains_label()?;
    anyhow::ensure!(
        config.cam.maps.is_empty(),
        "scenes are drawn as they are needed: no folder has maps of them; leave out --maps"
    );
    config.compute.for_images(usize::try_from(scenes.get()).unwrap_or(usize::MAX));
    make_figures_folder(&out)?;
    use_models(&mut config, &out.join("models"))?;
    anyhow::ensure!(
        config.regions.file.is_empty(),
        "scenes are drawn as they are needed: no file has their regions; leave out --regions"
    );
    let (loaded, _) = session::load(&config, &machine, &[])?;
    let classes = loaded.regions.classes();
    anyhow::ensure!(
        classes == CLASSES,
        "the detector's classes are not those of the drawn world: {} classes from {} on, expected {} from {} on",
        classes.len(),
        classes.first().map_or("none", String::as_str),
        CLASSES.len(),
        CLASSES[0]
    );
    let labels = loaded.network.card().labels.clone();
    graph.check_network(&labels)?;
    let stop = stop_on_interrupt("stopping after this batch; what was found so far is lost")?;
    let mut worker = Worker { loaded, batch: config.compute.batch };
    let mut progress = Progress::new(scenes.get(), "scenes");
    let world = World { graph: &graph, seed: world, style: style.into() };
    let report = &mut |done| progress.at(done, String::new());
    let found = trials(world, scenes.get(), &mut worker, &config, machine.threads, stop, report)?;
    progress.finish();
    if stop.load(Ordering::Relaxed) && (found.len() as u64) < scenes.get() {
        say!("stopped after {} of {scenes} scenes; nothing was written", found.len());
        return Ok(ExitCode::from(130));
    }
    say_smaller_batch(&mut config.compute.batch.clone(), worker.batch, config.compute.batch);
    let methods = config.cam.names();
    let judges = BoxJudge::all(&methods, config.association.importance, &found);
    let validation = Validation::new(&found, judges, &graph, resamples, config.cam.seed);
    validation.write(&out, &labels)?;
    print(validation.summary().as_bytes())?;
    say!("{}", out.join("validity.png").display());
    Ok(ExitCode::SUCCESS)
}
