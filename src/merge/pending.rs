//! A folder that appears whole: it is filled under a hidden name beside the target, and renamed at
//! the very end.

use crate::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// The folder while it is being filled; removed, when it is dropped unfinished.
pub(super) struct Pending {
    folder: PathBuf,
    target: PathBuf,
    finished: bool,
    /// Keeps others from filling the same folder. Where the file system knows no locks, the user
    /// must see to it.
    _lock: File,
}

impl Pending {
    /// Begins a folder for `target`, whose parents are made if need be; what a killed process left
    /// of it is removed.
    ///
    /// # Errors
    /// `target` is there and not empty, or is being made by another process, or its parent cannot
    /// be written.
    pub(super) fn begin(target: &Path) -> Result<Self> {
        if target.join("run.json").exists() {
            return Err(Error::file(target, "holds a run already: name another folder with --out"));
        }
        let is_empty =
            |folder: &Path| fs::read_dir(folder).map(|mut entries| entries.next().is_none());
        if target.exists() && !is_empty(target).map_err(Error::io("read", target))? {
            return Err(Error::file(
                target,
                "is not empty and holds no run: name another folder with --out",
            ));
        }
        let absolute = std::path::absolute(target).map_err(Error::io("name", target))?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(Error::file(target, "cannot be made: name a folder with --out"));
        };
        let folder = parent.join(format!(".{}.merging", name.to_string_lossy()));
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let lock = File::open(&folder).map_err(Error::io("open", &folder))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(Error::file(
                target,
                "another emocam is merging into it: wait for that one",
            ));
        }
        clear(&folder)?;
        Ok(Self { folder, target: absolute, finished: false, _lock: lock })
    }

    /// Where to write.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// It cannot be renamed, as when the target has come into being meanwhile.
    pub(super) fn finish(mut self) -> Result<()> {
        fs::rename(&self.folder, &self.target)
            .map_err(Error::io("rename the finished run to", &self.target))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.finished {
            // The error that matters is the one that ended the merge; the next one to the same
            // target clears up.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn clear(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(Error::io("remove the unfinished", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_there_before_the_end_and_leftovers_go() {
        let place = tempfile::tempdir().unwrap();
        let (target, hidden) =
            (place.path().join("deep/run"), place.path().join("deep/.run.merging"));
        fs::create_dir_all(hidden.join("left")).unwrap();
        fs::write(hidden.join("left/over"), "x").unwrap();
        fs::write(hidden.join("over"), "x").unwrap();
        let pending = Pending::begin(&target).unwrap();
        assert_eq!(fs::read_dir(pending.folder()).unwrap().count(), 0);
        let error = Pending::begin(&target).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("another emocam is merging into it"), "{error}");
        fs::write(pending.folder().join("file"), "whole").unwrap();
        assert!(!target.exists());
        pending.finish().unwrap();
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "whole");
        assert!(!hidden.exists());
        let error = Pending::begin(&target).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
    }

    #[test]
    fn an_empty_target_is_taken_and_an_unfinished_folder_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("run");
        fs::create_dir(&target).unwrap();
        drop(Pending::begin(&target).unwrap());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        Pending::begin(&target).unwrap().finish().unwrap();
        // What came into being meanwhile is not replaced.
        let pending = Pending::begin(&target).unwrap();
        fs::write(target.join("file"), "mine").unwrap();
        assert!(pending.finish().is_err());
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "mine");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
