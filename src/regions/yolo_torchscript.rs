//! Detectors that Ultralytics exports as TorchScript: `model.export(format="torchscript")`, YOLOv8
//! and later.
//!
//! In: a picture on a canvas of the export's input size, under Ultralytics' letterbox
//! ([`LetterboxRule::Ultralytics`], OpenCV's bilinear filter, grey 114). The program takes a tensor
//! (N, 3, rows, columns), RGB, values 0..1, and gives (N, 4 + classes, boxes): centre x, centre y,
//! width and height in pixels of the canvas, then a score in [0, 1] a class, with no objectness.
//! Out: labelled boxes in pixels of the picture, unclipped.
//!
//! The rules are those of Ultralytics' `predict` (`ops.non_max_suppression`), with no limit to the
//! number of boxes:
//! 1. A box has one label, its class of the highest score; of equal scores the first class. The
//!    score is its confidence, and must be over the threshold.
//! 2. A box with a number that is not finite is dropped.
//! 3. By falling confidence, ties in the order of the output, a box stays unless its IoU with a box
//!    of its class that stayed is over the threshold. See [`apart`] for the digits in which the IoU
//!    is computed.
//!
//! `scripts/reference/ultralytics_parity.py` compares all of it with the package. An export with
//! `dynamic=True` runs on its whole input too, as the package does with `rect=False`; by default
//! the package cuts the bars of those down to whole strides.

mod export;
#[cfg(test)]
mod tests;

use super::darknet::{Detection, on_picture, suppress_by};
use super::{Detector, Located, Sight, View};
use crate::image::{BoundingBox, Canvas, LetterboxFilter, LetterboxRule, Rgb8, Size};
use crate::nn::script::{ScriptArchive, reason};
use crate::nn::weights::content;
use crate::nn::{Precision, stack};
use crate::{Error, Result};
use export::Export;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{CModule, Device, IValue, Kind, TchError, Tensor};

/// Grey level of the bars (Ultralytics' `LetterBox`, `padding_value`).
const FILL: u8 = 114;

/// By how many pixels Ultralytics moves the boxes of one class from those of the class before
/// (`max_wh` of `ops.non_max_suppression`).
const CLASS_DISTANCE: f32 = 7680.0;

/// In a batch a picture's scores and coordinates may differ from those of the picture alone by this
/// share of 1 and of the canvas's longer side, in f32: other kernels sum in another order.
const SAME: f64 = 1e-3;

/// [`SAME`] in half precision, where a number has 3 or 2 digits.
const SAME_IN_HALF: f64 = 5e-2;

/// Which labelled boxes are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxThresholds {
    /// A box must be more confident than this.
    pub confidence: f32,
    /// A box is suppressed when its IoU with a more confident one of its class is over this.
    pub nms_iou: f32,
}

/// How many pictures the program takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BatchSize {
    /// However many there are.
    Any,
    /// This many, which tracing has baked in.
    Fixed(usize),
}

/// A detector exported by Ultralytics, with its thresholds. The program runs as it is: one loads
/// only what one trusts.
pub struct YoloTorchScript {
    /// One program serves all threads of a device.
    module: Arc<CModule>,
    path: PathBuf,
    export: Export,
    thresholds: BoxThresholds,
    precision: Precision,
    device: Device,
    batch: BatchSize,
}

impl std::fmt::Debug for YoloTorchScript {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { module: _, path, export, thresholds, precision, device, batch } = self;
        let mut shown = formatter.debug_struct("YoloTorchScript");
        shown
            .field("path", path)
            .field("input", &export.input)
            .field("classes", &export.classes.len());
        shown.field("thresholds", thresholds).field("precision", precision).field("device", device);
        shown.field("batch", batch).finish()
    }
}

