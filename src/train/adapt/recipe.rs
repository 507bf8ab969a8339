//! How a network is adapted, as a file: `configs/adapt.toml` explains every key.

use super::discrepancy::DiscrepancyKind;
use crate::files::read_text;
use crate::networks::fer_net::Features;
use crate::train::data::feed::Augmentation;
use crate::train::data::{DataConfig, DrawnConfig, SplitConfig};
use crate::train::fer::check_frozen;
use crate::train::fitting::{KeptEpoch, TrainingConfig};
use crate::train::relative_to;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::{TchError, Tensor};

/// A recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptRecipe {
    /// The faces.
    pub source: DomainConfig,
    /// The pictures.
    pub target: DomainConfig,
    /// What is changed of the network.
    pub network: PartConfig,
    /// What draws the two together.
    pub discrepancy: DiscrepancyConfig,
    /// How pictures of both are changed while they are learnt from.
    pub augmentation: Augmentation,
    /// How long, how fast, with which loss.
    pub training: TrainingConfig,
    /// What `--study` compares.
    pub study: AdaptStudyConfig,
}

/// `[source]` and `[target]`: where labels stand, and which pictures are for what.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DomainConfig {
    /// Where labels stand.
    pub data: DataConfig,
    /// Which pictures are for what.
    pub split: SplitConfig,
    /// How many scenes, where the data are the drawn world.
    pub drawn: DrawnConfig,
}

/// `[network]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartConfig {
    /// How many blocks of the trunk are not changed.
    pub frozen_blocks: usize,
}

/// `[discrepancy]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscrepancyConfig {
    /// Which distance.
    pub kind: DiscrepancyKind,
    /// Of which layers' features; the distances are added up.
    pub layers: Vec<ComparedLayer>,
    /// Beside the classification's loss.
    pub weight: f64,
    /// Share of the steps in which the weight rises from 0.
    pub warm_up: f64,
}

impl Default for DiscrepancyConfig {
    fn default() -> Self {
        let layers = vec![ComparedLayer::Sum, ComparedLayer::Hidden1, ComparedLayer::Hidden2];
        Self { kind: DiscrepancyKind::Mmd, layers, weight: 1.0, warm_up: 0.3 }
    }
}

/// A layer whose features are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComparedLayer {
    /// Trunk and branches added up, the mean over all places.
    Sum,
    /// The first hidden layer.
    Hidden1,
    /// The second hidden layer.
    Hidden2,
}

impl ComparedLayer {
    /// Its name, as the network's inner layer has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Hidden1 => "hidden1",
            Self::Hidden2 => "hidden2",
        }
    }

    /// Its features (N, numbers).
    ///
    /// # Errors
    /// No memory.
    pub fn features(self, all: &Features) -> Result<Tensor, TchError> {
        match self {
            Self::Sum => all.sum.f_mean_dim([2_i64, 3].as_slice(), false, all.sum.kind()),
            Self::Hidden1 => Ok(all.hidden[0].shallow_clone()),
            Self::Hidden2 => Ok(all.hidden[1].shallow_clone()),
        }
    }
}

/// `[study]`: what `--study` compares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptStudyConfig {
    /// How many pictures of the target have a label.
    pub labelled: Vec<usize>,
    /// How often each network is trained, by seeds from `[training] seed` on.
    pub repeats: u64,
    /// With which distances.
    pub kinds: Vec<DiscrepancyKind>,
}

impl Default for AdaptStudyConfig {
    fn default() -> Self {
        let kinds = vec![DiscrepancyKind::None, DiscrepancyKind::Mmd];
        Self { labelled: vec![50, 200, 1000], repeats: 5, kinds }
    }
}

impl Default for AdaptRecipe {
    fn default() -> Self {
        Self {
            source: DomainConfig::default(),
            target: DomainConfig::default(),
            network: PartConfig::default(),
            discrepancy: DiscrepancyConfig::default(),
            augmentation: Augmentation { mirror: true, ..Augmentation::NONE },
            training: TrainingConfig {
                rate: 1e-4,
                weight_decay: 0.0,
                keep: KeptEpoch::Last,
                ..TrainingConfig::default()
            },
            study: AdaptStudyConfig::default(),
        }
    }
}

impl AdaptRecipe {
    /// The recipe in a file. Names of files in it that exist relative to it become paths from here.
    ///
    /// # Errors
    /// The file cannot be read, or has a key or value that is not known.
    pub fn load(file: &Path) -> Result<Self> {
        let mut recipe: Self = toml::from_str(&read_text(file)?).map_err(|error| {
            Error::file(file, format!("not a recipe of an adaptation: {error}"))
        })?;
        relative_to(file, [&mut recipe.source.split.files, &mut recipe.target.split.files]);
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
        check_frozen(self.network.frozen_blocks)?;
        let refuse = |message: String| Err(Error::Setting(message));
        let DiscrepancyConfig { layers, weight, warm_up, .. } = &self.discrepancy;
        if layers.is_empty() {
            return refuse(
                "[discrepancy] layers should name a layer or more: sum, hidden1, hidden2".into(),
            );
        }
        if !(weight.is_finite() && *weight >= 0.0 && (0.0..=1.0).contains(warm_up)) {
            return refuse(format!(
                "[discrepancy] weight should be 0 or more and warm_up from 0 to 1, found {weight} \
                 and {warm_up}"
            ));
        }
        if self.training.batch < 8 {
            return refuse(format!(
                "[training] batch should be at least 8: half of it are faces, a quarter pictures \
                 with a label; found {}",
                self.training.batch
            ));
        }
        let AdaptStudyConfig { labelled, repeats, kinds } = &self.study;
        if *repeats < 2 || labelled.is_empty() || kinds.is_empty() {
            return refuse("[study] should have labelled, kinds, and repeats of at least 2".into());
        }
        let twice = (1..labelled.len()).any(|place| labelled[..place].contains(&labelled[place]))
            || (1..kinds.len()).any(|place| kinds[..place].contains(&kinds[place]));
        match twice {
            true => refuse(
                "[study] labelled and kinds should name each number and each distance once".into(),
            ),
            false => Ok(()),
        }
    }
}
