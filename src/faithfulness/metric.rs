//! What is measured: names, direction, range.

use serde::{Deserialize, Serialize};

/// A group of metrics that share their work, by the names of `--metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Area under the deletion curve.
    Deletion,
    /// Area under the insertion curve.
    Insertion,
    /// Remove and debias.
    Road,
    /// Average drop, average gain and increase in confidence.
    Confidence,
    /// Correlation with the map of a head whose weights are redrawn.
    Sanity,
    /// The energy pointing game; needs a detector and the name of a class.
    Pointing,
}

impl Measure {
    /// Those that need nothing but the emotion model.
    pub const WITHOUT_DETECTOR: &[Self] =
        &[Self::Deletion, Self::Insertion, Self::Road, Self::Confidence, Self::Sanity];

    /// The numbers it gives for a picture and a map; `layers` is the number of linear layers in the
    /// head.
    pub fn metrics(self, layers: usize) -> Vec<Metric> {
        match self {
            Self::Deletion => vec![Metric::Deletion],
            Self::Insertion => vec![Metric::Insertion],
            Self::Road => vec![Metric::Road],
            Self::Confidence => vec![Metric::AverageDrop, Metric::AverageGain, Metric::Increase],
            Self::Sanity => (1..=layers).map(Metric::Sanity).collect(),
            Self::Pointing => vec![Metric::Pointing],
        }
    }
}

/// One number for a picture and a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Area under the probability as the map's highest pixels are replaced first, 0 to 1.
    Deletion,
    /// Area under the probability as the map's highest pixels are shown first, 0 to 1.
    Insertion,
    /// Half of what the probability is higher without the map's lowest pixels than without its
    /// highest, -1/2 to 1/2.
    Road,
    /// Share of the probability that is lost when the picture is multiplied by the map, 0 to 1.
    AverageDrop,
    /// Share of what the probability lacks to 1 that is won by it, 0 to 1.
    AverageGain,
    /// 1 where the probability rises by it, else 0.
    Increase,
    /// Share of the map inside the boxes of the named class, 0 to 1.
    Pointing,
    /// Rank correlation of the map with that of a head whose last so many linear layers are
    /// redrawn, -1 to 1.
    Sanity(usize),
}

/// Which end of a metric's range is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// The nearer to zero, the better.
    Zero,
}

impl Better {
    /// As in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Higher => "higher",
            Self::Zero => "zero",
        }
    }
}

impl Metric {
    /// The name in tables.
    pub fn name(self) -> String {
        match self {
            Self::Deletion => "deletion".into(),
            Self::Insertion => "insertion".into(),
            Self::Road => "road".into(),
            Self::AverageDrop => "average-drop".into(),
            Self::AverageGain => "average-gain".into(),
            Self::Increase => "increase".into(),
            Self::Pointing => "pointing".into(),
            Self::Sanity(layers) => format!("sanity-{layers}"),
        }
    }

    /// Which end is good. No correlation with a redrawn head's map is: a map that stays the same
    /// does not tell of the weights.
    pub fn better(self) -> Better {
        match self {
            Self::Deletion | Self::AverageDrop => Better::Lower,
            Self::Sanity(_) => Better::Zero,
            Self::Insertion | Self::Road | Self::AverageGain | Self::Increase | Self::Pointing => {
                Better::Higher
            }
        }
    }
}
