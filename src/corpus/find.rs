//! Which images a corpus has: a walk over files, folders, lists and tars, in an order that depends
//! on names alone.

#[cfg(test)]
mod tests;

use super::list;
use super::names::{has_extension, is_compressed_tar, is_image, is_other_image, is_tar};
use super::source::{Member, Source};
use super::tar::{self, Index};
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, FileType, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use walkdir::{DirEntry, WalkDir};

/// A file of this name marks a folder of figures, whose pictures are no photos.
pub const FIGURES: &str = ".emocam-figures";

/// Why compressed tars are refused.
const COMPRESSED: &str = "a compressed tar, in which no image can be found without unpacking all \
                          before it: unpack it to a plain .tar (as with `gunzip`) or a folder; \
                          JPEGs are compressed already";

/// Something in the corpus that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Named as in [`Source::path`]; what is not UTF-8 is replaced.
    pub path: String,
    /// Why it was left out.
    pub cause: String,
}

impl Problem {
    /// As [`Source::shard_key`]: each is reported by one shard.
    pub fn shard_key(&self) -> &str {
        &self.path
    }
}

/// What was found below the roots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Corpus {
    /// In ascending order of `path`, byte by byte.
    pub images: Vec<Source>,
    /// In ascending order of `path`, byte by byte.
    pub problems: Vec<Problem>,
}

/// Finds every image below `roots`. A root is
/// * a folder: images are told by extension (jpg, jpeg, png, webp, bmp, tif, tiff, in any case),
///   and every `.tar` in it is looked into;
/// * a `.tar`: its members with such extensions are images named `<tar>/<member>`;
/// * `<tar>/<member>`: one of these;
/// * `@LIST`: files (and tars) by a list of paths, one a line, relative to the list's folder; `@-`
///   is standard input;
/// * any other file: taken whatever its name.
///
/// Symbolic links are followed. Files and folders whose name starts with a dot are hidden and
/// skipped (".DS_Store", "._photo.jpg", ".thumbnails"), except as a root; so are run directories
/// and folders with a file [`FIGURES`], whose pictures are no photos. Loops of links, links to
/// nothing, unreadable folders, names that are not UTF-8, and pipes, sockets and devices that are
/// named like images (opening one could wait for ever) become [`Corpus::problems`]; so do listed
/// files that are not there, what of a tar cannot be read, and pictures of formats that are not
/// read. An image met twice counts once: under one name, or by several roots under several names,
/// of which the first stays.
///
/// # Errors
/// A root that does not exist or cannot be examined, a list that cannot be read, a compressed tar
/// as a root.
pub fn find(roots: &[PathBuf]) -> Result<Corpus> {
    let (mut found, alone) = (Found::default(), roots.len() == 1);
    for root in roots {
        match examine(root)? {
            Root::List(list) => found.listed(&list, alone)?,
            Root::Member(tar, member) => {
                found.tars.push(Tar { shown: tar.clone(), file: tar, only: Some(member) });
            }
            Root::There(metadata) if metadata.is_dir() => found.below(root, alone),
            Root::There(metadata) => found.file(root, root, &metadata),
        }
    }
    let mut corpus = found.into_corpus()?;
    if !alone {
        each_file_once(&mut corpus.images);
    }
    Ok(corpus)
}

/// Of images that several roots reach by several names the first name.
fn each_file_once(images: &mut Vec<Source>) {
    let mut files: HashMap<Arc<Path>, PathBuf> = HashMap::new();
    let mut seen = HashSet::new();
    images.retain(|image| {
        // The members of a tar share its file.
        let whole = files.entry(image.file.clone()).or_insert_with(|| {
            fs::canonicalize(&image.file).unwrap_or_else(|_| image.file.to_path_buf())
        });
        seen.insert((whole.clone(), image.member.map(|member| member.offset)))
    });
}

/// Whether [`find`] would take `root`.
///
/// # Errors
/// As [`find`]'s, for this root alone.
pub fn check(root: &Path) -> Result<()> {
    examine(root).map(drop)
}

