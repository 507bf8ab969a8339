//! `emocam compare`: what differs between two looks at pictures.

use super::labels::{LabelArgs, of_run};
use super::output::Overwrite;
use super::session::{print, say_warning};
use super::values::{by_name, whole};
use emocam::associate::{Columns, matrices};
use emocam::compare::{ComparedLook, ComparisonSettings, PublishedMatrix, RunComparison};
use emocam::config::AssociationConfig;
use emocam::run::Run;
use emocam::score::ScoreRule;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Say what differs between two runs, methods, thresholds or label sources; no networks
///
/// Of runs over the same images each image is compared with itself: how often the label is the
/// same, whether boxes are, how far scores and maps (--save-maps of both runs) agree by rank, and
/// which cells of the object-emotion matrix differ, with intervals by resampling the images and
/// q-values of a test that exchanges the two runs. Runs over different images are compared as two
/// samples. Classes and labels are compared that both have by name.
///
/// An option with two values, as `--importance 0.3,0.5`, has one for each side; with one value it
/// is for both. RUN_B may be a table of published shares, as configs/emocam-fig2.csv (the EmoCAM
/// paper's Fig. 2 as far as it is legible).
///
/// Writes differences.csv, differences.png and .svg, comparison.json, and of runs over the same
/// images images.csv (the most changed first) and confusion.csv with its picture (labels of RUN_A
/// in rows).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A run directory of `emocam analyze`
    run_a: PathBuf,

    /// Another, the same once more, or a table of shares
    #[arg(value_name = "RUN_B|MATRIX.csv")]
    run_b: PathBuf,

    /// Write here
    #[arg(long, value_name = "DIR", default_value = "compared")]
    out: PathBuf,

    /// The method, as grad-cam [default: the first of the run]
    #[arg(long, value_name = "METHOD[,METHOD]", value_delimiter = ',')]
    cam: Vec<String>,

    /// A box counts when its score is over this [default: that of each run, or of another --score
    /// its own]
    #[arg(long, value_name = "SCORE[,SCORE]", value_delimiter = ',')]
    importance: Vec<f32>,

    /// Also require a confidence over this [default: that of each run]
    #[arg(long, value_name = "P[,P]", value_delimiter = ',')]
    min_confidence: Vec<f32>,

    /// A box's score: mean, max, mass, contrast, z, lift or chance [default: that of each run]
    #[arg(long, value_name = "RULE[,RULE]", value_delimiter = ',', value_parser = by_name::<ScoreRule>)]
    score: Vec<ScoreRule>,

    /// Whose labels the columns are: answers (the network's) or people (of --labels)
    #[arg(long, value_name = "answers|people", value_delimiter = ',', default_value = "answers")]
    columns: Vec<ColumnChoice>,

    #[command(flatten)]
    labels: LabelArgs,

    /// Compare classes that are important in at least N images of both together; columns of labels
    /// with fewer images in one of them are faded, and do not order the rows
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole::<u64>(0, u64::MAX))]
    min_images: u64,

    /// Rows of the heatmap
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = whole::<usize>(1, u64::MAX))]
    top: usize,

    /// Resamples of the images for the intervals, 100 to 100000; fewer than ten images have none
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = whole::<u32>(100, 100_000))]
    resamples: u32,

    /// Seed of everything that is drawn
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u64>(0, u64::MAX))]
    seed: u64,

    #[command(flatten)]
    overwrite: Overwrite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ColumnChoice {
    Answers,
    People,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let first = Run::open(&args.run_a)?;
    say_warning(first.manifest.warning.as_ref());
    let _claimed = args.overwrite.figures(&args.out)?;
    if args.run_b.is_file() {
        return beside_published(args, &first);
    }
    let second = Run::open(&args.run_b)?;
    if second.manifest.warning != first.manifest.warning {
        say_warning(second.manifest.warning.as_ref());
    }
    let looks = [look(args, &first, 0)?, look(args, &second, 1)?];
    let [mut a, mut b] = looks;
    if a.name == b.name {
        (a.name, b.name) = (format!("{} (A)", a.name), format!("{} (B)", b.name));
    }
    let settings = ComparisonSettings {
        resamples: args.resamples as usize,
        seed: args.seed,
        min_images: args.min_images,
        top: args.top,
    };
    let comparison = RunComparison::of(&[a, b], settings)?;
    comparison.write(&args.out)?;
    print(summary(&comparison).as_bytes())?;
    if let Some(why) = comparison.missing_picture() {
        say!("{why}");
    }
    say!("{}", args.out.join("differences.csv").display());
    Ok(ExitCode::SUCCESS)
}

/// A side's value of an option that may have one for each side.
fn of_side<'a, T>(values: &'a [T], side: usize, flag: &str) -> anyhow::Result<Option<&'a T>> {
    anyhow::ensure!(
        values.len() <= 2,
        "{flag} has {} values: one for both sides, or two",
        values.len()
    );
    Ok(values.get(side).or(values.first()))
}

