//! Dogs, spiders, butterflies and snakes.

use super::super::hand::Hand;
use super::super::pen::{Colour, blob, curve, oval, polygon, polyline, rounded, sin_cos};
use resvg::tiny_skia::Transform;

const COAT: &[u32] =
    &[0x8a5a2b, 0xc08a4e, 0x3a2a20, 0x2a2a2e, 0xe4d3b4, 0x9a9a9c, 0xb5622a, 0xf0ece4];

/// A dog from the side, standing or sitting, looking left or right.
pub(super) fn dog(hand: &mut Hand) {
    let coat = hand.near(COAT);
    let ear = if hand.chance(0.5) { coat.darker(0.35) } else { coat.darker(0.15) };
    let mirror = if hand.chance(0.5) { -1.0 } else { 1.0 };
    let sitting = hand.chance(0.35);
    let spots = hand.chance(0.3);
    hand.within(Transform::from_scale(mirror, 1.0), |hand| {
        let head = if sitting {
            sitting_body(hand, coat, spots)
        } else {
            standing_body(hand, coat, spots)
        };
        dog_head(hand, head, coat, ear);
    });
}

fn standing_body(hand: &mut Hand, coat: Colour, spots: bool) -> (f32, f32) {
    let (long, leg) = (hand.between(0.62, 0.78), hand.between(0.34, 0.5));
    let (thick, rise) = (hand.between(0.25, 0.32), hand.between(0.2, 0.6));
    hand.bar(
        curve(&[(long - 0.08, -0.12), (long + 0.22, -0.12), (long + 0.26, -0.2 - rise)]),
        0.11,
        coat,
    );
    for (x, shade) in
        [(-long + 0.26, 0.16), (long - 0.1, 0.16), (-long + 0.12, 0.0), (long - 0.24, 0.0)]
    {
        let sway = hand.between(-0.05, 0.05);
        hand.bar(
            polyline(&[(x, 0.1), (x + sway, 0.2 + leg), (x + sway - 0.06, 0.2 + leg)]),
            0.15,
            coat.darker(shade),
        );
    }
    hand.bar(polyline(&[(-long + 0.2, -0.08), (-long - 0.02, -0.36)]), 0.34, coat);
    hand.shape(rounded(-long, -thick, long, thick * 0.95, 0.28), coat);
    if spots {
        let spot = if coat.0[0] > 0.5 { coat.darker(0.55) } else { coat.lighter(0.7) };
        hand.detail(oval(0.12, -0.08, 0.2, 0.13), spot);
        hand.detail(oval(long - 0.24, 0.06, 0.1, 0.09), spot);
    }
    (-long - 0.08, -0.52)
}

fn sitting_body(hand: &mut Hand, coat: Colour, spots: bool) -> (f32, f32) {
    let rise = hand.between(0.0, 0.3);
    hand.bar(curve(&[(0.5, 0.8), (0.95, 0.85), (0.9, 0.55 - rise)]), 0.12, coat);
    hand.shape(
        blob(&[(-0.42, -0.5), (0.1, -0.55), (0.75, 0.3), (0.72, 1.0), (-0.1, 1.0), (-0.35, 0.6)]),
        coat,
    );
    hand.shape(oval(0.4, 0.66, 0.32, 0.28), coat.darker(0.1));
    for (x, shade) in [(0.0, 0.14), (-0.2, 0.0)] {
        hand.bar(
            polyline(&[(x, 0.1), (x - 0.04, 0.88), (x - 0.13, 0.88)]),
            0.16,
            coat.darker(shade),
        );
    }
    if spots {
        let spot = if coat.0[0] > 0.5 { coat.darker(0.55) } else { coat.lighter(0.7) };
        hand.detail(oval(0.1, -0.05, 0.16, 0.2), spot);
    }
    (-0.3, -0.62)
}

