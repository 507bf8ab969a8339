//! Flowers, whose colour matters, and trees.

use super::super::hand::Hand;
use super::super::object::{Style, Variant};
use super::super::pen::{Colour, blob, curve, oval, polar, polygon, polyline, turn};
use resvg::tiny_skia::Transform;

const LEAF: &[u32] = &[0x2f7d32, 0x4c9a2a, 0x1f6b3a, 0x6aa84f, 0x3a6b1f];

/// The colour of the petals: that of the variant, and no two variants near each other.
fn petal_colour(hand: &mut Hand) -> Colour {
    let held_out = hand.style == Style::HeldOut;
    let (hue, saturation, lightness) = match (hand.variant, held_out) {
        (Variant::Red, false) => {
            (hand.between(-8.0, 8.0), hand.between(0.75, 0.95), hand.between(0.4, 0.52))
        }
        (Variant::Red, true) => {
            (hand.between(-10.0, 5.0), hand.between(0.6, 0.8), hand.between(0.34, 0.46))
        }
        (Variant::Yellow, false) => {
            (hand.between(46.0, 56.0), hand.between(0.85, 1.0), hand.between(0.5, 0.6))
        }
        (Variant::Yellow, true) => {
            (hand.between(48.0, 60.0), hand.between(0.55, 0.8), hand.between(0.6, 0.7))
        }
        (Variant::Blue, false) => {
            (hand.between(205.0, 228.0), hand.between(0.6, 0.9), hand.between(0.45, 0.6))
        }
        (Variant::Blue, true) => {
            (hand.between(195.0, 220.0), hand.between(0.4, 0.6), hand.between(0.6, 0.7))
        }
        (Variant::Violet, false) => {
            (hand.between(268.0, 288.0), hand.between(0.5, 0.8), hand.between(0.42, 0.58))
        }
        (Variant::Violet, true) => {
            (hand.between(262.0, 280.0), hand.between(0.35, 0.5), hand.between(0.6, 0.7))
        }
        _ => (hand.between(30.0, 70.0), hand.between(0.1, 0.4), hand.between(0.93, 0.98)),
    };
    Colour::hsl(hue, saturation, lightness)
}

/// A flower: daisy, round petals, tulip or rose; with stem and leaves, or the head alone.
pub(super) fn flower(hand: &mut Hand) {
    let petal = petal_colour(hand);
    let centre =
        if hand.variant == Variant::Yellow { &[0x6b3a14, 0xb8641a] } else { &[0xf5c531, 0xe8a81e] };
    let centre = hand.near(centre);
    let head = if hand.chance(0.7) { hand.between(0.46, 0.6) } else { 1.0 };
    let y = head - 1.0;
    if head < 0.9 {
        stem(hand, y);
    }
    let angle = hand.between(0.0, 360.0);
    match hand.count(0, 3) {
        0 => petals(hand, (y, head, angle), (8, 13), 0.17, petal),
        1 => petals(hand, (y, head, angle), (5, 6), 0.32, petal),
        2 => return tulip(hand, y, head, petal),
        _ => return rose(hand, (y, head, angle), petal),
    }
    let size = head * hand.between(0.24, 0.34);
    hand.shape(oval(0.0, y, size, size), centre);
}

fn stem(hand: &mut Hand, top: f32) {
    let (green, sway) = (hand.near(LEAF), hand.between(-0.2, 0.2));
    hand.bar(curve(&[(0.0, top), (sway, 0.5), (sway * 0.4, 1.0)]), 0.09 - 0.1 * sway.abs(), green);
    for side in [-1.0, 1.0] {
        if hand.chance(0.75) {
            let (y, length) = (hand.between(0.5, 0.75), hand.between(0.3, 0.45));
            let tip = (side * length + sway * 0.5, y - 0.2);
            hand.shape(
                blob(&[
                    (sway * 0.5, y + 0.06),
                    (side * length * 0.6, y + 0.12),
                    tip,
                    (side * 0.1, y - 0.2),
                ]),
                green,
            );
        }
    }
}

fn petals(
    hand: &mut Hand,
    (y, head, angle): (f32, f32, f32),
    (fewest, most): (usize, usize),
    width: f32,
    colour: Colour,
) {
    let count = hand.count(fewest, most);
    let (length, tip) = (hand.between(0.34, 0.42), hand.between(0.9, 1.15));
    for number in 0..count {
        let frame = Transform::from_translate(0.0, y)
            .pre_concat(turn(angle + 360.0 * number as f32 / count as f32));
        let shade = if number % 2 == 0 { colour } else { colour.darker(0.06) };
        hand.within(frame, |hand| {
            hand.shape(oval(head * (1.0 - length), 0.0, head * length, head * width * tip), shade);
        });
    }
}

