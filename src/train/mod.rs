//! Training of the two small networks that come with `emocam`: a detector (Darknet cfg and weights,
//! read by the same engine as YOLOv3) and an emotion network of AlexNet's layers.
//!
//! In: a stream of labelled pictures that are drawn, not collected ([`Examples`]), so that every
//! example is fresh. Out: weights files that [`crate::regions::darknet`] and [`crate::networks`]
//! load, and their accuracy on pictures of another stream. Everything random comes from a seed and
//! the example's number: the same seed on the same machine, with the same number of threads of
//! libtorch, gives the same weights; elsewhere the last digits of each sum differ, and training
//! makes more of them.

pub mod adapt;
mod augment;
pub mod average_precision;
pub mod card;
pub mod data;
pub mod detector;
mod drawn;
pub mod emotion;
pub mod evaluate;
pub mod fer;
pub mod first;
pub mod fitting;
mod lessons;
pub mod multi_gap;
mod norm;
mod optimiser;
pub mod outcome;
mod stream;
#[cfg(test)]
mod tests;

pub use augment::augment;
pub use drawn::Drawn;

use crate::image::{BoundingBox, Rgb8};
use crate::random::Random;
use std::path::Path;

/// A labelled picture.
#[derive(Debug, Clone)]
pub struct Example {
    /// The picture, of any size.
    pub picture: Rgb8,
    /// Its objects: index of the class, box in pixels of the picture.
    pub boxes: Vec<(usize, BoundingBox)>,
    /// Its objects once more, by kinds that are finer than the classes: what the emotion network is
    /// helped with.
    pub kinds: Vec<(usize, BoundingBox)>,
    /// Index of its emotion.
    pub label: usize,
}

/// An endless supply of examples.
pub trait Examples: Sync {
    /// Example `number`, the same at every call, from any thread.
    fn example(&self, number: u64) -> Example;

    /// How many kinds of objects there are.
    fn kinds(&self) -> usize;
}

/// Example `number` as it is shown in training: changed by [`augment`], at random by `seed` and its
/// number.
fn augmented(examples: &dyn Examples, seed: u64, number: u64) -> Example {
    let mut example = examples.example(number);
    augment(&mut example, &mut Random::of_text(seed, &format!("augment/{number}")));
    example
}

/// Names of files in the recipe `file` that exist relative to it become paths from here.
fn relative_to<'a>(file: &Path, names: impl IntoIterator<Item = &'a mut String>) {
    let folder = file.parent().unwrap_or(Path::new(""));
    for name in names {
        let beside = folder.join(&*name);
        if !name.is_empty() && beside.exists() {
            *name = beside.to_string_lossy().into_owned();
        }
    }
}

/// How long, how fast and from which random numbers a network is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Steps of the optimiser.
    pub steps: u64,
    /// Examples a step.
    pub batch: usize,
    /// The highest learning rate, reached after the warm-up.
    pub rate: f64,
    /// Seed of the initial weights and of the augmentation.
    pub seed: u64,
    /// Threads that draw examples.
    pub threads: usize,
}

/// What is told after every step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Steps done.
    pub done: u64,
    /// The loss of this step's examples, before the step; each network says what it adds up.
    pub loss: f64,
}
