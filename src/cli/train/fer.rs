//! `emocam train fer`: the network of facial expressions of Malik, Kumar & Raman (ICVGIP 2021).

use super::data::{divided, drawn_lesson};
use super::session::{Teller, TrainingArgs, ended, say_data, stopped, table, unread};
use crate::cli::session::{print, stop_on_interrupt};
use crate::cli::values::whole;
use emocam::stats::ValueWithInterval;
use emocam::train::data::collect;
use emocam::train::fer::{FerRecipe, FerTraining, Folds};
use std::path::PathBuf;
use std::process::ExitCode;

/// Train a network of facial expressions (VGG16 with residual branches; Malik, Kumar, Raman 2021)
///
/// DATA is a folder with a folder for each label, files named LABEL_NUMBER.jpg, paths with a
/// pattern ([data] pattern in the recipe), one CSV file with the columns path and label, FER-2013's
/// fer2013.csv with its own split, or a word for the drawn world: `drawn-faces`, or
/// `drawn=FILE.toml` for the emotions of a causal graph. Published data sets:
///
/// FER-2013: fer2013.csv as it is (columns emotion, pixels, Usage).
///
/// JAFFE (KA.AN1.39.tiff): labels_from = "pattern" and pattern = '\.([A-Z]{2})[0-9]\.' in [data].
///
/// FERG (aia/aia_anger/aia_anger_1.png): labels_from = "pattern" and pattern =
/// '/[a-z]+_([a-z]+)/[^/]*$'.
///
/// CK+: a folder for each label, or a CSV file with path and label.
///
/// Writes into --out: model.safetensors and model.toml (what --emotion-weights of the other
/// commands takes), recipe.toml, log.csv and curves.png (loss and accuracy of every epoch),
/// predictions.csv, confusion.csv, .png and .svg, labels.csv (recall and precision), failures.csv,
/// result.json, and a checkpoint after every epoch; with --folds a folder for each fold, and
/// folds.csv.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Labelled pictures, or `drawn-faces`
    #[arg(required_unless_present = "on", value_name = "DATA")]
    data: Vec<PathBuf>,

    /// Other pictures than faces to go on with: what --from has learnt of faces is learnt anew on
    /// these alone, without a discrepancy loss (what `emocam train adapt` is compared with)
    #[arg(long, value_name = "IMAGES", conflicts_with = "data", requires = "initial")]
    on: Vec<PathBuf>,

    /// Go on from the weights of a network that was trained before (of the same sizes); where its
    /// labels are other ones its last layer begins anew
    #[arg(long = "from", value_name = "model.safetensors")]
    initial: Option<PathBuf>,

    /// How it is trained; configs/fer.toml explains every key and is what holds without this option
    #[arg(long, value_name = "FILE.toml")]
    recipe: Option<PathBuf>,

    /// Train once for each of N parts of the pictures (2 to 1000), measuring with that part (the
    /// paper: 10)
    #[arg(long, value_name = "N", value_parser = whole::<usize>(2, 1000))]
    folds: Option<usize>,

    #[command(flatten)]
    training: TrainingArgs,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { data, on, initial, recipe, folds, training } = args;
    let data = if on.is_empty() { data } else { on };
    let recipe = recipe.as_deref().map_or_else(|| Ok(FerRecipe::default()), FerRecipe::load)?;
    let initial = initial.as_deref();
    if let Some(count) = folds {
        return run_folds(count, &data, initial, &recipe, &training);
    }
    let data = divided(&data, (&recipe.data, &recipe.split, &recipe.drawn))?;
    training.begin(&recipe)?;
    say_data("", &data);
    let device = training.open()?;
    let stop =
        stop_on_interrupt("stopping after this step; --resume goes on from the last whole epoch")?;
    let mut teller = Teller::default();
    let (threads, folder) = (training.threads, training.out.as_path());
    let work = FerTraining { recipe: &recipe, data: &data, initial, device, threads, folder, stop };
    let result = work.run("", &recipe.training, &mut |told| teller.tell(told))?;
    teller.finish();
    result.map_or_else(|| Ok(stopped()), |result| ended(folder, &result))
}

fn run_folds(
    count: usize,
    roots: &[PathBuf],
    initial: Option<&std::path::Path>,
    recipe: &FerRecipe,
    training: &TrainingArgs,
) -> anyhow::Result<ExitCode> {
    let drawn = roots.iter().any(|root| drawn_lesson(root).is_some());
    anyhow::ensure!(
        !drawn,
        "scenes are drawn as they are needed and need no folds: leave out --folds"
    );
    let data = collect(roots, &recipe.data)?;
    training.begin(recipe)?;
    say!("{} labels; {} pictures in {count} folds", data.labels.len(), data.items.len());
    let device = training.open()?;
    let stop =
        stop_on_interrupt("stopping after this step; --resume goes on from the last whole epoch")?;
    let mut teller = Teller::default();
    let (threads, folder) = (training.threads, training.out.as_path());
    let work = Folds { recipe, data: &data, count, initial, device, threads, folder, stop };
    let result = work.run(&mut |told| teller.tell(told))?;
    teller.finish();
    let Some(result) = result else { return Ok(stopped()) };
    let ValueWithInterval { value: mean, lower, upper } = result.mean;
    let mut text = table(&result.folds);
    text.push_str(&format!(
        "{:<28} {mean:.3} [{lower:.3}, {upper:.3}]  Student's interval over {count} folds\n",
        "mean"
    ));
    print(text.as_bytes())?;
    unread(folder)
}
