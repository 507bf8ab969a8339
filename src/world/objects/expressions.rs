//! What a face expresses: eyes, brows, mouth.
//!
//! All random numbers of eyes and brows are drawn before the expression is looked at, so that faces
//! of one seed differ in nothing but their expression above the mouth.

use super::super::hand::Hand;
use super::super::object::{ObjectPart, Variant};
use super::super::pen::{Colour, arc, blob, curve, oval, polygon, polyline, rounded};

/// Eyes, brows, and what of the nose belongs to the expression.
pub(super) fn eyes(hand: &mut Hand, hair: Colour, skin: Colour) {
    let (apart, y) = (hand.between(0.31, 0.37), -hand.between(0.12, 0.18));
    let iris = hand.near(&[0x23160e, 0x2b4a6b, 0x3b5b32, 0x3a2a18]);
    let open = hand.chance(0.65);
    let glasses = hand.chance(0.15);
    let brow = hair.darker(0.35);
    let ink = if hand.chance(0.5) { Colour::hex(0x241a16) } else { brow };
    let width = hand.between(0.07, 0.1);
    if hand.variant == Variant::Disgusted {
        wrinkles(hand, y, skin);
    }
    for (number, side) in [-1.0, 1.0].into_iter().enumerate() {
        let x = side * apart;
        hand.part(ObjectPart::Eye, number, |hand| eye(hand, (x, y), side, open, iris));
        brow_line(hand, (x, y), side, (width, ink));
        if glasses {
            hand.line(oval(x, y, 0.26, 0.24), 0.05, Colour::hex(0x303038));
            hand.line(
                polyline(&[(side * 0.05, y), (side * (apart - 0.26), y)]),
                0.05,
                Colour::hex(0x303038),
            );
        }
    }
}

/// One eye, on the face's left (`side` -1) or right (1).
fn eye(hand: &mut Hand, (x, y): (f32, f32), side: f32, open: bool, iris: Colour) {
    match hand.variant {
        Variant::Smiling if !open => {
            hand.line(
                curve(&[(x - 0.15, y + 0.05), (x, y - 0.18), (x + 0.15, y + 0.05)]),
                0.075,
                iris.darker(0.3),
            );
        }
        Variant::Angry => {
            // The lid falls towards the nose: a triangle is left open.
            let (inner, outer) = (x - side * 0.17, x + side * 0.18);
            let white = [
                (inner, y + 0.05),
                (outer, y - 0.1),
                (outer - side * 0.02, y + 0.07),
                (x, y + 0.12),
            ];
            hand.detail(polygon(&white), Colour::hex(0xffffff));
            hand.detail(oval(x, y + 0.035, 0.07, 0.07), iris);
            hand.line(polyline(&white[..2]), 0.05, iris.darker(0.4));
        }
        Variant::Disgusted => {
            // Squeezed from below.
            hand.detail(oval(x, y + 0.02, 0.16, 0.06), Colour::hex(0xffffff));
            hand.detail(oval(x, y + 0.02, 0.07, 0.06), iris);
            let (left, right) = ((x - 0.17, y + 0.06), (x + 0.17, y + 0.06));
            hand.line(curve(&[left, (x, y + 0.12), right]), 0.045, iris.darker(0.4));
            hand.line(
                curve(&[(x - 0.17, y), (x, y - 0.08), (x + 0.17, y)]),
                0.045,
                iris.darker(0.4),
            );
        }
        _ if open => {
            hand.detail(oval(x, y, 0.16, 0.15), Colour::hex(0xffffff));
            let down = if hand.variant == Variant::Sad { 0.05 } else { 0.0 };
            hand.detail(oval(x, y + down, 0.09, 0.1), iris);
        }
        _ => hand.detail(oval(x, y, 0.09, 0.12), iris.darker(0.3)),
    }
}

/// The brow over an eye.
fn brow_line(hand: &mut Hand, (x, y): (f32, f32), side: f32, (width, ink): (f32, Colour)) {
    // Inner and outer end, and the bend between them, relative to the eye.
    let (inner, outer, arch) = match hand.variant {
        Variant::Smiling => (-0.27, -0.24, -0.1),
        Variant::Sad => (-0.36, -0.14, 0.0),
        Variant::Angry => (-0.04, -0.34, 0.0),
        // One is pulled down, the other up.
        Variant::Disgusted if side < 0.0 => (-0.1, -0.16, 0.02),
        Variant::Disgusted => (-0.18, -0.3, -0.16),
        _ => (-0.22, -0.22, 0.0),
    };
    let width = if hand.variant == Variant::Angry { 1.5 * width } else { width };
    let reach = if hand.variant == Variant::Angry { 0.22 } else { 0.17 };
    let (from, to) = ((x - side * reach, y + inner), (x + side * 0.19, y + outer));
    hand.line(curve(&[from, (x, y + (inner + outer) / 2.0 + arch), to]), width, ink);
}

