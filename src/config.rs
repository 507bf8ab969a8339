//! What a run does: the paper's preset, changed by a TOML file, changed by flags.

mod association;
mod cam;

pub use association::{AssociationConfig, BackgroundRow, HeatmapKind, Nested};
pub use cam::CamConfig;

use crate::attribution::Method;
use crate::attribution::external::check_different;
use crate::corpus::{DecodeOptions, Enough};
use crate::files::read_text;
use crate::image::LetterboxFilter;
use crate::nn::Precision;
use crate::regions::darknet::{ClassScores, DarknetSettings, Thresholds};
use crate::score::BoxArea;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// All settings; the default is the paper's preset, spelled out in `configs/paper.toml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How pictures are read.
    pub corpus: CorpusConfig,
    /// The detector.
    pub detector: DetectorConfig,
    /// Regions from elsewhere, and which part of a region counts.
    pub regions: RegionsConfig,
    /// The explained model.
    pub emotion: EmotionConfig,
    /// The activation maps.
    pub cam: CamConfig,
    /// How the networks compute.
    pub compute: ComputeConfig,
    /// From records to the matrix; can be changed afterwards with `emocam associate`.
    pub association: AssociationConfig,
}

/// `[corpus]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusConfig {
    /// Leave pictures as their pixels lie, as the published code does.
    pub ignore_exif: bool,
    /// Decode large JPEGs at a half, a quarter or an eighth of their size, when that is enough for
    /// both networks.
    pub fast_decode: bool,
}

impl CorpusConfig {
    /// How pictures are decoded for networks that take so much of them.
    pub fn decoding(&self, enough: Enough) -> DecodeOptions {
        let &Self { ignore_exif, fast_decode } = self;
        DecodeOptions {
            ignore_exif,
            enough: fast_decode.then_some(enough),
            ..DecodeOptions::default()
        }
    }
}

/// `[detector]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectorConfig {
    /// Darknet's description of the network, or a network that Ultralytics has exported as
    /// TorchScript.
    pub cfg: String,
    /// Darknet's weights of it; a TorchScript file has its own.
    pub weights: String,
    /// Names of its classes, one a line; a TorchScript file has its own.
    pub names: String,
    /// How class numbers become labels.
    pub class_scores: ClassScores,
    /// Labels must be more confident than this.
    pub confidence: f32,
    /// Boxes of a class that overlap more than this are suppressed.
    pub nms_iou: f32,
    /// How the picture is resized into the letterbox.
    pub letterbox_filter: LetterboxFilter,
    /// Grey level of the bars, 0 (black) to 1.
    pub letterbox_fill: f32,
    /// Run the network on the picture's content alone, its sides rounded up to the network's
    /// stride, without the bars.
    pub rect: bool,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self {
            cfg: "yolov3-openimages.cfg".into(),
            weights: "yolov3-openimages.weights".into(),
            names: "openimages.names".into(),
            class_scores: ClassScores::Softmax,
            confidence: 0.005,
            nms_iou: 0.005,
            letterbox_filter: LetterboxFilter::Bicubic,
            letterbox_fill: 0.0,
            rect: false,
        }
    }
}

impl DetectorConfig {
    /// The thresholds alone.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            class_scores: self.class_scores,
            confidence: self.confidence,
            nms_iou: self.nms_iou,
        }
    }

    /// What a Darknet network is told.
    pub fn settings(&self, precision: Precision) -> DarknetSettings {
        let &Self { rect, letterbox_filter: filter, .. } = self;
        DarknetSettings {
            thresholds: self.thresholds(),
            precision,
            rect,
            filter,
            fill: self.fill(),
        }
    }

    /// The bars' grey level as a byte, cut off as Lightnet does: 127 for 0.5.
    pub fn fill(&self) -> u8 {
        (self.letterbox_fill * 255.0) as u8
    }
}

/// `[regions]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegionsConfig {
    /// A file of regions, or the folder of an earlier run, in place of the detector; empty: the
    /// detector finds them.
    pub file: String,
    /// The COCO data set that a file of COCO results belongs to.
    pub dataset: String,
    /// What of a box that reaches beyond the picture counts as its area.
    pub box_area: BoxArea,
}