/// What a root is.
enum Root {
    List(PathBuf),
    /// A tar and the name of one of its members.
    Member(PathBuf, String),
    There(Metadata),
}

fn examine(root: &Path) -> Result<Root> {
    if let Some(list) = list::named(root) {
        return Ok(Root::List(list));
    }
    match fs::metadata(root) {
        Ok(metadata) if !metadata.is_dir() && is_compressed_tar(root) => {
            Err(Error::file(root, COMPRESSED))
        }
        Ok(metadata) => Ok(Root::There(metadata)),
        Err(error) => {
            let mut above = root.ancestors().skip(1);
            let tar = above.find(|above| has_extension(above, &["tar"]) && above.is_file());
            let member = tar.and_then(|tar| {
                root.strip_prefix(tar).ok()?.to_str().map(|name| (tar, with_slashes(name)))
            });
            match member {
                Some((tar, member)) => Ok(Root::Member(tar.to_path_buf(), member)),
                None => Err(Error::io("read", root)(error)),
            }
        }
    }
}

/// A tar that is still to be looked into.
struct Tar {
    shown: PathBuf,
    file: PathBuf,
    /// The one member that is wanted.
    only: Option<String>,
}

/// File, size, and place in a tar.
type Place = (Arc<Path>, u64, Option<Member>);

/// Ordered by name; a name met again replaces itself.
#[derive(Default)]
struct Found {
    images: BTreeMap<String, Place>,
    problems: BTreeMap<String, String>,
    tars: Vec<Tar>,
}

impl Found {
    /// Everything below a folder.
    fn below(&mut self, root: &Path, alone: bool) {
        let shown = |path: &Path| match alone {
            true => path.strip_prefix(root).unwrap_or(path).to_path_buf(),
            false => path.to_path_buf(),
        };
        let walk = WalkDir::new(root).follow_links(true).into_iter();
        for entry in walk.filter_entry(|entry| !is_hidden(entry) && !is_ours(entry)) {
            match entry {
                Ok(entry)
                    if !entry.file_type().is_dir()
                        && (is_image(entry.path()) || is_tar(entry.path())) =>
                {
                    match entry.metadata() {
                        Ok(metadata) => self.file(&shown(entry.path()), entry.path(), &metadata),
                        Err(error) => self.problem(&shown(entry.path()), cause(&error)),
                    }
                }
                Ok(entry) if entry.file_type().is_file() && is_other_image(entry.path()) => {
                    let ending =
                        entry.path().extension().unwrap_or_default().to_string_lossy().into_owned();
                    let cause = format!(
                        "a picture of the format {ending}: JPEG, PNG, WebP, BMP and TIFF are read"
                    );
                    self.problem(&shown(entry.path()), cause);
                }
                Ok(_) => {}
                Err(error) => {
                    let path = error.path().unwrap_or(root);
                    // Links to nothing never reach the filter above.
                    if path == root || !starts_with_dot(path) {
                        self.problem(&shown(path), cause(&error));
                    }
                }
            }
        }
    }

    /// What a list names.
    fn listed(&mut self, list: &Path, alone: bool) -> Result<()> {
        let folder = list::folder(list);
        for line in list::lines(list)? {
            let line = match line {
                Ok(line) => line,
                Err(shown) => {
                    self.problem(Path::new(&shown), "its name is not UTF-8".into());
                    continue;
                }
            };
            let relative = Path::new(line.trim_start_matches("./"));
            let file = folder.join(relative);
            let shown = if alone { relative } else { &file };
            match fs::metadata(&file) {
                Ok(metadata) => self.file(shown, &file, &metadata),
                Err(error) => self.problem(shown, format!("listed, but cannot be read: {error}")),
            }
        }
        Ok(())
    }

