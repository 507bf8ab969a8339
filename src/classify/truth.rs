//! What people say the pictures show, and how their labels go with a network's.

use crate::files::read_text;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A row of a table of labels.
#[derive(Debug, Deserialize)]
struct Row {
    path: String,
    label: String,
}

/// Labels of pictures, by their paths.
///
/// # Errors
/// The file cannot be read, lacks the columns `path` and `label`, or names a picture twice.
pub fn labels(table: &Path) -> Result<BTreeMap<String, String>> {
    let text = read_text(table)?;
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let mut labels = BTreeMap::new();
    for row in reader.deserialize() {
        let Row { path, label } =
            row.map_err(|error| Error::file(table, format!("not a table with the columns path and label: {error}")))?;
        if labels.insert(path.clone(), label).is_some() {
            return Err(Error::file(table, format!("names {path} twice")));
        }
    }
    Ok(labels)
}

/// From a network's labels to those of a data set, as `configs/fi-to-webemo.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelMap {
    /// The data set's label for each of the network's; an empty one: the data set has none like it.
    pub labels: BTreeMap<String, String>,
}

impl LabelMap {
    /// Reads a map and checks it against the network's labels.
    ///
    /// # Errors
    /// The file cannot be read; a label of the network that it does not map, or one that the network does not have.
    pub fn read(file: &Path, network: &[String]) -> Result<Self> {
        let map: Self = toml::from_str(&read_text(file)?)
            .map_err(|error| Error::file(file, format!("not a map of labels (a table [labels]): {error}")))?;
        if let Some(missing) = network.iter().find(|label| !map.labels.contains_key(*label)) {
            return Err(Error::file(file, format!("says nothing of the network's label `{missing}`")));
        }
        if let Some(unknown) = map.labels.keys().find(|label| !network.contains(label)) {
            let known = network.join(", ");
            return Err(Error::file(file, format!("`{unknown}` is no label of the network, which has {known}")));
        }
        Ok(map)
    }

    /// The data set's label for one of the network's; the same where there is no map.
    pub fn map<'a>(&'a self, label: &'a str) -> &'a str {
        self.labels.get(label).map_or(label, String::as_str)
    }
}
