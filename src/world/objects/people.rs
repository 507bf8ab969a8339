//! Faces, whose expression matters, and persons, whose face is never seen.

use super::super::hand::Hand;
use super::super::object::Variant;
use super::super::pen::{arc, blob, curve, oval, polygon, polyline, rounded, Colour};

const SKIN: &[u32] = &[0xf6d7bd, 0xeec1a0, 0xd9a47c, 0xbf8257, 0x9a6240, 0x704528, 0xffe0cc];
const HAIR: &[u32] = &[0x2a1d14, 0x553319, 0x8a5a2b, 0xc79a4b, 0xe0c27a, 0x1a1a1f, 0x8b3a1c, 0x9a9a9a];

/// A face from the front: smiling, sad or neutral by mouth and brows, which are large in all of them.
pub fn face(hand: &mut Hand) {
    let (skin, hair) = (hand.near(SKIN), hand.near(HAIR));
    let (rx, ry) = (hand.between(0.72, 0.88), hand.between(0.88, 1.0));
    let style = hand.count(0, 4);
    if style == 1 {
        // Long hair hangs behind the cheeks.
        let (wide, low) = (rx + hand.between(0.1, 0.2), hand.between(0.75, 1.05));
        hand.shape(rounded(-wide, -ry - 0.1, wide, low, 0.75), hair);
    }
    if style == 2 {
        for side in [-1.0, 1.0] {
            hand.shape(oval(side * rx, -0.55, 0.36, 0.36), hair);
        }
    }
    for side in [-1.0, 1.0] {
        hand.shape(oval(side * rx, 0.05, 0.13, 0.2), skin.darker(0.06));
    }
    hand.shape(oval(0.0, 0.0, rx, ry), skin);
    cap_of_hair(hand, style, (rx, ry), hair);
    if hand.chance(0.3) {
        for side in [-1.0, 1.0] {
            hand.detail(oval(side * 0.52, 0.2, 0.15, 0.1), skin.mix(Colour::hex(0xe86a5c), 0.4));
        }
    }
    let nose = skin.darker(0.25);
    let (length, side) = (hand.between(0.12, 0.2), hand.pick(&[-1.0, 1.0]));
    if hand.chance(0.5) {
        hand.line(curve(&[(0.0, 0.02), (side * 0.16, length + 0.06), (-side * 0.04, length + 0.04)]), 0.06, nose);
    } else {
        hand.detail(oval(0.0, length, 0.09, 0.07), nose);
    }
    eyes(hand, hair);
    let mouth = hand.between(0.46, 0.54);
    let lips = lips(hand, skin);
    match hand.variant {
        Variant::Smiling => smile(hand, mouth, lips),
        Variant::Sad => frown(hand, mouth, lips),
        _ => straight_mouth(hand, mouth, lips),
    }
}

fn cap_of_hair(hand: &mut Hand, style: usize, (rx, ry): (f32, f32), hair: Colour) {
    // Style 0 is bald.
    let line = -hand.between(0.48, 0.62);
    match style {
        0 => (),
        3 => {
            for tuft in 0..7 {
                let x = -0.66 + 0.22 * tuft as f32;
                let y = -ry * (1.0 - x * x / (rx * rx)).max(0.0).sqrt();
                hand.shape(oval(x, y + 0.06, 0.24, 0.24), hair);
            }
        }
        _ => {
            let mut outline = arc(0.0, 0.0, rx + 0.03, ry + 0.05, 208.0, 332.0);
            let parting = hand.between(-0.4, 0.4);
            outline.extend([(parting + 0.2, line - 0.08), (parting, line), (parting - 0.2, line - 0.08)]);
            hand.shape(polygon(&outline), hair);
        }
    }
}

fn eyes(hand: &mut Hand, hair: Colour) {
    let (apart, y) = (hand.between(0.31, 0.37), -hand.between(0.12, 0.18));
    let iris = hand.near(&[0x23160e, 0x2b4a6b, 0x3b5b32, 0x3a2a18]);
    let open = hand.chance(0.65);
    let glasses = hand.chance(0.15);
    let brow = hair.darker(0.35);
    let ink = if hand.chance(0.5) { Colour::hex(0x241a16) } else { brow };
    let width = hand.between(0.07, 0.1);
    for side in [-1.0, 1.0] {
        let x = side * apart;
        match hand.variant {
            Variant::Smiling if !open => {
                hand.line(curve(&[(x - 0.15, y + 0.05), (x, y - 0.18), (x + 0.15, y + 0.05)]), 0.075, iris.darker(0.3));
            }
            _ if open => {
                hand.detail(oval(x, y, 0.16, 0.15), Colour::hex(0xffffff));
                let down = if hand.variant == Variant::Sad { 0.05 } else { 0.0 };
                hand.detail(oval(x, y + down, 0.09, 0.1), iris);
            }
            _ => hand.detail(oval(x, y, 0.09, 0.12), iris.darker(0.3)),
        }
        // Brows: inner and outer end, relative to the eye.
        let (inner, outer) = match hand.variant {
            Variant::Smiling => (-0.27, -0.24),
            Variant::Sad => (-0.36, -0.14),
            _ => (-0.22, -0.22),
        };
        let arch = if hand.variant == Variant::Smiling { -0.1 } else { 0.0 };
        let (from, to) = ((x - side * 0.17, y + inner), (x + side * 0.19, y + outer));
        hand.line(curve(&[from, (x, y + (inner + outer) / 2.0 + arch), to]), width, ink);
        if glasses {
            hand.line(oval(x, y, 0.26, 0.24), 0.05, Colour::hex(0x303038));
            hand.line(polyline(&[(side * 0.05, y), (side * (apart - 0.26), y)]), 0.05, Colour::hex(0x303038));
        }
    }
}

