//! An image of the corpus: its name, and where its bytes are: a whole file, or a range of a tar.
//!
//! Tars are read at the offsets their index gave, through one open file a thread: threads that take
//! images in the order of the corpus read a tar that was packed in that order from its beginning to
//! its end.

use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An image of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name shown everywhere, with '/' between folders: relative to the root if that is one
    /// folder (of a list: its folder), else the root as given, joined with the rest. A member of a
    /// tar is named `<tar>/<member>`. Unique within a corpus; only a name, which may contain `..`.
    pub path: String,
    /// The file with its bytes; the members of a tar share it.
    pub file: Arc<Path>,
    /// Bytes, when it was found.
    pub size: u64,
    /// Where in `file` it begins, if that is a tar; `None`: it is the file.
    pub member: Option<Member>,
}

/// A member of a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Of its first byte in the tar.
    pub offset: u64,
    /// Bytes of [`Source::path`] that name the tar.
    pub tar: u32,
}

impl Source {
    /// The name of the tar it is a member of, which all members have in common.
    pub fn tar(&self) -> Option<&str> {
        self.member.map(|member| &self.path[..member.tar as usize])
    }

    /// What decides on its shard ([`super::shard_of`]): its tar's name, so that one shard reads the
    /// tar, or its own.
    pub fn shard_key(&self) -> &str {
        self.tar().unwrap_or(&self.path)
    }

    /// Where it is, for messages: the file, or `<tar file>/<member>`.
    pub fn place(&self) -> PathBuf {
        match self.tar() {
            Some(tar) => self.file.join(self.path[tar.len()..].trim_start_matches('/')),
            None => self.file.to_path_buf(),
        }
    }
}

/// SHA-256 over paths and sizes in bytes of `images`, in order: whether a corpus is still the same.
/// A file that could not be looked at counts with size 0; it fails when it is decoded.
pub fn digest(images: &[Source]) -> String {
    let mut digest = Sha256::new();
    for Source { path, size, .. } in images {
        digest.update(format!("{size}\t{path}\n"));
    }
    crate::files::hexadecimal(&digest.finalize())
}

/// Calls `read` with the open `tar`: the thread's last one is kept open, for the next image is most
/// likely in it too.
pub(super) fn with_tar<T>(tar: &Arc<Path>, read: impl FnOnce(&File) -> T) -> io::Result<T> {
    thread_local! {
        static LAST: RefCell<Option<(Arc<Path>, File)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        // The same index, not only the same name: another corpus is another state of the file.
        Some((open, file)) if Arc::ptr_eq(open, tar) => Ok(read(file)),
        _ => {
            let (_, file) = last.insert((tar.clone(), File::open(tar)?));
            Ok(read(file))
        }
    })
}

/// A range of a file as a file of its own.
#[derive(Debug)]
pub(super) struct Section<'a> {
    file: &'a File,
    start: u64,
    length: u64,
    at: u64,
}

impl<'a> Section<'a> {
    /// `length` bytes of `file` from `start` on; may reach beyond its end, where nothing can be
    /// read.
    pub(super) fn new(file: &'a File, start: u64, length: u64) -> Self {
        Self { file, start, length, at: 0 }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        if wanted == 0 {
            return Ok(0);
        }
        let mut file = self.file;
        file.seek(SeekFrom::Start(self.start.saturating_add(self.at)))?;
        let read = file.read(&mut into[..wanted])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Section<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let offset = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(from_end) => self.length.checked_add_signed(from_end),
            SeekFrom::Current(further) => self.at.checked_add_signed(further),
        };
        self.at = offset.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a position before the beginning")
        })?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

    proptest! {
        /// Any walk through a section is the same walk through its bytes alone.
        #[test]
        fn a_section_is_a_file_of_its_own(
            start in 0..40_u64, length in 0..60_u64,
            steps in prop::collection::vec((0..4_u8, -70..70_i64, 0..30_usize), 1..12),
        ) {
            let bytes: Vec<u8> = (0..80).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let end = (start + length).min(80) as usize;
            let mut alone = Cursor::new(bytes[start as usize..end].to_vec());
            let mut section = Section::new(&file, start, end as u64 - start);
            for (kind, by, count) in steps {
                let target = match kind {
                    0 => SeekFrom::Start(by.unsigned_abs()),
                    1 => SeekFrom::Current(by),
                    _ => SeekFrom::End(by),
                };
                prop_assert_eq!(section.seek(target).ok(), alone.seek(target).ok());
                let (mut a, mut b) = (Vec::new(), Vec::new());
                section.by_ref().take(count as u64).read_to_end(&mut a).unwrap();
                Read::by_ref(&mut alone).take(count as u64).read_to_end(&mut b).unwrap();
                prop_assert_eq!(a, b);
            }
        }
    }

    #[test]
    fn a_members_tar_is_the_beginning_of_its_name() {
        let file: Arc<Path> = Path::new("/data/shards/1.tar").into();
        let source = Source {
            path: "1.tar/../x.jpg".into(),
            file,
            size: 9,
            member: Some(Member { offset: 512, tar: 5 }),
        };
        assert_eq!(source.tar(), Some("1.tar"));
        assert_eq!(source.place(), Path::new("/data/shards/1.tar/../x.jpg"));
    }
}
