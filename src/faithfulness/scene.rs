//! What all maps of one picture are judged with, and the probabilities each map leads to.

use super::confidence::multiplied;
use super::curve::{blurred, counts, replaced};
use super::impute::RgbLevels;
use super::order::ranks;
use super::probe::Probe;
use super::road::{noise, without, First};
use super::{baseline, Curve, Measure, Plan, Seconds};
use crate::image::Size;
use crate::{Error, Result};
use std::time::Instant;
use tch::{Kind, TchError, Tensor};

/// A picture, ready to be changed.
pub struct ProbedPicture<'a> {
    /// The picture in the network.
    pub probe: Probe<'a>,
    /// The random baseline, which also orders equal values.
    pub random: Vec<f32>,
    /// Probability of the picture as it is.
    pub whole: f64,
    plan: &'a Plan,
    size: Size,
    blurred: Tensor,
    /// Probability of the zero input, and of the blurred picture.
    nothing: f64,
    from_blur: f64,
    /// The input's pixels and ROAD's noise on them; empty where ROAD is not wanted.
    colours: Vec<RgbLevels>,
    noise: Vec<RgbLevels>,
}

/// What changed pictures lead to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Readings {
    /// Probabilities along each curve of the plan, in its order, both ends included.
    pub curves: Vec<(Curve, Vec<f64>)>,
    /// Probability of the picture times the map.
    pub shown: Option<f64>,
}

impl Readings {
    /// The probabilities along `curve`, if the plan has it.
    pub fn curve(&self, curve: Curve) -> Option<&[f64]> {
        self.curves.iter().find(|(other, _)| *other == curve).map(|(_, values)| values.as_slice())
    }
}

/// What a changed picture is for.
enum Job {
    Curve(Curve),
    Product,
}

impl<'a> ProbedPicture<'a> {
    /// `size` is the model's input, `seed` the picture's.
    ///
    /// # Errors
    /// The network cannot be run.
    pub fn new(probe: Probe<'a>, size: Size, seed: u64, plan: &'a Plan) -> Result<Self> {
        let failed = || Error::torch("preparing changed pictures");
        let blurred = blurred(&probe.input).map_err(failed())?;
        let zero = probe.input.zeros_like();
        let ends = Tensor::f_cat(&[&probe.input, &zero, &blurred], 0).map_err(failed())?;
        let ends = probe.probabilities(&ends)?;
        let (mut colours, mut noises) = (Vec::new(), Vec::new());
        if plan.has(Measure::Road) {
            (colours, noises) = (colours_of(&probe.input).map_err(failed())?, noise(size, seed));
        }
        Ok(Self {
            random: baseline::random(probe.grid(), size, seed)?,
            whole: ends[0],
            plan,
            size,
            blurred,
            nothing: ends[1],
            from_blur: ends[2],
            colours,
            noise: noises,
            probe,
        })
    }

    /// Everything the plan asks of `map`, row by row, of the scene's size.
    ///
    /// # Errors
    /// The network cannot be run.
    pub fn readings(&self, map: &[f32], seconds: &mut Seconds) -> Result<Readings> {
        let clock = Instant::now();
        let jobs = self.jobs(map)?;
        let mut readings = Readings::default();
        if jobs.is_empty() {
            return Ok(readings);
        }
        let inputs: Vec<&Tensor> = jobs.iter().map(|(_, inputs)| inputs).collect();
        let inputs = Tensor::f_cat(&inputs, 0).map_err(Error::torch("preparing changed pictures"))?;
        seconds.change += clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        let mut found = self.probe.probabilities(&inputs)?.into_iter();
        seconds.network += clock.elapsed().as_secs_f64();
        for (job, inputs) in jobs {
            let own = found.by_ref().take(inputs.size()[0] as usize);
            match job {
                Job::Curve(curve) => {
                    let (before, after) = self.ends(curve);
                    readings.curves.push((curve, before.into_iter().chain(own).chain(after).collect()));
                }
                Job::Product => readings.shown = own.last(),
            }
        }
        Ok(readings)
    }

    /// Changed pictures (N, 3, rows, columns) and what they are for.
    fn jobs(&self, map: &[f32]) -> Result<Vec<(Job, Tensor)>> {
        let ranks = ranks(map, &self.random);
        let input = &self.probe.input;
        let failed = || Error::torch("preparing changed pictures");
        // The curves' ends are the same for all maps.
        let steps = counts(self.size.area(), self.plan.steps);
        let between = &steps[1..self.plan.steps];
        let road = |first| {
            let filled = without(&self.colours, self.size, &ranks, first, &self.noise)?;
            as_inputs(&filled, input).map_err(failed())
        };
        let mut jobs = Vec::new();
        for curve in self.plan.curves() {
            let inputs = match curve {
                Curve::Deletion => replaced(input, &input.zeros_like(), &ranks, between).map_err(failed())?,
                Curve::Insertion => replaced(&self.blurred, input, &ranks, between).map_err(failed())?,
                Curve::RoadMost => road(First::MostRelevant)?,
                Curve::RoadLeast => road(First::LeastRelevant)?,
            };
            jobs.push((Job::Curve(curve), inputs));
        }
        if self.plan.has(Measure::Confidence) {
            jobs.push((Job::Product, multiplied(input, map).map_err(failed())?));
        }
        Ok(jobs)
    }

    /// The probabilities at a curve's two ends, where it has them.
    fn ends(&self, curve: Curve) -> (Option<f64>, Option<f64>) {
        match curve {
            Curve::Deletion => (Some(self.whole), Some(self.nothing)),
            Curve::Insertion => (Some(self.from_blur), Some(self.whole)),
            Curve::RoadMost | Curve::RoadLeast => (Some(self.whole), None),
        }
    }
}

/// (1, 3, rows, columns) to one colour a pixel, row by row.
fn colours_of(input: &Tensor) -> Result<Vec<RgbLevels>, TchError> {
    let values = input.f_permute([0, 2, 3, 1])?.f_to_kind(Kind::Double)?.f_to_device(tch::Device::Cpu)?;
    let values = Vec::<f64>::try_from(&values.f_contiguous()?.f_flatten(0, -1)?)?;
    Ok(values.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]).collect())
}

/// Pictures of one colour a pixel to (N, 3, rows, columns), f32, as `like`.
fn as_inputs(pictures: &[Vec<RgbLevels>], like: &Tensor) -> Result<Tensor, TchError> {
    let (_, _, rows, columns) = like.size4()?;
    let values: Vec<f32> = pictures.iter().flatten().flatten().map(|&value| value as f32).collect();
    let shape = [pictures.len() as i64, rows, columns, 3];
    Tensor::f_from_slice(&values)?.f_reshape(shape)?.f_permute([0, 3, 1, 2])?.f_to_device(like.device())
}
