//! BatchNorm (Ioffe & Szegedy 2015), which both networks have while they are trained.

use tch::nn::Path;
use tch::{TchError, Tensor};

/// Share of a batch in the running mean and variance: they remember about 30 batches.
const MOMENTUM: f64 = 0.03;

/// BatchNorm's factor and running statistics, one number a channel. What is added, beta, is the
/// convolution's bias.
#[derive(Debug)]
pub(super) struct Norm {
    pub scale: Tensor,
    pub mean: Tensor,
    pub variance: Tensor,
}

impl Norm {
    /// One that changes nothing, in the store at `path`.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn new(path: &Path<'_>, channels: i64) -> Result<Self, TchError> {
        Ok(Self {
            scale: path.f_ones("scale", &[channels])?,
            mean: path.f_zeros_no_train("mean", &[channels])?,
            variance: path.f_ones_no_train("variance", &[channels])?,
        })
    }

    /// Of `x` (N, channels, rows, columns); `epsilon` is added to the variance under the root.
    /// While `training`, the batch's own mean and variance are used and noted, else what was noted.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        bias: &Tensor,
        epsilon: f64,
        training: bool,
    ) -> Result<Tensor, TchError> {
        let (scale, mean, variance) = (Some(&self.scale), Some(&self.mean), Some(&self.variance));
        x.f_batch_norm(scale, Some(bias), mean, variance, training, MOMENTUM, epsilon, true)
    }
}
