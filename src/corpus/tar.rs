//! What is in a tar: one walk over its headers, which gives every image's name, offset and size.
//!
//! In: an uncompressed tar (ustar, GNU or pax; WebDataset shards are such). Out: an [`Index`]. The
//! file is hostile: its sizes are held against its length, its names are only names, and whatever
//! cannot be read becomes a problem that is named, while what comes before it stays. Nothing is
//! unpacked.

use super::names::is_image;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use tar::{Archive, Entry, EntryType};

/// What the headers of one member may take together, long names and pax records included.
const LONGEST_HEADER: u64 = 1 << 20;

/// Bytes of a name; file systems allow no more in a path.
const LONGEST_NAME: usize = 4096;

/// How far behind its end marker a tar is looked at for more: the blocking of common tools pads to
/// less.
const LOOK_BEHIND: u64 = 1 << 16;

/// The images of a tar, in its order, and what of it cannot be used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Name within the tar, offset and bytes. A name may come twice: the later one counts, as when
    /// a tar is unpacked.
    pub(super) images: Vec<(String, u64, u64)>,
    /// Name within the tar (`None`: the tar itself) and cause.
    pub(super) problems: Vec<(Option<String>, String)>,
}

/// Walks over the headers of `tar`.
pub(super) fn index(tar: &Path) -> Index {
    let mut index = Index::default();
    let walked = File::open(tar).and_then(|file| {
        let length = file.metadata()?.len();
        // Unwind safety: the index holds what was complete before.
        catch_unwind(AssertUnwindSafe(|| walk(&file, length, &mut index)))
            .unwrap_or_else(|_| Err(io::Error::other("its headers make no sense")))
    });
    if let Err(error) = walked {
        let read = match index.images.last() {
            Some((name, ..)) => format!("what comes behind {} is not read", name.escape_debug()),
            None => "nothing of it is read".into(),
        };
        index.problems.push((None, format!("the tar is damaged or none ({error}); {read}")));
    }
    index
}

fn walk(file: &File, length: u64, index: &mut Index) -> io::Result<()> {
    let state = Rc::new(State {
        at: Cell::new(0),
        budget: Cell::new(LONGEST_HEADER),
        ended: Cell::new(false),
    });
    let mut archive = Archive::new(Headers { file, length, state: state.clone() });
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        state.budget.set(LONGEST_HEADER);
        let offset = entry.raw_file_position();
        // As it lies in the tar: without its holes.
        let sparse = entry.header().entry_type().is_gnu_sparse();
        let size = if sparse { entry.header().entry_size()? } else { entry.size() };
        let cut = offset.checked_add(size).is_none_or(|behind| behind > length);
        match name(&entry) {
            Err((name, cause)) => index.problems.push((Some(name), cause)),
            Ok(Some(name)) if cut => {
                let there = length.saturating_sub(offset);
                let cause = format!("the tar ends within it: {there} of {size} bytes are there");
                index.problems.push((Some(name), cause));
            }
            Ok(Some(name)) => match refused(&mut entry)? {
                Some(cause) => index.problems.push((Some(name), cause)),
                None => index.images.push((name, offset, size)),
            },
            Ok(None) => {}
        }
        if cut {
            index.problems.push((
                None,
                "the tar is truncated: it ends within a member, and what came then is lost".into(),
            ));
            return Ok(());
        }
    }
    if state.ended.get() {
        let cause = "the tar is truncated: it has no end marker, and what came behind its last \
                     whole member is lost";
        index.problems.push((None, cause.into()));
    } else if more_behind(file, state.at.get())? {
        let cause = "there is more behind the tar's end marker, which is not read: were several \
                     tars joined?";
        index.problems.push((None, cause.into()));
    }
    Ok(())
}

