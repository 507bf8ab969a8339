//! What a file is, told from its first bytes: people rename files, and downloads deliver web pages.

use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How many bytes from the start are looked at.
const HEAD_BYTES: u64 = 512;

/// The magic number 0x1950a86a20f9469cfc6c of `torch.save` before version 1.6, as its pickle
/// (protocol 2) starts: PROTO 2, LONG1 of 10 bytes.
const LEGACY_MAGIC: [u8; 14] =
    [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The kinds of content that are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A zip archive: `torch.save` since PyTorch 1.6.
    Zip,
    /// `torch.save` before PyTorch 1.6.
    LegacyCheckpoint,
    /// safetensors.
    Safetensors,
    /// Anything else, described for a message.
    Other(String),
}

/// The content of the file `path`.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn of_file(path: &Path) -> Result<Content> {
    Ok(of_head(&head(path)?))
}

/// The first bytes of the file `path`.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(HEAD_BYTES).read_to_end(&mut head).map_err(Error::io("read", path))?;
    Ok(head)
}

/// The content of a file that starts with `head`.
fn of_head(head: &[u8]) -> Content {
    if let Some(what) = impostor(head) {
        return Content::Other(what.into());
    }
    if head.starts_with(b"PK\x03\x04") {
        Content::Zip
    } else if head.starts_with(&LEGACY_MAGIC) {
        Content::LegacyCheckpoint
    } else if head.get(8) == Some(&b'{') && head.get(4..8) == Some(&[0; 4]) {
        // Eight bytes of header length, below 4 GiB, then JSON.
        Content::Safetensors
    } else {
        let start: Vec<_> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Content::Other(format!(
            "a file of another kind (it starts with the bytes {})",
            start.join(" ")
        ))
    }
}

/// What a file that starts with `head` is, where it is one of the things that end up under the name
/// of weights by accident; `None` for everything else.
pub(crate) fn impostor(head: &[u8]) -> Option<&'static str> {
    if head.is_empty() {
        return Some("an empty file: a download or a copy did not finish; get it again");
    }
    if head.starts_with(b"version https://git-lfs") {
        return Some(
            "a Git LFS pointer, not the file itself: run `git lfs pull` in that repository, then \
             copy it again",
        );
    }
    let text = String::from_utf8_lossy(head)
        .trim_start_matches('\u{feff}')
        .trim_start()
        .to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        return Some(
            "a web page, not the file itself: the address of the download has moved or asks for a \
             login",
        );
    }
    if text.starts_with("<?xml") {
        return Some(
            "an XML document, not the file itself: most likely the server's error message",
        );
    }
    None
}
