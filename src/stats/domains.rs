//! How far apart two domains lie: whether a linear classifier tells the features of one from those
//! of the other.
//!
//! In: features of pictures of two domains, one row a picture. Out: the classifier's accuracy on
//! pictures that it was not fitted to, 1/2 where it cannot tell them apart and 1 where it can. From
//! it follows the proxy A-distance (Ben-David, Blitzer, Crammer, Pereira 2007), by which methods of
//! domain adaptation are compared. Beside it the distance of the means.

use super::logistic::logistic_regression;
use super::proportion::Share;
use crate::random::Random;
use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;

/// Parts of the cross-validation.
const FOLDS: usize = 5;

/// Most rows of a domain that are looked at: the interval of the accuracy then reaches 0.015 to
/// each side at most, and a look takes seconds, whatever the size of the corpus.
const MOST_ROWS: usize = 2_000;

/// scikit-learn's default for the weight of the rows against the penalty.
const C: f64 = 1.0;

/// How often a linear classifier says rightly whether features are of the source or of the target,
/// by cross-validation in five parts: every row is judged by a classifier that was fitted to the
/// other four. `None` when a domain has fewer than five rows, the two have different numbers of
/// columns, or a number is not finite.
///
/// As many rows of each domain are looked at, so that 1/2 is chance: the fewer of the two, at most
/// 2,000, drawn by `seed`. The classifier is a logistic regression (scikit-learn's penalty, C = 1)
/// on columns brought to mean 0 and variance 1 over the rows it is fitted to. The same rows and
/// seed give the same answer for any number of threads.
pub fn domain_accuracy(source: &Array2<f32>, target: &Array2<f32>, seed: u64) -> Option<Share> {
    let count = source.nrows().min(target.nrows()).min(MOST_ROWS);
    let finite = |rows: &Array2<f32>| rows.iter().all(|value| value.is_finite());
    if count < FOLDS || source.ncols() != target.ncols() || !finite(source) || !finite(target) {
        return None;
    }
    let [source, target] =
        [(source, "source"), (target, "target")].map(|(rows, name)| drawn(rows, count, seed, name));
    let hits = (0..FOLDS).into_par_iter().map(|fold| hits_of_fold(&source, &target, fold)).sum();
    Share::of(hits, 2 * count as u64)
}

/// 2 (1 - 2 error) of a classifier that tells two domains apart with this accuracy: 0 where it is
/// no better than chance, 2 where it errs never. Chance may bring it a little below 0.
pub fn proxy_a_distance(accuracy: f64) -> f64 {
    2.0 * (1.0 - 2.0 * (1.0 - accuracy))
}

/// How far apart the means of two domains lie, in units of the standard deviation within them (the
/// root of the variance summed over the columns, a mean of both domains): the root of the unbiased
/// estimate of the squared distance, 0 where that is below 0. `None` when a domain has fewer than
/// two rows, the two have different numbers of columns or none, a number is not finite, or nothing
/// varies within the domains.
///
/// It is what maximum mean discrepancy measures with a linear kernel, and has no bandwidth to
/// choose: beside the classifier's accuracy, which ends at 1, it says how far apart two domains are
/// that are wholly apart.
pub fn mean_distance(source: &Array2<f32>, target: &Array2<f32>) -> Option<f64> {
    if source.ncols() != target.ncols() || source.nrows().min(target.nrows()) < 2 {
        return None;
    }
    // Of each domain the mean, and the sum over columns of the variance.
    let [(mean_a, variance_a), (mean_b, variance_b)] = [source, target].map(|rows| {
        let rows = rows.mapv(f64::from);
        let mean = rows.mean_axis(Axis(0)).expect("there are rows");
        let square = |row: ArrayView1<'_, f64>| (&row - &mean).mapv(|value| value * value).sum();
        let squares: f64 = rows.outer_iter().map(square).sum();
        (mean, squares / (rows.nrows() - 1) as f64)
    });
    let between: f64 = (mean_a - mean_b).mapv(|value| value * value).sum();
    let unbiased =
        between - variance_a / source.nrows() as f64 - variance_b / target.nrows() as f64;
    let within = (variance_a + variance_b) / 2.0;
    let distance = (unbiased.max(0.0) / within).sqrt();
    distance.is_finite().then_some(distance)
}

