//! Layers of a plain feed-forward network as data, so that running, differentiating and explaining walk one list.

use tch::{Device, Kind, TchError, Tensor};

/// One layer; tensors are (N, channels, rows, columns) until [`Layer::Flatten`], (N, features) after it, f32.
#[derive(Debug)]
pub enum Layer {
    /// 2-d convolution with bias.
    Convolution {
        /// (out, in / groups, rows, columns)
        kernel: Tensor,
        /// (out)
        bias: Tensor,
        /// Step in both directions.
        stride: i64,
        /// Zeros on every side.
        padding: i64,
        /// Channel groups.
        groups: i64,
    },
    /// max(x, 0)
    Relu,
    /// x / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta: PyTorch's convention, in which alpha
    /// is divided by the size.
    LocalResponseNorm {
        /// Channels in the sum, an odd number.
        size: i64,
        /// Factor of the mean square.
        alpha: f64,
        /// Exponent.
        beta: f64,
        /// Constant term.
        k: f64,
    },
    /// Maximum over windows of `size` x `size`, without padding.
    MaxPool {
        /// Side of the window.
        size: i64,
        /// Step in both directions.
        stride: i64,
    },
    /// (N, channels, rows, columns) to (N, channels * rows * columns), in this order.
    Flatten,
    /// x W^T + b
    Linear {
        /// (out, in)
        weight: Tensor,
        /// (out)
        bias: Tensor,
    },
}

impl Layer {
    /// The same layer on `device`: its tensors are copied there, or shared where they are there already.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self, TchError> {
        Ok(match self {
            &Self::Convolution { ref kernel, ref bias, stride, padding, groups } => {
                let (kernel, bias) = (kernel.f_to_device(device)?, bias.f_to_device(device)?);
                Self::Convolution { kernel, bias, stride, padding, groups }
            }
            Self::Relu => Self::Relu,
            &Self::LocalResponseNorm { size, alpha, beta, k } => Self::LocalResponseNorm { size, alpha, beta, k },
            &Self::MaxPool { size, stride } => Self::MaxPool { size, stride },
            Self::Flatten => Self::Flatten,
            Self::Linear { weight, bias } => {
                Self::Linear { weight: weight.f_to_device(device)?, bias: bias.f_to_device(device)? }
            }
        })
    }

    /// The layer's output.
    ///
    /// # Errors
    /// Shapes that do not fit, or no memory.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Convolution { kernel, bias, stride, padding, groups } => {
                x.f_conv2d(kernel, Some(bias), *stride, *padding, 1, *groups)
            }
            Self::Relu => x.f_relu(),
            &Self::LocalResponseNorm { size, alpha, beta, k } => local_response_norm(x, size, alpha, beta, k),
            &Self::MaxPool { size, stride } => x.f_max_pool2d(size, stride, 0, 1, false),
            Self::Flatten => x.f_flatten(1, -1),
            Self::Linear { weight, bias } => x.f_linear(weight, Some(bias)),
        }
    }
}

/// `x` through `layers`, one after the other.
///
/// # Errors
/// As [`Layer::forward`].
pub fn forward(layers: &[Layer], x: &Tensor) -> Result<Tensor, TchError> {
    let mut x = x.shallow_clone();
    for (at, layer) in layers.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &layers[before]);
        let fresh = matches!(before, Some(Layer::Convolution { .. } | Layer::Linear { .. }));
        x = match layer {
            // Nobody else has what a convolution just made: in place is one walk through memory less.
            Layer::Relu if fresh && !x.requires_grad() => x.f_relu_()?,
            _ => layer.forward(&x)?,
        };
    }
    Ok(x)
}

/// [`forward`] with everything on the way: `x`, then every layer's output.
///
/// # Errors
/// As [`Layer::forward`].
pub fn forward_kept(layers: &[Layer], x: &Tensor) -> Result<Vec<Tensor>, TchError> {
    let mut values = vec![x.shallow_clone()];
    for (at, layer) in layers.iter().enumerate() {
        values.push(layer.forward(&values[at])?);
    }
    Ok(values)
}

fn local_response_norm(x: &Tensor, size: i64, alpha: f64, beta: f64, k: f64) -> Result<Tensor, TchError> {
    let channels = x.size4()?.1;
    // The sum over neighbouring channels is a 1 x 1 convolution with a band matrix: a matrix product, several times as
    // fast, forwards and backwards, as a pooling along the channels.
    let band = Tensor::f_ones([channels, channels], (x.kind(), x.device()))?.f_triu(-(size / 2))?.f_tril(size / 2)?;
    let band = band.f_mul_scalar(alpha / size as f64)?.f_view([channels, channels, 1, 1])?;
    let constant = Tensor::f_full([channels], k, (x.kind(), x.device()))?;
    let base = x.f_square()?.f_conv2d(&band, Some(&constant), 1, 0, 1, 1)?;
    let denominator = if beta == 0.75 {
        // A processor rounds square roots alike wherever they are. Its powers differ in the last digit between vectors and
        // what is left over at their end, so that a result would depend on the place of a picture in the batch.
        let root = base.f_sqrt()?;
        root.f_mul(&root.f_sqrt()?)?
    } else {
        base.f_pow_tensor_scalar(beta)?
    };
    x.f_div(&denominator)?.f_to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_does_not_depend_on_the_place_in_the_batch() {
        tch::manual_seed(3);
        let x = Tensor::rand([4, 12, 55, 55], (Kind::Float, Device::Cpu)).f_mul_scalar(100.0).unwrap();
        let x = x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let layer = Layer::LocalResponseNorm { size: 5, alpha: 1e-4, beta: 0.75, k: 1.0 };
        let y = layer.forward(&x).unwrap();
        for shift in 1..4 {
            assert!(layer.forward(&x.roll([shift], [0])).unwrap().equal(&y.roll([shift], [0])), "{shift}");
        }
    }

    #[test]
    fn local_response_norm_by_hand() {
        // Three channels of one pixel, window 3: channel 0 sees itself and channel 1.
        let x = Tensor::from_slice(&[1.0_f32, 2.0, 3.0]).reshape([1, 3, 1, 1]);
        let layer = Layer::LocalResponseNorm { size: 3, alpha: 0.6, beta: 0.5, k: 2.0 };
        let y = Vec::<f32>::try_from(&layer.forward(&x).unwrap().flatten(0, -1)).unwrap();
        let expected = [1.0 / 3.0_f32.sqrt(), 2.0 / (2.0 + 0.2 * 14.0_f32).sqrt(), 3.0 / (2.0 + 0.2 * 13.0_f32).sqrt()];
        for (found, wanted) in y.iter().zip(expected) {
            approx::assert_abs_diff_eq!(*found, wanted, epsilon = 1e-6);
        }
    }
}
