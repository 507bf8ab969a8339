//! YOLO networks of the Darknet family, from version 3 on: from a letterboxed picture to labelled
//! boxes.
//!
//! [`Darknet`] runs any YOLO network of the Darknet family from version 3 on. Knows nothing of
//! emotions or maps.

mod cfg;
mod head;
mod network;
mod nms;

pub use cfg::{Cfg, CfgLayer, LayerKind};
pub use network::{DarknetNetwork, Head};
pub use nms::suppress;
pub(super) use nms::suppress_by;

use super::{Detector, Located, Sight, View};
use crate::image::{BoundingBox, Canvas, Letterbox, LetterboxFilter, Rgb8, Size};
use crate::nn::weights::darknet::DarknetWeights;
use crate::nn::{Precision, stack};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

/// What the header's count of training images is in weights made by `emocam models synthesize`:
/// "SYNTH" in ASCII, about 358 thousand million images.
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

/// What [`Darknet`] is told besides its files.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DarknetSettings {
    /// Which labels are kept.
    pub thresholds: Thresholds,
    /// Number format inside the network.
    pub precision: Precision,
    /// Run on the picture's content alone, its sides rounded up to the network's stride, where the
    /// network allows it.
    pub rect: bool,
    /// How a picture is resized into the letterbox.
    pub filter: LetterboxFilter,
    /// Grey level of the bars.
    pub fill: u8,
}

/// A Darknet network with its class names, thresholds and view of pictures.
#[derive(Debug)]
pub struct Darknet {
    network: DarknetNetwork,
    classes: Vec<String>,
    settings: DarknetSettings,
    synthesized: bool,
    stride: Option<u32>,
}

impl Darknet {
    /// A detector from a `.cfg`, its `.weights` and the names of its classes, as many as the cfg
    /// has.
    ///
    /// # Errors
    /// See [`DarknetNetwork::load`].
    pub fn load(
        cfg: &Cfg,
        weights: &std::path::Path,
        classes: Vec<String>,
        settings: DarknetSettings,
        device: Device,
    ) -> Result<Self> {
        let weights = DarknetWeights::open(weights, cfg.parameter_count()?)?;
        let synthesized = weights.header().seen == SYNTHESIZED_SEEN;
        let network = DarknetNetwork::load(cfg, weights, device, settings.precision)?;
        Ok(Self { network, classes, settings, synthesized, stride: cfg.stride() })
    }

    /// The network alone.
    pub fn network(&self) -> &DarknetNetwork {
        &self.network
    }

    /// Size of the whole input.
    pub fn input(&self) -> Size {
        self.network.input()
    }

    /// Labelled boxes in pixels of the canvas, a list a picture, as [`Detector::locate`].
    ///
    /// # Errors
    /// The network could not be run.
    ///
    /// # Panics
    /// When a picture's size is neither the input's nor made of whole strides: a mistake of the
    /// caller.
    pub fn detect(&self, pictures: &[&Rgb8]) -> Result<Vec<Vec<Detection>>> {
        let mut by_size: Vec<(Size, Vec<usize>)> = Vec::new();
        for (number, size) in pictures.iter().map(|picture| picture.size()).enumerate() {
            match by_size.iter_mut().find(|(known, _)| *known == size) {
                Some((_, places)) => places.push(number),
                None => by_size.push((size, vec![number])),
            }
        }
        let mut found = vec![Vec::new(); pictures.len()];
        for (size, places) in by_size {
            let whole = |side: u32| self.stride.is_some_and(|stride| side.is_multiple_of(stride));
            let fits = size == self.input() || (whole(size.width) && whole(size.height));
            assert!(
                fits,
                "a picture of {size} is none for a detector of {}, stride {:?}",
                self.input(),
                self.stride
            );
            let mut filled: Vec<&Rgb8> = places.iter().map(|&place| pictures[place]).collect();
            filled.resize(pictures.len(), filled[0]);
            for (place, detections) in places.into_iter().zip(self.detect_alike(&filled, size)?) {
                found[place] = detections;
            }
        }
        Ok(found)
    }

    /// [`Self::detect`] for pictures of one size.
    fn detect_alike(&self, pictures: &[&Rgb8], size: Size) -> Result<Vec<Vec<Detection>>> {
        let _no_grad = tch::no_grad_guard();
        let x = stack(pictures, size, self.network.device())
            .and_then(|x| x.f_to_kind(Kind::Float)?.f_div_scalar(255.0))
            .map_err(Error::torch("preparing the detector's input"))?;
        let mut found: Vec<Vec<Detection>> = vec![Vec::new(); pictures.len()];
        let Thresholds { class_scores, confidence, nms_iou } = self.settings.thresholds;
        for (raw, head) in self.network.forward(&x)?.iter().zip(self.network.heads()) {
            let decoded = head::decode(raw, head, class_scores, confidence)
                .map_err(Error::torch("decoding the detector's output"))?;
            found.iter_mut().zip(decoded).for_each(|(all, more)| all.extend(more));
        }
        Ok(found.into_par_iter().map(|labels| suppress(labels, nms_iou)).collect())
    }
}

impl Detector for Darknet {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn view(&self) -> View {
        let DarknetSettings { rect, filter, fill, .. } = self.settings;
        let canvas = Canvas { stride: self.stride.filter(|_| rect), ..self.input().into() };
        View { canvas, filter, fill }
    }

    fn locate(&self, sights: &[&Sight]) -> Result<Vec<Vec<Located>>> {
        let pictures: Vec<&Rgb8> = sights.iter().map(|sight| &sight.pixels).collect();
        let detected = self.detect(&pictures)?.into_iter().zip(sights);
        Ok(detected.map(|(found, sight)| on_picture(&found, &sight.letterbox)).collect())
    }

    fn on(&self, device: Device) -> Result<Box<dyn Detector>> {
        let (network, classes) = (self.network.on(device)?, self.classes.clone());
        let Self { settings, synthesized, stride, .. } = *self;
        Ok(Box::new(Self { network, classes, settings, synthesized, stride }))
    }

    fn synthesized(&self) -> bool {
        self.synthesized
    }
}

/// Detections on a canvas as regions of the picture that lies on it.
pub(super) fn on_picture(found: &[Detection], letterbox: &Letterbox) -> Vec<Located> {
    let located = |&Detection { class, confidence, bounding_box }: &Detection| Located {
        class,
        confidence,
        region: letterbox.to_original(&bounding_box).into(),
    };
    found.iter().map(located).collect()
}
