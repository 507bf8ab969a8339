//! From pictures to what enters a network: numbers as its card says.

use super::card::{Card, ChannelOrder, Mean};
use crate::image::Rgb8;
use crate::nn::stack;
use crate::{Error, Result};
use tch::{Device, Kind, TchError, Tensor};

/// ITU-R BT.601's weights of red, green and blue in the perceived brightness.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// The last steps of a network's preparation, on its device: order of the channels, then (x /
/// scale - mean) / std.
#[derive(Debug)]
pub(super) struct Normalisation {
    scale: f64,
    /// (3, rows, columns) or (3, 1, 1), in the order of the input's channels; `None`: nothing is
    /// subtracted.
    mean: Option<Tensor>,
    /// (3, 1, 1)
    std: Option<Tensor>,
    channels: ChannelOrder,
    device: Device,
}

impl Normalisation {
    /// As `card` says, with `mean`, (3, rows, columns) or (3, 1, 1), in place of the card's own.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn new(card: &Card, mean: Option<Tensor>, device: Device) -> Result<Self> {
        let failed = || Error::torch("preparing the network's input");
        let per_channel = |values: &[f32; 3]| {
            Tensor::f_from_slice(values)?.f_reshape([3, 1, 1])?.f_to_device(device)
        };
        let mean = match (mean, &card.mean) {
            (Some(mean), _) => Some(mean.f_to_device(device).map_err(failed())?),
            (None, Some(Mean::Colour(colour))) => Some(per_channel(colour).map_err(failed())?),
            (None, _) => None,
        };
        let std = card.std.as_ref().map(per_channel).transpose().map_err(failed())?;
        Ok(Self { scale: card.scale.into(), mean, std, channels: card.channels, device })
    }

    /// The same on `device`.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn on(&self, device: Device) -> Result<Self, TchError> {
        let moved = |tensor: &Option<Tensor>| {
            tensor.as_ref().map(|tensor| tensor.f_to_device(device)).transpose()
        };
        let (mean, std) = (moved(&self.mean)?, moved(&self.std)?);
        Ok(Self { mean, std, device, ..*self })
    }

    /// Where it computes.
    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// Whether anything is subtracted.
    ///
    /// # Errors
    /// libtorch fails.
    pub(super) fn subtracts(&self) -> Result<bool, TchError> {
        match &self.mean {
            Some(mean) => Ok(mean.f_count_nonzero(None)?.f_int64_value(&[])? > 0),
            None => Ok(false),
        }
    }

    /// (N, 3, rows, columns), f32, from pictures that all have the input's size.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn prepare(&self, pictures: &[&Rgb8], card: &Card) -> Result<Tensor> {
        let _no_grad = tch::no_grad_guard();
        let prepared =
            || self.apply(&stack(pictures, card.input(), self.device)?.f_to_kind(Kind::Float)?);
        prepared().map_err(Error::torch("preparing the network's input"))
    }

    /// The same from pixels (N, 3, rows, columns), R, G, B, 0..255, f32.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn apply(&self, pixels: &Tensor) -> Result<Tensor, TchError> {
        let mut x = in_order(pixels, self.channels)?;
        if self.scale != 1.0 {
            x = x.f_div_scalar(self.scale)?;
        }
        if let Some(mean) = &self.mean {
            x = x.f_sub(mean)?;
        }
        if let Some(std) = &self.std {
            x = x.f_div(std)?;
        }
        Ok(x)
    }
}

/// Pixels (N, 3, rows, columns), R, G, B, with their channels as a network wants them.
///
/// # Errors
/// No memory.
pub(super) fn in_order(pixels: &Tensor, channels: ChannelOrder) -> Result<Tensor, TchError> {
    match channels {
        ChannelOrder::Rgb => Ok(pixels.shallow_clone()),
        ChannelOrder::Bgr => pixels.f_flip([1]),
        ChannelOrder::Grey => {
            let weights =
                Tensor::f_from_slice(&LUMA)?.f_to_device(pixels.device())?.f_reshape([3, 1, 1])?;
            let grey =
                pixels.f_mul(&weights)?.f_sum_dim_intlist([1_i64].as_slice(), true, Kind::Float)?;
            grey.f_expand_as(pixels)?.f_contiguous()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Size;
    use std::path::Path;

    #[test]
    fn pixels_are_turned_scaled_centred_and_divided_in_that_order() {
        let text = "labels = ['a', 'b']\ninput = [1, 2]\nscale = 2\nmean = [1, 2, 3]\nstd = [1, 2, \
                    4]\nchannels = 'bgr'\n";
        let card = Card::from_toml(text, Path::new("x")).unwrap();
        let normalisation = Normalisation::new(&card, None, Device::Cpu).unwrap();
        let picture = Rgb8::new(Size::new(2, 1), vec![14, 8, 4, 0, 4, 2]);
        let input = normalisation.prepare(&[&picture], &card).unwrap();
        assert_eq!(input.size(), [1, 3, 1, 2]);
        // Blue: (4 / 2 - 1) / 1, (2 / 2 - 1) / 1; green: (8 / 2 - 2) / 2, ...; red: (14 / 2 - 3) /
        // 4, ...
        let expected = [1.0_f32, 0.0, 1.0, 0.0, 1.0, -0.75];
        assert_eq!(Vec::<f32>::try_from(&input.contiguous().flatten(0, -1)).unwrap(), expected);
        assert!(normalisation.subtracts().unwrap());
    }
}
