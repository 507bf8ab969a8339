//! Principal components (Pearson 1901; Jolliffe 2002), by Lanczos' method with full
//! reorthogonalisation (Golub and Van Loan, Matrix Computations, 4th edition, sections 10.1 and
//! 10.3).
//!
//! In: rows of numbers. Out: the directions of largest variance, the variance along each, and where
//! the rows lie on them. Only products with the rows are needed, so that a few components of many
//! columns cost little; in the worst case there are as many steps as columns, and the result is
//! exact. Sums run over blocks of rows of a fixed size in their order, so that it is the same for
//! any number of threads.

use super::tridiagonal::eigenvectors;
use crate::random::Random;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Rows of a block.
const BLOCK: usize = 256;

/// A component is found when what is left of its equation is at most this share of the largest
/// variance.
const TOLERANCE: f64 = 1e-12;

/// A variance below this share of the largest is rounding: there are no more components.
const NO_VARIANCE: f64 = 1e-13;

/// Seed of the vectors that Lanczos' method begins with; the result does not depend on it but for
/// rounding.
const SEED: u64 = 1;

/// Rows described by their components.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalComponents {
    /// One component a row, of length 1, in the order of their variances, the largest first. The
    /// sign is that for which the number that is largest without its sign is positive, as in
    /// scikit-learn.
    pub components: Array2<f64>,
    /// The variance along each component, with n - 1 in the denominator.
    pub variances: Vec<f64>,
    /// The variance along all components, also those that were not asked for.
    pub total_variance: f64,
    /// Where each row lies along each component (rows, components).
    pub scores: Array2<f64>,
}

impl PrincipalComponents {
    /// The share of all variance along component number `component`; `None` where there is no such
    /// component.
    pub fn explained(&self, component: usize) -> Option<f64> {
        self.variances.get(component).map(|variance| variance / self.total_variance)
    }
}

/// The first `count` components of `rows`, fewer where there are no more: rows that are all alike
/// have none. `None` when there are fewer than two rows or a number is not finite.
pub fn principal_components(rows: &Array2<f64>, count: usize) -> Option<PrincipalComponents> {
    if rows.nrows() < 2 || rows.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mean = rows.mean_axis(Axis(0)).expect("there are rows");
    let covariance = Covariance { centred: rows - &mean };
    let total_variance = covariance.total();
    let rounding = 1e-24 * mean.dot(&mean);
    let (variances, components) = match total_variance > rounding {
        true => covariance.largest(count)?,
        false => (Vec::new(), Array2::zeros((0, rows.ncols()))),
    };
    let scores = covariance.centred.dot(&components.t());
    Some(PrincipalComponents { components, variances, total_variance, scores })
}

/// The matrix of covariances of the columns, known by the centred rows.
struct Covariance {
    centred: Array2<f64>,
}

