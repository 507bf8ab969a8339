//! `emocam export`: a run for other tools.

use super::association::Counting;
use super::output::Overwrite;
use super::session::say_warning;
use emocam::export::{RECORD_SCHEMA, write_coco, write_long};
use emocam::files::write_bytes;
use emocam::run::Run;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a run in a format that other tools read; no networks
///
/// coco: a COCO data set (images, annotations, categories) whose objects carry importance_<METHOD>
/// and important_<METHOD>, as FiftyOne and pycocotools read it. long: one table with a row for each
/// image, object and method, for pandas and R. schema: the JSON schema of a line of records.jsonl,
/// for programs that read it.
///
/// Examples:
///   emocam export photos-emocam --format long
///   fiftyone.Dataset.from_dir(data_path="photos", labels_path="photos-emocam/coco.json",
///     dataset_type=fiftyone.types.COCODetectionDataset)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// A run directory of `emocam analyze`
    run: PathBuf,

    /// The format
    #[arg(long, value_name = "FORMAT")]
    format: Format,

    /// Write to this file [default: <RUN>/coco.json, long.csv or record.schema.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    overwrite: Overwrite,

    #[command(flatten)]
    counting: Counting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Coco,
    Long,
    Schema,
}

impl Format {
    fn file_name(self) -> &'static str {
        match self {
            Self::Coco => "coco.json",
            Self::Long => "long.csv",
            Self::Schema => "record.schema.json",
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { run, format, out, overwrite, counting } = args;
    let run = Run::open(&run)?;
    say_warning(run.manifest.warning.as_ref());
    let mut config = run.manifest.configuration.clone();
    counting.apply(&mut config.association);
    config.check()?;
    let file = out.unwrap_or_else(|| run.path(format.file_name()));
    let _claimed = overwrite.file(&file)?;
    match format {
        Format::Coco => write_coco(&run, &config.association, &file)?,
        Format::Long => write_long(&run, &config.association, &file)?,
        Format::Schema => write_bytes(&file, RECORD_SCHEMA.as_bytes())?,
    }
    say!("{}", file.display());
    Ok(ExitCode::SUCCESS)
}