/// `[emotion]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmotionConfig {
    /// A checkpoint in either published layout, safetensors, or any network as a TorchScript file.
    pub weights: String,
    /// The mean image's text file; empty: what the checkpoint or its description says, or
    /// `img_mean.txt` beside a checkpoint that needs one.
    pub mean: String,
}

impl Default for EmotionConfig {
    fn default() -> Self {
        Self { weights: "emonet.pth".into(), mean: String::new() }
    }
}

/// `[compute]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComputeConfig {
    /// Number format inside the detector, behind missing channels, and in an evaluation of
    /// the network's answers for changed pictures.
    pub precision: Precision,
    /// Pictures a batch. The last digits of a result depend on it.
    pub batch: usize,
}

impl Default for ComputeConfig {
    fn default() -> Self {
        Self { precision: Precision::F32, batch: 4 }
    }
}

impl ComputeConfig {
    /// With batches no larger than `images` fill, but for the usual size: what is missing of a
    /// batch is filled up with copies, so that its size never follows how many pictures happen to
    /// be left.
    pub fn for_images(&mut self, images: usize) {
        self.batch = self.batch.min(images.max(Self::default().batch));
    }
}

impl Config {
    /// The preset, changed by what `file` says. Paths in it that exist relative to it become paths
    /// from here; other names are left to be looked up in the models folder.
    ///
    /// # Errors
    /// The file cannot be read, or has a key or value that is not known, with its line.
    pub fn load(file: &Path) -> Result<Self> {
        Self::parse(&read_text(file)?, file)
    }

    /// What `emocam validate --decide` found right more often than the paper's rule in the single
    /// scenes of every drawn world: the values of configs/robust.toml.
    pub fn robust() -> Self {
        let text = include_str!("../configs/robust.toml");
        Self::parse(text, Path::new("robust.toml")).expect("the embedded file is checked by a test")
    }

    fn parse(text: &str, file: &Path) -> Result<Self> {
        let failed =
            |error: toml::de::Error| Error::file(file, format!("not a configuration: {error}"));
        let mut config: Self = toml::from_str(text).map_err(failed)?;
        let written: toml::Table = toml::from_str(text).map_err(failed)?;
        if written
            .get("association")
            .is_none_or(|association| association.get("importance").is_none())
        {
            config.association.importance = config.association.score.default_importance();
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        let DetectorConfig { cfg, weights, names, .. } = &mut config.detector;
        let RegionsConfig { file: regions, dataset, .. } = &mut config.regions;
        let emotion = &mut config.emotion;
        let nested = &mut config.association.nested_table;
        let files = [
            cfg,
            weights,
            names,
            regions,
            dataset,
            &mut emotion.weights,
            &mut emotion.mean,
            nested,
        ];
        for name in files.into_iter().chain(config.cam.maps.iter_mut().map(|maps| &mut maps.folder))
        {
            let beside = folder.join(&*name);
            if !name.is_empty() && beside.exists() {
                *name = beside.to_string_lossy().into_owned();
            }
        }
        config.check()?;
        Ok(config)
    }

    /// Refuses values no run can use.
    ///
    /// # Errors
    /// [`Error::Setting`], naming key, value and range.
    pub fn check(&self) -> Result<()> {
        let Self { detector, cam, compute, association, .. } = self;
        for (key, value) in [
            ("confidence", detector.confidence),
            ("nms_iou", detector.nms_iou),
            ("letterbox_fill", detector.letterbox_fill),
            ("player_confidence", cam.player_confidence),
            ("min_confidence", association.min_confidence),
            ("min_margin", association.min_margin),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::Setting(format!("{key} should be from 0 to 1, found {value}")));
            }
        }
        if cam.methods.is_empty() && cam.maps.is_empty() {
            return Err(Error::Setting(
                "no CAM method is named: give at least one with --cam".into(),
            ));
        }
        if let Some(twice) =
            (1..cam.methods.len()).find(|&at| cam.methods[..at].contains(&cam.methods[at]))
        {
            return Err(Error::Setting(format!(
                "the CAM method {} is named twice",
                cam.methods[twice]
            )));
        }
        cam.check_score()?;
        cam.check_streams()?;
        check_different(&cam.maps).map_err(Error::Setting)?;
        if cam.filters && !cam.methods.iter().any(|method| method.weighs_channels()) {
            let able = Method::all().into_iter().filter(|method| method.weighs_channels());
            let able: Vec<&str> = able.map(Method::name).collect();
            return Err(Error::Setting(format!(
                "filters need a method that weighs channels, and none of those named does: add one \
                 of {}",
                able.join(", ")
            )));
        }
        if !(2..=100_000).contains(&cam.permutations) || cam.permutations % 2 == 1 {
            let found = cam.permutations;
            return Err(Error::Setting(format!(
                "permutations should be an even number from 2 on, found {found}"
            )));
        }
        if !(0.01..=1.0).contains(&cam.lime_error) {
            let found = cam.lime_error;
            return Err(Error::Setting(format!(
                "lime_error should be from 0.01 to 1, found {found}"
            )));
        }
        if !(2..=1_000_000).contains(&cam.evaluations) {
            let found = cam.evaluations;
            return Err(Error::Setting(format!(
                "evaluations should be from 2 to 1000000, found {found}"
            )));
        }
        if !(1..=4096).contains(&compute.batch) {
            return Err(Error::Setting(format!(
                "batch should be from 1 to 4096, found {}",
                compute.batch
            )));
        }
        association.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::ClassChoice;
    use crate::score::ScoreRule;

