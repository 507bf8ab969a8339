//! Which images a corpus has: a walk over files and folders, in an order that depends on names alone.

use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Names that end in one of these, in any case, are images; what is in them is found out when they are decoded.
const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"];

/// A file of this name marks a folder of figures, whose pictures are no photos.
pub const FIGURES: &str = ".emocam-figures";

/// An image file of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name shown everywhere, with '/' between folders: relative to the root if that is one folder, else the root
    /// as given, joined with the rest. Unique within a corpus.
    pub path: String,
    /// Where the file is.
    pub file: PathBuf,
}

impl Source {
    /// What decides on its shard ([`super::shard_of`]): its path.
    pub fn shard_key(&self) -> &str {
        &self.path
    }
}

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

/// SHA-256 over paths and sizes in bytes of `images`, in order: whether a corpus is still the same. A file that cannot be
/// looked at counts with size 0; it fails when it is decoded.
pub fn digest(images: &[Source]) -> String {
    let mut list = String::new();
    for source in images {
        let size = fs::metadata(&source.file).map_or(0, |metadata| metadata.len());
        list.push_str(&format!("{size}\t{}\n", source.path));
    }
    crate::files::sha256(list.as_bytes())
}

/// Finds every image below `roots`: by extension (jpg, jpeg, png, webp, bmp, tif, tiff, in any case) in folders; a root
/// that is a file is taken whatever its name.
///
/// Symbolic links are followed. Files and folders whose name starts with a dot are hidden and skipped (".DS_Store",
/// "._photo.jpg", ".thumbnails"), except as a root; so are run directories and folders with a file [`FIGURES`], whose
/// pictures are no photos. Loops of links, links to nothing, unreadable folders, names that are not UTF-8, and pipes,
/// sockets and devices that are named like images (opening one could wait for ever) become [`Corpus::problems`]. An image met twice under one name counts once.
///
/// # Errors
/// A root that does not exist or cannot be examined.
pub fn find(roots: &[PathBuf]) -> Result<Corpus> {
    let mut found = Found::default();
    for root in roots {
        let kind = fs::metadata(root).map_err(Error::io("read", root))?.file_type();
        if !kind.is_dir() {
            found.take(root, root, kind);
            continue;
        }
        let shown = |path: &Path| match roots {
            [_] => path.strip_prefix(root).unwrap_or(path).to_path_buf(),
            _ => path.to_path_buf(),
        };
        for entry in
            WalkDir::new(root).follow_links(true).into_iter().filter_entry(|entry| !is_hidden(entry) && !is_ours(entry))
        {
            match entry {
                Ok(entry) if has_image_extension(entry.path()) && !entry.file_type().is_dir() => {
                    found.take(&shown(entry.path()), entry.path(), entry.file_type());
                }
                Ok(_) => {}
                Err(error) => {
                    let path = error.path().unwrap_or(root);
                    // Links to nothing never reach the filter above.
                    if path == root || !starts_with_dot(path) {
                        found.problem(&shown(path), cause(&error));
                    }
                }
            }
        }
    }
    Ok(found.into_corpus())
}

/// Ordered by name; a name met again replaces itself.
#[derive(Default)]
struct Found {
    images: BTreeMap<String, PathBuf>,
    problems: BTreeMap<String, String>,
}

impl Found {
    /// An image, if it is a file with a name that can be written down.
    fn take(&mut self, shown: &Path, file: &Path, kind: FileType) {
        if !kind.is_file() {
            return self.problem(shown, format!("{}, not a file", describe(kind)));
        }
        match shown.to_str() {
            Some(name) => drop(self.images.insert(with_slashes(name), file.to_path_buf())),
            None => self.problem(shown, "its name is not UTF-8".to_string()),
        }
    }

    fn problem(&mut self, shown: &Path, cause: String) {
        let name = if shown.as_os_str().is_empty() { ".".into() } else { shown.to_string_lossy() };
        self.problems.insert(with_slashes(&name), cause);
    }

    fn into_corpus(self) -> Corpus {
        Corpus {
            images: self.images.into_iter().map(|(path, file)| Source { path, file }).collect(),
            problems: self.problems.into_iter().map(|(path, cause)| Problem { path, cause }).collect(),
        }
    }
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
    if kind.is_dir() {
        "a folder"
    } else {
        "a special file"
    }
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
    let ours = has("records.jsonl") || has("evaluate.json") || has(FIGURES);
    entry.depth() > 0 && entry.file_type().is_dir() && ours
}

