//! `emocam explain`: single photos, with everything that is computed on the way.

use super::output::Overwrite;
use super::session::{self, print};
use super::settings::Settings;
use super::values::whole;
use anyhow::Context;
use emocam::Error;
use emocam::associate::Importance;
use emocam::config::Config;
use emocam::corpus::{Source, check, find};
use emocam::figures::{ExaminedPhoto, Explained, Explainer, names, percentage};
use emocam::files::write_bytes;
use emocam::pipeline::{Pass, Worker};
use emocam::plot::{Colours, PHOTO_SCALE, write_scaled};
use emocam::run::Failure;
use emocam::score::ScoreRule;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Explain single photos: a figure with the maps of all methods side by side, and the same as
/// numbers
///
/// Writes for every photo NAME.png and NAME.svg (the photo with its detections, the map of every
/// method with the boxes it makes most important, the network's answer), and NAME.json
/// (probabilities, valence, arousal, and every box with its scores by every method). The numbers
/// are those `emocam analyze` records with the same settings, to the last digit, for which a few
/// photos go through the detector as a whole batch: --batch 1 is quicker for a single one, and
/// last digits may differ. Without --cam and --config the maps are those of all five methods of the
/// paper.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Photos, or folders of them (searched to the bottom), .tar files or <TAR>/<MEMBER>, or @LIST
    /// for a list of files
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// Where the files go, named like the photos below the folder they share
    #[arg(long, value_name = "DIR", default_value = "explained")]
    out: PathBuf,

    /// The most boxes shown a photo and method, 0 to 50; the JSON has all
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u8>(0, 50))]
    boxes: u8,

    /// Maps in uniform (inferno over grey; equal steps look equal), jet (as in most publications),
    /// or a row of both
    #[arg(long, value_name = "COLOURS", default_value = "both")]
    colours: Colouring,

    /// Also write NAME.safetensors: every map as numbers over the network's input (EmoNet: 227 x
    /// 227, about 200 KB a method)
    #[arg(long)]
    save_maps: bool,

    /// Name photos by their path below this folder, as a run over it does; lime-cam, shapley-cam
    /// and object-shap draw at random by that name
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,

    #[command(flatten)]
    overwrite: Overwrite,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Colouring {
    Uniform,
    Jet,
    Both,
}

