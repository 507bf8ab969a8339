//! From the names in a configuration to networks and regions ready to run, and the list of their
//! files for `run.json`.

use crate::attribution;
use crate::attribution::external::{ExternalMaps, MAX_FILE_BYTES, MapFiles};
use crate::config::{Config, DetectorConfig};
use crate::files::{read_text, sha256};
use crate::models::{self, digest};
use crate::names::check_names;
use crate::networks::{self, Classifier};
use crate::regions::darknet::{Cfg, Darknet};
use crate::regions::{self, BoxThresholds, Detector, KnownRegions, Regions, YoloTorchScript};
use crate::run::{ModelFile, Run};
use crate::{Error, Result};
use rayon::prelude::*;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::Device;

/// Files of the project itself, known by name wherever the binary runs.
const BUILT_IN: &[(&str, &str)] = &[
    ("yolov3-openimages.cfg", include_str!("../configs/yolov3-openimages.cfg")),
    ("openimages.names", include_str!("../configs/openimages.names")),
];

/// Both ends of an analysis, and their files.
#[derive(Debug)]
pub struct Loaded {
    /// Where things are.
    pub regions: Regions,
    /// The explained network.
    pub network: Box<dyn Classifier>,
    /// The same network explained at its further streams, where several are asked for.
    pub further_streams: Vec<Box<dyn Classifier>>,
    /// Maps from elsewhere.
    pub maps: Arc<ExternalMaps>,
    /// Every file, with its digest.
    pub files: Vec<ModelFile>,
    /// The output that all maps explain; `None`: each picture's own.
    pub class: Option<usize>,
}

impl Loaded {
    /// The same on `device`, for another thread: tensors are copied there, or shared where they are
    /// there already.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        let (regions, network) = (self.regions.on(device)?, self.network.on(device)?);
        let further_streams =
            self.further_streams.iter().map(|network| network.on(device)).collect::<Result<_>>()?;
        let (maps, files) = (self.maps.clone(), self.files.clone());
        Ok(Self { regions, network, further_streams, maps, files, class: self.class })
    }
}

/// Loads everything `config` names; `folder` is the models folder, `paths` are the pictures, by
/// which regions that are known are found.
///
/// # Errors
/// As [`regions()`], [`network`] and [`maps`]; methods that cannot be with the network.
pub fn load(config: &Config, folder: &Path, device: Device, paths: &[&str]) -> Result<Loaded> {
    let (maps, map_files) = maps(config, paths)?;
    // Each reads a quarter of a gigabyte and takes its digest.
    let (regions, network) = std::thread::scope(|scope| {
        let regions = scope.spawn(|| regions(config, folder, device, paths));
        let network = network(config, folder, device);
        (regions.join().unwrap_or_else(|panic| resume_unwind(panic)), network)
    });
    let ((regions, mut files), (network, network_files)) = (regions?, network?);
    attribution::check(&config.cam.methods, &config.cam.options(), &*network)?;
    files.extend(network_files);
    let class = config.cam.class.index(network.card())?;
    let further =
        config.cam.streams.iter().skip(1).map(|stream| networks::at_stream(&*network, stream));
    let further_streams = further.collect::<Result<_>>()?;
    files.extend(map_files);
    Ok(Loaded { regions, network, further_streams, maps, files, class })
}

/// The maps from elsewhere of the pictures at `paths`, and their folders with a digest each: over
/// the names of the pictures' files and the digests of their contents, for which every file is read
/// once.
///
/// # Errors
/// As [`ExternalMaps::join`]. A file that cannot be read is none: its picture fails when its turn
/// comes.
pub fn maps(config: &Config, paths: &[&str]) -> Result<(Arc<ExternalMaps>, Vec<ModelFile>)> {
    let maps = ExternalMaps::join(&config.cam.maps, paths)?;
    let file = |folder: &MapFiles| {
        let path = std::path::absolute(folder.folder()).unwrap_or_else(|_| folder.folder().into());
        ModelFile {
            role: format!("maps.{}", folder.name()),
            path: path.display().to_string(),
            sha256: map_digest(folder),
            synthesized: false,
        }
    };
    let files = maps.folders().iter().map(file).collect();
    Ok((Arc::new(maps), files))
}

fn map_digest(folder: &MapFiles) -> String {
    let files: Vec<(&str, PathBuf)> = folder.files().collect();
    let content = |path: &Path| match std::fs::metadata(path) {
        // Not read for its digest either.
        Ok(file) if file.len() > MAX_FILE_BYTES => format!("{} bytes", file.len()),
        Ok(_) => digest::sha256_file(path).unwrap_or_else(|_| "unreadable".into()),
        Err(_) => "unreadable".into(),
    };
    let lines: Vec<String> =
        files.par_iter().map(|(name, path)| format!("{name}\0{}\n", content(path))).collect();
    sha256(lines.concat().as_bytes())
}