/// The name of an image, without "./" and doubled slashes; `None` for what is no image or hidden,
/// as in a folder.
///
/// # Errors
/// A name that cannot be written down, and why.
fn name(entry: &Entry<'_, Headers<'_>>) -> Result<Option<String>, (String, String)> {
    let bytes = entry.path_bytes();
    if entry.header().entry_type().is_dir()
        || !is_image(Path::new(&*String::from_utf8_lossy(&bytes)))
    {
        return Ok(None);
    }
    let short =
        || String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).replace('\0', "\u{fffd}");
    if bytes.len() > LONGEST_NAME {
        return Err((
            short(),
            format!("its name has {} bytes; {LONGEST_NAME} are the most", bytes.len()),
        ));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Err((short(), "its name is not UTF-8".into()));
    };
    if text.contains('\0') {
        return Err((short(), "its name has a zero byte".into()));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let hidden = parts.iter().any(|part| part.starts_with('.') && *part != "..");
    Ok((!hidden).then(|| parts.join("/")))
}

/// Why a member that is named like an image is none that can be read in place.
fn refused(entry: &mut Entry<'_, Headers<'_>>) -> io::Result<Option<String>> {
    let kind = entry.header().entry_type();
    let of_pax = |entry: &mut Entry<'_, Headers<'_>>| -> io::Result<bool> {
        let Some(mut records) = entry.pax_extensions()? else { return Ok(false) };
        Ok(records.any(|record| {
            record.is_ok_and(|record| record.key_bytes().starts_with(b"GNU.sparse."))
        }))
    };
    let what = match kind {
        EntryType::Regular | EntryType::Continuous if of_pax(entry)? => "a sparse file",
        EntryType::Regular | EntryType::Continuous => return Ok(None),
        EntryType::GNUSparse => "a sparse file",
        EntryType::Symlink => "a symbolic link",
        EntryType::Link => "a hard link",
        EntryType::Fifo => "a named pipe",
        EntryType::Char | EntryType::Block => "a device",
        _ => "a special member",
    };
    let help = match kind {
        EntryType::Symlink | EntryType::Link => {
            "; `tar --dereference --hard-dereference` packs what links lead to"
        }
        _ if what == "a sparse file" => "; pack it without --sparse",
        _ => "",
    };
    Ok(Some(format!("{what} in a tar, not a plain file{help}")))
}

/// Whether there is anything but zeros in the blocks that follow the end marker at `from`.
fn more_behind(mut file: &File, from: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(from))?;
    let mut behind = Vec::new();
    file.take(LOOK_BEHIND).read_to_end(&mut behind)?;
    Ok(behind.iter().any(|&byte| byte != 0))
}

/// The file as the `tar` crate reads it: headers in small reads, contents sought over.
struct Headers<'a> {
    file: &'a File,
    length: u64,
    state: Rc<State>,
}

/// Where [`Headers`] are.
struct State {
    /// Position in the file.
    at: Cell<u64>,
    /// What may still be read for this member.
    budget: Cell<u64>,
    /// Set when the end of the file is met.
    ended: Cell<bool>,
}

impl Read for Headers<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let State { at, budget, ended } = &*self.state;
        let left = budget.get();
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        if wanted == 0 && !into.is_empty() {
            return Err(io::Error::other(format!(
                "the headers of one member take more than {LONGEST_HEADER} bytes"
            )));
        }
        if at.get() >= self.length {
            ended.set(true);
            return Ok(0);
        }
        let mut file = self.file;
        file.seek(SeekFrom::Start(at.get()))?;
        let read = file.read(&mut into[..wanted])?;
        ended.set(ended.get() || read == 0);
        at.set(at.get() + read as u64);
        budget.set(left - read as u64);
        Ok(read)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(from_end) => self.length.checked_add_signed(from_end),
            SeekFrom::Current(further) => self.state.at.get().checked_add_signed(further),
        };
        let offset = wanted.ok_or_else(|| io::Error::other("a member of impossible size"))?;
        self.state.at.set(offset);
        Ok(offset)
    }
}
