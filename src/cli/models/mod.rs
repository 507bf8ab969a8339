//! `emocam models`: model files on this machine.

mod check;

use super::output::Overwrite;
use super::progress::Progress;
use super::values::whole;
use anyhow::Context;
use emocam::config::Config;
use emocam::corpus::{DecodeOptions, decode};
use emocam::load;
use emocam::models::digest::{self, Remembered};
use emocam::models::fetch::{Fetched, fetch};
use emocam::models::{Model, catalogue, folder, locate};
use emocam::networks::backbone::{BackboneKind, TorchVision};
use emocam::networks::parameters::OfFile;
use emocam::networks::{AlexNet, Card, Classifier, predict};
use emocam::nn::weights::StateDict;
use emocam::regions::Detector;
use emocam::regions::darknet::{Cfg, Darknet};
use emocam::synthesize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// List, fetch, import, verify or synthesize model files
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what is known of the published models, and what is on this machine
    List(Folder),
    /// Download published models; interrupted downloads continue
    Fetch {
        /// Names from `emocam models list` [default: yolov3-openimages emonet]
        names: Vec<String>,
        #[command(flatten)]
        overwrite: Overwrite,
        #[command(flatten)]
        folder: Folder,
    },
    /// Convert a checkpoint of an AlexNet (EmoNet, torchvision's) to safetensors, mean image
    /// included
    ///
    /// With --detector-weights the Darknet weights are checked against their cfg instead.
    Import {
        /// The checkpoint (.pth, .pt or safetensors)
        #[arg(required_unless_present = "detector_weights")]
        checkpoint: Option<PathBuf>,
        /// The mean image as published text [default: img_mean.txt beside a checkpoint that needs
        /// one]
        #[arg(long, value_name = "FILE")]
        emotion_mean: Option<PathBuf>,
        /// Where to write [default: the checkpoint's name with .safetensors]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Darknet's description of a detector [default: yolov3-openimages.cfg, built in]
        #[arg(long, value_name = "FILE.cfg", requires = "detector_weights")]
        detector: Option<String>,
        /// Darknet weights to check
        #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
        detector_weights: Option<PathBuf>,
        #[command(flatten)]
        overwrite: Overwrite,
        #[command(flatten)]
        folder: Folder,
    },
    /// Examine a network that is to be explained: what it is, its input, labels and explained
    /// layer, and whether maps can be made
    ///
    /// Of a TorchScript file every check is shown with its number, or what is wrong with the cure:
    /// head(features(x)) = forward(x), a batch = its pictures, the gradient is finite and not zero,
    /// the card's reference answers. Exit status 1: it cannot be used. A TorchScript file is a
    /// program, which this runs: load only what you trust.
    Check {
        /// A TorchScript file (scripts/export_model.py), a checkpoint of an AlexNet, or safetensors
        file: PathBuf,
        /// An AlexNet's mean image as published text [default: as its card says]
        #[arg(long, value_name = "FILE")]
        emotion_mean: Option<PathBuf>,
    },
    /// Check the files in the models folder: structure, digest, and EmoNet's published answers for
    /// its two demo photos
    Verify(Folder),
    /// Make random weights in the published formats, to try everything out without a download
    ///
    /// The same seed gives the same files on every machine. Every run made with them is marked: its
    /// results mean nothing.
    Synthesize {
        /// yolov3-openimages, emonet, or the path of a Darknet cfg
        network: String,
        /// Where to write [default: the published file name, in the models folder]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Seed of the random numbers
        #[arg(long, default_value_t = 1, value_parser = whole::<u64>(0, u64::MAX))]
        seed: u64,
        #[command(flatten)]
        folder: Folder,
    },
}

