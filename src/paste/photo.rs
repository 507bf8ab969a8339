//! One photo on its way through the experiment: decoded and resized once, composed as often as
//! asked, answered, recorded.

use super::compose::{Footprint, Sprites, spot_footprint};
use super::focus::Look;
use super::record::{Focus, PasteRecord, Pasted, Spot};
use super::settings::Fill;
use crate::image::{BoundingBox, KeptResize, Letterbox, Placement, Rgb8, Size};
use crate::networks::Prediction;
use crate::regions::Seen;

/// A photo that was decoded and resized.
#[derive(Debug)]
pub struct PreparedPhoto {
    /// Its path in the corpus.
    pub path: String,
    /// How it lies in the explained network's input.
    pub placement: Placement,
    /// What of it is in the input, resized.
    pub photo: KeptResize,
    /// One an object.
    pub sprites: Vec<Sprites>,
    /// For the regions that objects are pasted on.
    pub seen: Seen,
    /// The canvas on which boxes are scored.
    pub scoring: Letterbox,
}

/// A photo whose inputs are on their way through the network: the original first, then for every
/// object every fill, in it every spot.
#[derive(Debug)]
pub(super) struct OpenPhoto<'a> {
    prepared: &'a PreparedPhoto,
    spots: Vec<Spot>,
    fills: &'a [Fill],
    /// Inputs in all.
    pub inputs: usize,
    look: Option<Look>,
}

impl<'a> OpenPhoto<'a> {
    /// A photo in which something is pasted at these spots.
    pub(super) fn new(prepared: &'a PreparedPhoto, spots: Vec<Spot>, fills: &'a [Fill]) -> Self {
        let inputs = 1 + prepared.sprites.len() * fills.len() * spots.len();
        Self { prepared, spots, fills, inputs, look: None }
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

    /// The network's input of this number.
    pub(super) fn compose(&self, input: usize) -> Rgb8 {
        let PreparedPhoto { photo, placement, .. } = self.prepared;
        if input == 0 {
            return placement.frame(photo.result().clone());
        }
        let (sprites, fill, _, footprint) = self.parts(input);
        placement.frame(sprites.paste(photo, fill, footprint.as_ref()))
    }

    /// Takes the map of the original, over the network's input.
    pub(super) fn look_at(&mut self, map: &[f32]) {
        self.look = Some(Look::new(self.prepared.scoring, &self.prepared.placement, map));
    }

    /// Compares the map of an input with the original's; `None` for the original.
    pub(super) fn focus(&self, input: usize, map: &[f32]) -> Option<Focus> {
        let look = self.look.as_ref().filter(|_| input > 0)?;
        let (sprites, _, spot, footprint) = self.parts(input);
        let mask =
            footprint.map(|footprint| (footprint.left, footprint.top, sprites.mask(&footprint)));
        Some(look.compare(map, mask.as_ref(), spot.bounding_box.as_ref()))
    }

    /// The record, from the answers to all inputs in their order.
    pub(super) fn record(self, answers: &[(Prediction, Option<Focus>)]) -> PasteRecord {
        let pasted = answers.iter().enumerate().skip(1).map(|(input, (answer, focus))| {
            let (sprites, _, _, footprint) = self.parts(input);
            Pasted {
                label: answer.label,
                probabilities: answer.probabilities.clone(),
                covered: sprites.covered(self.size(), footprint.as_ref()) as f32,
                focus: *focus,
            }
        });
        let (original, _) = &answers[0];
        PasteRecord {
            path: self.prepared.path.clone(),
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
pub(super) fn on_box(position: usize, of: BoundingBox, photo: Size) -> Spot {
    let middle =
        |low: f32, high: f32, side: u32| (f64::from(low) + f64::from(high)) / 2.0 / f64::from(side);
    let (x, y) =
        (middle(of.x_min, of.x_max, photo.width), middle(of.y_min, of.y_max, photo.height));
    Spot { position, x, y, bounding_box: Some(of) }
}