    #[test]
    fn the_robust_preset_is_the_paper_s_but_for_method_and_score() {
        let Config { cam, association, .. } = Config::robust();
        let rule = (association.score, association.importance);
        assert_eq!((cam.names(), rule), (vec!["ablation-cam".to_string()], (ScoreRule::Max, 0.8)));
        let paper = Config::default();
        let cam = CamConfig { methods: paper.cam.methods.clone(), ..cam };
        let association =
            AssociationConfig { score: ScoreRule::Mean, importance: 0.3, ..association };
        assert_eq!(Config { cam, association, ..Config::robust() }, paper);
    }

    #[test]
    fn the_file_that_spells_out_the_preset_is_the_preset() {
        let spelled = toml::from_str::<toml::Table>(include_str!("../configs/paper.toml")).unwrap();
        let default = toml::Table::try_from(Config::default()).unwrap();
        // Every key is spelled out, none is left to a default.
        let keys = |table: &toml::Table| -> Vec<(String, Vec<String>)> {
            table
                .iter()
                .map(|(k, v)| (k.clone(), v.as_table().unwrap().keys().cloned().collect()))
                .collect()
        };
        assert_eq!(keys(&spelled), keys(&default));
        assert_eq!(spelled.try_into::<Config>().unwrap(), Config::default());
    }

    #[test]
    fn a_file_changes_what_it_names_and_its_paths_are_relative_to_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("my.weights"), b"").unwrap();
        let file = folder.path().join("mine.toml");
        std::fs::write(&file, "[detector]\nweights = 'my.weights'\nconfidence = 0.25\n").unwrap();
        let config = Config::load(&file).unwrap();
        assert_eq!(config.detector.weights, folder.path().join("my.weights").to_string_lossy());
        assert_eq!(config.detector.cfg, "yolov3-openimages.cfg");
        assert_eq!(config.detector.nms_iou, 0.005);
        std::fs::write(&file, "[cam]\nclass = 99\n").unwrap();
        assert_eq!(
            Config::load(&file).unwrap().cam.class,
            ClassChoice::Fixed("99".into()),
            "as --class 99"
        );
        for (text, words) in [
            ("[detector]\nconfidance = 1", "confidance"),
            ("[detector]\nconfidence = 2.0", "from 0 to 1"),
            ("[cam]\nmethods = ['x']", "x"),
            (
                "[cam]\nclass = -1",
                "`class` should be `predicted`, a label or the index of one, found -1",
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            let message = Config::load(&file).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