/// `count` rows in an order drawn by `seed`, for the two domains independently.
fn drawn(rows: &Array2<f32>, count: usize, seed: u64, name: &str) -> Array2<f32> {
    let mut order: Vec<usize> = (0..rows.nrows()).collect();
    Random::of_text(seed, &format!("rows of the {name} domain")).shuffle(&mut order);
    rows.select(Axis(0), &order[..count])
}

/// Rows of part `fold` (every fifth) that a classifier fitted to the other parts judges rightly.
fn hits_of_fold(source: &Array2<f32>, target: &Array2<f32>, fold: usize) -> u64 {
    let (held_out, fitted): (Vec<usize>, Vec<usize>) =
        (0..source.nrows()).partition(|row| row % FOLDS == fold);
    let stacked = |rows: &[usize]| {
        let parts = [source, target].map(|domain| domain.select(Axis(0), rows));
        ndarray::concatenate![Axis(0), parts[0], parts[1]].mapv(f64::from)
    };
    let is_target =
        |rows: &[usize]| (0..2 * rows.len()).map(|row| row >= rows.len()).collect::<Vec<bool>>();
    let (mut fitted_rows, mut held_out_rows) = (stacked(&fitted), stacked(&held_out));
    let scale = ColumnScale::of(&fitted_rows);
    scale.apply(&mut fitted_rows);
    scale.apply(&mut held_out_rows);
    let model = logistic_regression(&fitted_rows, &is_target(&fitted), C);
    let right = |(row, is_target): (_, bool)| (model.log_odds(&row) > 0.0) == is_target;
    held_out_rows
        .outer_iter()
        .zip(is_target(&held_out))
        .filter(|(row, of)| right((*row, *of)))
        .count() as u64
}

/// How columns are brought to mean 0 and variance 1.
struct ColumnScale {
    mean: Array1<f64>,
    deviation: Array1<f64>,
}

impl ColumnScale {
    fn of(rows: &Array2<f64>) -> Self {
        let count = rows.nrows() as f64;
        let mean = rows.sum_axis(Axis(0)) / count;
        let mut squares = Array1::<f64>::zeros(rows.ncols());
        for row in rows.outer_iter() {
            squares
                .iter_mut()
                .zip(row)
                .zip(&mean)
                .for_each(|((sum, value), mean)| *sum += (value - mean).powi(2));
        }
        // A column that is constant but for rounding says nothing, and is divided by nothing.
        let deviation = squares.iter().zip(&mean).map(|(square, mean)| {
            let deviation = (square / count).sqrt();
            if deviation > 1e-9 * mean.abs() { deviation } else { f64::INFINITY }
        });
        let deviation = deviation.collect();
        Self { mean, deviation }
    }

    fn apply(&self, rows: &mut Array2<f64>) {
        for mut row in rows.outer_iter_mut() {
            row -= &self.mean;
            row /= &self.deviation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(count: usize, columns: usize, shift: f64, seed: u64) -> Array2<f32> {
        let mut random = Random::new(seed, 7);
        Array2::from_shape_fn((count, columns), |(_, column)| {
            let shift = if column == 0 { shift } else { 0.0 };
            (random.spread(4, 0.5).iter().sum::<f64>() + shift) as f32
        })
    }

    #[test]
    fn one_cloud_is_one_domain_and_two_far_apart_are_two() {
        let source = cloud(150, 6, 0.0, 1);
        let same = domain_accuracy(&source, &cloud(400, 6, 0.0, 2), 1).unwrap();
        assert_eq!(same.cases, 300, "as many of each");
        assert!(same.interval.0 < 0.55 && same.interval.1 > 0.45, "{same:?}");
        let apart = domain_accuracy(&source, &cloud(150, 6, 12.0, 2), 1).unwrap();
        assert_eq!(apart.hits, apart.cases);
        assert_eq!(proxy_a_distance(apart.share), 2.0);
        assert_eq!(proxy_a_distance(0.5), 0.0);
    }

    #[test]
    fn threads_do_not_change_it() {
        let (source, target) = (cloud(90, 20, 0.0, 3), cloud(80, 20, 0.7, 4));
        let computed = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| domain_accuracy(&source, &target, 5))
        };
        assert_eq!(computed(1), computed(3));
    }

