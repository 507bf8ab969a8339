//! The score without some of A's channels: what ablation, LIME and Shapley values ask, thousands of
//! times a picture.
//!
//! Of a network whose head shows its layers, channels often do not meet between A and the first
//! linear layer (ReLU, max-pooling, flattening), so that this layer's output is b + sum over k of
//! C_k, where C_k comes from channel k alone. Without some channels it is b plus the sum of the
//! others' parts: exact, and only the layers behind it have to be run. Of any other network changed
//! activations go through the head, as many at a time as a bounded memory holds.

use super::pass::VisibleHead;
use super::{HeadPass, Score};
use crate::nn::{Layer, Nonlinearity, Precision, forward};
use std::cell::OnceCell;
use tch::{Kind, TchError, Tensor};

/// Bytes of changed activations that are in memory at a time.
const BYTES: i64 = 96 << 20;

/// Changed activations at a time, at most.
const VARIANTS: i64 = 256;

/// Share of active features up to which it pays to take them apart: at this share the product takes
/// 0.6 of its time (257 x 4096 by 4096 x 4096, two cores of an AMD EPYC), beyond it copying the
/// weights costs what is saved.
const ACTIVE_AT_MOST: f64 = 0.5;

impl HeadPass<'_> {
    /// The score of `picture` as it is, (1), and without each of its channels, (K). In the number
    /// format of [`HeadPass::with_changes_in`].
    pub(super) fn ablated(
        &self,
        picture: usize,
        score: Score,
    ) -> Result<(Tensor, Tensor), TchError> {
        if let Some(parts) = self.channel_parts()? {
            let whole = parts.whole(picture)?;
            let without = whole.f_sub(&parts.of_picture(picture)?)?;
            let outputs = parts.finish_without(&whole, &without, self.changes_in)?;
            let scores = self.scores(&outputs, picture, score)?;
            return Ok((scores.f_slice(0, 0, 1, 1)?, scores.f_slice(0, 1, None, 1)?));
        }
        let channels = self.a().size()[1];
        let options = (Kind::Float, self.a().device());
        let others = Tensor::f_ones([channels, channels], options)?
            .f_sub(&Tensor::f_eye(channels, options)?)?;
        let whole = self.own_scores(score)?.f_select(0, picture as i64)?;
        Ok((whole, self.masked(picture, &others, score)?))
    }

    /// The score of `picture` with the channels of each row of `masks` (rows, K), zeros and ones:
    /// (rows). In the number format of [`HeadPass::with_changes_in`].
    pub(super) fn masked(
        &self,
        picture: usize,
        masks: &Tensor,
        score: Score,
    ) -> Result<Tensor, TchError> {
        if let Some(parts) = self.channel_parts()? {
            let outputs = parts.finish(&parts.masked(picture, masks)?, self.changes_in)?;
            return self.scores(&outputs, picture, score);
        }
        let own = self.a().f_narrow(0, picture as i64, 1)?;
        let (_, channels, rows, columns) = own.size4()?;
        let count = masks.size()[0];
        // One size of a batch throughout, the last filled up: libtorch's results follow the size,
        // and a program that it specialises for a size is specialised once.
        let size = (BYTES / (4 * channels * rows * columns)).clamp(1, VARIANTS).min(count.max(1));
        let mut found = Vec::new();
        for start in (0..count).step_by(size as usize) {
            let length = size.min(count - start);
            let mut part = masks.f_narrow(0, start, length)?;
            if length < size {
                let last =
                    part.f_narrow(0, length - 1, 1)?.f_expand([size - length, channels], false)?;
                part = Tensor::f_cat(&[part, last], 0)?;
            }
            let variants = part.f_reshape([size, channels, 1, 1])?.f_mul(&own)?;
            let outputs = self.network.outputs(&self.activation.changed(picture, variants)?)?;
            found.push(self.scores(&outputs, picture, score)?.f_narrow(0, 0, length)?);
        }
        Tensor::f_cat(&found, 0)
    }

    /// The score of `picture` as its channels join in `order` (K), from none to all: (K + 1). In the
    /// number format of [`HeadPass::with_changes_in`].
    pub(super) fn joining(
        &self,
        picture: usize,
        order: &Tensor,
        score: Score,
    ) -> Result<Tensor, TchError> {
        if let Some(parts) = self.channel_parts()? {
            let outputs = parts.finish(&parts.joining(picture, order)?, self.changes_in)?;
            return self.scores(&outputs, picture, score);
        }
        let channels = order.size()[0];
        let options = (Kind::Float, self.a().device());
        // In row r the first r of the order are there: the column of a channel is where it stands
        // in the order.
        let joined = Tensor::f_ones([channels + 1, channels], options)?.f_tril(-1)?;
        self.masked(picture, &joined.f_index_select(1, &order.f_argsort(0, false)?)?, score)
    }
}

