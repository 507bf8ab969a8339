//! Which pictures are learnt from, which the best epoch is chosen by, and which are measured with.

use super::{DataSet, Divided, LabelledPicture};
use crate::files::read_text;
use crate::random::Random;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// `[split]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// Share of each label's pictures to measure with.
    pub test: f64,
    /// Share of each label's pictures to choose the best epoch by.
    pub validation: f64,
    /// Which pictures these are.
    pub seed: u64,
    /// A folder with `train.txt`, `test.txt` and `validation.txt`, a path a line; empty: drawn at
    /// random.
    pub files: String,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { test: 0.15, validation: 0.05, seed: 1, files: String::new() }
    }
}

/// Names of the three files.
const FILES: [&str; 3] = ["train.txt", "validation.txt", "test.txt"];

/// The use of every picture, by its path.
#[derive(Debug)]
pub struct Splits(BTreeMap<String, usize>);

impl SplitConfig {
    /// Divides `data`.
    ///
    /// # Errors
    /// Shares that leave nothing; files that cannot be read, name a picture twice, or one that is
    /// not there.
    pub fn divide(&self, data: DataSet) -> Result<Divided> {
        let given = self.files.is_empty() && !data.uses.is_empty();
        let shares = self.test > 0.0 && self.validation > 0.0 && self.test + self.validation < 1.0;
        if !shares && !given && self.files.is_empty() {
            return Err(Error::Setting(format!(
                "[split] test and validation should be over 0 and below 1 together, found {} and \
                 {}",
                self.test, self.validation
            )));
        }
        let uses = match self.files.as_str() {
            "" if given => Splits(data.uses.clone()),
            "" => self.drawn(&data),
            folder => Splits::read(Path::new(folder), &data)?,
        };
        uses.divide(data)
    }

    /// Divides `data` for fold number `fold`, from 0, of `folds`: a fold's part of every label to
    /// measure with, and of the rest the share `validation` to choose by.
    ///
    /// # Errors
    /// A fold or a use without pictures.
    pub fn fold(&self, data: DataSet, fold: usize, folds: usize) -> Result<Divided> {
        if !self.files.is_empty() || !data.uses.is_empty() {
            let message = "the pictures are divided already, by [split] files or their table: \
                           leave out --folds";
            return Err(Error::Setting(message.into()));
        }
        if !(self.validation > 0.0 && self.validation < 1.0) {
            let message = format!(
                "[split] validation should be over 0 and below 1, found {}",
                self.validation
            );
            return Err(Error::Setting(message));
        }
        let mut uses = BTreeMap::new();
        for label in 0..data.labels.len() {
            let paths = self.shuffled(&data, label);
            let (test, rest): (Vec<_>, Vec<_>) =
                // What is left over goes to other folds with every label.
                paths.into_iter().enumerate().partition(|(place, _)| (place + label) % folds == fold);
            let validation = (self.validation * rest.len() as f64).ceil() as usize;
            uses.extend(test.into_iter().map(|(_, path)| (path, 2)));
            let number = |place: usize| usize::from(place < validation);
            uses.extend(
                rest.into_iter().enumerate().map(|(place, (_, path))| (path, number(place))),
            );
        }
        Splits(uses).divide(data)
    }

    /// The paths of a label's pictures in an order drawn from the seed and the label's name.
    fn shuffled(&self, data: &DataSet, label: usize) -> Vec<String> {
        let own = data.items.iter().filter(|item| item.label == label);
        let mut paths: Vec<String> = own.map(|item| item.path.clone()).collect();
        Random::of_text(self.seed, &format!("split/{}", data.labels[label])).shuffle(&mut paths);
        paths
    }

    /// Of each label's pictures, in an order drawn from the seed and the label's name, the first
    /// are for testing, the next for validation; numbers are rounded to the nearest, halves up.
    fn drawn(&self, data: &DataSet) -> Splits {
        let mut uses = BTreeMap::new();
        for label in 0..data.labels.len() {
            let paths = self.shuffled(data, label);
            let count = |share: f64| (share * paths.len() as f64 + 0.5) as usize;
            let (test, validation) = (count(self.test), count(self.validation));
            for (place, path) in paths.into_iter().enumerate() {
                let number = if place < test { 2 } else { usize::from(place < test + validation) };
                uses.insert(path, number);
            }
        }
        Splits(uses)
    }
}

impl Splits {
    /// The pictures for each use.
    fn divide(self, data: DataSet) -> Result<Divided> {
        let uses = self;
        let (labels, failures) = (data.labels, data.failures);
        let mut parts: [Vec<LabelledPicture>; 3] = Default::default();
        for item in data.items {
            if let Some(&number) = uses.0.get(&item.path) {
                parts[number].push(item);
            }
        }
        for (part, file) in parts.iter().zip(FILES) {
            if part.is_empty() {
                let name = file.trim_end_matches(".txt");
                return Err(Error::Setting(format!(
                    "the split leaves no picture for {name}: there are too few"
                )));
            }
        }
        let [train, validation, test] = parts;
        let divided = Divided { labels, train, validation, test, failures };
        match divided.training_counts().iter().position(|&count| count == 0) {
            Some(label) => Err(Error::Setting(format!(
                "the label `{}` has no picture to learn from: it has too few for this split",
                divided.labels[label]
            ))),
            None => Ok(divided),
        }
    }

    /// Those of three files in a folder.
    fn read(folder: &Path, data: &DataSet) -> Result<Self> {
        let known: BTreeMap<&str, ()> =
            data.items.iter().map(|item| (item.path.as_str(), ())).collect();
        let unreadable: Vec<&str> =
            data.failures.iter().map(|failure| failure.path.as_str()).collect();
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        for (number, file) in FILES.into_iter().enumerate() {
            let path = folder.join(file);
            for (place, line) in read_text(&path)?.lines().enumerate() {
                let line = line.trim().trim_start_matches("./");
                if line.is_empty() || unreadable.contains(&line) {
                    continue;
                }
                if !known.contains_key(line) {
                    return Err(Error::line(
                        &path,
                        place + 1,
                        format!("there is no picture `{line}` in the data"),
                    ));
                }
                if let Some(other) = uses.insert(line.to_string(), number) {
                    let message = format!(
                        "`{line}` stands in {} already: a picture has one use",
                        FILES[other]
                    );
                    return Err(Error::line(&path, place + 1, message));
                }
            }
        }
        Ok(Self(uses))
    }
}
