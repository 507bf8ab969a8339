//! What a card has to say and may not: one sentence for each contradiction.

use super::{Architecture, Card, ChannelOrder, Layout, Mean};
use crate::image::Size;
use crate::names::check_names;
use crate::networks::fer_net;

/// The most labels that a network may have.
const MAX_LABELS: usize = 10_000;
/// The longest side of an input in pixels.
const MAX_SIDE: u32 = 4096;

/// The largest number that stands for a pixel's level in a card, and the least that levels are
/// divided by.
const MOST_PIXEL: f32 = 1e6;
const LEAST_DIVISOR: f32 = 1e-6;

/// The largest weight of a regression on probabilities.
const MOST_WEIGHT: f64 = 1e6;

impl Card {
    /// Refuses what contradicts itself, in words that go behind a file's name.
    pub(crate) fn check(&self) -> Result<(), String> {
        let count = self.labels.len();
        if self.scalar.is_none() && !(2..=MAX_LABELS).contains(&count) {
            return Err(format!("a network has from 2 to {MAX_LABELS} labels, found {count}"));
        }
        check_names(&self.labels, "label")?;
        let Size { width, height } = self.fit.input;
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(format!(
                "`input` should have sides from 1 to {MAX_SIDE} pixels, found {height} x {width}"
            ));
        }
        if !(self.fit.crop > 0.0 && self.fit.crop <= 1.0) {
            return Err(format!(
                "`crop`, the share that is kept, should be over 0 and at most 1, found {}",
                self.fit.crop
            ));
        }
        let divisors = [self.scale].into_iter().chain(self.std.into_iter().flatten());
        if let Some(wrong) =
            divisors.into_iter().find(|value| !(LEAST_DIVISOR..=MOST_PIXEL).contains(value))
        {
            return Err(format!(
                "pixels are divided by `scale` and `std`, which should be from {LEAST_DIVISOR} to \
                 {MOST_PIXEL}, found {wrong}"
            ));
        }
        match &self.mean {
            Some(Mean::Colour(colour)) if !colour.iter().all(|value| value.abs() <= MOST_PIXEL) => {
                return Err(format!(
                    "`mean` should be three numbers of at most {MOST_PIXEL}, found {colour:?}"
                ));
            }
            Some(Mean::File(_)) if self.architecture == Architecture::TorchScript => {
                return Err("`mean` of a TorchScript network is three numbers, not a file".into());
            }
            _ => {}
        }
        match &self.structure {
            Some(_) if self.architecture != Architecture::AlexNet => {
                return Err("`structure` belongs to `network = \"alexnet\"`".into());
            }
            Some(structure) => structure.check()?,
            None => {}
        }
        if let Layout::Tokens { prefix, grid: (rows, columns) } = self.layout
            && (prefix < 0 || rows < 1 || columns < 1 || rows.saturating_mul(columns) > 1 << 20)
        {
            return Err(format!(
                "tokens: prefix {prefix} and a grid of {rows} x {columns} cannot be"
            ));
        }
        match (self.architecture, &self.multi_gap) {
            (Architecture::MultiGap, Some(description)) => {
                self.check_streams_own()?;
                description.check()?;
            }
            (Architecture::MultiGap, None) => {
                return Err(
                    "`network = \"multi_gap\"` needs a table `[multi_gap]` with its streams".into(),
                );
            }
            (_, Some(_)) => return Err("`[multi_gap]` belongs to `network = \"multi_gap\"`".into()),
            (_, None) => {}
        }
        match (self.architecture, &self.fer_net) {
            (Architecture::FerNet, Some(description)) => self.check_fer_net(description)?,
            (Architecture::FerNet, None) => {
                return Err(
                    "`network = \"fer_net\"` needs a table `[fer_net]` with its width and units"
                        .into(),
                );
            }
            (_, Some(_)) => return Err("`[fer_net]` belongs to `network = \"fer_net\"`".into()),
            (_, None) => {}
        }
        self.check_answers()
    }

    /// Refuses what a Multi-GAP network would not use, since each of its streams has its own.
    fn check_streams_own(&self) -> Result<(), String> {
        if self.scalar.is_some() {
            return Err("a Multi-GAP network answers `labels`, not a single `output`".into());
        }
        let plain = self.scale == 1.0 && self.mean.is_none() && self.std.is_none();
        if !plain || self.channels != ChannelOrder::Rgb {
            return Err(
                "`scale`, `mean`, `std` or `channels` stands at the top of the card: in a \
                 Multi-GAP network each stream has its own, below `[[multi_gap.streams]]`"
                    .into(),
            );
        }
        if self.layout != Layout::Nchw || self.flatten.is_some() {
            return Err(
                "a Multi-GAP network has no `layout` or `flatten` of its own: leave them out"
                    .into(),
            );
        }
        Ok(())
    }

    /// Refuses what a network of facial expressions cannot be or would not use.
    fn check_fer_net(&self, description: &fer_net::FerNetDescription) -> Result<(), String> {
        if self.scalar.is_some() {
            return Err(
                "a network of facial expressions answers `labels`, not a single `output`".into()
            );
        }
        if self.layout != Layout::Nchw
            || self.flatten.is_some()
            || matches!(self.mean, Some(Mean::File(_)))
        {
            let message = "a network of facial expressions has no `layout`, no `flatten` and no \
                           mean image: leave them out";
            return Err(message.into());
        }
        description.check(self.fit.input)
    }

    /// Whatever is said of the outputs goes with their number.
    fn check_answers(&self) -> Result<(), String> {
        let count = self.labels.len();
        for (name, regression) in [("valence", &self.valence), ("arousal", &self.arousal)] {
            let Some(regression) = regression else { continue };
            if self.scalar.is_some() {
                return Err(format!(
                    "`{name}` is a regression on probabilities, which a single `output` does not \
                     give"
                ));
            }
            if regression.weights.len() != count {
                return Err(format!(
                    "`{name}` has {} weights for {count} labels",
                    regression.weights.len()
                ));
            }
            if let Some(wrong) = regression
                .weights
                .iter()
                .chain([&regression.bias])
                .find(|weight| weight.is_nan() || weight.abs() > MOST_WEIGHT)
            {
                return Err(format!(
                    "`{name}` has the weight {wrong}; weights are numbers of at most {MOST_WEIGHT}"
                ));
            }
        }
        if let Some(known) = self.published.iter().find(|known| known.probabilities.len() != count)
        {
            let (picture, found) = (&known.picture, known.probabilities.len());
            return Err(format!("`{picture}` has {found} probabilities for {count} labels"));
        }
        match self.reference.iter().find(|known| known.outputs.len() != self.outputs()) {
            Some(known) => Err(format!(
                "a reference answer has {} numbers for {} outputs",
                known.outputs.len(),
                self.outputs()
            )),
            None => Ok(()),
        }
    }
}
