//! Books, umbrellas and clocks.

use super::super::hand::Hand;
use super::super::pen::{Colour, arc, curve, oval, polar, polygon, polyline, rectangle, rounded};

/// A book: closed with its title, or open with lines of text.
pub(super) fn book(hand: &mut Hand) {
    let (cover, paper) = (hand.paint(), hand.near(&[0xfbf7ea, 0xf2ead6, 0xffffff]));
    if hand.chance(0.45) {
        open_book(hand, cover, paper);
    } else {
        closed_book(hand, cover, paper);
    }
}

fn closed_book(hand: &mut Hand, cover: Colour, paper: Colour) {
    let (half, thick) = (hand.between(0.62, 0.74), hand.between(0.12, 0.22));
    // The block of pages shows below and to the right of the cover.
    hand.shape(
        polygon(&[
            (-half, 0.9),
            (half, 0.9),
            (half + thick, 0.9 + thick * 0.4),
            (-half + thick, 0.9 + thick * 0.4),
        ]),
        paper,
    );
    hand.shape(
        polygon(&[
            (half, -0.95),
            (half + thick, -0.95 + thick * 0.6),
            (half + thick, 0.9 + thick * 0.4),
            (half, 0.9),
        ]),
        paper,
    );
    for line in 1..3 {
        let x = half + thick * line as f32 / 3.0;
        hand.line(polyline(&[(x, -0.85), (x, 0.9)]), 0.02, paper.darker(0.25));
    }
    hand.shape(rounded(-half, -0.95, half, 0.92, 0.05), cover);
    hand.detail(rectangle(-half, -0.95, -half + 0.16, 0.92), cover.darker(0.25));
    let title = if hand.chance(0.5) { Colour::hex(0xf6e7b0) } else { cover.lighter(0.7) };
    let wide = hand.between(0.3, 0.42);
    if hand.chance(0.5) {
        hand.detail(rectangle(0.08 - wide, -0.6, 0.08 + wide, -0.2), title);
        hand.line(
            polyline(&[(0.08 - wide * 0.6, -0.4), (0.08 + wide * 0.6, -0.4)]),
            0.07,
            cover.darker(0.3),
        );
    } else {
        for (y, share) in [(-0.6, 1.0), (-0.42, 0.7), (0.6, 0.5)] {
            hand.line(polyline(&[(0.08 - wide * share, y), (0.08 + wide * share, y)]), 0.09, title);
        }
    }
}

fn open_book(hand: &mut Hand, cover: Colour, paper: Colour) {
    let (high, bow) = (hand.between(0.55, 0.68), hand.between(0.1, 0.2));
    hand.shape(rounded(-1.0, -high + 0.06, 1.0, high + 0.1, 0.06), cover);
    let lines = hand.count(4, 6);
    for side in [-1.0, 1.0] {
        let mut page = vec![(0.0, -high + bow)];
        page.extend([
            (side * 0.5, -high - bow * 0.6),
            (side * 0.94, -high + 0.02),
            (side * 0.94, high),
        ]);
        page.extend([(side * 0.5, high - bow * 0.6), (0.0, high + bow * 0.6)]);
        hand.shape(polygon(&page), paper);
        for line in 0..lines {
            let y = -high + bow + 0.12 + (2.0 * high - bow - 0.25) * line as f32 / lines as f32;
            let far = side * hand.pick(&[0.8, 0.8, 0.6]);
            hand.line(
                polyline(&[(side * 0.15, y + 0.04), (far, y - 0.02)]),
                0.05,
                Colour::hex(0x77757a),
            );
        }
    }
    hand.line(polyline(&[(0.0, -high + bow), (0.0, high + bow * 0.6)]), 0.045, paper.darker(0.4));
}

