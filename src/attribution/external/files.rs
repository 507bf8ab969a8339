//! Which file of a folder is the map of which picture.

use super::MapFolder;
use crate::corpus::beneath;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// What a map's file ends in.
const EXTENSIONS: [&str; 3] = ["npy", "safetensors", "png"];

/// Names that are kept for messages.
const EXAMPLES: usize = 3;

/// The map files of a folder, joined with the pictures of a corpus.
#[derive(Debug)]
pub struct MapFiles {
    name: String,
    folder: PathBuf,
    /// The file of every picture that has one, relative to the folder.
    files: BTreeMap<String, String>,
    /// Why a picture has no file, where that is not that there is none.
    ambiguous: BTreeMap<String, String>,
    /// How many files belong to no picture.
    pub files_without_picture: usize,
    /// The first few of them.
    pub example_files: Vec<String>,
}

impl MapFiles {
    /// Looks through the folder. The map of the picture `a/x.jpg` is the file `a/x.jpg` + `.npy`,
    /// `.safetensors` or `.png` (as `analyze --save-maps` names it), else `a/x` + one of these. A
    /// file that the first rule gives to a picture is no other's. Parts of a path that lead out of
    /// the folder are named as `--save-maps` does.
    ///
    /// # Errors
    /// The folder cannot be read, or has no file for any of `paths`, of which there are some.
    pub fn join(maps: &MapFolder, paths: &[&str]) -> Result<Self> {
        let folder = PathBuf::from(&maps.folder);
        let found = walk(&folder)?;
        let mut joined = Self {
            name: maps.name().into(),
            folder,
            files: BTreeMap::new(),
            ambiguous: BTreeMap::new(),
            files_without_picture: 0,
            example_files: Vec::new(),
        };
        let used = joined.assign(paths, &found);
        let unused = || found.iter().filter(|file| !used.contains(*file));
        joined.files_without_picture = unused().count();
        joined.example_files = unused().take(EXAMPLES).cloned().collect();
        if let (Some(path), true) =
            (paths.first(), joined.files.is_empty() && joined.ambiguous.is_empty())
        {
            let there = match joined.example_files.as_slice() {
                [] => "no such file at all".to_string(),
                files => files.join(", "),
            };
            let message = format!(
                "has no map of any of the {} images: expected files named by their paths in the \
                 corpus, as {}, found {there}",
                paths.len(),
                expected(path)
            );
            return Err(Error::file(&joined.folder, message));
        }
        Ok(joined)
    }

    /// Of no folder, for tests.
    #[cfg(test)]
    pub(super) fn empty() -> Self {
        Self {
            name: "empty".into(),
            folder: PathBuf::new(),
            files: BTreeMap::new(),
            ambiguous: BTreeMap::new(),
            files_without_picture: 0,
            example_files: Vec::new(),
        }
    }

    /// Gives every picture its file; returns the files that are spoken for.
    fn assign(&mut self, paths: &[&str], found: &BTreeSet<String>) -> BTreeSet<String> {
        let named = |name: &str| -> Vec<String> {
            let files = EXTENSIONS.iter().map(|extension| format!("{name}.{extension}"));
            files.filter(|file| found.contains(file)).collect()
        };
        let mut used = BTreeSet::new();
        let mut by_stem: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for path in paths {
            let name = beneath(path);
            let files = named(&name);
            match files.as_slice() {
                [] => by_stem.entry(stem(&name).into()).or_default().push(path),
                _ => self.give(path, &files),
            }
            used.extend(files);
        }
        let exact = used.clone();
        for (stem, pictures) in by_stem {
            let files: Vec<String> =
                named(&stem).into_iter().filter(|file| !exact.contains(file)).collect();
            match (pictures.as_slice(), files.first()) {
                (_, None) => {}
                (&[path], _) => self.give(path, &files),
                (several, Some(file)) => several.iter().for_each(|path| {
                    let cause = format!(
                        "may be the map of {} as of {}: expected {}, which decides",
                        several[0],
                        several[1],
                        expected(path)
                    );
                    self.ambiguous.insert((*path).into(), format!("{file}: {cause}"));
                }),
            }
            used.extend(files);
        }
        used
    }

    fn give(&mut self, path: &str, files: &[String]) {
        match files {
            [file] => drop(self.files.insert(path.into(), file.clone())),
            _ => {
                let cause = format!("expected one map of {path}, found {}", files.join(" and "));
                self.ambiguous.insert(path.into(), cause);
            }
        }
    }

    /// The method's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every file that is a picture's, with its path relative to the folder, in the order of the
    /// pictures' paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        self.files.values().map(|file| (file.as_str(), self.folder.join(file)))
    }

    /// The file of the picture at `path` in the corpus.
    ///
    /// # Errors
    /// It has none, or several compete.
    pub fn file(&self, path: &str) -> Result<PathBuf> {
        match (self.files.get(path), self.ambiguous.get(path)) {
            (Some(file), _) => Ok(self.folder.join(file)),
            (None, Some(cause)) => Err(Error::file(&self.folder, cause.clone())),
            (None, None) => {
                let exact = self.folder.join(format!("{}.npy", stem(&beneath(path))));
                let message = format!(
                    "is not there: expected a map of {path} under this name, or ending in \
                     .safetensors or .png, or as {}.npy",
                    beneath(path)
                );
                Err(Error::file(&exact, message))
            }
        }
    }
}

