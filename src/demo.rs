//! The small models that come with the program, trained on the drawn world and good for nothing
//! else: into a folder, and into a configuration. How they were made and how good they are stands
//! in `models/demo/README.md`.

use crate::config::Config;
use crate::files::write_bytes;
use crate::{Error, Result};
use std::path::Path;

/// The files of every network by its name, see `models/demo/README.md`.
const FILES: [(&str, &[u8]); 13] = [
    ("detector.cfg", include_bytes!("../models/demo/detector.cfg")),
    ("detector.weights", include_bytes!("../models/demo/detector.weights")),
    ("detector.names", include_bytes!("../models/demo/detector.names")),
    ("emotion.safetensors", include_bytes!("../models/demo/emotion.safetensors")),
    ("emotion.toml", include_bytes!("../models/demo/emotion.toml")),
    ("parts.cfg", include_bytes!("../models/demo/parts.cfg")),
    ("parts.weights", include_bytes!("../models/demo/parts.weights")),
    ("parts.names", include_bytes!("../models/demo/parts.names")),
    ("hans.safetensors", include_bytes!("../models/demo/hans.safetensors")),
    ("hans.toml", include_bytes!("../models/demo/hans.toml")),
    ("surroundings.safetensors", include_bytes!("../models/demo/surroundings.safetensors")),
    ("surroundings.toml", include_bytes!("../models/demo/surroundings.toml")),
    ("README.md", include_bytes!("../models/demo/README.md")),
];

/// Which networks.
#[derive(Debug, Clone, Copy)]
pub struct DemoNetworks<'a> {
    /// `emotion`, `hans` or `surroundings`.
    pub emotion: &'a str,
    /// `detector` or `parts`.
    pub detector: &'a str,
}

impl Default for DemoNetworks<'_> {
    /// The first of each, which the preset's demonstrations use.
    fn default() -> Self {
        Self { emotion: "emotion", detector: "detector" }
    }
}

/// Writes the models into `folder`, which is made if need be, and names them in `config` by their
/// absolute paths, each where `config` names none of its own.
///
/// # Errors
/// A file cannot be written; the folder's name is not UTF-8.
pub fn use_models(config: &mut Config, folder: &Path, networks: DemoNetworks<'_>) -> Result<()> {
    let published = Config::default();
    let files = |config: &Config| (config.detector.cfg.clone(), config.detector.weights.clone());
    let own_detector = files(config) != files(&published);
    let own_network = config.emotion.weights != published.emotion.weights;
    if own_detector && own_network {
        return Ok(());
    }
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let DemoNetworks { emotion, detector } = networks;
    let wanted = [emotion, detector, "README"];
    for (name, contents) in FILES
        .iter()
        .filter(|(name, _)| wanted.iter().any(|stem| name.split('.').next() == Some(stem)))
    {
        write_bytes(&folder.join(name), contents)?;
    }
    let folder = std::path::absolute(folder).map_err(Error::io("find", folder))?;
    let path = |name: &str, ending: &str| {
        let path = folder.join(name).with_extension(ending);
        let text = path
            .to_str()
            .ok_or_else(|| Error::file(&folder, "its name is not UTF-8: name another folder"))?;
        Ok(text.to_string())
    };
    if !own_detector {
        config.detector.cfg = path(detector, "cfg")?;
        config.detector.weights = path(detector, "weights")?;
        config.detector.names = path(detector, "names")?;
    }
    if !own_network {
        config.emotion.weights = path(emotion, "safetensors")?;
        config.emotion.mean = String::new();
    }
    Ok(())
}

/// The keys of a configuration file that [`use_models`] sets, as TOML.
pub fn to_toml(config: &Config) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_string()).to_string();
    format!(
        "# Small networks trained on drawn scenes: not EmoNet, and good for nothing but the drawn world.\n\
         [detector]\ncfg = {}\nweights = {}\nnames = {}\n\n[emotion]\nweights = {}\n",
        quoted(&config.detector.cfg),
        quoted(&config.detector.weights),
        quoted(&config.detector.names),
        quoted(&config.emotion.weights)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::CLASSES;

    #[test]
    fn the_models_are_named_so_that_a_configuration_file_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("with \"quotes\"");
        let mut config = Config::default();
        use_models(&mut config, &models, DemoNetworks::default()).unwrap();
        let file = folder.path().join("demo.toml");
        std::fs::write(&file, to_toml(&config)).unwrap();
        assert_eq!(Config::load(&file).unwrap(), config);
        let names = std::fs::read_to_string(&config.detector.names).unwrap();
        assert_eq!(names.lines().collect::<Vec<_>>(), CLASSES);
    }
}
