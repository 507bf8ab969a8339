//! `emocam train multi-gap`: the system of Lim et al. (ICIP 2020).

use super::data::drawn_lesson;
use super::session::{Teller, TrainingArgs, ended, say_data, stopped, table, unread};
use crate::cli::session::{print, stop_on_interrupt};
use emocam::train::data::pairs::Pairs;
use emocam::train::data::{Divided, collect};
use emocam::train::multi_gap::{Recipe, Study, Workshop};
use std::path::PathBuf;
use std::process::ExitCode;

/// Train a Multi-GAP network (Lim et al. 2020), or all networks of the paper's Table 1 or Fig. 4
///
/// DATA is a folder with a folder for each label (FI, EmoSet; .tar files of such folders and @LISTs
/// too), files named LABEL_NUMBER.jpg (ArtPhoto), one CSV file with the columns path and label, or
/// a word for the drawn world: `drawn` for its emotions, `drawn=FILE.toml` for those of another
/// causal graph (as `emocam world --graph`), `drawn-objects`, `drawn-places` and `drawn-faces` for
/// what backbones can be taught before. Pictures are divided into 80 % to learn from, 15 % to
/// measure with and 5 % to choose the best epoch by, unless the recipe says otherwise.
///
/// Writes into --out: model.safetensors and model.toml (what --emotion-weights of the other
/// commands takes), recipe.toml, log.csv and curves.png (loss and accuracy of every epoch),
/// predictions.csv, confusion.csv, .png and .svg, labels.csv (recall and precision), failures.csv,
/// result.json, and a checkpoint after every epoch.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Labelled pictures, or `drawn`
    #[arg(required = true, value_name = "DATA")]
    data: Vec<PathBuf>,

    /// How it is trained; configs/multi-gap.toml explains every key and is what holds without this
    /// option
    #[arg(long, value_name = "FILE.toml")]
    recipe: Option<PathBuf>,

    /// Train all networks of the paper's Table 1 (streams, feature dependency, fusion), or of its
    /// Fig. 4 (blocks taken off one by one), each in a folder of its own below --out, and write
    /// table and picture
    #[arg(long, value_enum, value_name = "STUDY")]
    study: Option<StudyName>,

    #[command(flatten)]
    training: TrainingArgs,
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

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { data, recipe, study, training } = args;
    let recipe = recipe.as_deref().map_or_else(|| Ok(Recipe::default()), Recipe::load)?;
    training.begin(&recipe)?;
    let (data, pairs) = read(&data, &recipe)?;
    say_data("", &data);
    let device = training.open()?;
    let stop =
        stop_on_interrupt("stopping after this step; --resume goes on from the last whole epoch")?;
    let machine = (device, training.threads);
    let mut workshop = Workshop::new(&recipe, &data, pairs.as_ref(), machine, &training.out, stop);
    let mut teller = Teller::default();
    match study {
        Some(study) => {
            let results = Study::from(study).run(&mut workshop, &mut |told| teller.tell(told))?;
            teller.finish();
            let Some(results) = results else { return Ok(stopped()) };
            print(table(&results).as_bytes())?;
            unread(&training.out)
        }
        None => {
            let plan = workshop.own_plan();
            let result = workshop.train(&plan, &mut |told| teller.tell(told))?;
            teller.finish();
            result.map_or_else(|| Ok(stopped()), |result| ended(&training.out, &result))
        }
    }
}

/// The pictures for each use, and their adjective-noun pairs where these are known.
fn read(roots: &[PathBuf], recipe: &Recipe) -> anyhow::Result<(Divided, Option<Pairs>)> {
    if let [root] = roots
        && let Some(lesson) = drawn_lesson(root)
    {
        let lesson = lesson?;
        return Ok((recipe.drawn.draw(&lesson)?, Some(Pairs::drawn(&recipe.drawn, &lesson))));
    }
    let data = collect(roots, &recipe.data)?;
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
