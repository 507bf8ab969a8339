//! Which pixels are inside a polygon, as pycocotools decides it.
//!
//! The polygon is drawn on a grid five times as fine; a coordinate is rounded to it by adding 1/2
//! and cutting off the fraction. Every edge is walked in steps of one along its longer side. Where
//! a walk crosses the centre line of a column of pixels (from 5 n + 2 to 5 n + 3), all pixels of
//! the column from there on down change from outside to inside or back. The walk itself is not made
//! here: what it crosses, and where, is computed column by column, so that an edge far beyond the
//! picture costs nothing.

use crate::image::Size;
use std::ops::{Range, RangeInclusive};

/// The fine grid's points a pixel.
const FINE: f64 = 5.0;

/// The furthest coordinate, in pixels from the picture's corner.
const MAX_COORDINATE: f64 = 1e7;

/// Crossings of all polygons of one mask, of four bytes each. An outline of two million pixels has
/// fewer.
const MAX_CROSSINGS: usize = 4_000_000;

/// A corner on the fine grid.
#[derive(Debug, Clone, Copy)]
struct Corner {
    x: i64,
    y: i64,
}

/// The runs of pixels inside at least one of `polygons`, in order and apart, and how many columns
/// their edges cross.
///
/// # Errors
/// As [`super::Mask::from_polygons`].
pub(super) fn runs(size: Size, polygons: &[Vec<f64>]) -> Result<(Vec<Range<u32>>, usize), String> {
    let (mut runs, mut left) = (Vec::new(), MAX_CROSSINGS);
    for polygon in polygons {
        let corners = corners(polygon)?;
        let mut changes = Vec::new();
        for (index, &start) in corners.iter().enumerate() {
            let edge = Edge::new(start, corners[(index + 1) % corners.len()]);
            let columns = edge.columns(size.width);
            left = left.checked_sub(columns.clone().count()).ok_or_else(|| {
                format!(
                    "the edges of a mask's polygons may cross {MAX_CROSSINGS} columns, found more \
                     crossings"
                )
            })?;
            changes.extend(columns.map(|column| {
                (column * i64::from(size.height)) as u32 + edge.row(column, size.height)
            }));
        }
        changes.sort_unstable();
        // Inside is what an odd number of changes precedes. Every column has an even number of
        // them.
        runs.extend(
            changes.chunks_exact(2).map(|pair| pair[0]..pair[1]).filter(|run| !run.is_empty()),
        );
    }
    join(&mut runs);
    Ok((runs, MAX_CROSSINGS - left))
}

/// Puts runs in order and joins those that overlap or touch.
pub(super) fn join(runs: &mut Vec<Range<u32>>) {
    runs.sort_unstable_by_key(|run| run.start);
    runs.dedup_by(|next, last| {
        let joined = next.start <= last.end;
        if joined {
            last.end = last.end.max(next.end);
        }
        joined
    });
}

/// The corners on the fine grid.
fn corners(polygon: &[f64]) -> Result<Vec<Corner>, String> {
    if polygon.len() < 6 || !polygon.len().is_multiple_of(2) {
        return Err(format!(
            "a polygon is a list x, y, x, y, … of at least three corners, found one of {} numbers",
            polygon.len()
        ));
    }
    if let Some(far) =
        polygon.iter().find(|coordinate| coordinate.is_nan() || coordinate.abs() > MAX_COORDINATE)
    {
        return Err(format!(
            "a polygon's coordinates are at most {MAX_COORDINATE} pixels from 0, found {far}"
        ));
    }
    let fine = |coordinate: f64| cut(FINE * coordinate);
    Ok(polygon
        .chunks_exact(2)
        .map(|corner| Corner { x: fine(corner[0]), y: fine(corner[1]) })
        .collect())
}

/// Rounds by cutting off the fraction of the value and 1/2; so the values -1.4 and 0.4 both give 0.
fn cut(value: f64) -> i64 {
    (value + 0.5) as i64
}

/// An edge on the fine grid, from left to right if it is at least as wide as high, else from top to
/// bottom: the points of a walk do not depend on its direction.
#[derive(Debug, Clone, Copy)]
struct Edge {
    start: Corner,
    end: Corner,
    /// The other coordinate's change with every step along the longer side.
    slope: f64,
}

impl Edge {
    fn new(from: Corner, until: Corner) -> Self {
        let (dx, dy) = ((until.x - from.x).abs(), (until.y - from.y).abs());
        let backwards = if dx >= dy { from.x > until.x } else { from.y > until.y };
        let (start, end) = if backwards { (until, from) } else { (from, until) };
        let slope = if dx >= dy {
            (end.y - start.y) as f64 / dx as f64
        } else {
            (end.x - start.x) as f64 / dy as f64
        };
        Self { start, end, slope }
    }

    fn is_flat(&self) -> bool {
        self.end.x - self.start.x >= (self.end.y - self.start.y).abs()
    }

    /// The fine x after `step` steps of a steep edge, the fine y of a flat one.
    fn other(&self, step: i64) -> i64 {
        let start = if self.is_flat() { self.start.y } else { self.start.x };
        cut(start as f64 + self.slope * step as f64)
    }

    /// The columns of pixels, of `width`, whose centre lines are crossed.
    fn columns(&self, width: u32) -> RangeInclusive<i64> {
        let ends = if self.is_flat() {
            [self.start.x, self.end.x]
        } else {
            [self.other(0), self.other(self.end.y - self.start.y)]
        };
        let [left, right] = [ends[0].min(ends[1]), ends[0].max(ends[1])];
        // The walk comes from 5 n + 2 or before, and reaches 5 n + 3.
        let first = (left.max(2) + 2) / 5;
        first..=(right - 3).div_euclid(5).min(i64::from(width) - 1)
    }

    /// The first row of pixels below the crossing with the centre line of `column`, from 0 to
    /// `height`.
    fn row(&self, column: i64, height: u32) -> u32 {
        let line = 5 * column + 2;
        let fine = if self.is_flat() {
            let step = line - self.start.x;
            self.other(step).min(self.other(step + 1))
        } else {
            self.start.y + self.last_step_before(line)
        };
        let row = (fine as f64 + 0.5) / FINE - 0.5;
        row.clamp(0.0, f64::from(height)).ceil() as u32
    }

    /// The last step of a steep edge on the same side of the line between the fine x `line` and the
    /// next as its start.
    fn last_step_before(&self, line: i64) -> i64 {
        let from_left = self.slope > 0.0;
        let (mut before, mut behind) = (0, self.end.y - self.start.y);
        while behind - before > 1 {
            let middle = before + (behind - before) / 2;
            if (self.other(middle) <= line) == from_left {
                before = middle;
            } else {
                behind = middle;
            }
        }
        before
    }
}
