//! What a file is by its name, and how what is kept of a picture is named after it.

use crate::files::sha256;
use std::path::{Component, Path};

/// Names that end in one of these, in any case, are images; what is in them is found out when they
/// are decoded.
const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"];

/// Images that are not read.
const OTHERS: [&str; 8] = ["gif", "heic", "heif", "avif", "jxl", "jp2", "psd", "svg"];

/// Whether a name is that of an image of a format that is not read.
pub(super) fn is_other_image(path: &Path) -> bool {
    has_extension(path, &OTHERS)
}

/// Whether a name is an image's.
pub(super) fn is_image(path: &Path) -> bool {
    has_extension(path, &EXTENSIONS)
}

/// Whether a name is a tar's, compressed or not.
pub(super) fn is_tar(path: &Path) -> bool {
    has_extension(path, &["tar"]) || is_compressed_tar(path)
}

/// Whether a name is a compressed tar's.
pub(super) fn is_compressed_tar(path: &Path) -> bool {
    let of_stem = || path.file_stem().is_some_and(|stem| has_extension(Path::new(stem), &["tar"]));
    has_extension(path, &["tgz", "tbz", "tbz2", "txz", "tzst"])
        || has_extension(path, &["gz", "bz2", "xz", "zst", "lz4", "lzma", "Z"]) && of_stem()
}

/// Whether a name ends in one of `extensions`, in any case.
pub(super) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|found| extensions.iter().any(|known| found.eq_ignore_ascii_case(known)))
}

/// The path of a picture as one that cannot lead out of the folder it is put into, and with names
/// that can be added to.
pub(crate) fn beneath(path: &str) -> String {
    let parts = Path::new(path).components().filter_map(|part| match part {
        Component::Normal(name) => Some(shortened(name.to_string_lossy().into_owned())),
        Component::ParentDir => Some("__".into()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A file name that leaves room for what is added to it: file systems allow 255 bytes.
fn shortened(name: String) -> String {
    const LONGEST: usize = 200;
    if name.len() <= LONGEST {
        return name;
    }
    let start: String = name
        .char_indices()
        .take_while(|(at, _)| *at < LONGEST - 20)
        .map(|(_, letter)| letter)
        .collect();
    format!("{start}...{}", &sha256(name.as_bytes())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_folder() {
        assert_eq!(
            ["a/b.jpg", "../../x.png", "/data/x.png"].map(beneath),
            ["a/b.jpg", "__/__/x.png", "data/x.png"]
        );
    }

    #[test]
    fn long_names_are_shortened_and_stay_apart() {
        let names = ["\u{e9}".repeat(120) + "a.jpg", "\u{e9}".repeat(120) + "b.jpg"];
        let [a, b] = names.map(|name| beneath(&name).len());
        assert!(a < 220 && b < 220);
        let [a, b] = ["a", "b"].map(|end| beneath(&("\u{e9}".repeat(120) + end)));
        assert_ne!(a, b);
    }
}
