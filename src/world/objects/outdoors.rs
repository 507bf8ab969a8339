//! Cars, houses and boats.

use super::super::hand::Hand;
use super::super::object::ObjectPart;
use super::super::pen::{Colour, blob, curve, oval, polygon, polyline, rectangle, rounded};
use resvg::tiny_skia::Transform;

const GLASS: &[u32] = &[0xbfe3f2, 0x9cc9de, 0xd8eef5, 0x7fa9bd];

/// A car from the side: saloon, hatchback or van.
pub(super) fn car(hand: &mut Hand) {
    let (paint, glass) = (hand.paint(), hand.near(GLASS));
    let mirror = hand.pick(&[-1.0, 1.0]);
    let (wheel, roof) = (hand.between(0.17, 0.22), hand.between(0.34, 0.46));
    let body = hand.count(0, 2);
    // Lower and upper corners of the cabin: rear, rear roof, front roof, front.
    let cabin = match body {
        0 => [(-0.62, 0.0), (-0.4, -roof), (0.2, -roof), (0.5, 0.0)],
        1 => [(-0.92, 0.0), (-0.8, -roof), (0.15, -roof), (0.48, 0.0)],
        _ => [(-0.96, 0.0), (-0.94, -roof - 0.14), (0.5, -roof - 0.14), (0.8, 0.0)],
    };
    hand.within(Transform::from_scale(mirror, 1.0), |hand| {
        hand.shape(
            polygon(&[
                cabin[0],
                cabin[1],
                cabin[2],
                cabin[3],
                (cabin[3].0, 0.1),
                (cabin[0].0, 0.1),
            ]),
            paint,
        );
        let inside = |(x, y): (f32, f32)| (x * 0.88 - 0.012, y * 0.8 - 0.015);
        hand.detail(polygon(&cabin.map(inside)), glass);
        let post = (cabin[1].0 + cabin[2].0) / 2.0;
        hand.line(polyline(&[(post, -roof), (post, 0.0)]), 0.07, paint);
        hand.shape(rounded(-1.0, -0.04, 1.0, 0.36, 0.16), paint);
        hand.line(polyline(&[(-0.7, 0.12), (0.7, 0.12)]), 0.03, paint.darker(0.3));
        hand.detail(oval(0.92, 0.1, 0.07, 0.06), Colour::hex(0xfff2a8));
        hand.detail(oval(-0.94, 0.1, 0.05, 0.06), Colour::hex(0xd02020));
        for (number, x) in [-0.56, 0.56].into_iter().enumerate() {
            hand.part(ObjectPart::Wheel, number, |hand| {
                hand.shape(oval(x, 0.36, wheel, wheel), Colour::hex(0x1c1c20));
                hand.detail(oval(x, 0.36, wheel * 0.5, wheel * 0.5), Colour::hex(0xc4c8cc));
            });
        }
    });
}

/// A house: walls, roof, door, windows, some with a chimney.
pub(super) fn house(hand: &mut Hand) {
    let wall = hand.near(&[0xf2e3c6, 0xe8c9a0, 0xd9d9d4, 0xc97a5a, 0xa8c0cf, 0xf4f0e8, 0xe6d36a]);
    let roof = hand.near(&[0xa83a2a, 0x6b4430, 0x4a4f5a, 0x8a2f2f, 0x3f5a4a]);
    let (half, top) = (hand.between(0.68, 0.88), hand.between(-0.25, -0.05));
    let ridge = -hand.between(0.85, 1.0);
    if hand.chance(0.55) {
        let x = half * hand.pick(&[-0.5, 0.5]);
        hand.shape(rectangle(x - 0.1, ridge, x + 0.1, top), roof.darker(0.25));
    }
    hand.shape(rectangle(-half, top - 0.02, half, 0.8), wall);
    let eaves = half + 0.14;
    let flat = hand.between(0.3, 0.6) * half;
    if hand.chance(0.65) {
        hand.shape(polygon(&[(-eaves, top), (0.0, ridge), (eaves, top)]), roof);
    } else {
        let low = ridge + 0.2;
        hand.shape(polygon(&[(-eaves, top), (-flat, low), (flat, low), (eaves, top)]), roof);
    }
    let (door, pane) = (hand.paint().darker(0.15), hand.near(GLASS));
    let door_x = half * hand.pick(&[-0.45, 0.0, 0.45]);
    hand.part(ObjectPart::Door, 0, |hand| {
        hand.shape(rectangle(door_x - 0.15, 0.26, door_x + 0.15, 0.8), door);
        hand.detail(oval(door_x + 0.08, 0.54, 0.03, 0.03), Colour::hex(0xf4d35e));
    });
    for (number, x) in [-0.58, 0.0, 0.58].map(|share| share * half).into_iter().enumerate() {
        if (x - door_x).abs() > 0.34 {
            let (y, size) = (0.36, 0.15);
            hand.part(ObjectPart::Window, number, |hand| {
                hand.shape(rectangle(x - size, y - size, x + size, y + size), pane);
                hand.line(polyline(&[(x, y - size), (x, y + size)]), 0.035, wall.darker(0.35));
                hand.line(polyline(&[(x - size, y), (x + size, y)]), 0.035, wall.darker(0.35));
            });
        }
    }
}

