//! Multi-GAP (Lim, Khor, Chaemchoy, See, Wong: Where is the emotion? ICIP 2020): features of all
//! depths of one or two backbones, pooled over the picture, and three ways to bring streams
//! together.
//!
//! In: pixels, and for the third stream adjective-noun pairs. Out: logits of every stream and of
//! all together. As a [`Classifier`] it is explained at the last block of one of its streams; the
//! means of all other blocks are what by-passes that activation. What the paper leaves open (taps,
//! units, classifiers) is ours and named as such.

mod anp;
mod description;
mod stream;

pub use anp::Anp;
pub use description::{Dependency, Description, Fusion, StreamDescription};
pub use stream::Stream;

use super::backbone::{BLOCKS, pooled};
use super::card::Card;
use super::input::Normalisation;
use super::parameters::{
    Builder, Linear, OfFile, OfNetwork, Parameter, TensorSource, write_network,
};
use super::{Activation, Classifier, no_inner_layer};
use crate::image::Rgb8;
use crate::nn::weights::StateDict;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, TchError, Tensor};

/// Names of the explained stream's blocks, from the picture on.
const BLOCK_NAMES: [&str; BLOCKS] = ["block1", "block2", "block3", "block4", "block5"];

/// The network.
#[derive(Debug)]
pub struct MultiGap {
    card: Card,
    streams: Vec<Stream>,
    anp: Option<Anp>,
    /// Of early fusion.
    classifier: Option<Linear>,
    /// Number of the stream whose last block is explained.
    explained: usize,
    parameters: Vec<Parameter>,
    normalisation: Normalisation,
    files: Vec<(&'static str, PathBuf)>,
}

/// What all streams read of a batch: means of channels, and pairs.
#[derive(Debug)]
pub struct Means {
    /// Per stream and block (N, channels).
    pub streams: Vec<Vec<Tensor>>,
    /// (N, pairs); `None`: not known, the training set's mean stands in.
    pub pairs: Option<Tensor>,
}

/// Logits (N, labels).
#[derive(Debug)]
pub struct Answers {
    /// Of every stream's own classifier, that of the adjective-noun pairs last.
    pub streams: Vec<Tensor>,
    /// Of all together: of late fusion the logarithm of the mean probability.
    pub fused: Tensor,
}

impl MultiGap {
    /// The network that `card` describes, with tensors from `source` on `device`.
    ///
    /// # Errors
    /// Whatever the source reports.
    ///
    /// # Panics
    /// The card has no `[multi_gap]`: a mistake of the caller.
    pub fn build(card: Card, source: &mut dyn TensorSource, device: Device) -> Result<Self> {
        let description = card.multi_gap.clone().expect("the caller looked at the card");
        let mut parameters = Vec::new();
        let mut from = Builder::new(source, &mut parameters);
        let labels = card.outputs() as i64;
        let mut below = from.below("streams");
        let streams: Vec<Stream> = description
            .streams
            .iter()
            .map(|stream| Stream::build(stream, labels, device, &mut below))
            .collect::<Result<_>>()?;
        let anp = (description.anp > 0)
            .then(|| Anp::build(description.anp, labels, &mut from))
            .transpose()?;
        let classifier = match description.fusion {
            Fusion::Early => {
                let width =
                    streams.iter().map(Stream::width).chain(anp.iter().map(Anp::width)).sum();
                Some(from.below("fusion").linear("classifier", width, labels)?)
            }
            _ => None,
        };
        let normalisation = Normalisation::new(&card, None, device)?;
        let files = Vec::new();
        Ok(Self { card, streams, anp, classifier, explained: 0, parameters, normalisation, files })
    }

