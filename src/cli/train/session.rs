//! What trainings share: the folder that one goes on in, what is said of it, and how it ends.

use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::session::{print, say_failures};
use crate::cli::settings::MOST_THREADS;
use crate::cli::values::whole;
use emocam::Error;
use emocam::corpus::FIGURES;
use emocam::nn::{self, DeviceChoice};
use emocam::run::Failure;
use emocam::stats::Share;
use emocam::train::data::Divided;
use emocam::train::outcome::{Told, TrainingResult, WEIGHTS};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tch::Device;
use walkdir::WalkDir;

/// The copy of the recipe in a training's folder.
const RECIPE: &str = "recipe.toml";

/// Options that every training has.
#[derive(Debug, clap::Args)]
pub(super) struct TrainingArgs {
    /// Where everything goes
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Go on with what is in --out, or begin if there is nothing yet
    #[arg(long)]
    pub resume: bool,

    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,

    /// Threads that read pictures, besides those of the network, 1 to 1024 [default: 2]
    #[arg(long, value_name = "N", default_value_t = 2, hide_default_value = true,
        value_parser = whole::<usize>(1, MOST_THREADS))]
    pub threads: usize,
}

impl TrainingArgs {
    /// The folder, made and with a copy of the recipe.
    pub(super) fn begin(&self, recipe: &impl Serialize) -> anyhow::Result<()> {
        anyhow::ensure!(self.threads > 0, "--threads must be at least 1");
        begin(&self.out, recipe, self.resume)
    }

    /// The device, with libtorch made ready for a training.
    pub(super) fn open(&self) -> anyhow::Result<Device> {
        tch::set_num_threads(nn::network_threads());
        let device = nn::open(&self.device)?;
        nn::keep_freed_memory();
        Ok(device)
    }
}

/// Says how many pictures there are.
pub(super) fn say_data(name: &str, data: &Divided) {
    say!(
        "{name}{} labels; {} pictures to learn from, {} to choose by, {} to measure with",
        data.labels.len(),
        data.train.len(),
        data.validation.len(),
        data.test.len()
    );
}

/// The end of a training that was stopped.
pub(super) fn stopped() -> ExitCode {
    say!("stopped; --resume goes on from the last whole epoch");
    ExitCode::from(130)
}

/// The end of a training of one network in `out`: its accuracy, its file, and how many pictures
/// could not be read.
pub(super) fn ended(out: &Path, result: &TrainingResult) -> anyhow::Result<ExitCode> {
    print(table(std::slice::from_ref(result)).as_bytes())?;
    say!("{}", out.join(WEIGHTS).display());
    unread(out)
}

/// Says which pictures the training in `out` could not read, or those of a study or of folds, each
/// in a folder of its own below; the exit status is 1 where there are any.
pub(super) fn unread(out: &Path) -> anyhow::Result<ExitCode> {
    let mut failed = BTreeMap::new();
    for entry in WalkDir::new(out).max_depth(2).sort_by_file_name() {
        let table = entry?.into_path();
        if table.file_name().is_some_and(|name| name == "failures.csv") {
            for failure in emocam::run::read_failures(&table)? {
                failed.entry(failure.path.clone()).or_insert_with(|| (failure, table.clone()));
            }
        }
    }
    let (failures, tables): (Vec<Failure>, Vec<PathBuf>) = failed.into_values().unzip();
    if let Some(table) = tables.first() {
        say_failures(&failures, table);
    }
    Ok(ExitCode::from(u8::from(!failures.is_empty())))
}

/// Makes the folder, with a copy of the recipe; refuses one that was begun with another, or without
/// `--resume`.
fn begin(out: &Path, recipe: &impl Serialize, resume: bool) -> anyhow::Result<()> {
    let _claimed = output::training_folder(out)?;
    emocam::files::remove_leftovers(out, ".")?;
    let path = out.join(RECIPE);
    let text = toml::to_string(recipe)?;
    if path.exists() {
        let before = emocam::files::read_text(&path)?;
        anyhow::ensure!(
            resume,
            "{} holds a training already: --resume goes on, --out names another folder",
            out.display()
        );
        anyhow::ensure!(
            before == text,
            "{}: this training was begun with another recipe and cannot go on with this one: name \
             another folder with --out",
            path.display()
        );
        return Ok(());
    }
    let entries = std::fs::read_dir(out).map_err(Error::io("read", out))?;
    let empty = entries.flatten().all(|entry| entry.file_name() == FIGURES);
    anyhow::ensure!(
        empty,
        "{} is not empty and holds no training: name another folder with --out",
        out.display()
    );
    Ok(emocam::files::write_bytes(&path, text.as_bytes())?)
}

/// Says on stderr how far everything is.
#[derive(Default)]
pub(super) struct Teller {
    progress: Option<(&'static str, Progress)>,
}

impl Teller {
    pub(super) fn tell(&mut self, told: Told) {
        match told {
            Told::Network(name) => {
                self.finish();
                if !name.is_empty() {
                    say!("{name}");
                }
            }
            Told::Features(done, all) => {
                self.at("batches", done, all, "features of all pictures".into());
            }
            Told::Step(step) => {
                let validation = step
                    .validation
                    .map_or(String::new(), |share| format!(", validation {share:.3}"));
                let note =
                    format!("loss {:.4}, accuracy {:.3}{validation}", step.loss, step.accuracy);
                self.at("steps", step.step, step.steps, note);
            }
        }
    }

    fn at(&mut self, unit: &'static str, done: u64, all: u64, note: String) {
        if self.progress.as_ref().is_none_or(|(known, _)| *known != unit) {
            self.finish();
            // A training that goes on begins where it was.
            self.progress = Some((unit, Progress::new(all, unit).from(done.saturating_sub(1))));
        }
        if let Some((_, progress)) = &mut self.progress {
            progress.at(done, note);
        }
    }

    pub(super) fn finish(&mut self) {
        if let Some((_, progress)) = self.progress.take() {
            progress.finish();
        }
    }
}

/// Accuracies, a line a network.
pub(super) fn table(results: &[TrainingResult]) -> String {
    let mut text = String::new();
    for result in results {
        let Share { share, interval: (lower, upper), hits, cases } = result.accuracy;
        let name = if result.name.is_empty() { "accuracy" } else { &result.name };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<28} {share:.3} [{lower:.3}, {upper:.3}]  {hits} of {cases}");
    }
    text
}
