//! The images a command is given, as all commands over a corpus find and name them.

use emocam::corpus::{Corpus, Source, digest, find};
use emocam::run::CorpusInfo;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The images below `roots`, at most `limit`, and at least one.
pub(super) fn images(roots: &[PathBuf], limit: Option<NonZeroUsize>) -> anyhow::Result<Corpus> {
    let mut corpus = find(roots)?;
    corpus.images.truncate(limit.map_or(usize::MAX, NonZeroUsize::get));
    if corpus.images.is_empty() {
        let roots: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
        let causes: String = corpus
            .problems
            .iter()
            .take(3)
            .map(|problem| format!("\n  {}: {}", problem.path, problem.cause))
            .collect();
        anyhow::bail!(
            "no images in {}: looked for jpg, jpeg, png, webp, bmp, tif and tiff files in all \
             folders and tars{causes}",
            roots.join(", ")
        );
    }
    Ok(corpus)
}

/// The images of a run's corpus; `None` where they are not there any more, or no more the same.
pub(super) fn again(info: &CorpusInfo) -> Option<Vec<Source>> {
    // What came from standard input cannot be asked for again.
    let folders: Vec<PathBuf> =
        info.folders.iter().filter(|folder| *folder != "@-").map(PathBuf::from).collect();
    let mut images = find(&folders).map(|found| found.images).unwrap_or_default();
    images.truncate(info.images);
    (folders.len() == info.folders.len() && digest(&images) == info.sha256).then_some(images)
}

/// `photos` for a corpus `data/photos`: its run goes to `photos-emocam` in the current folder. Of a
/// list or a tar the name without what tells it is one.
pub(super) fn name(root: &Path) -> String {
    let text = root.to_string_lossy();
    let plain = match text.strip_prefix('@') {
        Some("-") | Some("") => return "list".into(),
        Some(list) => Path::new(list).with_extension(""),
        None if root.extension().is_some_and(|found| found.eq_ignore_ascii_case("tar")) => {
            root.with_extension("")
        }
        None => root.into(),
    };
    let absolute = std::path::absolute(&plain).unwrap_or(plain);
    absolute.file_name().map_or("corpus".into(), |name| name.to_string_lossy().into_owned())
}

/// A root made absolute, for `run.json`.
pub(super) fn absolute(root: &Path) -> std::io::Result<String> {
    match root.to_str().and_then(|text| text.strip_prefix('@')) {
        Some("-") => Ok("@-".into()),
        Some(list) if !list.is_empty() => Ok(format!("@{}", std::path::absolute(list)?.display())),
        _ => Ok(std::path::absolute(root)?.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_after_folder_list_or_tar() {
        let names = ["data/photos", "data/photos/", "@lists/files.txt", "@-", "shards/00.tar"];
        let expected = ["photos", "photos", "files", "list", "00"];
        assert_eq!(names.map(|root| name(Path::new(root))), expected);
    }
}