impl Covariance {
    /// The sum over blocks of rows, in their order, of what `part` makes of each.
    fn sum(&self, part: impl Fn(ArrayView2<'_, f64>) -> Array1<f64> + Sync + Send) -> Array1<f64> {
        let blocks: Vec<_> = self.centred.axis_chunks_iter(Axis(0), BLOCK).collect();
        let parts: Vec<Array1<f64>> = blocks.into_par_iter().map(part).collect();
        let degrees = (self.centred.nrows() - 1) as f64;
        let zeros = Array1::zeros(parts.first().map_or(0, Array1::len));
        parts.into_iter().fold(zeros, |sum, part| sum + part) / degrees
    }

    fn total(&self) -> f64 {
        self.sum(|block| Array1::from_elem(1, block.iter().map(|value| value * value).sum()))[0]
    }

    fn multiply(&self, vector: &Array1<f64>) -> Array1<f64> {
        self.sum(|block| {
            let mut product = Array1::zeros(block.ncols());
            block.outer_iter().for_each(|row| product.scaled_add(row.dot(vector), &row));
            product
        })
    }

    /// The `count` largest eigenvalues and, in rows, their eigenvectors; `None` when none is found.
    fn largest(&self, count: usize) -> Option<(Vec<f64>, Array2<f64>)> {
        let most = self.centred.ncols().min(self.centred.nrows() - 1);
        let count = count.min(most);
        let mut basis = Basis::default();
        let (mut diagonal, mut below): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
        let mut random = Random::new(SEED, 0);
        let mut next = basis.orthogonal(self.random_vector(&mut random));
        let mut check = 2 * count;
        while let Some(vector) = next.take() {
            let product = self.multiply(&vector);
            diagonal.push(vector.dot(&product));
            basis.vectors.push(vector);
            let steps = diagonal.len();
            let (left, length) = basis.without(product);
            let scale = diagonal.iter().copied().fold(0.0, f64::max);
            if steps == most {
                break;
            }
            if steps >= check {
                let (values, vectors) = eigenvectors(&diagonal, &below)?;
                let error = |number: usize| (length * vectors[[number, steps - 1]]).abs();
                if (0..count).all(|number| error(number) <= TOLERANCE * values[0]) {
                    break;
                }
                check = steps + (steps / 4).max(8);
            }
            if length > NO_VARIANCE * scale {
                below.push(length);
                next = Some(left / length);
            } else {
                // What has been found so far is closed: another vector may find what is left.
                next = basis.orthogonal(self.random_vector(&mut random));
                below.extend(next.iter().map(|_| 0.0));
            }
        }
        let (values, vectors) = eigenvectors(&diagonal, &below)?;
        let found =
            values.iter().take(count).take_while(|value| **value > NO_VARIANCE * values[0]).count();
        let components = vectors.slice(s![..found, ..]).dot(&basis.matrix());
        Some((values[..found].to_vec(), with_sign(components)))
    }

    /// A random combination of the rows: what is orthogonal to all rows has no variance and is not
    /// looked for.
    fn random_vector(&self, random: &mut Random) -> Array1<f64> {
        let factors = random.spread(self.centred.nrows(), 1.0);
        let mut sum = Array1::zeros(self.centred.ncols());
        self.centred
            .outer_iter()
            .zip(factors)
            .for_each(|(row, factor)| sum.scaled_add(factor, &row));
        sum
    }
}

/// Vectors of length 1 that are orthogonal to each other.
#[derive(Default)]
struct Basis {
    vectors: Vec<Array1<f64>>,
}

impl Basis {
    /// What is left of a vector when its parts along the basis are taken out, and its length. Once
    /// more takes out what rounding left (Giraud, Langou, Rozložník 2005: twice is enough).
    fn without(&self, mut vector: Array1<f64>) -> (Array1<f64>, f64) {
        for _ in 0..2 {
            for known in &self.vectors {
                let along = known.dot(&vector);
                vector.scaled_add(-along, known);
            }
        }
        let length = vector.dot(&vector).sqrt();
        (vector, length)
    }

    /// A vector of length 1 from what is left of another; `None` when that is rounding.
    fn orthogonal(&self, vector: Array1<f64>) -> Option<Array1<f64>> {
        let before = vector.dot(&vector).sqrt();
        let (left, length) = self.without(vector);
        (length > 1e-10 * before).then(|| left / length)
    }

