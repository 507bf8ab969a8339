//! What every method starts from.

use super::channels::ChannelParts;
use super::estimate::Estimate;
use super::options::{LayerPoint, Options, Score};
use super::{InputRegion, walk};
use crate::networks::{Activation, Classifier, Forward};
use crate::nn::{Layer, Nonlinearity, Precision};
use crate::{Error, Result};
use std::cell::OnceCell;
use tch::{Kind, TchError, Tensor};

/// A batch that went through a network, and the explained output of each picture. What several
/// methods need is computed once, when the first of them asks.
#[derive(Debug)]
pub struct HeadPass<'a> {
    pub(super) network: &'a dyn Classifier,
    /// What entered the network: (N, 3, rows, columns).
    pub(super) input: &'a Tensor,
    /// A at the chosen point, (N, K, rows, columns), with its context.
    pub(super) activation: Activation,
    /// The layers from there to the outputs, where they can be walked.
    pub(super) visible: Option<VisibleHead<'a>>,
    /// (N, outputs)
    outputs: &'a Tensor,
    pub(super) classes: &'a [usize],
    pub(super) seeds: &'a [u64],
    /// So many pictures differ; what follows are copies of the last of them.
    pub(super) distinct: usize,
    pub(super) options: Options,
    /// The number format behind missing channels and of answers for masked inputs.
    pub(super) changes_in: Precision,
    /// The regions of each picture, the surest first.
    pub(super) regions: Option<&'a [Vec<InputRegion>]>,
    /// The label that the explained classes are held against.
    pub(super) contrast: Option<usize>,
    parts: OnceCell<ChannelParts<'a>>,
    /// The network in that format, where it computes in it.
    rounded: OnceCell<Option<Box<dyn Classifier>>>,
    /// The gradient of every score.
    gradients: [OnceCell<Tensor>; Score::COUNT],
}

/// Layers of a head, and the value before the first and behind each of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct VisibleHead<'a> {
    pub(super) layers: &'a [Layer],
    pub(super) values: &'a [Tensor],
}

impl<'a> HeadPass<'a> {
    /// `forward` is `network`'s; `classes`, the explained outputs, and `seeds`, for methods that
    /// draw at random, have one entry a picture.
    ///
    /// # Errors
    /// The point behind the ReLU is asked for and the network shows no ReLU there, or a contrast
    /// that is no label; [`super::check`] refuses that before a pass.
    pub fn new(
        network: &'a dyn Classifier,
        forward: &'a Forward,
        options: Options,
        classes: &'a [usize],
        seeds: &'a [u64],
    ) -> Result<Self> {
        let skipped = match (options.layer_point, network.layers()) {
            (LayerPoint::PreRelu, _) => 0,
            (LayerPoint::PostRelu, Some([Layer::Pointwise(Nonlinearity::Relu), ..])) => 1,
            (LayerPoint::PostRelu, _) => return Err(Error::Setting(no_relu())),
        };
        let visible = network.layers().filter(|layers| walk::walkable(layers));
        let visible = visible.map(|layers| VisibleHead {
            layers: &layers[skipped..],
            values: &forward.values[skipped..],
        });
        let activation = forward.activation.with_values(forward.values[skipped].shallow_clone());
        let (parts, rounded, gradients) = Default::default();
        let (input, outputs) = (&forward.input, forward.outputs());
        let (contrast, regions) = (options.contrast_index(network.card())?, None);
        Ok(Self {
            network,
            input,
            activation,
            visible,
            outputs,
            classes,
            seeds,
            distinct: classes.len(),
            options,
            changes_in: Precision::F32,
            regions,
            contrast,
            parts,
            rounded,
            gradients,
        })
    }

    /// With the regions of each picture, the surest first, for methods that ask what these are
    /// worth.
    pub fn with_regions(mut self, regions: &'a [Vec<InputRegion>]) -> Self {
        self.regions = Some(regions);
        self
    }

    /// With what is asked very many times in the number format `precision`, where that is bf16: f16
    /// overflows where bf16 does not, and is taken for f32.
    ///
    /// It holds for networks that show the layers of their heads. Behind missing channels the
    /// largest matrix product is computed in it, everything else in f32. Of Ablation-CAM what is
    /// rounded is the change that a missing channel makes; the standard errors of LIME-CAM's
    /// coefficients and of Shapley-CAM's values are far larger than their rounding. For Score-CAM's
    /// masked inputs the whole network computes in it, where it can. Shapley values of regions stay
    /// in f32: where a part of a picture is halved again follows from small differences.
    pub fn with_changes_in(mut self, precision: Precision) -> Self {
        self.changes_in = precision;
        self
    }

