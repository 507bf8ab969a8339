//! What a file is by its name.

use std::path::Path;

/// Names that end in one of these, in any case, are images; what is in them is found out when they are decoded.
const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"];

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
    path.extension().is_some_and(|found| extensions.iter().any(|known| found.eq_ignore_ascii_case(known)))
}
