//! Which number of a box counts.

use super::BoxScore;
use serde::{Deserialize, Serialize};

/// Which number is compared with the threshold: one of a [`BoxScore`], or what [`super::OtherMaps`]
/// make of the box. The greater, the more important.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreRule {
    /// The paper's.
    #[default]
    Mean,
    /// The highest point in the box.
    Max,
    /// The share of the map in the box.
    Mass,
    /// Mean inside less mean around it.
    Contrast,
    /// Against windows of the same size elsewhere in the picture.
    Z,
    /// Share of the map over share of the area.
    Lift,
    /// Against other pictures' maps in the same place.
    Chance,
}

impl ScoreRule {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Mean, Self::Max, Self::Mass, Self::Contrast, Self::Z, Self::Lift, Self::Chance];

    /// The name in options and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Mass => "mass",
            Self::Contrast => "contrast",
            Self::Z => "z",
            Self::Lift => "lift",
            Self::Chance => "chance",
        }
    }

    /// What it is, in a few words.
    pub fn described(self) -> &'static str {
        match self {
            Self::Mean => "mean of the map in the box",
            Self::Max => "maximum of the map in the box",
            Self::Mass => "share of the map in the box",
            Self::Contrast => {
                "mean of the map in the box less that in a frame of equal area around it"
            }
            Self::Z => "standard deviations above windows of the same size in the image",
            Self::Lift => "share of the map in the box over its share of the area",
            Self::Chance => "share of other images' maps that have less in the box's place",
        }
    }

    /// The threshold where none is named. Of mean, maximum and mass the paper's 0.3; a mean by 0.1
    /// of the map's range higher than around the box; one standard deviation above windows of the
    /// same size; half as much again as the box's area has on average; at most 5 % of other
    /// pictures' maps do as well.
    pub fn default_importance(self) -> f32 {
        match self {
            Self::Mean | Self::Max | Self::Mass => 0.3,
            Self::Contrast => 0.1,
            Self::Z => 1.0,
            Self::Lift => 1.5,
            Self::Chance => 0.95,
        }
    }

    /// Whether a region's value as a share of all positive ones is on the rule's scale.
    pub fn is_share(self) -> bool {
        matches!(self, Self::Mean | Self::Max | Self::Mass)
    }

    /// The number of `score` that the rule names; `None`: it is not in a picture's own map.
    pub fn pick(self, score: &BoxScore) -> Option<f32> {
        match self {
            Self::Mean => Some(score.mean),
            Self::Max => Some(score.max),
            Self::Mass => Some(score.mass),
            Self::Contrast => Some(score.contrast),
            Self::Z => Some(score.z),
            Self::Lift => Some(score.lift),
            Self::Chance => None,
        }
    }
}
