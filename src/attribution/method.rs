//! The methods by name.

use super::cam::{
    ablation_cam, eigen_cam, grad_cam, grad_cam_plus_plus, hires_cam, layer_cam, lift_cam, lime_cam, lrp_cam,
    score_cam, shapley_cam, xgrad_cam,
};
use super::options::{Options, Score, Target};
use super::CamMethod;
use serde::{Deserialize, Serialize};

/// The methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
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
    /// Shapley values of the channels, by sampling: what LIFT-CAM approximates.
    ShapleyCam,
    /// Chattopadhyay et al. 2018: positive gradients, weighted by place.
    GradCamPlusPlus,
    /// Fu et al. 2020: mean gradients, weighted by the activation.
    XGradCam,
    /// Draelos & Carin 2020: gradient times activation, place by place.
    HiResCam,
    /// Jiang et al. 2021: positive gradient times activation, place by place.
    LayerCam,
    /// Muhammad & Yeasin 2020: the activation's first principal component; knows nothing of the class.
    EigenCam,
    /// Wang et al. 2020: scores of the picture masked by each channel.
    ScoreCam,
}

/// What there is to know about a method.
struct Entry {
    name: &'static str,
    /// The score the published pipeline explains with it; for methods it does not have, the logit.
    preset: Score,
    implementation: &'static dyn CamMethod,
}

impl Method {
    /// Those of the paper, in its order.
    pub const PAPER: &[Self] = &[Self::GradCam, Self::AblationCam, Self::LimeCam, Self::LrpCam, Self::LiftCam];

    /// All of them, the paper's first.
    pub const ALL: &[Self] = &[
        Self::GradCam,
        Self::AblationCam,
        Self::LimeCam,
        Self::LrpCam,
        Self::LiftCam,
        Self::ShapleyCam,
        Self::GradCamPlusPlus,
        Self::XGradCam,
        Self::HiResCam,
        Self::LayerCam,
        Self::EigenCam,
        Self::ScoreCam,
    ];

    fn entry(self) -> Entry {
        let logit = |name, implementation: &'static dyn CamMethod| Entry { name, preset: Score::Logit, implementation };
        let probability =
            |name, implementation: &'static dyn CamMethod| Entry { name, preset: Score::Probability, implementation };
        match self {
            Self::GradCam => probability("grad-cam", &grad_cam::GradCam),
            Self::AblationCam => probability("ablation-cam", &ablation_cam::AblationCam),
            Self::LimeCam => logit("lime-cam", &lime_cam::LimeCam),
            Self::LrpCam => logit("lrp-cam", &lrp_cam::LrpCam),
            Self::LiftCam => logit("lift-cam", &lift_cam::LiftCam),
            Self::ShapleyCam => logit("shapley-cam", &shapley_cam::ShapleyCam),
            Self::GradCamPlusPlus => logit("grad-cam++", &grad_cam_plus_plus::GradCamPlusPlus),
            Self::XGradCam => logit("xgrad-cam", &xgrad_cam::XGradCam),
            Self::HiResCam => logit("hires-cam", &hires_cam::HiResCam),
            Self::LayerCam => logit("layer-cam", &layer_cam::LayerCam),
            Self::EigenCam => logit("eigen-cam", &eigen_cam::EigenCam),
            Self::ScoreCam => logit("score-cam", &score_cam::ScoreCam),
        }
    }

    /// The name in options, tables and folders.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The score explained with `options`.
    pub fn score(self, options: &Options) -> Score {
        match options.target {
            Target::Preset => self.entry().preset,
            Target::Probability => Score::Probability,
            Target::Logit => Score::Logit,
        }
    }

    pub(super) fn implementation(self) -> &'static dyn CamMethod {
        self.entry().implementation
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

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.name().into()
    }
}

impl TryFrom<String> for Method {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
