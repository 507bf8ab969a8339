//! `emocam associate`: a second look at a run, without networks.

use super::session::{print, say_warning};
use super::settings::Association;
use emocam::associate::{matrices, quantile_bins, Curves, Matrices};
use emocam::filters::FilterSums;
use emocam::load::{class_index, label_index};
use emocam::run::Run;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Recompute the matrix, its statistics and pictures from a run's records, with other thresholds or scores; no networks
///
/// Writes <METHOD>/association.csv, counts.csv, statistics.csv (share, base rate, odds ratio, p, q, what the detector
/// alone makes of it, and what the map adds, for every cell), heatmap.png and forest.png (the surest cells) with their
/// SVGs, and prints the most prominent classes. By object-shap also effects.csv, and effects_matrix.csv and
/// most_important_matrix.csv with their pictures. Works on unfinished runs too. What a run knows of filters
/// (filters.csv) depends on no threshold: it is written as it was; filters.png is drawn by `emocam analyze --filters`
/// and `emocam merge`, which see the photos.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run directory of `emocam analyze`
    run: PathBuf,

    /// Write here instead of into the run, whose run.json otherwise notes the settings (`matrices`)
    #[arg(long, value_name = "DIR", group = "place")]
    out: Option<PathBuf>,

    /// Of a network with a single output: columns are N bins with about as many images each, in place of those of its
    /// card
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1000), requires = "place")]
    bins: Option<u16>,

    /// Say what the cell of CLASS and LABEL means, by every method, in sentences made of its numbers; nothing is
    /// written
    #[arg(long, num_args = 2, value_names = ["CLASS", "LABEL"], group = "place")]
    explain_cell: Option<Vec<String>>,

    /// Also write <METHOD>/curves.csv and curves.png with its SVG: how the cell of CLASS and LABEL changes with the
    /// score over which a box counts, from 0.1 to 0.9, beside what chance would give; may be given several times
    #[arg(long, num_args = 2, value_names = ["CLASS", "LABEL"], action = clap::ArgAction::Append,
        conflicts_with_all = ["explain_cell", "bins"])]
    curve: Vec<String>,

    #[command(flatten)]
    association: Association,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { run, out, bins, explain_cell, curve, association } = args;
    let mut run = Run::open(&run)?;
    let mut config = run.manifest.configuration.clone();
    association.apply(&mut config.association);
    config.check()?;
    say_warning(run.manifest.warning.as_ref());
    let columns_are_labels = bins.is_none();
    let bins = bins.map(|count| quantile_bins(&run, count.into())).transpose()?;
    let matrices = matrices(&run, &config.association, bins)?;
    let place = |class: &str, label: &str| {
        Ok::<_, emocam::Error>((class_index(class, matrices.classes())?, label_index(label, matrices.labels())?))
    };
    if let Some([class, label]) = explain_cell.as_deref() {
        let (class, label) = place(class, label)?;
        print(matrices.explain_cell(class, label).as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let places = curve.chunks_exact(2).map(|names| place(&names[0], &names[1])).collect::<Result<Vec<_>, _>>()?;
    let mut pictures = matrices.write(out.as_deref().unwrap_or(run.folder()))?;
    if !places.is_empty() {
        let curves = Curves::read(&run, &config.association, places)?;
        pictures.extend(curves.write(out.as_deref().unwrap_or(run.folder()))?);
    }
    if run.manifest.configuration.cam.filters && columns_are_labels {
        FilterSums::open(&run)?.write_tables(out.as_deref().unwrap_or(run.folder()))?;
    }
    if out.is_none() {
        let changed = config.association != run.manifest.configuration.association;
        run.manifest.matrices = changed.then_some(config.association);
        run.save()?;
    }
    print_summary(&matrices)?;
    for picture in pictures {
        say!("{}", picture.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The classes of each method with the highest mean share, as a table on stdout.
pub fn print_summary(matrices: &Matrices) -> anyhow::Result<()> {
    print(&summary(matrices)?)
}

fn summary(matrices: &Matrices) -> std::io::Result<Vec<u8>> {
    const SHOWN: usize = 10;
    let mut out = Vec::new();
    for (method, counts) in matrices.methods() {
        let association = counts.association();
        let images: u64 = counts.images.iter().sum();
        writeln!(out, "{method}: {images} images, share in which a class is important")?;
        writeln!(out, "{:<28} {:>6}  highest for", "class", "mean")?;
        for class in counts.prominent(SHOWN) {
            let shares = association.row(class);
            let present: Vec<f64> = shares.iter().copied().flatten().collect();
            let mean = present.iter().sum::<f64>() / present.len().max(1) as f64;
            let mut best: Option<(usize, f64)> = None;
            for (label, share) in shares.iter().enumerate() {
                if let Some(share) = share.filter(|&share| best.is_none_or(|(_, highest)| share > highest)) {
                    best = Some((label, share));
                }
            }
            let (label, share) = best.expect("a prominent class occurs with some label");
            let of = counts.images[label];
            let name = &matrices.labels()[label];
            writeln!(out, "{:<28} {mean:>6.3}  {name} ({share:.2} of {of})", matrices.classes()[class])?;
        }
    }
    Ok(out)
}
