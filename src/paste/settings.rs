//! What an experiment pastes where: the part of `run.json` that must agree before a run is continued.

use super::positions::Position;
use crate::attribution::Method;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

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
            Self::Positions(positions) => positions.iter().map(|position| position.name.as_str()).collect(),
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
    pub fills: Vec<Fill>,
    /// The object's height as a share of the photo's.
    pub scale: f64,
    /// Where.
    pub places: Places,
    /// SHA-256 of the records that gave the boxes, when the detector did not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub boxes: Option<String>,
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
                return Err(Error::Setting(format!("two {what}s are named `{}`: give each its own name", names[at])));
            }
        }
        Ok(())
    }

    /// Settings as (key, value), for a comparison with those of a run that is to be continued.
    pub(crate) fn listed(&self) -> Vec<(&'static str, String)> {
        let Self { objects, fills, scale, places, boxes, focus } = self;
        let json = |value: serde_json::Result<String>| value.expect("settings are plain data");
        vec![
            ("objects", json(serde_json::to_string(objects))),
            ("controls", json(serde_json::to_string(fills))),
            ("scale", scale.to_string()),
            ("positions", json(serde_json::to_string(places))),
            ("boxes", boxes.clone().unwrap_or_else(|| "the detector's".into())),
            ("focus", focus.map_or("none".into(), |method| method.to_string())),
        ]
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
    Err(Error::Setting(format!("scale, a share of the photo's height, should be from 0.001 to 4, found {scale}")))
}
