//! `emocam train-demo`: how the networks in `models/demo` were made. Hidden: nobody needs it to use
//! the tool.

use crate::cli::progress::Progress;
use anyhow::Context;
use emocam::config::Config;
use emocam::files::{read_text, write_bytes};
use emocam::networks::{AlexNet, Classifier};
use emocam::nn::{self, DeviceChoice, Precision};
use emocam::regions::darknet::{Cfg, Darknet, DarknetSettings, Thresholds};
use emocam::train::card::{
    DetectorScore, EmotionScore, Measured, Metrics, Training, USUAL_NMS_IOU,
};
use emocam::train::detector::{anchors, letterboxed};
use emocam::train::{Drawn, Examples, Schedule, Step, detector, emotion, evaluate};
use emocam::world::{
    CLASSES, CausalGraph, LABELS, PARTS, Style, graph, hans_graph, surroundings_graph,
};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tch::Device;

/// The detectors' cfgs where none is given.
const CFG: &str = include_str!("../../../models/demo/detector.cfg");
const PARTS_CFG: &str = include_str!("../../../models/demo/parts.cfg");

/// Learning rates that were found good.
const DETECTOR_RATE: f64 = 3e-3;
const EMOTION_RATE: f64 = 2e-3;
/// Of networks that go on from the first one, which knows the objects.
const FURTHER_RATE: f64 = 1e-3;

/// Added to the seed for the held-out scenes.
const HELD_OUT_SEED: u64 = 1_000_003;

/// Share of labels that are wrong on purpose in training.
const LABEL_NOISE: f64 = 0.05;

/// Scenes whose objects the anchors are taken from.
const ANCHOR_SCENES: u64 = 2_000;

/// Train the demo networks on drawn scenes, and measure them on held-out scenes of both styles
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the networks, metrics.json and README.md into this folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Seed of scenes, initial weights and augmentation
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Steps of a detector's training; 0: only measure the one in --out
    #[arg(long, value_name = "N", default_value_t = 2500)]
    detector_steps: u64,

    /// Steps of the first emotion network's training; 0: only measure the one in --out
    #[arg(long, value_name = "N", default_value_t = 16000)]
    emotion_steps: u64,

    /// Steps of the other emotion networks' trainings, which go on from the first one; 0: only
    /// measure those in --out
    #[arg(long, value_name = "N", default_value_t = 4000)]
    further_steps: u64,

    /// Scenes a step
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch: usize,

    /// The highest learning rate [default: 0.003 for detectors, 0.002 for the first emotion
    /// network, 0.001 for others]
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,

    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,

    /// Threads that draw scenes, besides those of the networks
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,

    /// Train and measure one network alone; what is known of the other stays
    #[arg(long, value_enum)]
    only: Option<Network>,

    /// Go on from the weights in --out instead of random ones
    #[arg(long = "continue")]
    go_on: bool,

    /// Held-out scenes of each style to measure with
    #[arg(long, value_name = "N", default_value_t = 1000)]
    scenes: u64,

    /// Another cfg for the detector
    #[arg(long, value_name = "FILE")]
    cfg: Option<PathBuf>,

    /// Write the detections on the held-out scenes into this folder, for
    /// scripts/reference/demo_map.py
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,

    /// Print anchors for the detector's cfg and train nothing
    #[arg(long)]
    anchors: bool,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Network {
    Emotion,
    Hans,
    Surroundings,
    Detector,
    Parts,
}

/// The emotion networks, the first first.
const EMOTIONS: [Network; 3] = [Network::Emotion, Network::Hans, Network::Surroundings];
/// The detectors.
const DETECTORS: [Network; 2] = [Network::Detector, Network::Parts];

