//! How a Multi-GAP network is trained, as a file: `configs/multi-gap.toml` explains every key.

use crate::files::read_text;
use crate::image::{Filter, Fit, Resize, Size};
use crate::networks::ChannelOrder;
use crate::networks::backbone::BackboneKind;
use crate::networks::multi_gap::{Dependency, Fusion, StreamDescription};
use crate::train::data::feed::Augmentation;
use crate::train::data::pairs::PairsConfig;
use crate::train::data::{DataConfig, DrawnConfig, SplitConfig};
use crate::train::fitting::TrainingConfig;
use crate::train::relative_to;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The name of the stream of adjective-noun pairs among others.
pub const ANP: &str = "anp";

/// A recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// What is trained without `--study`.
    pub network: NetworkConfig,
    /// Streams by their names.
    pub stream: BTreeMap<String, StreamConfig>,
    /// Adjective-noun pairs from a file.
    pub anp: PairsConfig,
    /// Where labels stand.
    pub data: DataConfig,
    /// Which pictures are for what.
    pub split: SplitConfig,
    /// How many scenes, where the data are the drawn world.
    pub drawn: DrawnConfig,
    /// How pictures are changed while they are learnt from.
    pub augmentation: Augmentation,
    /// Training of whole networks.
    pub training: TrainingConfig,
    /// Training of what stands on backbones that are left as they are, and of adjective-noun pairs.
    pub heads: TrainingConfig,
    /// What `--study` makes of it.
    pub study: StudyConfig,
}

/// `[network]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Names of the streams, `anp` for adjective-noun pairs.
    pub streams: Vec<String>,
    /// How several become one.
    pub fusion: Fusion,
    /// Weights of networks trained before, whose tensors are the first ones of this.
    pub initial: Vec<String>,
    /// What is changed.
    pub trained: Part,
    /// Rows and columns of the input.
    pub input: [u32; 2],
    /// What happens to a picture's shape.
    pub resize: Resize,
    /// The share of a picture kept by `resize = "center-crop"`.
    pub crop: f64,
    /// How pixels are resampled.
    pub filter: Filter,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            streams: vec!["object".into()],
            fusion: Fusion::Single,
            initial: Vec::new(),
            trained: Part::All,
            input: [224, 224],
            resize: Resize::Squash,
            crop: 1.0,
            filter: Filter::Bicubic,
        }
    }
}

impl NetworkConfig {
    /// How a picture is brought to the input.
    pub fn fit(&self) -> Fit {
        let [rows, columns] = self.input;
        Fit {
            resize: self.resize,
            crop: self.crop,
            filter: self.filter,
            input: Size::new(columns, rows),
        }
    }
}

/// What a training changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Everything.
    #[default]
    All,
    /// What stands on the backbones; these are run once a picture.
    Heads,
    /// The classifier over all streams.
    Fusion,
}

/// `[stream.NAME]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// What it is built on.
    pub backbone: BackboneKind,
    /// The backbone's first weights, with torchvision's names or of a network that was trained
    /// here; empty: random numbers.
    #[serde(default)]
    pub weights: String,
    /// Channels as a multiple of the published network's.
    #[serde(default = "one")]
    pub width: f64,
    /// Blocks that are there, counted from the picture.
    #[serde(default = "five")]
    pub blocks: usize,
    /// How the blocks' features depend on each other.
    #[serde(default)]
    pub dependency: Dependency,
    /// Units of the recurrent layer in each direction.
    #[serde(default = "units")]
    pub units: i64,
    /// Pixel values are divided by this.
    #[serde(default = "scale")]
    pub scale: f32,
    /// What is subtracted then; ImageNet's unless it is said.
    #[serde(default = "imagenet_mean")]
    pub mean: [f32; 3],
    /// What each channel is divided by; ImageNet's unless it is said.
    #[serde(default = "imagenet_std")]
    pub std: [f32; 3],
    /// The order of the channels.
    #[serde(default)]
    pub channels: ChannelOrder,
}

