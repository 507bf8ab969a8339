//! `emocam train-demo`: how the two networks in `models/demo` were made. Hidden: nobody needs it to use the tool.

use crate::cli::progress::Progress;
use anyhow::Context;
use emocam::config::Config;
use emocam::files::{read_text, write_bytes};
use emocam::networks::{AlexNet, Classifier};
use emocam::nn::{self, DeviceChoice, Precision};
use emocam::regions::darknet::{Cfg, Darknet, DarknetSettings, Thresholds};
use emocam::train::card::{DetectorScore, EmotionScore, Measured, Metrics, Training, USUAL_NMS_IOU};
use emocam::train::detector::{anchors, letterboxed};
use emocam::train::{detector, emotion, evaluate, Drawn, Examples, Schedule, Step};
use emocam::world::{Style, CLASSES, LABELS};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use tch::Device;

/// The detector's cfg where none is given.
const CFG: &str = include_str!("../../../models/demo/detector.cfg");

/// Learning rates that were found good.
const DETECTOR_RATE: f64 = 3e-3;
const EMOTION_RATE: f64 = 2e-3;

/// Added to the seed for the held-out scenes.
const HELD_OUT_SEED: u64 = 1_000_003;

/// Share of labels that are wrong on purpose in training.
const LABEL_NOISE: f64 = 0.05;

/// Scenes whose objects the anchors are taken from.
const ANCHOR_SCENES: u64 = 2_000;

/// Train the two demo networks on drawn scenes, and measure them on held-out scenes of both styles
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write detector.{cfg,weights,names}, emotion.{safetensors,toml}, metrics.json and README.md into this folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Seed of scenes, initial weights and augmentation
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Steps of the detector's training; 0: only measure the one in --out
    #[arg(long, value_name = "N", default_value_t = 2500)]
    detector_steps: u64,

    /// Steps of the emotion network's training; 0: only measure the one in --out
    #[arg(long, value_name = "N", default_value_t = 16000)]
    emotion_steps: u64,

    /// Scenes a step
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch: usize,

    /// The highest learning rate [default: 0.003 for the detector, 0.002 for the emotion network]
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

    /// Write the detections on the held-out scenes into this folder, for scripts/reference/demo_map.py
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,

    /// Print anchors for the detector's cfg and train nothing
    #[arg(long)]
    anchors: bool,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Network {
    Detector,
    Emotion,
}

