//! What networks can be taught before they learn emotions: which object is in a picture, or in which place.
//!
//! Published networks of emotions stand on backbones that have learnt objects (ImageNet) or places (Places365) first.
//! These are the same two lessons in the drawn world: scenes with one object each, and scenes with none. Emotions have
//! no part in either.

use super::graph::graph;
use super::layout;
use super::object::{Object, Place, Style, Variant};
use super::objects::CLASSES;
use super::scene::{below, picture_size, Scene};
use super::setting;
use crate::random::Random;

/// What is taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// Which emotion the scene has, as [`Scene::draw`]'s.
    Emotions,
    /// Which object it shows: one of every class and variant, as frequent as each other.
    Objects,
    /// In which setting it is.
    Places,
}

/// Largest and least longest side of the object that is shown, relative to the picture's shorter side.
const SIDES: (f64, f64) = (0.2, 0.7);

/// All classes with their variants.
pub fn kinds() -> Vec<(usize, Variant)> {
    let of_class = |class| graph().variants(class).into_iter().map(move |variant| (class, variant));
    (0..CLASSES.len()).flat_map(of_class).collect()
}

/// A class with its variant in words: "smiling human face", "dog".
pub fn kind_name(class: usize, variant: Variant) -> String {
    let noun = CLASSES[class].to_lowercase();
    match variant {
        Variant::Plain => noun,
        variant => format!("{} {noun}", variant.name()),
    }
}

impl Lesson {
    /// Names of what there is to tell apart.
    pub fn labels(self) -> Vec<String> {
        match self {
            Self::Emotions => super::LABELS.map(String::from).to_vec(),
            Self::Objects => kinds().into_iter().map(|(class, variant)| kind_name(class, variant)).collect(),
            Self::Places => setting::NAMES.map(String::from).to_vec(),
        }
    }

    /// Scene `number` of the stream `seed` in the standard style, and the index of its label; a share of `noise` of
    /// emotions is wrong.
    pub fn scene(self, seed: u64, number: u64, noise: f64) -> (Scene, usize) {
        let style = Style::Standard;
        match self {
            Self::Emotions => {
                let scene = Scene::draw(seed, number, style);
                let label = scene.noisy_label(noise);
                (scene, label)
            }
            Self::Objects => {
                let (mut scene, mut random) = empty(seed, &format!("object {number}"));
                let kinds = kinds();
                let label = below(&mut random, kinds.len());
                let (class, variant) = kinds[label];
                let size = random.uniform(SIDES.0, SIDES.1);
                // So far from the edge that most of it is seen.
                let mut centre = || random.uniform(0.5 * size.min(0.8), 1.0 - 0.5 * size.min(0.8));
                let place = Place { x: centre(), y: centre(), size, turn: 0.0 };
                let place = Place { turn: layout::turn(&mut random, class), ..place };
                scene.objects.push(Object { class, variant, place, seed: random.next_u64() });
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
    (Scene { size, style: Style::Standard, seed: scene_seed, objects: Vec::new() }, random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_shows_what_its_label_says() {
        let (objects, places) = (Lesson::Objects.labels(), Lesson::Places.labels());
        assert_eq!((objects.len(), places.len()), (kinds().len(), 5));
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..200 {
            let (scene, label) = Lesson::Objects.scene(3, number, 0.0);
            let object = &scene.objects[0];
            assert_eq!((scene.objects.len(), objects[label].clone()), (1, kind_name(object.class, object.variant)));
            assert_eq!(scene.paint().boxes.len(), 1, "{}", objects[label]);
            let (scene, label) = Lesson::Places.scene(3, number, 0.0);
            assert!(scene.objects.is_empty());
            seen.insert(label);
        }
        assert_eq!(seen.len(), places.len());
    }
}