fn tulip(hand: &mut Hand, y: f32, head: f32, colour: Colour) {
    let (wide, dip) = (head * hand.between(0.7, 0.85), head * hand.between(0.25, 0.45));
    let (top, bottom) = (y - head * 0.9, y + head * 0.85);
    let side = |s: f32| {
        [
            (0.0, bottom),
            (s * wide, bottom),
            (s * wide * 1.15, y),
            (s * wide, top),
            (s * wide * 0.9, top - 0.02),
            (0.0, y),
        ]
    };
    hand.shape(
        blob(&[
            (-wide * 0.5, top + dip),
            (0.0, top - head * 0.25),
            (wide * 0.5, top + dip),
            (0.0, bottom),
        ]),
        colour.darker(0.12),
    );
    for s in [-1.0, 1.0] {
        hand.shape(blob(&side(s)), colour);
    }
    hand.shape(
        blob(&[
            (-wide * 0.55, y + 0.1 * head),
            (0.0, top + dip * 0.6),
            (wide * 0.55, y + 0.1 * head),
            (wide * 0.4, bottom),
            (-wide * 0.4, bottom),
        ]),
        colour.lighter(0.1),
    );
}

fn rose(hand: &mut Hand, (y, head, angle): (f32, f32, f32), colour: Colour) {
    for (ring, (radius, count)) in [(0.55, 6), (0.34, 5), (0.14, 3)].into_iter().enumerate() {
        let size = head * [0.44, 0.34, 0.24][ring];
        for number in 0..count {
            let (x, py) = polar(
                0.0,
                y,
                head * radius,
                angle + 25.0 * ring as f32 + 360.0 * number as f32 / count as f32,
            );
            let shade = colour.darker(0.14 * ((number + ring) % 2) as f32 + 0.05 * ring as f32);
            hand.shape(oval(x, py, size, size), shade);
        }
    }
    hand.line(
        curve(&[
            (-0.12 * head, y),
            (0.0, y - 0.2 * head),
            (0.14 * head, y),
            (0.0, y + 0.12 * head),
        ]),
        0.05 * head,
        colour.darker(0.4),
    );
}

/// A tree: round crown, poplar or conifer; some in autumn, some with fruit.
pub(super) fn tree(hand: &mut Hand) {
    let trunk = hand.near(&[0x6b4423, 0x5a3a1e, 0x8a6a4a, 0x4a3a30]);
    let autumn: &[u32] = if hand.chance(0.2) { &[0xc9772a, 0xd69a2d, 0xa84a24] } else { LEAF };
    let leaves = hand.near(autumn);
    let wide = hand.between(0.07, 0.13);
    hand.shape(polygon(&[(-wide, 0.1), (wide, 0.1), (wide * 1.5, 1.0), (-wide * 1.5, 1.0)]), trunk);
    match hand.count(0, 3) {
        0 => conifer(hand, leaves),
        1 => {
            let rx = hand.between(0.36, 0.5);
            hand.shape(oval(0.0, -0.28, rx, 0.72), leaves);
            hand.line(polyline(&[(0.0, 0.4), (0.0, -0.3)]), 0.04, trunk);
        }
        _ => round_crown(hand, leaves),
    }
}

fn conifer(hand: &mut Hand, leaves: Colour) {
    let (layers, wide) = (hand.count(3, 4), hand.between(0.5, 0.68));
    for layer in 0..layers {
        let share = (layers - layer) as f32 / layers as f32;
        let bottom = 0.62 - 1.25 * layer as f32 / layers as f32;
        let half = wide * (0.35 + 0.65 * share);
        hand.shape(
            polygon(&[(-half, bottom), (0.0, bottom - 0.85), (half, bottom)]),
            leaves.lighter(0.05 * layer as f32),
        );
    }
}

fn round_crown(hand: &mut Hand, leaves: Colour) {
    let lobes = hand.count(4, 6);
    let spread = hand.between(0.3, 0.4);
    hand.shape(oval(0.0, -0.35, 0.46, 0.42), leaves.darker(0.1));
    for lobe in 0..lobes {
        let (x, y) = polar(0.0, -0.38, spread, 150.0 + 240.0 * lobe as f32 / (lobes - 1) as f32);
        let (size, shade) = (hand.between(0.28, 0.36), hand.between(0.0, 0.12));
        hand.shape(oval(x, y, size, size), leaves.darker(shade));
    }
    hand.detail(oval(-0.02, -0.32, 0.4, 0.34), leaves);
    if hand.chance(0.3) {
        let fruit = hand.near(&[0xc62828, 0xe08a1e, 0xd8c32a]);
        for number in 0..hand.count(4, 7) {
            let distance = hand.between(0.15, 0.5);
            let (x, y) = polar(0.0, -0.38, distance, 51.0 * number as f32);
            hand.detail(oval(x, y, 0.06, 0.06), fruit);
        }
    }
}
