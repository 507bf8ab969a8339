//! What a card says of a network of facial expressions.

use crate::image::Size;
use serde::{Deserialize, Serialize};

/// The most units that are believed.
const MAX_UNITS: i64 = 1 << 16;

/// How many pixels of a side become one behind the five poolings.
pub(super) const STRIDE: u32 = 32;

/// `[fer_net]` in a card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FerNetDescription {
    /// Channels as a multiple of the published network's (64, 128, 256, 512, 512).
    pub width: f64,
    /// Units of each of the two hidden layers.
    pub units: i64,
}

impl Default for FerNetDescription {
    fn default() -> Self {
        Self { width: 1.0, units: 2048 }
    }
}

impl FerNetDescription {
    /// Refuses what cannot be, for an input of the size `input`, in words that go behind a file's
    /// name.
    pub(in crate::networks) fn check(&self, input: Size) -> Result<(), String> {
        if !(self.width > 0.0 && self.width <= 4.0) {
            return Err(format!("`width` should be over 0 and at most 4, found {}", self.width));
        }
        if !(1..=MAX_UNITS).contains(&self.units) {
            return Err(format!("`units` should be from 1 to {MAX_UNITS}, found {}", self.units));
        }
        let Size { width, height } = input;
        match width.is_multiple_of(STRIDE) && height.is_multiple_of(STRIDE) {
            true => Ok(()),
            false => Err(format!(
                "`input` should have sides that are multiples of {STRIDE}, found {height} x {width}"
            )),
        }
    }
}
