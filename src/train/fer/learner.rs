//! The network as something that learns.

use crate::networks::fer_net::{FerNet, TRUNK};
use crate::networks::parameters::Parameter;
use crate::train::fitting::{Batch, Learner};
use tch::{TchError, Tensor};

/// Whether a tensor, by its name, belongs to the trunk, whose shapes must be those of its file.
pub const IS_BACKBONE: fn(&str) -> bool = |name| name.starts_with(TRUNK);

/// A network of which the first blocks may stay as they are.
#[derive(Debug)]
pub struct FerLearner<'a> {
    /// The network.
    pub network: &'a FerNet,
    /// How many blocks of the trunk are not changed.
    pub frozen_blocks: usize,
}

impl FerLearner<'_> {
    /// What enters the trunk.
    ///
    /// # Errors
    /// The batch has no pixels; no memory.
    pub fn input(&self, batch: &Batch) -> Result<Tensor, TchError> {
        let pixels = batch
            .pixels
            .as_ref()
            .ok_or_else(|| TchError::Torch("the batch has no pixels".into()))?;
        self.network.normalised(pixels)
    }
}

impl Learner for FerLearner<'_> {
    fn parameters(&self) -> &[Parameter] {
        self.network.parameters()
    }

    fn is_trained(&self, parameter: &Parameter) -> bool {
        let frozen = |block| block < self.frozen_blocks;
        parameter.role.is_learnt() && !self.network.block(&parameter.name).is_some_and(frozen)
    }

    fn logits(&self, batch: &Batch, _: bool) -> Result<Tensor, TchError> {
        // Nothing in it differs between training and use.
        Ok(self.network.features(&self.input(batch)?)?.logits)
    }
}
