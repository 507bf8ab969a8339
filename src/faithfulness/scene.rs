//! What all maps of one picture are judged with, and the probabilities that the maps lead to.
//!
//! Changed pictures are drawn when their batch goes into the network: memory does not follow the
//! number of maps.

use super::explained::Grid;
use super::pixels::{Change, Common, OrderedMap, Pixels};
use super::probe::Probe;
use super::road::FIFTHS;
use super::{Curve, Measure, Plan, baseline};
use crate::image::Size;
use crate::run::Timings;
use crate::{Error, Result};
use rayon::prelude::*;
use std::time::Instant;
use tch::{Device, TchError, Tensor};

/// A picture, ready to be changed.
pub(super) struct ProbedPicture<'a> {
    probe: Probe<'a>,
    /// The random baseline, which also orders equal values.
    pub random: Vec<f32>,
    plan: &'a Plan,
    pixels: Pixels,
}

/// What changed pictures lead to.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Readings {
    /// Probabilities along each curve of the plan, in its order, both ends included.
    pub curves: Vec<(Curve, Vec<f64>)>,
    /// Probability of the picture times the map.
    pub shown: Option<f64>,
}

impl Readings {
    /// The probabilities along `curve`, if the plan has it.
    pub(super) fn curve(&self, curve: Curve) -> Option<&[f64]> {
        self.curves.iter().find(|(other, _)| *other == curve).map(|(_, values)| values.as_slice())
    }
}

impl<'a> ProbedPicture<'a> {
    /// `size` is the model's input, `grid` the places of A, `seed` the picture's.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn new(
        probe: Probe<'a>,
        (grid, size): (Grid, Size),
        seed: u64,
        plan: &'a Plan,
    ) -> Result<Self> {
        let random = baseline::random(grid, size, seed)?;
        Ok(Self { random, plan, pixels: Pixels::new(&probe.input, size, seed, plan)?, probe })
    }

    /// The probability of the picture as it is, and for each of `maps`, row by row and of the
    /// scene's size, everything the plan asks.
    ///
    /// # Errors
    /// The network cannot be run.
    pub(super) fn readings(
        &self,
        maps: &[&[f32]],
        timings: &mut Timings,
    ) -> Result<(f64, Vec<Readings>)> {
        let clock = Instant::now();
        let mut drawing = 0.0;
        let random = &self.random;
        let maps: Vec<OrderedMap> =
            maps.par_iter().map(|map| OrderedMap::new(map, random)).collect();
        drawing += clock.elapsed().as_secs_f64();
        let changes = self.changes(maps.len());
        let found = self.probe.probabilities(changes.len(), &mut |numbers| {
            let clock = Instant::now();
            let inputs = self
                .inputs(&numbers.iter().map(|&number| changes[number]).collect::<Vec<_>>(), &maps);
            drawing += clock.elapsed().as_secs_f64();
            inputs
        })?;
        *timings.compose.get_or_insert(0.0) += drawing;
        timings.emotion += clock.elapsed().as_secs_f64() - drawing;
        Ok(self.collected(maps.len(), &changes, &found))
    }

    /// Every picture that the plan wants to see in the network. Those that take longest to draw
    /// come first, and beside their like, so that a batch of them keeps all cores busy.
    fn changes(&self, maps: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        let (road, plain): (Vec<Curve>, Vec<Curve>) =
            self.plan.curves().into_iter().partition(|curve| curve.is_road());
        for &fifths in FIFTHS.iter().rev() {
            let of_map =
                |map| road.iter().map(move |&curve| Change::Point { map, curve, point: fifths });
            changes.extend((0..maps).flat_map(of_map));
        }
        changes.extend([Common::Whole, Common::Nothing, Common::Blurred].map(Change::Common));
        for map in 0..maps {
            for &curve in &plain {
                changes.extend((1..self.plan.steps).map(|point| Change::Point {
                    map,
                    curve,
                    point,
                }));
            }
            if self.plan.has(Measure::Confidence) {
                changes.push(Change::Product { map });
            }
        }
        changes
    }

    /// Changed pictures as the network takes them, (N, 3, rows, columns), drawn side by side.
    fn inputs(&self, changes: &[Change], maps: &[OrderedMap<'_>]) -> Result<Tensor> {
        let pixels = &self.pixels;
        let mut values = vec![0.0; pixels.len() * changes.len()];
        let pictures = values.par_chunks_exact_mut(pixels.len()).zip(changes).with_max_len(1);
        pictures.try_for_each(|(picture, &change)| pixels.draw(change, maps, picture))?;
        let inputs = as_inputs(&values, pixels.size(), self.probe.input.device());
        inputs.map_err(Error::torch("preparing changed pictures"))
    }

    /// From the probability of each change to the readings of each of so many maps.
    fn collected(&self, maps: usize, changes: &[Change], found: &[f64]) -> (f64, Vec<Readings>) {
        let common = |wanted: Common| {
            let place = changes.iter().position(|change| *change == Change::Common(wanted));
            found[place.expect("what all maps have in common is among the changes")]
        };
        let whole = common(Common::Whole);
        let curve = |curve: Curve| {
            let first = if curve == Curve::Insertion { common(Common::Blurred) } else { whole };
            let mut points = vec![first; curve.points(self.plan.steps)];
            let last = points.len() - 1;
            match curve {
                Curve::Deletion => points[last] = common(Common::Nothing),
                Curve::Insertion => points[last] = whole,
                Curve::RoadMost | Curve::RoadLeast => {}
            }
            (curve, points)
        };
        let curves: Vec<(Curve, Vec<f64>)> = self.plan.curves().into_iter().map(curve).collect();
        let mut readings = vec![Readings { curves, shown: None }; maps];
        for (change, &probability) in changes.iter().zip(found) {
            match *change {
                Change::Common(_) => {}
                Change::Product { map } => readings[map].shown = Some(probability),
                Change::Point { map, curve, point } => {
                    let own = readings[map].curves.iter_mut().filter(|(other, _)| *other == curve);
                    own.for_each(|(_, points)| points[point] = probability);
                }
            }
        }
        (whole, readings)
    }
}

/// Pictures as [`Pixels::draw`] draws them, one after the other, to (N, 3, rows, columns).
fn as_inputs(pixels: &[f32], size: Size, device: Device) -> Result<Tensor, TchError> {
    let shape = [-1, i64::from(size.height), i64::from(size.width), 3];
    Tensor::f_from_slice(pixels)?.f_reshape(shape)?.f_to_device(device)?.f_permute([0, 3, 1, 2])
}
