//! Files that appear whole (written to a sibling temporary file, synced, renamed into place), and
//! their digests.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes the file `path` whole: `fill` writes to a sibling temporary file, which then takes the
/// name. After any error, or a kill at any moment, `path` is what it was before.
///
/// # Errors
/// Whatever the file system or `fill` reports; the temporary file is removed.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    let temporary = temporary_beside(path);
    let written = (|| {
        let file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        let mut writer = BufWriter::new(file);
        fill(&mut writer)?;
        let file = writer.into_inner().map_err(|e| Error::io("write", path)(e.into_error()))?;
        file.sync_data().map_err(Error::io("write", path))?;
        fs::rename(&temporary, path).map_err(Error::io("rename a finished file to", path))
    })();
    if written.is_err() {
        // The error that matters is the first one; a leftover is only untidy.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// [`write_whole`] for contents at hand.
///
/// # Errors
/// As [`write_whole`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, |writer| writer.write_all(bytes).map_err(Error::io("write", path)))
}

/// Removes the temporary files in `folder` that processes left there when they were killed in
/// [`write_whole`], where their name begins with `start` (`.` for all). No other process may be
/// writing there. A folder that is not there has none.
///
/// # Errors
/// Such a file cannot be removed.
pub fn remove_leftovers(folder: &Path, start: &str) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(start) && name.ends_with(".part") {
            fs::remove_file(entry.path())
                .map_err(Error::io("remove the unfinished", entry.path()))?;
        }
    }
    Ok(())
}

/// A whole text file.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io("read", path))
}

/// The largest text that another file names.
const MOST_NAMED_BYTES: u64 = 64 << 20;

/// A whole text file that another file names, not the user: `/dev/zero` has no end, a pipe keeps
/// one waiting.
///
/// # Errors
/// As [`read_text`]; it is no regular file, or has more than 64 MiB.
pub fn read_named_text(path: &Path) -> Result<String> {
    let found = fs::metadata(path).map_err(Error::io("read", path))?;
    if !found.is_file() || found.len() > MOST_NAMED_BYTES {
        let message = format!("expected a text of at most {MOST_NAMED_BYTES} bytes, found");
        return Err(match found.is_file() {
            true => Error::file(path, format!("{message} {}", found.len())),
            false => Error::file(path, format!("{message} no regular file")),
        });
    }
    read_text(path)
}

/// The SHA-256 of `bytes`, in lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The temporary name beside `path`: same folder, so that the rename stays within one file system.
fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.part", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        write_bytes(&path, b"old").unwrap();
        let failed = write_whole(&path, |writer| {
            writer.write_all(b"half").unwrap();
            Err(Error::Setting("stop".into()))
        });
        assert!(failed.is_err());
        assert_eq!(read_text(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".table.csv.17.part", ".run.json.17.part", "mine.part", ".mine"] {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        remove_leftovers(folder.path(), ".run.json.").unwrap();
        assert!(
            folder.path().join(".table.csv.17.part").exists()
                && !folder.path().join(".run.json.17.part").exists()
        );
        remove_leftovers(folder.path(), ".").unwrap();
        assert!(!folder.path().join(".table.csv.17.part").exists());
        assert!(folder.path().join("mine.part").exists() && folder.path().join(".mine").exists());
        remove_leftovers(&folder.path().join("none"), ".").unwrap();
    }
}