    /// Loads the weights that [`Self::save`] wrote, described by the card beside them.
    ///
    /// # Errors
    /// A file that cannot be read; a tensor that is missing, superfluous or of the wrong shape.
    pub fn load(weights: &Path, card: Card, device: Device) -> Result<Self> {
        let mut state = StateDict::open(weights)?;
        let mut network = Self::build(card, &mut OfFile { state: &mut state, device }, device)?;
        state.finish()?;
        network.files = vec![
            ("emotion.weights", weights.to_path_buf()),
            ("emotion.card", Card::path_beside(weights)),
        ];
        Ok(network)
    }

    /// Writes the weights as safetensors to `weights` and the card beside them.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, weights: &Path) -> Result<()> {
        write_network(weights, &self.card, &self.parameters)
    }

    /// All tensors, in the order of the layers.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The streams that look at pixels.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The stream that reads adjective-noun pairs.
    pub fn anp(&self) -> Option<&Anp> {
        self.anp.as_ref()
    }

    /// What the streams read of pixels (N, 3, rows, columns), R, G, B, 0..255.
    ///
    /// # Errors
    /// The network could not be run.
    pub fn means(
        &self,
        pixels: &Tensor,
        pairs: Option<Tensor>,
        training: bool,
    ) -> Result<Means, TchError> {
        let streams = self.streams.iter().map(|stream| stream.means(pixels, training));
        Ok(Means { streams: streams.collect::<Result<_, _>>()?, pairs })
    }

    /// All answers to what the streams read; autograd works through it.
    ///
    /// # Errors
    /// The network could not be run.
    pub fn answers(&self, means: &Means) -> Result<Answers, TchError> {
        let features =
            self.streams.iter().zip(&means.streams).map(|(stream, means)| stream.features(means));
        let mut features: Vec<Tensor> = features.collect::<Result<_, _>>()?;
        let logits =
            self.streams.iter().zip(&features).map(|(stream, features)| stream.logits(features));
        let mut streams: Vec<Tensor> = logits.collect::<Result<_, _>>()?;
        if let Some(anp) = &self.anp {
            let count = features.first().map_or(1, |features| features.size()[0]);
            let count = means.pairs.as_ref().map_or(count, |pairs| pairs.size()[0]);
            let own = anp.features(means.pairs.as_ref(), count)?;
            streams.push(anp.logits(&own)?);
            features.push(own);
        }
        let fused = match (&self.classifier, streams.as_slice()) {
            (Some(classifier), _) => classifier.forward(&Tensor::f_cat(&features, 1)?)?,
            (None, [only]) => only.shallow_clone(),
            (None, several) => late(several)?,
        };
        Ok(Answers { streams, fused })
    }

    /// Names of what [`Answers::streams`] are of.
    pub fn stream_names(&self) -> Vec<String> {
        let names = self.streams.iter().map(|stream| stream.name().to_string());
        names.chain(self.anp.iter().map(|_| "anp".to_string())).collect()
    }

    /// How many blocks the explained stream has; 0 where no stream looks at pictures.
    fn last_block(&self) -> usize {
        self.streams.get(self.explained).map_or(0, |stream| stream.description.blocks)
    }

    /// The number, from 1, of one of the explained stream's blocks.
    fn block(&self, name: &str) -> Result<usize> {
        let known = self.inner_layers();
        let place = known.iter().position(|known| *known == name);
        place.map(|place| place + 1).ok_or_else(|| no_inner_layer(name, &known))
    }

    /// The same network explained at the stream number `explained`, on `device`.
    fn again(&self, explained: usize, device: Device) -> Result<Self> {
        let mut source = OfNetwork::new(&self.parameters, device);
        let network = Self::build(self.card.clone(), &mut source, device)?;
        Ok(Self { explained, files: self.files.clone(), ..network })
    }

