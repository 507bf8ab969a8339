//! Linear regression with an l1 penalty by coordinate descent (Friedman, Hastie, Tibshirani 2010),
//! in scikit-learn's convention.
//!
//! In: n rows of numbers, what is to be predicted from each, and the rows' weights. Out: one
//! coefficient a column.

/// The largest number of passes over the coefficients.
const PASSES: usize = 10_000;

/// The descent ends when no coefficient moved by more than this share of the largest.
const TOLERANCE: f64 = 1e-9;

/// The coefficients b that minimise sum of w_i (y_i - b0 - x_i b)^2 / (2 n) + alpha |b|_1 with a
/// free intercept b0, the weights w scaled to sum to n. `x` is row by row (n, coefficients).
///
/// # Panics
/// When `y` is empty.
pub fn lasso<X: Copy + Into<f64>>(x: &[X], y: &[f64], weights: &[f64], alpha: f64) -> Vec<f64> {
    let n = y.len();
    let columns = x.len() / n;
    let total: f64 = weights.iter().sum();
    let weights: Vec<f64> = weights.iter().map(|weight| weight * n as f64 / total).collect();
    let roots: Vec<f64> = weights.iter().map(|weight| weight.sqrt()).collect();
    let centre = |values: &dyn Fn(usize) -> f64, centred: &mut [f64]| {
        let mean = (0..n).map(|i| weights[i] * values(i)).sum::<f64>() / n as f64;
        (0..).zip(&roots).zip(centred).for_each(|((i, root), to)| *to = (values(i) - mean) * root);
    };
    // Column by column, in one block of memory: many fits at a time must not wait for the
    // allocator.
    let (mut by_column, mut residual) = (vec![0.0; columns * n], vec![0.0; n]);
    for (column, centred) in by_column.chunks_exact_mut(n).enumerate() {
        centre(&|i| x[i * columns + column].into(), centred);
    }
    centre(&|i| y[i], &mut residual);
    let x = || by_column.chunks_exact(n);
    let norms: Vec<f64> = x().map(|column| column.iter().map(|v| v * v).sum()).collect();
    let mut coefficients = vec![0.0; columns];
    let penalty = alpha * n as f64;
    // Most coefficients are 0: between passes over all of them those that are not are followed
    // until they settle.
    let mut all = true;
    for _ in 0..PASSES {
        let (mut moved, mut largest) = (0.0_f64, 0.0_f64);
        for ((column, norm), coefficient) in x().zip(&norms).zip(&mut coefficients) {
            if *norm == 0.0 || !(all || *coefficient != 0.0) {
                continue;
            }
            let rho = dot(column, &residual) + norm * *coefficient;
            let new = (rho.abs() - penalty).max(0.0).copysign(rho) / norm;
            let step = new - *coefficient;
            if step != 0.0 {
                column.iter().zip(&mut residual).for_each(|(x, r)| *r -= step * x);
                *coefficient = new;
            }
            (moved, largest) = (moved.max(step.abs()), largest.max(new.abs()));
        }
        match moved <= TOLERANCE * largest {
            true if all => break,
            settled => all = settled,
        }
    }
    coefficients
}

/// The scalar product, in eight sums side by side, which the processor adds at once: one sum would
/// wait for each addition.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_a_penalty_an_exact_line_is_found() {
        // y = 3 + 2 a - b, and c is not used.
        let rows = [
            [0.0, 0.0, 1.0],
            [1.0, 0.0, 0.0],
            [0.0, 1.0, 1.0],
            [1.0, 1.0, 0.0],
            [0.0, 1.0, 0.0],
            [1.0, 0.0, 1.0],
        ];
        let y: Vec<f64> = rows.iter().map(|[a, b, _]| 3.0 + 2.0 * a - b).collect();
        let found = lasso(&rows.concat(), &y, &[1.0, 2.0, 3.0, 1.0, 1.0, 0.5], 0.0);
        for (found, wanted) in found.iter().zip([2.0, -1.0, 0.0]) {
            approx::assert_abs_diff_eq!(*found, wanted, epsilon = 1e-6);
        }
    }

    proptest! {
        /// The subgradient of the objective is zero (Karush-Kuhn-Tucker).
        #[test]
        fn the_solution_is_stationary(
            rows in prop::collection::vec((prop::collection::vec(0..2_u8, 5), -2.0..2.0_f64, 0.1..1.0_f64), 8..20),
        ) {
            let x: Vec<f32> = rows.iter().flat_map(|(x, ..)| x.iter().map(|&x| f32::from(x))).collect();
            let y: Vec<f64> = rows.iter().map(|row| row.1).collect();
            let w: Vec<f64> = rows.iter().map(|row| row.2).collect();
            let (alpha, n, total) = (0.05, rows.len() as f64, w.iter().sum::<f64>());
            let b = lasso(&x, &y, &w, alpha);
            let fit = |i: usize| (0..5).map(|k| b[k] * f64::from(x[5 * i + k])).sum::<f64>();
            let b0 = (0..rows.len()).map(|i| w[i] * (y[i] - fit(i))).sum::<f64>() / total;
            for k in 0..5 {
                let g: f64 = (0..rows.len())
                    .map(|i| w[i] / total * n * f64::from(x[5 * i + k]) * (y[i] - b0 - fit(i)) / n)
                    .sum();
                if b[k] == 0.0 {
                    prop_assert!(g.abs() <= alpha + 1e-6);
                } else {
                    prop_assert!((g - alpha.copysign(b[k])).abs() < 1e-5, "{g}");
                }
            }
        }
    }
}
