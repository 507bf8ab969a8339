//! Labelled pictures to learn from and to measure with.
//!
//! In: a folder a label, file names that begin with the label, a pattern that finds the label in
//! the path, a CSV file of paths and labels or of pixels (FER-2013), or a stream of the drawn
//! world. Out: a [`DataSet`], divided once and for all into pictures to train with, to choose by
//! and to measure with. Pixels are read when a picture's turn comes, in [`feed`], and a picture
//! that cannot be read is a row in `failures.csv`, never the end of a training.

mod collect;
pub mod feed;
pub mod pairs;
mod pixels;
mod split;
#[cfg(test)]
mod tests;

pub use collect::{DataConfig, LabelsFrom, collect};
pub use split::{SplitConfig, Splits};

use crate::corpus::{DecodeOptions, Source};
use crate::image::Picture;
use crate::run::Failure;
use crate::world::{Lesson, Scene};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A labelled picture.
#[derive(Debug, Clone)]
pub struct LabelledPicture {
    /// Its name in every table.
    pub path: String,
    /// Index of its label.
    pub label: usize,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    File(Arc<Source>),
    /// Grey values 0..255 of a square.
    Pixels(Arc<[u8]>),
    Scene {
        lesson: Lesson,
        seed: u64,
        number: u64,
    },
}

impl LabelledPicture {
    /// The same picture with another label.
    pub fn labelled(self, label: usize) -> Self {
        Self { label, ..self }
    }

    /// The picture.
    ///
    /// # Errors
    /// Its file cannot be read or decoded.
    pub fn picture(&self, options: &DecodeOptions) -> Result<Picture> {
        match &self.place {
            Place::File(source) => source.decode(options),
            Place::Pixels(grey) => Ok(pixels::picture(grey)),
            Place::Scene { .. } => Ok(self.scene().expect("it is one").render().into()),
        }
    }

    /// The scene of the drawn world that it is.
    pub fn scene(&self) -> Option<Scene> {
        match &self.place {
            Place::Scene { lesson, seed, number } => Some(lesson.scene(*seed, *number, 0.0).0),
            Place::File(_) | Place::Pixels(_) => None,
        }
    }

    /// What says whether it is still the same picture: the bytes of its file, the digest of its
    /// pixels in a table, the lesson and the seed of a scene.
    fn identity(&self) -> String {
        match &self.place {
            Place::File(source) => source.size.to_string(),
            Place::Pixels(grey) => crate::files::sha256(grey),
            Place::Scene { lesson, seed, .. } => format!("{} {seed}", lesson.identity()),
        }
    }
}

/// Labelled pictures.
#[derive(Debug, Clone)]
pub struct DataSet {
    /// Names of the labels, in the order of a network's outputs.
    pub labels: Vec<String>,
    /// In ascending order of their paths.
    pub items: Vec<LabelledPicture>,
    /// What could not be looked at.
    pub failures: Vec<Failure>,
    /// What pictures are for, where the data say so: 0 to learn from, 1 to choose by, 2 to measure
    /// with.
    pub uses: BTreeMap<String, usize>,
}

/// Pictures for each of the three uses.
#[derive(Debug, Clone)]
pub struct Divided {
    /// Names of the labels.
    pub labels: Vec<String>,
    /// To learn from.
    pub train: Vec<LabelledPicture>,
    /// To choose the best epoch by.
    pub validation: Vec<LabelledPicture>,
    /// To measure with, once.
    pub test: Vec<LabelledPicture>,
    /// What could not be looked at.
    pub failures: Vec<Failure>,
}

impl Divided {
    /// SHA-256 over uses, paths, identities and labels: whether it is still the same data.
    pub fn digest(&self) -> String {
        let mut lines = self.labels.join("\t");
        for (name, items) in
            [("train", &self.train), ("validation", &self.validation), ("test", &self.test)]
        {
            for item in items {
                lines.push_str(&format!(
                    "\n{name}\t{}\t{}\t{}",
                    item.label,
                    item.identity(),
                    item.path
                ));
            }
        }
        crate::files::sha256(lines.as_bytes())
    }

    /// How many pictures of each label there are to learn from.
    pub fn training_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.labels.len()];
        self.train.iter().for_each(|item| counts[item.label] += 1);
        counts
    }
}

/// `[drawn]`: how many scenes of the drawn world there are of each use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrawnConfig {
    /// Scenes to learn from.
    pub train: u64,
    /// Scenes to choose the best epoch by.
    pub validation: u64,
    /// Scenes to measure with.
    pub test: u64,
    /// Of the stream of scenes.
    pub seed: u64,
    /// Share of scenes to learn from whose label is wrong.
    pub label_noise: f64,
    /// Share of adjective-noun pairs that are claimed or missed by mistake.
    pub pair_noise: f64,
}

impl Default for DrawnConfig {
    fn default() -> Self {
        Self {
            train: 8_000,
            validation: 500,
            test: 1_000,
            seed: 11,
            label_noise: 0.0,
            pair_noise: 0.1,
        }
    }
}

/// What is added to the seed for scenes to choose by, and to measure with.
const OTHER_SEEDS: [u64; 2] = [1_000_003, 2_000_003];

impl DrawnConfig {
    /// The scenes of a lesson. Emotions have all labels of their graph: of the built-in one
    /// EmoNet's twenty, of which nine occur.
    ///
    /// # Errors
    /// A share that is none, or no scene at all.
    pub fn draw(&self, lesson: &Lesson) -> Result<Divided> {
        for (key, share) in [("label_noise", self.label_noise), ("pair_noise", self.pair_noise)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::Setting(format!(
                    "[drawn] {key} should be from 0 to 1, found {share}"
                )));
            }
        }
        if self.train == 0 || self.validation == 0 || self.test == 0 {
            return Err(Error::Setting(
                "[drawn] train, validation and test should each be at least 1".into(),
            ));
        }
        let scenes = |name: &str, seed: u64, count: u64, noise: f64| -> Vec<LabelledPicture> {
            let item = |number: u64| {
                let (_, label) = lesson.scene(seed, number, noise);
                LabelledPicture {
                    path: format!("{name}/scene-{number:06}"),
                    label,
                    place: Place::Scene { lesson: lesson.clone(), seed, number },
                }
            };
            (0..count).map(item).collect()
        };
        let other = OTHER_SEEDS.map(|more| self.seed.wrapping_add(more));
        Ok(Divided {
            labels: lesson.labels(),
            train: scenes("train", self.seed, self.train, self.label_noise),
            validation: scenes("validation", other[0], self.validation, 0.0),
            test: scenes("test", other[1], self.test, 0.0),
            failures: Vec::new(),
        })
    }
}
