//! What a network answers for pictures of which parts are hidden, for experiments that hide and
//! ask.

use super::masking::{shown_in_part, stand_in};
use crate::attribution::HiddenFill;
use crate::networks::{Classifier, Forward, Prediction};
use crate::{Error, Result};
use tch::Tensor;

/// The inputs of a batch of pictures, to be shown in part. Hidden places are filled at the
/// network's resolution, where the methods of Shapley values hide them too.
#[derive(Debug)]
pub struct MaskedInputs<'a> {
    network: &'a dyn Classifier,
    /// (N, 3, rows, columns)
    whole: Tensor,
    /// What is in hidden places, of the same shape; `None` where it is made from what is shown.
    hidden: Option<Tensor>,
}

impl<'a> MaskedInputs<'a> {
    /// Of prepared inputs (N, 3, rows, columns) of `network`; `fill` stands in for what is hidden.
    ///
    /// # Errors
    /// No memory.
    pub fn new(network: &'a dyn Classifier, inputs: &Tensor, fill: HiddenFill) -> Result<Self> {
        let _no_grad = tch::no_grad_guard();
        let hidden =
            stand_in(network, inputs, fill).map_err(Error::torch("filling hidden places"))?;
        Ok(Self { network, whole: inputs.shallow_clone(), hidden })
    }

    /// What the network answers for the pictures `pictures`, places in the batch below N, any
    /// number of times each. `shown` tells for one after the other of them which places of the
    /// input are shown, row by row: as many times rows x columns as there are `pictures`. All go
    /// through the network together.
    ///
    /// # Errors
    /// [`Error::Torch`]: the network could not be run, or `shown` has another length.
    pub fn predictions(&self, pictures: &[usize], shown: &[bool]) -> Result<Vec<Prediction>> {
        let _no_grad = tch::no_grad_guard();
        let masked =
            self.masked(pictures, shown).map_err(Error::torch("hiding parts of pictures"))?;
        Forward::run(self.network, masked)?.predictions(self.network.card())
    }

    fn masked(&self, pictures: &[usize], shown: &[bool]) -> Result<Tensor, tch::TchError> {
        let (size, device) = (self.whole.size(), self.whole.device());
        let shown =
            Tensor::f_from_slice(shown)?.f_reshape([pictures.len() as i64, 1, size[2], size[3]])?;
        let pictures: Vec<i64> = pictures.iter().map(|&picture| picture as i64).collect();
        let pictures = Tensor::f_from_slice(&pictures)?.f_to_device(device)?;
        shown_in_part(&self.whole, self.hidden.as_ref(), &pictures, &shown.f_to_device(device)?)
    }
}
