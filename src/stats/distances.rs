//! Distances of every row to every other, a block of rows at a time: a corpus of 10,000 has 100
//! million of them, which are looked at and not kept.
//!
//! In: rows of numbers. Out: whatever is made of each row's distances, in the order of the rows. A
//! squared distance is
//! |a|² + |b|² - 2ab of the rows less their mean; that of equal rows is exactly 0. Blocks have a fixed size, so that
//! the result is the same for any number of threads.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis, s};
use rayon::prelude::*;

/// Rows of a block: its distances to 10,000 rows take 10 MB.
const BLOCK: usize = 128;

/// What `visit` makes of the squared Euclidean distances of each row, whose number it is given, to
/// all rows, itself included. The numbers must be finite.
pub(super) fn by_row<R: Send>(
    rows: &Array2<f64>,
    visit: impl Fn(usize, &[f64]) -> R + Sync,
) -> Vec<R> {
    let Some(mean) = rows.mean_axis(Axis(0)) else { return Vec::new() };
    let rows: Array2<f64> = rows - &mean;
    let starts: Vec<usize> = (0..rows.nrows()).step_by(BLOCK).collect();
    let block = |start: usize| rows.slice(s![start..(start + BLOCK).min(rows.nrows()), ..]);
    // By the same product as below: so that what is subtracted from itself leaves nothing.
    let squares = |&start: &usize| block(start).dot(&block(start).t()).diag().to_vec();
    let squares: Vec<Vec<f64>> = starts.par_iter().map(squares).collect();
    let squares = Array1::from(squares.concat());
    let visited = starts.into_par_iter().flat_map_iter(|start| {
        let block = block(start);
        // Row by row, whichever order the product by itself would have.
        let mut products = Array2::zeros((block.nrows(), rows.nrows()));
        general_mat_mul(1.0, &block, &rows.t(), 0.0, &mut products);
        let visited = products.outer_iter_mut().enumerate().map(|(row, mut products)| {
            let number = start + row;
            products.zip_mut_with(&squares, |product, square| {
                *product = (squares[number] + square - 2.0 * *product).max(0.0);
            });
            products[number] = 0.0;
            visit(number, products.as_slice().expect("a row of a matrix lies in one piece"))
        });
        visited.collect::<Vec<R>>()
    });
    visited.collect()
}

/// A neighbour of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RowNeighbour {
    /// Its number.
    pub row: usize,
    /// How far it is.
    pub distance: f64,
}

/// The `count` nearest of the rows at these squared distances but for the row `own`, the nearest
/// first; of equally near ones the first in their order.
pub(super) fn nearest(own: usize, squares: &[f64], count: usize) -> Vec<RowNeighbour> {
    let mut rows: Vec<usize> = (0..squares.len()).filter(|&row| row != own).collect();
    let nearer = |a: &usize, b: &usize| squares[*a].total_cmp(&squares[*b]).then(a.cmp(b));
    if count < rows.len() {
        rows.select_nth_unstable_by(count, nearer);
        rows.truncate(count);
    }
    rows.sort_unstable_by(nearer);
    rows.into_iter().map(|row| RowNeighbour { row, distance: squares[row].sqrt() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn distances_are_those_of_the_definition_whatever_the_threads() {
        let mut random = Random::new(1, 2);
        let rows = Array2::from_shape_fn((300, 7), |(row, _)| {
            // Twice the same row at either end.
            if row % 299 == 0 { 3.25 } else { random.uniform(-2.0, 9.0) }
        });
        let of_all = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| by_row(&rows, |_, squares| squares.to_vec()))
        };
        let found = of_all(1);
        assert!(found == of_all(3));
        assert_eq!(found[0][299], 0.0);
        for a in 0..300 {
            for b in 0..300 {
                let expected: f64 =
                    (0..7).map(|column| (rows[[a, column]] - rows[[b, column]]).powi(2)).sum();
                assert!((found[a][b] - expected).abs() < 1e-11, "{a} {b}");
            }
        }
    }

    #[test]
    fn rows_far_from_zero_keep_their_distances() {
        let mut random = Random::new(3, 4);
        let rows = Array2::from_shape_fn((9, 3), |_| 1e7 + random.uniform(-2.0, 9.0));
        let found = by_row(&rows, |_, squares| squares.to_vec());
        for (a, b) in (0..9).flat_map(|a| (0..9).map(move |b| (a, b))) {
            let difference = &rows.row(a) - &rows.row(b);
            assert!((found[a][b] - difference.dot(&difference)).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_come_first_and_of_equals_the_first() {
        let found = nearest(1, &[4.0, 0.0, 1.0, 4.0, 9.0], 3);
        assert_eq!(found.iter().map(|one| one.row).collect::<Vec<_>>(), [2, 0, 3]);
        assert_eq!(found[1].distance, 2.0);
        assert_eq!(nearest(0, &[0.0, 1.0], 5).len(), 1);
    }
}
