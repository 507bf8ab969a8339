//! Class activation maps: which places of the last convolution drive the answer.
//!
//! A method turns the activation A (N, K, rows, columns) and the head into one raw map a picture; ReLU, normalisation and
//! upsampling are the same for all and live in one place. A new method is one file here and one variant of [`Method`].
//! Knows nothing of detection or files.

mod grad_cam;
mod map;

pub use map::{finish, Maps};

use crate::image::Size;
use crate::nn::{forward, Layer};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// The methods, by the names of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Selvaraju et al. 2017: channel weights are mean gradients.
    GradCam,
}

impl Method {
    /// All of them.
    pub const ALL: &[Self] = &[Self::GradCam];

    /// The name in options, tables and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradCam => "grad-cam",
        }
    }

    /// The score the published pipeline explains with this method.
    fn preset(self) -> Score {
        match self {
            Self::GradCam => Score::Probability,
        }
    }

    fn implementation(self) -> &'static dyn CamMethod {
        match self {
            Self::GradCam => &grad_cam::GradCam,
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.iter().map(|method| method.name()).collect::<Vec<_>>().join(", ");
        Self::ALL
            .iter()
            .copied()
            .find(|method| method.name() == text)
            .ok_or_else(|| format!("`{text}` is no CAM method; known: {}", known()))
    }
}

/// The number a map explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// The class's softmax probability.
    Probability,
    /// The class's logit.
    Logit,
}

/// Which [`Score`] is explained, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// What the published code explains with each method.
    #[default]
    Preset,
    /// The probability, whatever the method.
    Probability,
    /// The logit, whatever the method.
    Logit,
}

impl Target {
    /// The score explained by `method`.
    pub fn score(self, method: Method) -> Score {
        match self {
            Self::Preset => method.preset(),
            Self::Probability => Score::Probability,
            Self::Logit => Score::Logit,
        }
    }
}

/// What every method starts from: a batch's activation, the head, the explained class of each picture.
#[derive(Debug)]
pub struct HeadPass<'a> {
    /// A: (N, K, rows, columns), f32, before the ReLU.
    pub activation: &'a Tensor,
    /// The layers from A to the logits.
    pub head: &'a [Layer],
    /// One class a picture.
    pub classes: &'a [usize],
}

impl HeadPass<'_> {
    /// d score / d A, of A's shape: one backward pass through the head for the whole batch, pictures being independent.
    ///
    /// # Errors
    /// [`Error::Torch`] when memory is short.
    pub fn gradient(&self, score: Score) -> Result<Tensor> {
        self.gradient_torch(score).map_err(Error::torch("computing the gradient of the head"))
    }

    fn gradient_torch(&self, score: Score) -> Result<Tensor, TchError> {
        tch::with_grad(|| {
            let leaf = self.activation.f_detach()?.f_set_requires_grad(true)?;
            let logits = forward(self.head, &leaf)?;
            let scores = match score {
                Score::Logit => logits,
                Score::Probability => logits.f_softmax(1, Kind::Float)?,
            };
            let classes: Vec<i64> = self.classes.iter().map(|&class| class as i64).collect();
            let index = Tensor::f_from_slice(&classes)?.f_to_device(leaf.device())?.f_unsqueeze(1)?;
            let total = scores.f_gather(1, &index, false)?.f_sum(Kind::Float)?;
            // libtorch crashes, rather than fails, when asked to differentiate a constant.
            assert!(total.requires_grad(), "the head's output depends on its input");
            Ok(Tensor::f_run_backward(&[total], &[&leaf], false, false)?.remove(0))
        })
    }
}

/// One way to weigh the channels of A.
trait CamMethod: Sync {
    /// The raw map (N, rows, columns), before ReLU and normalisation.
    fn raw_map(&self, pass: &HeadPass<'_>, score: Score) -> Result<Tensor>;
}

/// sum over k of w_k A_k: (N, K) weights and A to (N, rows, columns) maps.
fn weigh(activation: &Tensor, weights: &Tensor) -> Result<Tensor, TchError> {
    weights.f_unsqueeze(-1)?.f_unsqueeze(-1)?.f_mul(activation)?.f_sum_dim_intlist(
        [1_i64].as_slice(),
        false,
        Kind::Float,
    )
}

/// The finished maps of `method` for a batch, of `size` (width, height of the emotion model's input).
///
/// # Errors
/// [`Error::Torch`] when memory is short.
pub fn explain(method: Method, target: Target, pass: &HeadPass<'_>, size: Size) -> Result<Maps> {
    let raw = method.implementation().raw_map(pass, target.score(method))?;
    finish(&raw, size).map_err(Error::torch("normalising the activation maps"))
}
