//! How a network of facial expressions is trained, as a file: `configs/fer.toml` explains every
//! key.

use crate::files::read_text;
use crate::image::{Filter, Fit, Resize, Size};
use crate::networks::backbone::BLOCKS;
use crate::networks::fer_net::FerNetDescription;
use crate::networks::{Architecture, Card, ChannelOrder, Mean};
use crate::train::data::feed::Augmentation;
use crate::train::data::{DataConfig, DrawnConfig, SplitConfig};
use crate::train::fitting::descent::DescentKind;
use crate::train::fitting::{Plateau, RateSchedule, TrainingConfig};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FerRecipe {
    /// What is trained.
    pub network: FerNetworkConfig,
    /// Where labels stand.
    pub data: DataConfig,
    /// Which pictures are for what.
    pub split: SplitConfig,
    /// How many faces, where the data are the drawn world.
    pub drawn: DrawnConfig,
    /// How pictures are changed while they are learnt from.
    pub augmentation: Augmentation,
    /// How long, how fast, with which loss.
    pub training: TrainingConfig,
    /// What differs with `--folds`.
    pub folds: FoldsConfig,
}

/// `[network]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FerNetworkConfig {
    /// Channels as a multiple of the published network's.
    pub width: f64,
    /// Units of each hidden layer.
    pub units: i64,
    /// The trunk's first weights: torchvision's VGG16, or a network that was trained here; empty:
    /// random numbers.
    pub weights: String,
    /// How many blocks of the trunk are not changed.
    pub frozen_blocks: usize,
    /// Rows and columns of the input, multiples of 32.
    pub input: [u32; 2],
    /// What happens to a picture's shape.
    pub resize: Resize,
    /// The share of a picture kept by `resize = "center-crop"`.
    pub crop: f64,
    /// How pixels are resampled.
    pub filter: Filter,
    /// Pixel values are divided by this,
    pub scale: f32,
    /// less this,
    pub mean: [f32; 3],
    /// divided by this.
    pub std: [f32; 3],
    /// The order of the channels, or `grey`.
    pub channels: ChannelOrder,
}

impl Default for FerNetworkConfig {
    fn default() -> Self {
        let FerNetDescription { width, units } = FerNetDescription::default();
        Self {
            width,
            units,
            weights: String::new(),
            frozen_blocks: 0,
            input: [224, 224],
            resize: Resize::Squash,
            crop: 1.0,
            filter: Filter::Bicubic,
            scale: 255.0,
            mean: [0.0; 3],
            std: [1.0; 3],
            channels: ChannelOrder::Grey,
        }
    }
}

/// `[folds]`: what differs with `--folds`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FoldsConfig {
    /// How the rate changes.
    pub schedule: RateSchedule,
}

impl Default for FoldsConfig {
    fn default() -> Self {
        Self { schedule: RateSchedule::Plateau }
    }
}

impl Default for FerRecipe {
    fn default() -> Self {
        Self {
            network: FerNetworkConfig::default(),
            data: DataConfig::default(),
            split: SplitConfig { test: 0.2, ..SplitConfig::default() },
            drawn: DrawnConfig::default(),
            augmentation: Augmentation { mirror: true, ..Augmentation::NONE },
            training: TrainingConfig {
                epochs: 80,
                batch: 16,
                // Without decay it is Adam.
                optimiser: DescentKind::AdamW,
                weight_decay: 0.0,
                rate: 3e-4,
                schedule: RateSchedule::Constant,
                warm_up: 0.0,
                largest_norm: 0.0,
                plateau: Plateau::default(),
                ..TrainingConfig::default()
            },
            folds: FoldsConfig::default(),
        }
    }
}

impl FerNetworkConfig {
    /// The card of a network with these labels.
    ///
    /// # Errors
    /// A key that cannot be.
    pub fn card(&self, labels: &[String]) -> Result<Card> {
        let [rows, columns] = self.input;
        let fit = Fit {
            resize: self.resize,
            crop: self.crop,
            filter: self.filter,
            input: Size::new(columns, rows),
        };
        let card = Card {
            architecture: Architecture::FerNet,
            fer_net: Some(FerNetDescription { width: self.width, units: self.units }),
            labels: labels.to_vec(),
            fit,
            scale: self.scale,
            mean: (self.mean != [0.0; 3]).then_some(Mean::Colour(self.mean)),
            std: (self.std != [1.0; 3]).then_some(self.std),
            channels: self.channels,
            ..Card::bare()
        };
        card.check().map_err(|message| Error::Setting(format!("[network] {message}")))?;
        Ok(card)
    }
}

impl FerRecipe {
    /// The recipe in a file. Names of files in it that exist relative to it become paths from here.
    ///
    /// # Errors
    /// The file cannot be read, or has a key or value that is not known.
    pub fn load(file: &Path) -> Result<Self> {
        let mut recipe: Self = toml::from_str(&read_text(file)?).map_err(|error| {
            Error::file(file, format!("not a recipe of a network of facial expressions: {error}"))
        })?;
        crate::train::relative_to(file, [&mut recipe.network.weights, &mut recipe.split.files]);
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
        check_frozen(self.network.frozen_blocks)
    }
}

/// Refuses more blocks than there are.
///
/// # Errors
/// It is more than five.
pub fn check_frozen(blocks: usize) -> Result<()> {
    match blocks {
        0..=BLOCKS => Ok(()),
        _ => Err(Error::Setting(format!(
            "frozen_blocks should be from 0 to {BLOCKS}, found {blocks}"
        ))),
    }
}
