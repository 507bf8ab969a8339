//! DnCShap as it was released (Malik, Kumar & Raman 2021), with its defects, so that they can be
//! shown.
//!
//! The picture is cut in halves, top from bottom first, then across, and so on. The first cut's
//! values are Shapley values of two players; from the second on they are not: the second half
//! subtracts v2 where v1 is meant; v1 and v2 are of the whole picture cut at the part's middle, not
//! of the part's halves; and the contexts b and f are sums of ever more scores beside single ones.
//! So the values of the leaves do not add up to v(all) - v(nothing).

use super::hierarchy::{Credit, Rectangle, Shown};
use super::masking::Scores;
use crate::stats::quantile;
use tch::TchError;

/// Values whose magnitude lies below this quantile over places become 0.
const KEPT_FROM: f64 = 0.7;

/// Along which axis a part is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// Top from bottom.
    Rows,
    /// Left from right.
    Columns,
}

impl Axis {
    fn other(self) -> Self {
        match self {
            Self::Rows => Self::Columns,
            Self::Columns => Self::Rows,
        }
    }
}

/// A part with its contexts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub rectangle: Rectangle,
    /// What the release carries along as the scores without and with the part.
    without: f64,
    with: f64,
    pub value: f64,
}

/// The values of the places of each of `pictures` pictures, every place of a leaf having the leaf's
/// value; as many levels of cuts as `evaluations` allow, n of them costing 2 * 2^n, and at least
/// one.
pub(super) fn credits(
    size: (usize, usize),
    pictures: usize,
    evaluations: usize,
    value: &mut dyn FnMut(&[Shown]) -> Scores,
) -> Result<Vec<Credit>, TchError> {
    let levels = (evaluations / 2).max(2).ilog2() as usize;
    let of_picture = |picture| {
        let (parts, all, nothing) = leaves(size, picture, (levels, Axis::Rows), value)?;
        let mut places = painted(size, &parts);
        cut_off(&mut places);
        Ok(Credit { all, nothing, evaluations: 2 << levels, places })
    };
    (0..pictures).map(of_picture).collect()
}

/// The leaves with their values, in the order of the cuts, and the scores of the whole picture and
/// of nothing.
pub(super) fn leaves(
    (rows, columns): (usize, usize),
    picture: usize,
    (levels, mut axis): (usize, Axis),
    value: &mut dyn FnMut(&[Shown]) -> Scores,
) -> Result<(Vec<Part>, f64, f64), TchError> {
    let whole = Rectangle { top: 0, left: 0, height: rows, width: columns };
    let shown = |rectangle: Rectangle| Shown { picture, rectangles: vec![rectangle], columns };
    let ends = value(&[Shown { picture, rectangles: Vec::new(), columns }, shown(whole)])?;
    let (nothing, all) = (ends[0], ends[1]);
    let mut parts = vec![Part { rectangle: whole, without: nothing, with: all, value: 0.0 }];
    for level in 0..levels {
        let asked: Vec<Shown> = parts
            .iter()
            .flat_map(|part| cut(whole, axis, middle(part.rectangle, axis)).map(shown))
            .collect();
        let scores = value(&asked)?;
        let halves = parts.iter().zip(scores.chunks_exact(2)).flat_map(|(part, scores)| {
            let (v1, v2) = (scores[0], scores[1]);
            let Part { rectangle, without, with, .. } = *part;
            let values = match level {
                0 => [(v1 - without + with - v2) / 2.0, (v2 - without + with - v1) / 2.0],
                _ => [(v1 - without + with - v2) / 4.0, (v2 - without + with - v2) / 4.0],
            };
            let [first, second] = cut(rectangle, axis, middle(rectangle, axis));
            [
                Part { rectangle: first, without: without + v2, with: with + v1, value: values[0] },
                Part {
                    rectangle: second,
                    without: without + v1,
                    with: with + v2,
                    value: values[1],
                },
            ]
        });
        parts = halves.collect();
        axis = axis.other();
    }
    Ok((parts, all, nothing))
}

/// Where a part is cut, in places from the picture's edge.
fn middle(part: Rectangle, axis: Axis) -> usize {
    match axis {
        Axis::Rows => part.top + part.height / 2,
        Axis::Columns => part.left + part.width / 2,
    }
}

/// A part before and from `at` on; one of the two may be empty.
fn cut(part: Rectangle, axis: Axis, at: usize) -> [Rectangle; 2] {
    match axis {
        Axis::Rows => {
            let height = at - part.top;
            [
                Rectangle { height, ..part },
                Rectangle { top: at, height: part.height - height, ..part },
            ]
        }
        Axis::Columns => {
            let width = at - part.left;
            [Rectangle { width, ..part }, Rectangle { left: at, width: part.width - width, ..part }]
        }
    }
}

pub(super) fn painted((rows, columns): (usize, usize), parts: &[Part]) -> Vec<f64> {
    let mut places = vec![0.0; rows * columns];
    for part in parts {
        part.rectangle.rows(columns, |row| places[row].fill(part.value));
    }
    places
}

/// Sets what is small to 0.
pub(super) fn cut_off(places: &mut [f64]) {
    let mut sizes: Vec<f64> = places.iter().map(|place| place.abs()).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let least = quantile(&sizes, KEPT_FROM);
    places.iter_mut().filter(|place| place.abs() < least).for_each(|place| *place = 0.0);
}
