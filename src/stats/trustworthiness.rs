//! Whether an embedding can be trusted: whether those that are near in the picture are near in the
//! data (Venna and Kaski 2001; van der Maaten 2009), as scikit-learn defines it.
//!
//! In: rows of numbers, and embeddings of them. Out: a number in `[0, 1]` for each embedding, 1
//! where all neighbours in it are neighbours in the data too.

use super::distances::{by_row, nearest};
use ndarray::Array2;

/// The trustworthiness of each embedding of `rows` by `count` neighbours: 1 less the sum, over rows
/// and their neighbours in the embedding, of how many places beyond `count` the neighbour has in
/// the order of distances in the data, as a share of the largest such sum. `None` when `count` is 0
/// or not below half the number of rows.
///
/// # Panics
/// An embedding has not as many rows.
pub fn trustworthiness(
    rows: &Array2<f64>,
    embeddings: &[&Array2<f64>],
    count: usize,
) -> Option<Vec<f64>> {
    let n = rows.nrows();
    if count == 0 || 2 * count >= n {
        return None;
    }
    let near = |embedding: &&Array2<f64>| {
        assert_eq!(embedding.nrows(), n, "every row is embedded");
        by_row(embedding, |row, squares| nearest(row, squares, count))
    };
    let near: Vec<_> = embeddings.iter().map(near).collect();
    let of_rows = by_row(rows, |row, squares| {
        let beyond = |neighbour: usize| {
            let square = squares[neighbour];
            let closer = |other: usize| {
                squares[other] < square || (squares[other] == square && other < neighbour)
            };
            // Counted from 1, without the row itself.
            let place = 1 + (0..n).filter(|&other| other != row && closer(other)).count();
            place.saturating_sub(count)
        };
        near.iter()
            .map(|near| near[row].iter().map(|one| beyond(one.row)).sum())
            .collect::<Vec<usize>>()
    });
    let (n, k) = (n as f64, count as f64);
    let sum =
        |embedding: usize| of_rows.iter().map(|places| places[embedding]).sum::<usize>() as f64;
    Some(
        (0..embeddings.len())
            .map(|embedding| 1.0 - 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)) * sum(embedding))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_data_itself_is_trusted_and_chance_is_not() {
        let mut random = Random::new(4, 0);
        let rows = Array2::from_shape_fn((60, 3), |_| random.uniform(0.0, 1.0));
        let noise = Array2::from_shape_fn((60, 2), |_| random.uniform(0.0, 1.0));
        let found = trustworthiness(&rows, &[&rows, &noise], 5).unwrap();
        assert_eq!(found[0], 1.0);
        assert!((found[1] - 0.5).abs() < 0.15, "{found:?}");
    }

    #[test]
    fn by_hand() {
        let rows = Array2::from_shape_vec((4, 1), vec![0.0, 1.0, -1.0, 10.0]).unwrap();
        let embedding = Array2::from_shape_vec((4, 1), vec![0.0, 3.0, 0.1, 10.0]).unwrap();
        // The nearest in the embedding are rows 2, 2, 0 and 1; in the data row 2 is the second of
        // row 0, after row 1 which is as near, and the second of row 1.
        let found = trustworthiness(&rows, &[&embedding], 1).unwrap()[0];
        assert_eq!(found, 1.0 - 2.0 / (4.0 * (8.0 - 3.0 - 1.0)) * 2.0);
    }

    #[test]
    fn too_many_neighbours_have_no_trust() {
        let rows = Array2::zeros((10, 2));
        assert_eq!(trustworthiness(&rows, &[&rows], 5), None);
        assert_eq!(trustworthiness(&rows, &[&rows], 0), None);
    }
}
