//! One picture in the explained network: its maps, and the probability of the explained class for changed inputs.

use crate::attribution::{explain, HeadPass, Maps, Network};
use crate::config::CamConfig;
use crate::image::{Rgb8, Size};
use crate::networks::{answers, logits, EmotionModel};
use crate::nn::{forward_kept, Layer};
use crate::{Error, Result};
use tch::{Kind, TchError, Tensor};

/// Inputs that go through the network at once. Always as many, filled up with copies: libtorch's last digits differ from
/// one size of a batch to another, and a probability must not rise by that.
const BATCH: i64 = 16;

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
    model: &'a dyn EmotionModel,
    /// What enters the network: (1, 3, rows, columns), levels 0..255 less the mean image.
    pub input: Tensor,
    activation: Tensor,
    seed: u64,
    /// The explained class.
    pub class: usize,
}

impl<'a> Probe<'a> {
    /// Runs `picture`, of the model's input size; `class` is explained, `None`: the predicted one; `seed` is that of `analyze` for the picture, so that methods that draw at
    /// random give the same maps here.
    ///
    /// # Errors
    /// The network cannot be run.
    pub fn new(model: &'a dyn EmotionModel, picture: &Rgb8, class: Option<usize>, seed: u64) -> Result<Self> {
        let input = model.prepare(&[picture])?;
        let activation = model.activation(&input)?;
        let predicted = answers(&logits(model, &activation)?)?.remove(0).label;
        let class = class.unwrap_or(predicted);
        Ok(Self { model, input, activation, seed, class })
    }

    /// The places of A.
    pub fn grid(&self) -> Grid {
        let size = self.activation.size();
        Grid { rows: size[2] as usize, columns: size[3] as usize }
    }

    /// The maps of all methods for the explained class, of `size`, with `head` in place of the model's own. All that this
    /// room knows of the methods is here.
    ///
    /// # Errors
    /// No memory.
    pub fn maps(&self, head: &[Layer], cam: &CamConfig, size: Size) -> Result<Vec<Maps>> {
        let (classes, seeds) = ([self.class], [self.seed]);
        let values =
            forward_kept(head, &self.activation).map_err(Error::torch("running a head of the emotion model"))?;
        let network = Network { input: &self.input, body: self.model.body(), head, values: &values };
        let pass = HeadPass::new(network, cam.options(), &classes, &seeds);
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
        let count = inputs.size()[0];
        let mut found = Vec::with_capacity(count as usize);
        for start in (0..count).step_by(BATCH as usize) {
            let length = BATCH.min(count - start);
            let full = inputs.f_narrow(0, start, length).and_then(|batch| filled_up(&batch));
            let full = full.map_err(Error::torch("preparing changed pictures"))?;
            let logits = logits(self.model, &self.model.activation(&full)?)?;
            let of_batch = logits
                .f_softmax(1, Kind::Double)
                .and_then(|p| Vec::<f64>::try_from(&p.f_select(1, self.class as i64)?))
                .map_err(Error::torch("reading the emotion model's answer"))?;
            found.extend_from_slice(&of_batch[..length as usize]);
        }
        match found.iter().all(|p| p.is_finite()) {
            true => Ok(found),
            false => Err(Error::Torch {
                doing: "reading the emotion model's answer to a changed picture",
                message: "a probability is not a number: the weights do not fit this network".into(),
            }),
        }
    }
}

/// [`BATCH`] inputs, the last repeated.
fn filled_up(inputs: &Tensor) -> Result<Tensor, TchError> {
    let (count, channels, rows, columns) = inputs.size4()?;
    if count == BATCH {
        return Ok(inputs.shallow_clone());
    }
    let copies = inputs.f_narrow(0, count - 1, 1)?.f_expand([BATCH - count, channels, rows, columns], false)?;
    Tensor::f_cat(&[inputs, &copies], 0)
}
