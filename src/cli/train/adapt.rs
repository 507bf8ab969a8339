//! `emocam train adapt`: from faces to images by a discrepancy loss (Kumar & Raman).

use super::data::divided;
use super::session::{Teller, TrainingArgs, ended, say_data, stopped, unread};
use crate::cli::session::{print, stop_on_interrupt};
use emocam::stats::ValueWithInterval;
use emocam::train::adapt::{
    AdaptPlan, AdaptRecipe, AdaptResult, AdaptStudy, AdaptStudyRow, Adaptation, DomainConfig,
    Labelled, TwoDomains,
};
use emocam::train::data::Divided;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Adapt a network of facial expressions to pictures of anything, by a discrepancy loss (Kumar &
/// Raman)
///
/// The network learns from labelled faces (--source) and from those pictures (--target) that have a
/// label, while the features of both are drawn together. The paper's formula, the layers and the
/// weight are not published: multi-kernel MMD (or CORAL) on the sum of trunk and branches and on
/// both hidden layers is our choice; configs/adapt.toml explains every key. Pictures of a domain
/// are named as for `emocam train fer`.
///
/// Writes into --out what `emocam train fer` writes, measured on the target; log.csv has the
/// discrepancy of every epoch, and result.json says how well a linear classifier tells the two
/// domains apart on pictures it has not seen, before and after: 0.5 is chance. A discrepancy that
/// falls while that stays high has not made the domains alike.
///
/// With --study: the network as it is, what it learns from labels alone, and what the discrepancy
/// loss adds, with few and many labelled pictures and several seeds ([study] in the recipe), as
/// adaptation.csv, .png and .svg.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The network of facial expressions: model.safetensors of `emocam train fer`
    #[arg(long = "from", value_name = "model.safetensors")]
    initial: PathBuf,

    /// Labelled faces, or `drawn-faces`
    #[arg(long, required = true, value_name = "FACES", num_args = 1..)]
    source: Vec<PathBuf>,

    /// Pictures with their labels, or `drawn=FILE.toml`
    #[arg(long, required = true, value_name = "IMAGES", num_args = 1..)]
    target: Vec<PathBuf>,

    /// How many of the target's pictures may be learnt from with their label: all, none or a number
    #[arg(long, value_name = "N", default_value = "all", conflicts_with = "study")]
    labelled: Labelled,

    /// Which emotion each expression stands for: a TOML file with a table [labels], as
    /// configs/expressions-to-emotions.toml [default: the one of the same name]
    #[arg(long, value_name = "FILE.toml")]
    label_map: Option<PathBuf>,

    /// How it is adapted; configs/adapt.toml explains every key and is what holds without this
    /// option
    #[arg(long, value_name = "FILE.toml")]
    recipe: Option<PathBuf>,

    /// Compare ways and numbers of labelled pictures, each network in a folder of its own below
    /// --out
    #[arg(long)]
    study: bool,

    #[command(flatten)]
    training: TrainingArgs,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { initial, source, target, labelled, label_map, recipe, study, training } = args;
    let recipe = recipe.as_deref().map_or_else(|| Ok(AdaptRecipe::default()), AdaptRecipe::load)?;
    let domains = TwoDomains::new(
        domain("--source", &source, &recipe.source)?,
        domain("--target", &target, &recipe.target)?,
        label_map.as_deref(),
    )?;
    training.begin(&recipe)?;
    say_data("source: ", &domains.source);
    say_data("target: ", &domains.target);
    let device = training.open()?;
    let stop =
        stop_on_interrupt("stopping after this step; --resume goes on from the last whole epoch")?;
    let mut teller = Teller::default();
    let (threads, folder) = (training.threads, training.out.as_path());
    let initial = initial.as_path();
    let adaptation =
        Adaptation { recipe: &recipe, domains: &domains, initial, device, threads, folder, stop };
    if study {
        let rows = AdaptStudy { adaptation: &adaptation }.run(&mut |told| teller.tell(told))?;
        teller.finish();
        let Some(rows) = rows else { return Ok(stopped()) };
        print(study_table(&rows).as_bytes())?;
        say!("{}", folder.join("adaptation.png").display());
        return unread(folder);
    }
    let (kind, seed) = (recipe.discrepancy.kind, recipe.training.seed);
    let plan = AdaptPlan { name: String::new(), labelled: Some(labelled), kind, seed };
    let result = adaptation.run(&plan, &mut |told| teller.tell(told))?;
    teller.finish();
    let Some(result) = result else { return Ok(stopped()) };
    print(distances(&result).as_bytes())?;
    ended(folder, &result.training)
}

fn domain(option: &str, roots: &[PathBuf], config: &DomainConfig) -> anyhow::Result<Divided> {
    let DomainConfig { data, split, drawn } = config;
    divided(roots, (data, split, drawn)).map_err(|error| anyhow::anyhow!("{option}: {error}"))
}

/// How far the domains lie apart before and after, a line a layer.
fn distances(result: &AdaptResult) -> String {
    let mut text = String::new();
    for (before, after) in result.before.iter().zip(&result.after) {
        let (first, last) = (before.domain_accuracy, after.domain_accuracy);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<8} MMD {:.4} before, {:.4} after; faces told from pictures in {:.3} [{:.3}, {:.3}] \
             before, {:.3} [{:.3}, {:.3}] after",
            before.layer,
            before.mmd,
            after.mmd,
            first.share,
            first.interval.0,
            first.interval.1,
            last.share,
            last.interval.0,
            last.interval.1
        );
        if after.mmd < before.mmd && last.interval.0 > 0.5 {
            let _ = writeln!(
                text,
                "{:<8} the domains lie nearer to each other, but are still told apart",
                ""
            );
        }
    }
    text
}

fn study_table(rows: &[AdaptStudyRow]) -> String {
    let mut text = String::new();
    for row in rows {
        let ValueWithInterval { value: mean, lower, upper } = row.mean;
        let gain = row.gain.filter(|_| row.way != "none");
        let gain = gain.map_or(String::new(), |gain| {
            format!(
                "  against labels alone {:+.3} [{:+.3}, {:+.3}]",
                gain.value, gain.lower, gain.upper
            )
        });
        let domains = row
            .domain_accuracy
            .map_or(String::new(), |share| format!("  domains told apart {share:.3}"));
        let _ = writeln!(
            text,
            "{:<10} {:>5} labelled  {mean:.3} [{lower:.3}, {upper:.3}]{domains}{gain}",
            row.way, row.labelled
        );
    }
    text
}