impl YoloTorchScript {
    /// Whether the file is meant to be one: named `.torchscript`, or an archive of PyTorch whatever
    /// its name, so that a checkpoint is refused for what it is.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_meant(path: &Path) -> Result<bool> {
        let named = path.extension().is_some_and(|extension| extension == "torchscript");
        Ok(named || content::of_file(path)? == content::Content::Zip)
    }

    /// Reads the file and runs its program on made-up pictures, to see that its output is a
    /// detector's and how many pictures it takes at once.
    ///
    /// # Errors
    /// The file cannot be read or is no TorchScript; its `config.txt` is missing, not Ultralytics',
    /// or names a task that is not detection or a suppression inside; the program does not run, or
    /// its output has another shape than its names ask for or scores beyond [0, 1].
    pub fn load(
        path: &Path,
        thresholds: BoxThresholds,
        precision: Precision,
        device: Device,
    ) -> Result<Self> {
        let mut archive = ScriptArchive::open(path)?;
        let export = Export::read(&mut archive, path)?;
        let module = Arc::new(archive.load_rounded(device, precision)?);
        let (path, batch) = (path.to_path_buf(), BatchSize::Any);
        let mut detector = Self { module, path, export, thresholds, precision, device, batch };
        detector.batch = detector.examined()?;
        Ok(detector)
    }

    /// Names of the classes, from the file's `config.txt` alone: libtorch does not see the file.
    ///
    /// # Errors
    /// As [`Self::load`], but for what the program does.
    pub fn classes_of(path: &Path) -> Result<Vec<String>> {
        Ok(Export::read(&mut ScriptArchive::open(path)?, path)?.classes)
    }

    /// Labelled boxes in pixels of the canvas, a list a picture, by falling confidence; the
    /// pictures are canvases of the input size.
    ///
    /// # Errors
    /// The program could not be run.
    ///
    /// # Panics
    /// When a picture has another size: a mistake of the caller.
    pub fn detect(&self, pictures: &[&Rgb8]) -> Result<Vec<Vec<Detection>>> {
        let BatchSize::Fixed(size) = self.batch else { return self.detect_together(pictures) };
        let mut found = Vec::with_capacity(pictures.len());
        for part in pictures.chunks(size) {
            let mut filled = part.to_vec();
            filled.resize(size, part[0]);
            found.extend(self.detect_together(&filled)?.into_iter().take(part.len()));
        }
        Ok(found)
    }

    /// [`Self::detect`] for as many pictures as the program takes at once.
    fn detect_together(&self, pictures: &[&Rgb8]) -> Result<Vec<Vec<Detection>>> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        let _no_grad = tch::no_grad_guard();
        let input = stack(pictures, self.export.input, self.device)
            .and_then(|pixels| pixels.f_to_kind(Kind::Float)?.f_div_scalar(255.0))
            .map_err(Error::torch("preparing the detector's input"))?;
        let output = self.output(&input).map_err(Error::torch("running the detector"))?;
        self.check_shape(&output, pictures.len())?;
        let labelled = |picture| {
            let candidates = self.candidates(&output.f_get(picture)?)?;
            Ok(suppress_by(candidates, self.thresholds.nms_iou, apart))
        };
        (0..pictures.len() as i64)
            .map(labelled)
            .collect::<Result<_, _>>()
            .map_err(Error::torch("reading the detector's output"))
    }

    /// The program's output in f32, for a tensor (N, 3, rows, columns) of values 0..1.
    fn output(&self, input: &Tensor) -> Result<Tensor, TchError> {
        // A traced program may take its inputs' memory for rows after rows (`view`), which pixels
        // as decoded are not.
        let input = input.f_to_kind(self.precision.kind())?.f_contiguous()?;
        match self.module.forward_is(&[IValue::Tensor(input)])? {
            IValue::Tensor(output) => output.f_to_kind(Kind::Float),
            _ => Err(TchError::Torch(
                "TypeError: the program gives several things, a detector gives one tensor".into(),
            )),
        }
    }

    /// Refuses an output that is not (pictures, 4 + classes, boxes).
    fn check_shape(&self, output: &Tensor, pictures: usize) -> Result<()> {
        let (found, classes) = (output.size(), self.export.classes.len());
        match found.as_slice() {
            &[batch, rows, _] if batch == pictures as i64 && rows == 4 + classes as i64 => Ok(()),
            _ => Err(Error::file(
                &self.path,
                format!(
                    "its config.txt names {classes} classes, so that {pictures} picture(s) should \
                     give ({pictures}, {}, boxes); found an output of shape {found:?}",
                    4 + classes
                ),
            )),
        }
    }

    /// The boxes over the threshold of one picture's output (4 + classes, boxes), in the output's
    /// order.
    fn candidates(&self, output: &Tensor) -> Result<Vec<Detection>, TchError> {
        let threshold = self.thresholds.confidence;
        let best = output
            .f_narrow(0, 4, self.export.classes.len() as i64)?
            .f_amax([0_i64].as_slice(), false)?;
        let over = best.f_gt(f64::from(threshold))?.f_nonzero()?.f_flatten(0, -1)?;
        let columns = output
            .f_index_select(1, &over)?
            .f_to_device(Device::Cpu)?
            .f_transpose(0, 1)?
            .f_contiguous()?;
        let numbers = Vec::<f32>::try_from(columns.f_flatten(0, -1)?)?;
        Ok(numbers.chunks_exact(4 + self.export.classes.len()).filter_map(labelled).collect())
    }

    /// Runs the program on made-up pictures: how many it takes at once.
    fn examined(&self) -> Result<BatchSize> {
        let _no_grad = tch::no_grad_guard();
        let made =
            made_up(self.export.input, self.device).map_err(Error::torch("making an input"))?;
        let several =
            |pictures: &[&Tensor]| Tensor::f_cat(pictures, 0).and_then(|input| self.output(&input));
        let [picture, other] = [&made[0], &made[1]];
        let alone = match (several(&[picture]), self.export.batch) {
            (Ok(alone), _) => alone,
            (Err(_), 2..) => {
                let size = self.export.batch;
                let output = several(&vec![picture; size])
                    .map_err(|error| self.does_not_run(size, &error))?;
                self.check_output(&output, size)?;
                return Ok(BatchSize::Fixed(size));
            }
            (Err(error), _) => return Err(self.does_not_run(1, &error)),
        };
        self.check_output(&alone, 1)?;
        let together = several(&[other, picture]).and_then(|together| self.same(&together, &alone));
        Ok(if together.unwrap_or(false) { BatchSize::Any } else { BatchSize::Fixed(1) })
    }

    /// Refuses an output that cannot be a detector's.
    fn check_output(&self, output: &Tensor, pictures: usize) -> Result<()> {
        self.check_shape(output, pictures)?;
        let scores = output.f_narrow(1, 4, self.export.classes.len() as i64);
        let range = scores.and_then(|scores| {
            if scores.numel() == 0 {
                return Ok((0.0, 0.0));
            }
            Ok((scores.f_min()?.f_double_value(&[])?, scores.f_max()?.f_double_value(&[])?))
        });
        let (least, most) = range.map_err(Error::torch("reading the detector's output"))?;
        // What is not a number is let through here: boxes of such numbers are dropped one by one.
        if least < 0.0 || most > 1.0 {
            let message = format!(
                "its class scores should lie in [0, 1], found {least} to {most}: no detector's \
                 output"
            );
            return Err(Error::file(&self.path, message));
        }
        Ok(())
    }

    /// Whether the second picture of a batch of two has the output that it has alone.
    fn same(&self, together: &Tensor, alone: &Tensor) -> Result<bool, TchError> {
        let shape = alone.size();
        if together.size() != [2, shape[1], shape[2]] {
            return Ok(false);
        }
        let difference = |first, count| -> Result<f64, TchError> {
            let [together, alone] =
                [together.f_narrow(0, 1, 1)?, alone.shallow_clone()].map(|output| {
                    output
                        .f_narrow(1, first, count)
                        .and_then(|part| part.f_nan_to_num(0.0, None, None))
                });
            together?.f_sub(&alone?)?.f_abs()?.f_max()?.f_double_value(&[])
        };
        let allowed = if self.precision == Precision::F32 { SAME } else { SAME_IN_HALF };
        let Size { width, height } = self.export.input;
        let scores = difference(4, self.export.classes.len() as i64)?;
        Ok(scores <= allowed && difference(0, 4)? <= allowed * f64::from(width.max(height)))
    }

    /// The error of a program that fails on as many pictures.
    fn does_not_run(&self, pictures: usize, error: &TchError) -> Error {
        let Size { width, height } = self.export.input;
        let message = format!(
            "fails on {pictures} picture(s) of {height} rows and {width} columns: {}",
            reason(error)
        );
        Error::file(&self.path, message)
    }
}

