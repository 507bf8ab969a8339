//! Pictures as lessons: what a training learns from and is measured with, as batches of pixels.

use super::data::LabelledPicture;
use super::data::feed::{Augmentation, Feed, Shown};
use super::fitting::{Batch, Lessons};
use crate::image::{Fit, Rgb8};
use crate::nn::stack;
use crate::{Error, Result};
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

/// Pictures as they are shown.
#[derive(Debug)]
pub(super) struct PictureLessons<'a> {
    /// Where they come from.
    pub feed: Feed<'a>,
    /// Where the network is.
    pub device: Device,
}

/// How pictures are shown, whatever they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Showing {
    /// How they are brought to the network's input.
    pub fit: Fit,
    /// Pictures a batch.
    pub batch: usize,
    /// Of their order and their changes.
    pub seed: u64,
    /// Threads that read them.
    pub threads: usize,
    /// Whether they are kept in memory as they enter the network, where nothing is cut out of them.
    pub keep: bool,
    /// Where the network is.
    pub device: Device,
}

impl Showing {
    /// These pictures, changed like this while they are learnt from.
    pub(super) fn lessons<'a>(
        self,
        items: &'a [LabelledPicture],
        augmentation: &Augmentation,
    ) -> PictureLessons<'a> {
        let Self { fit, batch, seed, threads, keep, device } = self;
        let kept = keep.then(|| items.iter().map(|_| OnceLock::new()).collect());
        let augmentation = augmentation.clone();
        let feed =
            Feed { items, pairs: None, fit: Some(fit), augmentation, batch, threads, seed, kept };
        PictureLessons { feed, device }
    }
}

impl PictureLessons<'_> {
    /// Pictures as they were shown, as a batch.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn batch(&self, shown: Shown) -> Result<Batch> {
        let count = shown.labels.len() as i64;
        let tensors = || {
            let pixels = match (&self.feed.fit, count) {
                (Some(fit), 1..) => {
                    let pictures: Vec<&Rgb8> = shown.pictures.iter().collect();
                    // In NCHW order, as the convolutions' own results.
                    Some(
                        stack(&pictures, fit.input, self.device)?
                            .f_to_kind(Kind::Float)?
                            .f_contiguous()?,
                    )
                }
                _ => None,
            };
            let pairs = match self.feed.pairs {
                Some(_) => Some(
                    Tensor::f_from_slice(&shown.pairs)?
                        .f_reshape([count, -1])?
                        .f_to_device(self.device)?,
                ),
                None => None,
            };
            Ok((pixels, pairs, Tensor::f_from_slice(&shown.labels)?.f_to_device(self.device)?))
        };
        let (pixels, pairs, labels) = tensors().map_err(Error::torch("preparing a batch"))?;
        Ok(Batch {
            pixels,
            pairs,
            means: Vec::new(),
            labels,
            numbers: shown.numbers,
            failures: shown.failures,
        })
    }
}

impl Lessons for PictureLessons<'_> {
    fn batches(&self) -> u64 {
        self.feed.batches()
    }

    fn epoch(&self, epoch: u64, take: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        self.feed.epoch(epoch, |_, shown| take(self.batch(shown)?))
    }

    fn in_order(&self, take: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        self.feed.in_order(|_, shown| take(self.batch(shown)?))
    }
}
