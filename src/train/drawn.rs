//! The drawn world as a stream of examples, labelled by a causal graph.

use super::{Example, Examples};
use crate::image::BoundingBox;
use crate::world::{CLASSES, CausalGraph, Scene, Style, Variant};
use std::sync::Arc;

/// Scenes 0, 1, 2 ... of one seed and style.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// What they are drawn from and labelled by.
    pub graph: Arc<CausalGraph>,
    /// Of the stream.
    pub seed: u64,
    /// Whose hand draws.
    pub style: Style,
    /// Whether parts of objects are asked for too: classes behind those of the objects.
    pub parts: bool,
    /// Share of scenes whose label is another than the causal graph's.
    pub label_noise: f64,
}

/// A class's index, or the variant's behind them: a smiling face is another kind than a sad one.
fn kind(class: usize, variant: Variant) -> usize {
    match variant {
        Variant::Plain => class,
        _ => CLASSES.len() + variant as usize - 1,
    }
}

impl Examples for Drawn {
    fn example(&self, number: u64) -> Example {
        let scene = Scene::draw(&self.graph, self.seed, number, self.style);
        let painting = scene.paint();
        let boxes_named = |name: fn(usize, Variant) -> usize| {
            let named = |&(object, place): &(usize, _)| {
                let object = &scene.objects[object];
                (name(object.class, object.variant), place)
            };
            painting.boxes.iter().map(named).collect()
        };
        let mut boxes: Vec<(usize, BoundingBox)> = boxes_named(|class, _| class);
        if self.parts {
            let parts = scene.part_boxes().into_iter();
            boxes.extend(parts.map(|part| (part.kind.class(), part.bounding_box)));
        }
        Example {
            boxes,
            kinds: boxes_named(kind),
            label: self
                .graph
                .noisy_label(&scene, self.label_noise)
                .expect("what is drawn from a graph has a label by it"),
            picture: painting.picture,
        }
    }

    fn kinds(&self) -> usize {
        CLASSES.len() + Variant::Violet as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::graph;

    #[test]
    fn an_example_is_its_scene() {
        let drawn = Drawn {
            graph: graph().clone(),
            seed: 4,
            style: Style::Standard,
            parts: false,
            label_noise: 0.0,
        };
        for number in 0..8 {
            let (scene, example) =
                (Scene::draw(graph(), 4, number, Style::Standard), drawn.example(number));
            assert_eq!(
                (example.picture, Some(example.label)),
                (scene.render(), graph().label(&scene))
            );
            let classes: Vec<_> =
                scene.boxes().into_iter().map(|(at, b)| (scene.objects[at].class, b)).collect();
            assert_eq!(example.boxes, classes);
            assert_eq!(example.kinds.len(), example.boxes.len());
            assert!(example.kinds.iter().all(|(kind, _)| *kind < drawn.kinds()));
        }
    }

    #[test]
    fn faces_of_different_expression_are_different_kinds() {
        assert_ne!(kind(0, Variant::Smiling), kind(0, Variant::Sad));
        assert_eq!(kind(3, Variant::Plain), 3);
    }
}
