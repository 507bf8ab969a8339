//! What is taken away and how: the part of `run.json` that must agree before a run is continued.

use crate::attribution::HiddenFill;
use crate::run::{Experiment, Manifest};
use crate::world::Style;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The subcommand whose settings these are.
pub const COMMAND: &str = "remove";

/// The most regions of a picture that `--max-regions` may ask for: there is memory for their
/// places.
pub const MOST_REGIONS: usize = 1000;

/// What of a picture is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemovalKind {
    /// The region.
    Removed,
    /// Everything but the region.
    Kept,
    /// The patch of the region's size and shape.
    RemovedControl,
    /// Everything but the patch.
    KeptControl,
}

impl RemovalKind {
    /// All, in the order of every table.
    pub const ALL: [Self; 4] = [Self::Removed, Self::Kept, Self::RemovedControl, Self::KeptControl];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Kept => "kept",
            Self::RemovedControl => "removed-control",
            Self::KeptControl => "kept-control",
        }
    }

    /// Whether the patch is meant and not the region.
    pub fn is_control(self) -> bool {
        matches!(self, Self::RemovedControl | Self::KeptControl)
    }

    /// Whether all else is hidden.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Kept | Self::KeptControl)
    }
}

/// Drawn scenes in place of a corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnScenes {
    /// Seed of the stream of scenes, of which the first ones are drawn.
    pub world: u64,
    /// How they are drawn.
    pub style: Style,
}

/// An experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovalSettings {
    /// What stands in for hidden places, one fill after the other; each at most once.
    pub fills: Vec<HiddenFill>,
    /// Of a picture the surest regions, at most so many.
    pub max_regions: usize,
    /// Where pictures are drawn scenes, their regions the exact boxes of their objects.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drawn: Option<DrawnScenes>,
}

impl RemovalSettings {
    /// Refuses what no run can use.
    ///
    /// # Errors
    /// [`Error::Setting`], naming value and range.
    pub fn check(&self) -> Result<()> {
        let Self { fills, max_regions, drawn: _ } = self;
        let refuse = |message: String| Err(Error::Setting(message));
        if fills.is_empty() {
            return refuse("fills: name at least one of black, mean, blur, surroundings".into());
        }
        if let Some(at) = (1..fills.len()).find(|&at| fills[..at].contains(&fills[at])) {
            return refuse(format!("fills: {} is named twice", fills[at].name()));
        }
        if !(1..=MOST_REGIONS).contains(max_regions) {
            return refuse(format!(
                "regions a picture should be from 1 to {MOST_REGIONS}, found {max_regions}"
            ));
        }
        Ok(())
    }

    /// What `run.json` says of the experiment.
    ///
    /// # Errors
    /// The settings are no plain data; a test excludes it.
    pub fn to_experiment(&self) -> Result<Experiment> {
        Experiment::new(COMMAND, self)
    }

    /// The settings of the run described by `manifest`.
    ///
    /// # Errors
    /// It is no run of `emocam remove`, or its settings cannot be read; the message goes behind the
    /// run's name.
    pub fn read(manifest: &Manifest) -> Result<Self, String> {
        manifest.settings_of(COMMAND)
    }
}
