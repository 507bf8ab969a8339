//! Eigenvalues and eigenvectors of symmetric tridiagonal matrices, by the QL algorithm with
//! implicit shifts (Bowdler, Martin, Reinsch, Wilkinson 1968; Golub and Van Loan, Matrix
//! Computations, 4th edition, section 8.3).
//!
//! In: diagonal and subdiagonal. Out: eigenvalues, the largest first, each with its eigenvector.

use ndarray::Array2;

/// QL steps for one eigenvalue; two or three are usual.
const STEPS: usize = 60;

/// Eigenvalues, the largest first, and in the rows of a matrix their eigenvectors of length 1, of
/// the matrix with this diagonal and the numbers `below` it; `None` when an eigenvalue is not
/// found, which happens only where a number is not finite.
///
/// # Panics
/// `below` has not one number fewer than `diagonal`.
pub(super) fn eigenvectors(diagonal: &[f64], below: &[f64]) -> Option<(Vec<f64>, Array2<f64>)> {
    let size = diagonal.len();
    assert_eq!(below.len() + 1, size, "one number fewer below the diagonal");
    let (mut values, mut off) = (diagonal.to_vec(), below.to_vec());
    off.push(0.0);
    let mut vectors = Array2::<f64>::eye(size);
    for first in 0..size {
        for step in 0.. {
            let last = end_of_block(&values, &off, first);
            if last == first {
                break;
            }
            if step == STEPS {
                return None;
            }
            ql_step(&mut values, &mut off, &mut vectors, first, last);
        }
    }
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let sorted = order.iter().map(|&number| values[number]).collect();
    Some((sorted, vectors.select(ndarray::Axis(0), &order)))
}

/// The last row of the block that begins at `first` and ends where the subdiagonal vanishes.
fn end_of_block(values: &[f64], off: &[f64], first: usize) -> usize {
    let vanishes = |row: &usize| {
        let size = values[*row].abs() + values[row + 1].abs();
        off[*row].abs() <= f64::EPSILON * size
    };
    (first..values.len() - 1).find(vanishes).unwrap_or(values.len() - 1)
}

/// One implicit QL step on the block from `first` to `last`; `vectors` holds the eigenvectors in
/// its rows.
fn ql_step(
    values: &mut [f64],
    off: &mut [f64],
    vectors: &mut Array2<f64>,
    first: usize,
    last: usize,
) {
    // Wilkinson's shift.
    let half = (values[first + 1] - values[first]) / (2.0 * off[first]);
    let shift = values[first] - off[first] / (half + 1.0_f64.hypot(half).copysign(half));
    let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
    let mut g = values[last] - shift;
    for row in (first..last).rev() {
        let (f, b) = (sine * off[row], cosine * off[row]);
        let length = f.hypot(g);
        off[row + 1] = length;
        if length == 0.0 {
            // The block falls apart here: what is left of it is a step of its own.
            values[row + 1] -= moved;
            off[last] = 0.0;
            return;
        }
        (sine, cosine) = (f / length, g / length);
        g = values[row + 1] - moved;
        let turned = (values[row] - g) * sine + 2.0 * cosine * b;
        moved = sine * turned;
        values[row + 1] = g + moved;
        g = cosine * turned - b;
        let (mut upper, mut lower) =
            vectors.multi_slice_mut((ndarray::s![row, ..], ndarray::s![row + 1, ..]));
        for (upper, lower) in upper.iter_mut().zip(&mut lower) {
            (*upper, *lower) = (cosine * *upper - sine * *lower, sine * *upper + cosine * *lower);
        }
    }
    values[first] -= moved;
    off[first] = g;
    off[last] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        // [[2, 1], [1, 2]]: 3 and 1.
        let (values, vectors) = eigenvectors(&[2.0, 2.0], &[1.0]).unwrap();
        assert!((values[0] - 3.0).abs() < 1e-14 && (values[1] - 1.0).abs() < 1e-14, "{values:?}");
        assert!((vectors[[0, 0]] - vectors[[0, 1]]).abs() < 1e-14, "{vectors}");
        assert_eq!(eigenvectors(&[5.0], &[]).unwrap().0, [5.0]);
        assert!(eigenvectors(&[1.0, f64::NAN], &[0.5]).is_none());
    }

    proptest! {
        #[test]
        fn the_matrix_times_a_vector_is_the_vector_times_its_value(
            diagonal in prop::collection::vec(-3.0_f64..3.0, 1..12), below in prop::collection::vec(-2.0_f64..2.0, 11),
            zero in 0..11_usize,
        ) {
            let size = diagonal.len();
            let mut below = below[..size - 1].to_vec();
            if let Some(cell) = below.get_mut(zero) {
                *cell = 0.0;
            }
            let (values, vectors) = eigenvectors(&diagonal, &below).unwrap();
            prop_assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
            for (value, vector) in values.iter().zip(vectors.outer_iter()) {
                prop_assert!((vector.dot(&vector) - 1.0).abs() < 1e-12);
                for row in 0..size {
                    let mut product = diagonal[row] * vector[row];
                    if row > 0 {
                        product += below[row - 1] * vector[row - 1];
                    }
                    if row + 1 < size {
                        product += below[row] * vector[row + 1];
                    }
                    prop_assert!((product - value * vector[row]).abs() < 1e-11);
                }
            }
        }
    }
}