    /// A tar, or an image, if it is a file with a name that can be written down.
    fn file(&mut self, shown: &Path, file: &Path, metadata: &Metadata) {
        if !metadata.is_file() {
            return self.problem(shown, format!("{}, not a file", describe(metadata.file_type())));
        }
        if is_compressed_tar(file) {
            return self.problem(shown, COMPRESSED.into());
        }
        if is_tar(file) {
            return self.tars.push(Tar { shown: shown.into(), file: file.into(), only: None });
        }
        match shown.to_str() {
            Some(name) => {
                drop(self.images.insert(with_slashes(name), (file.into(), metadata.len(), None)));
            }
            None => self.problem(shown, "its name is not UTF-8".to_string()),
        }
    }

    fn problem(&mut self, shown: &Path, cause: String) {
        let name = if shown.as_os_str().is_empty() { ".".into() } else { shown.to_string_lossy() };
        self.problems.insert(with_slashes(&name), cause);
    }

    /// Takes what is in a tar.
    fn tar(&mut self, tar: &Tar, index: Index) -> Result<()> {
        let Some(name) = tar.shown.to_str().map(with_slashes) else {
            self.problem(&tar.shown, "its name is not UTF-8".into());
            return Ok(());
        };
        let file: Arc<Path> = tar.file.as_path().into();
        let wanted = |member: &String| tar.only.as_ref().is_none_or(|only| only == member);
        let length = u32::try_from(name.len())
            .map_err(|_| Error::file(&tar.file, "its name is too long"))?;
        let mut any = tar.only.is_none();
        for (member, offset, size) in index.images.into_iter().filter(|(member, ..)| wanted(member))
        {
            any = true;
            let place = (file.clone(), size, Some(Member { offset, tar: length }));
            self.images.insert(format!("{name}/{member}"), place);
        }
        for (member, cause) in
            index.problems.into_iter().filter(|(member, _)| member.as_ref().is_none_or(wanted))
        {
            any |= member.is_some();
            let shown = member.map_or(name.clone(), |member| format!("{name}/{member}"));
            self.problems.insert(shown, cause);
        }
        match &tar.only {
            Some(only) if !any => Err(Error::file(&tar.file, format!("has no image named {only}"))),
            _ => Ok(()),
        }
    }

    fn into_corpus(mut self) -> Result<Corpus> {
        let tars = std::mem::take(&mut self.tars);
        for (tar, index) in tars.iter().zip(index_all(&tars)) {
            self.tar(tar, index)?;
        }
        let image = |(path, (file, size, member))| Source { path, file, size, member };
        Ok(Corpus {
            images: self.images.into_iter().map(image).collect(),
            problems: self
                .problems
                .into_iter()
                .map(|(path, cause)| Problem { path, cause })
                .collect(),
        })
    }
}

/// The indices of `tars`, in their order, several at a time: on a network disk reading headers is
/// mostly waiting.
fn index_all(tars: &[Tar]) -> Vec<Index> {
    const AT_ONCE: usize = 8;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, tar)) = Some(next.fetch_add(1, Ordering::Relaxed))
            .and_then(|index| Some((index, tars.get(index)?)))
        {
            done.push((at, tar::index(&tar.file)));
        }
        done
    };
    let mut indices: Vec<(usize, Index)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE.min(tars.len())).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("an index catches its panics"))
            .collect()
    });
    indices.sort_unstable_by_key(|(at, _)| *at);
    indices.into_iter().map(|(_, index)| index).collect()
}

/// What a thing is that is neither a file nor a folder.
pub(super) fn describe(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    if kind.is_dir() { "a folder" } else { "a special file" }
}

fn cause(error: &walkdir::Error) -> String {
    match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => format!("a symbolic link back to {}", ancestor.display()),
        (None, Some(io)) => io.to_string(),
        (None, None) => error.to_string(),
    }
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && starts_with_dot(entry.path())
}

/// What `emocam analyze .`, `evaluate .` and `explain .` leave in the corpus, with pictures in it.
fn is_ours(entry: &DirEntry) -> bool {
    let has = |name: &str| entry.path().join(name).is_file();
    let ours = has("records.jsonl") || has(FIGURES);
    entry.depth() > 0 && entry.file_type().is_dir() && ours
}

fn starts_with_dot(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn with_slashes(name: &str) -> String {
    name.replace(std::path::MAIN_SEPARATOR, "/")
}