/// Where things are, and the files that say so.
///
/// # Errors
/// A file that cannot be found, read or understood, weights that do not fit, entries that fit
/// several pictures.
pub fn regions(
    config: &Config,
    folder: &Path,
    device: Device,
    paths: &[&str],
) -> Result<(Regions, Vec<ModelFile>)> {
    if config.regions.file.is_empty() {
        let (detector, files) = detector(config, folder, device)?;
        return Ok((Regions::Detector(detector), files));
    }
    let (mut known, files) = known(config)?;
    known.join(paths)?;
    Ok((Regions::Known(Arc::new(known)), files))
}

/// Names of the classes of the configured regions; no weights are read.
///
/// # Errors
/// As [`regions()`].
pub fn classes(config: &Config, folder: &Path) -> Result<Vec<String>> {
    if !config.regions.file.is_empty() {
        return Ok(known(config)?.0.classes().to_vec());
    }
    match exported(config, folder)? {
        Some(file) => YoloTorchScript::classes_of(&file),
        None => Ok(description(config, folder)?.1),
    }
}

/// The regions of a file or an earlier run, before they are joined with pictures.
fn known(config: &Config) -> Result<(KnownRegions, Vec<ModelFile>)> {
    let file = Path::new(&config.regions.file);
    if file.is_dir() {
        let run = Run::open(file)?;
        let records = run.path("records.jsonl");
        return Ok((run.known_regions()?, vec![model_file("regions.records", &records, false)?]));
    }
    let dataset =
        Some(Path::new(&config.regions.dataset)).filter(|path| !path.as_os_str().is_empty());
    let mut files = vec![model_file("regions", file, false)?];
    if let Some(dataset) = dataset {
        files.push(model_file("regions.dataset", dataset, false)?);
    }
    let known = regions::read(file, dataset)?;
    check_names(known.classes(), "class")
        .map_err(|message| Error::file(dataset.unwrap_or(file), message))?;
    Ok((known, files))
}

/// The detector's description, and its text.
///
/// # Errors
/// The file cannot be found, read or understood.
pub fn cfg(config: &Config, folder: &Path) -> Result<(Cfg, String)> {
    let (path, text) = text(&config.detector.cfg, folder)?;
    Ok((Cfg::parse(&text, &path)?, text))
}

/// The Darknet detector's description and class names, which need no weights.
///
/// # Errors
/// A file that cannot be found, read or understood; names that do not fit the classes.
pub fn description(config: &Config, folder: &Path) -> Result<(Cfg, Vec<String>, Vec<ModelFile>)> {
    let (cfg, cfg_text) = cfg(config, folder)?;
    let (names_path, names_text) = text(&config.detector.names, folder)?;
    let classes: Vec<String> = names_text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(|name| name.trim().to_string())
        .filter(|name| !name.is_empty())
        .collect();
    check_names(&classes, "class").map_err(|message| Error::file(&names_path, message))?;
    if classes.len() != cfg.classes() {
        return Err(Error::file(
            &names_path,
            format!(
                "names {} classes, {} has {}: give its own names with --class-names FILE, one a \
                 line",
                classes.len(),
                cfg.path.display(),
                cfg.classes()
            ),
        ));
    }
    let file = |role: &str, path: &Path, text: &str| ModelFile {
        role: role.into(),
        path: path.display().to_string(),
        sha256: sha256(text.as_bytes()),
        synthesized: false,
    };
    let files = vec![
        file("detector.cfg", &cfg.path, &cfg_text),
        file("detector.names", &names_path, &names_text),
    ];
    Ok((cfg, classes, files))
}

/// The configured detector's file where that is a network exported as TorchScript, which needs no
/// weights and no names; `None` where it is Darknet's description of a network.
fn exported(config: &Config, folder: &Path) -> Result<Option<PathBuf>> {
    // What is not found here may be built in; who reads it says so if not.
    let Ok(file) = models::locate(config.detector.cfg.as_ref(), folder) else { return Ok(None) };
    Ok(YoloTorchScript::is_meant(&file)?.then_some(file))
}