    /// Where the batch was filled up with copies of the last of its first `distinct` pictures, at
    /// least one: what is computed picture by picture is computed for these alone.
    pub fn with_copies_behind(mut self, distinct: usize) -> Self {
        self.distinct = distinct;
        self
    }

    /// What `of` says of each picture of the batch; of copies what it says of the original.
    pub(super) fn of_each_picture<T>(
        &self,
        of: impl FnMut(usize) -> Result<T, TchError>,
        again: impl Fn(&T) -> T,
    ) -> Result<Vec<T>, TchError> {
        let mut found = (0..self.distinct).map(of).collect::<Result<Vec<_>, _>>()?;
        self.repeat_last(&mut found, again);
        Ok(found)
    }

    /// Fills up what was found of the pictures that differ with what was found of the last of them,
    /// for its copies.
    pub(super) fn repeat_last<T>(&self, found: &mut Vec<T>, again: impl Fn(&T) -> T) {
        let copies = found.last().map(|last| {
            (self.distinct..self.classes.len()).map(|_| again(last)).collect::<Vec<_>>()
        });
        found.extend(copies.into_iter().flatten());
    }

    /// What answers for an input masked in very many ways. A program from a file would be read
    /// again, and may not run in another format.
    pub(super) fn answering(&self) -> Result<&dyn Classifier, TchError> {
        if self.changes_in != Precision::Bf16 || self.visible.is_none() {
            return Ok(self.network);
        }
        if self.rounded.get().is_none() {
            let rounded = self.network.in_precision(self.changes_in);
            let _ = self.rounded.set(rounded.map_err(|error| as_torch(&error))?);
        }
        Ok(self.rounded.get().and_then(Option::as_deref).unwrap_or(self.network))
    }

    /// A at the chosen point: (N, K, rows, columns).
    pub fn a(&self) -> &Tensor {
        &self.activation.values
    }

