//! How a network's labels and people's go together.

use crate::files::read_text;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// From a network's labels to those of a data set, as `configs/fi-to-webemo.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelMap {
    /// The data set's label for each of the network's; an empty one: the data set has none like it.
    /// Without any, the network's labels are called there as they are.
    pub labels: BTreeMap<String, String>,
    /// Another name for some of the data set's labels, so that several are one; an empty one: such
    /// pictures count for nothing.
    pub annotations: BTreeMap<String, String>,
}

impl LabelMap {
    /// Reads a map and checks it against the network's labels.
    ///
    /// # Errors
    /// The file cannot be read; a label of the network that it does not map, or one that the
    /// network does not have.
    pub fn read(file: &Path, network: &[String]) -> Result<Self> {
        let map: Self = toml::from_str(&read_text(file)?).map_err(|error| {
            Error::file(
                file,
                format!("not a map of labels (tables [labels] and [annotations]): {error}"),
            )
        })?;
        if map.labels.is_empty() && !map.annotations.is_empty() {
            return Ok(map);
        }
        if let Some(missing) = network.iter().find(|label| !map.labels.contains_key(*label)) {
            return Err(Error::file(
                file,
                format!("says nothing of the network's label `{missing}`"),
            ));
        }
        if let Some(unknown) = map.labels.keys().find(|label| !network.contains(label)) {
            let known = network.join(", ");
            return Err(Error::file(
                file,
                format!("`{unknown}` is no label of the network, which has {known}"),
            ));
        }
        Ok(map)
    }

    /// The name of one of the data set's labels; its own where the map says nothing.
    pub fn of_people<'a>(&'a self, label: &'a str) -> &'a str {
        let mut named =
            self.annotations.iter().filter(|(name, _)| name.to_lowercase() == label.to_lowercase());
        named.next().map_or(label, |(_, name)| name)
    }

    /// The data set's label for one of the network's; the same where there is no map.
    pub fn map<'a>(&'a self, label: &'a str) -> &'a str {
        self.labels.get(label).map_or(label, String::as_str)
    }
}