/// Loads the detector alone, with its files: a Darknet network, or a TorchScript file exported by
/// Ultralytics, which has its own letterbox and way from scores to labels (`class_scores`,
/// `letterbox_filter` and `letterbox_fill` are Darknet's).
///
/// # Errors
/// As [`description`]; weights that are missing, damaged or do not fit. As
/// [`YoloTorchScript::load`]; `rect` with such a file.
pub fn detector(
    config: &Config,
    folder: &Path,
    device: Device,
) -> Result<(Box<dyn Detector>, Vec<ModelFile>)> {
    if let Some(file) = exported(config, folder)? {
        if config.detector.rect {
            let message = "an exported network has one input size, so that it cannot run on other \
                           canvases: leave out --rect ([detector] rect)";
            return Err(Error::file(&file, message));
        }
        let &DetectorConfig { confidence, nms_iou, .. } = &config.detector;
        let thresholds = BoxThresholds { confidence, nms_iou };
        let load = || YoloTorchScript::load(&file, thresholds, config.compute.precision, device);
        let (detector, digest) = with_digest(&file, load)?;
        return Ok((Box::new(detector), vec![file_of("detector.weights", &file, digest, false)]));
    }
    let (cfg, classes, mut files) = description(config, folder)?;
    let weights = models::locate(config.detector.weights.as_ref(), folder)?;
    if config.detector.rect && cfg.stride().is_none() {
        let message = "its layers' sides are no fixed shares of its input's, so that it cannot run \
                       on other canvases: leave out --rect ([detector] rect)";
        return Err(Error::file(&cfg.path, message));
    }
    let settings = config.detector.settings(config.compute.precision);
    let load = || Darknet::load(&cfg, &weights, classes, settings, device);
    let (detector, digest) = with_digest(&weights, load)?;
    files.push(file_of("detector.weights", &weights, digest, detector.synthesized()));
    Ok((Box::new(detector), files))
}

/// Whether the configured network is a file whose layers cannot be seen. Of one that is not there
/// or cannot be read nothing is said here: loading it says why.
pub fn is_opaque(config: &Config, folder: &Path) -> bool {
    models::locate(config.emotion.weights.as_ref(), folder)
        .is_ok_and(|weights| networks::is_opaque(&weights).unwrap_or(false))
}

/// Names of all streams of the configured network.
///
/// # Errors
/// A card that cannot be read; a network that has no streams.
pub fn streams(config: &Config, folder: &Path) -> Result<Vec<String>> {
    let weights = models::locate(config.emotion.weights.as_ref(), folder)?;
    let streams = networks::streams_of(&weights)?;
    if streams.is_empty() {
        return Err(Error::file(
            &weights,
            "this network has no streams: leave --stream out ([cam] streams)",
        ));
    }
    Ok(streams)
}

/// Loads the explained network alone, with its files.
///
/// # Errors
/// A file that is missing, damaged or does not fit; a class to be explained, or one it is held
/// against, that is no output.
pub fn network(
    config: &Config,
    folder: &Path,
    device: Device,
) -> Result<(Box<dyn Classifier>, Vec<ModelFile>)> {
    let weights = models::locate(config.emotion.weights.as_ref(), folder)?;
    let mean = match config.emotion.mean.as_str() {
        "" => None,
        name => Some(models::locate(name.as_ref(), folder)?),
    };
    let load = || networks::open(&weights, mean.as_deref(), device);
    let (network, digest) = with_digest(&weights, load)?;
    let network = match config.cam.streams.first() {
        Some(stream) => networks::at_stream(&*network, stream)?,
        None => network,
    };
    // A label that is not there is found out now, not at the first picture.
    let class = config.cam.class.index(network.card())?;
    let contrast = config.cam.options().contrast_index(network.card())?;
    if class.is_some() && class == contrast {
        let label = &config.cam.contrast;
        let message = format!(
            "class and contrast are both `{label}`: the difference is 0 in every picture; name \
             another"
        );
        return Err(Error::Setting(message));
    }
    let file = |(role, path): &(&str, PathBuf)| match *path == weights {
        true => Ok(file_of(role, path, digest.clone(), network.synthesized())),
        false => model_file(role, path, network.synthesized()),
    };
    let files = network.files().iter().map(file).collect::<Result<_>>()?;
    Ok((network, files))
}

/// The class named `name` among `classes`, whatever the case of its letters.
///
/// # Errors
/// There is none; names that are like it are suggested, or the nearest ones, or all of a few.
pub fn class_index(name: &str, classes: &[String]) -> Result<usize> {
    index_of(name, classes, ["class", "classes"])
}

/// The label named `name` among `labels`, whatever the case of its letters.
///
/// # Errors
/// There is none; names that are like it are suggested, or the nearest ones, or all of a few.
pub fn label_index(name: &str, labels: &[String]) -> Result<usize> {
    index_of(name, labels, ["label", "labels"])
}

/// Names that are like another in a message.
const MOST_NEAR: usize = 5;

/// So many names are all listed.
const MOST_LISTED: usize = 30;

