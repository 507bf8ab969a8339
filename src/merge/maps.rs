//! Maps that the shards kept (`--save-maps`): linked into the merged run where the file system can
//! do it, else copied.

use crate::files::write_whole;
use crate::run::Run;
use crate::{Error, Result};
use std::fs::{self, File};
use std::path::Path;
use walkdir::WalkDir;

/// How many maps came into the merged run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MapsMoved {
    /// Hard links: they take no room, and stay when the shards are deleted.
    pub linked: usize,
    /// Copies, where links are impossible, as between two disks.
    pub copied: usize,
    /// Shards that have pictures and no maps, when others have maps.
    pub shards_without: usize,
}

/// Brings the maps of all runs into the folder `target`, which is not made when there are none.
pub(super) fn gather(runs: &[Run], target: &Path) -> Result<MapsMoved> {
    let mut moved = MapsMoved::default();
    for run in runs {
        let folder = run.path("maps");
        if folder.is_dir() {
            gather_one(&folder, target, &mut moved)?;
        } else if run.manifest.shard.is_some_and(|shard| shard.images > 0) {
            moved.shards_without += 1;
        }
    }
    if moved.linked + moved.copied == 0 {
        moved.shards_without = 0;
    }
    Ok(moved)
}

fn gather_one(folder: &Path, target: &Path, moved: &mut MapsMoved) -> Result<()> {
    for entry in WalkDir::new(folder) {
        let entry =
            entry.map_err(|error| Error::file(folder, format!("cannot be read: {error}")))?;
        let relative = entry.path().strip_prefix(folder).expect("the walk stays below it");
        let destination = target.join(relative);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&destination).map_err(Error::io("create", &destination))?;
        } else if entry.path().extension().is_some_and(|extension| extension == "safetensors") {
            // Not a `.part` that a killed process left half written.
            if fs::hard_link(entry.path(), &destination).is_ok() {
                moved.linked += 1;
            } else {
                copy(entry.path(), &destination)?;
                moved.copied += 1;
            }
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut file = File::open(from).map_err(Error::io("read", from))?;
    write_whole(to, |writer| {
        std::io::copy(&mut file, writer).map(drop).map_err(Error::io("write", to))
    })
}
