//! Training of a narrow AlexNet: the layers of [`crate::networks::AlexNet`] with fewer channels.
//!
//! EmoNet's convolutions had learnt objects (ImageNet) before they learnt emotions. So here: at
//! first a helper, thrown away afterwards, is asked from conv5's map which kind of object is where;
//! its part of the loss falls to nothing, and the last fifth of the training is about the labels
//! alone. As long as the helper is there, fc6 reads all places of the map alike.

mod network;

pub use network::EmotionTraining;

use super::optimiser::Optimiser;
use super::{Example, Examples, Schedule, Step, augmented, stream};
use crate::image::{Filter, Rgb8, Size, resize};
use crate::{Error, Result};

/// Side of the square input.
pub const INPUT: u32 = 227;

/// Weight of the helper's loss at the first step, against 1 for the labels.
const HELP: f64 = 3.0;

/// Share of the steps after which it is 0, falling linearly.
const HELPED: f64 = 0.8;

/// Where the centre of conv5's first cell looks at, and the distance to the next, in input pixels:
/// a kernel of 11, a stride of 4 and two poolings of 3 with a stride of 2.
const CELLS: (f32, f32) = (17.5, 16.0);

/// `example`'s picture as it enters the network at run time: squashed to 227 x 227 with Pillow's
/// bicubic.
pub fn squashed(example: &Example) -> Rgb8 {
    resize(&example.picture, Size::new(INPUT, INPUT), Filter::Bicubic)
}

/// Examples as the network takes them.
struct Batch {
    pictures: Vec<Rgb8>,
    labels: Vec<i64>,
    /// (N, kinds, 13, 13): 1 where the cell's centre lies in the box of an object of the kind, else
    /// 0.
    there: Vec<f32>,
}

impl Batch {
    fn of(examples: &[Example], kinds: usize) -> Self {
        let mut batch = Self { pictures: Vec::new(), labels: Vec::new(), there: Vec::new() };
        for example in examples {
            batch.pictures.push(squashed(example));
            batch.labels.push(example.label as i64);
            batch.there.extend(presence(example, kinds));
        }
        batch
    }
}

/// See [`Batch::there`], of one example.
fn presence(example: &Example, kinds: usize) -> Vec<f32> {
    const SIDE: usize = 13;
    let size = example.picture.size();
    let mut there = vec![0.0; kinds * SIDE * SIDE];
    for (kind, b) in &example.kinds {
        let inside = |at: usize, low: f32, high: f32, side: u32| {
            let centre = (CELLS.0 + CELLS.1 * at as f32) * side as f32 / INPUT as f32;
            (low..high).contains(&centre)
        };
        for row in (0..SIDE).filter(|&row| inside(row, b.y_min, b.y_max, size.height)) {
            for column in (0..SIDE).filter(|&column| inside(column, b.x_min, b.x_max, size.width)) {
                there[(kind * SIDE + row) * SIDE + column] = 1.0;
            }
        }
    }
    there
}

/// Trains `network` on `examples`. `told` hears of every step; its loss is the mean cross-entropy
/// of the labels alone.
///
/// # Errors
/// libtorch fails; the loss stops being a number.
pub fn train(
    network: &mut EmotionTraining,
    examples: &dyn Examples,
    schedule: &Schedule,
    mut told: impl FnMut(Step),
) -> Result<()> {
    let mut optimiser = Optimiser::new(network.store(), *schedule)?;
    let size = schedule.batch as u64;
    let make = |number: u64| {
        let numbers = number * size..(number + 1) * size;
        let batch: Vec<Example> =
            numbers.map(|index| augmented(examples, schedule.seed, index)).collect();
        Batch::of(&batch, examples.kinds())
    };
    stream::in_order(schedule.steps, schedule.threads, make, |number, batch| {
        let help = HELP * (1.0 - number as f64 / (HELPED * schedule.steps as f64));
        let (label, asked) = network.loss(&batch)?;
        let loss = label.f_double_value(&[]).map_err(Error::torch("reading the loss"))?;
        if help > 0.0 {
            let total = asked.f_mul_scalar(help).and_then(|asked| asked.f_add(&label));
            let total = total.map_err(Error::torch("adding the losses"))?;
            optimiser.step(number, &total, || network.read_places_alike())?;
        } else {
            optimiser.step(number, &label, || Ok(()))?;
        }
        told(Step { done: number + 1, loss });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::BoundingBox;

    #[test]
    fn cells_by_hand() {
        // Twice as wide as the input and half as high: the first centres lie at 35, 67, 99 across
        // and 8.75, 16.75 down.
        let picture = Rgb8::filled(Size::new(454, 114), [0; 3]);
        let kinds = vec![(1, BoundingBox::new(30.0, 9.0, 98.0, 20.0))];
        let there = presence(&Example { picture, boxes: Vec::new(), kinds, label: 0 }, 2);
        let ones: Vec<usize> = (0..there.len()).filter(|&at| there[at] > 0.0).collect();
        // Kind 1, row 1 (row 0 is at 8.8, just above), columns 0 and 1.
        assert_eq!(ones, [169 + 13, 169 + 14]);
    }
}