/// Lips darker than the skin, so that the mouth is read on every face.
fn lips(hand: &mut Hand, skin: Colour) -> Colour {
    let [red, green, _] = skin.0;
    if red + green < 0.95 {
        hand.near(&[0x220808, 0x2a0a10, 0x1c0606])
    } else {
        hand.near(&[0x8a2a2a, 0x6b1f1f, 0x7a2433, 0x4a1818])
    }
}

fn smile(hand: &mut Hand, y: f32, lips: Colour) {
    let (half, depth) = (hand.between(0.4, 0.5), hand.between(0.26, 0.36));
    let corner = y - 0.14;
    if hand.chance(0.55) {
        // Open: a bowl, teeth above.
        let mut bowl = arc(0.0, corner, half, depth + 0.1, 0.0, 180.0);
        bowl.extend([(-half * 0.5, corner + 0.05), (half * 0.5, corner + 0.05)]);
        hand.detail(polygon(&bowl), lips);
        if hand.chance(0.7) {
            let teeth = [
                (-half * 0.84, corner + 0.045),
                (half * 0.84, corner + 0.045),
                (half * 0.7, corner + 0.15),
                (-half * 0.7, corner + 0.15),
            ];
            hand.detail(polygon(&teeth), Colour::hex(0xfffdf5));
        }
    } else {
        let bend = corner + 2.0 * depth;
        let width = hand.between(0.09, 0.12);
        hand.line(curve(&[(-half, corner), (0.0, bend), (half, corner)]), width, lips);
    }
}

fn frown(hand: &mut Hand, y: f32, lips: Colour) {
    let (half, depth) = (hand.between(0.34, 0.44), hand.between(0.22, 0.3));
    let corner = y + 0.18;
    if hand.chance(0.3) {
        // Open and wailing.
        let mut arch = arc(0.0, corner, half * 0.85, depth + 0.06, 180.0, 360.0);
        arch.extend([(half * 0.4, corner - 0.05), (-half * 0.4, corner - 0.05)]);
        hand.detail(polygon(&arch), lips);
    } else {
        let width = hand.between(0.09, 0.12);
        hand.line(curve(&[(-half, corner), (0.0, corner - 2.0 * depth), (half, corner)]), width, lips);
    }
    if hand.chance(0.4) {
        let side = hand.pick(&[-1.0, 1.0]);
        let (x, y) = (side * 0.42, hand.between(0.14, 0.24));
        hand.detail(
            blob(&[(x, y - 0.2), (x + 0.11, y + 0.04), (x, y + 0.18), (x - 0.11, y + 0.04)]),
            Colour::hex(0x58a6e6),
        );
    }
}

fn straight_mouth(hand: &mut Hand, y: f32, lips: Colour) {
    let (half, tilt) = (hand.between(0.24, 0.36), hand.between(-0.02, 0.02));
    let width = hand.between(0.08, 0.11);
    hand.line(polyline(&[(-half, y + tilt), (half, y - tilt)]), width, lips);
}

/// A whole figure from behind: hair covers the head.
pub fn person(hand: &mut Hand) {
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
        hand.shape(rounded(-head - 0.02, y - head, head + 0.02, top + head * 0.9, 0.14), hair);
    }
    hand.shape(oval(0.0, y, head, head * 1.15), hair);
    if hand.chance(0.3) {
        // A cap; a brim across the head would look like eyes.
        let cap = hand.paint();
        hand.shape(polygon(&arc(0.0, y - head * 0.05, head * 1.1, head * 1.25, 180.0, 360.0)), cap);
    }
}

fn legs(hand: &mut Hand, (hip, waist): (f32, f32), trousers: Colour, skin: Colour) {
    let (stride, shoe) = (hand.between(0.0, 0.16), hand.near(&[0x202020, 0x5a3a20, 0xd8d8d8, 0xa02828]));
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
