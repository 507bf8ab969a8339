//! Adjective-noun pairs ("smiling face", "red flower") as one more stream: how probable each pair
//! is in the picture (DeepSentiBank: 2,089 pairs), through 1,024 and 512 units to the labels.

use crate::Result;
use crate::networks::parameters::{Builder, Linear, TensorRole};
use tch::{TchError, Tensor};

/// Units of the two hidden layers (the paper's section 3).
const HIDDEN: [i64; 2] = [1024, 512];

/// The stream.
#[derive(Debug)]
pub struct Anp {
    hidden: [Linear; 2],
    classifier: Linear,
    /// (pairs): the training set's mean, which stands in for a picture whose pairs nobody knows.
    mean: Tensor,
}

impl Anp {
    pub(super) fn build(pairs: i64, labels: i64, from: &mut Builder<'_>) -> Result<Self> {
        let mut from = from.below("anp");
        let mean = from.get("mean", &[pairs], TensorRole::Mean)?;
        let hidden = [from.linear("0", pairs, HIDDEN[0])?, from.linear("1", HIDDEN[0], HIDDEN[1])?];
        Ok(Self { hidden, classifier: from.linear("classifier", HIDDEN[1], labels)?, mean })
    }

    /// The features (N, 512) of pictures with these pairs (N, pairs); of `count` pictures without,
    /// where there are none.
    ///
    /// # Errors
    /// No memory.
    pub fn features(&self, pairs: Option<&Tensor>, count: i64) -> Result<Tensor, TchError> {
        let mut x = match pairs {
            Some(pairs) => pairs.shallow_clone(),
            None => self.mean.f_unsqueeze(0)?.f_expand([count, -1], false)?,
        };
        for layer in &self.hidden {
            x = layer.forward(&x)?.f_relu()?;
        }
        Ok(x)
    }

    /// The stream's own logits (N, labels) from its features.
    ///
    /// # Errors
    /// No memory.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor, TchError> {
        self.classifier.forward(features)
    }

    /// Numbers in [`Self::features`].
    pub fn width(&self) -> i64 {
        HIDDEN[1]
    }

    /// How many pairs it reads.
    pub fn pairs(&self) -> i64 {
        self.mean.size()[0]
    }
}
