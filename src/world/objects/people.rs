//! Persons, whose face is never seen.

use super::super::hand::Hand;
use super::super::object::ObjectPart;
use super::super::pen::{Colour, arc, oval, polygon, polyline, rounded};
use super::faces::{HAIR, SKIN};

/// A whole figure from behind: hair covers the head.
pub(super) fn person(hand: &mut Hand) {
    let (skin, hair) = (hand.near(SKIN), hand.near(HAIR));
    let (shirt, trousers) = (hand.paint(), hand.paint().darker(0.2));
    let (head, shoulder) = (hand.between(0.15, 0.18), hand.between(0.23, 0.31));
    let hip = hand.between(0.15, 0.22);
    let (top, waist) = (-0.6, hand.between(-0.02, 0.08));
    legs(hand, (hip, waist), trousers, skin);
    let sleeve = if hand.chance(0.6) { shirt.darker(0.08) } else { skin };
    for side in [-1.0, 1.0] {
        let (x, y) = (side * (shoulder - 0.04), top + 0.1);
        let (elbow, hand_at) = match hand.count(0, 3) {
            0 => ((x + side * 0.14, y + 0.28), (x + side * 0.16, y + 0.58)),
            1 => ((x + side * 0.26, y + 0.22), (x + side * 0.02, y + 0.48)),
            2 => ((x + side * 0.24, y - 0.06), (x + side * 0.36, y - 0.42)),
            _ => ((x + side * 0.06, y + 0.3), (x + side * 0.08, y + 0.6)),
        };
        hand.bar(polyline(&[(x, y), elbow, hand_at]), 0.12, sleeve);
        hand.shape(oval(hand_at.0, hand_at.1, 0.075, 0.075), skin);
    }
    hand.bar(polyline(&[(0.0, top - 0.08), (0.0, top + 0.04)]), 0.13, skin.darker(0.08));
    let body = [
        (-shoulder * 0.6, top),
        (shoulder * 0.6, top),
        (shoulder, top + 0.1),
        (hip + 0.03, waist + 0.08),
        (-hip - 0.03, waist + 0.08),
        (-shoulder, top + 0.1),
    ];
    hand.shape(polygon(&body), shirt);
    if hand.chance(0.35) {
        // A rucksack, or a stripe.
        let (pack, wide) = (hand.paint(), hand.between(0.5, 0.8) * shoulder);
        hand.shape(rounded(-wide, top + 0.1, wide, waist - 0.06, 0.12), pack);
    }
    let y = top - 0.1 - head;
    for side in [-1.0, 1.0] {
        hand.shape(oval(side * head, y + 0.03, 0.04, 0.06), skin);
    }
    if hand.chance(0.4) {
        let outline = rounded(-head - 0.02, y - head, head + 0.02, top + head * 0.9, 0.14);
        hand.part(ObjectPart::Hair, 0, |hand| hand.shape(outline, hair));
    }
    hand.part(ObjectPart::Hair, 0, |hand| hand.shape(oval(0.0, y, head, head * 1.15), hair));
    if hand.chance(0.3) {
        // A cap; a brim across the head would look like eyes.
        let cap = hand.paint();
        hand.shape(polygon(&arc(0.0, y - head * 0.05, head * 1.1, head * 1.25, 180.0, 360.0)), cap);
    }
}

fn legs(hand: &mut Hand, (hip, waist): (f32, f32), trousers: Colour, skin: Colour) {
    let (stride, shoe) =
        (hand.between(0.0, 0.16), hand.near(&[0x202020, 0x5a3a20, 0xd8d8d8, 0xa02828]));
    let skirt = hand.chance(0.35);
    let colour = if skirt { skin } else { trousers };
    for side in [-1.0, 1.0] {
        let (x, foot) = (side * hip * 0.55, side * (hip * 0.6 + stride));
        hand.shape(oval(foot + side * 0.05, 0.96, 0.12, 0.06), shoe);
        hand.bar(polyline(&[(x, waist), (foot, 0.9)]), if skirt { 0.11 } else { 0.17 }, colour);
    }
    if skirt {
        let (wide, low) = (hip + hand.between(0.12, 0.22), hand.between(0.4, 0.6));
        hand.shape(polygon(&[(-hip, waist), (hip, waist), (wide, low), (-wide, low)]), trousers);
    }
}
