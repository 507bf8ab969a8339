//! `emocam train multi-gap`: the system of Lim et al. (ICIP 2020).

use super::data::drawn_lesson;
use crate::cli::progress::Progress;
use crate::cli::session::{print, say_failures, stop_on_interrupt};
use emocam::classify::Share;
use emocam::nn::{self, DeviceChoice};
use emocam::train::data::pairs::Pairs;
use emocam::train::data::{collect, Divided};
use emocam::train::multi_gap::{Recipe, Study, Told, TrainingResult, Workshop, WEIGHTS};
use emocam::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The copy of the recipe in a training's folder.
const RECIPE: &str = "recipe.toml";

/// Train a Multi-GAP network (Lim et al. 2020), or all networks of the paper's Table 1 or Fig. 4
///
/// DATA is a folder with a folder for each label (FI, EmoSet; .tar files of such folders and @LISTs too), files named
/// LABEL_NUMBER.jpg (ArtPhoto), one CSV file with the columns path and label, or a word for the drawn world: `drawn`
/// for its emotions, `drawn=FILE.toml` for those of another causal graph (as `emocam world --graph`), `drawn-objects`,
/// `drawn-places` and `drawn-faces` for what backbones can be taught before. Pictures are divided into 80 % to learn
/// from, 15 % to measure with and 5 % to choose the best epoch by, unless the recipe says otherwise.
///
/// Writes into --out: model.safetensors and model.toml (what --emotion-weights of the other commands takes),
/// recipe.toml, log.csv and curves.png (loss and accuracy of every epoch), predictions.csv, confusion.csv, .png and
/// .svg, labels.csv (recall and precision), failures.csv, result.json, and a checkpoint after every epoch.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Labelled pictures, or `drawn`
    #[arg(required = true, value_name = "DATA")]
    data: Vec<PathBuf>,

    /// Where everything goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// How it is trained; configs/multi-gap.toml explains every key and is what holds without this option
    #[arg(long, value_name = "FILE.toml")]
    recipe: Option<PathBuf>,

    /// Go on with what is in --out, or begin if there is nothing yet
    #[arg(long)]
    resume: bool,

    /// Train all networks of the paper's Table 1 (streams, feature dependency, fusion), or of its Fig. 4 (blocks taken
    /// off one by one), each in a folder of its own below --out, and write table and picture
    #[arg(long, value_enum, value_name = "STUDY")]
    study: Option<StudyName>,

    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,

    /// Threads that read pictures, besides those of the network [default: 2]
    #[arg(long, value_name = "N", default_value_t = 2, hide_default_value = true)]
    threads: usize,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum StudyName {
    Table1,
    Truncation,
}

impl From<StudyName> for Study {
    fn from(name: StudyName) -> Self {
        match name {
            StudyName::Table1 => Self::Table1,
            StudyName::Truncation => Self::Truncation,
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { data, out, recipe, resume, study, device, threads } = args;
    anyhow::ensure!(threads > 0, "--threads must be at least 1");
    let recipe = recipe.as_deref().map_or_else(|| Ok(Recipe::default()), Recipe::load)?;
    begin(&out, &recipe, resume)?;
    let (data, pairs) = read(&data, &recipe)?;
    say!(
        "{} labels; {} pictures to learn from, {} to choose by, {} to measure with",
        data.labels.len(),
        data.train.len(),
        data.validation.len(),
        data.test.len()
    );
    tch::set_num_threads(nn::network_threads());
    let device = nn::open(&device)?;
    nn::keep_freed_memory();
    let stop = stop_on_interrupt("stopping after this step; --resume goes on from the last whole epoch")?;
    let mut workshop = Workshop::new(&recipe, &data, pairs.as_ref(), (device, threads), &out, stop);
    let mut teller = Teller::default();
    let results = match study {
        Some(study) => Study::from(study).run(&mut workshop, &mut |told| teller.tell(told))?,
        None => {
            let plan = workshop.own_plan();
            workshop.train(&plan, &mut |told| teller.tell(told))?.map(|result| vec![result])
        }
    };
    teller.finish();
    let Some(results) = results else {
        say!("stopped; --resume goes on from the last whole epoch");
        return Ok(ExitCode::from(130));
    };
    print(table(&results).as_bytes())?;
    let failures = out.join("failures.csv");
    if study.is_none() {
        say!("{}", out.join(WEIGHTS).display());
        if failures.exists() {
            let known = emocam::run::read_failures(&failures)?;
            say_failures(&known, &failures);
            return Ok(ExitCode::from(u8::from(!known.is_empty())));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder, with a copy of the recipe; refuses one that was begun with another, or without `--resume`.
fn begin(out: &Path, recipe: &Recipe, resume: bool) -> anyhow::Result<()> {
    std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
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
            "{}: this training was begun with another recipe and cannot go on with this one: name another folder with \
             --out",
            path.display()
        );
        return Ok(());
    }
    let empty = std::fs::read_dir(out).map_err(Error::io("read", out))?.next().is_none();
    anyhow::ensure!(empty, "{} is not empty and holds no training: name another folder with --out", out.display());
    Ok(emocam::files::write_bytes(&path, text.as_bytes())?)
}

/// The pictures for each use, and their adjective-noun pairs where these are known.
fn read(roots: &[PathBuf], recipe: &Recipe) -> anyhow::Result<(Divided, Option<Pairs>)> {
    if let [root] = roots {
        if let Some(lesson) = drawn_lesson(root) {
            let lesson = lesson?;
            return Ok((recipe.drawn.draw(&lesson)?, Some(Pairs::drawn(&recipe.drawn, &lesson))));
        }
    }
    let data = collect(roots, recipe.data.labels_from, &recipe.data.labels)?;
    let divided = recipe.split.divide(data)?;
    if recipe.anp.file.is_empty() {
        return Ok((divided, None));
    }
    let pairs = Pairs::read(&recipe.anp)?;
    for items in [&divided.train, &divided.validation, &divided.test] {
        pairs.check(&recipe.anp.file, items)?;
    }
    Ok((divided, Some(pairs)))
}

/// Says on stderr how far everything is.
#[derive(Default)]
struct Teller {
    progress: Option<(&'static str, Progress)>,
}

impl Teller {
    fn tell(&mut self, told: Told) {
        match told {
            Told::Network(name) => {
                self.finish();
                if !name.is_empty() {
                    say!("{name}");
                }
            }
            Told::Features(done, all) => self.at("batches", done, all, "features of all pictures".into()),
            Told::Step(step) => {
                let validation = step.validation.map_or(String::new(), |share| format!(", validation {share:.3}"));
                let note = format!("loss {:.4}, accuracy {:.3}{validation}", step.loss, step.accuracy);
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

    fn finish(&mut self) {
        if let Some((_, progress)) = self.progress.take() {
            progress.finish();
        }
    }
}

/// Accuracies, a line a network.
fn table(results: &[TrainingResult]) -> String {
    let mut text = String::new();
    for result in results {
        let Share { share, interval: (lower, upper), hits, cases } = result.accuracy;
        let name = if result.name.is_empty() { "accuracy" } else { &result.name };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<28} {share:.3} [{lower:.3}, {upper:.3}]  {hits} of {cases}");
    }
    text
}