/// All files below `folder` that end as a map's does, as `/`-separated paths.
fn walk(folder: &Path) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for entry in WalkDir::new(folder).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            // What lies below can be read or not; the folder itself has to be.
            Err(error) if error.depth() > 0 => continue,
            Err(error) => {
                return Err(Error::file(
                    folder,
                    format!("is no folder of maps that can be read: {error}"),
                ));
            }
        };
        let is_map = entry
            .path()
            .extension()
            .is_some_and(|found| EXTENSIONS.iter().any(|known| found == *known));
        if entry.file_type().is_file() && is_map {
            let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            files.insert(relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/"));
        }
    }
    Ok(files)
}

/// How the map of a picture may be named.
fn expected(path: &str) -> String {
    let name = beneath(path);
    format!("{}.npy or {name}.npy (or .safetensors, .png)", stem(&name))
}

/// A path without its extension.
fn stem(name: &str) -> &str {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    match name.rfind('.') {
        Some(dot) if dot > start => &name[..dot],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(files: &[&str], paths: &[&str]) -> (tempfile::TempDir, Result<MapFiles>) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let maps = MapFolder::new("other", folder.path().to_str().unwrap()).unwrap();
        let joined = MapFiles::join(&maps, paths);
        (folder, joined)
    }

    #[test]
    fn a_map_is_found_by_its_picture_s_path_with_and_without_its_extension() {
        let files = ["a/x.jpg.npy", "a/x.png", "a/y.safetensors", "__/z.png", "w.NPY", "notes.txt"];
        let paths = ["../z.jpg", "a/x.jpg", "a/x.webp", "a/y.tiff", "w.png"];
        let (folder, joined) = joined(&files, &paths);
        let joined = joined.unwrap();
        for (path, file) in [
            ("../z.jpg", "__/z.png"),
            ("a/x.jpg", files[0]),
            ("a/x.webp", files[1]),
            ("a/y.tiff", files[2]),
        ] {
            assert_eq!(joined.file(path).unwrap(), folder.path().join(file));
        }
        let message = joined.file("w.png").unwrap_err().to_string();
        assert!(
            message.contains("w.npy: is not there") && message.contains("w.png.npy"),
            "{message}"
        );
        assert_eq!(joined.files_without_picture, 0);
    }

    #[test]
    fn a_picture_with_several_maps_and_a_map_of_several_pictures_are_told() {
        let files = ["a.npy", "a.png", "b.npy", "c.jpg.png", "stray.npy"];
        // c.jpg has a map of its full name, which is not that of `c.jpg.webp` too.
        let (_folder, joined) = joined(&files, &["a.jpg", "b.jpg", "b.png", "c.jpg", "c.jpg.webp"]);
        let joined = joined.unwrap();
        let message = |path| joined.file(path).unwrap_err().to_string();
        assert!(
            message("a.jpg").contains("expected one map of a.jpg, found a.npy and a.png"),
            "{}",
            message("a.jpg")
        );
        for path in ["b.jpg", "b.png"] {
            let message = message(path);
            assert!(message.contains("b.npy: may be the map of b.jpg as of b.png"), "{message}");
            assert!(message.contains(&format!("{path}.npy")), "{message}");
        }
        assert!(joined.file("c.jpg").is_ok());
        assert!(message("c.jpg.webp").contains("is not there"));
        assert_eq!(
            (joined.files_without_picture, joined.example_files.as_slice()),
            (1, &["stray.npy".to_string()][..])
        );
    }

    #[test]
    fn a_folder_for_none_of_the_pictures_is_refused() {
        let (_folder, other) = joined(&["x/a.npy"], &["a.jpg", "b.jpg"]);
        let message = other.unwrap_err().to_string();
        assert!(
            message.contains("no map of any of the 2 images") && message.contains("found x/a.npy"),
            "{message}"
        );
        let (_folder, empty) = joined(&[], &["a.jpg"]);
        assert!(empty.unwrap_err().to_string().contains("no such file at all"));
        let (_folder, no_pictures) = joined(&[], &[]);
        assert!(no_pictures.is_ok());
        let missing =
            MapFiles::join(&MapFolder::new("other", "/no/such/folder").unwrap(), &["a.jpg"]);
        assert!(missing.unwrap_err().to_string().contains("is no folder of maps"));
    }

    #[test]
    fn stems_end_at_the_last_dot_of_a_name() {
        assert_eq!(
            ["a.b/c", ".jpg", "a/.jpg", "x.tar.gz", ""].map(stem),
            ["a.b/c", ".jpg", "a/.jpg", "x.tar", ""]
        );
    }
}
