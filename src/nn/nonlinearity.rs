//! Functions of single values, as they follow a convolution: the names are Darknet's.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use tch::{TchError, Tensor};

/// What follows a convolution or a shortcut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nonlinearity {
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

impl FromStr for Nonlinearity {
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
                    "activation `{text}` is not supported: linear, relu, leaky, mish, swish and \
                     logistic are"
                ));
            }
        })
    }
}

impl Nonlinearity {
    /// The function of every value of `x`, which is left as it is; autograd works through it.
    ///
    /// # Errors
    /// No memory.
    pub fn forward(self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Linear => Ok(x.shallow_clone()),
            Self::Relu => x.f_relu(),
            // tch's leaky_relu has no slope. Its backward function, with the input as the incoming
            // gradient, is x * (x > 0 ? 1 : slope), and so is the derivative by that gradient.
            Self::Leaky => x.f_detach()?.f_leaky_relu_backward(x, 0.1, false),
            Self::Mish => x.f_mish(),
            Self::Swish => x.f_silu(),
            Self::Logistic => x.f_sigmoid(),
        }
    }

    /// The function of every value of `x`, whose memory is reused: one walk through memory less.
    /// Not for tensors that somebody else still reads, nor with gradients.
    ///
    /// # Errors
    /// libtorch refuses the number format.
    pub fn apply(self, mut x: Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Linear => Ok(x),
            Self::Relu => x.f_relu_(),
            // As above, into the memory of its input.
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
        for (function, expected) in [
            (Nonlinearity::Linear, [-2.0, 0.0, 3.0]),
            (Nonlinearity::Relu, [0.0, 0.0, 3.0]),
            (Nonlinearity::Leaky, [-0.2, 0.0, 3.0]),
            (Nonlinearity::Mish, [-0.252_501_5, 0.0, 2.986_535]),
            (Nonlinearity::Swish, [-0.238_405_84, 0.0, 2.857_722_4]),
            (Nonlinearity::Logistic, [0.119_202_92, 0.5, 0.952_574_1]),
        ] {
            let y = function.apply(Tensor::from_slice(&[-2.0_f32, 0.0, 3.0])).unwrap();
            let y = Vec::<f32>::try_from(&y).unwrap();
            let kept = function.forward(&Tensor::from_slice(&[-2.0_f32, 0.0, 3.0])).unwrap();
            assert_eq!(Vec::<f32>::try_from(&kept).unwrap(), y);
            for (found, wanted) in y.iter().zip(expected) {
                approx::assert_abs_diff_eq!(*found, wanted, epsilon = 2e-6);
            }
        }
    }

    #[test]
    fn leaky_and_its_derivative_by_hand() {
        let x = Tensor::from_slice(&[-2.0_f32, 3.0]).set_requires_grad(true);
        let y = Nonlinearity::Leaky.forward(&x).unwrap();
        assert_eq!(Vec::<f32>::try_from(&y).unwrap(), [-0.2, 3.0]);
        (y * Tensor::from_slice(&[10.0_f32, 100.0])).sum(tch::Kind::Float).backward();
        assert_eq!(Vec::<f32>::try_from(&x.grad()).unwrap(), [1.0, 100.0]);
    }
}
