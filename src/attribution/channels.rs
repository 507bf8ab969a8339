//! Each channel's own part in the first linear layer of the head, which makes leaving channels out cheap.
//!
//! Between A and the first linear layer the channels do not meet (ReLU, max-pooling, flattening), so that layer's output
//! is b + sum over k of C_k, where C_k comes from channel k alone. Without some channels it is b plus the sum of the others'
//! parts: exact, and only the layers behind it have to be run.

use crate::nn::{forward, Layer};
use tch::{Kind, TchError, Tensor};

/// The parts for a batch.
#[derive(Debug)]
pub(super) struct ChannelParts<'a> {
    /// C: (N, K, features of the first linear layer).
    parts: Tensor,
    bias: &'a Tensor,
    behind: &'a [Layer],
}

impl<'a> ChannelParts<'a> {
    /// One pass over the first linear layer's weights for the whole batch; `values` are A and the outputs of the layers of
    /// `head`.
    pub fn new(head: &'a [Layer], values: &[Tensor]) -> Result<Self, TchError> {
        let at = head.iter().position(|layer| matches!(layer, Layer::Linear { .. }));
        let at = at.expect("a head ends in linear layers");
        let Layer::Linear { weight, bias } = &head[at] else { unreachable!("position() found a linear layer") };
        let _no_grad = tch::no_grad_guard();
        let (n, channels, ..) = values[0].size4()?;
        let pooled = values[at].f_reshape([n, channels, -1])?;
        // (K, N, places) x (K, places, features).
        let weight = weight.f_reshape([weight.size()[0], channels, -1])?.f_permute([1, 2, 0])?;
        let parts = pooled.f_transpose(0, 1)?.f_bmm(&weight)?.f_transpose(0, 1)?;
        Ok(Self { parts, bias, behind: &head[at + 1..] })
    }

    /// Picture `at`: (K, features).
    pub fn of(&self, at: usize) -> Result<Tensor, TchError> {
        self.parts.f_get(at as i64)
    }

    /// The layer's output for picture `at` with all channels: (1, features).
    pub fn whole(&self, at: usize) -> Result<Tensor, TchError> {
        self.of(at)?.f_sum_dim_intlist([0_i64].as_slice(), true, Kind::Float)?.f_add(self.bias)
    }

    /// The layer's output for picture `at` with the channels of each row of `masks` (rows, K): (rows, features).
    pub fn masked(&self, at: usize, masks: &Tensor) -> Result<Tensor, TchError> {
        // One picture's parts lie apart, which costs a product more than bringing them together.
        masks.f_matmul(&self.of(at)?.f_contiguous()?)?.f_add(self.bias)
    }

    /// The layer's output for picture `at` as the channels join in `order` (K), from none to all: (K + 1, features).
    pub fn joining(&self, at: usize, order: &Tensor) -> Result<Tensor, TchError> {
        let joined = self.of(at)?.f_index_select(0, order)?.f_cumsum(0, Kind::Float)?;
        Tensor::f_cat(&[joined.f_narrow(0, 0, 1)?.f_zeros_like()?, joined], 0)?.f_add(self.bias)
    }

    /// From outputs of the layer (rows, features) to logits (rows, labels).
    pub fn finish(&self, outputs: &Tensor) -> Result<Tensor, TchError> {
        let _no_grad = tch::no_grad_guard();
        forward(self.behind, outputs)
    }
}
