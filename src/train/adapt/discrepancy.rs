//! How far two sets of features lie apart, as numbers that a gradient makes small.
//!
//! The discrepancy loss of Kumar & Raman is not published. Offered here, as our choice: the
//! multi-kernel maximum mean discrepancy (Gretton et al. 2012; Long et al. 2015) and CORAL (Sun &
//! Saenko 2016).

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// Which distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiscrepancyKind {
    /// The squared maximum mean discrepancy with five Gaussian kernels.
    #[default]
    Mmd,
    /// The squared distance of the covariances.
    Coral,
    /// None: what the network learns from labels alone, to compare with.
    None,
}

/// Bandwidths as multiples of the median squared distance.
const BANDWIDTHS: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// The squared distance below which features count as equal.
const LEAST_BANDWIDTH: f64 = 1e-12;

/// The unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, equation 3)
/// of the rows of `source` (n, features) and `target` (m, features), n and m at least 2: a single
/// number, around 0 where both are of one distribution, with gradients. The kernel is the mean of
/// exp(-d^2 / (b median)) over the bandwidths b; d^2 is the squared distance, its median is over
/// all pairs of rows of both and taken as a constant.
///
/// # Errors
/// No memory.
pub fn mmd(source: &Tensor, target: &Tensor) -> Result<Tensor, TchError> {
    let (n, m) = (source.size()[0], target.size()[0]);
    let rows = Tensor::f_cat(&[source, target], 0)?;
    // Distances do not change by it, but the differences of large squares below lose fewer digits.
    let rows =
        rows.f_sub(&rows.f_detach()?.f_mean_dim([0_i64].as_slice(), true, rows.kind())?)?;
    let squares = rows.f_square()?.f_sum_dim_intlist([1_i64].as_slice(), true, rows.kind())?;
    let products = rows.f_matmul(&rows.f_transpose(0, 1)?)?;
    let distances = squares
        .f_add(&squares.f_transpose(0, 1)?)?
        .f_sub(&products.f_mul_scalar(2.0)?)?
        .f_clamp_min(0.0)?;
    let median = median_of_pairs(&distances)?.max(LEAST_BANDWIDTH);
    let kernels = BANDWIDTHS.map(|bandwidth| distances.f_div_scalar(-bandwidth * median)?.f_exp());
    let kernels = kernels.into_iter().collect::<Result<Vec<_>, _>>()?;
    let kernel =
        Tensor::f_stack(&kernels, 0)?.f_mean_dim([0_i64].as_slice(), false, rows.kind())?;
    let within = |first: i64, count: i64| {
        let block = kernel.f_narrow(0, first, count)?.f_narrow(1, first, count)?;
        // A row's kernel with itself is no estimate of anything.
        block
            .f_sum(rows.kind())?
            .f_sub(&block.f_trace()?)?
            .f_div_scalar((count * (count - 1)) as f64)
    };
    let across = kernel.f_narrow(0, 0, n)?.f_narrow(1, n, m)?.f_mean(rows.kind())?;
    within(0, n)?.f_add(&within(n, m)?)?.f_sub(&across.f_mul_scalar(2.0)?)
}

/// The median over all pairs of two different rows, of an even number the lower one; without
/// gradients.
fn median_of_pairs(distances: &Tensor) -> Result<f64, TchError> {
    let _no_grad = tch::no_grad_guard();
    let count = distances.size()[0];
    let pairs = Tensor::f_triu_indices(count, count, 1, (Kind::Int64, distances.device()))?;
    let place = pairs.f_select(0, 0)?.f_mul_scalar(count)?.f_add(&pairs.f_select(0, 1)?)?;
    distances
        .f_detach()?
        .f_flatten(0, 1)?
        .f_index_select(0, &place)?
        .f_median()?
        .f_double_value(&[])
}

/// CORAL (Sun & Saenko 2016, equation 1): the squared Frobenius distance of the covariances of the
/// rows of `source` (n, features) and `target` (m, features), over four times the square of the
/// number of features; n and m at least 2.
///
/// # Errors
/// No memory.
pub fn coral(source: &Tensor, target: &Tensor) -> Result<Tensor, TchError> {
    let covariance = |rows: &Tensor| {
        let centred = rows.f_sub(&rows.f_mean_dim([0_i64].as_slice(), true, rows.kind())?)?;
        centred.f_transpose(0, 1)?.f_matmul(&centred)?.f_div_scalar((rows.size()[0] - 1) as f64)
    };
    let features = source.size()[1] as f64;
    let difference = covariance(source)?.f_sub(&covariance(target)?)?;
    difference.f_square()?.f_sum(source.kind())?.f_div_scalar(4.0 * features * features)
}

impl DiscrepancyKind {
    /// The distance of the rows of both, a single number; `None` without a distance, or where one
    /// has fewer than two rows.
    ///
    /// # Errors
    /// No memory.
    pub fn distance(self, source: &Tensor, target: &Tensor) -> Result<Option<Tensor>, TchError> {
        if source.size()[0] < 2 || target.size()[0] < 2 {
            return Ok(None);
        }
        match self {
            Self::Mmd => mmd(source, target).map(Some),
            Self::Coral => coral(source, target).map(Some),
            Self::None => Ok(None),
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mmd => "mmd",
            Self::Coral => "coral",
            Self::None => "none",
        }
    }
}
