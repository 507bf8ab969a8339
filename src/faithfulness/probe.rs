//! One picture in the explained network: the probability of the explained class for changed inputs.

use crate::networks::{Activation, Classifier};
use crate::pipeline::in_batches;
use crate::{Error, Result};
use std::cell::Cell;
use tch::{Kind, TchError, Tensor};

/// Inputs that go through the network at once, as long as the memory suffices. Always as many,
/// filled up with copies: libtorch's last digits differ from one size of a batch to another, and a
/// probability must not rise by that.
pub(super) const INPUTS: usize = 16;

/// Activations that go from A to the answer at once, likewise always as many, where the layers
/// between are known: they may have many weights, in an AlexNet a quarter of a gigabyte, which are
/// read once for all. What is unknown may as well be the larger part of the network, and is run in
/// batches of [`INPUTS`].
const HEAD_INPUTS: usize = 64;

/// A picture's input, whose probability is asked for as it is changed.
pub(super) struct Probe<'a> {
    /// What answers: the explained network, or the same in a coarser number format.
    pub network: &'a dyn Classifier,
    /// Inputs that go through the network at once by now.
    pub inputs: &'a Cell<usize>,
    /// What enters the network: (1, 3, rows, columns), as the network's card prepares it.
    pub input: Tensor,
    /// The explained class.
    pub class: usize,
}

impl Probe<'_> {
    /// The explained class's probability for each of `count` changed inputs. `make` gives those
    /// with the numbers it is asked for, ascending, each number once: (N, 3, rows, columns).
    ///
    /// # Errors
    /// The network cannot be run, or answers with something that is no number; whatever `make`
    /// reports.
    pub(super) fn probabilities(
        &self,
        count: usize,
        make: &mut dyn FnMut(&[usize]) -> Result<Tensor>,
    ) -> Result<Vec<f64>> {
        let _no_grad = tch::no_grad_guard();
        let numbers: Vec<usize> = (0..count).collect();
        let found = loop {
            let mut size = self.inputs.get();
            let groups = numbers.chunks(self.head_inputs()).map(|group| {
                let activations =
                    in_batches(group, &mut size, |filled| self.activations(filled, make))?;
                self.answers(&activations)
            });
            let found = groups.collect::<Result<Vec<_>>>()?.concat();
            // Where a batch had to become smaller, all inputs go in smaller batches, so that all
            // are treated alike.
            if self.inputs.replace(size) == size {
                break found;
            }
        };
        match found.iter().all(|probability| probability.is_finite()) {
            true => Ok(found),
            false => Err(Error::Torch {
                doing: "reading the network's answer to a changed picture",
                message: "a probability is not a number: the weights do not fit this network, or \
                          its activations are too large for the number format (--precision f16)"
                    .into(),
            }),
        }
    }

    /// Activations that go from A to the answer at once.
    fn head_inputs(&self) -> usize {
        self.network.layers().map_or(INPUTS, |_| HEAD_INPUTS)
    }

    /// The activations of the inputs `filled`, in whose end the last number may be repeated: one
    /// each.
    fn activations(
        &self,
        filled: &[usize],
        make: &mut dyn FnMut(&[usize]) -> Result<Tensor>,
    ) -> Result<Vec<Activation>> {
        let mut numbers = filled.to_vec();
        numbers.dedup();
        let inputs = make(&numbers)?;
        let inputs =
            filled_up(&inputs, filled.len()).map_err(Error::torch("preparing changed pictures"))?;
        let activation = self.network.activation(&inputs)?;
        let one = |place: usize| activation.rows(place as i64, 1);
        let parts = (0..filled.len()).map(one).collect::<Result<Vec<_>, _>>();
        parts.map_err(Error::torch("running changed pictures"))
    }

    /// The explained class's probability from each activation.
    fn answers(&self, activations: &[Activation]) -> Result<Vec<f64>> {
        let all: Vec<&Activation> = activations.iter().collect();
        let mut size = self.head_inputs();
        in_batches(&all, &mut size, |batch| {
            let answers = || {
                let outputs = self.network.outputs(&Activation::joined(batch)?)?;
                Vec::<f64>::try_from(
                    &outputs.f_softmax(1, Kind::Double)?.f_select(1, self.class as i64)?,
                )
            };
            answers().map_err(Error::torch("reading the network's answer"))
        })
    }
}

/// Inputs (N, 3, rows, columns) followed by copies of the last one, (count, 3, rows, columns).
/// Channels lie beside each other in memory, pixel by pixel, whatever the inputs were made of: the
/// layout decides on the last digits, and pooling is several times as fast in this one.
fn filled_up(inputs: &Tensor, count: usize) -> Result<Tensor, TchError> {
    let pixels = inputs.f_permute([0, 2, 3, 1])?;
    let (real, count) = (pixels.size()[0], count as i64);
    let pixels = match real < count {
        true => {
            let last = pixels.f_narrow(0, real - 1, 1)?;
            let mut shape = last.size();
            shape[0] = count - real;
            Tensor::f_cat(&[&pixels, &last.f_expand(shape, false)?], 0)?
        }
        false => pixels,
    };
    pixels.f_contiguous()?.f_permute([0, 3, 1, 2])
}
