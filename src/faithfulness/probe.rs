//! One picture in the explained network: its maps, and the probability of the explained class for changed inputs.

use crate::attribution::{explain, HeadPass, Maps};
use crate::config::CamConfig;
use crate::image::{Rgb8, Size};
use crate::networks::{Activation, Classifier, Forward};
use crate::pipeline::in_batches;
use crate::{Error, Result};
use std::cell::Cell;
use tch::{Kind, Tensor};

/// Inputs that go through the network at once, as long as the memory suffices. Always as many, filled up with copies:
/// libtorch's last digits differ from one size of a batch to another, and a probability must not rise by that.
pub const INPUTS: usize = 16;

/// The places of A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// From the top.
    pub rows: usize,
    /// From the left.
    pub columns: usize,
}

/// A picture's input and activation.
pub struct Probe<'a> {
    network: &'a dyn Classifier,
    /// Inputs that go through the network at once by now.
    inputs: &'a Cell<usize>,
    /// What enters the network: (1, 3, rows, columns), as the network's card prepares it.
    pub input: Tensor,
    activation: Activation,
    seed: u64,
    /// The explained class.
    pub class: usize,
}

impl<'a> Probe<'a> {
    /// Runs `picture`, of the network's input size; `class` is explained, `None`: the predicted one; `seed` is that of
    /// `analyze` for the picture, so that methods that draw at random give the same maps here.
    ///
    /// # Errors
    /// The network cannot be run.
    pub fn new(
        network: &'a dyn Classifier,
        inputs: &'a Cell<usize>,
        picture: &Rgb8,
        class: Option<usize>,
        seed: u64,
    ) -> Result<Self> {
        let forward = Forward::of_pictures(network, &[picture])?;
        let predicted = forward.predictions(network.card())?.remove(0).label;
        let Forward { input, activation, .. } = forward;
        Ok(Self { network, inputs, input, activation, seed, class: class.unwrap_or(predicted) })
    }

    /// The places of A.
    pub fn grid(&self) -> Grid {
        let size = self.activation.values.size();
        Grid { rows: size[2] as usize, columns: size[3] as usize }
    }

    /// The maps of all methods for the explained class, of `size`, by `network`, which may have another head than the
    /// picture's own. All that this room knows of the methods is here.
    ///
    /// # Errors
    /// No memory.
    pub fn maps(&self, network: &dyn Classifier, cam: &CamConfig, size: Size) -> Result<Vec<Maps>> {
        let (classes, seeds) = ([self.class], [self.seed]);
        let activation = self.activation.with_values(self.activation.values.shallow_clone());
        let forward = Forward::from_activation(network, self.input.shallow_clone(), activation)?;
        let pass = HeadPass::new(network, &forward, cam.options(), &classes, &seeds)?;
        cam.methods.iter().map(|&method| explain(method, &pass, size)).collect()
    }

    /// The explained class's probability for each of `inputs` (N, 3, rows, columns).
    ///
    /// # Errors
    /// The network cannot be run, or answers with something that is no number.
    pub fn probabilities(&self, inputs: &Tensor) -> Result<Vec<f64>> {
        let _no_grad = tch::no_grad_guard();
        // One layout in memory, whatever the inputs were made of: it too decides on the last digits.
        let inputs = inputs.f_contiguous().map_err(Error::torch("preparing changed pictures"))?;
        let numbers: Vec<i64> = (0..inputs.size()[0]).collect();
        let mut size = self.inputs.get();
        let found = in_batches(&numbers, &mut size, |numbers| {
            let batch = Tensor::f_from_slice(numbers)
                .and_then(|numbers| inputs.f_index_select(0, &numbers.f_to_device(inputs.device())?))
                .map_err(Error::torch("preparing changed pictures"))?;
            let outputs = Forward::run(self.network, batch)?;
            outputs
                .outputs()
                .f_softmax(1, Kind::Double)
                .and_then(|p| Vec::<f64>::try_from(&p.f_select(1, self.class as i64)?))
                .map_err(Error::torch("reading the network's answer"))
        })?;
        self.inputs.set(size);
        match found.iter().all(|probability| probability.is_finite()) {
            true => Ok(found),
            false => Err(Error::Torch {
                doing: "reading the network's answer to a changed picture",
                message: "a probability is not a number: the weights do not fit this network".into(),
            }),
        }
    }
}
