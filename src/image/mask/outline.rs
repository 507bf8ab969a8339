//! The contours of a mask along the edges of its pixels.
//!
//! Only the vertical sides of a contour are looked for: they are where neighbouring columns differ.
//! On every horizontal line the ends of such sides, from left to right, are in turn the beginning
//! and the end of a horizontal side; that links each vertical side with the next one of its
//! contour.

use super::{Mask, Span};
use std::ops::Range;

/// A vertical side, along which the contour goes with the pixels of the mask on its right hand.
#[derive(Debug, Clone, Copy)]
struct Side {
    x: u32,
    /// The row line where the contour comes in, and where it leaves.
    from: u32,
    until: u32,
}

/// One end of a vertical side. The order of the fields is that in which the ends are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    y: u32,
    x: u32,
    /// Where four sides meet, two pixels touch at their corners; the end of the side that goes down
    /// (with the mask on its left on the screen) belongs to the horizontal side on the left. So
    /// each pixel keeps its own contour.
    goes_up: bool,
    side: usize,
    leaves: bool,
}

/// As [`Mask::outline`].
pub(super) fn trace(mask: &Mask) -> Vec<Vec<(u32, u32)>> {
    let sides = sides(mask);
    let next = links(&sides);
    let mut seen = vec![false; sides.len()];
    let mut contours = Vec::new();
    for first in 0..sides.len() {
        let (mut contour, mut index) = (Vec::new(), first);
        while !std::mem::replace(&mut seen[index], true) {
            let Side { x, from, until } = sides[index];
            contour.extend([(x, from), (x, until)]);
            index = next[index];
        }
        if !contour.is_empty() {
            contours.push(contour);
        }
    }
    contours
}

/// All vertical sides, from left to right and down each line.
fn sides(mask: &Mask) -> Vec<Side> {
    let mut sides = Vec::new();
    let mut spans = mask.spans().peekable();
    let (mut left, mut right): (Vec<Range<u32>>, Vec<Range<u32>>) = (Vec::new(), Vec::new());
    for x in 0..=mask.size().width {
        right.clear();
        while let Some(Span { rows, .. }) = spans.next_if(|span| span.column == x) {
            right.push(rows);
        }
        add_differences(x, &left, &right, &mut sides);
        std::mem::swap(&mut left, &mut right);
    }
    sides
}

/// The sides between two columns, on the line `x`: the stretches of rows that belong to one of them
/// alone.
fn add_differences(x: u32, left: &[Range<u32>], right: &[Range<u32>], sides: &mut Vec<Side>) {
    let changes = |rows: &Range<u32>, is_left: bool| [(rows.start, is_left), (rows.end, is_left)];
    let mut all: Vec<_> = left.iter().flat_map(|rows| changes(rows, true)).collect();
    all.extend(right.iter().flat_map(|rows| changes(rows, false)));
    all.sort_unstable();
    let (mut in_left, mut in_right, mut start) = (false, false, 0);
    for (y, is_left) in all {
        if in_left != in_right && y > start {
            // Downwards along a pixel's right edge, upwards along its left one.
            let (from, until) = if in_left { (start, y) } else { (y, start) };
            sides.push(Side { x, from, until });
        }
        if is_left {
            in_left = !in_left;
        } else {
            in_right = !in_right;
        }
        start = y;
    }
}

/// For every side the one that follows it on its contour.
fn links(sides: &[Side]) -> Vec<usize> {
    let mut ends: Vec<End> = Vec::with_capacity(2 * sides.len());
    for (side, &Side { x, from, until }) in sides.iter().enumerate() {
        let goes_up = until < from;
        ends.push(End { y: from, x, goes_up, side, leaves: false });
        ends.push(End { y: until, x, goes_up, side, leaves: true });
    }
    ends.sort_unstable();
    let mut next = vec![0; sides.len()];
    for pair in ends.chunks_exact(2) {
        let [from, until] = if pair[0].leaves { [pair[0], pair[1]] } else { [pair[1], pair[0]] };
        next[from.side] = until.side;
    }
    next
}
