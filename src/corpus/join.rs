//! Which entry of a file belongs to which picture of a corpus, by their names.

use std::collections::{BTreeMap, HashMap};

/// Names of each side that are kept for messages.
const EXAMPLES: usize = 3;

/// How the entries of a file and the pictures of a corpus fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// For every picture, in the order of the corpus, the name of its entry.
    pub entries: Vec<Option<String>>,
    /// How many pictures have none.
    pub pictures_without_entry: usize,
    /// How many entries belong to no picture.
    pub entries_without_picture: usize,
    /// The first few such pictures.
    pub example_pictures: Vec<String>,
    /// The first few such entries.
    pub example_entries: Vec<String>,
}

impl Joined {
    /// How the pictures `paths` and the entries `names`, which are in order and all different, fit
    /// together: a picture belongs to the entry with its path; else to the one that names more or
    /// fewer of the folders above it, if there is one such entry and one such picture; else to the
    /// one with its file name, if no other picture and no other entry has that; else likewise by
    /// the name without its extension. Where a path decided for one picture of a name, the name
    /// decides for no other.
    ///
    /// # Errors
    /// Several paths or several entries compete by name; the message names two.
    pub fn by_name(paths: &[&str], names: &[&str]) -> Result<Self, String> {
        Ok(Self::new(paths, names, &entries(paths, names)?))
    }

    /// From the place in `names` that [`entries`] found for each of `paths`.
    fn new(paths: &[&str], names: &[&str], entries: &[Option<usize>]) -> Self {
        let mut used = vec![false; names.len()];
        entries.iter().flatten().for_each(|&entry| used[entry] = true);
        let lonely_pictures =
            || paths.iter().zip(entries).filter(|(_, entry)| entry.is_none()).map(|(path, _)| path);
        let lonely_entries =
            || names.iter().zip(&used).filter(|(_, used)| !**used).map(|(name, _)| name);
        Self {
            entries: entries
                .iter()
                .map(|entry| entry.map(|entry| names[entry].to_string()))
                .collect(),
            pictures_without_entry: lonely_pictures().count(),
            entries_without_picture: lonely_entries().count(),
            example_pictures: lonely_pictures().take(EXAMPLES).map(ToString::to_string).collect(),
            example_entries: lonely_entries().take(EXAMPLES).map(ToString::to_string).collect(),
        }
    }
}

/// Of every path of the corpus, the place of its entry in `names`, by the rule of
/// [`Joined::by_name`].
fn entries(paths: &[&str], names: &[&str]) -> Result<Vec<Option<usize>>, String> {
    let mut entries: Vec<_> = paths.iter().map(|path| names.binary_search(path).ok()).collect();
    let mut used = vec![false; names.len()];
    entries.iter().flatten().for_each(|&entry| used[entry] = true);
    by_folders(paths, names, &mut entries, &mut used);
    for (what, part) in
        [("file name", file_name as fn(&str) -> &str), ("file name without extension", stem)]
    {
        if entries.iter().all(Option::is_some) || used.iter().all(|&used| used) {
            break;
        }
        let mut groups: BTreeMap<&str, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (index, path) in paths.iter().enumerate() {
            groups.entry(part(path)).or_default().0.push(index);
        }
        for (index, name) in names.iter().enumerate() {
            groups.entry(part(name)).or_default().1.push(index);
        }
        for (shared, (of_corpus, of_file)) in groups {
            let decided = of_corpus.iter().any(|&path| entries[path].is_some())
                || of_file.iter().any(|&name| used[name]);
            match (of_corpus.as_slice(), of_file.as_slice()) {
                _ if decided => {}
                ([], _) | (_, []) => {}
                (&[path], &[name]) => {
                    entries[path] = Some(name);
                    used[name] = true;
                }
                _ => {
                    return Err(ambiguous(
                        what,
                        shared,
                        &pick(paths, &of_corpus),
                        &pick(names, &of_file),
                    ));
                }
            }
        }
    }
    Ok(entries)
}

/// Decides for paths and entries of which one ends with the whole of the other, where there is one
/// of each.
fn by_folders(paths: &[&str], names: &[&str], entries: &mut [Option<usize>], used: &mut [bool]) {
    let mut ends: HashMap<&str, Vec<usize>> = HashMap::new();
    for name in (0..names.len()).filter(|&name| !used[name]) {
        endings(names[name]).for_each(|end| ends.entry(end).or_default().push(name));
    }
    let mut candidates: Vec<Vec<usize>> = vec![Vec::new(); paths.len()];
    let mut wanted = vec![0_usize; names.len()];
    for (path, found) in
        candidates.iter_mut().enumerate().filter(|(path, _)| entries[*path].is_none())
    {
        let path = paths[path];
        found.extend(ends.get(path).into_iter().flatten());
        let shorter = endings(path).skip(1).filter_map(|end| names.binary_search(&end).ok());
        found.extend(shorter.filter(|&name| !used[name]));
        found.iter().for_each(|&name| wanted[name] += 1);
    }
    for (entry, found) in entries.iter_mut().zip(&candidates) {
        if let &[name] = found.as_slice()
            && wanted[name] == 1
        {
            *entry = Some(name);
            used[name] = true;
        }
    }
}