/// A boat: a sailing boat or a steamer.
pub(super) fn boat(hand: &mut Hand) {
    let hull =
        if hand.chance(0.4) { hand.near(&[0x7a4a24, 0x9a6a3a, 0x5a3a22]) } else { hand.paint() };
    let (long, deck) = (hand.between(0.82, 1.0), hand.between(0.38, 0.5));
    let mirror = hand.pick(&[-1.0, 1.0]);
    let steamer = hand.chance(0.35);
    hand.within(Transform::from_scale(mirror, 1.0), |hand| {
        if steamer {
            cabin_and_funnel(hand, deck);
        } else {
            sails(hand, deck);
        }
        let keel = 0.92;
        let side = [(-long, deck), (long, deck), (long * 0.66, keel), (-long * 0.7, keel)];
        hand.shape(polygon(&side), hull);
        hand.line(
            polyline(&[(-long * 0.96, deck + 0.08), (long * 0.93, deck + 0.08)]),
            0.07,
            hull.lighter(0.5),
        );
    });
}

fn sails(hand: &mut Hand, deck: f32) {
    let mast = hand.near(&[0x5a3a22, 0x8a6a4a]);
    let colours: &[u32] = &[0xfbfaf4, 0xf1e6cc, 0xd9534f, 0x4a90c2, 0xf0c040];
    let (main, jib) = (hand.near(colours), hand.near(colours));
    let (x, top) = (hand.between(-0.1, 0.15), -1.0);
    hand.bar(polyline(&[(x, top), (x, deck)]), 0.07, mast);
    let (reach, foot) = (hand.between(0.6, 0.85), deck - 0.12);
    hand.shape(polygon(&[(x - 0.07, top + 0.08), (x - 0.07, foot), (x - reach, foot)]), main);
    if hand.chance(0.75) {
        let high = top + hand.between(0.15, 0.45);
        hand.shape(polygon(&[(x + 0.07, high), (x + 0.07, foot), (x + reach * 0.75, foot)]), jib);
    }
    if hand.chance(0.4) {
        let flag = hand.paint();
        hand.detail(polygon(&[(x, top - 0.02), (x + 0.24, top + 0.06), (x, top + 0.14)]), flag);
    }
}

fn cabin_and_funnel(hand: &mut Hand, deck: f32) {
    let (white, funnel) = (hand.near(&[0xf6f4ee, 0xe8e0d0]), hand.paint());
    let x = hand.between(-0.3, 0.0);
    let top = deck - hand.between(0.42, 0.55);
    hand.shape(rectangle(x - 0.12, top - 0.46, x + 0.14, top + 0.05), funnel);
    hand.detail(rectangle(x - 0.12, top - 0.46, x + 0.14, top - 0.34), Colour::hex(0x222226));
    hand.shape(rectangle(-0.56, top, 0.46, deck + 0.02), white);
    for window in [-0.38, -0.06, 0.26] {
        hand.detail(oval(window, (top + deck) / 2.0, 0.09, 0.09), Colour::hex(0x3f6f8f));
    }
    if hand.chance(0.6) {
        let smoke = Colour::hex(0xb8b8bc);
        hand.shape(
            blob(&[
                (x - 0.1, top - 0.5),
                (x + 0.14, top - 0.55),
                (x - 0.1, top - 0.95),
                (x - 0.6, top - 0.85),
                (x - 0.4, top - 0.6),
            ]),
            smoke,
        );
    }
    hand.line(curve(&[(0.46, top), (0.7, deck - 0.1), (0.9, deck)]), 0.03, Colour::hex(0x444448));
}
