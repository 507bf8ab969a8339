//! Round things that fly: footballs and balloons.

use super::super::hand::Hand;
use super::super::pen::{Colour, blob, curve, oval, polar, polygon, polyline, sin_cos};
use resvg::tiny_skia::PathBuilder;

type Point3 = [f32; 3];

/// A football: the truncated icosahedron, turned at random, seen from far away.
pub(super) fn football(hand: &mut Hand) {
    let leather = hand.near(&[0xf8f8f4, 0xffffff, 0xf1ead6, 0xf4f6c8]);
    let patch = hand.near(&[0x16161a, 0x16161a, 0x1f2a55, 0x1c4a30, 0x7a1c20]);
    let seam = hand.between(0.03, 0.055);
    hand.shape(oval(0.0, 0.0, 1.0, 1.0), leather);
    let corners = icosahedron(hand);
    let neighbours = |at: usize| {
        let corners = &corners;
        (0..12).filter(move |&other| other != at && dot(corners[at], corners[other]) > 0.3)
    };
    let mut seams = PathBuilder::new();
    for (at, &corner) in corners.iter().enumerate() {
        for other in neighbours(at) {
            let (a, b) = (third(corner, corners[other]), third(corners[other], corner));
            if at < other && a[2] > -0.05 && b[2] > -0.05 {
                seams.move_to(a[0], a[1]);
                seams.line_to(b[0], b[1]);
            }
        }
    }
    hand.line(seams.finish(), seam, patch);
    for (at, &corner) in corners.iter().enumerate() {
        if corner[2] < -0.12 {
            continue;
        }
        let mut patch_corners: Vec<Point3> =
            neighbours(at).map(|other| third(corner, corners[other])).collect();
        in_order(&mut patch_corners);
        let seen: Vec<(f32, f32)> = patch_corners.into_iter().map(onto_the_disc).collect();
        hand.detail(polygon(&seen), patch);
    }
    hand.line(oval(0.0, 0.0, 0.98, 0.98), 0.04, patch.mix(leather, 0.3));
}

/// The 12 corners on the unit sphere, turned at random.
fn icosahedron(hand: &mut Hand) -> Vec<Point3> {
    let golden = (1.0 + 5.0_f32.sqrt()) / 2.0;
    let length = (1.0 + golden * golden).sqrt();
    let (a, b) = (1.0 / length, golden / length);
    let turns = [0, 1, 2].map(|_| sin_cos(hand.between(0.0, 360.0)));
    let mut corners = Vec::with_capacity(12);
    for (s, t) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
        for corner in [[0.0, s * a, t * b], [s * a, t * b, 0.0], [t * b, 0.0, s * a]] {
            let mut turned: Point3 = corner;
            for (axis, (sin, cos)) in turns.into_iter().enumerate() {
                let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
                (turned[u], turned[v]) =
                    (cos * turned[u] - sin * turned[v], sin * turned[u] + cos * turned[v]);
            }
            corners.push(turned);
        }
    }
    corners
}

fn dot(a: Point3, b: Point3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The point a third of the way from `a` to `b`, on the unit sphere.
fn third(a: Point3, b: Point3) -> Point3 {
    let point = [0, 1, 2].map(|axis| (2.0 * a[axis] + b[axis]) / 3.0);
    let length = dot(point, point).sqrt();
    point.map(|x| x / length)
}

/// Orders five corners about their centre: each next one is the nearest that is left.
fn in_order(corners: &mut [Point3]) {
    for at in 1..corners.len() {
        let nearest = (at..corners.len()).max_by(|&i, &j| {
            dot(corners[at - 1], corners[i]).total_cmp(&dot(corners[at - 1], corners[j]))
        });
        corners.swap(at, nearest.unwrap_or(at));
    }
}

/// What lies behind the rim is drawn on the rim.
fn onto_the_disc([x, y, z]: Point3) -> (f32, f32) {
    let length = (x * x + y * y).sqrt();
    if z >= 0.0 || length == 0.0 { (x, y) } else { (x / length, y / length) }
}

/// A balloon on a string, or three.
pub(super) fn balloon(hand: &mut Hand) {
    let grip = (hand.between(-0.1, 0.1), 1.0);
    if hand.chance(0.25) {
        for (x, y) in [(-0.42, -0.3), (0.42, -0.26), (0.0, -0.5)] {
            let colour = hand.paint();
            one_balloon(hand, (x, y), 0.42, grip, colour);
        }
    } else {
        let colour = hand.paint();
        one_balloon(hand, (0.0, -0.35), 0.62, grip, colour);
    }
}

fn one_balloon(hand: &mut Hand, (x, y): (f32, f32), radius: f32, grip: (f32, f32), colour: Colour) {
    let (rx, ry) = (radius * hand.between(0.82, 0.98), radius * hand.between(1.0, 1.2));
    let knot = y + ry * 1.04;
    let sway = hand.between(-0.25, 0.25);
    let middle = (knot + grip.1) / 2.0;
    let string = Colour::hex(0x4a4a50);
    hand.line(
        curve(&[(x, knot), (x + sway, middle - 0.15), (grip.0 - sway, middle + 0.15), grip]),
        0.045,
        string,
    );
    hand.shape(
        polygon(&[(x, knot - 0.12), (x + 0.1, knot + 0.08), (x - 0.1, knot + 0.08)]),
        colour.darker(0.15),
    );
    let mut outline = vec![(x, y + ry * 1.25), (x - rx * 0.55, y + ry * 0.95)];
    outline.extend([200.0, 240.0, 270.0, 300.0, 340.0].map(|angle| {
        let (px, py) = polar(0.0, 0.0, 1.13, angle);
        (x + px * rx, y + py * ry)
    }));
    // The sides bulge a little above the middle.
    outline.insert(2, (x - rx * 1.08, y + ry * 0.3));
    outline.extend([(x + rx * 1.08, y + ry * 0.3), (x + rx * 0.55, y + ry * 0.95)]);
    hand.shape(blob(&outline), colour);
    let side = -0.42;
    hand.detail(oval(x + side * rx, y - 0.4 * ry, rx * 0.16, ry * 0.24), colour.lighter(0.6));
    if hand.chance(0.2) {
        let band = colour.lighter(0.45);
        hand.line(
            polyline(&[(x - rx * 0.8, y + 0.12 * ry), (x + rx * 0.8, y + 0.12 * ry)]),
            0.1 * radius,
            band,
        );
    }
}
