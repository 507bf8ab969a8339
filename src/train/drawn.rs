//! The drawn world as a stream of examples, by its built-in causal graph.

use super::{Example, Examples};
use crate::world::{graph, Scene, Style, Variant, CLASSES};

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

/// A class's index, or the variant's behind them: a smiling face is another kind than a sad one.
fn kind(class: usize, variant: Variant) -> usize {
    match variant {
        Variant::Plain => class,
        _ => CLASSES.len() + variant as usize - 1,
    }
}

impl Examples for Drawn {
    fn example(&self, number: u64) -> Example {
        let scene = Scene::draw(graph(), self.seed, number, self.style);
        let painting = scene.paint();
        let of = |name: fn(usize, Variant) -> usize| {
            let named = |&(object, place): &(usize, _)| {
                let object = &scene.objects[object];
                (name(object.class, object.variant), place)
            };
            painting.boxes.iter().map(named).collect()
        };
        Example {
            boxes: of(|class, _| class),
            kinds: of(kind),
            label: graph().noisy_label(&scene, self.label_noise).expect("the built-in graph has a neutral label"),
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

    #[test]
    fn an_example_is_its_scene() {
        let drawn = Drawn { seed: 4, style: Style::Standard, label_noise: 0.0 };
        for number in 0..8 {
            let (scene, example) = (Scene::draw(graph(), 4, number, Style::Standard), drawn.example(number));
            assert_eq!((example.picture, Some(example.label)), (scene.render(), graph().label(&scene)));
            let classes: Vec<_> = scene.boxes().into_iter().map(|(at, b)| (scene.objects[at].class, b)).collect();
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