    /// The weights of each picture's channels, (N, K), where A is.
    pub(super) fn channel_weights<'b>(
        &self,
        pictures: impl Iterator<Item = &'b [f64]>,
    ) -> Result<Tensor, TchError> {
        let values: Vec<f32> = pictures.flatten().map(|&value| value as f32).collect();
        Tensor::f_from_slice(&values)?
            .f_reshape([self.a().size()[0], -1])?
            .f_to_device(self.a().device())
    }

    /// Those that were estimated.
    pub(super) fn estimated_weights(&self, estimates: &[Estimate]) -> Result<Tensor, TchError> {
        self.channel_weights(estimates.iter().map(|estimate| estimate.values.as_slice()))
    }

    /// The outputs of the batch: (N, outputs).
    pub(super) fn outputs(&self) -> &Tensor {
        self.outputs
    }

    /// Each channel's part in the first linear layer, where the head is such that channels meet
    /// there first.
    pub(super) fn channel_parts(&self) -> Result<Option<&ChannelParts<'a>>, TchError> {
        let Some(head) = self.visible.filter(|head| ChannelParts::apply_to(head.layers)) else {
            return Ok(None);
        };
        if self.parts.get().is_none() {
            let parts = ChannelParts::new(head)?;
            return Ok(Some(self.parts.get_or_init(|| parts)));
        }
        Ok(self.parts.get())
    }

    /// d score / d A, of A's shape: by the gradient's rule where the head's layers are visible,
    /// else by libtorch's differentiation.
    pub(super) fn gradient(&self, score: Score) -> Result<&Tensor, TchError> {
        let cell = &self.gradients[score as usize];
        if cell.get().is_none() {
            let gradient = match self.visible {
                Some(_) => walk::backward(self, score, walk::Rule::Gradient)?,
                None => self.differentiated(score)?,
            };
            return Ok(cell.get_or_init(|| gradient));
        }
        Ok(cell.get().expect("it was set just now or before"))
    }

    /// The gradient by libtorch's differentiation. Pictures do not see each other, so that the
    /// gradient of the sum of their scores is that of each.
    fn differentiated(&self, score: Score) -> Result<Tensor, TchError> {
        let leaf = self.a().f_mul_scalar(1.0)?.f_detach()?.set_requires_grad(true);
        tch::with_grad(|| {
            let outputs =
                self.network.outputs(&self.activation.with_values(leaf.shallow_clone()))?;
            let total = self.scores_of_batch(&outputs, score)?.f_sum(Kind::Float)?;
            // libtorch crashes where there is nothing to go back through.
            if !total.requires_grad() {
                return Err(TchError::Torch(
                    "no gradient flows from the network's outputs to A".into(),
                ));
            }
            let gradient = Tensor::f_run_backward(&[total], &[&leaf], false, false)?.remove(0);
            if gradient.defined() {
                gradient.f_contiguous()
            } else {
                Err(TchError::Torch("no gradient flows from the network's outputs to A".into()))
            }
        })
    }

    /// (N, 1), the explained outputs as an index.
    pub(super) fn class_index(&self) -> Result<Tensor, TchError> {
        let classes: Vec<i64> = self.classes.iter().map(|&class| class as i64).collect();
        Tensor::f_from_slice(&classes)?.f_to_device(self.a().device())?.f_unsqueeze(1)
    }

    /// The score of `picture`'s explained output in each row of `outputs` (rows, outputs): (rows).
    pub(super) fn scores(
        &self,
        outputs: &Tensor,
        picture: usize,
        score: Score,
    ) -> Result<Tensor, TchError> {
        let class = self.classes[picture] as i64;
        self.score_column(outputs, score, |columns| columns.f_narrow(1, class, 1))?.f_squeeze_dim(1)
    }

    /// The score of each row of `outputs` (rows, outputs), of the explained output of the row's
    /// picture among `pictures` (rows): (rows, 1).
    pub(super) fn scores_of(
        &self,
        outputs: &Tensor,
        pictures: &Tensor,
        score: Score,
    ) -> Result<Tensor, TchError> {
        let classes = self.class_index()?.f_index_select(0, pictures)?;
        self.score_column(outputs, score, |columns| columns.f_gather(1, &classes, false))
    }

    /// The score of each picture's explained output: (N, 1).
    pub(super) fn own_scores(&self, score: Score) -> Result<Tensor, TchError> {
        self.scores_of_batch(self.outputs, score)
    }

    /// The score of each picture's explained output among `outputs` (N, outputs): (N, 1).
    fn scores_of_batch(&self, outputs: &Tensor, score: Score) -> Result<Tensor, TchError> {
        let classes = self.class_index()?;
        self.score_column(outputs, score, |columns| columns.f_gather(1, &classes, false))
    }

    /// The score of each row of `outputs` (rows, outputs): (rows, 1). `explained` takes the
    /// explained output of every row, (rows, 1), from a tensor of that shape. A single output is
    /// its own score, whatever is asked for.
    fn score_column(
        &self,
        outputs: &Tensor,
        score: Score,
        explained: impl Fn(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Tensor, TchError> {
        match score {
            _ if outputs.size()[1] == 1 => explained(outputs),
            Score::Logit => explained(outputs),
            Score::Probability => explained(&outputs.f_softmax(1, Kind::Float)?),
            Score::Contrast => {
                explained(outputs)?.f_sub(&outputs.f_narrow(1, self.contrast_class()?, 1)?)
            }
            Score::Valence | Score::Arousal => {
                let (weights, bias) = self.regression(score)?;
                outputs.f_softmax(1, Kind::Float)?.f_matmul(&weights)?.f_add_scalar(bias)
            }
        }
    }

    /// The label that the explained classes are held against.
    pub(super) fn contrast_class(&self) -> Result<i64, TchError> {
        let none = || {
            TchError::Torch(
                "the score is a difference of two logits, and no second label is named".into(),
            )
        };
        self.contrast.map(|class| class as i64).ok_or_else(none)
    }

    /// The weights, (outputs, 1), and the constant term of the regression that `score` is.
    pub(super) fn regression(&self, score: Score) -> Result<(Tensor, f64), TchError> {
        let none = || {
            TchError::Torch(format!("the network's card has no regression for {}", score.name()))
        };
        let regression = score.regression(self.network.card()).ok_or_else(none)?;
        let weights: Vec<f32> = regression.weights.iter().map(|&weight| weight as f32).collect();
        let weights =
            Tensor::f_from_slice(&weights)?.f_to_device(self.a().device())?.f_unsqueeze(1)?;
        Ok((weights, regression.bias))
    }
}

/// An error of the network among libtorch's.
pub(super) fn as_torch(error: &Error) -> TchError {
    TchError::Torch(error.to_string())
}

/// What is said where a method is asked to look behind a ReLU that is not to be seen.
pub(super) fn no_relu() -> String {
    "layer-point post-relu: the network shows no ReLU behind the explained layer; leave it out, or \
     cut the network behind its ReLU"
        .into()
}