/// Two different pictures (1, 3, rows, columns) of values 0..1: a ramp over all numbers, and the
/// ramp backwards.
fn made_up(input: Size, device: Device) -> Result<[Tensor; 2], TchError> {
    let (rows, columns) = (i64::from(input.height), i64::from(input.width));
    let ramp = Tensor::f_linspace(0.0, 1.0, 3 * rows * columns, (Kind::Float, device))?
        .f_reshape([1, 3, rows, columns])?;
    let backwards = ramp.f_neg()?.f_add_scalar(1.0)?;
    Ok([ramp, backwards])
}

/// The box of one column of the output: centre x, centre y, width, height, scores; `None` where a
/// number that it needs is not finite.
fn labelled(column: &[f32]) -> Option<Detection> {
    let (&[x, y, width, height], scores) = column.split_first_chunk::<4>()?;
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    let (confidence, bounding_box) =
        (*scores.get(best)?, BoundingBox::from_center(x, y, width, height));
    let finite =
        confidence.is_finite() && <[f32; 4]>::from(bounding_box).into_iter().all(f32::is_finite);
    finite.then_some(Detection { class: best, confidence, bounding_box })
}

/// The box of which Ultralytics computes the IoU: moved by the class's number times
/// [`CLASS_DISTANCE`] in f32, so that boxes of two classes never meet. It rounds the edges: from
/// class 547 on to half pixels, which decides one box in a few thousand otherwise than the IoU of
/// the boxes themselves would.
fn apart(detection: &Detection) -> BoundingBox {
    let distance = detection.class as f32 * CLASS_DISTANCE;
    <[f32; 4]>::from(detection.bounding_box).map(|edge| edge + distance).into()
}

impl Detector for YoloTorchScript {
    fn classes(&self) -> &[String] {
        &self.export.classes
    }

    fn view(&self) -> View {
        let canvas = Canvas { rule: LetterboxRule::Ultralytics, ..self.export.input.into() };
        View { canvas, filter: LetterboxFilter::OpenCv, fill: FILL }
    }

    fn locate(&self, sights: &[&Sight]) -> Result<Vec<Vec<Located>>> {
        let pictures: Vec<&Rgb8> = sights.iter().map(|sight| &sight.pixels).collect();
        let detected = self.detect(&pictures)?.into_iter().zip(sights);
        Ok(detected.map(|(found, sight)| on_picture(&found, &sight.letterbox)).collect())
    }

    fn on(&self, device: Device) -> Result<Box<dyn Detector>> {
        let module = if device == self.device {
            self.module.clone()
        } else {
            // libtorch cannot copy a program to another device: its file is read once more for
            // each.
            Arc::new(ScriptArchive::open(&self.path)?.load_rounded(device, self.precision)?)
        };
        let (path, export) = (self.path.clone(), self.export.clone());
        let Self { thresholds, precision, batch, .. } = *self;
        Ok(Box::new(Self { module, path, export, thresholds, precision, device, batch }))
    }
}
