//! Where in one photo does the answer change? A dense grid of positions at a few scales, nothing
//! kept but numbers.

use super::compose::{Sprites, spot_footprint};
use super::object::PastedObject;
use super::positions::{Position, Positions};
use super::settings::{Fill, check_scale};
use crate::Result;
use crate::image::{KeptResize, Placement, Rgb8};
use crate::networks::{Classifier, Prediction, predict};
use crate::pipeline::in_batches;
use crate::random::Random;
use rayon::prelude::*;

/// Inputs of the network at a time.
const BATCH: usize = 64;

/// What is tried.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// What is pasted.
    pub object: &'a PastedObject,
    /// Columns and rows of the grid.
    pub grid: (usize, usize),
    /// Heights of the object as shares of the photo's.
    pub scales: &'a [f64],
}

/// How the answer changes over a grid of positions at some scales.
#[derive(Debug, Clone)]
pub struct SwitchMap {
    /// The answer with nothing pasted.
    pub original: Prediction,
    /// The grid's positions, row by row.
    pub positions: Vec<Position>,
    /// Per scale the answer at every position.
    pub answers: Vec<Vec<Prediction>>,
    /// Scale and position of the strongest switch: where another label has the largest lead over
    /// the original one; where no label changes, where the original one has the smallest lead.
    pub strongest: (usize, usize),
}

impl SwitchMap {
    /// The probability of the best other label less that of the original one: positive where the
    /// label changes.
    pub fn lead(&self, scale: usize, position: usize) -> f32 {
        let probabilities = &self.answers[scale][position].probabilities;
        let own = self.original.label;
        let others = probabilities.iter().enumerate().filter(|(label, _)| *label != own);
        others.map(|(_, &p)| p).fold(0.0_f32, f32::max) - probabilities[own]
    }
}

/// Tries every position of the grid at every scale in `photo`.
///
/// # Errors
/// A scale that is none; the network cannot be run.
pub fn find_switch(
    photo: &Rgb8,
    search: &Search<'_>,
    network: &dyn Classifier,
) -> Result<SwitchMap> {
    search.scales.iter().try_for_each(|&scale| check_scale(scale))?;
    let fit = network.card().fit;
    let placement = fit.placement(photo.size());
    let Placement { resized, columns, rows, .. } = placement.clone();
    let kept = KeptResize::part(photo.clone(), resized, columns, rows, fit.filter);
    let original = predict(network, &[&placement.frame(kept.result().clone())])?.remove(0);
    let mut size = BATCH;
    let positions = Positions::grid(search.grid.0, search.grid.1).positions;
    let mut found = SwitchMap { original, positions, answers: Vec::new(), strongest: (0, 0) };
    for &scale in search.scales {
        let sprites = Sprites::new(search.object, photo, scale, &[Fill::Object], Random::new(0, 0));
        let mut of_scale = Vec::with_capacity(found.positions.len());
        for positions in found.positions.chunks(BATCH) {
            let compose = |position: &Position| {
                let footprint =
                    spot_footprint(sprites.size(), photo.size(), position.x, position.y);
                placement.frame(sprites.paste(&kept, Fill::Object, footprint.as_ref()))
            };
            let inputs: Vec<Rgb8> = positions.par_iter().map(compose).collect();
            let inputs: Vec<&Rgb8> = inputs.iter().collect();
            of_scale.extend(in_batches(&inputs, &mut size, |batch| predict(network, batch))?);
        }
        found.answers.push(of_scale);
    }
    for scale in 0..found.answers.len() {
        for position in 0..found.positions.len() {
            if found.lead(scale, position) > found.lead(found.strongest.0, found.strongest.1) {
                found.strongest = (scale, position);
            }
        }
    }
    Ok(found)
}

/// The photo at its own size with the object at a position.
pub fn rendered(photo: &Rgb8, object: &PastedObject, scale: f64, at: &Position) -> Rgb8 {
    let sprites = Sprites::new(object, photo, scale, &[Fill::Object], Random::new(0, 0));
    let mut out = photo.clone();
    if let Some(at) = spot_footprint(sprites.size(), photo.size(), at.x, at.y) {
        out.put(at.left, at.top, &sprites.patch(photo, Fill::Object, &at));
    }
    out
}