/// The head, looking left, about `(x, y)`.
fn dog_head(hand: &mut Hand, (x, y): (f32, f32), coat: Colour, ear: Colour) {
    let (snout, floppy) = (hand.between(0.34, 0.46), hand.chance(0.6));
    let dark = Colour::hex(0x15120f);
    if !floppy {
        hand.shape(
            polygon(&[(x + 0.02, y - 0.15), (x + 0.2, y - 0.52), (x + 0.28, y - 0.08)]),
            ear,
        );
    }
    hand.shape(oval(x, y, 0.3, 0.28), coat);
    hand.shape(rounded(x - 0.14 - snout, y - 0.04, x + 0.06, y + 0.22, 0.12), coat.lighter(0.08));
    hand.detail(oval(x - 0.14 - snout, y + 0.01, 0.085, 0.075), dark);
    hand.line(
        curve(&[(x - snout - 0.08, y + 0.14), (x - 0.2, y + 0.2), (x - 0.06, y + 0.12)]),
        0.035,
        coat.darker(0.6),
    );
    if hand.chance(0.4) {
        hand.detail(
            rounded(x - snout, y + 0.17, x - snout + 0.14, y + 0.36, 0.07),
            Colour::hex(0xe0626e),
        );
    }
    hand.detail(oval(x - 0.1, y - 0.09, 0.06, 0.065), dark);
    hand.detail(oval(x - 0.115, y - 0.11, 0.02, 0.02), Colour::hex(0xffffff));
    if floppy {
        let low = hand.between(0.3, 0.45);
        hand.shape(
            blob(&[
                (x + 0.02, y - 0.3),
                (x + 0.3, y - 0.26),
                (x + 0.32, y + low),
                (x + 0.06, y + low),
            ]),
            ear,
        );
    }
    if hand.chance(0.5) {
        let collar = hand.near(&[0xc62828, 0x1e5fae, 0x2a7a3a, 0xe0a020]);
        hand.line(polyline(&[(x - 0.04, y + 0.32), (x + 0.32, y + 0.18)]), 0.09, collar);
    }
}

/// A spider from above, or on its thread.
pub(super) fn spider(hand: &mut Hand) {
    let body = hand.near(&[0x1a1a1c, 0x2e1f18, 0x3a3a40, 0x4a2f1e, 0x141418]);
    let (abdomen, chest) = (hand.between(0.3, 0.42), hand.between(0.17, 0.23));
    let (reach, width) = (hand.between(0.82, 1.0), hand.between(0.055, 0.09));
    if hand.chance(0.25) {
        let length = hand.between(1.2, 1.5);
        hand.line(polyline(&[(0.0, 0.2), (0.0, -length)]), 0.03, Colour::hex(0x8a8a90));
    }
    for leg in 0..4 {
        for side in [-1.0, 1.0] {
            let angle = [-52.0, -20.0, 16.0, 50.0][leg] + hand.between(-6.0, 6.0);
            let knee = 0.56 * reach;
            let ((sin, cos), bend) = (sin_cos(angle), [-0.26, -0.2, -0.12, 0.02][leg]);
            let (knee_x, knee_y) = (side * knee * cos, -0.1 + knee * sin + bend);
            let (far_sin, far_cos) = sin_cos(angle * 1.15);
            let foot =
                (side * reach * far_cos, -0.1 + reach * far_sin + 0.12 + 0.1 * leg as f32 / 3.0);
            hand.line(polyline(&[(side * 0.1, -0.12), (knee_x, knee_y), foot]), width, body);
        }
    }
    hand.shape(oval(0.0, 0.24, abdomen * 0.85, abdomen), body);
    hand.shape(oval(0.0, -0.2, chest, chest), body.lighter(0.06));
    let mark = hand.near(&[0xc62828, 0xd8b02a, 0xe8e2d0, 0x8a8a90]);
    match hand.count(0, 3) {
        0 => hand.detail(polygon(&[(-0.1, 0.12), (0.1, 0.12), (-0.1, 0.4), (0.1, 0.4)]), mark),
        1 => {
            for y in [0.1, 0.24, 0.38] {
                hand.line(polyline(&[(-0.15, y), (0.15, y)]), 0.05, mark);
            }
        }
        _ => (),
    }
    for x in [-0.08, 0.08] {
        hand.detail(oval(x, -0.3, 0.05, 0.05), Colour::hex(0xf4f0e0));
    }
}

/// A butterfly from above.
pub(super) fn butterfly(hand: &mut Hand) {
    let (upper, lower) = (hand.paint(), hand.paint());
    let lower = upper.mix(lower, 0.5);
    let (rim, dark) = (upper.darker(0.6), hand.near(&[0x201a18, 0x3a2a1e]));
    let (span, droop) = (hand.between(0.85, 1.0), hand.between(0.55, 0.8));
    let (tip, tail) = (hand.between(0.7, 0.95), hand.chance(0.3));
    let spots = hand.count(0, 2);
    let spot = hand.paint().lighter(0.5);
    for side in [-1.0, 1.0] {
        hand.within(Transform::from_scale(side, 1.0), |hand| {
            let mut wing = vec![
                (0.02, 0.0),
                (0.3, 0.02),
                (0.85, 0.1),
                (0.8, droop),
                (0.4, droop + 0.16),
                (0.08, 0.4),
            ];
            if tail {
                wing.insert(4, (0.62, droop + 0.4));
            }
            hand.shape(blob(&wing), lower);
            let wing = [
                (0.0, -0.05),
                (0.12, -0.6),
                (0.75, -tip - 0.1),
                (span + 0.16, -tip),
                (span + 0.06, 0.0),
                (0.5, 0.2),
            ];
            hand.shape(blob(&wing), rim);
            hand.detail(blob(&wing.map(|(x, y)| (0.06 + x * 0.8, -0.05 + y * 0.8))), upper);
            if spots > 0 {
                hand.detail(oval(span * 0.62, -tip * 0.6, 0.13, 0.13), spot);
            }
            if spots > 1 {
                hand.detail(oval(0.45, droop * 0.6, 0.11, 0.11), rim);
            }
            hand.line(curve(&[(0.02, -0.4), (0.08, -0.8), (0.26, -0.92)]), 0.04, dark);
        });
    }
    hand.shape(oval(0.0, 0.02, 0.085, 0.5), dark);
}

