//! What networks can be taught in the drawn world: emotions, expressions of faces, and what is
//! learnt before emotions.
//!
//! Published networks of emotions stand on backbones that have learnt objects (ImageNet), places
//! (Places365) or faces (FER2013) first. These are the same lessons in the drawn world: scenes with
//! one object each, scenes with none, and pictures of one face.

use super::graph::{CausalGraph, face_graph, graph};
use super::layout;
use super::object::{Ambience, Object, Place, Style, Variant};
use super::objects::CLASSES;
use super::scene::{Scene, below, picture_size};
use super::setting;
use crate::random::Random;
use std::sync::Arc;

/// What is taught.
#[derive(Debug, Clone, PartialEq)]
pub enum Lesson {
    /// Which emotion the scene has by the graph that it is drawn from, as [`Scene::draw`] does.
    Emotions(Arc<CausalGraph>),
    /// Which object it shows: one of every class and variant of the built-in graph, as frequent as
    /// each other.
    Objects,
    /// In which setting it is.
    Places,
    /// Which expression a face has, as [`Scene::draw_face`] draws it.
    Faces,
}

/// Largest and least longest side of the object that is shown, relative to the picture's shorter
/// side.
const SIDES: (f64, f64) = (0.2, 0.7);

/// A class with its variant in words: "smiling human face", "dog".
pub fn kind_name(class: usize, variant: Variant) -> String {
    let noun = CLASSES[class].to_lowercase();
    match variant {
        Variant::Plain => noun,
        variant => format!("{} {noun}", variant.name()),
    }
}

impl Lesson {
    /// What scenes are drawn by, as a text that differs where that differs.
    pub fn identity(&self) -> String {
        match self {
            Self::Emotions(graph) => graph.to_json().to_string(),
            other => format!("{other:?}"),
        }
    }

    /// Names of what there is to tell apart.
    pub fn labels(&self) -> Vec<String> {
        match self {
            Self::Emotions(graph) => graph.labels.clone(),
            Self::Objects => {
                self.kinds().into_iter().map(|(class, variant)| kind_name(class, variant)).collect()
            }
            Self::Places => setting::NAMES.map(String::from).to_vec(),
            Self::Faces => face_graph().labels.clone(),
        }
    }

    /// All classes with their variants that there are in the pictures; of places, where there are
    /// none, those of the built-in graph.
    pub fn kinds(&self) -> Vec<(usize, Variant)> {
        match self {
            Self::Emotions(graph) => graph.kinds(),
            Self::Objects | Self::Places => graph().kinds(),
            Self::Faces => face_graph().kinds(),
        }
    }

    /// Scene `number` of the stream `seed` in the standard style, and the index of its label; a
    /// share of `noise` of emotions and expressions is wrong.
    pub fn scene(&self, seed: u64, number: u64, noise: f64) -> (Scene, usize) {
        let style = Style::Standard;
        let labelled = |graph: &CausalGraph, scene: Scene| {
            let label = graph
                .noisy_label(&scene, noise)
                .expect("what is drawn from a graph has a label by it");
            (scene, label)
        };
        match self {
            Self::Emotions(graph) => labelled(graph, Scene::draw(graph, seed, number, style)),
            Self::Faces => labelled(face_graph(), Scene::draw_face(seed, number, style)),
            Self::Objects => {
                let (mut scene, mut random) = empty(seed, &format!("object {number}"));
                let kinds = self.kinds();
                let label = below(&mut random, kinds.len());
                let (class, variant) = kinds[label];
                let size = random.uniform(SIDES.0, SIDES.1);
                // So far from the edge that most of it is seen.
                let mut centre = || random.uniform(0.5 * size.min(0.8), 1.0 - 0.5 * size.min(0.8));
                let place = Place { x: centre(), y: centre(), size, turn: 0.0 };
                let place = Place { turn: layout::turn(&mut random, class), ..place };
                scene.objects.push(Object {
                    class,
                    variant,
                    place,
                    seed: random.next_u64(),
                    hidden: 0,
                });
                (scene, label)
            }
            Self::Places => {
                let (scene, _) = empty(seed, &format!("place {number}"));
                let label = setting::standard(scene.seed);
                (scene, label)
            }
        }
    }
}

/// A scene without objects, and the random numbers that follow.
fn empty(seed: u64, name: &str) -> (Scene, Random) {
    let mut random = Random::of_text(seed, name);
    let (size, scene_seed) = (picture_size(&mut random), random.next_u64());
    (
        Scene {
            size,
            style: Style::Standard,
            seed: scene_seed,
            ambience: Ambience::Usual,
            objects: Vec::new(),
        },
        random,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_shows_what_its_label_says() {
        let (objects, places) = (Lesson::Objects.labels(), Lesson::Places.labels());
        assert_eq!((objects.len(), places.len()), (Lesson::Objects.kinds().len(), 5));
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..200 {
            let (scene, label) = Lesson::Objects.scene(3, number, 0.0);
            let object = &scene.objects[0];
            assert_eq!(
                (scene.objects.len(), objects[label].clone()),
                (1, kind_name(object.class, object.variant))
            );
            assert_eq!(scene.paint().boxes.len(), 1, "{}", objects[label]);
            let (scene, label) = Lesson::Places.scene(3, number, 0.0);
            assert!(scene.objects.is_empty());
            seen.insert(label);
        }
        assert_eq!(seen.len(), places.len());
    }

    #[test]
    fn a_face_has_the_expression_that_its_label_says() {
        let labels = Lesson::Faces.labels();
        assert_eq!(labels, ["happy", "sad", "angry", "disgusted", "neutral"]);
        let mut counts = [0; 5];
        for number in 0..500 {
            let (scene, label) = Lesson::Faces.scene(3, number, 0.0);
            let [face] = scene.objects[..] else {
                panic!("one face, found {}", scene.objects.len())
            };
            let shown = ["smiling", "sad", "angry", "disgusted", "neutral"][label];
            assert_eq!((CLASSES[face.class], face.variant.name()), ("Human face", shown));
            counts[label] += 1;
        }
        // A share of 1/5 in 500 lies this near 100 but for one case in 10,000.
        assert!(counts.iter().all(|count| (65..=135).contains(count)), "{counts:?}");
        let noisy = (0..500).filter(|&number| {
            let truth = Lesson::Faces.scene(3, number, 0.0);
            let (scene, label) = Lesson::Faces.scene(3, number, 0.3);
            assert_eq!(scene, truth.0);
            label != truth.1
        });
        assert!((110..=190).contains(&noisy.count()));
    }

    #[test]
    fn emotions_are_those_of_the_graph_that_is_given() {
        let lesson = Lesson::Emotions(graph().clone());
        assert_eq!(lesson.labels(), super::super::LABELS);
        let faces = Lesson::Emotions(face_graph().clone());
        assert_eq!(faces.labels(), Lesson::Faces.labels());
        for number in 0..50 {
            let (scene, label) = faces.scene(3, number, 0.0);
            assert_eq!((scene.objects.len(), face_graph().label(&scene)), (1, Some(label)));
            let (scene, label) = lesson.scene(3, number, 0.0);
            assert_eq!(scene, Scene::draw(graph(), 3, number, Style::Standard));
            assert_eq!(graph().label(&scene), Some(label));
        }
    }
}
