//! What a card says of a Multi-GAP network: its streams and how they are brought together.

use crate::networks::backbone::{BLOCKS, BackboneKind};
use crate::networks::card::ChannelOrder;
use serde::{Deserialize, Serialize};

/// The most units and adjective-noun pairs that are believed.
const MAX_NUMBERS: i64 = 1 << 16;

/// `[multi_gap]` in a card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// How several streams become one answer.
    #[serde(default)]
    pub fusion: Fusion,
    /// How many adjective-noun pairs a picture is described by beside its pixels; 0: none.
    #[serde(default)]
    pub anp: i64,
    /// Networks that look at the picture.
    #[serde(default)]
    pub streams: Vec<StreamDescription>,
}

/// How several streams become one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// There is one stream: its own classifier answers.
    #[default]
    Single,
    /// One classifier over the features of all streams.
    Early,
    /// The mean of the probabilities that all streams' own classifiers give.
    Late,
}

/// One network that looks at the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamDescription {
    /// Its name, as `object` or `places`.
    pub name: String,
    /// What it is built on.
    pub backbone: BackboneKind,
    /// Channels as a multiple of the published network's.
    #[serde(default = "one")]
    pub width: f64,
    /// Blocks that are there, counted from the picture.
    #[serde(default = "all")]
    pub blocks: usize,
    /// How the blocks' features depend on each other.
    #[serde(default)]
    pub dependency: Dependency,
    /// Units of the recurrent layer in each direction.
    #[serde(default = "units")]
    pub units: i64,
    /// Pixel values 0..255 are divided by this first.
    #[serde(default = "scale")]
    pub scale: f32,
    /// What is subtracted then, in the order of `channels`.
    #[serde(default)]
    pub mean: [f32; 3],
    /// What each channel is divided by at last.
    #[serde(default = "ones")]
    pub std: [f32; 3],
    /// The order of the channels that the backbone was trained with.
    #[serde(default)]
    pub channels: ChannelOrder,
}

/// How the features of the blocks depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependency {
    /// They stand beside each other.
    #[default]
    None,
    /// A bidirectional GRU reads them from the picture upwards and back.
    Gru,
    /// The same, and each block's features are weighed by an attention of their own (the paper's
    /// equation 2).
    GruAttention,
}

fn one() -> f64 {
    1.0
}

fn all() -> usize {
    BLOCKS
}

fn units() -> i64 {
    32
}

fn scale() -> f32 {
    255.0
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

impl Description {
    /// Refuses what contradicts itself, in words that go behind a file's name.
    pub(in crate::networks) fn check(&self) -> Result<(), String> {
        let parts = self.streams.len() + usize::from(self.anp > 0);
        match (self.fusion, parts) {
            (_, 0) => return Err("`[multi_gap]` has neither `streams` nor `anp`".into()),
            (Fusion::Single, 2..) => {
                return Err(format!(
                    "`[multi_gap]` has {parts} streams: `fusion` should be early or late"
                ));
            }
            (Fusion::Early | Fusion::Late, 1) => {
                return Err(
                    "`[multi_gap]` has one stream, which there is nothing to fuse with: leave out \
                     `fusion`"
                        .into(),
                );
            }
            _ => {}
        }
        if !(0..=MAX_NUMBERS).contains(&self.anp) {
            return Err(format!("`anp` should be from 0 to {MAX_NUMBERS}, found {}", self.anp));
        }
        let mut seen = std::collections::BTreeSet::new();
        for stream in &self.streams {
            if !seen.insert(&stream.name) {
                return Err(format!("two streams are called `{}`", stream.name));
            }
            stream.check().map_err(|message| format!("stream `{}`: {message}", stream.name))?;
        }
        Ok(())
    }
}

impl StreamDescription {
    fn check(&self) -> Result<(), String> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err("a name is made of letters, digits, - and _".into());
        }
        if !(1..=BLOCKS).contains(&self.blocks) {
            return Err(format!("`blocks` should be from 1 to {BLOCKS}, found {}", self.blocks));
        }
        if !(self.width > 0.0 && self.width <= 4.0) {
            return Err(format!("`width` should be over 0 and at most 4, found {}", self.width));
        }
        if !(1..=MAX_NUMBERS).contains(&self.units) {
            return Err(format!("`units` should be from 1 to {MAX_NUMBERS}, found {}", self.units));
        }
        if let Some(wrong) =
            [self.scale].iter().chain(&self.std).find(|value| !(value.is_finite() && **value > 0.0))
        {
            return Err(format!(
                "pixels are divided by `scale` and `std`, which should be over 0, found {wrong}"
            ));
        }
        match self.mean.iter().all(|value| value.is_finite()) {
            true => Ok(()),
            false => Err(format!("`mean` should be three finite numbers, found {:?}", self.mean)),
        }
    }
}