/// Each channel's own part in the first linear layer, for a batch.
#[derive(Debug)]
pub(super) struct ChannelParts<'a> {
    /// C: (N, K, features of the first linear layer).
    parts: Tensor,
    bias: &'a Tensor,
    behind: &'a [Layer],
    /// The second linear layer's weight in bf16.
    rounded: OnceCell<Tensor>,
}

impl<'a> ChannelParts<'a> {
    /// Whether the channels of a head's input stay apart up to a linear layer.
    pub(super) fn apply_to(head: &[Layer]) -> bool {
        let first = head.iter().position(|layer| matches!(layer, Layer::Linear { .. }));
        first.is_some_and(|first| {
            head[..first].iter().all(|layer| {
                matches!(
                    layer,
                    Layer::Pointwise(Nonlinearity::Relu)
                        | Layer::MaxPool { .. }
                        | Layer::AveragePool { .. }
                        | Layer::Flatten
                )
            })
        })
    }

    /// One pass over the first linear layer's weights for the whole batch.
    pub(super) fn new(head: VisibleHead<'a>) -> Result<Self, TchError> {
        let VisibleHead { layers, values } = head;
        let first = layers.iter().position(|layer| matches!(layer, Layer::Linear { .. }));
        let first = first.expect("apply_to() has seen a linear layer");
        let Layer::Linear { weight, bias } = &layers[first] else {
            unreachable!("position() found a linear layer")
        };
        let _no_grad = tch::no_grad_guard();
        let (n, channels, ..) = values[0].size4()?;
        let pooled = values[first].f_reshape([n, channels, -1])?;
        // (K, N, places) x (K, places, features).
        let weight = weight.f_reshape([weight.size()[0], channels, -1])?.f_permute([1, 2, 0])?;
        let parts = pooled.f_transpose(0, 1)?.f_bmm(&weight)?.f_transpose(0, 1)?;
        Ok(Self { parts, bias, behind: &layers[first + 1..], rounded: OnceCell::new() })
    }

    /// Those of one picture: (K, features).
    fn of_picture(&self, picture: usize) -> Result<Tensor, TchError> {
        self.parts.f_get(picture as i64)
    }

    /// The layer's output for a picture with all channels: (1, features).
    fn whole(&self, picture: usize) -> Result<Tensor, TchError> {
        self.of_picture(picture)?
            .f_sum_dim_intlist([0_i64].as_slice(), true, Kind::Float)?
            .f_add(self.bias)
    }

    /// The layer's output for a picture with the channels of each row of `masks` (rows, K): (rows,
    /// features).
    fn masked(&self, picture: usize, masks: &Tensor) -> Result<Tensor, TchError> {
        // One picture's parts lie apart, which costs a product more than bringing them together.
        masks.f_matmul(&self.of_picture(picture)?.f_contiguous()?)?.f_add(self.bias)
    }

    /// The layer's output for a picture as the channels join in `order` (K), from none to all:
    /// (K + 1, features).
    fn joining(&self, picture: usize, order: &Tensor) -> Result<Tensor, TchError> {
        let joined =
            self.of_picture(picture)?.f_index_select(0, order)?.f_cumsum(0, Kind::Float)?;
        Tensor::f_cat(&[joined.f_narrow(0, 0, 1)?.f_zeros_like()?, joined], 0)?.f_add(self.bias)
    }

