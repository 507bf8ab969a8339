//! What stands in a room: cake, chair, candle, lamp.

use super::super::hand::Hand;
use super::super::pen::{Colour, blob, curve, oval, polygon, polyline, rectangle, rounded};

const WOOD: &[u32] = &[0x8a5a2b, 0xb5803f, 0x5e3a1e, 0xd2a76a, 0x6b2f1c, 0xe8dcc8];
const METAL: &[u32] = &[0x8a8f98, 0xb8923a, 0x3a3d42, 0xc8ccd2, 0x7a4a2a];
const ICING: &[u32] = &[0xf7a8c4, 0xfff4e6, 0x5a2e1a, 0xa8d8ea, 0xf4d35e, 0xc7e9b4, 0xd9455f];
const SPONGE: &[u32] = &[0xe8b86a, 0xd99b5a, 0x7a4526, 0xf0d9a8, 0xb5504a];

/// A cake on a plate: one to three tiers with icing running down, or a slice. Without candles,
/// which are a class.
pub(super) fn cake(hand: &mut Hand) {
    let (icing, sponge) = (hand.near(ICING), hand.near(SPONGE));
    let plate = hand.near(&[0xf4f4f6, 0xcfd8e0, 0xe6d5b8, 0x9fb8cc]);
    hand.shape(oval(0.0, 0.74, 1.0, 0.12), plate);
    if hand.chance(0.25) {
        return slice(hand, icing, sponge);
    }
    let tiers = hand.count(1, 3);
    let (mut half, mut bottom) = (hand.between(0.72, 0.86), 0.72);
    for tier in 0..tiers {
        let height = if tiers == 1 { hand.between(0.62, 0.85) } else { hand.between(0.42, 0.52) };
        let top = bottom - height;
        hand.shape(rounded(-half, top, half, bottom, 0.08), sponge);
        if hand.chance(0.6) {
            let filling = icing.darker(0.1);
            hand.detail(
                rectangle(-half, bottom - height * 0.38, half, bottom - height * 0.26),
                filling,
            );
        }
        drip(hand, (half, top, height), icing);
        if tier + 1 == tiers {
            topping(hand, half, top);
        }
        half *= hand.between(0.62, 0.74);
        bottom = top + 0.02;
    }
}

/// Icing: a lid whose lower edge runs down in rounds.
fn drip(hand: &mut Hand, (half, top, height): (f32, f32, f32), icing: Colour) {
    let drops = hand.count(4, 7);
    let step = 2.0 * half / drops as f32;
    hand.shape(rounded(-half - 0.03, top - 0.06, half + 0.03, top + height * 0.24, 0.1), icing);
    for number in 0..drops {
        let (x, low) = (-half + step * (number as f32 + 0.5), height * hand.between(0.28, 0.5));
        hand.detail(
            rounded(x - step * 0.36, top + 0.02, x + step * 0.36, top + low, step * 0.36),
            icing,
        );
    }
}

fn topping(hand: &mut Hand, half: f32, top: f32) {
    let berry = hand.near(&[0xc2182b, 0xe0314a, 0x5a1a4a, 0x3a2010]);
    let count = hand.count(1, 5);
    let size = hand.between(0.08, 0.13);
    for number in 0..count {
        let x = if count == 1 {
            0.0
        } else {
            half * 0.75 * (2.0 * number as f32 / (count - 1) as f32 - 1.0)
        };
        hand.shape(oval(x, top - 0.06 - size * 0.7, size, size), berry);
    }
}

fn slice(hand: &mut Hand, icing: Colour, sponge: Colour) {
    let top = hand.between(-0.3, -0.15);
    let back = (0.78, top - 0.26);
    hand.shape(polygon(&[(-0.85, top), back, (0.82, top + 0.1)]), icing);
    hand.shape(polygon(&[(-0.85, top), (0.82, top + 0.1), (0.82, 0.72), (-0.8, 0.66)]), sponge);
    hand.detail(
        polygon(&[
            (-0.84, top + 0.36),
            (0.82, top + 0.44),
            (0.82, top + 0.56),
            (-0.83, top + 0.48),
        ]),
        icing,
    );
    hand.line(polyline(&[(-0.84, top), (0.82, top + 0.1)]), 0.1, icing);
    hand.line(polyline(&[(0.82, top + 0.1), (0.82, 0.7)]), 0.1, icing.darker(0.05));
    let berry = hand.near(&[0xc2182b, 0xe0314a]);
    hand.shape(oval(0.42, top - 0.14, 0.14, 0.14), berry);
}

