//! Class activation maps: which places of the last convolution drive the answer.
//!
//! A method turns the activation A (N, K, rows, columns) and the head into one raw map a picture; ReLU, normalisation and
//! upsampling are the same for all and live in one place. A new method is one file here and one variant of [`Method`].
//! Knows nothing of detection or files.

mod ablation_cam;
mod channels;
mod grad_cam;
mod lasso;
mod lift_cam;
mod lime_cam;
mod lrp_cam;
mod map;
#[cfg(test)]
mod tests;
mod walk;

pub use map::{finish, Maps};

use crate::image::Size;
use crate::nn::{forward, Layer};
use crate::{Error, Result};
use channels::ChannelParts;
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use tch::{Kind, TchError, Tensor};

/// The methods, by the names of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Selvaraju et al. 2017: channel weights are mean gradients.
    GradCam,
    /// Desai & Ramaswamy 2020: channel weights are the share of the score that is lost without the channel.
    AblationCam,
    /// Coefficients of a sparse linear model of the score (Ribeiro et al. 2016).
    LimeCam,
    /// Layer-wise relevance propagation (Bach et al. 2015), epsilon rule.
    LrpCam,
    /// Jung & Oh 2021: DeepLIFT contributions, rescale rule.
    LiftCam,
}

impl Method {
    /// All of them, in the order of the paper.
    pub const ALL: &[Self] = &[Self::GradCam, Self::AblationCam, Self::LimeCam, Self::LrpCam, Self::LiftCam];

    /// The name in options, tables and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradCam => "grad-cam",
            Self::AblationCam => "ablation-cam",
            Self::LimeCam => "lime-cam",
            Self::LrpCam => "lrp-cam",
            Self::LiftCam => "lift-cam",
        }
    }

    /// The score the published pipeline explains with this method.
    fn preset(self) -> Score {
        match self {
            Self::GradCam | Self::AblationCam => Score::Probability,
            Self::LimeCam | Self::LrpCam | Self::LiftCam => Score::Logit,
        }
    }

    fn implementation(self) -> &'static dyn CamMethod {
        match self {
            Self::GradCam => &grad_cam::GradCam,
            Self::AblationCam => &ablation_cam::AblationCam,
            Self::LimeCam => &lime_cam::LimeCam,
            Self::LrpCam => &lrp_cam::LrpCam,
            Self::LiftCam => &lift_cam::LiftCam,
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

/// What every method starts from: a batch's activation, the head, the explained class of each picture. What several
/// methods need is computed once, when the first of them asks.
#[derive(Debug)]
pub struct HeadPass<'a> {
    activation: &'a Tensor,
    head: &'a [Layer],
    classes: &'a [usize],
    seeds: &'a [u64],
    parts: OnceCell<ChannelParts<'a>>,
}

impl<'a> HeadPass<'a> {
    /// `activation` is A, (N, K, rows, columns), f32, before the ReLU; `head` the layers from A to the logits; `classes`
    /// and `seeds` (for methods that draw at random) have one entry a picture.
    pub fn new(activation: &'a Tensor, head: &'a [Layer], classes: &'a [usize], seeds: &'a [u64]) -> Self {
        Self { activation, head, classes, seeds, parts: OnceCell::new() }
    }

    /// Each channel's part in the first linear layer.
    fn channel_parts(&self) -> Result<&ChannelParts<'a>, TchError> {
        if self.parts.get().is_none() {
            let parts = ChannelParts::new(self)?;
            return Ok(self.parts.get_or_init(|| parts));
        }
        Ok(self.parts.get().expect("it was set just now or before"))
    }

    /// (N, 1), the classes as an index.
    fn class_index(&self) -> Result<Tensor, TchError> {
        let classes: Vec<i64> = self.classes.iter().map(|&class| class as i64).collect();
        Tensor::f_from_slice(&classes)?.f_to_device(self.activation.device())?.f_unsqueeze(1)
    }

    /// The score of picture `at`'s class in each row of `logits` (rows, labels): (rows).
    fn scores(&self, logits: &Tensor, at: usize, score: Score) -> Result<Tensor, TchError> {
        let scores = match score {
            Score::Logit => logits.shallow_clone(),
            Score::Probability => logits.f_softmax(1, Kind::Float)?,
        };
        scores.f_select(1, self.classes[at] as i64)
    }

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
            let total = scores.f_gather(1, &self.class_index()?, false)?.f_sum(Kind::Float)?;
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

/// (N, K, rows, columns) to (N, K).
fn sum_over_positions(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_sum_dim_intlist([2_i64, 3].as_slice(), false, Kind::Float)
}

/// The finished maps of `method` for a batch, of `size` (width, height of the emotion model's input).
///
/// # Errors
/// [`Error::Torch`] when memory is short.
pub fn explain(method: Method, target: Target, pass: &HeadPass<'_>, size: Size) -> Result<Maps> {
    let raw = method.implementation().raw_map(pass, target.score(method))?;
    finish(&raw, size).map_err(Error::torch("normalising the activation maps"))
}