    /// The output of the explained stream's block number `block`, from 1; by-passing it the means
    /// of the blocks before it and of all blocks of the other streams.
    fn split(&self, block: usize, pixels: &Tensor) -> Result<Activation, TchError> {
        let _no_grad = tch::no_grad_guard();
        let mut explained = None;
        let mut context = Vec::new();
        for (number, stream) in self.streams.iter().enumerate() {
            let mut blocks;
            if number == self.explained {
                blocks = stream.first_blocks(block, pixels)?;
                explained = blocks.pop();
            } else {
                blocks = stream.blocks(pixels, false)?;
            }
            context.extend(blocks.iter().map(pooled).collect::<Result<Vec<_>, _>>()?);
        }
        let values = explained
            .ok_or_else(|| TchError::Torch("there is no stream that looks at pictures".into()))?;
        Ok(Activation { values: values.f_to_kind(Kind::Float)?.f_contiguous()?, context })
    }

    /// The means that the output of a block and what by-passes it stand for.
    fn means_from(&self, block: usize, activation: &Activation) -> Result<Means, TchError> {
        let mut context = activation.context.iter();
        let mut streams = Vec::new();
        for (number, stream) in self.streams.iter().enumerate() {
            let explained = number == self.explained;
            let known = if explained { block - 1 } else { stream.description.blocks };
            let mut means: Vec<Tensor> =
                context.by_ref().take(known).map(Tensor::shallow_clone).collect();
            if explained {
                means.push(pooled(&activation.values)?);
                let behind = block..stream.description.blocks;
                let further = stream.backbone.forward_through(behind, &activation.values, false)?;
                means.extend(further.iter().map(pooled).collect::<Result<Vec<_>, _>>()?);
            }
            streams.push(means);
        }
        Ok(Means { streams, pairs: None })
    }
}

/// The logarithm of the mean of the probabilities (N, labels) that logits stand for.
fn late(logits: &[Tensor]) -> Result<Tensor, TchError> {
    let logarithms = logits
        .iter()
        .map(|logits| logits.f_log_softmax(1, Kind::Float))
        .collect::<Result<Vec<_>, _>>()?;
    let sum = Tensor::f_stack(&logarithms, 0)?.f_logsumexp([0_i64].as_slice(), false)?;
    sum.f_sub_scalar((logits.len() as f64).ln())
}

impl Classifier for MultiGap {
    fn card(&self) -> &Card {
        &self.card
    }

    fn prepare(&self, pictures: &[&Rgb8]) -> Result<Tensor> {
        self.normalisation.prepare(pictures, &self.card)
    }

    fn activation(&self, input: &Tensor) -> Result<Activation> {
        self.split(self.last_block(), input).map_err(Error::torch("running the emotion model"))
    }

    fn outputs(&self, activation: &Activation) -> Result<Tensor, TchError> {
        Ok(self.answers(&self.means_from(self.last_block(), activation)?)?.fused)
    }

    fn inner_layers(&self) -> Vec<&str> {
        BLOCK_NAMES[..self.last_block()].to_vec()
    }

    fn inner(&self, name: &str, input: &Tensor) -> Result<Activation> {
        self.split(self.block(name)?, input).map_err(Error::torch("running the emotion model"))
    }

    fn outputs_from(&self, name: &str, inner: &Activation) -> Result<Tensor> {
        let _no_grad = tch::no_grad_guard();
        let answers =
            self.means_from(self.block(name)?, inner).and_then(|means| self.answers(&means));
        Ok(answers.map_err(Error::torch("running the emotion model"))?.fused)
    }

    fn layers(&self) -> Option<&[crate::nn::Layer]> {
        None
    }

    fn streams(&self) -> Vec<&str> {
        self.streams.iter().map(Stream::name).collect()
    }

    fn explaining(&self, stream: usize) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.again(stream, self.normalisation.device())?))
    }

    fn stream_outputs(&self, activation: &Activation) -> Result<Vec<(String, Tensor)>, TchError> {
        let answers = self.answers(&self.means_from(self.last_block(), activation)?)?;
        Ok(self.stream_names().into_iter().zip(answers.streams).collect())
    }

    fn on(&self, device: Device) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.again(self.explained, device)?))
    }

    fn files(&self) -> &[(&'static str, PathBuf)] {
        &self.files
    }
}