/// A snake: a winding body that thins towards the tail, or a coil.
pub(super) fn snake(hand: &mut Hand) {
    let skin = hand.near(&[0x4f8a2e, 0x7a8a2e, 0x8a6a2e, 0x2e7a6a, 0xa84a2a, 0x5a5a4a]);
    let band = if hand.chance(0.5) { skin.darker(0.45) } else { skin.lighter(0.5) };
    let mirror = if hand.chance(0.5) { -1.0 } else { 1.0 };
    let coiled = hand.chance(0.3);
    hand.within(Transform::from_scale(mirror, 1.0), |hand| {
        let spine = if coiled { coil(hand) } else { wave(hand) };
        let thick = hand.between(0.13, 0.17);
        let banded = hand.chance(0.7);
        body(hand, &spine, thick, skin);
        if banded {
            for pair in spine.windows(2).skip(2).step_by(3) {
                let share = 1.0 - 0.75 * pair[0].2;
                hand.line(
                    polyline(&[(pair[0].0, pair[0].1), (pair[1].0, pair[1].1)]),
                    thick * share,
                    band,
                );
            }
        }
        let (head, next) = (spine[0], spine[1]);
        let (dx, dy) = (head.0 - next.0, head.1 - next.1);
        let length = (dx * dx + dy * dy).sqrt();
        let frame = Transform::from_row(
            dx / length,
            dy / length,
            -dy / length,
            dx / length,
            head.0,
            head.1,
        );
        hand.within(frame, |hand| {
            let red = Colour::hex(0xc62828);
            hand.line(polyline(&[(0.2, 0.0), (0.4, 0.0), (0.48, -0.06)]), 0.04, red);
            hand.line(polyline(&[(0.4, 0.0), (0.48, 0.06)]), 0.04, red);
            hand.shape(oval(0.08, 0.0, 0.2, thick), skin);
            hand.detail(oval(0.13, -0.06, 0.045, 0.045), Colour::hex(0xfff6c8));
            hand.detail(oval(0.14, -0.06, 0.022, 0.022), Colour::hex(0x101010));
        });
    });
}

/// The body as one outline: one side down, the other up.
fn body(hand: &mut Hand, spine: &[(f32, f32, f32)], thick: f32, skin: Colour) {
    let side = |sign: f32| {
        spine.windows(2).map(move |pair| {
            let (dx, dy) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            let half =
                sign * thick * (1.0 - 0.85 * pair[0].2 * pair[0].2) / (dx * dx + dy * dy).sqrt();
            (pair[0].0 - dy * half, pair[0].1 + dx * half)
        })
    };
    let tail = spine.last().map(|&(x, y, _)| (x, y));
    let mut outline: Vec<(f32, f32)> = side(1.0).chain(tail).collect();
    let mut back: Vec<(f32, f32)> = side(-1.0).collect();
    back.reverse();
    outline.append(&mut back);
    hand.shape(polygon(&outline), skin);
}

/// x, y and the share of the way from head (0) to tail (1).
fn wave(hand: &mut Hand) -> Vec<(f32, f32, f32)> {
    const STEPS: usize = 36;
    let (waves, high, phase) =
        (hand.between(1.3, 2.0), hand.between(0.28, 0.42), hand.between(0.0, 360.0));
    let raised = hand.between(0.0, 0.4);
    let point = |step: usize| {
        let share = step as f32 / STEPS as f32;
        let (sin, _) = sin_cos(phase + 360.0 * waves * share);
        let lift = (0.2 - share).max(0.0) / 0.2;
        (-1.0 + 2.0 * share, high * sin * (1.0 - 0.4 * share) - raised * lift * lift, share)
    };
    (0..=STEPS).map(point).collect()
}

fn coil(hand: &mut Hand) -> Vec<(f32, f32, f32)> {
    const STEPS: usize = 60;
    let (turns, start) = (hand.between(1.6, 2.1), hand.between(0.0, 360.0));
    let squash = hand.between(0.75, 1.0);
    let point = |step: usize| {
        let share = step as f32 / STEPS as f32;
        let radius = 0.95 - 0.75 * share;
        let (sin, cos) = sin_cos(start + 360.0 * turns * share);
        (radius * cos, radius * sin * squash, share)
    };
    (0..=STEPS).map(point).collect()
}
