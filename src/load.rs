//! From the names in a configuration to networks ready to run, and the list of their files for `run.json`.

use crate::config::Config;
use crate::files::{read_text, sha256};
use crate::models::{self, digest};
use crate::networks::{AlexNet, EmotionModel};
use crate::regions::darknet::{Cfg, Darknet};
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
    /// The same networks on `device`, for another thread: their tensors are copied there, or shared where they are there
    /// already. No file is read again.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        Ok(Self {
            detector: self.detector.on(device)?,
            emotion: self.emotion.on(device)?,
            classes: self.classes.clone(),
            files: self.files.clone(),
            class: self.class,
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
/// As [`detector`] and [`emotion`].
pub fn load(config: &Config, folder: &Path, device: Device) -> Result<Loaded> {
    let (detector, classes, mut files) = detector(config, folder, device)?;
    let (emotion, of_emotion) = emotion(config, folder, device)?;
    files.extend(of_emotion);
    let class = config.cam.class.index(&emotion.card().labels)?;
    Ok(Loaded { detector, emotion, classes, files, class })
}

/// Loads the detector alone, with the names of its classes and its files.
///
/// # Errors
/// As [`description`]; weights that are missing, damaged or do not fit.
pub fn detector(config: &Config, folder: &Path, device: Device) -> Result<(Darknet, Vec<String>, Vec<ModelFile>)> {
    let (cfg, classes, mut files) = description(config, folder)?;
    let weights = models::locate(config.detector.weights.as_ref(), folder)?;
    if config.detector.rect && cfg.stride().is_none() {
        let message =
            "its layers' sides are no fixed shares of its input's, so that it cannot run on other canvases: leave \
                       out --rect ([detector] rect)";
        return Err(Error::file(&cfg.path, message));
    }
    let detector = Darknet::load(&cfg, &weights, config.detector.thresholds(), device, config.compute.precision)?;
    files.push(model_file("detector.weights", &weights, detector.synthesized())?);
    Ok((detector, classes, files))
}

/// Loads the explained model alone, with its files.
///
/// # Errors
/// Weights or a mean image that are missing, damaged or do not fit.
pub fn emotion(config: &Config, folder: &Path, device: Device) -> Result<(AlexNet, Vec<ModelFile>)> {
    let weights = models::locate(config.emotion.weights.as_ref(), folder)?;
    let mean = match config.emotion.mean.as_str() {
        "" => None,
        name => Some(models::locate(name.as_ref(), folder)?),
    };
    let emotion = AlexNet::load(&weights, mean.as_deref(), device)?;
    // A label that is not there is found out now, not at the first picture.
    config.cam.class.index(&emotion.card().labels)?;
    let of = |(role, path): &(&str, PathBuf)| model_file(role, path, emotion.synthesized());
    let files = emotion.files().iter().map(of).collect::<Result<_>>()?;
    Ok((emotion, files))
}

/// The class named `name` among `classes`, whatever the case of its letters.
///
/// # Errors
/// There is none; names that are like it are suggested.
pub fn class_index(name: &str, classes: &[String]) -> Result<usize> {
    let (sought, lower) = (name.to_lowercase(), |class: &String| class.to_lowercase());
    if let Some(found) = classes.iter().position(|class| lower(class) == sought) {
        return Ok(found);
    }
    let mut near: Vec<(f64, &String)> = classes
        .iter()
        .map(|class| {
            let contained = lower(class).contains(&sought) || sought.contains(&lower(class));
            (strsim::jaro_winkler(&lower(class), &sought).max(f64::from(u8::from(contained))), class)
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<&str> = near.iter().take(5).map(|(_, class)| class.as_str()).collect();
    let hint = match near.as_slice() {
        [] => format!("it has {} classes, from {} on", classes.len(), classes.first().map_or("none", String::as_str)),
        near => format!("did you mean {}?", near.join(", ")),
    };
    Err(Error::Setting(format!("the detector has no class `{name}`; {hint}")))
}

/// What every reader must know of results made with `files`: which weights are random numbers.
pub fn warning(files: &[ModelFile]) -> Option<String> {
    let made_up: Vec<&str> = files.iter().filter(|file| file.synthesized).map(|file| file.role.as_str()).collect();
    (!made_up.is_empty()).then(|| {
        format!(
            "synthesized weights ({}): random numbers in place of a trained model, results mean nothing",
            made_up.join(", ")
        )
    })
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
    fn a_class_that_is_not_there_brings_those_like_it() {
        let classes = ["Person", "Human face", "Dog", "Hot dog"].map(String::from);
        assert_eq!(class_index("person", &classes).unwrap(), 0);
        for (name, hint) in [("Persn", "Person?"), ("dogs", "Dog?"), ("face", "Human face?"), ("xyz", "4 classes")] {
            let message = class_index(name, &classes).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(hint), "{message}");
        }
    }

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
        // Darknet counts 140.69 for 80 classes; 255 channels of each head become 1818.
        let heads = 2.0 * (1818.0 - 255.0) * (19.0 * 19.0 * 1024.0 + 38.0 * 38.0 * 512.0 + 76.0 * 76.0 * 256.0);
        approx::assert_abs_diff_eq!(cfg.flops().unwrap() / 1e9, 140.69 + heads / 1e9, epsilon = 0.01);
    }
}
