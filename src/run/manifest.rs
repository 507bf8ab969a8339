//! `run.json`: configuration as resolved, versions, digests of every model file, the corpus, counts
//! and timings.

use super::outcome::{Outcome, Timings};
use super::record::ImageRecord;
use crate::attribution::external::MapFolder;
use crate::config::{AssociationConfig, Config};
use crate::image::{Canvas, Filter, Fit, Letterbox, LetterboxRule, Placement, Resize, Size};
use crate::names::check_names;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a run directory holds is told apart by this number; it changes when a record or a key gets
/// another meaning.
pub const FORMAT: u32 = 4;

/// The contents of `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of this program.
    pub emocam: String,
    /// Version of libtorch it was built for.
    pub libtorch: String,
    /// Whether the pass went through the whole corpus.
    pub complete: bool,
    /// A warning for every reader when weights were made by `emocam models synthesize`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub warning: Option<String>,
    /// Preset, file and flags together.
    pub configuration: Config,
    /// "cpu" or "cuda:N".
    pub device: String,
    /// Threads of the networks on the CPU; the last digits of a result depend on them.
    pub network_threads: i32,
    /// Where the detector's number format follows from a measurement: seconds an image by the
    /// format's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub measured_precision: Option<BTreeMap<String, f64>>,
    /// Every file that shaped the networks, and every folder of maps from elsewhere.
    pub models: Vec<ModelFile>,
    /// The pictures; of a shard too, all of them.
    pub corpus: CorpusInfo,
    /// Which part of the corpus this run is about, when not the whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<ShardInfo>,
    /// Names of the matrix's columns: the network's outputs, or of a single output its bins.
    pub labels: Vec<String>,
    /// The name of the single output of a network that names no labels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<String>,
    /// Names of the regions' classes.
    pub classes: Vec<String>,
    /// How pictures lie in the network's input, which is what saved maps cover.
    pub input: InputInfo,
    /// The grid on which boxes are scored.
    pub scoring: ScoringInfo,
    /// What the matrices that lie in the run were made with, when `emocam associate` has made them
    /// anew with other settings than the configuration's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub matrices: Option<AssociationConfig>,
    /// What was done, in a run of another command than `emocam analyze`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub experiment: Option<Experiment>,
    /// What came out, when the pass has stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Outcome>,
    /// The shards it was made of, in a run of `emocam merge`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub merged: Option<Vec<MergedShard>>,
}

/// Another command's settings, which must agree before its run is continued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The command.
    pub command: String,
    /// Its settings, by name; what they mean is the command's business.
    pub settings: BTreeMap<String, serde_json::Value>,
}

impl Experiment {
    /// Of a command with these settings, a table of plain data.
    ///
    /// # Errors
    /// The settings are no such table; a test of the command excludes it.
    pub fn new(command: &str, settings: &impl Serialize) -> Result<Self> {
        let settings = serde_json::to_value(settings).and_then(serde_json::from_value);
        let settings =
            settings.map_err(|error| Error::Setting(format!("settings of {command}: {error}")))?;
        Ok(Self { command: command.into(), settings })
    }
}

/// How a picture is brought to the explained network's input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputInfo {
    /// Pixels per row.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// What happens to the picture's shape.
    pub resize: Resize,
    /// Of a center crop the share that is kept.
    pub crop: f64,
}

impl InputInfo {
    /// Where a picture lies in the input.
    pub fn placement(self, picture: Size) -> Placement {
        let Self { width, height, resize, crop } = self;
        // The filter has no part in where things lie.
        Fit { resize, crop, input: Size::new(width, height), filter: Filter::Bilinear }
            .placement(picture)
    }
}

impl From<Fit> for InputInfo {
    fn from(fit: Fit) -> Self {
        let Fit { resize, crop, input, filter: _ } = fit;
        Self { width: input.width, height: input.height, resize, crop }
    }
}

