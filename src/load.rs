//! From the names in a configuration to networks ready to run, and the list of their files for `run.json`.

use crate::config::Config;
use crate::detect::{Cfg, Darknet};
use crate::emotion::{AlexNet, EmotionModel};
use crate::files::{read_text, sha256};
use crate::models::{self, digest};
use crate::run::ModelFile;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use tch::Device;

/// Files of the project itself, known by name wherever the binary runs.
const BUILT_IN: &[(&str, &str)] = &[
    ("yolov3-openimages.cfg", include_str!("../configs/yolov3-openimages.cfg")),
    ("openimages.names", include_str!("../configs/openimages.names")),
];

/// Both networks, their class names and files.
#[derive(Debug)]
pub struct Loaded {
    /// The detector.
    pub detector: Darknet,
    /// The explained model.
    pub emotion: AlexNet,
    /// Names of the detector's classes.
    pub classes: Vec<String>,
    /// Every file, with its digest.
    pub files: Vec<ModelFile>,
    /// The label all maps explain; `None`: each picture's own.
    pub class: Option<usize>,
}

impl Loaded {
    /// What every reader of a result must know when weights were made by `emocam models synthesize`.
    pub fn warning(&self) -> Option<String> {
        let made_up: Vec<&str> = self.files.iter().filter(|file| file.synthesized).map(|f| f.role.as_str()).collect();
        (!made_up.is_empty()).then(|| {
            format!(
                "synthesized weights ({}): random numbers in place of a trained model, results mean nothing",
                made_up.join(", ")
            )
        })
    }
}

/// The detector's description, and its text.
///
/// # Errors
/// The file cannot be found, read or understood.
pub fn cfg(config: &Config, folder: &Path) -> Result<(Cfg, String)> {
    let (path, text) = text(&config.detector.cfg, folder)?;
    Ok((Cfg::parse(&text, &path)?, text))
}

/// The detector's description and class names, which need no weights.
///
/// # Errors
/// A file that cannot be found, read or understood; names that do not fit the classes.
pub fn description(config: &Config, folder: &Path) -> Result<(Cfg, Vec<String>, Vec<ModelFile>)> {
    let (cfg, cfg_text) = cfg(config, folder)?;
    let (names_path, names_text) = text(&config.detector.names, folder)?;
    let classes: Vec<String> =
        names_text.lines().map(|name| name.trim().to_string()).filter(|n| !n.is_empty()).collect();
    if classes.len() != cfg.classes() {
        return Err(Error::file(
            &names_path,
            format!("names {} classes, {} has {}", classes.len(), cfg.path.display(), cfg.classes()),
        ));
    }
    let file = |role: &str, path: &Path, text: &str| ModelFile {
        role: role.into(),
        path: path.display().to_string(),
        sha256: sha256(text.as_bytes()),
        synthesized: false,
    };
    let files = vec![file("detector.cfg", &cfg.path, &cfg_text), file("detector.names", &names_path, &names_text)];
    Ok((cfg, classes, files))
}

/// Loads everything `config` names; `folder` is the models folder.
///
/// # Errors
/// As [`description`]; weights that are missing, damaged or do not fit.
pub fn load(config: &Config, folder: &Path, device: Device) -> Result<Loaded> {
    let (cfg, classes, mut files) = description(config, folder)?;
    let weights = models::locate(config.detector.weights.as_ref(), folder)?;
    let detector = Darknet::load(&cfg, &weights, config.detector.thresholds(), device, config.compute.precision)?;
    files.push(model_file("detector.weights", &weights, detector.synthesized())?);
    let weights = models::locate(config.emotion.weights.as_ref(), folder)?;
    let mean = match config.emotion.mean.as_str() {
        "" => None,
        name => Some(models::locate(name.as_ref(), folder)?),
    };
    let emotion = AlexNet::load(&weights, mean.as_deref(), device)?;
    // A label that is not there is found out now, not at the first picture.
    let class = config.cam.class.index(&emotion.card().labels)?;
    for (role, path) in emotion.files() {
        files.push(model_file(role, path, emotion.synthesized())?);
    }
    Ok(Loaded { detector, emotion, classes, files, class })
}

fn model_file(role: &str, path: &Path, synthesized: bool) -> Result<ModelFile> {
    let path_text = std::path::absolute(path).unwrap_or_else(|_| path.into()).display().to_string();
    Ok(ModelFile { role: role.into(), path: path_text, sha256: digest::sha256_file(path)?, synthesized })
}

/// A text by path or name: a file, or else one that is built in.
fn text(name: &str, folder: &Path) -> Result<(PathBuf, String)> {
    match (models::locate(name.as_ref(), folder), BUILT_IN.iter().find(|(known, _)| *known == name)) {
        (Err(_), Some((_, text))) => Ok((PathBuf::from(format!("(built in) {name}")), (*text).to_string())),
        (path, _) => {
            let path = path?;
            let text = read_text(&path)?;
            Ok((path, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_detector_is_yolov3_for_601_classes() {
        let nowhere = Path::new("no such folder");
        let (cfg, classes, _) = description(&Config::default(), nowhere).unwrap();
        assert_eq!((cfg.classes(), classes.len()), (601, 601));
        assert_eq!(
            [&classes[0], &classes[1], &classes[2], &classes[600]],
            ["Tortoise", "Container", "Magpie", "Helmet"]
        );
        assert_eq!(cfg.parameter_count().unwrap(), 64_807_342);
    }
}