/// The place of `name` among `names`, which are of a kind that is called `[one, many]`.
fn index_of(name: &str, names: &[String], [one, many]: [&str; 2]) -> Result<usize> {
    let (sought, lower) = (name.to_lowercase(), |name: &String| name.to_lowercase());
    if let Some(found) = names.iter().position(|name| lower(name) == sought) {
        return Ok(found);
    }
    let mut near: Vec<(f64, &String)> = names
        .iter()
        .map(|name| {
            let contained = lower(name).contains(&sought) || sought.contains(&lower(name));
            (strsim::jaro_winkler(&lower(name), &sought).max(f64::from(u8::from(contained))), name)
        })
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let first = |least: f64| {
        let names = near.iter().filter(|(likeness, _)| *likeness > least).take(MOST_NEAR);
        names.map(|(_, name)| name.as_str()).collect::<Vec<&str>>().join(", ")
    };
    let (like, count) = (first(0.8), names.len());
    let hint = match count {
        _ if !like.is_empty() => format!("did you mean {like}?"),
        0 => format!("there are no {many}"),
        count if count <= MOST_LISTED => format!("the {many} are {}", names.join(", ")),
        _ => format!("of the {count} {many} the nearest by name are {}", first(f64::MIN)),
    };
    Err(Error::Setting(format!("there is no {one} `{name}`; {hint}")))
}

/// What every reader must know of results made with `files`: which weights are random numbers.
pub fn warning(files: &[ModelFile]) -> Option<String> {
    let made_up: Vec<&str> =
        files.iter().filter(|file| file.synthesized).map(|file| file.role.as_str()).collect();
    (!made_up.is_empty()).then(|| {
        format!(
            "synthesized weights ({}): random numbers in place of a trained model, results mean \
             nothing",
            made_up.join(", ")
        )
    })
}

fn model_file(role: &str, path: &Path, synthesized: bool) -> Result<ModelFile> {
    Ok(file_of(role, path, digest::sha256_file(path)?, synthesized))
}

/// The file at `path`, whose digest is known.
fn file_of(role: &str, path: &Path, sha256: String, synthesized: bool) -> ModelFile {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into()).display().to_string();
    ModelFile { role: role.into(), path, sha256, synthesized }
}

/// What `load` makes of the file at `path`, and the file's digest, which another thread takes
/// meanwhile. Where it cannot be loaded nothing waits for that thread: the file may be endless.
fn with_digest<T>(path: &Path, load: impl FnOnce() -> Result<T>) -> Result<(T, String)> {
    let file = path.to_path_buf();
    let digest = std::thread::spawn(move || digest::sha256_file(&file));
    let loaded = load()?;
    Ok((loaded, digest.join().unwrap_or_else(|panic| resume_unwind(panic))?))
}

/// A text by path or name: a file, or else one that is built in.
fn text(name: &str, folder: &Path) -> Result<(PathBuf, String)> {
    match (models::locate(name.as_ref(), folder), BUILT_IN.iter().find(|(known, _)| *known == name))
    {
        (Err(_), Some((_, text))) => {
            Ok((PathBuf::from(format!("(built in) {name}")), (*text).to_string()))
        }
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
        for (name, hint) in [
            ("Persn", "Person?"),
            ("dogs", "Dog?"),
            ("face", "Human face?"),
            ("xyz", "the classes are Person, Human face, Dog, Hot dog"),
        ] {
            let message = class_index(name, &classes).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(hint), "{message}");
        }
        let many: Vec<String> =
            (0..80).map(|number| format!("class {number}")).chain(["Person".into()]).collect();
        let message = class_index("purse", &many).unwrap_err().to_string();
        assert!(
            message.contains("of the 81 classes the nearest by name are Person, "),
            "{message}"
        );
        assert_eq!(message.matches(", ").count(), 4, "five of them: {message}");
    }

    #[test]
    fn an_exported_detector_needs_no_weights_and_no_names() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference/yolo_torchscript/tiny.torchscript");
        let (folder, name) = (file.parent().unwrap(), "tiny.torchscript");
        let mut config = Config::default();
        config.detector.cfg = name.into();
        assert_eq!(classes(&config, folder).unwrap(), ["person", "dog", "hot dog"]);
        let (found, files) = detector(&config, folder, Device::Cpu).unwrap();
        assert_eq!(found.view().canvas.size, crate::image::Size::new(96, 64));
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].role.as_str(), files[0].synthesized), ("detector.weights", false));
        assert_eq!(files[0].sha256, sha256(&std::fs::read(&file).unwrap()));

        config.detector.rect = true;
        let message = detector(&config, folder, Device::Cpu).unwrap_err().to_string();
        assert!(message.contains("--rect") && message.contains(name), "{message}");

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), "no archive").unwrap();
        let message = classes(&config, folder.path()).unwrap_err().to_string();
        assert!(message.contains("expected a TorchScript file"), "{message}");
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
        let heads = 2.0
            * (1818.0 - 255.0)
            * (19.0 * 19.0 * 1024.0 + 38.0 * 38.0 * 512.0 + 76.0 * 76.0 * 256.0);
        approx::assert_abs_diff_eq!(
            cfg.flops().unwrap() / 1e9,
            140.69 + heads / 1e9,
            epsilon = 0.01
        );
    }
}
