//! `emocam merge`: one run from its shards.

use super::analyze::say_flags;
use super::associate::{print_summary, say_missing};
use super::filters::draw_again;
use super::progress::Progress;
use super::session::{print, say_failures, say_warning};
use super::{paste, remove};
use emocam::merge::{MapsMoved, MergeRecord, Merged, Results, RunKind, Shards};
use emocam::paste::{PasteRecord, PasteSettings};
use emocam::removal::RemovalRecord;
use emocam::run::record::ImageRecord;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make one run of the runs that `analyze`, `paste` or `remove` made with --shard; no networks
///
/// The result is what the same command over the whole corpus would have left, byte for byte;
/// run.json adds up the times and names the shards. Refused, naming everything that is wrong, when
/// shards are missing, unfinished, damaged or there twice, or differ in command, version, settings,
/// models, corpus or kind of device. Maps (--save-maps) are hard links to the shards' where the
/// file system allows it, else copies.
///
/// All is written beside RUN and renamed at the end: whatever happens, there is a whole run or
/// none. 1,000,000 images take less than a minute; memory does not depend on their number (but for
/// shards of remove). Of shards with --filters the figures come last: the corpus is listed once
/// more, and where its photos are as they were <METHOD>/filters.png and .svg are drawn.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run directories of all shards, or a folder in which they lie
    #[arg(required = true, value_name = "SHARD")]
    shards: Vec<PathBuf>,

    /// The run directory to make
    #[arg(long, value_name = "RUN")]
    out: PathBuf,

    /// Merge what is there, when shards are missing or unfinished. The result is an unfinished run:
    /// it has no failures.csv, and the command of the shards with --resume --out RUN and without
    /// --shard completes it
    #[arg(long)]
    partial: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { shards, out, partial } = args;
    let shards = Shards::open(&shards, partial)?;
    for note in &shards.notes {
        say!("warning: {note}");
    }
    for missing in &shards.missing {
        say!("{missing}");
    }
    let merged = match shards.kind {
        RunKind::Analyze => merge::<ImageRecord>(&shards, &out)?,
        RunKind::Paste => merge::<PasteRecord>(&shards, &out)?,
        RunKind::Remove => merge::<RemovalRecord>(&shards, &out)?,
    };
    let manifest = &merged.run.manifest;
    say_warning(manifest.warning.as_ref());
    say_maps(merged.maps);
    print_results(&merged)?;
    if shards.kind == RunKind::Analyze && manifest.configuration.cam.filters {
        draw_again(&merged.run)?;
    }
    if !shards.missing.is_empty() {
        let command = manifest.command();
        say!(
            "the run is not finished: `{command} --resume --out {}` without --shard completes it",
            out.display()
        );
        return Ok(ExitCode::SUCCESS);
    }
    if shards.kind == RunKind::Analyze {
        say_flags(&merged.run);
    }
    say_failures(&merged.failures, &merged.run.path("failures.csv"));
    Ok(if merged.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Checks the records of the shards and then writes the run.
fn merge<R: MergeRecord>(shards: &Shards, out: &Path) -> anyhow::Result<Merged> {
    let images = shards.images() as u64;
    let mut progress = Progress::new(images, "images checked");
    let checked = shards.check::<R>(&mut |done| progress.at(done, String::new()))?;
    progress.finish();
    let mut progress = Progress::new(images, "images merged");
    let merged = checked.write(out, &mut |done| progress.at(done, String::new()))?;
    progress.finish();
    Ok(merged)
}

/// What the command of the shards says at its end.
fn print_results(merged: &Merged) -> anyhow::Result<()> {
    let manifest = &merged.run.manifest;
    let say_pictures = || merged.pictures.iter().for_each(|picture| say!("{}", picture.display()));
    match &merged.results {
        Results::Matrices(matrices) => {
            print_summary(matrices)?;
            say_missing(matrices);
            say_pictures();
            if manifest.configuration.cam.filters {
                say!(
                    "filters.csv is that of all images; its figure is drawn by `emocam analyze` \
                     alone, which sees the photos"
                );
            }
        }
        Results::Tally(tally) => {
            let settings = PasteSettings::read(manifest).map_err(anyhow::Error::msg)?;
            paste::print_results(&settings, tally, &manifest.labels)?;
            say_pictures();
        }
        Results::Summary(text) => {
            print(text.as_bytes())?;
            remove::say_picture(merged.pictures.first().map(PathBuf::as_path));
        }
    }
    Ok(())
}

fn say_maps(maps: MapsMoved) {
    if maps.copied > 0 {
        say!(
            "{} maps were copied: this file system has no hard links from the shards' folders",
            maps.copied
        );
    }
    if maps.shards_without > 0 {
        say!(
            "{} shards were made without --save-maps: their maps are missing",
            maps.shards_without
        );
    }
}