/// The canvas on which boxes are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoringInfo {
    /// Pixels per row.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// Where only as much of it is used as a picture needs: each side is a multiple of this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stride: Option<u32>,
    /// How the sides of a picture on it are rounded, where that is not Lightnet's rule.
    #[serde(skip_serializing_if = "is_lightnet", default)]
    pub rule: LetterboxRule,
}

/// Whether it is the rule that goes without saying.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_lightnet(rule: &LetterboxRule) -> bool {
    *rule == LetterboxRule::Lightnet
}

impl ScoringInfo {
    /// Where a picture lies on it.
    pub fn letterbox(self, picture: Size) -> Letterbox {
        Canvas::from(self).letterbox(picture)
    }
}

impl From<ScoringInfo> for Canvas {
    fn from(scoring: ScoringInfo) -> Self {
        let ScoringInfo { width, height, stride, rule } = scoring;
        Self { size: Size::new(width, height), stride, rule }
    }
}

impl From<Canvas> for ScoringInfo {
    fn from(canvas: Canvas) -> Self {
        let Canvas { size: Size { width, height }, stride, rule } = canvas;
        Self { width, height, stride, rule }
    }
}

/// One model file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// What it is for: "detector.weights", ... "maps.NAME" of a folder of maps.
    pub role: String,
    /// Where it was, or "(built in)".
    pub path: String,
    /// SHA-256, hexadecimal; of a folder of maps over the names and digests of the files of the
    /// corpus's pictures.
    pub sha256: String,
    /// Made by `emocam models synthesize`: random numbers.
    #[serde(default)]
    pub synthesized: bool,
}

/// Which pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusInfo {
    /// Folders and files as given, made absolute.
    pub folders: Vec<String>,
    /// Number of pictures.
    pub images: usize,
    /// SHA-256 over paths and sizes in bytes, in order.
    pub sha256: String,
}

/// Which part of the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardInfo {
    /// From 1 to `count`.
    pub index: u64,
    /// How many shards there are.
    pub count: u64,
    /// Pictures in this one.
    pub images: usize,
}

/// What `emocam merge` keeps of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergedShard {
    /// Its number, from 1.
    pub shard: u64,
    /// Where it lay.
    pub folder: String,
    /// Its device.
    pub device: String,
    /// Its threads of the networks.
    pub network_threads: i32,
    /// Its records.
    pub done: usize,
    /// Its times, when it was finished.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timings: Option<Timings>,
}

impl Manifest {
    /// The settings that the tables in the run were made with: those of the last `emocam associate`
    /// that wrote there, or else the configuration's.
    pub fn association_of_tables(&self) -> &AssociationConfig {
        self.matrices.as_ref().unwrap_or(&self.configuration.association)
    }