    fn matrix(&self) -> Array2<f64> {
        let views: Vec<_> = self.vectors.iter().map(|vector| vector.view()).collect();
        ndarray::stack(Axis(0), &views).expect("all vectors have as many numbers")
    }
}

/// Rows of length 1 whose largest number, without its sign, is positive.
fn with_sign(mut components: Array2<f64>) -> Array2<f64> {
    for mut component in components.outer_iter_mut() {
        let largest = component
            .iter()
            .fold(0.0_f64, |best, value| if value.abs() > best.abs() { *value } else { best });
        let length = component.dot(&component).sqrt().copysign(largest);
        component /= length;
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn random_rows(seed: u64, rows: usize, columns: usize) -> Array2<f64> {
        let mut random = Random::new(seed, 3);
        Array2::from_shape_fn((rows, columns), |(_, column)| {
            random.uniform(-1.0, 1.0) * (1.0 + column as f64) + 5.0
        })
    }

    #[test]
    fn by_hand() {
        // Two points 2 apart along (3, 4): one component, variance 2.
        let rows = Array2::from_shape_vec((2, 2), vec![1.0, 1.0, 2.2, 2.6]).unwrap();
        let found = principal_components(&rows, 2).unwrap();
        assert_eq!(found.variances.len(), 1);
        assert!(
            (found.variances[0] - 2.0).abs() < 1e-12 && (found.total_variance - 2.0).abs() < 1e-12
        );
        assert!(
            (found.components[[0, 0]] - 0.6).abs() < 1e-12
                && (found.components[[0, 1]] - 0.8).abs() < 1e-12
        );
        assert!((found.scores[[1, 0]] - 1.0).abs() < 1e-12);
        assert_eq!(found.explained(0).map(|share| (share * 1e9).round()), Some(1e9));
        assert_eq!(found.explained(1), None);
    }

    #[test]
    fn rows_that_are_alike_have_no_component_and_broken_ones_no_answer() {
        let same = principal_components(&Array2::from_elem((5, 3), 0.1), 2).unwrap();
        assert_eq!((same.components.dim(), same.scores.dim()), ((0, 3), (5, 0)));
        assert!(principal_components(&Array2::zeros((1, 3)), 2).is_none());
        assert!(principal_components(&Array2::from_elem((4, 3), f64::NAN), 2).is_none());
    }

    #[test]
    fn equal_variances_are_all_found() {
        // Six points on the axes of space: three times the same variance, a single Krylov space of
        // dimension 1.
        let rows = Array2::from_shape_fn((6, 3), |(row, column)| match row / 2 == column {
            true if row % 2 == 0 => 1.0,
            true => -1.0,
            false => 0.0,
        });
        let found = principal_components(&rows, 3).unwrap();
        assert_eq!(found.variances.len(), 3);
        assert!(
            found.variances.iter().all(|variance| (variance - 0.4).abs() < 1e-12),
            "{:?}",
            found.variances
        );
    }

    #[test]
    fn the_first_components_of_many_are_those_of_all() {
        let rows = random_rows(5, 300, 60);
        let [few, all] = [2, 60].map(|count| principal_components(&rows, count).unwrap());
        assert_eq!((few.variances.len(), all.variances.len()), (2, 60));
        let sum: f64 = all.variances.iter().sum();
        assert!((sum - all.total_variance).abs() < 1e-9 * sum);
        for (found, expected) in few.variances.iter().zip(&all.variances) {
            assert!((found - expected).abs() < 1e-9 * expected, "{found}, of all {expected}");
        }
        for (found, expected) in few.components.iter().zip(&all.components) {
            assert!((found - expected).abs() < 1e-7, "{found}, of all {expected}");
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let rows = random_rows(9, 700, 40);
        let computed = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| principal_components(&rows, 5))
        };
        assert_eq!(computed(1), computed(3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn components_are_orthonormal_and_scores_uncorrelated_with_falling_variances(
            seed in any::<u64>(), rows in 2..40_usize, columns in 1..12_usize, count in 1..12_usize,
        ) {
            let data = random_rows(seed, rows, columns);
            let found = principal_components(&data, count).unwrap();
            let expected = count.min(columns).min(rows - 1);
            prop_assert_eq!(found.variances.len(), expected);
            prop_assert!(found.variances.windows(2).all(|pair| pair[0] >= pair[1]));
            prop_assert!(found.variances.iter().sum::<f64>() <= found.total_variance * (1.0 + 1e-9));
            let products = found.components.dot(&found.components.t());
            let covariances = found.scores.t().dot(&found.scores) / (rows - 1) as f64;
            for ((row, column), product) in products.indexed_iter() {
                let same = f64::from(u8::from(row == column));
                prop_assert!((product - same).abs() < 1e-9);
                let covariance = covariances[[row, column]] - same * found.variances[row];
                prop_assert!(covariance.abs() < 1e-8 * found.variances[0]);
            }
            for component in found.components.outer_iter() {
                let largest = component.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
                prop_assert!(largest > 0.0);
            }
        }
    }
}