fn starts_with_dot(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn has_image_extension(path: &Path) -> bool {
    path.extension().is_some_and(|found| EXTENSIONS.iter().any(|known| found.eq_ignore_ascii_case(known)))
}

fn with_slashes(name: &str) -> String {
    name.replace(std::path::MAIN_SEPARATOR, "/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn folder(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(corpus: &Corpus) -> Vec<&str> {
        corpus.images.iter().map(|image| image.path.as_str()).collect()
    }

    fn find_in(folder: &TempDir) -> Corpus {
        find(&[folder.path().to_path_buf()]).unwrap()
    }

    #[test]
    fn images_come_in_byte_order_and_nothing_else_comes() {
        let folder =
            folder(&["b/x.JPG", "b.png", "a/z.tiff", "a/a.jpeg", "B.webp", "notes.txt", "jpg", "._b.png", ".t/x.png"]);
        let corpus = find_in(&folder);
        assert_eq!(names(&corpus), ["B.webp", "a/a.jpeg", "a/z.tiff", "b.png", "b/x.JPG"]);
        assert_eq!(corpus.images[4].file, folder.path().join("b/x.JPG"));
        assert_eq!(corpus.problems, []);
    }

    #[test]
    fn several_roots_keep_equal_names_apart_and_count_a_repeated_root_once() {
        let folder = folder(&["a/x.jpg", "b/x.jpg"]);
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        let corpus = find(&[b.clone(), a.clone(), b.clone()]).unwrap();
        let expected = [a, b].map(|root| format!("{}/x.jpg", root.display()));
        assert_eq!(names(&corpus), expected);
    }

    #[test]
    fn a_root_that_is_a_file_is_taken_as_it_is_given() {
        let folder = folder(&["photo.unknown"]);
        let file = folder.path().join("photo.unknown");
        let corpus = find(std::slice::from_ref(&file)).unwrap();
        assert_eq!(names(&corpus), [file.to_str().unwrap()]);
    }

    #[test]
    fn a_root_that_does_not_exist_is_named() {
        let error = find(&[PathBuf::from("/no/such/folder")]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no/such/folder");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_loops_and_dead_ends_reported() {
        use std::os::unix::fs::symlink;
        let other = folder(&["far.jpg"]);
        let folder = folder(&["a/x.jpg"]);
        symlink(folder.path(), folder.path().join("a/loop")).unwrap();
        symlink("nowhere", folder.path().join("dead.png")).unwrap();
        symlink("nowhere", folder.path().join(".dead.png")).unwrap();
        symlink(other.path(), folder.path().join("other")).unwrap();
        let corpus = find_in(&folder);
        assert_eq!(names(&corpus), ["a/x.jpg", "other/far.jpg"]);
        let problems: Vec<_> = corpus.problems.iter().map(|p| (p.path.as_str(), p.cause.as_str())).collect();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].0 == "a/loop" && problems[0].1.starts_with("a symbolic link back to"), "{problems:?}");
        assert!(problems[1].0 == "dead.png" && problems[1].1.contains("No such file"), "{problems:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pipes_and_names_that_are_not_utf8_are_problems() {
        use std::os::unix::ffi::OsStrExt;
        let folder = folder(&["ok.bmp"]);
        let pipe = folder.path().join("pipe.jpg");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let bad = std::ffi::OsStr::from_bytes(b"\xff\xfe.png");
        fs::write(folder.path().join(bad), "").unwrap();
        let corpus = find_in(&folder);
        assert_eq!(names(&corpus), ["ok.bmp"]);
        let causes: Vec<_> = corpus.problems.iter().map(|problem| problem.cause.as_str()).collect();
        assert_eq!(causes, ["a named pipe, not a file", "its name is not UTF-8"]);
    }

    #[cfg(unix)]
    #[test]
    fn an_unreadable_folder_is_a_problem_and_its_siblings_are_found() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder(&["locked/x.jpg", "open/y.jpg"]);
        let locked = folder.path().join("locked");
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        let readable_all_the_same = fs::read_dir(&locked).is_ok();
        let corpus = find_in(&folder);
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
        if readable_all_the_same {
            eprintln!("skipped: this user reads every folder");
            return;
        }
        assert_eq!(names(&corpus), ["open/y.jpg"]);
        assert_eq!(corpus.problems[0].path, "locked");
    }
}
