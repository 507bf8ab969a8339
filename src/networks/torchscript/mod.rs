//! Any classifier, as a TorchScript file with three methods: `features(x) -> A` or `(A, context,
//! ...)`, `head(A, context, ...) -> outputs`, `forward(x) = head(features(x))`, and a card.
//! `scripts/export_model.py` makes one of a PyTorch model.
//!
//! The card is the extra file `emocam.json` inside, or a `.toml` of the same name beside the file.
//! Before a network is used it is examined ([`examine`]); what cannot be explained is refused in a
//! sentence. A TorchScript file is a program: one loads only what one trusts.

mod check;
mod layout;

pub use check::{Finding, examine};

use super::input::Normalisation;
use super::{Activation, Architecture, Card, Classifier};
use crate::image::Rgb8;
use crate::nn::script::{ScriptArchive, reason};
use crate::nn::{Layer, Precision};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{CModule, Device, IValue, Kind, TchError, Tensor};

/// The entry of a TorchScript file that holds its card.
pub const CARD: &str = "emocam.json";

/// Whether the file is a TorchScript archive rather than a checkpoint.
///
/// # Errors
/// The file cannot be read.
pub fn is_one(path: &Path) -> Result<bool> {
    ScriptArchive::is_one(path)
}

/// A network that brings its own code.
pub struct TorchScript {
    /// One program serves all threads of a device.
    module: Arc<CModule>,
    card: Card,
    normalisation: Normalisation,
    /// The format to which its numbers are rounded; `None`: they are as the file has them.
    rounded: Option<Precision>,
    files: Vec<(&'static str, PathBuf)>,
}

impl std::fmt::Debug for TorchScript {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TorchScript")
            .field("card", &self.card)
            .field("files", &self.files)
            .finish()
    }
}

impl TorchScript {
    /// Reads the file, its card, and examines the network.
    ///
    /// # Errors
    /// A file that is damaged or no TorchScript; no card, or one that contradicts itself; the first
    /// check that fails, with its cure.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let network = Self::open(path, device)?;
        let findings = examine(&network);
        match findings.into_iter().find_map(|finding| Some((finding.name, finding.outcome.err()?)))
        {
            Some((name, failure)) => Err(Error::file(
                path,
                format!("{name}: {failure} (`emocam models check {}` says more)", path.display()),
            )),
            None => Ok(network),
        }
    }

    /// Reads the file and its card, without a look at what the network does.
    ///
    /// # Errors
    /// A file that is damaged or no TorchScript; no card, or one that contradicts itself.
    pub fn open(path: &Path, device: Device) -> Result<Self> {
        let mut archive = ScriptArchive::open(path)?;
        let mut files = vec![("emotion.weights", path.to_path_buf())];
        let beside = Card::if_beside(path)?;
        if beside.is_some() {
            files.push(("emotion.card", Card::path_beside(path)));
        }
        let card = match (beside, archive.extra(CARD)?) {
            (Some(card), _) => card,
            (None, Some(text)) => Card::from_json(&text, path)?,
            (None, None) => {
                let beside = Card::path_beside(path);
                return Err(Error::file(
                    path,
                    format!(
                        "has no card: scripts/export_model.py writes one into the file ({CARD}); \
                         or describe labels and input in {} (keys as in configs/emonet.toml, with \
                         `network = \"torchscript\"`)",
                        beside.display()
                    ),
                ));
            }
        };
        if card.architecture != Architecture::TorchScript {
            return Err(Error::file(
                path,
                "is a TorchScript file; its card must say `network = \"torchscript\"`",
            ));
        }
        let normalisation = Normalisation::new(&card, None, device)?;
        let module = Arc::new(archive.load(device)?);
        Ok(Self { module, card, normalisation, rounded: None, files })
    }

    /// The same network with a program of its own on `device`, which is read once more: libtorch
    /// can neither copy one to another device nor round one without changing it.
    fn again(&self, device: Device, rounded: Option<Precision>) -> Result<Self> {
        let archive = ScriptArchive::open(&self.files[0].1)?;
        let module = match rounded {
            Some(precision) => archive.load_rounded(device, precision)?,
            None => archive.load(device)?,
        };
        self.with_program(Arc::new(module), device, rounded)
    }

    /// The same network on `device`, with this program.
    fn with_program(
        &self,
        module: Arc<CModule>,
        device: Device,
        rounded: Option<Precision>,
    ) -> Result<Self> {
        let normalisation =
            self.normalisation.on(device).map_err(Error::torch("sharing the network"))?;
        Ok(Self {
            module,
            card: self.card.clone(),
            normalisation,
            rounded,
            files: self.files.clone(),
        })
    }

    /// `x` in the format in which the program computes.
    fn entering(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.rounded.map_or_else(|| Ok(x.shallow_clone()), |format| x.f_to_kind(format.kind()))
    }

    /// A method of the program that gives one tensor.
    fn tensor(&self, method: &str, arguments: &[Tensor]) -> Result<Tensor, TchError> {
        self.module.method_ts(method, arguments)?.f_to_kind(Kind::Float)
    }

    /// `features`: A as the program gives it, then its context.
    fn features(&self, input: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let wrong = |found: String| {
            TchError::Torch(format!(
                "TypeError: `features` should give a tensor or a tuple of tensors, found {found}"
            ))
        };
        match self.module.method_is("features", &[IValue::Tensor(input.shallow_clone())])? {
            IValue::Tensor(activation) => Ok(vec![activation]),
            IValue::Tuple(parts) if !parts.is_empty() => parts
                .into_iter()
                .map(|part| match part {
                    IValue::Tensor(tensor) => Ok(tensor),
                    other => Err(wrong(format!("a tuple with {}", kind_of(&other)))),
                })
                .collect(),
            other => Err(wrong(kind_of(&other).into())),
        }
    }

    /// The activation of a prepared input.
    fn split(&self, input: &Tensor) -> Result<Activation, TchError> {
        let mut parts = self.features(&self.entering(input)?)?;
        let raw = parts.remove(0).f_to_kind(Kind::Float)?;
        layout::to_grid(self.card.layout, &raw, parts)
    }
}

