//! What a user must know of a network besides its weights: outputs, input and its preparation, the
//! explained layer.
//!
//! A card is `configs/emonet.toml`, a `.toml` of the same name beside a network's file, or the
//! entry `emocam.json` inside a TorchScript file; the keys are the same. In: text. Out: a [`Card`]
//! in which everything is resolved and checked.

mod check;
#[cfg(test)]
mod tests;
mod written;

use super::{Structure, fer_net, multi_gap};
use crate::files::read_text;
use crate::image::{Fit, Size};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use written::{TrainedCard, WrittenCard};

/// Which code runs the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Weights of an AlexNet, whose layers are this program's.
    #[default]
    AlexNet,
    /// A TorchScript file, which brings its own code.
    TorchScript,
    /// Weights of a Multi-GAP network, whose layers are this program's.
    #[serde(rename = "multi_gap")]
    MultiGap,
    /// Weights of a network of facial expressions, whose layers are this program's.
    #[serde(rename = "fer_net")]
    FerNet,
}

/// A network's description, resolved and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Which code runs it.
    pub architecture: Architecture,
    /// The streams of a Multi-GAP network.
    pub multi_gap: Option<multi_gap::Description>,
    /// The sizes of a network of facial expressions.
    pub fer_net: Option<fer_net::FerNetDescription>,
    /// Names of the matrix's columns: the network's outputs in their order, or of a single output
    /// its bins.
    pub labels: Vec<String>,
    /// What a network with a single number as its output answers; `None`: it has one logit for each
    /// label.
    pub scalar: Option<Scalar>,
    /// How a picture is brought to its input.
    pub fit: Fit,
    /// Pixel values 0..255 are divided by this first.
    pub scale: f32,
    /// What is subtracted then.
    pub mean: Option<Mean>,
    /// What each channel is divided by at last.
    pub std: Option<[f32; 3]>,
    /// The order of the input's channels, and of `mean` and `std`.
    pub channels: ChannelOrder,
    /// How the explained activation lies in the tensor that the network's `features` give.
    pub layout: Layout,
    /// How an AlexNet's fc6 reads the pooled map; `None`: as the layout of the checkpoint tells.
    pub flatten: Option<Flatten>,
    /// What the weights of an AlexNet do not tell of its layers; `None`: the card does not say it.
    pub structure: Option<Structure>,
    /// Keys of an input's preparation that the card leaves to their defaults, which are EmoNet's.
    pub unsaid: Vec<&'static str>,
    /// Valence on the scale of its training data, linear in the probabilities.
    pub valence: Option<Regression>,
    /// Arousal, likewise.
    pub arousal: Option<Regression>,
    /// Known answers for known pictures.
    pub published: Vec<Published>,
    /// Known outputs for inputs that can be made without a picture.
    pub reference: Vec<ReferenceAnswer>,
    /// The explained layer's name in the original network, for people.
    pub layer: Option<String>,
    /// Where the network comes from, for people.
    pub source: Option<String>,
}

/// The single output of a network that names no labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// Its name, as "valence".
    pub name: String,
    /// Ascending edges between the bins that stand in for labels.
    pub thresholds: Vec<f64>,
}

impl Scalar {
    /// The bin of an output: how many thresholds are not above it.
    pub fn bin(&self, output: f32) -> usize {
        self.thresholds.iter().filter(|&&threshold| threshold <= f64::from(output)).count()
    }

    /// Names of the bins that ascending thresholds make of the output `name`, one more than there
    /// are thresholds.
    pub fn bins(name: &str, thresholds: &[f64]) -> Vec<String> {
        let (Some(first), Some(last)) = (thresholds.first(), thresholds.last()) else {
            return vec![name.to_string()];
        };
        let between =
            thresholds.windows(2).map(|pair| format!("{name} from {} to {}", pair[0], pair[1]));
        std::iter::once(format!("{name} below {first}"))
            .chain(between)
            .chain([format!("{name} from {last}")])
            .collect()
    }
}

/// A mean colour or the name of a mean image's text file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "toml::Value")]
pub enum Mean {
    /// One number a channel.
    Colour([f32; 3]),
    /// A file, relative to the card.
    File(String),
}

impl TryFrom<toml::Value> for Mean {
    type Error = String;

    fn try_from(written: toml::Value) -> Result<Self, String> {
        const EXPECTED: &str =
            "should be three numbers, one a channel, or the name of a mean image's file";
        match written {
            toml::Value::String(file) => Ok(Self::File(file)),
            written => numbers(&written)
                .ok_or_else(|| format!("`mean` {EXPECTED}, found {written}"))?
                .try_into()
                .map(Self::Colour)
                .map_err(|found: Vec<f32>| {
                    format!("`mean` {EXPECTED}, found {} numbers: {written}", found.len())
                }),
        }
    }
}

/// The numbers of a list that holds nothing else.
fn numbers(written: &toml::Value) -> Option<Vec<f32>> {
    let number = |value: &toml::Value| {
        value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
    };
    written.as_array()?.iter().map(|value| number(value).map(|number| number as f32)).collect()
}

