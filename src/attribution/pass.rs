//! What every method starts from.

use super::channels::ChannelParts;
use super::options::{LayerPoint, Options, Score};
use crate::nn::Layer;
use std::cell::OnceCell;
use tch::{Kind, TchError, Tensor};

/// A batch on its way through a network that is split at its last convolution.
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    /// What enters the network: (N, channels, rows, columns), f32.
    pub input: &'a Tensor,
    /// The layers from the input to A.
    pub body: &'a [Layer],
    /// The layers from A to the logits, beginning with the ReLU behind the last convolution.
    pub head: &'a [Layer],
    /// A, the last convolution's output before that ReLU, (N, K, rows, columns), f32; then the output of every layer of the
    /// head, the logits (N, labels) last.
    pub values: &'a [Tensor],
}

/// A batch, the head, the explained class of each picture. What several methods need is computed once, when the first of
/// them asks.
#[derive(Debug)]
pub struct HeadPass<'a> {
    pub(super) network: Network<'a>,
    /// A at the chosen point, the layers from there, and the value at that point and behind each of them.
    pub(super) activation: &'a Tensor,
    pub(super) head: &'a [Layer],
    pub(super) values: &'a [Tensor],
    pub(super) classes: &'a [usize],
    pub(super) seeds: &'a [u64],
    pub(super) options: Options,
    parts: OnceCell<ChannelParts<'a>>,
    /// [`gradient`](super::walk::gradient) of the probability and of the logit.
    pub(super) gradients: [OnceCell<Tensor>; 2],
}

impl<'a> HeadPass<'a> {
    /// `classes` and `seeds` (for methods that draw at random) have one entry a picture.
    ///
    /// # Panics
    /// The point behind the ReLU is asked for and the head does not begin with one; there is not one value a layer and one more.
    pub fn new(network: Network<'a>, options: Options, classes: &'a [usize], seeds: &'a [u64]) -> Self {
        assert_eq!(network.values.len(), network.head.len() + 1, "a value before and behind every layer");
        let skipped = match (options.layer_point, network.head) {
            (LayerPoint::PreRelu, _) => 0,
            (LayerPoint::PostRelu, [Layer::Relu, ..]) => 1,
            (LayerPoint::PostRelu, _) => panic!("a head begins with the last convolution's ReLU"),
        };
        let (head, values) = (&network.head[skipped..], &network.values[skipped..]);
        let (parts, gradients) = (OnceCell::new(), Default::default());
        Self { network, activation: &values[0], head, values, classes, seeds, options, parts, gradients }
    }

    /// Each channel's part in the first linear layer.
    pub(super) fn channel_parts(&self) -> Result<&ChannelParts<'a>, TchError> {
        if self.parts.get().is_none() {
            let parts = ChannelParts::new(self.head, self.values)?;
            return Ok(self.parts.get_or_init(|| parts));
        }
        Ok(self.parts.get().expect("it was set just now or before"))
    }

    /// (N, 1), the classes as an index.
    pub(super) fn class_index(&self) -> Result<Tensor, TchError> {
        let classes: Vec<i64> = self.classes.iter().map(|&class| class as i64).collect();
        Tensor::f_from_slice(&classes)?.f_to_device(self.activation.device())?.f_unsqueeze(1)
    }

    /// The score of picture `at`'s class in each row of `logits` (rows, labels): (rows).
    pub(super) fn scores(&self, logits: &Tensor, at: usize, score: Score) -> Result<Tensor, TchError> {
        of_logits(logits, score)?.f_select(1, self.classes[at] as i64)
    }

    /// The score of each picture's class: (N, 1).
    pub(super) fn own_scores(&self, score: Score) -> Result<Tensor, TchError> {
        of_logits(&self.values[self.head.len()], score)?.f_gather(1, &self.class_index()?, false)
    }
}

fn of_logits(logits: &Tensor, score: Score) -> Result<Tensor, TchError> {
    match score {
        Score::Logit => Ok(logits.shallow_clone()),
        Score::Probability => logits.f_softmax(1, Kind::Float),
    }
}
