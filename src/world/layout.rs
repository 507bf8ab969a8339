//! Where the objects of a scene are put: inside the picture, hiding each other a little at most.

use super::object::{Object, Place, Style, Variant};
use super::objects;
use super::pen;
use crate::image::{BoundingBox, Size};
use crate::random::Random;

/// Largest longest side of an object, relative to the picture's shorter side.
const LARGEST: f64 = 0.5;
/// Share of an object's box that those in front of it may cover in all.
const MOST_HIDDEN: f32 = 0.33;
/// Share of a side by which an object may stick out of the picture.
const MOST_OUTSIDE: f64 = 0.06;
/// Share of objects that stick out, where chance puts them at the edge.
const AT_THE_EDGE: f64 = 0.2;
/// Share of objects that stand at the height usual for their class.
const USUAL_HEIGHT: f64 = 0.75;
/// Places tried for one object before it is made smaller.
const TRIES: usize = 24;
/// Layouts tried before the last is taken as it is.
const LAYOUTS: usize = 40;

/// Objects of these classes and variants, in painting order, each with its place and seed.
pub(super) fn place(
    random: &mut Random,
    size: Size,
    style: Style,
    kinds: &[(usize, Variant)],
) -> Vec<Object> {
    let mut objects = Vec::new();
    for layout in 0..LAYOUTS {
        let shrink = 1.0 - 0.5 * layout as f64 / LAYOUTS as f64;
        let complete;
        (objects, complete) = attempt(random, size, style, kinds, shrink);
        if complete {
            break;
        }
    }
    objects
}

/// How an object of a class is turned.
pub(super) fn turn(random: &mut Random, class: usize) -> f64 {
    let most = objects::of(class).turn;
    random.uniform(-most, most)
}

/// One layout, and whether every object found a good place.
fn attempt(
    random: &mut Random,
    size: Size,
    style: Style,
    kinds: &[(usize, Variant)],
    shrink: f64,
) -> (Vec<Object>, bool) {
    let mut placed: Vec<(Object, BoundingBox)> = Vec::with_capacity(kinds.len());
    let mut hidden = vec![0.0; kinds.len()];
    let mut complete = true;
    for &(class, variant) in kinds {
        let kind = objects::of(class);
        let turn = random.uniform(-kind.turn, kind.turn);
        let nowhere = Place { x: 0.5, y: 0.5, size: 1.0, turn };
        let mut object =
            Object { class, variant, place: nowhere, seed: random.next_u64(), hidden: 0 };
        let sides = sides(&object, style);
        let mut largest = LARGEST.max(kind.least + 0.02) * shrink;
        let least = kind.least * shrink.max(0.85);
        let mut found = None;
        for attempt in 0..3 * TRIES {
            if attempt > 0 && attempt % TRIES == 0 {
                largest = least + (largest - least) * 0.4;
            }
            object.place =
                random_place(random, size, sides, &object, (least.min(largest), largest));
            let box_ = box_of(&object.place, size, sides);
            if fits(&placed, &hidden, &object, &box_) {
                found = Some(box_);
                break;
            }
        }
        complete &= found.is_some();
        let box_ = found.unwrap_or_else(|| box_of(&object.place, size, sides));
        for ((_, earlier), hidden) in placed.iter().zip(&mut hidden) {
            *hidden += covered(earlier, &box_);
        }
        placed.push((object, box_));
    }
    (placed.into_iter().map(|(object, _)| object).collect(), complete)
}

/// Width and height of the turned object, the longer being 1.
fn sides(object: &Object, style: Style) -> (f64, f64) {
    let drawing = objects::draw(object, style);
    let [left, top, right, bottom] =
        drawing.bounds(pen::turn(object.place.turn as f32)).expect("every class draws something");
    let (width, height) = (f64::from(right - left), f64::from(bottom - top));
    let longest = width.max(height);
    (width / longest, height / longest)
}

fn random_place(
    random: &mut Random,
    size: Size,
    sides: (f64, f64),
    object: &Object,
    (least, largest): (f64, f64),
) -> Place {
    let shorter = f64::from(size.width.min(size.height));
    let longest = random.uniform(least, largest);
    let half_width = 0.5 * longest * sides.0 * shorter / f64::from(size.width);
    let half_height = 0.5 * longest * sides.1 * shorter / f64::from(size.height);
    // How far inside the edge the centre must lie.
    let inset =
        if random.uniform(0.0, 1.0) < AT_THE_EDGE { 1.0 - 2.0 * MOST_OUTSIDE } else { 1.04 };
    let (x_inset, y_inset) = (half_width * inset, half_height * inset);
    let (mut top, mut bottom) = (y_inset, 1.0 - y_inset);
    if random.uniform(0.0, 1.0) < USUAL_HEIGHT {
        let (high, low) = objects::of(object.class).height;
        (top, bottom) = (top.max(high).min(bottom), bottom.min(low).max(top));
    }
    let (x, y) = (random.uniform(x_inset, 1.0 - x_inset), random.uniform(top, bottom.max(top)));
    Place { x, y, size: longest, turn: object.place.turn }
}

/// The box in pixels.
fn box_of(place: &Place, size: Size, sides: (f64, f64)) -> BoundingBox {
    let longest = place.size * f64::from(size.width.min(size.height));
    BoundingBox::from_center(
        (place.x * f64::from(size.width)) as f32,
        (place.y * f64::from(size.height)) as f32,
        (longest * sides.0) as f32,
        (longest * sides.1) as f32,
    )
}

/// Whether the object may be painted over those that are there.
fn fits(
    placed: &[(Object, BoundingBox)],
    hidden: &[f32],
    object: &Object,
    box_: &BoundingBox,
) -> bool {
    placed.iter().zip(hidden).all(|((earlier, earlier_box), hidden)| {
        let cover = covered(earlier_box, box_);
        let decisive = part(earlier_box, objects::of(earlier.class).decisive);
        let same = earlier.class == object.class;
        cover == 0.0 || (!same && hidden + cover <= MOST_HIDDEN && covered(&decisive, box_) == 0.0)
    })
}

/// The part of a box given by shares of its sides.
fn part(of: &BoundingBox, [left, top, right, bottom]: [f64; 4]) -> BoundingBox {
    let x = |share: f64| of.x_min + of.width() * share as f32;
    let y = |share: f64| of.y_min + of.height() * share as f32;
    BoundingBox::new(x(left), y(top), x(right), y(bottom))
}

/// The share of a box that another covers.
fn covered(box_: &BoundingBox, by: &BoundingBox) -> f32 {
    let shared = BoundingBox::new(
        box_.x_min.max(by.x_min),
        box_.y_min.max(by.y_min),
        box_.x_max.min(by.x_max),
        box_.y_max.min(by.y_max),
    );
    shared.area() / box_.area()
}

#[cfg(test)]
mod tests {
    use super::super::scene::below;
    use super::*;

    #[test]
    fn a_layout_is_found_long_before_the_last_attempt() {
        let kinds = [0, 1, 5, 7, 12, 15].map(|class| (class, Variant::Plain));
        let size = Size::new(240, 427);
        for seed in 0..200 {
            let mut random = Random::new(seed, 0);
            let most = below(&mut random, 2) + 5;
            let complete = (0..LAYOUTS).any(|layout| {
                let shrink = 1.0 - 0.5 * layout as f64 / LAYOUTS as f64;
                attempt(&mut random, size, Style::Standard, &kinds[..most], shrink).1
            });
            assert!(complete, "seed {seed}");
        }
    }
}