fn one() -> f64 {
    1.0
}

fn five() -> usize {
    5
}

fn units() -> i64 {
    32
}

fn scale() -> f32 {
    255.0
}

fn imagenet_mean() -> [f32; 3] {
    [0.485, 0.456, 0.406]
}

fn imagenet_std() -> [f32; 3] {
    [0.229, 0.224, 0.225]
}

impl StreamConfig {
    /// On this backbone, with torchvision's normalisation and random weights.
    fn on(backbone: BackboneKind) -> Self {
        Self {
            backbone,
            weights: String::new(),
            width: one(),
            blocks: five(),
            dependency: Dependency::None,
            units: units(),
            scale: scale(),
            mean: imagenet_mean(),
            std: imagenet_std(),
            channels: ChannelOrder::Rgb,
        }
    }

    /// The stream called `name` as a network's card has it.
    pub fn describe(&self, name: &str) -> StreamDescription {
        StreamDescription {
            name: name.into(),
            backbone: self.backbone,
            width: self.width,
            blocks: self.blocks,
            dependency: self.dependency,
            units: self.units,
            scale: self.scale,
            mean: self.mean,
            std: self.std,
            channels: self.channels,
        }
    }
}

/// `[study]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudyConfig {
    /// What of the networks with a GRU, with attention and with fewer blocks is trained: all of it,
    /// anew; or what stands on the backbone that the stream's plain network has learnt.
    pub variants: Part,
}

impl Default for Recipe {
    fn default() -> Self {
        let stream = [("object", BackboneKind::MobilenetV2), ("places", BackboneKind::Vgg16)];
        Self {
            network: NetworkConfig::default(),
            stream: stream
                .map(|(name, backbone)| (name.to_string(), StreamConfig::on(backbone)))
                .into(),
            anp: PairsConfig::default(),
            data: DataConfig::default(),
            split: SplitConfig::default(),
            drawn: DrawnConfig::default(),
            augmentation: Augmentation::default(),
            training: TrainingConfig::default(),
            heads: TrainingConfig {
                epochs: 100,
                batch: 128,
                rate: 1e-3,
                ..TrainingConfig::default()
            },
            study: StudyConfig::default(),
        }
    }
}

impl Recipe {
    /// The recipe in a file. Names of files in it that exist relative to it become paths from here.
    ///
    /// # Errors
    /// The file cannot be read, or has a key or value that is not known.
    pub fn load(file: &Path) -> Result<Self> {
        let mut recipe: Self = toml::from_str(&read_text(file)?).map_err(|error| {
            Error::file(file, format!("not a recipe of a Multi-GAP network: {error}"))
        })?;
        let PairsConfig { file: pairs, names, pictures } = &mut recipe.anp;
        let weights = recipe.stream.values_mut().map(|stream| &mut stream.weights);
        let files = [pairs, names, pictures, &mut recipe.split.files].into_iter();
        relative_to(file, files.chain(weights).chain(&mut recipe.network.initial));
        recipe.check()?;
        Ok(recipe)
    }

    /// Refuses what cannot be.
    ///
    /// # Errors
    /// Which key it is, and what it should be.
    pub fn check(&self) -> Result<()> {
        self.augmentation.check().map_err(Error::Setting)?;
        self.training.check()?;
        self.heads.check()?;
        for name in &self.network.streams {
            if name != ANP && !self.stream.contains_key(name) {
                let known: Vec<&str> =
                    self.stream.keys().map(String::as_str).chain([ANP]).collect();
                return Err(Error::Setting(format!(
                    "[network] streams: there is no [stream.{name}]; known: {}",
                    known.join(", ")
                )));
            }
        }
        match self.study.variants {
            Part::Fusion => Err(Error::Setting("[study] variants should be all or heads".into())),
            _ => Ok(()),
        }
    }
}
