//! How well groups of rows are apart: silhouette (Rousseeuw 1987) and the accuracy of the nearest
//! neighbours' vote (Fix and Hodges 1951), both as scikit-learn defines them.
//!
//! In: rows of numbers, and the group of each. Out: a silhouette in `[-1, 1]`, and how many rows
//! are given the right group by their neighbours.

use super::distances::{RowNeighbour, by_row, nearest};
use super::proportion::Share;
use ndarray::Array2;

/// How well groups are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Separation {
    /// The mean over all rows of (b - a) / max(a, b), a being the mean distance to the others of
    /// the row's group and b that to the nearest other group; 0 for a row that is alone in its
    /// group.
    pub silhouette: f64,
    /// Rows that most of their nearest neighbours have the group of, each row being left out of its
    /// own vote. Of groups with as many votes the first wins.
    pub neighbours: Share,
}

/// How well `groups`, a number for each row, are apart, with a vote of `count` neighbours; fewer
/// where there are not so many. `None` where there are fewer than two groups, or every row is a
/// group of its own, or nobody votes.
///
/// # Panics
/// There are not as many groups as rows.
pub fn separation(rows: &Array2<f64>, groups: &[usize], count: usize) -> Option<Separation> {
    assert_eq!(rows.nrows(), groups.len(), "every row has its group");
    let mut sizes = vec![0_usize; groups.iter().max()? + 1];
    groups.iter().for_each(|&group| sizes[group] += 1);
    let occurring = sizes.iter().filter(|size| **size > 0).count();
    if occurring < 2 || occurring == rows.nrows() || count == 0 {
        return None;
    }
    let of_rows = by_row(rows, |row, squares| {
        let right = vote(&nearest(row, squares, count), groups, sizes.len()) == groups[row];
        (silhouette(row, squares, groups, &sizes), right)
    });
    let silhouette =
        of_rows.iter().map(|(silhouette, _)| silhouette).sum::<f64>() / rows.nrows() as f64;
    let right = of_rows.iter().filter(|(_, right)| *right).count();
    Some(Separation { silhouette, neighbours: Share::of(right as u64, rows.nrows() as u64)? })
}

/// The silhouette of a row from its squared distances.
fn silhouette(row: usize, squares: &[f64], groups: &[usize], sizes: &[usize]) -> f64 {
    let mut sums = vec![0.0; sizes.len()];
    squares.iter().zip(groups).for_each(|(square, &group)| sums[group] += square.sqrt());
    let own = groups[row];
    if sizes[own] == 1 {
        return 0.0;
    }
    let within = sums[own] / (sizes[own] - 1) as f64;
    let others = (0..sizes.len()).filter(|&group| group != own && sizes[group] > 0);
    let between =
        others.map(|group| sums[group] / sizes[group] as f64).fold(f64::INFINITY, f64::min);
    let larger = within.max(between);
    // All rows in question lie on one point.
    if larger > 0.0 { (between - within) / larger } else { 0.0 }
}

/// The group that most of the neighbours have.
fn vote(neighbours: &[RowNeighbour], groups: &[usize], number_of_groups: usize) -> usize {
    let mut votes = vec![0; number_of_groups];
    neighbours.iter().for_each(|neighbour| votes[groups[neighbour.row]] += 1);
    (0..number_of_groups)
        .fold(0, |best, group| if votes[group] > votes[best] { group } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let rows = Array2::from_shape_vec((4, 1), vec![0.0, 1.0, 4.0, 5.0]).unwrap();
        let found = separation(&rows, &[0, 0, 1, 1], 1).unwrap();
        // Distances within are 1; between, 4.5 at the outer rows and 3.5 at the inner ones.
        let expected = (2.0 * (3.5 / 4.5) + 2.0 * (2.5 / 3.5)) / 4.0;
        assert!((found.silhouette - expected).abs() < 1e-12, "{found:?}");
        assert_eq!((found.neighbours.hits, found.neighbours.cases), (4, 4));
        // A group that is alone counts 0, and nobody votes for it.
        let found = separation(&rows, &[0, 0, 0, 2], 3).unwrap();
        assert_eq!(found.neighbours.hits, 3);
    }

    #[test]
    fn what_has_no_separation() {
        let rows = Array2::from_shape_vec((3, 1), vec![0.0, 1.0, 4.0]).unwrap();
        assert_eq!(separation(&rows, &[1, 1, 1], 2), None, "one group");
        assert_eq!(separation(&rows, &[0, 1, 2], 2), None, "every row a group");
        assert_eq!(separation(&Array2::zeros((0, 1)), &[], 2), None);
        let same = separation(&Array2::zeros((4, 2)), &[0, 0, 1, 1], 2).unwrap();
        assert_eq!(same.silhouette, 0.0);
        let neighbours = [2, 1].map(|row| RowNeighbour { row, distance: 1.0 });
        assert_eq!(vote(&neighbours, &[0, 0, 1], 2), 0, "the first of those that are level");
    }
}
