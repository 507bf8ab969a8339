//! What a run does: the paper's preset, changed by a TOML file, changed by flags.

mod association;

pub use association::{AssociationConfig, BackgroundRow, HeatmapKind, Nested};

use crate::attribution::external::{MapFolder, check_different};
use crate::attribution::{
    ClassChoice, Compat, HiddenFill, HiddenPlace, LayerPoint, LrpRule, Method, Needs, Options, Sign, Target,
};
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
    /// Decode large JPEGs at a half, a quarter or an eighth of their size, when that is enough for both networks.
    pub fast_decode: bool,
}

impl CorpusConfig {
    /// How pictures are decoded for networks that take so much of them.
    pub fn decoding(&self, enough: Enough) -> DecodeOptions {
        let &Self { ignore_exif, fast_decode } = self;
        DecodeOptions { ignore_exif, enough: fast_decode.then_some(enough), ..DecodeOptions::default() }
    }
}

/// `[detector]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectorConfig {
    /// Darknet's description of the network, or a network that Ultralytics has exported as TorchScript.
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
    /// Run the network on the picture's content alone, its sides rounded up to the network's stride, without the bars.
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
        Thresholds { class_scores: self.class_scores, confidence: self.confidence, nms_iou: self.nms_iou }
    }

    /// What a Darknet network is told.
    pub fn settings(&self, precision: Precision) -> DarknetSettings {
        let &Self { rect, letterbox_filter: filter, .. } = self;
        DarknetSettings { thresholds: self.thresholds(), precision, rect, filter, fill: self.fill() }
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
    /// A file of regions, or the folder of an earlier run, in place of the detector; empty: the detector finds them.
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
    /// The mean image's text file; empty: what the checkpoint or its description says, or `img_mean.txt` beside a
    /// checkpoint that needs one.
    pub mean: String,
}

impl Default for EmotionConfig {
    fn default() -> Self {
        Self { weights: "emonet.pth".into(), mean: String::new() }
    }
}

/// `[cam]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CamConfig {
    /// One map a method.
    pub methods: Vec<Method>,
    /// Of a network with several streams those at whose last convolution it is explained, each by all methods; empty:
    /// at its first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<String>,
    /// Maps from elsewhere, each folder of them one more method, behind `methods`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<MapFolder>,
    /// Which score is explained.
    pub target: Target,
    /// A label: the score is the explained class's logit less that of this label. Empty: none.
    pub contrast: String,
    /// What speaks for the score, or what speaks against it.
    pub sign: Sign,
    /// Of which class.
    pub class: ClassChoice,
    /// On which side of the last convolution's ReLU the explained activation lies.
    pub layer_point: LayerPoint,
    /// LIME-CAM, LRP-CAM, LIFT-CAM and DnCShap as defined, or as published.
    pub compat: Compat,
    /// LRP-CAM's rule.
    pub lrp_rule: LrpRule,
    /// Orders in which Shapley-CAM adds the channels, an even number.
    pub permutations: usize,
    /// LIME-CAM fits until the standard error of a picture's channel weights is at most this share of their norm.
    pub lime_error: f32,
    /// Evaluations of the score for a picture, by dnc-shap and object-shap.
    pub evaluations: usize,
    /// What dnc-shap and object-shap put in place of what they hide.
    pub fill: HiddenFill,
    /// Where dnc-shap hides: in the picture, in the explained activation, or in the output of a named layer.
    pub at_layer: HiddenPlace,
    /// Regions less confident than this are no players of object-shap.
    pub player_confidence: f32,
    /// Seed of the methods that draw at random.
    pub seed: u64,
    /// Which channels respond to which objects, by every method that weighs channels (`emocam analyze`).
    pub filters: bool,
}

impl Default for CamConfig {
    fn default() -> Self {
        let options = Options::default();
        Self {
            methods: vec![Method::GRAD_CAM],
            streams: Vec::new(),
            maps: Vec::new(),
            target: options.target,
            contrast: options.contrast,
            sign: options.sign,
            class: ClassChoice::Predicted,
            layer_point: options.layer_point,
            compat: options.compat,
            lrp_rule: options.lrp_rule,
            permutations: options.permutations,
            lime_error: options.lime_error,
            evaluations: options.evaluations,
            fill: options.fill,
            at_layer: options.at_layer,
            player_confidence: 0.25,
            seed: 1,
            filters: false,
        }
    }
}

impl CamConfig {
    /// The method of each map of a picture that is computed, in their order: all methods, for each stream.
    pub fn methods_of_maps(&self) -> Vec<Method> {
        self.methods.repeat(self.streams.len().max(1))
    }

