//! The drawn world as a stream of examples.

use super::{Example, Examples};
use crate::world::{Scene, Style};

/// Scenes 0, 1, 2 ... of one seed and style.
#[derive(Debug, Clone, Copy)]
pub struct Drawn {
    /// Of the stream.
    pub seed: u64,
    /// Whose hand draws.
    pub style: Style,
    /// Share of scenes whose label is another than the causal graph's.
    pub label_noise: f64,
}

impl Examples for Drawn {
    fn example(&self, number: u64) -> Example {
        let scene = Scene::draw(self.seed, number, self.style);
        let painting = scene.paint();
        let boxes = painting.boxes.into_iter().map(|(object, place)| (scene.objects[object].class, place)).collect();
        Example { picture: painting.picture, boxes, label: scene.noisy_label(self.label_noise) }
    }
}