/// What is written of every photo.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    boxes: usize,
    colours: Colours,
    maps: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { images, out, boxes, colours, save_maps, corpus, overwrite, settings } = args;
    let colours = match colours {
        Colouring::Uniform => Colours::Uniform,
        Colouring::Jet => Colours::Jet,
        Colouring::Both => Colours::Both,
    };
    let wanted = Wanted { boxes: boxes.into(), colours, maps: save_maps };
    let (config, machine) = settings.resolve_or_paper_methods()?;
    say_draws(&config, corpus.is_some());
    let (sources, mut failures) = sources(&images, corpus.as_deref())?;
    let files = files(&sources, &out)?;
    let _claimed = overwrite.figures(&out)?;
    let (loaded, _) = session::load(&config, &machine, &sources)?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(machine.threads).build()?;
    let importance = Importance::of_picture(&config.association, loaded.regions.classes())?;
    let explainer = Explainer::new(&loaded, &config, importance);
    let (batch, stop) = (config.compute.batch, AtomicBool::new(false));
    let mut workers = [Worker { loaded, batch }];
    let pass = Pass {
        stage: &explainer,
        items: &sources,
        workers: &mut workers,
        batch,
        threads: machine.threads,
        stop: &stop,
    };
    let (mut failed, mut now) = (None, batch);
    let (unread, _) = pass.run(&mut |done, progress| {
        session::say_smaller_batch(&mut now, progress.batch, batch);
        let photos: Vec<(ExaminedPhoto, &PathBuf)> = done
            .into_iter()
            .map(|photo| {
                let path = &photo.item.path;
                (explainer.examined(path, photo.prepared, photo.outcome), &files[path])
            })
            .collect();
        let texts = threads.install(|| {
            let texts = photos
                .par_iter()
                .map(|(photo, files)| write(photo, files, &explainer, &config, wanted));
            texts.collect::<anyhow::Result<Vec<String>>>()
        });
        photos.iter().for_each(|(_, files)| say!("{}", with_extension(files, "png").display()));
        if let Err(error) = texts.and_then(|texts| print(texts.concat().as_bytes())) {
            // What cannot be written ends the pass; why is said below.
            stop.store(true, Ordering::Relaxed);
            failed.get_or_insert(error);
        }
        Ok(())
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    failures.extend(unread);
    for failure in &failures {
        say!("failed: {} ({}): {}", failure.path, failure.stage, failure.cause);
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Photos in the order of their names, and what could not be looked at.
fn sources(
    images: &[PathBuf],
    corpus: Option<&Path>,
) -> anyhow::Result<(Vec<Source>, Vec<Failure>)> {
    let failure = |path: String, cause: String| Failure { path, stage: "find".into(), cause };
    let (mut roots, mut failures) = (Vec::new(), Vec::new());
    for image in images {
        match check(image) {
            Ok(()) => roots.push(image.clone()),
            Err(error) => failures.push(failure(image.display().to_string(), error.in_one_line())),
        }
    }
    let mut found = find(&roots)?;
    failures.extend(found.problems.into_iter().map(|problem| failure(problem.path, problem.cause)));
    if let Some(corpus) = corpus {
        let corpus = std::path::absolute(corpus).context("cannot name the corpus")?;
        for source in &mut found.images {
            let file = std::path::absolute(source.place()).context("cannot name a photo")?;
            if let Some(below) = file.strip_prefix(&corpus).ok().and_then(Path::to_str) {
                source.path = below.replace(std::path::MAIN_SEPARATOR, "/");
            }
        }
        found.images.sort_by(|a, b| a.path.cmp(&b.path));
        found.images.dedup_by(|a, b| a.path == b.path);
    }
    if found.images.is_empty() {
        let causes: String =
            failures.iter().map(|f| format!("\n  {}: {}", f.path, f.cause)).collect();
        anyhow::bail!(
            "no image to explain: looked for jpg, jpeg, png, webp, bmp, tif and tiff files{causes}"
        );
    }
    Ok((found.images, failures))
}

/// Where each photo's files go, without an extension; never over a photo.
fn files(sources: &[Source], out: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let photos: BTreeSet<PathBuf> =
        sources.iter().filter_map(|source| source.file.canonicalize().ok()).collect();
    let names = names(&session::paths(sources));
    let named =
        sources.iter().zip(names).map(|(source, name)| (source.path.clone(), out.join(name)));
    named
        .map(|(path, files)| {
            for extension in ["png", "svg", "json", "safetensors"] {
                let file = with_extension(&files, extension);
                anyhow::ensure!(
                    !file.canonicalize().is_ok_and(|file| photos.contains(&file)),
                    "{} is one of the photos and would be replaced by a figure: name another \
                     folder with --out",
                    file.display()
                );
            }
            Ok((path, files))
        })
        .collect()
}

/// Adds an extension; `Path::with_extension` would take a part of the name for one.
fn with_extension(files: &Path, extension: &str) -> PathBuf {
    let mut name = files.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Writes a photo's files.
fn write(
    photo: &ExaminedPhoto,
    files: &Path,
    explainer: &Explainer<'_>,
    config: &Config,
    wanted: Wanted,
) -> anyhow::Result<String> {
    let file = |extension| with_extension(files, extension);
    if let Some(folder) = files.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let content = explainer.content(photo);
    let figure = explainer.figure(photo, &content, wanted.boxes, wanted.colours)?;
    let mut json = serde_json::to_vec_pretty(&content).context("the numbers cannot be written")?;
    json.push(b'\n');
    write_bytes(&file("json"), &json)?;
    if wanted.maps {
        photo.save_maps(&file("safetensors"))?;
    }
    write_scaled(&figure, PHOTO_SCALE, &file("png"), &file("svg"))?;
    Ok(text(&content, config, wanted.boxes))
}

/// Says that methods draw by the photos' names, where these may be others than in a run.
fn say_draws(config: &Config, named_as_in_a_run: bool) {
    let drawing =
        config.cam.methods.iter().filter(|method| method.draws()).map(ToString::to_string);
    let drawing = drawing.collect::<Vec<_>>().join(", ");
    if !drawing.is_empty() && !named_as_in_a_run {
        say!(
            "{drawing} draw at random by a photo's name: to repeat the numbers of a run over a \
             folder, name the folder with --corpus"
        );
    }
}

/// The photo in a few lines.
fn text(of: &Explained, config: &Config, shown: usize) -> String {
    let percent = |probability: Option<f32>| {
        probability.map(|probability| format!(" {:.1} %", 100.0 * probability)).unwrap_or_default()
    };
    let mut text =
        format!("{}: {}{}", of.path, of.predicted.label, percent(of.predicted.probability));
    if let Some(output) = of.output {
        let _ = write!(text, " ({output:.3})");
    }
    // Writing to a string cannot fail.
    for (name, value) in [("valence", of.valence), ("arousal", of.arousal)] {
        let _ = value.map(|value| write!(text, ", {name} {value:.2}"));
    }
    if of.explained != of.predicted {
        let _ = write!(
            text,
            "; explained: {}{}",
            of.explained.label,
            percent(of.explained.probability)
        );
    }
    let _ = writeln!(text, "; {} detections", of.detections);
    let by_mean = config.association.score == ScoreRule::Mean;
    for map in &of.methods {
        let boxes = map.boxes.iter().take(shown).map(|ranked| {
            let mark = if ranked.counts { "*" } else { "" };
            let error = ranked.mean_error.filter(|_| by_mean);
            let error = error.map(|error| format!(" ± {error:.2}")).unwrap_or_default();
            format!("{} {:.2}{error}{mark}", ranked.class, ranked.importance)
        });
        let said = match (map.flat, boxes.collect::<Vec<_>>()) {
            (true, _) => "no positive evidence".into(),
            (false, boxes) if boxes.is_empty() => "no boxes".into(),
            (false, boxes) => boxes.join(", "),
        };
        let outside = map.outside.filter(|_| !map.flat && !map.boxes.is_empty());
        let outside = outside
            .map(|share| format!("; {share:.2} of the map outside all boxes"))
            .unwrap_or_default();
        let error =
            map.error.map(|error| format!("; weights ± {}", percentage(error))).unwrap_or_default();
        let _ = writeln!(text, "  {:<14} {said}{outside}{error}", map.method);
    }
    let over = match (config.association.importance, config.association.region_importance()) {
        (over, of_regions) if over == of_regions => over.to_string(),
        (over, of_regions) => format!("{over}, a region's own value {of_regions}"),
    };
    if of
        .methods
        .iter()
        .any(|map| !map.flat && map.boxes.iter().take(shown).any(|ranked| ranked.counts))
    {
        let _ = writeln!(text, "  * counts: over {over}");
    }
    text
}