    /// The names of all maps of a picture, in their order: of the methods, with `@` and the stream's name where there
    /// are several streams, then of the maps from elsewhere.
    pub fn names(&self) -> Vec<String> {
        let computed: Vec<String> = match self.streams.as_slice() {
            [] | [_] => self.methods.iter().map(ToString::to_string).collect(),
            streams => {
                let names = |stream: &String| {
                    self.methods.iter().map(|method| format!("{method}@{stream}")).collect::<Vec<_>>()
                };
                streams.iter().flat_map(names).collect()
            }
        };
        computed.into_iter().chain(self.maps.iter().map(|maps| maps.name().to_string())).collect()
    }

    /// Refuses several streams, for commands that judge the maps of one.
    ///
    /// # Errors
    /// [`Error::Setting`] that names them.
    pub fn check_one_stream(&self) -> Result<()> {
        match self.streams.len() {
            0 | 1 => Ok(()),
            _ => {
                Err(Error::Setting(format!("one stream is judged at a time: name one of {}", self.streams.join(", "))))
            }
        }
    }

    /// Refuses what cannot be with several streams.
    fn check_streams(&self) -> Result<()> {
        if let Some(twice) =
            (1..self.streams.len()).find(|&number| self.streams[..number].contains(&self.streams[number]))
        {
            return Err(Error::Setting(format!("the stream {} is named twice", self.streams[twice])));
        }
        if self.streams.len() < 2 {
            return Ok(());
        }
        if self.filters {
            return Err(Error::Setting("filters are those of one stream: name one".into()));
        }
        let whole = |method: &&Method| matches!(method.row().needs, Needs::MaskedInputs | Needs::Regions);
        match self.methods.iter().find(whole) {
            Some(method) => Err(Error::Setting(format!(
                "{method} asks the whole network what parts of the picture are worth, whatever the stream: name one \
                 stream, \
                 or leave the method out"
            ))),
            None => Ok(()),
        }
    }

    /// What the methods are told.
    pub fn options(&self) -> Options {
        Options {
            target: self.target,
            contrast: self.contrast.clone(),
            sign: self.sign,
            layer_point: self.layer_point,
            compat: self.compat,
            lrp_rule: self.lrp_rule,
            permutations: self.permutations,
            lime_error: self.lime_error,
            evaluations: self.evaluations,
            fill: self.fill,
            at_layer: self.at_layer.clone(),
        }
    }
}

impl CamConfig {
    /// Refuses maps of anything but what speaks for a label, for commands that compare maps with its probability.
    ///
    /// # Errors
    /// [`Error::Setting`] that names what is asked for.
    pub fn check_explains_label(&self) -> Result<()> {
        let asked = match (self.target, self.sign) {
            (Target::Valence, _) => "--target valence".into(),
            (Target::Arousal, _) => "--target arousal".into(),
            (_, Sign::Negative) => "--sign negative".into(),
            _ if !self.contrast.is_empty() => format!("--contrast {}", self.contrast),
            _ => return Ok(()),
        };
        Err(Error::Setting(format!(
            "maps are judged here by the probability of the explained label, and {asked} explains something else: \
             leave it out"
        )))
    }

    /// Refuses scores that contradict each other.
    fn check_score(&self) -> Result<()> {
        self.options().check_contrast()?;
        let ClassChoice::Fixed(class) = &self.class else { return Ok(()) };
        let target = match self.target {
            Target::Preset | Target::Probability | Target::Logit => return Ok(()),
            Target::Valence => "valence",
            Target::Arousal => "arousal",
        };
        Err(Error::Setting(format!(
            "class `{class}` with target {target}, which is computed from all labels: leave one of them out"
        )))
    }
}

/// `[compute]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComputeConfig {
    /// Number format inside the detector.
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
    /// With batches no larger than `images` fill, but for the usual size: what is missing of a batch is filled up with
    /// copies, so that its size never follows how many pictures happen to be left.
    pub fn for_images(&mut self, images: usize) {
        self.batch = self.batch.min(images.max(Self::default().batch));
    }
}

impl Config {
    /// The preset, changed by what `file` says. Paths in it that exist relative to it become paths from here; other
    /// names are left to be looked up in the models folder.
    ///
    /// # Errors
    /// The file cannot be read, or has a key or value that is not known, with its line.
    pub fn load(file: &Path) -> Result<Self> {
        Self::parse(&read_text(file)?, file)
    }

