//! `emocam associate`: a second look at a run, without networks.

use super::association::Association;
use super::labels::{LabelArgs, of_run, read_column};
use super::output::Overwrite;
use super::progress::Progress;
use super::session::{print, say_warning};
use super::values::whole;
use anyhow::Context;
use emocam::annotations::{GivenLabels, PeopleLabels};
use emocam::associate::{
    BesidePeople, ChanceLevels, Columns, Curves, Matrices, PEOPLE_FOLDER, StrataReport, matrices,
    quantile_bins,
};
use emocam::config::AssociationConfig;
use emocam::filters::FilterSums;
use emocam::load::{class_index, label_index};
use emocam::names::counted;
use emocam::run::Run;
use emocam::stats::Share;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Recompute the matrix, its statistics and pictures from a run's records, with other thresholds or
/// scores; no networks
///
/// Writes <METHOD>/association.csv, counts.csv, mean_scores.csv (mean of each class's greatest
/// score, without a threshold), statistics.csv (share, base rate, odds ratio, p, q, what the
/// detector alone makes of it, and what the map adds, for every cell), heatmap.png and forest.png
/// (the surest cells) with their SVGs, and prints the most prominent classes. By object-shap also
/// effects.csv, and effects_matrix.csv and most_important_matrix.csv with their pictures. Works on
/// unfinished runs too. What a run knows of filters (filters.csv) depends on no threshold: it is
/// written as it was; filters.png is drawn by `emocam analyze --filters` and `emocam merge`, which
/// see the photos.
///
/// With --labels also people/: all of this with people's labels as columns; confusion.csv with its
/// picture, labels.csv and accuracy.json (with Cohen's kappa); <METHOD>/right_or_wrong.csv and .png
/// (what is important when the network is wrong); unjoined.csv (images without a label, labels
/// without an image). With --by also by-<COLUMN>/<METHOD>/strata.csv and mantel_haenszel.csv (odds
/// ratios within groups of images, and whether they are the same in all).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A run directory of `emocam analyze`
    run: PathBuf,

    /// Write here instead of into the run, whose run.json otherwise notes the settings (`matrices`)
    #[arg(long, value_name = "DIR", group = "place")]
    out: Option<PathBuf>,

    /// Of a network with a single output: columns are N bins (2 to 1000) with about as many images
    /// each, in place of those of its card
    #[arg(long, value_name = "N", value_parser = whole::<u16>(2, 1000), requires = "place")]
    bins: Option<u16>,

    /// Say what the cell of CLASS and LABEL means, by every method, in sentences made of its
    /// numbers; nothing is written. Options that are not given are those that the tables in the run
    /// were made with
    #[arg(long, num_args = 2, value_names = ["CLASS", "LABEL"], group = "place")]
    explain_cell: Option<Vec<String>>,

    /// Also write <METHOD>/curves.csv and curves.png with its SVG: how the cell of CLASS and LABEL
    /// changes with the score over which a box counts, from 0.1 to 0.9 (contrast 0.05 to 0.45, z
    /// and lift 0.5 to 4.5, chance 0.15 to 0.95), beside what chance would give; may be given
    /// several times
    #[arg(long, num_args = 2, value_names = ["CLASS", "LABEL"], action = clap::ArgAction::Append,
        conflicts_with_all = ["explain_cell", "bins"])]
    curve: Vec<String>,

    /// Also write <METHOD>/chance.csv: in how many images each class would be important if its
    /// boxes lay on the maps of other images, drawn at random N times (1 to 10000). From the maps
    /// that the run kept (analyze --save-maps)
    #[arg(long, value_name = "N", conflicts_with_all = ["explain_cell", "bins"],
        value_parser = whole::<u16>(1, 10_000))]
    chance: Option<u16>,

    /// Group the images by a column of --by-file, and ask whether classes and labels go together
    /// within the groups too: who is seen, the source, the year
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["explain_cell", "bins"],
        help_heading = "Labels that people gave")]
    by: Option<String>,

    /// A table with a column for the images' paths and the one of --by [default: --labels]
    #[arg(long, value_name = "FILE", requires = "by", help_heading = "Labels that people gave")]
    by_file: Option<PathBuf>,

    #[command(flatten)]
    overwrite: Overwrite,

    #[command(flatten)]
    labels: LabelArgs,

    #[command(flatten)]
    association: Association,
}

/// What is said of the run's images beside its records.
#[derive(Default)]
struct Said {
    people: Option<(GivenLabels, Arc<PeopleLabels>)>,
    groups: Option<GivenLabels>,
}

