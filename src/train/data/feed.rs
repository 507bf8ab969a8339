//! Pictures as batches, made ahead by threads of their own and handed over in a fixed order.

use super::{LabelledPicture, pairs::Pairs};
use crate::Result;
use crate::corpus::{DecodeOptions, Enough};
use crate::image::{Fit, Picture, Rgb8, Size};
use crate::random::Random;
use crate::run::Failure;
use crate::train::stream;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// `[augmentation]`: how pictures are changed while they are learnt from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Half of them are shown as in a mirror.
    pub mirror: bool,
    /// The least share of a picture's area that is shown, cut out at random in a shape from 3:4 to
    /// 4:3 of its own; 1: always all of it.
    pub crop: f64,
    /// Brightness, contrast and saturation are multiplied by up to 1 plus this or divided by as
    /// much.
    pub colour: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self { mirror: true, crop: 0.5, colour: 0.2 }
    }
}

impl Augmentation {
    /// Nothing is changed.
    pub const NONE: Self = Self { mirror: false, crop: 1.0, colour: 0.0 };

    /// Refuses what cannot be.
    ///
    /// # Errors
    /// Which key it is, in words.
    pub fn check(&self) -> Result<(), String> {
        if !(self.crop > 0.0 && self.crop <= 1.0) {
            return Err(format!(
                "[augmentation] crop should be over 0 and at most 1, found {}",
                self.crop
            ));
        }
        match (0.0..=1.0).contains(&self.colour) {
            true => Ok(()),
            false => {
                Err(format!("[augmentation] colour should be from 0 to 1, found {}", self.colour))
            }
        }
    }

    /// Whether all of a picture is shown.
    fn is_whole(&self) -> bool {
        self.crop == 1.0
    }

    /// A picture brought to the network's input: all of it, or a part.
    fn part(&self, picture: &Picture, fit: &Fit, random: &mut Random) -> Rgb8 {
        if self.is_whole() {
            return fit.apply(&picture.pixels, picture.original);
        }
        let part = cut(&picture.pixels, self.crop, random);
        fit.apply(&part, part.size())
    }

    /// The input as it is shown once: in other light, perhaps mirrored.
    fn changed(&self, mut shown: Rgb8, random: &mut Random) -> Rgb8 {
        if self.mirror && random.uniform(0.0, 1.0) < 0.5 {
            let row = 3 * shown.size().width as usize;
            shown
                .data_mut()
                .chunks_exact_mut(row)
                .for_each(|row| row.as_chunks_mut::<3>().0.reverse());
        }
        if self.colour > 0.0 {
            self.relight(&mut shown, random);
        }
        shown
    }

    fn relight(&self, picture: &mut Rgb8, random: &mut Random) {
        let reach = (1.0 + self.colour).ln();
        let [brightness, contrast, saturation] =
            [0; 3].map(|_| random.uniform(-reach, reach).exp() as f32);
        for pixel in picture.data_mut().as_chunks_mut::<3>().0 {
            let toned =
                pixel.map(|value| (brightness * f32::from(value) - 127.5) * contrast + 127.5);
            // ITU-R BT.601's weights of the three colours in the perceived brightness.
            let grey = 0.299 * toned[0] + 0.587 * toned[1] + 0.114 * toned[2];
            *pixel = toned
                .map(|value| (grey + saturation * (value - grey) + 0.5).clamp(0.0, 255.0) as u8);
        }
    }
}

/// A part of the picture of at least this share of its area.
fn cut(pixels: &Rgb8, least: f64, random: &mut Random) -> Rgb8 {
    let Size { width, height } = pixels.size();
    let share = random.uniform(least, 1.0).sqrt();
    let shape = random.uniform((0.75_f64).ln(), (4.0_f64 / 3.0).ln()).exp().sqrt();
    let side =
        |side: u32, share: f64| ((f64::from(side) * share + 0.5) as usize).clamp(1, side as usize);
    let (columns, rows) = (side(width, share * shape), side(height, share / shape));
    let (left, top) =
        (random.below(width as usize - columns + 1), random.below(height as usize - rows + 1));
    pixels.crop(left..left + columns, top..top + rows)
}