    /// What `emocam validate --decide` found right more often than the paper's rule in the single scenes of every drawn
    /// world: the values of configs/robust.toml.
    pub fn robust() -> Self {
        let text = include_str!("../configs/robust.toml");
        Self::parse(text, Path::new("robust.toml")).expect("the embedded file is checked by a test")
    }

    fn parse(text: &str, file: &Path) -> Result<Self> {
        let failed = |error: toml::de::Error| Error::file(file, format!("not a configuration: {error}"));
        let mut config: Self = toml::from_str(text).map_err(failed)?;
        let written: toml::Table = toml::from_str(text).map_err(failed)?;
        if written.get("association").is_none_or(|association| association.get("importance").is_none()) {
            config.association.importance = config.association.score.default_importance();
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        let DetectorConfig { cfg, weights, names, .. } = &mut config.detector;
        let RegionsConfig { file: regions, dataset, .. } = &mut config.regions;
        let emotion = &mut config.emotion;
        let nested = &mut config.association.nested_table;
        let files = [cfg, weights, names, regions, dataset, &mut emotion.weights, &mut emotion.mean, nested];
        for name in files.into_iter().chain(config.cam.maps.iter_mut().map(|maps| &mut maps.folder)) {
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
            return Err(Error::Setting("no CAM method is named: give at least one with --cam".into()));
        }
        if let Some(twice) = (1..cam.methods.len()).find(|&at| cam.methods[..at].contains(&cam.methods[at])) {
            return Err(Error::Setting(format!("the CAM method {} is named twice", cam.methods[twice])));
        }
        cam.check_score()?;
        cam.check_streams()?;
        check_different(&cam.maps).map_err(Error::Setting)?;
        if cam.filters && !cam.methods.iter().any(|method| method.weighs_channels()) {
            let able = Method::all().into_iter().filter(|method| method.weighs_channels());
            let able: Vec<&str> = able.map(Method::name).collect();
            return Err(Error::Setting(format!(
                "filters need a method that weighs channels, and none of those named does: add one of {}",
                able.join(", ")
            )));
        }
        if !(2..=100_000).contains(&cam.permutations) || cam.permutations % 2 == 1 {
            let found = cam.permutations;
            return Err(Error::Setting(format!("permutations should be an even number from 2 on, found {found}")));
        }
        if !(0.01..=1.0).contains(&cam.lime_error) {
            let found = cam.lime_error;
            return Err(Error::Setting(format!("lime_error should be from 0.01 to 1, found {found}")));
        }
        if !(2..=1_000_000).contains(&cam.evaluations) {
            let found = cam.evaluations;
            return Err(Error::Setting(format!("evaluations should be from 2 to 1000000, found {found}")));
        }
        if !(1..=4096).contains(&compute.batch) {
            return Err(Error::Setting(format!("batch should be from 1 to 4096, found {}", compute.batch)));
        }
        association.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::ScoreRule;

    #[test]
    fn the_robust_preset_is_the_paper_s_but_for_method_and_score() {
        let Config { cam, association, .. } = Config::robust();
        let rule = (association.score, association.importance);
        assert_eq!((cam.names(), rule), (vec!["ablation-cam".to_string()], (ScoreRule::Max, 0.8)));
        let paper = Config::default();
        let cam = CamConfig { methods: paper.cam.methods.clone(), ..cam };
        let association = AssociationConfig { score: ScoreRule::Mean, importance: 0.3, ..association };
        assert_eq!(Config { cam, association, ..Config::robust() }, paper);
    }

    #[test]
    fn the_file_that_spells_out_the_preset_is_the_preset() {
        let spelled = toml::from_str::<toml::Table>(include_str!("../configs/paper.toml")).unwrap();
        let default = toml::Table::try_from(Config::default()).unwrap();
        // Every key is spelled out, none is left to a default.
        let keys = |table: &toml::Table| -> Vec<(String, Vec<String>)> {
            table.iter().map(|(k, v)| (k.clone(), v.as_table().unwrap().keys().cloned().collect())).collect()
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
        assert_eq!(Config::load(&file).unwrap().cam.class, ClassChoice::Fixed("99".into()), "as --class 99");
        for (text, words) in [
            ("[detector]\nconfidance = 1", "confidance"),
            ("[detector]\nconfidence = 2.0", "from 0 to 1"),
            ("[cam]\nmethods = ['x']", "x"),
            ("[cam]\nclass = -1", "`class` should be `predicted`, a label or the index of one, found -1"),
        ] {
            std::fs::write(&file, text).unwrap();
            let message = Config::load(&file).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
