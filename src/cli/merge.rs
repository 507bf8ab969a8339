//! `emocam merge`: one run from its shards.

use super::analyze::say_flags;
use super::associate::print_summary;
use super::filters::draw_again;
use super::progress::Progress;
use super::session::{say_failures, say_warning};
use emocam::merge::{MapsMoved, Shards};
use std::path::PathBuf;
use std::process::ExitCode;

/// Make one run of the runs that `emocam analyze --shard` made; no networks
///
/// The result is what one `emocam analyze` over the whole corpus would have left, byte for byte; run.json adds up the
/// times and names the shards. Refused, naming everything that is wrong, when shards are missing, unfinished, damaged
/// or there twice, or differ in version, settings, models, corpus or kind of device. Maps (--save-maps) are hard links
/// to the shards' where the file system allows it, else copies.
///
/// All is written beside RUN and renamed at the end: whatever happens, there is a whole run or none. 1,000,000 images
/// take less than a minute; memory does not depend on their number. Of shards with --filters the figures come last:
/// the corpus is listed once more, and where its photos are as they were <METHOD>/filters.png and .svg are drawn.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run directories of all shards, or a folder in which they lie
    #[arg(required = true, value_name = "SHARD")]
    shards: Vec<PathBuf>,

    /// The run directory to make
    #[arg(long, value_name = "RUN")]
    out: PathBuf,

    /// Merge what is there, when shards are missing or unfinished. The result is an unfinished run: it has no
    /// failures.csv, and `emocam analyze --resume --out RUN` without --shard completes it
    #[arg(long)]
    partial: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { shards, out, partial } = args;
    let shards = Shards::open(&shards, partial)?;
    for note in &shards.notes {
        say!("warning: {note}");
    }
    for missing in &shards.missing {
        say!("{missing}");
    }
    let images = shards.images() as u64;
    let mut progress = Progress::new(images, "images checked");
    let checked = shards.check(&mut |done| progress.at(done, String::new()))?;
    progress.finish();
    let mut progress = Progress::new(images, "images merged");
    let merged = checked.write(&out, &mut |done| progress.at(done, String::new()))?;
    progress.finish();
    say_warning(merged.run.manifest.warning.as_ref());
    say_maps(merged.maps);
    print_summary(&merged.matrices)?;
    for picture in &merged.pictures {
        say!("{}", picture.display());
    }
    if merged.run.manifest.configuration.cam.filters {
        draw_again(&merged.run)?;
    }
    if !shards.missing.is_empty() {
        say!("the run is not finished: `emocam analyze --resume --out {}` without --shard completes it", out.display());
        return Ok(ExitCode::SUCCESS);
    }
    say_flags(&merged.run);
    say_failures(&merged.failures, &merged.run.path("failures.csv"));
    Ok(if merged.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn say_maps(maps: MapsMoved) {
    if maps.copied > 0 {
        say!("{} maps were copied: this file system has no hard links from the shards' folders", maps.copied);
    }
    if maps.shards_without > 0 {
        say!("{} shards were made without --save-maps: their maps are missing", maps.shards_without);
    }
}
