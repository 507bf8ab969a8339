//! Logistic regression for two classes with an l2 penalty, in scikit-learn's convention (its
//! `LogisticRegression`), by Newton's method whose steps are solved by conjugate gradients (Nocedal
//! and Wright 2006, algorithm 7.1).
//!
//! In: n rows of numbers, and which of them are of the positive class. Out: one weight a column and
//! an intercept. Sums run in the order of the rows.

use super::conjugate_gradients::{PositiveDefinite, conjugate_gradients, dot};
use ndarray::{Array1, Array2, ArrayView1};

/// The largest number of Newton steps.
const STEPS: usize = 100;

/// The descent ends when no side of the gradient is longer than this share of the number of rows.
const TOLERANCE: f64 = 1e-9;

/// How exactly a Newton step is solved, as a share of the gradient's length.
const STEP_TOLERANCE: f64 = 1e-3;

/// The largest number of conjugate gradients in a step. Fewer than there are unknowns do, because
/// the penalty bounds the least curvature.
const CONJUGATE_STEPS: usize = 2_000;

/// What the decrease of a step must be at least, as a share of what the gradient promises (Armijo).
const LEAST_DECREASE: f64 = 1e-4;

/// Step lengths that are tried: 1, 1/2, 1/4, ...
const HALVINGS: usize = 30;

/// A hyperplane between two classes.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticModel {
    /// One a column.
    pub weights: Array1<f64>,
    /// Where the plane lies.
    pub intercept: f64,
}

impl LogisticModel {
    /// The logarithm of the odds that a row is of the positive class.
    pub fn log_odds(&self, row: &ArrayView1<'_, f64>) -> f64 {
        self.weights.dot(row) + self.intercept
    }
}

/// The weights w and the intercept b that minimise |w|²/2 + `c` times the sum over the rows x of
/// log(1 + exp(-s (w x + b))), where s is 1 for a row of the positive class and -1 for the others;
/// a larger `c` is a smaller penalty. The intercept is not penalised. The rows should be of about
/// the same scale in all columns.
///
/// # Panics
/// There are not as many rows as classes, or a number is not finite.
pub fn logistic_regression(rows: &Array2<f64>, positive: &[bool], c: f64) -> LogisticModel {
    assert_eq!(rows.nrows(), positive.len(), "every row has its class");
    assert!(rows.iter().all(|value| value.is_finite()), "every number is finite");
    let problem = Problem { rows, positive, c };
    let mut unknowns = Array1::zeros(rows.ncols() + 1);
    let mut margins = Array1::zeros(rows.nrows());
    let mut loss = problem.loss(&unknowns, &margins);
    for _ in 0..STEPS {
        let gradient = problem.gradient(&unknowns, &margins);
        if gradient.iter().all(|side| side.abs() <= TOLERANCE * c * rows.nrows() as f64) {
            break;
        }
        let Some(direction) = problem.newton_direction(&margins, &gradient) else { break };
        let along = problem.margins(&direction);
        let slope = gradient.dot(&direction);
        let mut length = 1.0;
        let shorter = (0..HALVINGS).find_map(|_| {
            let tried = (&unknowns + &(length * &direction), &margins + &(length * &along));
            let lower = problem.loss(&tried.0, &tried.1);
            let enough = lower <= loss + LEAST_DECREASE * length * slope && lower < loss;
            length /= 2.0;
            enough.then_some((tried, lower))
        });
        // No step is lower: the minimum is reached as nearly as f64 can tell.
        let Some(((further, its_margins), lower)) = shorter else { break };
        (unknowns, margins, loss) = (further, its_margins, lower);
    }
    let intercept = unknowns[rows.ncols()];
    LogisticModel { weights: unknowns.slice(ndarray::s![..rows.ncols()]).to_owned(), intercept }
}

/// What is minimised. Its unknowns are the weights, then the intercept.
struct Problem<'a> {
    rows: &'a Array2<f64>,
    positive: &'a [bool],
    c: f64,
}

impl Problem<'_> {
    /// w x + b of every row.
    fn margins(&self, unknowns: &Array1<f64>) -> Array1<f64> {
        let columns = self.rows.ncols();
        self.rows.dot(&unknowns.slice(ndarray::s![..columns])) + unknowns[columns]
    }

    fn loss(&self, unknowns: &Array1<f64>, margins: &Array1<f64>) -> f64 {
        let weights = unknowns.slice(ndarray::s![..self.rows.ncols()]);
        let signed = margins
            .iter()
            .zip(self.positive)
            .map(|(margin, &positive)| if positive { *margin } else { -margin });
        // log(1 + exp(-z)) that does not overflow.
        let losses: f64 =
            signed.map(|margin| (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)).sum();
        0.5 * weights.dot(&weights) + self.c * losses
    }

    fn gradient(&self, unknowns: &Array1<f64>, margins: &Array1<f64>) -> Array1<f64> {
        let columns = self.rows.ncols();
        let residuals = margins.iter().zip(self.positive).map(|(&margin, &positive)| {
            // The probability of the positive class, less what it should be.
            sigmoid(margin) - f64::from(u8::from(positive))
        });
        let residuals: Array1<f64> = residuals.map(|residual| self.c * residual).collect();
        let mut gradient = unknowns.clone();
        gradient[columns] = 0.0;
        add_rows(self.rows, &residuals, &mut gradient);
        gradient
    }

    /// The step to the minimum of the parabola that fits the loss here; `None` when rounding keeps
    /// it from being found.
    fn newton_direction(
        &self,
        margins: &Array1<f64>,
        gradient: &Array1<f64>,
    ) -> Option<Array1<f64>> {
        let curvatures: Array1<f64> =
            margins.iter().map(|&margin| self.c * sigmoid(margin) * sigmoid(-margin)).collect();
        let columns = self.rows.ncols();
        let mut diagonal = vec![1.0; columns + 1];
        // The least that keeps it positive where all rows are far from the plane.
        diagonal[columns] = curvatures.sum().max(f64::MIN_POSITIVE.sqrt());
        for (row, curvature) in self.rows.outer_iter().zip(&curvatures) {
            diagonal
                .iter_mut()
                .zip(row)
                .for_each(|(side, value)| *side += curvature * value * value);
        }
        let hessian = Hessian { rows: self.rows, curvatures, diagonal };
        let right: Vec<[f64; 1]> = gradient.iter().map(|side| [-side]).collect();
        let step = conjugate_gradients(&hessian, &right, STEP_TOLERANCE, CONJUGATE_STEPS)?;
        Some(step.into_iter().map(|[side]| side).collect())
    }
}