    /// Reads a `run.json`.
    ///
    /// # Errors
    /// It is damaged, or of another version of the program, in words that go behind its name.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            emocam: Option<String>,
            format: Option<u32>,
        }
        let head: Head =
            serde_json::from_str(text).map_err(|error| format!("not a run.json: {error}"))?;
        if head.format != Some(FORMAT) {
            let version = head.emocam.unwrap_or_else(|| "unknown".into());
            let format = head.format.map_or("none".into(), |format| format.to_string());
            return Err(format!(
                "made by another version of emocam ({version}, run format {format}; this one reads \
                 format {FORMAT}): run `emocam analyze` again, or use the version that made it"
            ));
        }
        let manifest: Self = serde_json::from_str(text)
            .map_err(|error| format!("not a run.json of this version of emocam: {error}"))?;
        check_names(&manifest.labels, "label")?;
        check_names(&manifest.classes, "class")?;
        manifest.check_sizes()?;
        Ok(manifest)
    }

    /// Refuses inputs into which no picture can be fitted.
    fn check_sizes(&self) -> Result<(), String> {
        /// No network's input has a longer side.
        const LONGEST: u32 = 65_535;
        let (InputInfo { width, height, crop, .. }, scoring) = (self.input, self.scoring);
        let sides = [width, height, scoring.width, scoring.height, scoring.stride.unwrap_or(1)];
        if let Some(side) = sides.into_iter().find(|side| !(1..=LONGEST).contains(side)) {
            return Err(format!(
                "its inputs have sides and strides of 1 to {LONGEST} pixels, found {side}"
            ));
        }
        if !(crop > 0.0 && crop <= 1.0) {
            return Err(format!(
                "its input keeps a share of the picture over 0 and up to 1, found {crop}"
            ));
        }
        Ok(())
    }

    /// What keeps a run described by `self` from being continued as `now`, or merged with it; empty
    /// when nothing does. The association settings may differ where they are applied to records
    /// that are there. `words` tell the two apart, as "then" and "now".
    pub fn differences(&self, now: &Self, words: [&str; 2]) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, then: &str, now: &str| {
            if then != now {
                found.push(format!("{what}: {then} {}, {now} {}", words[0], words[1]));
            }
        };
        compare("version of emocam", &self.emocam, &now.emocam);
        compare("version of libtorch", &self.libtorch, &now.libtorch);
        // Which of several equal GPUs it is makes no difference.
        let kind = |device: &str| device.split(':').next().unwrap_or_default().to_string();
        compare("device", &kind(&self.device), &kind(&now.device));
        compare("shard", &self.part(), &now.part());
        let external = |manifest: &Self| {
            let names: Vec<&str> =
                manifest.configuration.cam.maps.iter().map(MapFolder::name).collect();
            if names.is_empty() { "none".into() } else { names.join(", ") }
        };
        compare("maps from elsewhere", &external(self), &external(now));
        for (key, then, now) in settings(&self.configuration, &now.configuration) {
            compare(&format!("setting {key}"), &then, &now);
        }
        compare("made by", &self.command(), &now.command());
        let settings_of =
            |manifest: &Self| manifest.experiment.as_ref().map(|made| made.settings.clone());
        let (then, today) =
            (settings_of(self).unwrap_or_default(), settings_of(now).unwrap_or_default());
        for key in then.keys().chain(today.keys().filter(|key| !then.contains_key(*key))) {
            let text = |settings: &BTreeMap<String, serde_json::Value>| {
                settings.get(key).map_or("none".into(), ToString::to_string)
            };
            compare(key, &text(&then), &text(&today));
        }
        if self.experiment.is_some() && now.experiment.is_some() {
            // In an experiment it says which boxes objects are pasted on.
            let least =
                |manifest: &Self| manifest.configuration.association.min_confidence.to_string();
            compare("setting association.min_confidence", &least(self), &least(now));
        }
        for file in &self.models {
            compare(
                &format!("{} ({}), SHA-256", file.role, file.path),
                &file.sha256,
                now.digest_of(&file.role),
            );
        }
        for file in now.models.iter().filter(|file| self.digest_of(&file.role) == NO_FILE) {
            compare(&format!("{} ({}), SHA-256", file.role, file.path), NO_FILE, &file.sha256);
        }
        compare(
            "number of pictures",
            &self.corpus.images.to_string(),
            &now.corpus.images.to_string(),
        );
        if self.corpus.images == now.corpus.images {
            compare(
                "digest of the pictures' paths and sizes",
                &self.corpus.sha256,
                &now.corpus.sha256,
            );
        }
        if self.labels != now.labels || self.classes != now.classes {
            found.push("names of the labels or classes".into());
        }
        found
    }

    /// The settings of the command that made the run, in words where it was another one or they
    /// cannot be read; the message goes behind the run's name.
    pub fn settings_of<S: DeserializeOwned>(&self, command: &str) -> Result<S, String> {
        let experiment =
            self.experiment.as_ref().filter(|experiment| experiment.command == command);
        let experiment = experiment.ok_or_else(|| format!("is no run of `emocam {command}`"))?;
        let settings = serde_json::Value::Object(experiment.settings.clone().into_iter().collect());
        serde_json::from_value(settings)
            .map_err(|error| format!("settings of {command} that cannot be read: {error}"))
    }

    /// The command that made the run, as `emocam analyze`.
    pub fn command(&self) -> String {
        format!(
            "emocam {}",
            self.experiment.as_ref().map_or("analyze", |experiment| &experiment.command)
        )
    }

    /// The digest of the model file with this role.
    fn digest_of(&self, role: &str) -> &str {
        self.models.iter().find(|file| file.role == role).map_or(NO_FILE, |file| &file.sha256)
    }

    /// Which part of the corpus, in words.
    fn part(&self) -> String {
        self.shard.map_or("the whole corpus".into(), |shard| {
            format!("{} of {}", shard.index, shard.count)
        })
    }

    /// Refuses a `records.jsonl` of so many lines, the last of which has this checksum, if the run
    /// is finished and ended with another.
    pub(super) fn check_end(&self, lines: usize, checksum: &str) -> Result<(), String> {
        let Some(outcome) = self.outcome.as_ref().filter(|_| self.complete) else { return Ok(()) };
        if lines < outcome.done {
            return Err(format!(
                "has {lines} whole records, and run.json says {}: lines at the end were lost; the \
                 same `{}` with --resume does what is missing",
                outcome.done,
                self.command()
            ));
        }
        let same = outcome.checksum.as_ref().is_none_or(|expected| expected == checksum);
        match same && lines == outcome.done {
            true => Ok(()),
            false => Err(format!(
                "is not the file that run.json was written for: it has {lines} records and ends \
                 with the checksum {checksum}, expected {} and {}; bring it back from a copy, or \
                 begin anew in another folder with --out",
                outcome.done,
                outcome.checksum.as_deref().unwrap_or("none")
            )),
        }
    }

    /// Refuses a record that does not fit this run.
    pub(super) fn check_record(&self, record: &ImageRecord) -> Result<(), String> {
        let methods = self.configuration.cam.names();
        let probabilities = if self.output.is_some() { 0 } else { self.labels.len() };
        let fits = record.probabilities.len() == probabilities
            && record.label < self.labels.len()
            && record.boxes.iter().all(|region| region.class < self.classes.len())
            && record.maps.len() == methods.len()
            && record.maps.iter().zip(methods).all(|(map, method)| map.method == method);
        fits.then_some(()).ok_or_else(|| {
            format!(
                "the record of {} does not fit run.json: other labels, classes or methods",
                record.path
            )
        })
    }
}

