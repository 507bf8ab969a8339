//! Where things are: labelled regions of a picture, in pixels of the upright picture, unclipped.
//!
//! They are computed from pixels by a [`Detector`] (one file each: `darknet`, `yolo_torchscript`),
//! or known beforehand, from a file or an earlier run ([`KnownRegions`]). A picture's [`Regions`]
//! are one or the other. Knows nothing of the network that is explained.

mod check;
mod coco;
pub mod darknet;
mod formats;
mod known;
mod lines;
mod opening;
mod stream;
#[cfg(test)]
mod tests;
mod yolo_torchscript;

pub use formats::{FORMATS, Format, read};
pub use known::{KnownPicture, KnownRegions, MAX_REGIONS};
pub use yolo_torchscript::{BoxThresholds, YoloTorchScript};

use crate::Result;
use crate::image::{
    Canvas, Letterbox, LetterboxFilter, LetterboxRule, Picture, Region, Rgb8, Size,
};
use std::sync::Arc;
use tch::Device;

/// A labelled region of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The index of its class among those of its source.
    pub class: usize,
    /// How sure the source is, in `[0, 1]`; 1 where people drew the region.
    pub confidence: f32,
    /// Where it is, in pixels of the upright picture; may reach beyond the picture.
    pub region: Region,
}

/// What a detector sees of a picture.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Its input.
    pub canvas: Canvas,
    /// How the picture is resized into it.
    pub filter: LetterboxFilter,
    /// Grey level of the bars.
    pub fill: u8,
}

impl View {
    /// The picture as the detector sees it.
    pub fn sight(&self, picture: &Picture) -> Sight {
        let letterbox = self.canvas.letterbox(picture.original);
        Sight { letterbox, pixels: letterbox.apply(&picture.pixels, self.filter, self.fill) }
    }
}

/// A picture on a detector's canvas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// How it lies there.
    pub letterbox: Letterbox,
    /// The canvas.
    pub pixels: Rgb8,
}

/// Finds labelled regions in pixels. Its input, letterbox and suppression are its own business.
pub trait Detector: std::fmt::Debug + Send {
    /// Names of the classes.
    fn classes(&self) -> &[String];

    /// What it sees of a picture.
    fn view(&self) -> View;

    /// Labelled regions a picture, after suppression, by falling confidence. Pictures may differ in
    /// the size of their canvas: those of one size go through the network together, filled up with
    /// copies to as many as there are pictures in all, so that a result depends on the number of
    /// pictures and on none of the others.
    ///
    /// # Errors
    /// The network could not be run.
    fn locate(&self, sights: &[&Sight]) -> Result<Vec<Vec<Located>>>;

    /// The same detector on `device`, for another thread: its tensors are copied there, or shared
    /// where they are there already.
    ///
    /// # Errors
    /// No memory.
    fn on(&self, device: Device) -> Result<Box<dyn Detector>>;

    /// Whether the weights are random numbers from `emocam models synthesize`.
    fn synthesized(&self) -> bool {
        false
    }
}

/// The canvas on which boxes are scored where no detector says otherwise: the published detector's
/// input.
pub const SCORING_CANVAS: Canvas =
    Canvas { size: Size::new(608, 608), stride: None, rule: LetterboxRule::Lightnet };

/// Where the regions of pictures come from.
#[derive(Debug)]
pub enum Regions {
    /// From a network that looks at every picture.
    Detector(Box<dyn Detector>),
    /// From a file or an earlier run; shared by all threads.
    Known(Arc<KnownRegions>),
}

impl Regions {
    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Detector(detector) => detector.classes(),
            Self::Known(known) => known.classes(),
        }
    }

    /// What decode threads need to prepare pictures for [`Self::locate`].
    pub fn finder(&self) -> Finder {
        match self {
            Self::Detector(detector) => {
                let view = detector.view();
                Finder { view: Some(view), known: None, canvas: view.canvas }
            }
            Self::Known(known) => {
                Finder { view: None, known: Some(known.clone()), canvas: known.canvas() }
            }
        }
    }

    /// The regions of each picture of a batch, prepared by the [`Finder`] of these regions.
    ///
    /// # Errors
    /// The detector could not be run.
    pub fn locate(&self, pictures: &[&Seen]) -> Result<Vec<Vec<Located>>> {
        match self {
            Self::Known(_) => Ok(pictures.iter().map(|seen| seen.known.clone()).collect()),
            Self::Detector(detector) => {
                let sights = pictures
                    .iter()
                    .map(|seen| seen.sight.as_ref().expect("prepared for the detector's view"));
                detector.locate(&sights.collect::<Vec<_>>())
            }
        }
    }

    /// The same on `device`, for another thread.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        Ok(match self {
            Self::Detector(detector) => Self::Detector(detector.on(device)?),
            Self::Known(known) => Self::Known(known.clone()),
        })
    }
}

/// Prepares pictures for [`Regions::locate`], without a detector; nothing is found where there are
/// no regions at all.
#[derive(Debug, Clone)]
pub struct Finder {
    /// What a detector sees of a picture, where one looks.
    pub view: Option<View>,
    /// The canvas on which boxes are scored: that of the detector, now or in the run that the
    /// regions are from, else the published one's.
    pub canvas: Canvas,
    known: Option<Arc<KnownRegions>>,
}

/// A picture as [`Regions::locate`] takes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// What a detector sees of it, where one looks.
    pub sight: Option<Sight>,
    /// Its regions, where they are known.
    known: Vec<Located>,
}

impl Default for Finder {
    fn default() -> Self {
        Self { view: None, canvas: SCORING_CANVAS, known: None }
    }
}

impl Finder {
    /// The picture named `path` in the corpus.
    ///
    /// # Errors
    /// Its known regions are those of a picture of another size.
    pub fn see(&self, picture: &Picture, path: &str) -> Result<Seen> {
        let known = match &self.known {
            Some(known) => known.regions(path, picture.original)?.to_vec(),
            None => Vec::new(),
        };
        Ok(Seen { sight: self.view.map(|view| view.sight(picture)), known })
    }
}
