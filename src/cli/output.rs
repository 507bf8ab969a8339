//! Where a command writes, and the one rule by which files that are there are replaced.
//!
//! Files are replaced without a question in a folder that emocam made: one that it has marked, a
//! run, or a folder directly in a run. Any other folder that holds something is refused, and so is
//! a single file that is there, unless the user says `--overwrite`. Folders of runs have to be new
//! or empty whatever is said: `--resume` goes on with one.
//!
//! A folder is made and tried before anything is loaded or computed; where nothing was written into
//! it after all, it goes again.

use anyhow::Context;
use emocam::corpus::FIGURES;
use emocam::files::write_bytes;
use emocam::run::Run;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The mark of a folder that emocam made and whose pictures may be taken for photos, as those of
/// `emocam world`.
pub(super) const MADE_HERE: &str = ".emocam-made";

/// Whether what is there may be replaced.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Overwrite {
    /// Write where files lie that emocam did not make, and replace those of the same names
    #[arg(long)]
    pub overwrite: bool,
}

/// A folder that can be written into. When it is dropped, what was made of it and is still empty is
/// removed.
#[derive(Debug)]
#[must_use = "an empty folder is removed when this is dropped"]
pub(super) struct Claimed {
    /// Folders that were not there before, the innermost first.
    made: Vec<PathBuf>,
}

impl Overwrite {
    /// Makes `folder`, marked so that no walk takes the pictures in it for photos, or sees whether
    /// it may be written.
    ///
    /// # Errors
    /// It holds files that emocam did not make, or cannot be made or written.
    pub(super) fn figures(self, folder: &Path) -> anyhow::Result<Claimed> {
        self.marked(
            folder,
            FIGURES,
            "Made by emocam: the pictures in this folder are figures, not photos.\n",
        )
    }

    /// The same for pictures that other commands may take for photos.
    ///
    /// # Errors
    /// As [`Self::figures`].
    pub(super) fn photos(self, folder: &Path) -> anyhow::Result<Claimed> {
        self.marked(folder, MADE_HERE, "Made by emocam, which replaces files in this folder.\n")
    }

    fn marked(self, folder: &Path, mark: &str, text: &str) -> anyhow::Result<Claimed> {
        let claimed = Claimed::new(folder)?;
        match first_visible(folder)? {
            None => write_bytes(&folder.join(mark), text.as_bytes())?,
            Some(_) if self.overwrite || is_ours(folder) => {}
            Some(name) => anyhow::bail!(
                "{} holds files that emocam did not make, as {name}: name another folder with \
                 --out, or say --overwrite to write there all the same and replace files of the \
                 same names",
                folder.display()
            ),
        }
        Ok(claimed)
    }

    /// Sees whether the single file `file` may be written, and makes its folder where there is
    /// none.
    ///
    /// # Errors
    /// It is there, and not in a folder that emocam made; the folder cannot be made or written.
    pub(super) fn file(self, file: &Path) -> anyhow::Result<Claimed> {
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        anyhow::ensure!(!file.is_dir(), "{} is a folder: name a file with --out", file.display());
        anyhow::ensure!(
            self.overwrite || !file.exists() || is_ours(folder),
            "{} is there already: name another file with --out, or say --overwrite to replace it",
            file.display()
        );
        Claimed::new(folder)
    }
}

/// Makes the folder of a run, or sees whether it can be begun there, with `resume` or continued.
///
/// # Errors
/// It holds a run, without `resume`, or anything else; it cannot be made or written.
pub(super) fn run_folder(folder: &Path, resume: bool) -> anyhow::Result<Claimed> {
    let claimed = Claimed::new(folder)?;
    if !resume || !folder.join("run.json").exists() {
        Run::check_free(folder)?;
    }
    Ok(claimed)
}

/// Makes the folder of a training, marked as one of figures; whether what it holds is in the way
/// the training knows.
///
/// # Errors
/// It cannot be made or written.
pub(super) fn training_folder(folder: &Path) -> anyhow::Result<Claimed> {
    Overwrite { overwrite: true }.figures(folder)
}

/// Makes `folder`; one that holds something already is refused.
///
/// # Errors
/// It is not empty, or cannot be made or written.
pub(super) fn empty_folder(folder: &Path) -> anyhow::Result<Claimed> {
    let claimed = Claimed::new(folder)?;
    let entry = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .next();
    anyhow::ensure!(
        entry.is_none(),
        "{} is not empty: name another folder with --out",
        folder.display()
    );
    Ok(claimed)
}