/// A chair: back, seat, four legs; slats, bars or a solid back.
pub(super) fn chair(hand: &mut Hand) {
    let wood = if hand.chance(0.7) { hand.near(WOOD) } else { hand.paint() };
    let seat_colour = if hand.chance(0.4) { hand.paint() } else { wood };
    let (half, width) = (hand.between(0.42, 0.52), hand.between(0.09, 0.13));
    let (seat, depth, skew) =
        (hand.between(0.08, 0.2), hand.between(0.16, 0.26), hand.between(0.14, 0.3));
    let mirror = hand.pick(&[-1.0, 1.0]);
    let mirrored = |x: f32, y: f32| (mirror * x, y);
    let far = wood.darker(0.22);
    for x in [-half + skew, half + skew] {
        hand.bar(polyline(&[mirrored(x, seat - depth), mirrored(x + 0.02, 0.82)]), width, far);
    }
    let top = -1.0;
    match hand.count(0, 2) {
        0 => {
            for bar in 1..5 {
                let x = -half + skew + 2.0 * half * bar as f32 / 5.0;
                hand.bar(
                    polyline(&[mirrored(x, top + 0.08), mirrored(x, seat - depth)]),
                    width * 0.5,
                    wood,
                );
            }
        }
        1 => {
            for bar in 1..3 {
                let y = top + (seat - depth - top) * bar as f32 / 3.0;
                hand.bar(
                    polyline(&[mirrored(-half + skew, y), mirrored(half + skew, y)]),
                    width,
                    wood,
                );
            }
        }
        _ => {
            let low = seat - depth - 0.2;
            let panel = [
                mirrored(-half + skew, top),
                mirrored(half + skew, top),
                mirrored(half + skew, low),
                mirrored(-half + skew, low),
            ];
            hand.shape(polygon(&panel), seat_colour);
        }
    }
    for x in [-half + skew, half + skew] {
        hand.bar(polyline(&[mirrored(x, top), mirrored(x, seat - depth)]), width, wood);
    }
    hand.bar(
        polyline(&[mirrored(-half + skew, top + 0.05), mirrored(half + skew, top + 0.05)]),
        width * 1.3,
        wood,
    );
    for x in [-half, half] {
        hand.bar(polyline(&[mirrored(x, seat), mirrored(x, 1.0)]), width, wood);
    }
    let edge = [
        mirrored(-half - 0.06, seat + 0.04),
        mirrored(half + 0.06, seat + 0.04),
        mirrored(half + skew + 0.05, seat - depth),
        mirrored(-half + skew - 0.05, seat - depth),
    ];
    hand.shape(polygon(&edge), seat_colour.lighter(0.06));
    hand.bar(
        polyline(&[mirrored(-half - 0.02, seat + 0.07), mirrored(half + 0.02, seat + 0.07)]),
        width * 0.8,
        seat_colour.darker(0.1),
    );
}

/// A burning candle on a dish or in a stick, or three of them.
pub(super) fn candle(hand: &mut Hand) {
    let metal = hand.near(METAL);
    let three = hand.chance(0.25);
    hand.shape(oval(0.0, 0.9, if three { 0.72 } else { 0.48 }, 0.12), metal);
    if three {
        for (x, top) in [(-0.4, 0.0), (0.4, 0.12), (0.0, -0.3)] {
            let top = top + hand.between(-0.1, 0.1);
            one_candle(hand, x, top, 0.15);
        }
        return;
    }
    let half = hand.between(0.16, 0.25);
    let top = hand.between(-0.45, -0.15);
    if hand.chance(0.4) {
        hand.shape(polygon(&[(-0.12, 0.5), (0.12, 0.5), (0.2, 0.92), (-0.2, 0.92)]), metal);
        hand.shape(rounded(-half - 0.1, 0.44, half + 0.1, 0.58, 0.05), metal.darker(0.1));
        one_candle_to(hand, 0.0, (top, 0.46), half);
    } else {
        if hand.chance(0.5) {
            hand.line(oval(0.52, 0.82, 0.14, 0.12), 0.06, metal.darker(0.1));
        }
        one_candle(hand, 0.0, top, half);
    }
}

fn one_candle(hand: &mut Hand, x: f32, top: f32, half: f32) {
    one_candle_to(hand, x, (top, 0.88), half);
}