/// The rule of a side, and the place of its method.
fn rule(args: &Args, run: &Run, side: usize) -> anyhow::Result<(AssociationConfig, usize)> {
    let mut config = run.manifest.configuration.clone();
    let rule = &mut config.association;
    if let Some(&score) = of_side(&args.score, side, "--score")? {
        rule.choose(score);
    }
    if let Some(&importance) = of_side(&args.importance, side, "--importance")? {
        rule.importance = importance;
    }
    if let Some(&confidence) = of_side(&args.min_confidence, side, "--min-confidence")? {
        rule.min_confidence = confidence;
    }
    config.check()?;
    let methods = run.manifest.configuration.cam.names();
    let method = match of_side(&args.cam, side, "--cam")? {
        None => 0,
        Some(name) => methods.iter().position(|known| known == name).ok_or_else(|| {
            anyhow::anyhow!(
                "{}: has no method {name}, but {}",
                run.folder().display(),
                methods.join(", ")
            )
        })?,
    };
    Ok((config.association, method))
}

/// One of the two looks.
fn look<'a>(args: &Args, run: &'a Run, side: usize) -> anyhow::Result<ComparedLook<'a>> {
    let (rule, method) = rule(args, run, side)?;
    let columns = match of_side(&args.columns, side, "--columns")? {
        Some(ColumnChoice::People) => {
            let given = args.labels.given(&of_run(run)?)?;
            let given = given.ok_or_else(|| {
                anyhow::anyhow!("--columns people: name the file of their labels as --labels")
            })?;
            Columns::People(Arc::new(args.labels.beside(&given, &run.manifest.labels)?))
        }
        _ => Columns::Answers,
    };
    let mut name = name_of(run.folder());
    let others = [&args.run_a, &args.run_b];
    if others[0] == others[1] || args.cam.len() > 1 {
        name.push_str(&format!(", {}", run.manifest.configuration.cam.names()[method]));
    }
    if args.importance.len() > 1 {
        name.push_str(&format!(", over {}", rule.importance));
    }
    if args.columns.len() > 1 && matches!(columns, Columns::People(_)) {
        name.push_str(", people");
    }
    Ok(ComparedLook { name, run, method, rule, columns })
}

fn name_of(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    absolute.file_name().map_or("run".into(), |name| name.to_string_lossy().into_owned())
}

fn summary(comparison: &RunComparison) -> String {
    const SHOWN: usize = 10;
    let [first, second] = &comparison.names;
    let mut text = format!("A: {first}\nB: {second}\n{}\n", comparison.pairing_described());
    for (name, value) in comparison.agreement() {
        if let Some(found) = value {
            let interval = found
                .interval
                .map_or_else(String::new, |(low, high)| format!(" [{low:.3}, {high:.3}]"));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<28} {:.3}{interval}", found.value);
        }
    }
    let found = comparison.table.significant();
    let _ = writeln!(
        text,
        "{} of {} cells differ (q < 0.05)",
        found.len(),
        comparison.table.cells().len()
    );
    for cell in found.into_iter().take(SHOWN) {
        let [a, b] = cell.shares().map(|share| share.unwrap_or_default());
        let (class, label) =
            (&comparison.classes.names[cell.class], &comparison.labels.names[cell.label]);
        let _ = writeln!(text, "  {class}, {label}: {a:.2} in A, {b:.2} in B");
    }
    text
}

fn beside_published(args: &Args, run: &Run) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.columns == [ColumnChoice::Answers],
        "--columns: a published matrix is compared with the network's answers"
    );
    let published = PublishedMatrix::read(&args.run_b)?;
    let (rule, method) = rule(args, run, 0)?;
    let matrices = matrices(run, &rule, Columns::Answers)?;
    let (_, counts) = &matrices.methods()[method];
    let found = published.compare(counts, matrices.classes(), matrices.labels())?;
    let other = args
        .run_b
        .file_stem()
        .map_or("published".into(), |name| name.to_string_lossy().into_owned());
    found.write(&args.out, [&name_of(run.folder()), &other])?;
    let mut text = format!("{} cells in common\n", found.cells.len());
    if let Some(rho) = found.spearman {
        let p_value = found
            .p_value()
            .map_or(String::new(), |p| format!(" (p = {p:.2e} if cells were independent)"));
        let _ = writeln!(text, "rank correlation of the shares {rho:.3}{p_value}");
    }
    let _ =
        writeln!(text, "{} published shares lie outside the interval of the run's", found.outside);
    print(text.as_bytes())?;
    say!("{}", args.out.join("differences.csv").display());
    Ok(ExitCode::SUCCESS)
}
