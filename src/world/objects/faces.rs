//! Faces: skin, hair, nose. What they express is drawn in [`expressions`](super::expressions).

use super::super::hand::Hand;
use super::super::object::ObjectPart;
use super::super::pen::{Colour, arc, curve, oval, polygon, rounded};
use super::expressions::{eyes, mouth};

/// Colours of skin.
pub(super) const SKIN: &[u32] =
    &[0xf6d7bd, 0xeec1a0, 0xd9a47c, 0xbf8257, 0x9a6240, 0x704528, 0xffe0cc];
/// Colours of hair.
pub(super) const HAIR: &[u32] =
    &[0x2a1d14, 0x553319, 0x8a5a2b, 0xc79a4b, 0xe0c27a, 0x1a1a1f, 0x8b3a1c, 0x9a9a9a];

/// A face from the front, whose expression is the work of eyes, brows and mouth, which are large in
/// all of them.
pub(super) fn face(hand: &mut Hand) {
    let (skin, hair) = (hand.near(SKIN), hand.near(HAIR));
    let (rx, ry) = (hand.between(0.72, 0.88), hand.between(0.88, 1.0));
    let style = hand.count(0, 4);
    if style == 1 {
        // Long hair hangs behind the cheeks.
        let (wide, low) = (rx + hand.between(0.1, 0.2), hand.between(0.75, 1.05));
        hand.part(ObjectPart::Hair, 0, |hand| {
            hand.shape(rounded(-wide, -ry - 0.1, wide, low, 0.75), hair);
        });
    }
    if style == 2 {
        for side in [-1.0, 1.0] {
            hand.part(ObjectPart::Hair, 0, |hand| {
                hand.shape(oval(side * rx, -0.55, 0.36, 0.36), hair);
            });
        }
    }
    for (number, side) in [-1.0, 1.0].into_iter().enumerate() {
        hand.part(ObjectPart::Ear, number, |hand| {
            hand.shape(oval(side * rx, 0.05, 0.13, 0.2), skin.darker(0.06));
        });
    }
    hand.shape(oval(0.0, 0.0, rx, ry), skin);
    hand.part(ObjectPart::Hair, 0, |hand| cap_of_hair(hand, style, (rx, ry), hair));
    if hand.chance(0.3) {
        for side in [-1.0, 1.0] {
            hand.detail(oval(side * 0.52, 0.2, 0.15, 0.1), skin.mix(Colour::hex(0xe86a5c), 0.4));
        }
    }
    let nose = skin.darker(0.25);
    let (length, side) = (hand.between(0.12, 0.2), hand.pick(&[-1.0, 1.0]));
    let bridge = hand.chance(0.5);
    hand.part(ObjectPart::Nose, 0, |hand| {
        if bridge {
            hand.line(
                curve(&[(0.0, 0.02), (side * 0.16, length + 0.06), (-side * 0.04, length + 0.04)]),
                0.06,
                nose,
            );
        } else {
            hand.detail(oval(0.0, length, 0.09, 0.07), nose);
        }
    });
    eyes(hand, hair, skin);
    let height = hand.between(0.46, 0.54);
    let lips = lips(hand, skin);
    mouth(hand, height, lips);
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
            outline.extend([
                (parting + 0.2, line - 0.08),
                (parting, line),
                (parting - 0.2, line - 0.08),
            ]);
            hand.shape(polygon(&outline), hair);
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
