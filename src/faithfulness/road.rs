//! ROAD, remove and debias (Rong et al. 2022): pixels are removed and filled in from their
//! surroundings, so that the network sees neither a hole nor its outline, which by themselves could
//! change the answer.
//!
//! The measure is that of pytorch-grad-cam's `ROADCombined`: with a share of the pixels removed,
//! the probability without the least relevant ones less that without the most relevant ones,
//! halved, mean over the shares. Here exactly that share of the pixels goes, also where many values
//! are equal.

use super::impute::{RgbLevels, impute};
use super::order::part;
use crate::Result;
use crate::image::Size;
use crate::random::Random;

/// The removed shares of the pixels, in fifths.
pub(super) const FIFTHS: [usize; 4] = [1, 2, 3, 4];

/// Standard deviation of the noise on filled pixels, in levels of 0..255: the authors' 0.01, on
/// inputs normalised by ImageNet's deviations of about 0.226 of 255 levels. Without it the network
/// could tell filled parts by their smoothness.
const NOISE: f64 = 0.01 * 0.226 * 255.0;

/// Which pixels go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// Those where the map is highest.
    MostRelevant,
    /// Those where it is lowest.
    LeastRelevant,
}

/// The noise for one picture: three numbers a pixel, uniform.
pub(super) fn noise(size: Size, seed: u64) -> Vec<RgbLevels> {
    let values = Random::of_text(seed, "road noise").spread(3 * size.area(), NOISE);
    values.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]).collect()
}

/// `picture` (row by row) without so many fifths of its pixels, filled in, with `noise` on what is
/// filled in; `ranks` as of [`super::order::ranks`].
///
/// # Errors
/// As [`impute`].
pub(super) fn without(
    picture: &[RgbLevels],
    size: Size,
    ranks: &[i64],
    (first, fifths): (First, usize),
    noise: &[RgbLevels],
) -> Result<Vec<RgbLevels>> {
    let count = part(picture.len(), (fifths, 5));
    let removed: Vec<bool> = ranks
        .iter()
        .map(|&rank| match first {
            First::MostRelevant => rank < count,
            First::LeastRelevant => rank >= ranks.len() as i64 - count,
        })
        .collect();
    let mut filled = impute(picture, size, &removed)?;
    for ((colour, noise), _) in
        filled.iter_mut().zip(noise).zip(&removed).filter(|&(_, &removed)| removed)
    {
        *colour = std::array::from_fn(|c| colour[c] + noise[c]);
    }
    Ok(filled)
}

/// The measure, from the probabilities without each of [`FIFTHS`] of the pixels.
pub(super) fn combined(most: &[f64], least: &[f64]) -> f64 {
    most.iter().zip(least).map(|(most, least)| (least - most) / 2.0).sum::<f64>()
        / most.len() as f64
}
