//! SHA-256 of model files, and the memory of it: a digest is recorded when a file is first used, so
//! that a later difference (a new download, a damaged disk) is noticed even where the publisher
//! gives no digest.

use crate::files::{hexadecimal, read_text, write_whole};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// The memory's name in the models folder.
pub const MEMORY: &str = "digests.json";

/// What is remembered of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// SHA-256 in lower-case hexadecimal digits.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
}

/// What the memory says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remembered {
    /// Not seen before; recorded now.
    First(Recorded),
    /// The same as recorded.
    Same(Recorded),
    /// Not what was recorded. The record stays.
    Changed {
        /// What was recorded.
        recorded: Recorded,
        /// What the file is now.
        found: Recorded,
    },
}

/// The SHA-256 of the file `path`, in lower-case hexadecimal digits.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    Ok(record(path)?.sha256)
}

/// Compares the file `name` in `folder` with what is remembered of it, and remembers it where
/// nothing is.
///
/// # Errors
/// The file or the memory cannot be read, the memory is damaged, or it cannot be written.
pub fn remember(folder: &Path, name: &str) -> Result<Remembered> {
    let found = record(&folder.join(name))?;
    let path = folder.join(MEMORY);
    let mut memory = read_memory(&path)?;
    match memory.get(name) {
        Some(recorded) if *recorded == found => Ok(Remembered::Same(found)),
        Some(recorded) => Ok(Remembered::Changed { recorded: recorded.clone(), found }),
        None => {
            memory.insert(name.to_string(), found.clone());
            write_memory(&path, &memory)?;
            Ok(Remembered::First(found))
        }
    }
}

/// Forgets the file `name`, which a download has just replaced.
///
/// # Errors
/// The memory cannot be read, is damaged, or cannot be written.
pub fn forget(folder: &Path, name: &str) -> Result<()> {
    let path = folder.join(MEMORY);
    let mut memory = read_memory(&path)?;
    match memory.remove(name) {
        Some(_) => write_memory(&path, &memory),
        None => Ok(()),
    }
}

fn read_memory(path: &Path) -> Result<BTreeMap<String, Recorded>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let message =
        |e| format!("damaged record of digests ({e}); delete it to record the files anew");
    serde_json::from_str(&read_text(path)?).map_err(|e| Error::file(path, message(e)))
}

fn write_memory(path: &Path, memory: &BTreeMap<String, Recorded>) -> Result<()> {
    write_whole(path, |file| {
        serde_json::to_writer_pretty(&mut *file, memory)
            .map_err(|e| Error::io("write", path)(e.into()))?;
        file.write_all(b"\n").map_err(Error::io("write", path))
    })
}

/// Digest and size of the file `path`.
fn record(path: &Path) -> Result<Recorded> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut digest = Sha256::new();
    let mut size = 0;
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).map_err(Error::io("read", path))? {
            0 => break,
            read => {
                digest.update(&piece[..read]);
                size += read as u64;
            }
        }
    }
    Ok(Recorded { sha256: hexadecimal(&digest.finalize()), size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha256() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_file(&path).unwrap(), expected);
    }

    #[test]
    fn a_file_is_recorded_once_and_a_difference_is_told_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.pth");
        std::fs::write(&path, "one").unwrap();
        let Remembered::First(first) = remember(folder.path(), "w.pth").unwrap() else {
            panic!("not first")
        };
        assert_eq!(first.size, 3);
        assert_eq!(remember(folder.path(), "w.pth").unwrap(), Remembered::Same(first.clone()));
        std::fs::write(&path, "other").unwrap();
        for _ in 0..2 {
            match remember(folder.path(), "w.pth").unwrap() {
                Remembered::Changed { recorded, found } => {
                    assert_eq!(recorded, first);
                    assert_eq!(found.size, 5);
                }
                other => panic!("{other:?}"),
            }
        }
        forget(folder.path(), "w.pth").unwrap();
        assert!(matches!(remember(folder.path(), "w.pth").unwrap(), Remembered::First(_)));
    }

    #[test]
    fn a_damaged_memory_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w"), "w").unwrap();
        std::fs::write(folder.path().join(MEMORY), "{").unwrap();
        assert!(remember(folder.path(), "w").unwrap_err().to_string().contains("delete it"));
    }
}