impl Network {
    /// Its files' name, without what follows the dot.
    fn stem(self) -> &'static str {
        match self {
            Self::Emotion => "emotion",
            Self::Hans => "hans",
            Self::Surroundings => "surroundings",
            Self::Detector => "detector",
            Self::Parts => "parts",
        }
    }

    /// A detector's description, where none is given.
    fn cfg(self) -> &'static str {
        if self == Self::Parts { PARTS_CFG } else { CFG }
    }

    /// What a detector tells apart.
    fn classes(self) -> Vec<&'static str> {
        let parts = if self == Self::Parts { PARTS } else { &[] };
        CLASSES.iter().chain(parts).copied().collect()
    }

    /// What its scenes are drawn from.
    fn graph(self) -> &'static Arc<CausalGraph> {
        match self {
            // Detectors see all that is drawn, as often as each other.
            Self::Emotion | Self::Detector | Self::Parts => graph(),
            Self::Hans => hans_graph(),
            Self::Surroundings => surroundings_graph(),
        }
    }
}

/// The styles by their names in the metrics.
const STYLES: [(&str, Style); 2] = [("standard", Style::Standard), ("held-out", Style::HeldOut)];

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.batch > 0 && args.scenes > 0, "--batch and --scenes must be at least 1");
    if args.anchors {
        return print_anchors(args);
    }
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot create {}", args.out.display()))?;
    tch::set_num_threads(nn::network_threads());
    let device = nn::open(&args.device)?;
    nn::keep_freed_memory();
    let mut metrics = Metrics::read(&args.out)?;
    let mut table = Vec::new();
    let wanted = |network: &&Network| args.only.is_none_or(|only| only == **network);
    for &network in EMOTIONS.iter().filter(wanted) {
        let name = network.stem();
        let known = metrics.emotion_networks.remove(name).map(|measured| measured.trainings);
        let measured = with_emotion(args, network, known.unwrap_or_default(), device)?;
        table.extend(
            measured
                .styles
                .iter()
                .map(|(style, score)| (name, style.clone(), Some(score.accuracy))),
        );
        metrics.emotion_networks.insert(name.into(), measured);
        metrics.write(&args.out)?;
    }
    for &network in DETECTORS.iter().filter(wanted) {
        let name = network.stem();
        let (cfg, text) = read_cfg(args, network)?;
        write_bytes(&args.out.join(format!("{name}.cfg")), text.as_bytes())?;
        let names = network.classes().join("\n");
        write_bytes(&args.out.join(format!("{name}.names")), format!("{names}\n").as_bytes())?;
        let known = metrics.detectors.remove(name).map(|measured| measured.trainings);
        let measured = with_detector(args, network, &cfg, known.unwrap_or_default(), device)?;
        table.extend(
            measured.styles.iter().map(|(style, score)| (name, style.clone(), score.map50)),
        );
        metrics.detectors.insert(name.into(), measured);
        metrics.write(&args.out)?;
    }
    let mut out = std::io::stdout().lock();
    for (network, style, value) in table {
        let value = value.map_or_else(String::new, |value| format!("{value:.4}"));
        writeln!(out, "{network}\t{style}\t{value}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A detector's description, and its text.
fn read_cfg(args: &Args, network: Network) -> anyhow::Result<(Cfg, String)> {
    let (path, text) = match &args.cfg {
        Some(path) => (path.clone(), read_text(path)?),
        None => (format!("{}.cfg", network.stem()).into(), network.cfg().to_string()),
    };
    let cfg = Cfg::parse(&text, &path)?;
    let (found, expected) = (cfg.classes(), network.classes().len());
    anyhow::ensure!(found == expected, "{}: {found} classes, expected {expected}", path.display());
    Ok((cfg, text))
}

/// The scenes to train on.
fn stream(args: &Args, network: Network) -> Drawn {
    let graph = network.graph().clone();
    Drawn {
        graph,
        seed: args.seed,
        style: Style::Standard,
        parts: network == Network::Parts,
        label_noise: LABEL_NOISE,
    }
}

/// The scenes to measure with.
fn held_out(args: &Args, network: Network, style: Style) -> Drawn {
    let graph = network.graph().clone();
    let (seed, parts) = (args.seed.wrapping_add(HELD_OUT_SEED), network == Network::Parts);
    Drawn { graph, seed, style, parts, label_noise: 0.0 }
}

/// Runs `train` unless it has no steps, showing progress, and adds it to the trainings known.
fn timed(
    args: &Args,
    (steps, rate): (u64, f64),
    mut known: Vec<Training>,
    device: Device,
    train: impl FnOnce(&Schedule, &mut dyn FnMut(Step)) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Training>> {
    if steps == 0 {
        return Ok(known);
    }
    let rate = args.rate.unwrap_or(rate);
    let schedule =
        Schedule { steps, batch: args.batch, rate, seed: args.seed, threads: args.threads };
    let mut progress = Progress::new(steps, "steps");
    let clock = Instant::now();
    // Of the last fifty steps or so: single ones jump.
    let mut recent = None;
    train(&schedule, &mut |step| {
        let mean = recent.map_or(step.loss, |mean: f64| mean + (step.loss - mean) / 50.0);
        recent = Some(mean);
        progress.at(step.done, format!("loss {mean:.4}"));
    })?;
    progress.finish();
    if !args.go_on {
        known.clear();
    }
    known.push(Training {
        seed: args.seed,
        steps,
        batch: args.batch,
        rate,
        minutes: (clock.elapsed().as_secs_f64() / 6.0).round() / 10.0,
        machine: match device {
            Device::Cpu => format!("cpu, {} threads", tch::get_num_threads()),
            _ => "gpu".into(),
        },
    });
    Ok(known)
}

fn with_emotion(
    args: &Args,
    network: Network,
    known: Vec<Training>,
    device: Device,
) -> anyhow::Result<Measured<EmotionScore>> {
    let file = |network: Network| args.out.join(network.stem()).with_extension("safetensors");
    let (first, path) = (network == Network::Emotion, file(network));
    let steps =
        if first { (args.emotion_steps, EMOTION_RATE) } else { (args.further_steps, FURTHER_RATE) };
    let trainings = timed(args, steps, known, device, |schedule, told| {
        say!("{}: {} steps of {} scenes", network.stem(), schedule.steps, schedule.batch);
        let examples = stream(args, network);
        // The others know from the first one what the objects look like, and learn what they mean.
        let before = if args.go_on { Some(&path) } else { None };
        let start = file(Network::Emotion);
        let mut training = match before.or((!first).then_some(&start)) {
            Some(weights) => emotion::EmotionTraining::load(weights, &examples, device)?,
            None => emotion::EmotionTraining::new(LABELS.len(), &examples, args.seed, device)?,
        };
        // Of this one's labels most are caused by what the first network takes for nothing: its
        // certain answers would be wrong all over (a loss of 16), and unlearning them spoils the
        // convolutions.
        if network == Network::Surroundings && !args.go_on {
            training.forget_labels(args.seed)?;
        }
        emotion::train(&mut training, &examples, schedule, told)?;
        // The program carries them: those that few need are half as large.
        training.save(&path, !first)?;
        write_bytes(&path.with_extension("toml"), emotion_card().as_bytes())?;
        Ok(())
    })?;
    let model = AlexNet::load(&path, None, device)?;
    let mut styles = Vec::new();
    for (name, style) in STYLES {
        let mut progress = Progress::new(args.scenes, "scenes");
        let told = |done| progress.at(done, format!("{}, {name}", network.stem()));
        let accuracy = evaluate::accuracy(
            &model,
            &held_out(args, network, style),
            args.scenes,
            args.threads,
            told,
        )?;
        progress.finish();
        styles.push((name.into(), EmotionScore::of(&accuracy, &model.card().labels)));
    }
    Ok(Measured { parameters: model.parameter_count(), trainings, styles })
}

/// The card of an emotion network.
fn emotion_card() -> String {
    let labels: Vec<String> = LABELS.iter().map(|label| format!("    \"{label}\",\n")).collect();
    format!(
        "# An emotion network of the demo: EmoNet's labels and layers, trained on drawn scenes. Not EmoNet.\n\
         # Its mean colour is in the weights file.\n\
         labels = [\n{}]\ninput = {}\n",
        labels.concat(),
        emotion::INPUT
    )
}

fn with_detector(
    args: &Args,
    network: Network,
    cfg: &Cfg,
    known: Vec<Training>,
    device: Device,
) -> anyhow::Result<Measured<DetectorScore>> {
    let path = args.out.join(network.stem()).with_extension("weights");
    let trainings =
        timed(args, (args.detector_steps, DETECTOR_RATE), known, device, |schedule, told| {
            say!("{}: {} steps of {} scenes", network.stem(), schedule.steps, schedule.batch);
            let mut training = if args.go_on {
                detector::DetectorTraining::load(cfg, &path, device)?
            } else {
                detector::DetectorTraining::new(cfg, args.seed, device)?
            };
            detector::train(&mut training, &stream(args, network), schedule, told)?;
            Ok(training.save(&path)?)
        })?;
    let preset = Config::default().detector;
    // Suppressed less than the preset does, so that both figures come from one pass.
    let settings = preset.settings(Precision::F32);
    let thresholds = Thresholds { nms_iou: USUAL_NMS_IOU, ..settings.thresholds };
    let names = network.classes().iter().map(ToString::to_string).collect();
    let darknet =
        Darknet::load(cfg, &path, names, DarknetSettings { thresholds, ..settings }, device)?;
    let mut styles = Vec::new();
    for (name, style) in STYLES {
        let mut progress = Progress::new(args.scenes, "scenes");
        let told = |done| progress.at(done, format!("{}, {name}", network.stem()));
        let found = evaluate::detections(
            &darknet,
            &held_out(args, network, style),
            args.scenes,
            args.threads,
            told,
        )?;
        progress.finish();
        let score = DetectorScore::of(&found, &network.classes(), preset.nms_iou);
        styles.push((name.into(), score));
        if let Some(folder) = &args.dump {
            dump(&found, preset.nms_iou, &folder.join(format!("{}-{name}.json", network.stem())))?;
        }
    }
    Ok(Measured { parameters: cfg.parameter_count()?, trainings, styles })
}

/// Detections and truth in the format of `scripts/reference/demo_map.py`.
fn dump(found: &evaluate::Found, nms_iou: f32, path: &Path) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let images: Vec<_> = found
        .suppressed(nms_iou)
        .iter()
        .zip(&found.truth)
        .map(|(detections, truth)| {
            let detections: Vec<_> = detections
                .iter()
                .map(|d| {
                    let b = d.bounding_box;
                    serde_json::json!([d.class, d.confidence, b.x_min, b.y_min, b.x_max, b.y_max])
                })
                .collect();
            let truth: Vec<_> = truth
                .iter()
                .map(|(c, b)| serde_json::json!([c, b.x_min, b.y_min, b.x_max, b.y_max]))
                .collect();
            serde_json::json!({ "detections": detections, "truth": truth })
        })
        .collect();
    Ok(write_bytes(path, serde_json::json!({ "images": images }).to_string().as_bytes())?)
}

fn print_anchors(args: &Args) -> anyhow::Result<ExitCode> {
    let network = args.only.filter(|only| DETECTORS.contains(only)).unwrap_or(Network::Detector);
    let (cfg, _) = read_cfg(args, network)?;
    let examples = Drawn { label_noise: 0.0, ..stream(args, network) };
    let shapes: Vec<(f32, f32)> = (0..ANCHOR_SCENES)
        .flat_map(|number| letterboxed(&examples.example(number), cfg.input).boxes)
        .map(|(_, object)| (object.width(), object.height()))
        .collect();
    let count = cfg.heads()?.iter().map(|head| head.anchors.len()).sum();
    let anchors: Vec<String> = anchors::cluster(&shapes, count, args.seed)
        .into_iter()
        .map(|(width, height)| format!("{width:.0},{height:.0}"))
        .collect();
    writeln!(std::io::stdout().lock(), "anchors={}", anchors.join(", "))?;
    Ok(ExitCode::SUCCESS)
}
