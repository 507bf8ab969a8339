//! A network whose memory runs out, for tests.

use super::{Activation, Card, Classifier};
use crate::image::Rgb8;
use crate::nn::Layer;
use crate::{Error, Result};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use tch::{Device, TchError, Tensor};

/// Another network that, from its call `after` on, takes no more than `most` pictures at a time. It
/// computes every picture by itself and shows no layers, so that a result follows the picture alone
/// and not, in its last digits, the batch: what differs between two passes is the pass's doing.
#[derive(Debug)]
pub(crate) struct Narrow {
    pub(crate) network: Box<dyn Classifier>,
    pub(crate) most: usize,
    pub(crate) after: usize,
    pub(crate) calls: AtomicUsize,
}

impl Narrow {
    pub(crate) fn new(network: Box<dyn Classifier>, most: usize, after: usize) -> Self {
        Self { network, most, after, calls: AtomicUsize::new(0) }
    }
}

impl Classifier for Narrow {
    fn card(&self) -> &Card {
        self.network.card()
    }

    fn prepare(&self, pictures: &[&Rgb8]) -> Result<Tensor> {
        self.network.prepare(pictures)
    }

    fn activation(&self, input: &Tensor) -> Result<Activation> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if call >= self.after && input.size()[0] > self.most as i64 {
            let message = "CUDA out of memory. Tried to allocate 2.00 GiB.".to_string();
            return Err(Error::Torch { doing: "running the network", message });
        }
        let one = |picture: Tensor| Ok(self.network.activation(&picture)?.values);
        let values = input.split(1, 0).into_iter().map(one).collect::<Result<Vec<_>>>()?;
        Ok(Activation::alone(Tensor::cat(&values, 0)))
    }

    fn outputs(&self, activation: &Activation) -> Result<Tensor, TchError> {
        let one = |values: Tensor| self.network.outputs(&Activation::alone(values));
        let outputs =
            activation.values.split(1, 0).into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
        Tensor::f_cat(&outputs, 0)
    }

    fn layers(&self) -> Option<&[Layer]> {
        None
    }

    fn on(&self, device: Device) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(Self::new(self.network.on(device)?, self.most, self.after)))
    }

    fn files(&self) -> &[(&'static str, PathBuf)] {
        self.network.files()
    }
}
