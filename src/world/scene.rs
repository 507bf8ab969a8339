//! A scene as data: what is in it and where; drawn from a causal graph, edited one object at a
//! time.

use super::graph::CausalGraph;
use super::layout;
use super::object::{Ambience, Object, Place, Style, Variant};
use crate::image::Size;
use crate::random::Random;
use serde::{Deserialize, Serialize};

/// A scene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// Width and height in pixels; those of [`Scene::draw`] are never equal.
    pub size: Size,
    /// Whose hand draws.
    pub style: Style,
    /// Background, clutter, lighting, noise of the picture and of the label.
    pub seed: u64,
    /// What is behind the objects and in what light, where that is not as usual.
    #[serde(default, skip_serializing_if = "Ambience::is_usual")]
    pub ambience: Ambience,
    /// In painting order: a later one hides an earlier one.
    pub objects: Vec<Object>,
}

impl Scene {
    /// Scene `number` of the stream `seed`, drawn from a causal graph. It has at most six objects,
    /// by the built-in graph at least two, one of them a cause, or none in scenes of the neutral
    /// label and of those whose cause is no object.
    pub fn draw(graph: &CausalGraph, seed: u64, number: u64, style: Style) -> Self {
        let mut random = Random::of_text(seed, &format!("scene {number}"));
        let size = picture_size(&mut random);
        let (mut kinds, ambience) = contents(&mut random, graph);
        for last in (1..kinds.len()).rev() {
            kinds.swap(last, below(&mut random, last + 1));
        }
        let scene_seed = random.next_u64();
        let objects = layout::place(&mut random, size, style, &kinds);
        Self { size, style, seed: scene_seed, ambience, objects }
    }

    /// The same scene without an object.
    ///
    /// # Panics
    /// There is no such object.
    pub fn without(&self, object: usize) -> Self {
        let mut scene = self.clone();
        scene.objects.remove(object);
        scene
    }

    /// The same scene without the part of an object that [`Scene::part_boxes`] counts as its
    /// `part`.
    ///
    /// # Panics
    /// There is no such object, or it cannot have so many parts.
    pub fn without_part(&self, object: usize, part: usize) -> Self {
        let mut scene = self.clone();
        scene.objects[object].hidden |= 1 << part;
        scene
    }

    /// The same objects in front of the usual background, in plain light.
    pub fn in_usual_ambience(&self) -> Self {
        Self { ambience: Ambience::Usual, ..self.clone() }
    }

    /// The same scene with another object in the place in painting order of this one.
    ///
    /// # Panics
    /// There is no such object.
    pub fn replaced(&self, object: usize, by: Object) -> Self {
        let mut scene = self.clone();
        scene.objects[object] = by;
        scene
    }

    /// The same scene with an object elsewhere.
    ///
    /// # Panics
    /// There is no such object.
    pub fn moved(&self, object: usize, place: Place) -> Self {
        let mut scene = self.clone();
        scene.objects[object].place = place;
        scene
    }
}

/// A whole number below `count`.
pub(super) fn below(random: &mut Random, count: usize) -> usize {
    random.uniform(0.0, count as f64) as usize
}

/// Never square: from 4:3 to 16:9, upright or lying; the shorter side has 240 pixels or more, the
/// longer 480 or less.
pub(super) fn picture_size(random: &mut Random) -> Size {
    let ratio = random.uniform(4.0 / 3.0, 16.0 / 9.0);
    let long = random.uniform(240.0 * ratio, 480.0);
    let (long, short) = (long.round() as u32, (long / ratio).round() as u32);
    if random.uniform(0.0, 1.0) < 0.5 { Size::new(long, short) } else { Size::new(short, long) }
}

/// Class and variant of every object, and the ambience.
///
/// The label is uniform among those that occur, its cause among its causes. All else is drawn by
/// systematic sampling in random order (Madow 1949): each kind occurs at exactly its declared rate,
/// and the number of objects is one of the two around the sum of all rates. To vary that number the
/// bystanders' rates are scaled by a factor of mean 1.
fn contents(random: &mut Random, graph: &CausalGraph) -> (Vec<(usize, Variant)>, Ambience) {
    let labels = graph.occurring();
    let label = labels[below(random, labels.len())];
    let objects: Vec<_> = graph.causes.iter().filter(|cause| cause.label == label).collect();
    let ambiences: Vec<_> = graph.ambiences.iter().filter(|cause| cause.label == label).collect();
    let causes = objects.len() + ambiences.len();
    let chosen = (causes > 0).then(|| below(random, causes));
    let cause = chosen.and_then(|index| objects.get(index));
    let ambience = chosen.and_then(|index| ambiences.get(index.checked_sub(objects.len())?));
    let spread = graph.density_spread(cause.is_some());
    let density = random.uniform(1.0 - spread, 1.0 + spread);

    let mut others: Vec<(usize, Variant, f64)> = Vec::new();
    for confounder in &graph.confounders {
        let rate = if confounder.with == label { confounder.rate } else { confounder.base };
        others.push((confounder.class, Variant::Plain, rate));
    }
    for bystander in &graph.bystanders {
        let variant = bystander.variants[below(random, bystander.variants.len())];
        others.push((bystander.class, variant, bystander.rate * density));
    }
    for last in (1..others.len()).rev() {
        others.swap(last, below(random, last + 1));
    }

    let mut kinds: Vec<(usize, Variant)> =
        cause.map(|cause| (cause.class, cause.variant)).into_iter().collect();
    let mut next = random.uniform(0.0, 1.0);
    let mut sum = 0.0;
    for (class, variant, rate) in others {
        sum += rate;
        if next < sum {
            kinds.push((class, variant));
            next += 1.0;
        }
    }
    (kinds, ambience.map_or(Ambience::Usual, |cause| cause.ambience))
}