/// Pictures that are shown in batches.
#[derive(Debug)]
pub struct Feed<'a> {
    /// The pictures.
    pub items: &'a [LabelledPicture],
    /// Their adjective-noun pairs, where they are asked for.
    pub pairs: Option<&'a Pairs>,
    /// How they are brought to the network's input; `None`: no pixels are wanted.
    pub fit: Option<Fit>,
    /// How they are changed.
    pub augmentation: Augmentation,
    /// Pictures a batch.
    pub batch: usize,
    /// Threads that read them.
    pub threads: usize,
    /// Of their order and their changes.
    pub seed: u64,
    /// Room for pictures of the input's size, one an item, where they are kept.
    pub kept: Option<Vec<OnceLock<Rgb8>>>,
}

/// Pictures as a network takes them.
#[derive(Debug, Default)]
pub struct Shown {
    /// Numbers of the pictures among the items.
    pub numbers: Vec<usize>,
    /// Of the input's size; none where no pixels are wanted.
    pub pictures: Vec<Rgb8>,
    /// One an item.
    pub labels: Vec<i64>,
    /// Rows of pairs, one after the other.
    pub pairs: Vec<f32>,
    /// Pictures that could not be read.
    pub failures: Vec<Failure>,
}

impl Feed<'_> {
    /// Batches of an epoch.
    pub fn batches(&self) -> u64 {
        self.items.len().div_ceil(self.batch) as u64
    }

    /// Shows every picture once, in the order of the list.
    ///
    /// # Errors
    /// The first error of `take`.
    pub fn in_order(&self, take: impl FnMut(u64, Shown) -> Result<()>) -> Result<()> {
        let order: Vec<usize> = (0..self.items.len()).collect();
        self.shown(&order, "", take)
    }

    /// Shows every picture once, in an order and with changes of epoch number `epoch` alone.
    ///
    /// # Errors
    /// The first error of `take`.
    pub fn epoch(&self, epoch: u64, take: impl FnMut(u64, Shown) -> Result<()>) -> Result<()> {
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        Random::of_text(self.seed, &format!("epoch/{epoch}")).shuffle(&mut order);
        self.epoch_in(epoch, &order, take)
    }

    /// Shows the pictures with these numbers, batch after batch, with changes of epoch number
    /// `epoch` alone. A picture may be there twice.
    ///
    /// # Errors
    /// The first error of `take`.
    pub fn epoch_in(
        &self,
        epoch: u64,
        order: &[usize],
        take: impl FnMut(u64, Shown) -> Result<()>,
    ) -> Result<()> {
        self.shown(order, &format!("epoch/{epoch}/"), take)
    }

    fn shown(
        &self,
        order: &[usize],
        salt: &str,
        take: impl FnMut(u64, Shown) -> Result<()>,
    ) -> Result<()> {
        let batches: Vec<&[usize]> = order.chunks(self.batch).collect();
        stream::in_order(
            batches.len() as u64,
            self.threads,
            |number| self.batch(batches[number as usize], salt),
            take,
        )
    }

    fn batch(&self, numbers: &[usize], salt: &str) -> Shown {
        // A cut-out is smaller than the picture: then all its pixels are needed.
        let whole = self.augmentation.is_whole();
        let enough = self.fit.filter(|_| whole).map(|fit| Enough { letterboxed: None, fit });
        let options = DecodeOptions { enough, ..DecodeOptions::default() };
        let mut shown = Shown::default();
        for &number in numbers {
            let item = &self.items[number];
            if let Some(fit) = &self.fit {
                let mut random = Random::of_text(self.seed, &format!("{salt}{}", item.path));
                let kept = self.kept.as_ref().filter(|_| whole).map(|kept| &kept[number]);
                let input = match kept.and_then(OnceLock::get) {
                    Some(input) => Ok(input.clone()),
                    None => item
                        .picture(&options)
                        .map(|picture| self.augmentation.part(&picture, fit, &mut random)),
                };
                match input {
                    Ok(input) => {
                        if let Some(kept) = kept {
                            kept.get_or_init(|| input.clone());
                        }
                        shown.pictures.push(self.augmentation.changed(input, &mut random));
                    }
                    Err(error) => {
                        shown.failures.push(Failure::new(&item.path, "decode", &error));
                        continue;
                    }
                }
            }
            if let Some(pairs) = self.pairs {
                shown.pairs.extend(pairs.of(item));
            }
            shown.numbers.push(number);
            shown.labels.push(item.label as i64);
        }
        shown
    }
}