fn one_candle_to(hand: &mut Hand, x: f32, (top, bottom): (f32, f32), half: f32) {
    let wax = hand.near(&[0xfbf3e0, 0xf4e3c0, 0xd93a3a, 0x7fa8c9, 0xf2b8c6, 0x6aa06a, 0xffffff]);
    hand.shape(rounded(x - half, top, x + half, bottom, 0.05), wax);
    let drop = hand.between(0.15, 0.4);
    let side = hand.pick(&[-1.0, 1.0]);
    hand.detail(
        rounded(x + side * half * 0.5 - 0.05, top, x + side * half * 0.5 + 0.05, top + drop, 0.05),
        wax.lighter(0.4),
    );
    hand.line(polyline(&[(x, top), (x, top - 0.1)]), 0.045, Colour::hex(0x2a2018));
    let (wide, high, lean) =
        (hand.between(0.14, 0.19), hand.between(0.4, 0.55), hand.between(-0.08, 0.08));
    let flame = |scale: f32| {
        let (w, h) = (wide * scale, high * scale);
        let y = top - 0.06;
        [
            (x - w * 0.7, y),
            (x + w * 0.7, y),
            (x + w * 1.2, y - h * 0.35),
            (x + lean, y - h * 1.15),
            (x + lean, y - h * 1.15),
            (x - w * 1.2, y - h * 0.35),
        ]
    };
    hand.detail(blob(&flame(1.0)), Colour::hex(0xf58a1e));
    hand.detail(blob(&flame(0.62)), Colour::hex(0xffe36a));
}

/// A lamp: on a table, on the floor, or with a jointed arm.
pub(super) fn lamp(hand: &mut Hand) {
    let metal = hand.near(METAL);
    let shade = hand.near(&[0xf7e3a1, 0xf2efe6, 0xd96c4a, 0x5a8f7b, 0x8a6fae, 0xe8b04a, 0x3f6fa8]);
    match hand.count(0, 2) {
        0 => {
            // Jointed arm.
            let mirror = hand.pick(&[-1.0, 1.0]);
            let mirrored = |x: f32, y: f32| (mirror * x, y);
            hand.shape(rounded(-0.42, 0.86, 0.42, 1.0, 0.07), metal);
            hand.bar(
                polyline(&[mirrored(0.0, 0.88), mirrored(0.42, 0.1), mirrored(-0.15, -0.62)]),
                0.1,
                metal,
            );
            hand.shape(oval(mirror * 0.42, 0.1, 0.09, 0.09), metal.darker(0.2));
            hand.detail(oval(mirror * -0.46, -0.3, 0.14, 0.12), Colour::hex(0xfff3b0));
            let cone = [
                mirrored(-0.02, -0.82),
                mirrored(0.08, -0.56),
                mirrored(-0.28, -0.08),
                mirrored(-0.76, -0.5),
            ];
            hand.shape(polygon(&cone), shade);
        }
        1 => {
            // Floor.
            let wide = hand.between(0.36, 0.46);
            hand.shape(oval(0.0, 0.94, 0.34, 0.07), metal);
            hand.bar(polyline(&[(0.0, -0.5), (0.0, 0.92)]), 0.075, metal);
            shade_and_light(hand, (wide, wide * 0.55), (-1.0, -0.42), shade);
        }
        _ => {
            let (wide, belly) = (hand.between(0.6, 0.74), hand.between(0.22, 0.34));
            let foot = hand.paint();
            hand.bar(polyline(&[(0.0, -0.15), (0.0, 0.4)]), 0.1, metal);
            let vase = [
                (-0.08, 0.15),
                (0.08, 0.15),
                (belly, 0.45),
                (belly * 0.9, 0.85),
                (0.2, 0.98),
                (-0.2, 0.98),
                (-belly * 0.9, 0.85),
                (-belly, 0.45),
            ];
            hand.shape(blob(&vase), foot);
            hand.shape(rounded(-0.3, 0.88, 0.3, 1.0, 0.04), metal);
            let narrow = wide * hand.between(0.5, 0.7);
            shade_and_light(hand, (wide, narrow), (-1.0, -0.08), shade);
        }
    }
}

fn shade_and_light(
    hand: &mut Hand,
    (wide, narrow): (f32, f32),
    (top, bottom): (f32, f32),
    colour: Colour,
) {
    hand.detail(oval(0.0, bottom, wide * 0.4, 0.09), Colour::hex(0xfff3b0));
    hand.shape(polygon(&[(-narrow, top), (narrow, top), (wide, bottom), (-wide, bottom)]), colour);
    let band = colour.darker(0.2);
    hand.line(polyline(&[(-wide + 0.03, bottom - 0.05), (wide - 0.03, bottom - 0.05)]), 0.06, band);
    if hand.chance(0.4) {
        for share in [-0.5, 0.0, 0.5] {
            hand.line(
                curve(&[
                    (share * narrow, top),
                    (share * (wide + narrow) / 2.0, (top + bottom) / 2.0),
                    (share * wide, bottom),
                ]),
                0.04,
                band,
            );
        }
    }
}
