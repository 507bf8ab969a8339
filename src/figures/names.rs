//! How the files of many photos are named, so that no two share a name.

use crate::corpus::beneath;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One relative path a photo, without the extension of the file to come: the photo's path below the
/// folder that all of them share, without its own extension, or with it where two would then have
/// the same name. None leads out of the folder it is put into.
pub fn names(photos: &[&str]) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = photos.iter().map(|path| PathBuf::from(beneath(path))).collect();
    let shared = paths.iter().filter_map(|path| path.parent()).map(Path::to_path_buf).reduce(
        |shared, folder| {
            shared
                .components()
                .zip(folder.components())
                .take_while(|(a, b)| a == b)
                .map(|(part, _)| part)
                .collect()
        },
    );
    let shared = shared.unwrap_or_default();
    let whole: Vec<&Path> =
        paths.iter().map(|path| path.strip_prefix(&shared).unwrap_or(path)).collect();
    let mut of_stem: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for path in &whole {
        *of_stem.entry(path.with_extension("")).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    let mut names = Vec::with_capacity(whole.len());
    for path in whole {
        let stem = path.with_extension("");
        let mut name = if of_stem[&stem] == 1 { stem } else { path.to_path_buf() };
        // Seldom: `x.jpg.png` beside `x.jpg` and `x.png`, `__/x.png` beside `../x.png`.
        let mut number = 1;
        while !taken.insert(name.clone()) {
            number += 1;
            name = PathBuf::from(format!("{}-{number}", path.display()));
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(photos: &[&str]) -> Vec<String> {
        names(photos).iter().map(|name| name.display().to_string()).collect()
    }

    #[test]
    fn names_are_short_and_keep_folders_and_extensions_where_they_matter() {
        assert_eq!(named(&["/data/photos/dog.jpg"]), ["dog"]);
        assert_eq!(named(&["p/a/x.jpg", "p/b/x.jpg", "p/b/y.jpg"]), ["a/x", "b/x", "b/y"]);
        assert_eq!(
            named(&["a.b/x.jpg", "a.b/x.png", "a.b/y.tar.png"]),
            ["x.jpg", "x.png", "y.tar"]
        );
        assert_eq!(
            named(&["../x.png", "__/x.png", "noextension"]),
            ["__/x.png", "__/x.png-2", "noextension"]
        );
        assert_eq!(named(&["x.jpg", "x.jpg.png", "x.png"]), ["x.jpg", "x.jpg.png-2", "x.png"]);
    }

    proptest! {
        #[test]
        fn no_two_photos_share_a_name(
            photos in prop::collection::btree_set("(\\.\\./|[ab_]{1,2}/){0,3}[ab](\\.[ab]){0,2}(-2)?", 1..9),
        ) {
            let photos: Vec<&str> = photos.iter().map(String::as_str).collect();
            let names = names(&photos);
            let different: BTreeSet<&PathBuf> = names.iter().collect();
            prop_assert_eq!(different.len(), photos.len(), "{:?}", names);
            let is_name = |part| matches!(part, std::path::Component::Normal(_));
            prop_assert!(names.iter().all(|name| name.components().all(is_name)));
        }
    }
}
