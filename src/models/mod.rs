//! Published models on this machine: what is known ([`catalogue`]), where files lie ([`folder`],
//! [`locate`]), how they get there ([`fetch`]) and whether they are still the same ([`digest`]).

pub mod digest;
pub mod fetch;

use crate::{Error, Result};
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The catalogue as text.
const CATALOGUE: &str = include_str!("../../models/catalogue.toml");

/// The variable that names the models folder.
pub const FOLDER_VARIABLE: &str = "EMOCAM_MODELS";

/// A published model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The name on the command line.
    pub name: String,
    /// What it is.
    pub title: String,
    /// The network's structure in one line.
    pub structure: String,
    /// The publisher's page.
    pub source: String,
    /// The publication to cite.
    pub citation: String,
    /// The terms of use, as far as they are stated.
    pub licence: String,
    /// Its files.
    #[serde(rename = "file")]
    pub files: Vec<CatalogueFile>,
}

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueFile {
    /// Its name in the models folder.
    pub name: String,
    /// What it holds.
    pub content: String,
    /// It comes with emocam and needs no download.
    #[serde(default)]
    pub shipped: bool,
    /// Nothing but a check of the installation needs it.
    #[serde(default)]
    pub optional: bool,
    /// Published addresses, to be tried in this order; none where no address is established.
    #[serde(default)]
    pub urls: Vec<String>,
    /// The page on which a person finds it.
    pub page: String,
    /// Its size in bytes, if known.
    pub size: Option<u64>,
    /// Its SHA-256 in lower-case hexadecimal digits, if known.
    pub sha256: Option<String>,
}

/// The models that emocam knows.
///
/// # Errors
/// The catalogue that was compiled in cannot be read; a test excludes it.
pub fn catalogue() -> Result<Vec<Model>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Catalogue {
        model: Vec<Model>,
    }
    let catalogue: Catalogue = toml::from_str(CATALOGUE)
        .map_err(|e| Error::file(Path::new("models/catalogue.toml"), e.to_string()))?;
    Ok(catalogue.model)
}

/// The models folder: `explicit` (`--models`), else the variable `EMOCAM_MODELS`, else
/// `emocam/models` in the user's data directory (`XDG_DATA_HOME`, `~/.local/share`). It need not
/// exist.
pub fn folder(explicit: Option<&Path>) -> PathBuf {
    folder_from(explicit, |variable| std::env::var_os(variable))
}

/// [`folder`] with the environment as a function. Empty variables count as unset; so does a
/// relative `XDG_DATA_HOME`, as its specification asks.
fn folder_from(explicit: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    explicit
        .map(Path::to_path_buf)
        .or_else(|| path(FOLDER_VARIABLE))
        .or_else(|| {
            path("XDG_DATA_HOME")
                .filter(|home| home.is_absolute())
                .map(|home| home.join("emocam/models"))
        })
        .or_else(|| path("HOME").map(|home| home.join(".local/share/emocam/models")))
        .unwrap_or_else(|| PathBuf::from("emocam-models"))
}

/// The file `name_or_path`: the path itself where there is such a file, else the file of that name
/// in `folder`.
///
/// # Errors
/// [`Error::File`] with the places looked at and the commands that help.
pub fn locate(name_or_path: &Path, folder: &Path) -> Result<PathBuf> {
    if name_or_path.is_file() {
        return Ok(name_or_path.to_path_buf());
    }
    let bare = name_or_path.components().count() == 1 && !name_or_path.has_root();
    let in_folder = folder.join(name_or_path);
    if bare && in_folder.is_file() {
        return Ok(in_folder);
    }
    let also = if bare { format!(", nor one at {}", in_folder.display()) } else { String::new() };
    let message = format!(
        "there is no such file{also}. `emocam models fetch` downloads the published models, \
         `emocam models synthesize` makes random weights to try things out; another detector is \
         taken by --detector, --detector-weights and --class-names, regions that are known by \
         --regions, another network by --emotion-weights"
    );
    Err(Error::file(name_or_path, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_catalogue_is_sound() {
        let models = catalogue().unwrap();
        let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "yolov3-openimages",
                "emonet",
                "emonet-ecco",
                "mobilenet_v2",
                "vgg16",
                "vgg16-places365"
            ]
        );
        let mut files = BTreeSet::new();
        for file in models.iter().flat_map(|model| &model.files) {
            assert!(files.insert(&file.name), "{} belongs to two models", file.name);
            assert_eq!(Path::new(&file.name).components().count(), 1, "{}", file.name);
            assert!(file.urls.iter().all(|url| url.starts_with("https://")), "{}", file.name);
            assert!(file.page.starts_with("https://"), "{}", file.name);
            assert!(
                !file.shipped || file.urls.is_empty(),
                "{} is shipped and downloaded",
                file.name
            );
            assert!(file.sha256.as_ref().is_none_or(|digest| digest.len() == 64), "{}", file.name);
        }
        let weights = &models[0].files[0];
        assert_eq!(weights.size, Some(20 + 4 * 64_807_342));
    }

    #[test]
    fn the_folder_follows_flag_variable_data_directory_in_this_order() {
        let environment = |set: &'static [(&str, &str)]| {
            move |name: &str| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
            }
        };
        let all = environment(&[("EMOCAM_MODELS", "/m"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")]);
        assert_eq!(folder_from(Some(Path::new("here")), all), Path::new("here"));
        assert_eq!(folder_from(None, all), Path::new("/m"));
        let unset = environment(&[("EMOCAM_MODELS", ""), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")]);
        assert_eq!(folder_from(None, unset), Path::new("/x/emocam/models"));
        let relative = environment(&[("XDG_DATA_HOME", "x"), ("HOME", "/h")]);
        assert_eq!(folder_from(None, relative), Path::new("/h/.local/share/emocam/models"));
        assert_eq!(folder_from(None, environment(&[])), Path::new("emocam-models"));
    }

    #[test]
    fn a_file_is_found_by_path_then_by_name_and_else_the_error_helps() {
        let models = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(models.path().join("a.pth"), "a").unwrap();
        std::fs::write(elsewhere.path().join("b.pth"), "b").unwrap();
        let by_name = locate(Path::new("a.pth"), models.path()).unwrap();
        assert_eq!(by_name, models.path().join("a.pth"));
        let by_path = locate(&elsewhere.path().join("b.pth"), models.path()).unwrap();
        assert_eq!(by_path, elsewhere.path().join("b.pth"));
        let message = locate(Path::new("c.pth"), models.path()).unwrap_err().to_string();
        for part in
            ["c.pth", &models.path().display().to_string(), "models fetch", "models synthesize"]
        {
            assert!(message.contains(part), "{message}");
        }
        assert!(locate(Path::new("sub/a.pth"), models.path()).is_err());
    }
}