impl Claimed {
    /// Makes `folder` and those around it, and tries whether a file can be made in it.
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let missing = folder.ancestors().filter(|above| !above.as_os_str().is_empty());
        let made = missing.take_while(|above| !above.exists()).map(Path::to_path_buf).collect();
        let claimed = Self { made };
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let trial = folder.join(format!(".emocam-trial.{}.part", std::process::id()));
        std::fs::write(&trial, [])
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        match std::fs::remove_file(&trial) {
            // Another process that resumes a run there has cleared up.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", trial.display()))
            }
            _ => Ok(claimed),
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        for folder in &self.made {
            if matches!(first_visible(folder), Ok(None)) {
                for mark in [FIGURES, MADE_HERE] {
                    // It may not be there; and what cannot be removed is only untidy.
                    let _ = std::fs::remove_file(folder.join(mark));
                }
            }
            if std::fs::remove_dir(folder).is_err() {
                // Something was written.
                break;
            }
        }
    }
}

/// Whether emocam made `folder`.
fn is_ours(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    let marked = [FIGURES, MADE_HERE, "run.json", "records.jsonl"].into_iter().any(has);
    let absolute = std::path::absolute(folder).ok();
    let run = absolute.as_deref().and_then(Path::parent);
    marked
        || run.is_some_and(|run| {
            ["run.json", "records.jsonl"].iter().all(|name| run.join(name).is_file())
        })
}

/// The first name in `folder` that is not hidden, in byte order: no output of a command is.
fn first_visible(folder: &Path) -> anyhow::Result<Option<String>> {
    let context = || format!("cannot read {}", folder.display());
    let mut first: Option<String> = None;
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let name = entry.with_context(context)?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && first.as_ref().is_none_or(|first| name < *first) {
            first = Some(name);
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: Overwrite = Overwrite { overwrite: false };
    const YES: Overwrite = Overwrite { overwrite: true };

    #[test]
    fn a_folder_is_new_empty_ours_or_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        {
            let _claimed = NO.figures(&folder).unwrap();
            assert!(folder.join(FIGURES).is_file());
        }
        assert!(!place.path().join("a").exists(), "what stayed empty goes again");
        {
            let _claimed = NO.figures(&folder).unwrap();
            std::fs::write(folder.join("table.csv"), "ours").unwrap();
        }
        assert!(
            folder.join("table.csv").is_file()
                && NO.figures(&folder).is_ok()
                && NO.photos(&folder).is_ok()
        );
        std::fs::write(place.path().join("a/run.json"), "{}").unwrap();
        std::fs::write(place.path().join("a/records.jsonl"), "").unwrap();
        {
            let _claimed = NO.figures(&place.path().join("a/report")).unwrap();
            assert!(
                place.path().join("a/report").join(FIGURES).is_file(),
                "a new folder of a run is marked too"
            );
        }
        std::fs::create_dir(place.path().join("a/rsa")).unwrap();
        std::fs::write(place.path().join("a/rsa/rsa.json"), "unmarked, as of older versions")
            .unwrap();
        assert!(NO.figures(&place.path().join("a/rsa")).is_ok());

        let theirs = place.path().join("theirs");
        std::fs::create_dir(&theirs).unwrap();
        std::fs::write(theirs.join(".DS_Store"), "").unwrap();
        drop(NO.photos(&theirs).unwrap());
        assert!(theirs.join(MADE_HERE).is_file(), "a folder that was empty is ours from now on");
        std::fs::remove_file(theirs.join(MADE_HERE)).unwrap();
        std::fs::write(theirs.join("photo.jpg"), "theirs").unwrap();
        let message = NO.figures(&theirs).unwrap_err().to_string();
        assert!(
            message.contains("theirs")
                && message.contains("photo.jpg")
                && message.contains("--overwrite")
        );
        drop(YES.figures(&theirs).unwrap());
        assert!(!theirs.join(FIGURES).exists(), "what is not ours stays unmarked");
        assert!(
            NO.figures(&theirs).is_err()
                && empty_folder(&theirs).is_err()
                && run_folder(&theirs, true).is_err()
        );
        assert_eq!(std::fs::read_dir(&theirs).unwrap().count(), 2, "nothing is left of the trial");
    }

    #[test]
    fn a_file_that_is_there_is_replaced_in_our_folders_alone() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("weights.safetensors");
        drop(NO.file(&file).unwrap());
        std::fs::write(&file, "theirs").unwrap();
        let message = NO.file(&file).unwrap_err().to_string();
        assert!(
            message.contains("weights.safetensors is there already")
                && message.contains("--overwrite")
        );
        drop(YES.file(&file).unwrap());
        std::fs::write(place.path().join("run.json"), "{}").unwrap();
        drop(NO.file(&file).unwrap());
        assert!(YES.file(place.path()).unwrap_err().to_string().contains("is a folder"));
        let inside = file.join("below a file");
        assert!(NO.figures(&inside).is_err() && run_folder(&inside, false).is_err());
        drop(NO.file(&place.path().join("new/mine.csv")).unwrap());
        assert!(!place.path().join("new").exists());
    }
}
