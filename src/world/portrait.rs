//! Pictures of a single face that fills them, as data sets of expressions have them.

use super::graph::face_graph;
use super::object::{Ambience, Object, Place, Style};
use super::scene::{Scene, below};
use crate::image::Size;
use crate::random::Random;

/// Least and greatest width of a picture, pixels.
const WIDTHS: (f64, f64) = (200.0, 260.0);

/// Least and greatest height, relative to the width.
const HEIGHTS: (f64, f64) = (1.02, 1.25);

/// Least and greatest longest side of the face, relative to the picture's width: hair and chin may
/// be cut off.
const SIDES: (f64, f64) = (0.75, 1.05);

/// How far the face's centre is off the picture's at most, relative to its sides.
const OFF_CENTRE: f64 = 0.06;

/// Largest turn either way, degrees.
const TURN: f64 = 20.0;

impl Scene {
    /// Face `number` of the stream `seed`: a single face that fills most of the picture. Each
    /// expression of [`face_graph`], which labels it, is as frequent as the others; persons, turns,
    /// sizes, places, light and backgrounds differ.
    pub fn draw_face(seed: u64, number: u64, style: Style) -> Self {
        let mut random = Random::of_text(seed, &format!("face {number}"));
        let mut between = |(low, high): (f64, f64)| random.uniform(low, high);
        let width = between(WIDTHS);
        let size = Size::new(width.round() as u32, (width * between(HEIGHTS)).round() as u32);
        let centre = (0.5 - OFF_CENTRE, 0.5 + OFF_CENTRE);
        let place = Place {
            x: between(centre),
            y: between(centre),
            size: between(SIDES),
            turn: between((-TURN, TURN)),
        };
        let causes = &face_graph().causes;
        let cause = causes[below(&mut random, causes.len())];
        let (scene_seed, seed) = (random.next_u64(), random.next_u64());
        let face = Object { class: cause.class, variant: cause.variant, place, seed, hidden: 0 };
        Self { size, style, seed: scene_seed, ambience: Ambience::Usual, objects: vec![face] }
    }
}