/// An open umbrella with a hooked handle.
pub(super) fn umbrella(hand: &mut Hand) {
    let (cloth, other) = (hand.paint(), hand.paint());
    let other = if hand.chance(0.5) { other } else { cloth.darker(0.18) };
    let (high, panels) = (hand.between(0.8, 1.0), hand.count(4, 6));
    let shaft = hand.near(&[0x3a3a40, 0x6b4423, 0x8a8f98]);
    let hook = hand.pick(&[-1.0, 1.0]);
    hand.line(polyline(&[(0.0, -high - 0.1), (0.0, 0.1)]), 0.07, shaft);
    hand.bar(
        curve(&[
            (0.0, 0.0),
            (0.0, 0.45),
            (0.0, 0.95),
            (hook * 0.15, 1.08),
            (hook * 0.3, 0.95),
            (hook * 0.3, 0.8),
        ]),
        0.075,
        shaft,
    );
    let edge = |number: usize| -1.0 + 2.0 * number as f32 / panels as f32;
    // The dome, then every second panel in the other colour, then the scallops of the edge.
    let mut dome = arc(0.0, 0.0, 1.0, high, 180.0, 360.0);
    for number in (0..panels).rev() {
        let (from, to) = (edge(number + 1), edge(number));
        dome.extend([
            (from * 0.75 + to * 0.25, -0.1),
            ((from + to) / 2.0, -0.14),
            (from * 0.25 + to * 0.75, -0.1),
            (to, 0.0),
        ]);
    }
    hand.shape(polygon(&dome), cloth);
    for number in (0..panels).filter(|number| number % 2 == 1) {
        let (from, to) = (edge(number), edge(number + 1));
        let rib = |x: f32| [(x * 0.45, -high * 0.86), (x * 0.85, -high * 0.5)];
        let mut panel = vec![(0.0, -high)];
        panel.extend(rib(from));
        panel.extend([
            (from, 0.0),
            (from * 0.75 + to * 0.25, -0.1),
            ((from + to) / 2.0, -0.14),
            (from * 0.25 + to * 0.75, -0.1),
            (to, 0.0),
        ]);
        panel.extend(rib(to).into_iter().rev());
        hand.detail(polygon(&panel), other);
    }
}

/// A clock: round or square on the wall, or an alarm clock on feet.
pub(super) fn clock(hand: &mut Hand) {
    let (rim, face) = (hand.paint(), hand.near(&[0xfdfcf6, 0xf6efdc, 0xe6eef4]));
    let ink = hand.near(&[0x1a1a1e, 0x2b2b55]);
    let kind = hand.count(0, 2);
    if kind == 2 {
        for side in [-1.0, 1.0] {
            hand.bar(polyline(&[(side * 0.5, 0.75), (side * 0.72, 1.08)]), 0.14, rim.darker(0.25));
            hand.shape(oval(side * 0.55, -0.92, 0.3, 0.24), rim.lighter(0.15));
        }
        hand.bar(polyline(&[(0.0, -0.95), (0.0, -1.16)]), 0.1, rim.darker(0.2));
    }
    let frame = hand.between(0.12, 0.2);
    let inner = 1.0 - frame;
    if kind == 1 {
        hand.shape(rounded(-0.96, -0.96, 0.96, 0.96, 0.18), rim);
    } else {
        hand.shape(oval(0.0, 0.0, 1.0, 1.0), rim);
    }
    hand.shape(oval(0.0, 0.0, inner, inner), face);
    let marks = hand.pick(&[4, 12, 12]);
    for number in 0..marks {
        let angle = 360.0 * number as f32 / marks as f32;
        let length = if number * 4 % marks == 0 { 0.2 } else { 0.1 };
        let (from, to) =
            (polar(0.0, 0.0, inner - 0.08, angle), polar(0.0, 0.0, inner - 0.08 - length, angle));
        hand.line(polyline(&[from, to]), 0.07, ink);
    }
    let (hour, minute) = (hand.between(0.0, 360.0), 30.0 * hand.count(0, 11) as f32);
    hand.line(polyline(&[(0.0, 0.0), polar(0.0, 0.0, 0.42, hour)]), 0.12, ink);
    hand.line(polyline(&[(0.0, 0.0), polar(0.0, 0.0, 0.64, minute)]), 0.08, ink);
    hand.detail(oval(0.0, 0.0, 0.08, 0.08), rim.darker(0.2));
}