/// The order of an input's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red, as networks from Caffe want them.
    Bgr,
    /// The brightness three times, as networks want it that have seen grey pictures only.
    Grey,
}

/// How an activation lies in a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// (N, channels, rows, columns)
    Nchw,
    /// (N, rows, columns, channels)
    Nhwc,
    /// (N, tokens, channels), as of a vision transformer.
    Tokens {
        /// Tokens before those of the grid (a class token, registers).
        prefix: i64,
        /// Rows and columns of the grid.
        grid: (i64, i64),
    },
}

/// Order of the numbers fc6 reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flatten {
    /// PyTorch's own.
    ChannelsRowsColumns,
    /// MATLAB's: width before height.
    ChannelsColumnsRows,
}

/// A linear regression on the probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// Constant term.
    pub bias: f64,
    /// One weight a label.
    pub weights: Vec<f64>,
}

impl Regression {
    /// bias + sum of weight times probability.
    pub fn predict(&self, probabilities: &[f32]) -> f64 {
        self.bias
            + self.weights.iter().zip(probabilities).map(|(w, &p)| w * f64::from(p)).sum::<f64>()
    }
}

/// A published answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// File name of the picture.
    pub picture: String,
    /// How far a probability may be off, as a share of it.
    pub relative_tolerance: f64,
    /// One number a label.
    pub probabilities: Vec<f64>,
}

/// What the original network gives for an input that anybody can make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceAnswer {
    /// The prepared input.
    pub input: SyntheticInput,
    /// One number an output.
    pub outputs: Vec<f32>,
}

/// An input without a picture, as it enters the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyntheticInput {
    /// Zeros.
    Zeros,
    /// From -2 to 2 in equal steps over channels, rows, columns.
    Ramp,
}

impl Card {
    /// One that says nothing but how pixels come in: squashed, R, G, B, 0..255.
    pub(crate) fn bare() -> Self {
        Self {
            architecture: Architecture::AlexNet,
            multi_gap: None,
            fer_net: None,
            labels: Vec::new(),
            scalar: None,
            fit: Fit::squash(Size::new(1, 1)),
            scale: 1.0,
            mean: None,
            std: None,
            channels: ChannelOrder::Rgb,
            layout: Layout::Nchw,
            flatten: None,
            structure: None,
            unsaid: Vec::new(),
            valence: None,
            arousal: None,
            published: Vec::new(),
            reference: Vec::new(),
            layer: None,
            source: None,
        }
    }

    /// EmoNet's card, `configs/emonet.toml`.
    pub fn emonet() -> Self {
        Self::from_toml(
            include_str!("../../../configs/emonet.toml"),
            Path::new("configs/emonet.toml"),
        )
        .expect("the embedded card is checked by a test")
    }

    /// The card for `weights`: the `.toml` of the same name beside it, else EmoNet's.
    ///
    /// # Errors
    /// A card that cannot be read or contradicts itself.
    pub fn beside(weights: &Path) -> Result<Self> {
        Ok(Self::if_beside(weights)?.unwrap_or_else(Self::emonet))
    }

    /// The `.toml` of the same name beside `weights`, if there is one.
    ///
    /// # Errors
    /// A card that cannot be read or contradicts itself.
    pub fn if_beside(weights: &Path) -> Result<Option<Self>> {
        let path = Self::path_beside(weights);
        if !path.is_file() {
            return Ok(None);
        }
        Self::from_toml(&read_text(&path)?, &path).map(Some)
    }

    /// Where a card for `weights` would be: the `.toml` of the same name.
    pub fn path_beside(weights: &Path) -> PathBuf {
        weights.with_extension("toml")
    }

    /// A card in TOML; `path` is the file it is from, for messages and for files it names.
    ///
    /// # Errors
    /// A key that is not known, a value that is none, something that contradicts itself.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let written: WrittenCard = toml::from_str(text)
            .map_err(|error| Error::file(path, format!("not a network's description: {error}")))?;
        written.resolve(path)
    }

    /// A card in JSON, the entry `emocam.json` of the TorchScript file `path`.
    ///
    /// # Errors
    /// As [`Card::from_toml`].
    pub fn from_json(text: &str, path: &Path) -> Result<Self> {
        let written: WrittenCard = serde_json::from_str(text).map_err(|error| {
            Error::file(
                path,
                format!("its entry emocam.json is not a network's description: {error}"),
            )
        })?;
        written.resolve(path)
    }

    /// The card as TOML, for a network that was trained here.
    pub(super) fn to_toml(&self) -> String {
        TrainedCard::of(self).to_toml()
    }

    /// Size of the network's input.
    pub fn input(&self) -> Size {
        self.fit.input
    }

    /// How many numbers the network gives for a picture.
    pub fn outputs(&self) -> usize {
        if self.scalar.is_some() { 1 } else { self.labels.len() }
    }
}
