//! `emocam rsa`: do the matrices of methods, models or corpora agree?

use super::association::Counting;
use super::output::Overwrite;
use super::progress::Progress;
use super::session::print;
use super::values::{by_name, whole};
use emocam::rsa::{Agreement, Input, Inputs, MatrixKind, ResamplingPlan, compare};
use emocam::run::Run;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compare association matrices by rank correlation: the methods of a run, or several runs or
/// matrices; no networks
///
/// Writes one square table for each measure (spearman.csv, rho_a.csv, kendall_tau_b.csv,
/// p_value.csv, p_value_kendall.csv, p_permutation.csv, spearman_lower.csv, spearman_upper.csv,
/// partial.csv), reliability.csv, rsa.json, heatmap.png and heatmap.svg. Empty cells are undefined,
/// as with a matrix of zeros, or need images where there is only a matrix; intervals need ten
/// images. Prints every pair and every matrix's reliability.
///
/// p_value takes the cells of a matrix for independent, which they are not: prefer p_permutation
/// (rows exchanged among classes detected about as often; one-sided) and the 95 % intervals over
/// images. `partial` is the correlation given which classes were detected at all.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run directories of `emocam analyze`, or tables: association.csv, counts.csv or the like. Of
    /// a single run the methods are compared, otherwise everything with everything; classes and
    /// labels must be the same
    #[arg(required = true, value_name = "RUN|MATRIX.csv")]
    inputs: Vec<PathBuf>,

    /// Write here [default: <RUN>/rsa for a single run, else rsa]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// What is compared. counts: in how many images of an emotion a class is important, every
    /// column (the paper's M_A); shares: in which share of them, without the labels that no image
    /// got
    #[arg(long, value_name = "counts|shares", value_parser = by_name::<MatrixKind>, default_value = "counts")]
    matrix: MatrixKind,

    /// Resamples of the images for the intervals, 100 to 100000; 0: none. 2000 of 25,000 images
    /// take seconds. Fewer than ten images have no intervals
    #[arg(long, value_name = "N", default_value_t = ResamplingPlan::default().resamples, 
        value_parser = whole::<usize>(0, 100_000))]
    resamples: usize,

    /// Permutations of the rows for p_permutation, 0 to 100000000; its smallest value is 1/(N+1);
    /// 0: none
    #[arg(long, value_name = "N", default_value_t = ResamplingPlan::default().permutations,
        value_parser = whole::<usize>(0, 100_000_000))]
    permutations: usize,

    /// Seed of everything that is drawn
    #[arg(long, value_name = "N", default_value_t = ResamplingPlan::default().seed,
        value_parser = whole::<u64>(0, u64::MAX))]
    seed: u64,

    #[command(flatten)]
    overwrite: Overwrite,

    #[command(flatten)]
    counting: Counting,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { inputs: paths, out, matrix, resamples, permutations, seed, overwrite, counting } =
        args;
    let single_run = paths.len() == 1 && paths[0].is_dir();
    let out =
        out.unwrap_or_else(|| if single_run { paths[0].join("rsa") } else { PathBuf::from("rsa") });
    let _claimed = overwrite.figures(&out)?;
    let inputs = paths.iter().map(|path| input(path, &counting)).collect::<anyhow::Result<_>>()?;
    let inputs = Inputs::read(inputs, matrix)?;

    let plan = ResamplingPlan { resamples, permutations, seed, ..ResamplingPlan::default() };
    let mut progress = Progress::new(resamples as u64, "resamples");
    let agreement = compare(&inputs, plan, |done| progress.at(done as u64, String::new()))?;
    progress.finish();
    for warning in &agreement.warnings {
        say!("warning: {warning}");
    }
    if let Some(why) = agreement.missing_intervals() {
        say!("{why}");
    }
    agreement.write(&inputs, &out)?;
    print(&summary(&agreement)?)?;
    say!("{}", out.join("heatmap.png").display());
    Ok(ExitCode::SUCCESS)
}

/// A folder is a run, with its own settings but for the flags that were given; anything else a
/// table.
fn input(path: &Path, counting: &Counting) -> anyhow::Result<Input> {
    if !path.is_dir() {
        return Ok(Input::Table(path.to_path_buf()));
    }
    let run = Run::open(path)?;
    let mut config = run.manifest.configuration.clone();
    counting.clone().apply(&mut config.association);
    config.check()?;
    Ok(Input::Run(Box::new(run), config.association))
}

fn summary(agreement: &Agreement) -> std::io::Result<Vec<u8>> {
    const WIDEST: usize = 28;
    let width = agreement
        .items
        .iter()
        .map(|item| item.name.chars().count())
        .max()
        .unwrap_or(0)
        .clamp(6, WIDEST);
    let short = |name: &str| match name.chars().count() {
        count if count > width => {
            format!("…{}", name.chars().skip(count + 1 - width).collect::<String>())
        }
        _ => name.to_string(),
    };
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.3}"));
    let p = |value: Option<f64>| match value {
        None => "-".into(),
        Some(0.0) => "<1e-300".to_string(),
        Some(value) if value < 1e-3 => format!("{value:.1e}"),
        Some(value) => format!("{value:.4}"),
    };
    let mut out = Vec::new();
    writeln!(out, "rank correlation over {} cells", agreement.cells)?;
    writeln!(
        out,
        "{:<width$} {:<width$} {:>6}  {:<15} {:>7} {:>8} {:>10}",
        "matrix", "with", "rho", "95 % interval", "partial", "naive p", "permuted p"
    )?;
    for a in 0..agreement.items.len() {
        for b in a + 1..agreement.items.len() {
            let pair = agreement.pair(a, b);
            let interval = pair
                .interval
                .map_or("-".into(), |bounds| format!("{:.3} to {:.3}", bounds.lower, bounds.upper));
            let [a, b] = [a, b].map(|item| short(&agreement.items[item].name));
            let (rho, partial) = (number(pair.spearman), number(pair.partial));
            let (naive, permuted) = (p(pair.p_value), p(pair.p_permutation));
            writeln!(
                out,
                "{a:<width$} {b:<width$} {rho:>6}  {interval:<15} {partial:>7} {naive:>8} \
                 {permuted:>10}"
            )?;
        }
    }
    if agreement.items.iter().any(|item| item.reliability.is_some()) {
        writeln!(
            out,
            "{:<width$} {:>7} {:>10} {:>14}  noise ceiling",
            "matrix", "images", "split-half", "Spearman-Brown"
        )?;
    }
    for item in &agreement.items {
        let (Some(of), Some(images)) = (item.reliability, item.images) else { continue };
        let (half, whole) = (number(Some(of.split_half)), number(of.spearman_brown));
        let (lower, upper) = (of.ceiling_lower, of.ceiling_upper);
        writeln!(
            out,
            "{:<width$} {images:>7} {half:>10} {whole:>14}  {lower:.3} to {upper:.3}",
            short(&item.name)
        )?;
    }
    Ok(out)
}