/// The matrix of second derivatives.
struct Hessian<'a> {
    rows: &'a Array2<f64>,
    /// Of every row's loss by its margin.
    curvatures: Array1<f64>,
    /// Its diagonal, which preconditions it.
    diagonal: Vec<f64>,
}

impl PositiveDefinite<1> for Hessian<'_> {
    fn multiply(&self, x: &[[f64; 1]], product: &mut [[f64; 1]]) -> [f64; 1] {
        let columns = self.rows.ncols();
        let weights: Array1<f64> = x[..columns].iter().map(|[side]| *side).collect();
        let margins = self.rows.dot(&weights) + x[columns][0];
        let mut sides = Array1::zeros(columns + 1);
        sides.slice_mut(ndarray::s![..columns]).assign(&weights);
        add_rows(self.rows, &(margins * &self.curvatures), &mut sides);
        product.iter_mut().zip(sides).for_each(|(product, side)| *product = [side]);
        dot(x, product)
    }

    fn precondition(&self, side: usize, [number]: [f64; 1]) -> [f64; 1] {
        [number / self.diagonal[side]]
    }
}

/// Adds every row times its factor to `sums`, and the factor itself to the last of these, the
/// intercept's.
fn add_rows(rows: &Array2<f64>, factors: &Array1<f64>, sums: &mut Array1<f64>) {
    let columns = rows.ncols();
    for (row, &factor) in rows.outer_iter().zip(factors) {
        sums.slice_mut(ndarray::s![..columns]).scaled_add(factor, &row);
        sums[columns] += factor;
    }
}

fn sigmoid(margin: f64) -> f64 {
    1.0 / (1.0 + (-margin).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use proptest::prelude::*;

    #[test]
    fn log_odds_by_hand() {
        let model = LogisticModel { weights: ndarray::arr1(&[2.0, -1.0]), intercept: 0.25 };
        let row = ndarray::arr1(&[1.5, 4.0]);
        assert_eq!(model.log_odds(&row.view()), -0.75);
    }

    #[test]
    fn one_column_by_hand() {
        // Two rows at -1 and 1: by symmetry b = 0, and w = 2 / (1 + exp(w)), the root of which is
        // 0.4010581375.
        let rows = Array2::from_shape_vec((2, 1), vec![-1.0, 1.0]).unwrap();
        let model = logistic_regression(&rows, &[false, true], 1.0);
        let w = model.weights[0];
        assert!(
            (w - 2.0 / (1.0 + w.exp())).abs() < 1e-9 && model.intercept.abs() < 1e-12,
            "{model:?}"
        );
    }

    #[test]
    fn rows_that_are_all_alike_and_classes_far_apart_have_a_plane_too() {
        let same = Array2::from_elem((6, 3), 0.0);
        let model = logistic_regression(&same, &[true, true, true, true, false, false], 1.0);
        assert!((model.intercept - 2.0_f64.ln()).abs() < 1e-6, "the odds are 4 to 2: {model:?}");
        let rows =
            Array2::from_shape_fn(
                (40, 2),
                |(row, column)| if row < 20 { -50.0 } else { 50.0 + column as f64 },
            );
        let positive: Vec<bool> = (0..40).map(|row| row >= 20).collect();
        let model = logistic_regression(&rows, &positive, 1.0);
        let right = |row: usize| (model.log_odds(&rows.row(row)) > 0.0) == positive[row];
        assert!((0..40).all(right));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_direction_leads_down_from_the_minimum(seed in any::<u64>(), count in 4..40_usize, columns in 1..6_usize) {
            let mut random = Random::new(seed, 0);
            let rows = Array2::from_shape_fn((count, columns), |_| random.uniform(-2.0, 2.0));
            let positive: Vec<bool> = (0..count).map(|row| row == 0 || (row != 1 && random.below(2) == 0)).collect();
            let model = logistic_regression(&rows, &positive, 1.0);
            let problem = Problem { rows: &rows, positive: &positive, c: 1.0 };
            let mut unknowns = model.weights.to_vec();
            unknowns.push(model.intercept);
            let unknowns = Array1::from(unknowns);
            let gradient = problem.gradient(&unknowns, &problem.margins(&unknowns));
            prop_assert!(gradient.iter().all(|side| side.abs() < 1e-6), "{gradient}");
        }
    }
}
