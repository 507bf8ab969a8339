//! One photo on its way through the experiment: decoded and resized once, composed as often as asked, answered, recorded.

use super::compose::{spot_footprint, Footprint, Sprites};
use super::focus::{Look, CANVAS};
use super::object::PastedObject;
use super::record::{Focus, PasteRecord, Pasted, Spot};
use super::settings::{Fill, PasteSettings};
use crate::config::Config;
use crate::corpus::{DecodeOptions, Source};
use crate::image::{BoundingBox, Canvas, Filter, KeptResize, Letterbox, Rgb8, Size};
use crate::networks::Emotion;
use crate::random::Random;
use crate::Result;

/// A photo that was decoded and resized.
#[derive(Debug)]
pub struct PreparedPhoto {
    pub photo: KeptResize,
    /// One an object.
    pub sprites: Vec<Sprites>,
    /// The detector's input, when it is wanted, and how the photo lies in it.
    pub canvas: Option<(Letterbox, Rgb8)>,
}

/// What a decode thread needs, which is no network.
#[derive(Clone, Copy)]
pub struct Preparation<'a> {
    pub objects: &'a [PastedObject],
    pub settings: &'a PasteSettings,
    pub config: &'a Config,
    /// Of the emotion model.
    pub input: Size,
    /// Of the detector, when it is wanted.
    pub detector: Option<Canvas>,
}

impl Preparation<'_> {
    pub fn prepare(&self, source: &Source) -> Result<PreparedPhoto> {
        let options = DecodeOptions { ignore_exif: self.config.corpus.ignore_exif, ..DecodeOptions::default() };
        let photo = source.decode(&options)?.pixels;
        let canvas = self.detector.map(|canvas| {
            let (letterbox, config) = (canvas.letterbox(photo.size()), &self.config.detector);
            (letterbox, letterbox.apply(&photo, config.letterbox_filter, config.fill()))
        });
        let PasteSettings { scale, fills, .. } = self.settings;
        let sprites = |object: &PastedObject| {
            // Of the photo and the object, so that neither order nor threads nor a resumption change a result.
            let random = Random::of_text(self.config.cam.seed, &format!("{}\n{}", source.path, object.name));
            Sprites::new(object, &photo, *scale, fills, random)
        };
        let sprites = self.objects.iter().map(sprites).collect();
        Ok(PreparedPhoto { sprites, canvas, photo: KeptResize::new(photo, self.input, Filter::Bicubic) })
    }
}

/// A photo whose inputs are on their way through the network: the original first, then for every object every fill, in it
/// every spot.
#[derive(Debug)]
pub struct Open<'a> {
    source: &'a Source,
    prepared: PreparedPhoto,
    spots: Vec<Spot>,
    fills: &'a [Fill],
    /// Inputs in all.
    pub inputs: usize,
    /// Inputs that were composed.
    pub begun: usize,
    /// Of the inputs, in their order, as they come.
    pub answers: Vec<(Emotion, Option<Focus>)>,
    look: Option<Look>,
}

impl<'a> Open<'a> {
    pub fn new(source: &'a Source, prepared: PreparedPhoto, spots: Vec<Spot>, fills: &'a [Fill]) -> Self {
        let inputs = 1 + prepared.sprites.len() * fills.len() * spots.len();
        Self { source, prepared, spots, fills, inputs, begun: 0, answers: Vec::with_capacity(inputs), look: None }
    }

    fn size(&self) -> Size {
        self.prepared.photo.image().size()
    }

    /// Object, fill, spot and footprint of an input that is not the original.
    fn parts(&self, input: usize) -> (&Sprites, Fill, &Spot, Option<Footprint>) {
        let (spots, at) = (self.spots.len(), input - 1);
        let sprites = &self.prepared.sprites[at / spots / self.fills.len()];
        let spot = &self.spots[at % spots];
        let footprint = spot_footprint(sprites.size(), self.size(), spot.x, spot.y);
        (sprites, self.fills[at / spots % self.fills.len()], spot, footprint)
    }

    /// The emotion model's input of this number.
    pub fn compose(&self, input: usize) -> Rgb8 {
        if input == 0 {
            return self.prepared.photo.result().clone();
        }
        let (sprites, fill, _, at) = self.parts(input);
        sprites.paste(&self.prepared.photo, fill, at.as_ref())
    }

    /// Takes the map of the original, of the given size.
    pub fn look_at(&mut self, size: Size, map: &[f32]) {
        let fit = || Letterbox::fit(self.size(), CANVAS);
        let letterbox = self.prepared.canvas.as_ref().map_or_else(fit, |(letterbox, _)| *letterbox);
        self.look = Some(Look::new(letterbox, size, map));
    }

    /// Compares the map of an input with the original's; `None` for the original.
    pub fn focus(&self, input: usize, map: &[f32]) -> Option<Focus> {
        let look = self.look.as_ref().filter(|_| input > 0)?;
        let (sprites, _, spot, at) = self.parts(input);
        let mask = at.map(|at| (at.left, at.top, sprites.mask(&at)));
        Some(look.compare(map, mask.as_ref(), spot.bounding_box.as_ref()))
    }

    /// The record, when all answers are there.
    pub fn record(self) -> PasteRecord {
        let pasted = self.answers.iter().enumerate().skip(1).map(|(input, (answer, focus))| {
            let (sprites, _, _, at) = self.parts(input);
            Pasted {
                label: answer.label,
                probabilities: answer.probabilities.clone(),
                covered: sprites.covered(self.size(), at.as_ref()) as f32,
                focus: *focus,
            }
        });
        let (original, _) = &self.answers[0];
        PasteRecord {
            path: self.source.path.clone(),
            width: self.size().width,
            height: self.size().height,
            label: original.label,
            probabilities: original.probabilities.clone(),
            pasted: pasted.collect(),
            spots: self.spots.clone(),
        }
    }
}

/// The centre of a box as a spot.
pub fn on_box(position: usize, of: BoundingBox, photo: Size) -> Spot {
    let middle = |low: f32, high: f32, side: u32| (f64::from(low) + f64::from(high)) / 2.0 / f64::from(side);
    let (x, y) = (middle(of.x_min, of.x_max, photo.width), middle(of.y_min, of.y_max, photo.height));
    Spot { position, x, y, bounding_box: Some(of) }
}
