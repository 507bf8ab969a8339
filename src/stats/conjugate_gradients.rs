//! Conjugate gradients with a diagonal preconditioner (Hestenes and Stiefel 1952; Golub and Van
//! Loan, Matrix Computations, 4th edition, sections 11.3 and 11.5), for several right-hand sides at
//! once.
//!
//! In: a symmetric positive definite matrix that is known by its products alone, and N right-hand
//! sides beside each other, one number of each at every unknown. Out: the N solutions, likewise.
//! Sums run in the order of the unknowns. A step reads its vectors twice beside the product: they
//! are longer than a core's cache.

/// A symmetric positive definite matrix and a positive diagonal that is like it. Both work on N
/// vectors beside each other.
pub trait PositiveDefinite<const N: usize> {
    /// Writes the matrix times `x` into `product`, which is as long, and returns the N scalar
    /// products of the two.
    fn multiply(&self, x: &[[f64; N]], product: &mut [[f64; N]]) -> [f64; N];

    /// The numbers of an unknown divided by its entry of the diagonal.
    fn precondition(&self, unknown: usize, numbers: [f64; N]) -> [f64; N];
}

/// The solutions of `matrix` times x = `right`, from zero; `None` when after `most_steps` steps a
/// residual is still longer (2-norm) than `tolerance` times its right-hand side. In exact
/// arithmetic as many steps as there are unknowns are enough.
pub fn conjugate_gradients<const N: usize>(
    matrix: &impl PositiveDefinite<N>,
    right: &[[f64; N]],
    tolerance: f64,
    most_steps: usize,
) -> Option<Vec<[f64; N]>> {
    let zeros = || vec![[0.0; N]; right.len()];
    let (mut x, mut residual, mut product) = (zeros(), right.to_vec(), zeros());
    let preconditioned =
        |(unknown, numbers): (usize, &[f64; N])| matrix.precondition(unknown, *numbers);
    let mut direction: Vec<[f64; N]> = residual.iter().enumerate().map(preconditioned).collect();
    let (mut left, mut energy) = (dot(&residual, &residual), dot(&residual, &direction));
    let allowed = left.map(|square| square * tolerance * tolerance);
    for _ in 0..=most_steps {
        if left.iter().zip(&allowed).all(|(left, allowed)| left <= allowed) {
            return Some(x);
        }
        let step = ratio(energy, matrix.multiply(&direction, &mut product));
        let back = step.map(|step| -step);
        let before = energy;
        (left, energy) = ([0.0; N], [0.0; N]);
        let vectors = x.iter_mut().zip(&mut residual).zip(&direction).zip(&product);
        for (unknown, (((x, residual), direction), product)) in vectors.enumerate() {
            add(x, step, *direction);
            add(residual, back, *product);
            add(&mut left, *residual, *residual);
            add(&mut energy, *residual, matrix.precondition(unknown, *residual));
        }
        let kept = ratio(energy, before);
        for (unknown, (direction, residual)) in direction.iter_mut().zip(&residual).enumerate() {
            let mut next = matrix.precondition(unknown, *residual);
            add(&mut next, kept, *direction);
            *direction = next;
        }
    }
    None
}

/// Adds `factor` times `value` to `sum`, number by number.
fn add<const N: usize>(sum: &mut [f64; N], factor: [f64; N], value: [f64; N]) {
    for side in 0..N {
        sum[side] += factor[side] * value[side];
    }
}

/// The N scalar products.
pub(super) fn dot<const N: usize>(a: &[[f64; N]], b: &[[f64; N]]) -> [f64; N] {
    let mut sum = [0.0; N];
    for (a, b) in a.iter().zip(b) {
        add(&mut sum, *a, *b);
    }
    sum
}

/// The N quotients. That of a right-hand side which is solved, where both numbers vanish, is zero:
/// it stands still.
fn ratio<const N: usize>(above: [f64; N], below: [f64; N]) -> [f64; N] {
    std::array::from_fn(|side| if below[side] > 0.0 { above[side] / below[side] } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// B'B + 1, preconditioned by its diagonal.
    struct Dense(Vec<Vec<f64>>);

    impl Dense {
        fn new(b: &[Vec<f64>]) -> Self {
            let cell = |i: usize, j: usize| {
                b.iter().map(|row| row[i] * row[j]).sum::<f64>() + f64::from(u8::from(i == j))
            };
            Self((0..b.len()).map(|i| (0..b.len()).map(|j| cell(i, j)).collect()).collect())
        }
    }

    impl<const N: usize> PositiveDefinite<N> for Dense {
        fn multiply(&self, x: &[[f64; N]], product: &mut [[f64; N]]) -> [f64; N] {
            for (row, product) in self.0.iter().zip(&mut *product) {
                *product = [0.0; N];
                row.iter().zip(x).for_each(|(cell, x)| add(product, [*cell; N], *x));
            }
            dot(x, product)
        }

        fn precondition(&self, unknown: usize, numbers: [f64; N]) -> [f64; N] {
            numbers.map(|number| number / self.0[unknown][unknown])
        }
    }

    #[test]
    fn too_few_steps_have_no_solution_and_nothing_has_one() {
        let matrix = Dense::new(&[vec![1.0, 2.0, 0.5], vec![0.0, 1.0, 3.0], vec![2.0, 0.0, 1.0]]);
        let right = [[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]];
        assert_eq!(conjugate_gradients(&matrix, &right, 1e-9, 1), None);
        let found = conjugate_gradients(&matrix, &right, 1e-9, 20).unwrap();
        assert!(
            found.iter().all(|sides| sides[1] == 0.0),
            "a right-hand side of zeros has the solution zero"
        );
        assert_eq!(conjugate_gradients::<3>(&Dense(Vec::new()), &[], 1e-9, 20), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn the_equations_hold(
            b in (1_usize..7).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(-2.0_f64..2.0, n), n)),
            values in prop::collection::vec(prop::array::uniform2(-9.0_f64..9.0), 6),
        ) {
            let (matrix, right) = (Dense::new(&b), &values[..b.len()]);
            let found = conjugate_gradients(&matrix, right, 1e-9, 100).unwrap();
            let mut product = vec![[0.0; 2]; right.len()];
            matrix.multiply(&found, &mut product);
            for (product, right) in product.iter().zip(right) {
                for side in 0..2 {
                    prop_assert!((product[side] - right[side]).abs() < 1e-6, "{product:?} {right:?}");
                }
            }
        }
    }
}