/// The nose's wrinkles of disgust, between the eyes and beside the nostrils.
fn wrinkles(hand: &mut Hand, y: f32, skin: Colour) {
    let fold = skin.darker(0.45);
    for (low, half) in [(0.0, 0.1), (0.09, 0.11), (0.18, 0.1)] {
        hand.line(
            curve(&[(-half, y + low + 0.03), (0.0, y + low - 0.05), (half, y + low + 0.03)]),
            0.035,
            fold,
        );
    }
    for side in [-1.0, 1.0] {
        let fold_line = [(side * 0.16, y + 0.28), (side * 0.34, y + 0.36), (side * 0.42, y + 0.6)];
        hand.line(curve(&fold_line), 0.045, fold);
    }
}

/// The mouth about this height, and a tear where one is shed.
pub(super) fn mouth(hand: &mut Hand, y: f32, lips: Colour) {
    hand.part(ObjectPart::Mouth, 0, |hand| match hand.variant {
        Variant::Smiling => smile(hand, y, lips),
        Variant::Sad => frown(hand, y, lips),
        Variant::Angry => bared_teeth(hand, y, lips),
        Variant::Disgusted => crooked_mouth(hand, y, lips),
        _ => straight_mouth(hand, y, lips),
    });
    if hand.variant == Variant::Sad {
        tear(hand);
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
        hand.line(
            curve(&[(-half, corner), (0.0, corner - 2.0 * depth), (half, corner)]),
            width,
            lips,
        );
    }
}

/// In some sad faces, below one eye.
fn tear(hand: &mut Hand) {
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

/// A square mouth with clenched teeth, or lips that are pressed together.
fn bared_teeth(hand: &mut Hand, y: f32, lips: Colour) {
    let (half, high) = (hand.between(0.34, 0.44), hand.between(0.13, 0.18));
    if hand.chance(0.65) {
        let outline = [
            (-half * 0.85, y - high),
            (half * 0.85, y - high),
            (half, y + high),
            (-half, y + high),
        ];
        hand.detail(polygon(&outline), lips);
        let inset =
            |share: f32| outline.map(|(x, height)| (x * share, y + (height - y) * (share - 0.12)));
        hand.detail(polygon(&inset(0.84)), Colour::hex(0xfffdf5));
        hand.line(polyline(&[(-half * 0.8, y), (half * 0.8, y)]), 0.035, lips);
        for tooth in -2..=2 {
            let x = half * 0.3 * tooth as f32;
            hand.line(polyline(&[(x, y - high * 0.7), (x, y + high * 0.7)]), 0.03, lips);
        }
    } else {
        let width = hand.between(0.1, 0.13);
        let down = [(-half, y + 0.12), (-half * 0.7, y), (half * 0.7, y), (half, y + 0.12)];
        hand.line(polyline(&down), width, lips);
        hand.line(
            polyline(&[(-half * 0.4, y + 0.16), (half * 0.4, y + 0.16)]),
            0.05,
            lips.lighter(0.25),
        );
    }
}

/// A mouth that goes up on one side in a wave, or is open with the tongue out.
fn crooked_mouth(hand: &mut Hand, y: f32, lips: Colour) {
    let (half, side) = (hand.between(0.34, 0.42), hand.pick(&[-1.0, 1.0]));
    if hand.chance(0.5) {
        let width = hand.between(0.08, 0.11);
        let wave = [
            (-side * half, y + 0.14),
            (-side * half * 0.6, y - 0.1),
            (-side * half * 0.1, y + 0.2),
            (side * half * 0.4, y - 0.22),
            (side * half, y + 0.08),
        ];
        hand.line(curve(&wave), width, lips);
    } else {
        // The upper lip is raised on one side; the tongue hangs over the lower.
        let mut open = arc(0.0, y + 0.08, half, 0.2, 180.0, 360.0);
        for (x, height) in &mut open {
            *height -= 0.1 * side * *x / half;
        }
        open.push((half * 0.6, y + 0.2));
        open.push((-half * 0.6, y + 0.2));
        hand.detail(polygon(&open), lips);
        let (x, wide) = (-side * 0.06, half * 0.5);
        let tongue = Colour::hex(0xe8788a);
        hand.detail(rounded(x - wide, y + 0.04, x + wide, y + 0.38, wide), tongue);
        hand.line(polyline(&[(x, y + 0.1), (x, y + 0.24)]), 0.035, tongue.darker(0.3));
    }
}
