//! What an experiment pastes where: the part of `run.json` that must agree before a run is
//! continued.

use super::positions::Position;
use crate::attribution::Method;
use crate::run::{Experiment, Manifest};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The subcommand whose settings these are.
pub const COMMAND: &str = "paste";

/// What is seen through the object's outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// The object itself.
    Object,
    /// Control: the photo's mean colour.
    Mean,
    /// Control: what lies below, blurred until no detail is left.
    Blur,
    /// Control: the object's pixels in random order.
    Shuffle,
}

impl Fill {
    /// The controls, in the order of every table.
    pub const CONTROLS: &[Self] = &[Self::Mean, Self::Blur, Self::Shuffle];

    /// The name in options and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Mean => "mean",
            Self::Blur => "blur",
            Self::Shuffle => "shuffle",
        }
    }
}

/// An object's name and contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectInfo {
    /// Its file's name without the extension, unique in a run.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Where objects are pasted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Places {
    /// The same positions in every photo.
    Positions(Vec<Position>),
    /// The centre of every box of these classes; a class is a position in every table.
    Classes(Vec<String>),
}

impl Places {
    /// The positions' names, in the order of every table.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Positions(positions) => {
                positions.iter().map(|position| position.name.as_str()).collect()
            }
            Self::Classes(classes) => classes.iter().map(String::as_str).collect(),
        }
    }
}

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasteSettings {
    /// What is pasted.
    pub objects: Vec<ObjectInfo>,
    /// The object itself, then the controls.
    #[serde(rename = "controls")]
    pub fills: Vec<Fill>,
    /// The object's height as a share of the photo's.
    pub scale: f64,
    /// Where.
    #[serde(rename = "positions")]
    pub places: Places,
    /// The method whose maps are compared before and after.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub focus: Option<Method>,
}

impl PasteSettings {
    /// Refuses what no run can use.
    ///
    /// # Errors
    /// [`Error::Setting`], naming value and range.
    pub fn check(&self) -> Result<()> {
        check_scale(self.scale)?;
        if self.objects.is_empty() || self.fills.first() != Some(&Fill::Object) {
            return Err(Error::Setting("an experiment needs at least one object".into()));
        }
        let names = self.places.names();
        let objects: Vec<&str> = self.objects.iter().map(|object| object.name.as_str()).collect();
        for (what, names) in [("object", &objects), ("position", &names)] {
            if let Some(at) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
                return Err(Error::Setting(format!(
                    "two {what}s are named `{}`: give each its own name",
                    names[at]
                )));
            }
        }
        Ok(())
    }

    /// What `run.json` says of the experiment: all that must agree before its run is continued.
    ///
    /// # Errors
    /// The settings are no plain data; a test excludes it.
    pub fn to_experiment(&self) -> Result<Experiment> {
        Experiment::new(COMMAND, self)
    }

    /// The settings of the run described by `manifest`.
    ///
    /// # Errors
    /// It is no run of `emocam paste`, or its settings cannot be read; the message goes behind the
    /// run's name.
    pub fn read(manifest: &Manifest) -> Result<Self, String> {
        manifest.settings_of(COMMAND)
    }
}

/// Refuses an object's height that is none.
///
/// # Errors
/// [`Error::Setting`].
pub(super) fn check_scale(scale: f64) -> Result<()> {
    if (0.001..=4.0).contains(&scale) {
        return Ok(());
    }
    Err(Error::Setting(format!(
        "scale, a share of the photo's height, should be from 0.001 to 4, found {scale}"
    )))
}