impl Said {
    fn read(run: &Run, args: &Args) -> anyhow::Result<Self> {
        if args.labels.labels.is_none() && args.by.is_none() {
            return Ok(Self::default());
        }
        let pictures = of_run(run)?;
        let beside = |given: GivenLabels| {
            let truth = args.labels.beside(&given, &run.manifest.labels)?;
            Ok::<_, anyhow::Error>((given, Arc::new(truth)))
        };
        let people = args.labels.given(&pictures)?.map(beside).transpose()?;
        let groups = |column: &String| {
            let file = args.by_file.as_ref().or(args.labels.labels.as_ref());
            let file = file.filter(|file| file.as_os_str() != "folder");
            let file = file.with_context(|| {
                format!("--by {column}: name the table with this column as --by-file")
            })?;
            read_column(file, args.labels.path_column.as_ref(), Some(column), &pictures)
        };
        Ok(Self { people, groups: args.by.as_ref().map(groups).transpose()? })
    }

    /// What the columns of a cell that is asked for are.
    fn columns(&self) -> Columns {
        self.people.as_ref().map_or(Columns::Answers, |(_, truth)| Columns::People(truth.clone()))
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut run = Run::open(&args.run)?;
    let mut config = run.manifest.configuration.clone();
    if args.explain_cell.is_some() {
        // A question is about the tables that lie in the run; tables are made anew from its own
        // configuration.
        config.association = run.manifest.association_of_tables().clone();
    }
    args.association.clone().apply(&mut config.association);
    config.check()?;
    say_warning(run.manifest.warning.as_ref());
    let said = Said::read(&run, args)?;
    if let Some([class, label]) = args.explain_cell.as_deref() {
        let matrices = matrices(&run, &config.association, said.columns())?;
        let (class, label) = place(class, label, &matrices)?;
        print(matrices.explain_cell(class, label).as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = args.out.clone().unwrap_or_else(|| run.folder().to_path_buf());
    let folder = folder.as_path();
    let _claimed = args.overwrite.figures(folder)?;
    let bins = args.bins.map(|count| quantile_bins(&run, count.into())).transpose()?;
    let columns = bins.map_or(Columns::Answers, Columns::Bins);
    let matrices = matrices(&run, &config.association, columns)?;
    let pairs = args.curve.chunks_exact(2);
    let places =
        pairs.map(|names| place(&names[0], &names[1], &matrices)).collect::<Result<Vec<_>, _>>()?;
    let mut pictures = matrices.write(folder)?;
    if !places.is_empty() {
        pictures.extend(Curves::read(&run, &config.association, places)?.write(folder)?);
    }
    if run.manifest.configuration.cam.filters && args.bins.is_none() {
        FilterSums::open(&run)?.write_tables(folder)?;
    }
    if let Some(draws) = args.chance {
        let images = run.manifest.outcome.as_ref().map_or(0, |outcome| outcome.done);
        let mut progress = Progress::new(images as u64, "images");
        let told = &mut |done: usize| progress.at(done as u64, String::new());
        let levels =
            ChanceLevels::read(&run, &config.association, &Columns::Answers, draws.into(), told)?;
        progress.finish();
        pictures.extend(levels.write(folder)?);
    }
    let beside = said.write(&run, &config.association, args.by.as_ref(), folder, &mut pictures)?;
    if args.out.is_none() {
        let changed = config.association != run.manifest.configuration.association;
        run.manifest.matrices = changed.then_some(config.association);
        run.save()?;
    }
    print_summary(&matrices)?;
    if let Some(beside) = beside {
        print(people_summary(&beside, &run).as_bytes())?;
    }
    say_missing(&matrices);
    for picture in pictures {
        say!("{}", picture.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Row and column of a cell that is asked for by its names.
fn place(class: &str, label: &str, matrices: &Matrices) -> anyhow::Result<(usize, usize)> {
    let classes = matrices.classes();
    let listed = |error| anyhow::anyhow!("{error} (association.csv lists all)");
    Ok((class_index(class, classes).map_err(listed)?, label_index(label, matrices.labels())?))
}

impl Said {
    /// Writes what people's labels and groups of images add.
    fn write(
        &self,
        run: &Run,
        rule: &AssociationConfig,
        by: Option<&String>,
        folder: &Path,
        pictures: &mut Vec<PathBuf>,
    ) -> anyhow::Result<Option<BesidePeople>> {
        let people = folder.join(PEOPLE_FOLDER);
        let mut looks = vec![(folder.to_path_buf(), Columns::Answers)];
        let mut beside = None;
        if let Some((given, truth)) = &self.people {
            let found = BesidePeople::read(run, rule, truth)?;
            pictures.extend(found.write(&people)?);
            given.write_unjoined(&people.join("unjoined.csv"))?;
            looks.push((people, Columns::People(truth.clone())));
            beside = Some(found);
        }
        if let Some((given, column)) = self.groups.as_ref().zip(by) {
            let name: String = column
                .chars()
                .map(|letter| if letter.is_alphanumeric() { letter } else { '-' })
                .collect();
            for (folder, columns) in looks {
                let report = StrataReport::read(run, rule, &columns, column, given)?;
                pictures.extend(report.write(&folder.join(format!("by-{name}")))?);
                if matches!(columns, Columns::Answers) {
                    let groups: Vec<String> = report
                        .groups()
                        .iter()
                        .take(8)
                        .map(|(name, images)| format!("{name} ({images})"))
                        .collect();
                    say!(
                        "by {column}: {} groups, as {}; {} in none",
                        report.groups().len(),
                        groups.join(", "),
                        counted(report.left_out, "image")
                    );
                }
            }
        }
        Ok(beside)
    }
}

/// How far the network agrees with people, and what is important where it does not.
fn people_summary(beside: &BesidePeople, run: &Run) -> String {
    const SHOWN: usize = 5;
    let mut text = String::new();
    if let Some(Share { share, interval: (lower, upper), hits, cases }) =
        beside.confusion.accuracy()
    {
        text.push_str(&format!(
            "accuracy {share:.3} [{lower:.3}, {upper:.3}], {hits} of {cases} images"
        ));
    }
    if let Some(kappa) = beside.kappa() {
        text.push_str(&format!(
            "; kappa {:.3} [{:.3}, {:.3}]",
            kappa.value, kappa.lower, kappa.upper
        ));
    }
    text.push_str(&format!(
        "\n{} images have no label, {} an answer without a word for it\n",
        beside.unlabelled, beside.incomparable
    ));
    for (method, table) in beside.right_or_wrong() {
        let found = table.significant();
        text.push_str(&format!(
            "{method}: {} of {} cells differ between wrong and right answers (q < 0.05)\n",
            found.len(),
            table.cells().len()
        ));
        for cell in found.into_iter().take(SHOWN) {
            let [right, wrong] = cell.shares().map(|share| share.unwrap_or_default());
            let (class, label) = (&beside.classes()[cell.class], &run.manifest.labels[cell.label]);
            text.push_str(&format!(
                "  {class}, answer {label}: important in {wrong:.2} of the wrong, {right:.2} of \
                 the right\n"
            ));
        }
    }
    text
}

/// Says what the matrices cannot show, and why.
pub(super) fn say_missing(matrices: &Matrices) {
    for sentence in matrices.only_label().into_iter().chain(matrices.missing_pictures()) {
        say!("{sentence}");
    }
}

/// The classes of each method with the highest mean share, as a table on stdout.
pub(super) fn print_summary(matrices: &Matrices) -> anyhow::Result<()> {
    print(&summary(matrices)?)
}

fn summary(matrices: &Matrices) -> std::io::Result<Vec<u8>> {
    const SHOWN: usize = 10;
    // Every label that occurs counts alike, however many images it has: not the mean of the images.
    const MEAN: &str = "mean of labels";
    const MEAN_WIDTH: usize = MEAN.len();
    let mut out = Vec::new();
    for (method, counts) in matrices.methods() {
        let association = counts.association();
        let images: u64 = counts.images.iter().sum();
        writeln!(
            out,
            "{method}: {}, share in which a class is important",
            counted(images, "image")
        )?;
        writeln!(out, "{:<28} {:>MEAN_WIDTH$}  highest for", "class", MEAN)?;
        for class in matrices.prominent(counts, SHOWN) {
            let shares = association.row(class);
            let present: Vec<f64> = shares.iter().copied().flatten().collect();
            let mean = present.iter().sum::<f64>() / present.len().max(1) as f64;
            let mut best: Option<(usize, f64)> = None;
            for (label, share) in shares.iter().enumerate() {
                if let Some(share) =
                    share.filter(|&share| best.is_none_or(|(_, highest)| share > highest))
                {
                    best = Some((label, share));
                }
            }
            let (label, share) = best.expect("a prominent class occurs with some label");
            let label_images = counts.images[label];
            let name = &matrices.labels()[label];
            writeln!(
                out,
                "{:<28} {mean:>MEAN_WIDTH$.3}  {name} ({share:.2} of {label_images})",
                matrices.classes()[class]
            )?;
        }
    }
    Ok(out)
}