/// Where the files are.
#[derive(Debug, clap::Args)]
pub(super) struct Folder {
    /// Folder of model files [default: $EMOCAM_MODELS, else ~/.local/share/emocam/models]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

impl Folder {
    fn path(&self) -> PathBuf {
        folder(self.models.as_deref())
    }
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(folder) => list(&folder.path()),
        Command::Fetch { names, overwrite, folder } => fetch_all(&names, &folder.path(), overwrite),
        Command::Import { checkpoint: Some(checkpoint), emotion_mean, out, overwrite, .. } => {
            let out = out.unwrap_or_else(|| checkpoint.with_extension("safetensors"));
            let _claimed = overwrite.file(&out)?;
            AlexNet::import(&checkpoint, emotion_mean.as_deref(), &out)?;
            say!("{}", out.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Import { checkpoint: None, detector, detector_weights, folder, .. } => {
            let weights =
                detector_weights.context("neither a checkpoint nor Darknet weights are named")?;
            let line = check_detector(detector, &weights, &folder.path())?;
            writeln!(std::io::stdout().lock(), "{line}")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { file, emotion_mean } => check::run(&file, emotion_mean.as_deref()),
        Command::Verify(folder) => verify(&folder.path()),
        Command::Synthesize { network, out, seed, folder } => {
            make_up(&network, out.as_deref(), seed, &folder.path())
        }
    }
}

fn list(folder: &Path) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "models folder: {}\n", folder.display())?;
    for model in catalogue()? {
        let Model { name, title, structure, source, citation, licence, files } = model;
        writeln!(
            out,
            "{name}: {title}\n  {structure}\n  source: {source}\n  licence: {licence}\n  cite: \
             {citation}"
        )?;
        for file in files {
            let size = file.size.map(|size| format!(", {size} bytes")).unwrap_or_default();
            let optional = if file.optional { ", optional" } else { "" };
            let state = match std::fs::metadata(folder.join(&file.name)) {
                Ok(found) => format!("here, {} bytes", found.len()),
                Err(_) if file.shipped => "built in".into(),
                Err(_) => "not here".into(),
            };
            writeln!(out, "  - {} ({}{size}{optional}): {state}", file.name, file.content)?;
        }
        writeln!(out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fetch_all(names: &[String], folder: &Path, overwrite: Overwrite) -> anyhow::Result<ExitCode> {
    let models = catalogue()?;
    let known = || models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>().join(", ");
    let wanted: Vec<&str> = match names {
        [] => vec!["yolov3-openimages", "emonet"],
        names => names.iter().map(String::as_str).collect(),
    };
    for name in wanted {
        let model = models
            .iter()
            .find(|model| model.name == name)
            .with_context(|| format!("`{name}` is no known model: {}", known()))?;
        for file in model.files.iter().filter(|file| !file.shipped) {
            let found = std::fs::metadata(folder.join(&file.name))
                .map_or(file.size, |found| Some(found.len()));
            anyhow::ensure!(
                overwrite.overwrite || file.size.is_none_or(|size| found == Some(size)),
                "{}: is there already and is not the published file, which has {} bytes: delete \
                 it, or say --overwrite to replace it",
                folder.join(&file.name).display(),
                file.size.unwrap_or(0)
            );
            let mut progress = Progress::bytes(file.size.unwrap_or(0));
            let fetched = fetch(file, folder, &mut |done, total| {
                progress.total(total.or(file.size).unwrap_or(0));
                progress.at(done, file.name.clone());
            });
            progress.finish();
            match fetched {
                Ok(Fetched::AlreadyThere) => {
                    let path = folder.join(&file.name);
                    anyhow::ensure!(
                        !made_up(&path, folder),
                        "{}: here, but made by `emocam models synthesize`: delete it{}, then fetch \
                         again",
                        path.display(),
                        if name == "emonet" { " and img_mean.txt beside it" } else { "" }
                    );
                    say!("{}: already here", file.name);
                }
                Ok(Fetched::Downloaded { .. }) => {
                    digest::forget(folder, &file.name)?;
                    digest::remember(folder, &file.name)?;
                    say!("{}: downloaded", file.name);
                }
                Err(error) if file.optional => say!("{}: left out ({error})", file.name),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a file holds random numbers in place of a published model.
fn made_up(path: &Path, folder: &Path) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("weights") => {
            detector(None, path, folder).is_ok_and(|(_, network)| network.synthesized())
        }
        Some("pth" | "pt") => {
            AlexNet::load(path, None, tch::Device::Cpu).is_ok_and(|model| model.synthesized())
        }
        _ => false,
    }
}

/// Said when `synthesize` has made a file.
const RANDOM: &str = "random numbers: runs made with them are marked, and mean nothing";

/// Said of a file that `synthesize` made.
const MADE_UP: &str = "random numbers (synthesized)";

/// The detector of `cfg`, or the built-in one, with these weights.
fn detector(cfg: Option<String>, weights: &Path, folder: &Path) -> anyhow::Result<(Cfg, Darknet)> {
    let mut config = Config::default();
    if let Some(cfg) = cfg {
        config.detector.cfg = cfg;
    }
    let cfg = load::cfg(&config, folder)?.0;
    let settings = config.detector.settings(config.compute.precision);
    // Their names do not matter here.
    let classes = (0..cfg.classes()).map(|class| class.to_string()).collect();
    let network = Darknet::load(&cfg, weights, classes, settings, tch::Device::Cpu)?;
    Ok((cfg, network))
}

/// Structure and weights of a detector, in one line.
fn check_detector(cfg: Option<String>, weights: &Path, folder: &Path) -> anyhow::Result<String> {
    let (cfg, network) = detector(cfg, weights, folder)?;
    let parameters = cfg.parameter_count()?;
    let random = if network.synthesized() { format!(", {MADE_UP}") } else { String::new() };
    Ok(format!("{}: fits {}, {parameters} numbers{random}", weights.display(), cfg.path.display()))
}

/// Backbones with torchvision's names, and their classes.
const BACKBONES: [(&str, BackboneKind, i64); 3] = [
    ("mobilenet_v2", BackboneKind::MobilenetV2, 1000),
    ("vgg16", BackboneKind::Vgg16, 1000),
    ("vgg16-places365", BackboneKind::Vgg16, 365),
];

fn verify(folder: &Path) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let mut wrong = 0;
    let mut found = 0;
    let known = catalogue()?;
    let files = known
        .iter()
        .flat_map(|model| model.files.iter().map(move |file| (model.name.as_str(), file)));
    for (model, file) in files {
        let path = folder.join(&file.name);
        if !path.exists() {
            continue;
        }
        found += 1;
        let verdict = verify_file(folder, model, &file.name, file.sha256.as_deref());
        wrong += usize::from(verdict.is_err());
        match verdict {
            Ok(line) => writeln!(out, "ok     {}: {line}", file.name)?,
            Err(error) => writeln!(out, "WRONG  {}: {error:#}", file.name)?,
        }
    }
    anyhow::ensure!(
        found > 0,
        "{}: has no published model file, so that nothing was verified; `emocam models fetch` \
         downloads them, and --models names another folder",
        folder.display()
    );
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

fn verify_file(
    folder: &Path,
    model: &str,
    name: &str,
    published: Option<&str>,
) -> anyhow::Result<String> {
    let path = folder.join(name);
    let digest = match digest::remember(folder, name)? {
        Remembered::First(now) => format!("SHA-256 {} recorded", &now.sha256[..16]),
        Remembered::Same(now) => format!("SHA-256 {} as recorded", &now.sha256[..16]),
        Remembered::Changed { recorded, found } => anyhow::bail!(
            "SHA-256 {} was recorded when it was first used, now it is {}: fetch it again, or \
             delete its line in digests.json if the change was meant",
            recorded.sha256,
            found.sha256
        ),
    };
    if let Some(published) = published {
        let found = digest::sha256_file(&path)?;
        anyhow::ensure!(
            found == published,
            "SHA-256 {found}, published is {published}: fetch it again"
        );
    }
    if let Some(&(_, kind, classes)) = BACKBONES.iter().find(|(known, ..)| *known == model) {
        let mut state = StateDict::open(&path)?;
        TorchVision::build(
            kind,
            1.0,
            classes,
            &mut OfFile { state: &mut state, device: tch::Device::Cpu },
        )?;
        state.finish()?;
        return Ok(format!("{}: fits {model}; {digest}", path.display()));
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("weights") => Ok(format!("{}; {digest}", check_detector(None, &path, folder)?)),
        Some("pth" | "pt") => Ok(format!("{}; {digest}", verify_emonet(&path, folder)?)),
        _ => Ok(digest),
    }
}

/// Loads EmoNet and compares its answers with the published ones, where the demo photos are here.
fn verify_emonet(weights: &Path, folder: &Path) -> anyhow::Result<String> {
    let model = AlexNet::load(weights, None, tch::Device::Cpu)?;
    let labels = &model.card().labels;
    let mut checked = Vec::new();
    // The published numbers are for the checkpoint that comes with the mean image.
    let published = if model.subtracts_mean()? { model.card().published.as_slice() } else { &[] };
    for known in published {
        let Ok(photo) = locate(known.picture.as_ref(), folder) else { continue };
        let picture =
            decode(&photo, &DecodeOptions { ignore_exif: true, ..DecodeOptions::default() })?;
        let input = model.card().fit.apply(&picture, picture.size());
        let prediction = predict(&model, &[&input])?.remove(0);
        let (worst, off) = prediction
            .probabilities
            .iter()
            .zip(&known.probabilities)
            .map(|(&found, &wanted)| (f64::from(found) - wanted).abs() / wanted)
            .enumerate()
            .fold((0, 0.0), |worst, (label, off)| if off > worst.1 { (label, off) } else { worst });
        anyhow::ensure!(
            off <= known.relative_tolerance,
            "{}: the probability of {} is off by {:.1} %, {:.1} % are allowed",
            known.picture,
            labels[worst],
            100.0 * off,
            100.0 * known.relative_tolerance
        );
        checked.push(format!("{} as published (at most {:.2} % off)", known.picture, 100.0 * off));
    }
    let random = if model.synthesized() { format!(" of {MADE_UP}") } else { String::new() };
    if checked.is_empty() {
        checked.push(
            "published answers not checked: demo_big.jpg and demo_small.jpg are not here".into(),
        );
    }
    Ok(format!("a network{random} with {} labels; {}", labels.len(), checked.join(", ")))
}

fn make_up(
    network: &str,
    out: Option<&Path>,
    seed: u64,
    folder: &Path,
) -> anyhow::Result<ExitCode> {
    let place = |name: &str| -> anyhow::Result<PathBuf> {
        let path = out.map_or_else(|| folder.join(name), Path::to_path_buf);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        anyhow::ensure!(
            !path.exists(),
            "{} exists already; name another file with --out",
            path.display()
        );
        Ok(path)
    };
    if network == "emonet" {
        let path = place("emonet.pth")?;
        let mean = path.with_file_name("img_mean.txt");
        anyhow::ensure!(
            !mean.exists(),
            "{} exists already; name a file in another folder with --out",
            mean.display()
        );
        synthesize::write_emonet(&Card::emonet(), seed, &path, &mean)?;
        say!("{}\n{}\n{RANDOM}", path.display(), mean.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = Config::default();
    config.detector.cfg =
        if network == "yolov3-openimages" { "yolov3-openimages.cfg" } else { network }.into();
    let cfg: Cfg = load::cfg(&config, folder)
        .context("network: yolov3-openimages, emonet or the path of a cfg")?
        .0;
    let name = Path::new(&config.detector.cfg).with_extension("weights");
    let path = place(&name.file_name().unwrap_or_default().to_string_lossy())?;
    synthesize::write_darknet(&cfg, seed, &path)?;
    say!("{}\n{RANDOM}", path.display());
    Ok(ExitCode::SUCCESS)
}