    #[test]
    fn columns_are_brought_to_mean_0_and_variance_1() {
        // The second and fourth are constant, the last but for what may be rounding.
        let mut rows = ndarray::arr2(&[
            [1.0, 7.0, -2.0, 0.0, 1e9],
            [3.0, 7.0, 0.0, 0.0, 1e9],
            [8.0, 7.0, 5.0, 0.0, 1e9 + 0.5],
        ]);
        ColumnScale::of(&rows).apply(&mut rows);
        for (column, variance) in [1.0, 0.0, 1.0, 0.0, 0.0].into_iter().enumerate() {
            let values = rows.column(column);
            approx::assert_abs_diff_eq!(values.sum(), 0.0, epsilon = 1e-12);
            approx::assert_abs_diff_eq!(values.dot(&values) / 3.0, variance, epsilon = 1e-12);
        }
    }

    #[test]
    fn constant_columns_say_nothing() {
        let same = Array2::from_elem((20, 4), 0.1_f32);
        let share = domain_accuracy(&same, &same, 1).unwrap();
        assert_eq!(
            (share.hits, share.cases),
            (20, 40),
            "an answer that is always the same is right for one of the two"
        );
    }

    #[test]
    fn means_are_as_far_apart_as_they_were_put() {
        let (source, near) = (cloud(400, 3, 0.0, 1), cloud(300, 3, 0.0, 2));
        assert!(mean_distance(&source, &near).unwrap() < 0.15);
        // Each column has variance 1, so that the deviation within is the root of 3.
        let far = mean_distance(&source, &cloud(300, 3, 6.0, 2)).unwrap();
        assert!((far - 6.0 / 3.0_f64.sqrt()).abs() < 0.2, "{far}");
        let same = Array2::from_elem((20, 4), 0.1_f32);
        assert_eq!(mean_distance(&same, &same), None);
    }

    #[test]
    fn a_distance_of_means_by_hand() {
        let source = ndarray::arr2(&[[0.0_f32, 1.0], [2.0, 3.0]]);
        let target = ndarray::arr2(&[[5.0_f32, 2.0], [5.0, 4.0], [8.0, 3.0]]);
        // Means (1, 2) and (6, 3), both variances 4: 26 between them, of which 4/2 and 4/3 are chance.
        let expected = ((26.0 - 2.0 - 4.0 / 3.0) / 4.0_f64).sqrt();
        approx::assert_abs_diff_eq!(
            mean_distance(&source, &target).unwrap(),
            expected,
            epsilon = 1e-12
        );
    }

    #[test]
    fn what_cannot_be_told_is_none() {
        let (rows, few, narrow) = (cloud(20, 4, 0.0, 1), cloud(4, 4, 0.0, 1), cloud(20, 3, 0.0, 1));
        let mut broken = rows.clone();
        broken[[3, 2]] = f32::NAN;
        for other in [&few, &narrow, &broken] {
            assert_eq!(domain_accuracy(&rows, other, 1), None);
        }
        assert_eq!(domain_accuracy(&rows, &cloud(5, 4, 0.0, 2), 1).unwrap().cases, 10);
        for other in [&narrow, &broken, &cloud(1, 4, 0.0, 2)] {
            assert_eq!(mean_distance(&rows, other), None);
        }
        assert!(mean_distance(&rows, &cloud(2, 4, 0.0, 2)).is_some());
    }
}
