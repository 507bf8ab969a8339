//! Training of a detector from its cfg: examples to targets, loss, steps, `.weights`.

pub mod anchors;
mod assign;
mod loss;
mod network;

pub use assign::{Assignment, assign};
pub use loss::loss;
pub use network::DetectorTraining;

use super::optimiser::Optimiser;
use super::{Example, Examples, Schedule, Step, augmented, stream};
use crate::image::{BoundingBox, Letterbox, LetterboxFilter, Rgb8, Size};
use crate::nn::stack;
use crate::{Error, Result};
use tch::{Device, Kind, Tensor};

/// Objects of which less than this many pixels (of the network's input) are left on a side are not
/// asked for.
const SMALLEST_SIDE: f32 = 2.0;

/// A picture on the network's canvas, and its objects in canvas pixels.
#[derive(Debug)]
pub struct Letterboxed {
    /// The canvas.
    pub picture: Rgb8,
    /// Class and box of every object.
    pub boxes: Vec<(usize, BoundingBox)>,
}

/// `example` as it enters a network of this input at run time: the paper's letterbox, Pillow's
/// bicubic on black.
pub fn letterboxed(example: &Example, canvas: Size) -> Letterboxed {
    let letterbox = Letterbox::fit(example.picture.size(), canvas);
    let visible = |(class, object): &(usize, BoundingBox)| {
        let size = example.picture.size();
        let clipped = object.clip(size.width as f32, size.height as f32)?;
        let on_canvas = letterbox.to_canvas(&clipped.into());
        (on_canvas.width() >= SMALLEST_SIDE && on_canvas.height() >= SMALLEST_SIDE)
            .then_some((*class, on_canvas))
    };
    Letterboxed {
        picture: letterbox.apply(&example.picture, LetterboxFilter::Bicubic, 0),
        boxes: example.boxes.iter().filter_map(visible).collect(),
    }
}

/// Trains `network` on `examples`; `told` hears of every step.
///
/// # Errors
/// libtorch fails; the loss stops being a number.
pub fn train(
    network: &mut DetectorTraining,
    examples: &dyn Examples,
    schedule: &Schedule,
    mut told: impl FnMut(Step),
) -> Result<()> {
    let mut optimiser = Optimiser::new(network.store(), *schedule)?;
    let (input, batch) = (network.input(), schedule.batch as u64);
    let make = |number: u64| -> Vec<Letterboxed> {
        (number * batch..(number + 1) * batch)
            .map(|index| letterboxed(&augmented(examples, schedule.seed, index), input))
            .collect()
    };
    stream::in_order(schedule.steps, schedule.threads, make, |number, examples| {
        let pictures: Vec<&Rgb8> = examples.iter().map(|example| &example.picture).collect();
        let truth: Vec<&[(usize, BoundingBox)]> =
            examples.iter().map(|example| example.boxes.as_slice()).collect();
        let raw = network.forward(&prepare(&pictures, input, network.device())?, true)?;
        let total = loss(&raw, network.heads(), &truth)?;
        let value = optimiser.step(number, &total, || Ok(()))?;
        network.count_seen(examples.len());
        told(Step { done: number + 1, loss: value });
        Ok(())
    })
}

/// What enters the network: (N, 3, height, width), f32, RGB in `[0, 1]`, channels-last in memory.
fn prepare(pictures: &[&Rgb8], input: Size, device: Device) -> Result<Tensor> {
    stack(pictures, input, device)
        .and_then(|x| x.f_to_kind(Kind::Float)?.f_div_scalar(255.0))
        .map_err(Error::torch("preparing the detector's input"))
}