/// In the place of a file's digest.
const NO_FILE: &str = "none";

/// Settings that shape the records, as (key, then, now); model files are compared by their digests,
/// not their names.
fn settings(then: &Config, now: &Config) -> Vec<(String, String, String)> {
    let flat = |config: &Config| -> BTreeMap<String, String> {
        let mut config = config.clone();
        let detector =
            [&mut config.detector.cfg, &mut config.detector.weights, &mut config.detector.names];
        detector.into_iter().for_each(String::clear);
        [&mut config.regions.file, &mut config.regions.dataset].into_iter().for_each(String::clear);
        config.emotion =
            crate::config::EmotionConfig { weights: String::new(), mean: String::new() };
        config.cam.maps.clear();
        config.association = AssociationConfig::default();
        // By way of the text, in which an f32 has its own few digits rather than those of an f64.
        let text = serde_json::to_string(&config).expect("a configuration is plain data");
        let table: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
            serde_json::from_str(&text).expect("a configuration is a table of tables");
        let entries = |(section, keys): (&String, &BTreeMap<String, serde_json::Value>)| -> Vec<(String, String)> {
            keys.iter().map(|(key, value)| (format!("{section}.{key}"), value.to_string())).collect()
        };
        table.iter().flat_map(entries).collect()
    };
    let now = flat(now);
    flat(then)
        .into_iter()
        .map(|(key, then)| {
            let now = now.get(&key).cloned().unwrap_or_default();
            (key, then, now)
        })
        .collect()
}
