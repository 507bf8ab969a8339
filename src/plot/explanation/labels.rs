//! Where the labels of boxes go: at a corner of their box, within bounds, and on no other label as
//! long as there is room.

use crate::plot::svg::Area;

/// White between two labels.
const SEAM: f64 = 1.0;
/// Steps of the search for a free place.
const STEP: f64 = 4.0;

/// Places one label a frame, the first frames first; `sizes` are (width, height). Tried in turn:
/// above the frame's upper corners, inside them, below the lower corners, inside those; then the
/// free place nearest to the frame; and where there is none, the corner where least is hidden.
pub(super) fn place(frames: &[Area], sizes: &[(f64, f64)], bounds: Area) -> Vec<Area> {
    let mut placed: Vec<Area> = Vec::with_capacity(frames.len());
    for (frame, &size) in frames.iter().zip(sizes) {
        let corners = corners(frame, size, bounds);
        let free = |area: &&Area| hidden(area, &placed) == 0.0;
        let label = corners
            .iter()
            .find(free)
            .copied()
            .or_else(|| nearest_free(frame, size, bounds, &placed));
        let least = || {
            let by_hidden =
                |a: &&Area, b: &&Area| hidden(a, &placed).total_cmp(&hidden(b, &placed));
            corners
                .iter()
                .min_by(by_hidden)
                .copied()
                .unwrap_or_else(|| at(bounds.x, bounds.y, size))
        };
        let label = label.unwrap_or_else(least);
        placed.push(label);
    }
    placed
}

/// The nearest points of a label and its frame, where they lie apart: the ends of a line that leads
/// from one to the other.
pub(super) fn leader(label: &Area, frame: &Area) -> Option<((f64, f64), (f64, f64))> {
    let (from_x, to_x) = nearest((label.x, label.right()), (frame.x, frame.right()));
    let (from_y, to_y) = nearest((label.y, label.bottom()), (frame.y, frame.bottom()));
    let apart = (from_x - to_x).hypot(from_y - to_y) > 2.0 * SEAM;
    apart.then_some(((from_x, from_y), (to_x, to_y)))
}

/// The nearest points of two intervals; where they overlap, the middle of what they share.
fn nearest(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    if a.1 < b.0 {
        (a.1, b.0)
    } else if b.1 < a.0 {
        (a.0, b.1)
    } else {
        let middle = (a.0.max(b.0) + a.1.min(b.1)) / 2.0;
        (middle, middle)
    }
}

/// The places at the frame's corners that lie within the bounds, in order of preference.
fn corners(frame: &Area, (width, height): (f64, f64), bounds: Area) -> Vec<Area> {
    let (left, right) = (frame.x, frame.right() - width);
    let tries = [
        (left, frame.y - height),
        (right, frame.y - height),
        (left, frame.y),
        (right, frame.y),
        (left, frame.bottom()),
        (right, frame.bottom()),
        (left, frame.bottom() - height),
        (right, frame.bottom() - height),
    ];
    tries
        .into_iter()
        .map(|(x, y)| at(x.min(bounds.right() - width).max(bounds.x), y, (width, height)))
        .filter(|area| area.y >= bounds.y && area.bottom() <= bounds.bottom())
        .collect()
}

/// The free place within the bounds whose corner is nearest to the frame.
fn nearest_free(frame: &Area, size: (f64, f64), bounds: Area, placed: &[Area]) -> Option<Area> {
    let steps = |from: f64, to: f64| {
        (0..).map(move |i| from + STEP * f64::from(i)).take_while(move |tick| *tick <= to)
    };
    let distance = |area: &Area| {
        let (from_x, to_x) = nearest((area.x, area.right()), (frame.x, frame.right()));
        let (from_y, to_y) = nearest((area.y, area.bottom()), (frame.y, frame.bottom()));
        // Of two places at the frame, the one nearer to its upper left corner.
        (from_x - to_x).hypot(from_y - to_y) + 0.01 * (area.x - frame.x).hypot(area.y - frame.y)
    };
    steps(bounds.y, bounds.bottom() - size.1)
        .flat_map(|y| steps(bounds.x, bounds.right() - size.0).map(move |x| at(x, y, size)))
        .filter(|area| hidden(area, placed) == 0.0)
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

fn at(x: f64, y: f64, (width, height): (f64, f64)) -> Area {
    Area::new(x, y, width, height)
}

/// Area of `placed`, with the seam around it, below `area`.
fn hidden(area: &Area, placed: &[Area]) -> f64 {
    let shared = |other: &Area| {
        let width = area.right().min(other.right() + SEAM) - area.x.max(other.x - SEAM);
        let height = area.bottom().min(other.bottom() + SEAM) - area.y.max(other.y - SEAM);
        width.max(0.0) * height.max(0.0)
    };
    placed.iter().map(shared).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Area = Area { x: 10.0, y: 20.0, width: 200.0, height: 120.0 };

    #[test]
    fn a_label_sits_on_its_frame_and_the_next_gives_way() {
        let frame = Area::new(50.0, 60.0, 80.0, 40.0);
        let labels = place(&[frame; 3], &[(60.0, 12.0); 3], BOUNDS);
        assert_eq!(labels[0], Area::new(50.0, 48.0, 60.0, 12.0));
        assert!(labels.iter().all(|label| leader(label, &frame).is_none()), "{labels:?}");
        assert!(
            labels.iter().enumerate().all(|(i, label)| hidden(label, &labels[..i]) == 0.0),
            "{labels:?}"
        );
    }

    #[test]
    fn at_the_upper_edge_it_is_set_inside_and_at_the_right_edge_moved_left() {
        let label = place(&[Area::new(180.0, 20.0, 30.0, 90.0)], &[(60.0, 12.0)], BOUNDS)[0];
        assert_eq!(label, Area::new(150.0, 20.0, 60.0, 12.0));
        assert_eq!(leader(&label, &Area::new(180.0, 20.0, 30.0, 90.0)), None);
    }

    #[test]
    fn a_label_apart_from_its_frame_is_led_to_it() {
        let line = leader(&Area::new(0.0, 0.0, 10.0, 10.0), &Area::new(20.0, 30.0, 5.0, 5.0));
        assert_eq!(line, Some(((10.0, 10.0), (20.0, 30.0))));
    }

    fn inside_bounds() -> impl Strategy<Value = Area> {
        (0.0..190.0_f64, 0.0..110.0_f64, 1.0..200.0_f64, 1.0..120.0_f64).prop_map(
            |(x, y, width, height)| {
                Area::new(BOUNDS.x + x, BOUNDS.y + y, width.min(200.0 - x), height.min(120.0 - y))
            },
        )
    }

    proptest! {
        #[test]
        fn labels_stay_inside_and_apart_while_there_is_room(
            frames in prop::collection::vec(inside_bounds(), 0..6), width in 20.0..90.0_f64,
        ) {
            // There is room for a fifth of at most 90 x 12: each of four blocks at most 26 of the
            // 108 lines it can start on.
            let sizes = vec![(width, 12.0); frames.len()];
            let labels = place(&frames, &sizes, BOUNDS);
            prop_assert_eq!(labels.len(), frames.len());
            for (i, label) in labels.iter().enumerate() {
                prop_assert!(label.x >= BOUNDS.x && label.right() <= BOUNDS.right() + 1e-9, "{:?}", label);
                prop_assert!(label.y >= BOUNDS.y && label.bottom() <= BOUNDS.bottom() + 1e-9, "{:?}", label);
                prop_assert_eq!(hidden(label, &labels[..i]), 0.0);
            }
        }
    }
}