/// What a value of TorchScript is, for messages.
fn kind_of(value: &IValue) -> &'static str {
    match value {
        IValue::None => "nothing",
        IValue::Tensor(_) => "a tensor",
        IValue::Tuple(_) => "a tuple",
        IValue::TensorList(_) | IValue::GenericList(_) => "a list",
        IValue::GenericDict(_) => "a dictionary",
        _ => "no tensor",
    }
}

impl Classifier for TorchScript {
    fn card(&self) -> &Card {
        &self.card
    }

    fn prepare(&self, pictures: &[&Rgb8]) -> Result<Tensor> {
        let prepared = self.normalisation.prepare(pictures, &self.card)?;
        prepared.f_contiguous().map_err(Error::torch("preparing the network's input"))
    }

    fn activation(&self, input: &Tensor) -> Result<Activation> {
        let _no_grad = tch::no_grad_guard();
        self.split(input).map_err(Error::torch("running `features` of the network"))
    }

    fn outputs(&self, activation: &Activation) -> Result<Tensor, TchError> {
        let mut arguments = layout::from_grid(self.card.layout, activation)?;
        arguments[0] = self.entering(&arguments[0])?;
        self.tensor("head", &arguments)
    }

    fn layers(&self) -> Option<&[Layer]> {
        None
    }

    fn on(&self, device: Device) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(if device == self.normalisation.device() {
            self.with_program(self.module.clone(), device, self.rounded)?
        } else {
            self.again(device, self.rounded)?
        }))
    }

    fn in_precision(&self, precision: Precision) -> Result<Option<Box<dyn Classifier>>> {
        let rounded = self.again(self.normalisation.device(), Some(precision))?;
        let try_out = || {
            let _no_grad = tch::no_grad_guard();
            let size = self.card.input();
            let shape = [1, 3, i64::from(size.height), i64::from(size.width)];
            let zeros = Tensor::f_zeros(shape, (Kind::Float, self.normalisation.device()))?;
            rounded.outputs(&rounded.split(&zeros)?)
        };
        match try_out() {
            Ok(_) => Ok(Some(Box::new(rounded))),
            Err(error) => Err(Error::file(
                &self.files[0].1,
                format!(
                    "does not run when its numbers are rounded to {precision}: {} \
                     (--precision f32 leaves them)",
                    said(&error)
                ),
            )),
        }
    }

    fn files(&self) -> &[(&'static str, PathBuf)] {
        &self.files
    }
}

/// What libtorch says of a failed call, for a finding.
fn said(error: &TchError) -> String {
    let text = reason(error);
    text.split_once("Error: ").map_or(text.clone(), |(_, rest)| rest.to_string())
}