/// The styles by their names in the metrics.
const STYLES: [(&str, Style); 2] = [("standard", Style::Standard), ("held-out", Style::HeldOut)];

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.batch > 0 && args.scenes > 0, "--batch and --scenes must be at least 1");
    let (cfg_path, cfg_text) = match &args.cfg {
        Some(path) => (path.clone(), read_text(path)?),
        None => ("detector.cfg".into(), CFG.to_string()),
    };
    let cfg = Cfg::parse(&cfg_text, &cfg_path)?;
    if args.anchors {
        return print_anchors(&cfg, args.seed);
    }
    anyhow::ensure!(
        cfg.classes() == CLASSES.len(),
        "{}: {} classes, the drawn world has {}",
        cfg_path.display(),
        cfg.classes(),
        CLASSES.len()
    );
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create {}", args.out.display()))?;
    tch::set_num_threads(nn::network_threads());
    let device = nn::open(&args.device)?;
    nn::keep_freed_memory();
    let mut metrics = Metrics::read(&args.out)?;
    let mut table = Vec::new();
    if args.only != Some(Network::Detector) {
        let known = metrics.emotion.take().map(|measured| measured.trainings);
        let measured = with_emotion(args, known.unwrap_or_default(), device)?;
        table.extend(measured.styles.iter().map(|(style, score)| ("emotion", style.clone(), Some(score.accuracy))));
        metrics.emotion = Some(measured);
        metrics.write(&args.out)?;
    }
    if args.only != Some(Network::Emotion) {
        write_bytes(&args.out.join("detector.cfg"), cfg_text.as_bytes())?;
        write_bytes(&args.out.join("detector.names"), format!("{}\n", CLASSES.join("\n")).as_bytes())?;
        let known = metrics.detector.take().map(|measured| measured.trainings);
        let measured = with_detector(args, &cfg, known.unwrap_or_default(), device)?;
        table.extend(measured.styles.iter().map(|(style, score)| ("detector", style.clone(), score.map50)));
        metrics.detector = Some(measured);
        metrics.write(&args.out)?;
    }
    let mut out = std::io::stdout().lock();
    for (network, style, value) in table {
        let value = value.map_or_else(String::new, |value| format!("{value:.4}"));
        writeln!(out, "{network}\t{style}\t{value}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The scenes to train on.
fn stream(args: &Args) -> Drawn {
    Drawn { seed: args.seed, style: Style::Standard, label_noise: LABEL_NOISE }
}

/// The scenes to measure with.
fn held_out(args: &Args, style: Style) -> Drawn {
    Drawn { seed: args.seed.wrapping_add(HELD_OUT_SEED), style, label_noise: 0.0 }
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
    let schedule = Schedule { steps, batch: args.batch, rate, seed: args.seed, threads: args.threads };
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

fn with_emotion(args: &Args, known: Vec<Training>, device: Device) -> anyhow::Result<Measured<EmotionScore>> {
    let path = args.out.join("emotion.safetensors");
    let trainings = timed(args, (args.emotion_steps, EMOTION_RATE), known, device, |schedule, told| {
        say!("emotion network: {} steps of {} scenes", schedule.steps, schedule.batch);
        let examples = stream(args);
        let mut network = if args.go_on {
            emotion::EmotionTraining::load(&path, &examples, device)?
        } else {
            emotion::EmotionTraining::new(LABELS.len(), &examples, args.seed, device)?
        };
        emotion::train(&mut network, &examples, schedule, told)?;
        network.save(&path)?;
        write_bytes(&path.with_extension("toml"), emotion_card().as_bytes())?;
        Ok(())
    })?;
    let model = AlexNet::load(&path, None, device)?;
    let mut styles = Vec::new();
    for (name, style) in STYLES {
        let mut progress = Progress::new(args.scenes, "scenes");
        let told = |done| progress.at(done, format!("emotion, {name}"));
        let accuracy = evaluate::accuracy(&model, &held_out(args, style), args.scenes, args.threads, told)?;
        progress.finish();
        styles.push((name.into(), EmotionScore::of(&accuracy, &model.card().labels)));
    }
    Ok(Measured { parameters: model.parameter_count(), trainings, styles })
}

/// The text of `emotion.toml`.
fn emotion_card() -> String {
    let labels: Vec<String> = LABELS.iter().map(|label| format!("    \"{label}\",\n")).collect();
    format!(
        "# The demo's emotion network: EmoNet's labels and layers, trained on drawn scenes. Not EmoNet.\n\
         # Its mean colour is in the weights file.\n\
         labels = [\n{}]\ninput = {}\n",
        labels.concat(),
        emotion::INPUT
    )
}

fn with_detector(
    args: &Args,
    cfg: &Cfg,
    known: Vec<Training>,
    device: Device,
) -> anyhow::Result<Measured<DetectorScore>> {
    let path = args.out.join("detector.weights");
    let trainings = timed(args, (args.detector_steps, DETECTOR_RATE), known, device, |schedule, told| {
        say!("detector: {} steps of {} scenes", schedule.steps, schedule.batch);
        let mut network = if args.go_on {
            detector::DetectorTraining::load(cfg, &path, device)?
        } else {
            detector::DetectorTraining::new(cfg, args.seed, device)?
        };
        detector::train(&mut network, &stream(args), schedule, told)?;
        Ok(network.save(&path)?)
    })?;
    let preset = Config::default().detector;
    // Suppressed less than the preset does, so that both figures come from one pass.
    let settings = preset.settings(Precision::F32);
    let thresholds = Thresholds { nms_iou: USUAL_NMS_IOU, ..settings.thresholds };
    let names = CLASSES.iter().map(ToString::to_string).collect();
    let network = Darknet::load(cfg, &path, names, DarknetSettings { thresholds, ..settings }, device)?;
    let mut styles = Vec::new();
    for (name, style) in STYLES {
        let mut progress = Progress::new(args.scenes, "scenes");
        let told = |done| progress.at(done, format!("detector, {name}"));
        let found = evaluate::detections(&network, &held_out(args, style), args.scenes, args.threads, told)?;
        progress.finish();
        let score = DetectorScore::of(&found, CLASSES, preset.nms_iou);
        styles.push((name.into(), score));
        if let Some(folder) = &args.dump {
            dump(&found, preset.nms_iou, &folder.join(format!("{name}.json")))?;
        }
    }
    Ok(Measured { parameters: cfg.parameter_count()?, trainings, styles })
}

/// Detections and truth in the format of `scripts/reference/demo_map.py`.
fn dump(found: &evaluate::Found, nms_iou: f32, path: &Path) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
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
            let truth: Vec<_> =
                truth.iter().map(|(c, b)| serde_json::json!([c, b.x_min, b.y_min, b.x_max, b.y_max])).collect();
            serde_json::json!({ "detections": detections, "truth": truth })
        })
        .collect();
    Ok(write_bytes(path, serde_json::json!({ "images": images }).to_string().as_bytes())?)
}

fn print_anchors(cfg: &Cfg, seed: u64) -> anyhow::Result<ExitCode> {
    let examples = Drawn { seed, style: Style::Standard, label_noise: 0.0 };
    let shapes: Vec<(f32, f32)> = (0..ANCHOR_SCENES)
        .flat_map(|number| letterboxed(&examples.example(number), cfg.input).boxes)
        .map(|(_, object)| (object.width(), object.height()))
        .collect();
    let count = cfg.heads()?.iter().map(|head| head.anchors.len()).sum();
    let anchors: Vec<String> = anchors::cluster(&shapes, count, seed)
        .into_iter()
        .map(|(width, height)| format!("{width:.0},{height:.0}"))
        .collect();
    writeln!(std::io::stdout().lock(), "anchors={}", anchors.join(", "))?;
    Ok(ExitCode::SUCCESS)
}
