//! What a user must know of an emotion model besides its weights: labels, input, mean, order of flattening.

use crate::files::read_text;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The contents of `configs/emonet.toml`, or of a `.toml` beside the weights of another model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Names of the outputs, in order.
    pub labels: Vec<String>,
    /// Side of the square input in pixels.
    pub input: u32,
    /// What is subtracted from the input's 0..255.
    #[serde(default)]
    pub mean: Option<Mean>,
    /// How fc6 reads the pooled map; `None`: as the layout of the checkpoint tells.
    #[serde(default)]
    pub flatten: Option<Flatten>,
    /// Valence on the scale of its training data.
    #[serde(default)]
    pub valence: Option<Regression>,
    /// Arousal, likewise.
    #[serde(default)]
    pub arousal: Option<Regression>,
    /// Known answers for known pictures.
    #[serde(default)]
    pub published: Vec<Published>,
}

/// A mean colour or the name of a mean image's text file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mean {
    /// R, G, B.
    Colour([f32; 3]),
    /// A file, relative to the card.
    File(String),
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
        self.bias + self.weights.iter().zip(probabilities).map(|(w, &p)| w * f64::from(p)).sum::<f64>()
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

impl Card {
    /// EmoNet's card, `configs/emonet.toml`.
    pub fn emonet() -> Self {
        toml::from_str(include_str!("../../configs/emonet.toml")).expect("the embedded card is checked by a test")
    }

    /// The card for `weights`: the `.toml` of the same name beside it, else EmoNet's.
    ///
    /// # Errors
    /// A card that cannot be read or contradicts itself.
    pub fn beside(weights: &Path) -> Result<Self> {
        let path = Self::path_beside(weights);
        if !path.is_file() {
            return Ok(Self::emonet());
        }
        let card: Self = toml::from_str(&read_text(&path)?)
            .map_err(|error| Error::file(&path, format!("not a model's description: {error}")))?;
        card.check().map_err(|message| Error::file(&path, message))?;
        Ok(card)
    }

    /// Where a card for `weights` would be.
    pub(super) fn path_beside(weights: &Path) -> PathBuf {
        weights.with_extension("toml")
    }

    fn check(&self) -> Result<(), String> {
        if self.labels.is_empty() || self.input == 0 {
            return Err("`labels` and `input` must not be empty or 0".into());
        }
        let count = self.labels.len();
        for (name, regression) in [("valence", &self.valence), ("arousal", &self.arousal)] {
            if let Some(regression) = regression.as_ref().filter(|r| r.weights.len() != count) {
                return Err(format!("`{name}` has {} weights for {count} labels", regression.weights.len()));
            }
        }
        match self.published.iter().find(|known| known.probabilities.len() != count) {
            Some(known) => {
                Err(format!("`{}` has {} probabilities for {count} labels", known.picture, known.probabilities.len()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emonets_card() {
        let card = Card::emonet();
        card.check().unwrap();
        assert_eq!((card.labels.len(), card.input), (20, 227));
        assert_eq!(card.labels[0], "Adoration");
        let valence = card.valence.unwrap();
        let only_disgust: Vec<f32> = (0..20).map(|label| if label == 8 { 1.0 } else { 0.0 }).collect();
        approx::assert_abs_diff_eq!(valence.predict(&only_disgust), 3.2963 - 0.7719, epsilon = 1e-9);
        for known in card.published {
            approx::assert_abs_diff_eq!(known.probabilities.iter().sum::<f64>(), 1.0, epsilon = 1e-3);
        }
    }

    #[test]
    fn a_card_that_contradicts_itself_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("mine.safetensors");
        std::fs::write(
            folder.path().join("mine.toml"),
            "labels = ['a', 'b']\ninput = 99\n[valence]\nbias = 0\nweights = [1]\n",
        )
        .unwrap();
        let message = Card::beside(&weights).unwrap_err().to_string();
        assert!(message.contains("mine.toml") && message.contains("1 weights for 2 labels"), "{message}");
        std::fs::write(folder.path().join("mine.toml"), "labels = ['a', 'b']\ninput = 99\nfrobnicate = 1\n").unwrap();
        assert!(Card::beside(&weights).unwrap_err().to_string().contains("frobnicate"));
    }
}
