//! The explained network: from a picture to the probabilities of its emotions, split at the last convolution.
//!
//! Knows nothing of detection.

mod alexnet;
mod card;

pub use alexnet::AlexNet;
pub(crate) use alexnet::{layers, MEAN, SYNTHESIZED};
pub use card::{Card, Published, Regression};

use crate::image::{Rgb8, Size};
use crate::nn::{forward, forward_kept, Layer};
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// A classifier split in two: `features` up to the last convolution's output A before its ReLU, `head` from A to logits.
pub trait EmotionModel {
    /// Size of the pictures [`Self::features`] takes.
    fn input(&self) -> Size;

    /// What the outputs mean.
    fn card(&self) -> &Card;

    /// What enters the network: (N, 3, rows, columns), f32, from pictures of size [`Self::input`].
    ///
    /// # Errors
    /// No memory.
    fn prepare(&self, pictures: &[&Rgb8]) -> Result<Tensor>;

    /// The layers from there to A.
    fn body(&self) -> &[Layer];

    /// The layers from A to the logits (N, labels), beginning with the ReLU behind the last convolution.
    fn head(&self) -> &[Layer];

    /// The explained activation A: (N, K, rows, columns), f32, of a prepared input.
    ///
    /// # Errors
    /// The network could not be run.
    fn activation(&self, input: &Tensor) -> Result<Tensor> {
        let _no_grad = tch::no_grad_guard();
        forward(self.body(), input).and_then(|a| a.f_contiguous()).map_err(Error::torch("running the emotion model"))
    }

    /// [`Self::activation`] of pictures of size [`Self::input`].
    ///
    /// # Errors
    /// The network could not be run.
    fn features(&self, pictures: &[&Rgb8]) -> Result<Tensor> {
        self.activation(&self.prepare(pictures)?)
    }
}

/// What the model answers for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Emotion {
    /// Index of the most probable label.
    pub label: usize,
    /// Softmax over the labels.
    pub probabilities: Vec<f32>,
}

/// Logits to answers: (N, labels) to one [`Emotion`] a row. The first of equal labels wins.
///
/// # Errors
/// libtorch fails, or a logit is not a number: damaged weights.
pub fn answers(logits: &Tensor) -> Result<Vec<Emotion>> {
    let labels = logits.size()[1] as usize;
    let probabilities = logits
        .f_softmax(1, Kind::Float)
        .and_then(|p| Vec::<f32>::try_from(&p.f_flatten(0, -1)?))
        .map_err(Error::torch("reading the emotion model's answer"))?;
    if probabilities.iter().any(|p| !p.is_finite()) {
        return Err(Error::Torch {
            doing: "reading the emotion model's answer",
            message: "a probability is not a number: the weights do not fit this network".into(),
        });
    }
    let emotion = |row: &[f32]| {
        let label = (0..labels).fold(0, |best, label| if row[label] > row[best] { label } else { best });
        Emotion { label, probabilities: row.to_vec() }
    };
    Ok(probabilities.chunks_exact(labels).map(emotion).collect())
}

/// [`EmotionModel::features`] through [`EmotionModel::head`] with everything on the way: A, then the output of every layer,
/// the logits (N, labels) last. It is what maps are computed from.
///
/// # Errors
/// The network could not be run.
pub fn values(model: &dyn EmotionModel, activation: &Tensor) -> Result<Vec<Tensor>> {
    let _no_grad = tch::no_grad_guard();
    forward_kept(model.head(), activation).map_err(Error::torch("running the emotion model's head"))
}

/// [`EmotionModel::features`] through [`EmotionModel::head`]: (N, labels) logits.
///
/// # Errors
/// The network could not be run.
pub fn logits(model: &dyn EmotionModel, activation: &Tensor) -> Result<Tensor> {
    forward(model.head(), activation).map_err(Error::torch("running the emotion model's head"))
}
