//! A picture at the network's input, pixel by pixel, and what it looks like with a change.
//!
//! Everything is f32 levels less whatever the network subtracts, the channels of a pixel beside
//! each other, row by row.

use super::confidence::multiply;
use super::curve::{blurred, counts, replace};
use super::impute::RgbLevels;
use super::order::ranks;
use super::road::{First, noise, without};
use super::{Curve, Measure, Plan};
use crate::image::Size;
use crate::{Error, Result};
use tch::{Device, TchError, Tensor};

/// A picture that is the same for all maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Common {
    /// The picture as it is.
    Whole,
    /// Zero everywhere.
    Nothing,
    /// The picture blurred.
    Blurred,
}

/// A picture that goes into the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// None, or one that no map is needed for.
    Common(Common),
    /// By a map, at a point of a curve that is none of its ends.
    Point { map: usize, curve: Curve, point: usize },
    /// The picture times a map.
    Product { map: usize },
}

/// A map, and the order in which it gives up its pixels.
pub(super) struct OrderedMap<'m> {
    map: &'m [f32],
    ranks: Vec<i64>,
}

impl<'m> OrderedMap<'m> {
    /// Equal values go by `ties`.
    pub(super) fn new(map: &'m [f32], ties: &[f32]) -> Self {
        Self { map, ranks: ranks(map, ties) }
    }
}

/// The picture as it is and what it is changed to.
pub(super) struct Pixels {
    size: Size,
    input: Vec<f32>,
    blurred: Vec<f32>,
    nothing: Vec<f32>,
    /// The input's pixels and ROAD's noise on them; empty where ROAD is not wanted.
    colours: Vec<RgbLevels>,
    noise: Vec<RgbLevels>,
    /// Replaced pixels at each point of the deletion and insertion curves.
    counts: Vec<i64>,
}

impl Pixels {
    /// Of `input` (1, 3, rows, columns), which has `size`; `seed` is the picture's.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn new(input: &Tensor, size: Size, seed: u64, plan: &Plan) -> Result<Self> {
        let read =
            |input: &Tensor| pixels_of(input).map_err(Error::torch("preparing changed pictures"));
        let blurred = read(&blurred(input).map_err(Error::torch("blurring a picture"))?)?;
        let input = read(input)?;
        let (mut colours, mut noises) = (Vec::new(), Vec::new());
        if plan.has(Measure::Road) {
            colours =
                input.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]].map(f64::from)).collect();
            noises = noise(size, seed);
        }
        let (nothing, counts) = (vec![0.0; input.len()], counts(size.area(), plan.steps));
        Ok(Self { size, input, blurred, nothing, colours, noise: noises, counts })
    }

    /// The picture's size.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// How many numbers a picture has.
    pub(super) fn len(&self) -> usize {
        self.input.len()
    }

    /// Draws a changed picture into `picture`, which has [`Self::len`] numbers; `maps` are those
    /// that changes name by their places.
    ///
    /// # Errors
    /// Removed pixels cannot be filled in.
    pub(super) fn draw(
        &self,
        change: Change,
        maps: &[OrderedMap<'_>],
        picture: &mut [f32],
    ) -> Result<()> {
        match change {
            Change::Common(Common::Whole) => picture.copy_from_slice(&self.input),
            Change::Common(Common::Nothing) => picture.copy_from_slice(&self.nothing),
            Change::Common(Common::Blurred) => picture.copy_from_slice(&self.blurred),
            Change::Product { map } => multiply(&self.input, maps[map].map, picture),
            Change::Point { map, curve, point } => {
                let ranks = &maps[map].ranks;
                let count = || self.counts[point];
                match curve {
                    Curve::Deletion => replace(&self.input, &self.nothing, ranks, count(), picture),
                    Curve::Insertion => {
                        replace(&self.blurred, &self.input, ranks, count(), picture);
                    }
                    Curve::RoadMost => self.fill(ranks, (First::MostRelevant, point), picture)?,
                    Curve::RoadLeast => self.fill(ranks, (First::LeastRelevant, point), picture)?,
                }
            }
        }
        Ok(())
    }

    /// Draws the picture without so many fifths of its pixels, filled in.
    fn fill(&self, ranks: &[i64], removed: (First, usize), picture: &mut [f32]) -> Result<()> {
        let filled = without(&self.colours, self.size, ranks, removed, &self.noise)?;
        for (value, filled) in picture.iter_mut().zip(filled.iter().flatten()) {
            *value = *filled as f32;
        }
        Ok(())
    }
}

/// (1, 3, rows, columns) to the channels of a pixel beside each other, row by row.
fn pixels_of(input: &Tensor) -> Result<Vec<f32>, TchError> {
    let values = input.f_permute([0, 2, 3, 1])?.f_to_device(Device::Cpu)?.f_contiguous()?;
    Vec::<f32>::try_from(&values.f_flatten(0, -1)?)
}