/// The whole path, then what follows each of its strokes.
fn endings(path: &str) -> impl Iterator<Item = &str> {
    std::iter::once(path).chain(path.match_indices('/').map(|(at, _)| &path[at + 1..]))
}

/// The first two of `places`.
fn pick<'a>(names: &[&'a str], places: &[usize]) -> Vec<&'a str> {
    places.iter().take(2).map(|&place| names[place]).collect()
}

fn ambiguous(what: &str, shared: &str, pictures: &[&str], entries: &[&str]) -> String {
    let listed = |names: &[&str]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
    };
    format!(
        "which entry belongs to which picture cannot be told by the {what} `{shared}`: the corpus \
         has {}, the file {}. Name the pictures in the file by their paths in the corpus",
        listed(pictures),
        listed(entries)
    )
}

/// What follows the last '/'.
fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The file name up to its last '.', if it does not begin with that.
fn stem(path: &str) -> &str {
    let name = file_name(path);
    name.rsplit_once('.').map(|(stem, _)| stem).filter(|stem| !stem.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(paths: &[&str], names: &[&str]) -> Result<Vec<Option<usize>>, String> {
        assert!(names.is_sorted());
        entries(paths, names)
    }

    #[test]
    fn paths_decide_before_names_and_names_before_stems() {
        let found = joined(
            &["a/x.jpg", "a/y.jpg", "z.v2.png", "w.jpg"],
            &["a/x.jpg", "b/y.jpg", "c/z.v2.jpg", "q.jpg"],
        );
        assert_eq!(found, Ok(vec![Some(0), Some(1), Some(2), None]));
    }

    #[test]
    fn more_or_fewer_folders_decide_before_names() {
        let names =
            ["data/images/joy/1.jpg", "data/images/sad/1.jpg", "x/2.jpg", "x/3.jpg", "y/3.jpg"];
        let found = joined(&["joy/1.jpg", "sad/1.jpg", "all/x/2.jpg", "3.jpg"], &names);
        assert!(found.unwrap_err().contains("`3.jpg`"));
        let found = joined(&["joy/1.jpg", "sad/1.jpg", "all/x/2.jpg", "z/4.jpg"], &names);
        assert_eq!(found, Ok(vec![Some(0), Some(1), Some(2), None]));
    }

    #[test]
    fn a_name_that_a_path_decided_decides_for_no_other() {
        let (paths, names) = (["train/1.jpg", "test/1.jpg"], ["train/1.jpg", "val/1.jpg"]);
        assert_eq!(joined(&paths, &names), Ok(vec![Some(0), None]));
        let report = Joined::new(&paths, &names, &[Some(0), None]);
        assert_eq!((report.pictures_without_entry, report.entries_without_picture), (1, 1));
        assert_eq!(
            (report.example_pictures, report.example_entries),
            (vec!["test/1.jpg".into()], vec!["val/1.jpg".into()])
        );
        // The same picture in two formats, of which the file has one.
        assert_eq!(joined(&["x.jpg", "x.png"], &["x.jpg"]), Ok(vec![Some(0), None]));
    }

    #[test]
    fn competitors_are_named() {
        let pictures = joined(&["a/x.jpg", "b/x.jpg"], &["x.jpg"]).unwrap_err();
        let named =
            "by the file name `x.jpg`: the corpus has `a/x.jpg` and `b/x.jpg`, the file `x.jpg`";
        assert!(pictures.contains(named), "{pictures}");
        let entries = joined(&["x.jpg"], &["a/x.jpg", "b/x.jpg"]).unwrap_err();
        assert!(entries.contains("the corpus has `x.jpg`, the file `a/x.jpg` and `b/x.jpg`"));
        let stems = joined(&["x.jpg", "x.png"], &["x.webp"]).unwrap_err();
        assert!(stems.contains("by the file name without extension `x`"));
        // Two alike on one side alone are no matter.
        assert_eq!(joined(&["a/x.jpg", "b/x.jpg"], &["y.jpg"]), Ok(vec![None, None]));
    }

    #[test]
    fn hidden_files_and_folders_have_no_stem() {
        assert_eq!(
            ["a.b/c", ".jpg", "a/.jpg", "x.tar.gz", ""].map(stem),
            ["c", ".jpg", ".jpg", "x.tar", ""]
        );
    }
}
