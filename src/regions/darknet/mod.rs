//! Object detection: from a letterboxed picture to labelled boxes.
//!
//! [`Darknet`] runs any YOLO network of the Darknet family from version 3 on. Knows nothing of emotions or maps.

mod activation;
mod cfg;
mod head;
mod network;
mod nms;

pub use activation::Activation;
pub use cfg::{Cfg, Layer, LayerKind};
pub use network::{Head, Network};
pub use nms::suppress;

use crate::image::{BoundingBox, Canvas, Rgb8, Size};
use crate::nn::weights::darknet::DarknetWeights;
use crate::nn::{stack, Precision};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

/// What the header's count of training images is in weights made by `emocam models synthesize`: "SYNTH" in ASCII, about
/// 358 thousand million images.
pub(crate) const SYNTHESIZED_SEEN: i64 = 0x53_59_4e_54_48;

/// One labelled box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Index of the class.
    pub class: usize,
    /// In `[0, 1]`: objectness times the class's score.
    pub confidence: f32,
    /// In pixels of the detector's input; may reach beyond it.
    pub bounding_box: BoundingBox,
}

/// How the class numbers of a box become labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassScores {
    /// Softmax over the classes, one label a box: the published pipeline (Lightnet).
    #[default]
    Softmax,
    /// A sigmoid per class, every class over the threshold: Darknet.
    Logistic,
}

/// A detector of objects.
pub trait Detector {
    /// Size of the pictures [`Self::detect`] takes.
    fn input(&self) -> Size;

    /// Of what smaller pictures' sides must be multiples; `None`: it takes its full input alone.
    fn stride(&self) -> Option<u32>;

    /// The canvas for pictures: the full input or, if `rect` and the network allows it, what of it the content needs.
    fn canvas(&self, rect: bool) -> Canvas {
        Canvas { size: self.input(), stride: self.stride().filter(|_| rect) }
    }

    /// Labelled boxes per picture, after suppression, by falling confidence. Pictures may differ in size: those of one size
    /// go through the network together, filled up with copies to as many as there are pictures in all, so that a result
    /// depends on the number of pictures and on none of the others.
    ///
    /// # Errors
    /// The network could not be run.
    fn detect(&self, pictures: &[&Rgb8]) -> Result<Vec<Vec<Detection>>>;
}

/// Thresholds of [`Darknet`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// See [`ClassScores`].
    pub class_scores: ClassScores,
    /// Labels must be more confident than this.
    pub confidence: f32,
    /// See [`suppress`].
    pub nms_iou: f32,
}

/// A Darknet network with its thresholds.
#[derive(Debug)]
pub struct Darknet {
    network: Network,
    thresholds: Thresholds,
    synthesized: bool,
    stride: Option<u32>,
}

impl Darknet {
    /// A detector from a `.cfg` and its `.weights`.
    ///
    /// # Errors
    /// See [`Network::load`].
    pub fn load(
        cfg: &Cfg,
        weights: &std::path::Path,
        thresholds: Thresholds,
        device: Device,
        precision: Precision,
    ) -> Result<Self> {
        let weights = DarknetWeights::open(weights, cfg.parameter_count()?)?;
        let synthesized = weights.header().seen == SYNTHESIZED_SEEN;
        let network = Network::load(cfg, weights, device, precision)?;
        Ok(Self { network, thresholds, synthesized, stride: cfg.stride() })
    }

    /// The same detector on `device`: its tensors are copied there, or shared where they are there already.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        let Self { thresholds, synthesized, stride, .. } = *self;
        Ok(Self { network: self.network.on(device)?, thresholds, synthesized, stride })
    }

    /// Whether the weights are random numbers from `emocam models synthesize`.
    pub fn synthesized(&self) -> bool {
        self.synthesized
    }

    /// The network alone.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// [`Detector::detect`] for pictures of one size.
    fn detect_alike(&self, pictures: &[&Rgb8], size: Size) -> Result<Vec<Vec<Detection>>> {
        let _no_grad = tch::no_grad_guard();
        let x = stack(pictures, size, self.network.device())
            .and_then(|x| x.f_to_kind(Kind::Float)?.f_div_scalar(255.0))
            .map_err(Error::torch("preparing the detector's input"))?;
        let mut found: Vec<Vec<Detection>> = vec![Vec::new(); pictures.len()];
        for (raw, head) in self.network.forward(&x)?.iter().zip(self.network.heads()) {
            let Thresholds { class_scores, confidence, .. } = self.thresholds;
            let of_head = head::decode(raw, head, class_scores, confidence)
                .map_err(Error::torch("decoding the detector's output"))?;
            found.iter_mut().zip(of_head).for_each(|(all, more)| all.extend(more));
        }
        Ok(found.into_iter().map(|labels| suppress(labels, self.thresholds.nms_iou)).collect())
    }
}

impl Detector for Darknet {
    fn input(&self) -> Size {
        self.network.input()
    }

    fn stride(&self) -> Option<u32> {
        self.stride
    }

    fn detect(&self, pictures: &[&Rgb8]) -> Result<Vec<Vec<Detection>>> {
        let mut by_size: Vec<(Size, Vec<usize>)> = Vec::new();
        for (at, size) in pictures.iter().map(|picture| picture.size()).enumerate() {
            match by_size.iter_mut().find(|(known, _)| *known == size) {
                Some((_, places)) => places.push(at),
                None => by_size.push((size, vec![at])),
            }
        }
        let mut found = vec![Vec::new(); pictures.len()];
        for (size, places) in by_size {
            let whole = |side: u32| self.stride.is_some_and(|stride| side.is_multiple_of(stride));
            let fits = size == self.input() || (whole(size.width) && whole(size.height));
            assert!(fits, "a picture of {size} is none for a detector of {}, stride {:?}", self.input(), self.stride);
            let mut filled: Vec<&Rgb8> = places.iter().map(|&at| pictures[at]).collect();
            filled.resize(pictures.len(), filled[0]);
            for (at, detections) in places.into_iter().zip(self.detect_alike(&filled, size)?) {
                found[at] = detections;
            }
        }
        Ok(found)
    }
}
