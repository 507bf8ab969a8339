//! Darknet's activation functions, applied in place.

use std::str::FromStr;
use tch::{TchError, Tensor};

/// What follows a convolution or a shortcut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x
    Linear,
    /// max(x, 0)
    Relu,
    /// x for x > 0, else 0.1 x
    Leaky,
    /// x tanh(ln(1 + e^x))
    Mish,
    /// x sigmoid(x), also known as SiLU
    Swish,
    /// sigmoid(x)
    Logistic,
}

impl FromStr for Activation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "linear" => Self::Linear,
            "relu" => Self::Relu,
            "leaky" => Self::Leaky,
            "mish" => Self::Mish,
            "swish" => Self::Swish,
            "logistic" => Self::Logistic,
            _ => {
                return Err(format!(
                    "activation `{text}` is not supported: linear, relu, leaky, mish, swish and logistic are"
                ))
            }
        })
    }
}

impl Activation {
    /// The function on every value of `x`, whose memory is reused.
    pub fn apply(self, mut x: Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Linear => Ok(x),
            Self::Relu => x.f_relu_(),
            // tch's leaky_relu has no slope. Its backward function, given the input as the gradient too, is
            // x * (x > 0 ? 1 : slope).
            Self::Leaky => x.f_leaky_relu_backward_grad_input(&x, &x, 0.1, false),
            Self::Mish => x.f_mish_(),
            Self::Swish => x.f_silu_(),
            Self::Logistic => x.f_sigmoid_(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_hand() {
        for (activation, expected) in [
            (Activation::Linear, [-2.0, 0.0, 3.0]),
            (Activation::Relu, [0.0, 0.0, 3.0]),
            (Activation::Leaky, [-0.2, 0.0, 3.0]),
            (Activation::Mish, [-0.252_501_5, 0.0, 2.986_535]),
            (Activation::Swish, [-0.238_405_84, 0.0, 2.857_722_4]),
            (Activation::Logistic, [0.119_202_92, 0.5, 0.952_574_1]),
        ] {
            let y = activation.apply(Tensor::from_slice(&[-2.0_f32, 0.0, 3.0])).unwrap();
            let y = Vec::<f32>::try_from(&y).unwrap();
            for (found, wanted) in y.iter().zip(expected) {
                approx::assert_abs_diff_eq!(*found, wanted, epsilon = 2e-6);
            }
        }
    }
}