    /// From outputs of the layer (rows, features) to outputs of the network (rows, outputs), by
    /// bf16 with the second linear layer's product in it.
    fn finish(&self, outputs: &Tensor, precision: Precision) -> Result<Tensor, TchError> {
        let _no_grad = tch::no_grad_guard();
        let [Layer::Pointwise(Nonlinearity::Relu), Layer::Linear { weight, bias }, rest @ ..] =
            self.behind
        else {
            return forward(self.behind, outputs);
        };
        let weight = match precision {
            Precision::Bf16 => self.rounded(weight)?,
            Precision::F32 | Precision::F16 => weight,
        };
        forward(rest, &linear_of_active(&outputs.f_relu()?, weight, bias)?)
    }

    /// From the layer's output for a picture, `whole` (1, features), and without each of its
    /// channels, `without` (K, features), to outputs of the network: (1 + K, outputs), those with
    /// all channels first. By bf16 what a missing channel changes is what is multiplied in it: the
    /// rounding is a share of the change, which is what is asked for, and not of the whole.
    fn finish_without(
        &self,
        whole: &Tensor,
        without: &Tensor,
        precision: Precision,
    ) -> Result<Tensor, TchError> {
        let _no_grad = tch::no_grad_guard();
        let (
            Precision::Bf16,
            [Layer::Pointwise(Nonlinearity::Relu), Layer::Linear { weight, bias }, rest @ ..],
        ) = (precision, self.behind)
        else {
            return self.finish(&Tensor::f_cat(&[whole, without], 0)?, Precision::F32);
        };
        let whole = whole.f_relu()?;
        let changed = without.f_relu()?.f_sub(&whole)?;
        let whole = linear(&whole, weight, bias)?;
        let without = linear_of_active(&changed, self.rounded(weight)?, &whole)?;
        forward(rest, &Tensor::f_cat(&[whole, without], 0)?)
    }

    /// `weight`, always the same one, in bf16.
    fn rounded(&self, weight: &Tensor) -> Result<&Tensor, TchError> {
        if self.rounded.get().is_none() {
            let rounded = weight.f_to_kind(Kind::BFloat16)?;
            return Ok(self.rounded.get_or_init(|| rounded));
        }
        Ok(self.rounded.get().expect("it was set just now or before"))
    }
}

/// The linear layer's output for `x` (rows, features). Features that are 0 in every row add
/// nothing; where few enough are left, the product is one of these alone: the same sums without
/// their zeros. In a trained AlexNet most of the first linear layer is silent, whatever channels
/// are missing.
fn linear_of_active(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    // A GPU multiplies sooner than it says which features are active.
    if x.device().is_cuda() {
        return linear(x, weight, bias);
    }
    let active = x.f_ne(0.0)?.f_any_dim(0, false)?.f_nonzero()?.f_flatten(0, -1)?;
    if active.size()[0] as f64 > ACTIVE_AT_MOST * x.size()[1] as f64 {
        return linear(x, weight, bias);
    }
    linear(&x.f_index_select(1, &active)?, &weight.f_index_select(1, &active)?, bias)
}

/// x W^T + b, f32, of which the product is computed in the number format of `weight`.
fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    match weight.kind() {
        Kind::Float => x.f_linear(weight, Some(bias)),
        kind => {
            x.f_to_kind(kind)?.f_linear(weight, None::<Tensor>)?.f_to_kind(Kind::Float)?.f_add(bias)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few, half, nearly all and no features active, against the product of all.
    #[test]
    fn silent_features_are_left_out_of_the_product() {
        tch::manual_seed(1);
        let options = (Kind::Float, tch::Device::Cpu);
        let (weight, bias) = (Tensor::randn([30, 200], options), Tensor::randn([30], options));
        for active in [0, 1, 20, 100, 101, 200] {
            let on = Tensor::randperm(200, options).less(active);
            let x = Tensor::randn([7, 200], options).abs() * &on;
            let found = linear_of_active(&x, &weight, &bias).unwrap();
            let worst =
                f64::try_from((&found - x.linear(&weight, Some(&bias))).abs().max()).unwrap();
            assert!(worst < 2e-5, "{active} active: {worst:e}");
        }
    }
}
