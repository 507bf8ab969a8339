//! The hand that draws one object: its random choices, its colours, its lines and its shading.
//!
//! What a hand does follows from the object's seed and the style alone.

use super::object::{ObjectPart, Style, Variant};
use super::pen::{Colour, Drawing, PathFill};
use crate::random::Random;
use resvg::tiny_skia::{Path, Transform};

/// How surfaces are shaded.
#[derive(Debug, Clone, Copy)]
enum Shading {
    Flat,
    Slope(f32),
    Bulge(f32),
}

/// Draws one object.
pub(super) struct Hand {
    random: Random,
    /// Whose hand it is.
    pub style: Style,
    /// What the causal graph looks at.
    pub variant: Variant,
    drawing: Drawing,
    frame: Transform,
    /// Outline of surfaces: width, and colour or, if none, the surface's own, darker.
    outline: Option<(f32, Option<Colour>)>,
    shading: Shading,
}

impl Hand {
    /// A hand for the object with this seed.
    pub(super) fn new(seed: u64, style: Style, variant: Variant) -> Self {
        let mut random = Random::of_text(seed, "hand");
        let mut between = |low, high| random.uniform(low, high) as f32;
        let (kind, width, strength) = (between(0.0, 1.0), between(0.0, 1.0), between(0.0, 1.0));
        let outline = match style {
            Style::Standard if kind < 0.35 => Some((0.02 + 0.02 * width, None)),
            Style::Standard if kind < 0.5 => {
                Some((0.025 + 0.02 * width, Some(Colour::hex(0x202024))))
            }
            Style::HeldOut if kind < 0.35 => {
                Some((0.05 + 0.03 * width, Some(Colour::hex(0x1b2a4a))))
            }
            Style::HeldOut if kind < 0.55 => {
                Some((0.04 + 0.03 * width, Some(Colour::hex(0x5a3a22))))
            }
            Style::HeldOut if kind < 0.7 => {
                Some((0.035 + 0.02 * width, Some(Colour::hex(0xf4efe2))))
            }
            _ => None,
        };
        let shading = match style {
            Style::Standard if between(0.0, 1.0) < 0.4 => Shading::Flat,
            Style::Standard => Shading::Slope(0.08 + 0.14 * strength),
            Style::HeldOut if between(0.0, 1.0) < 0.2 => Shading::Flat,
            Style::HeldOut => Shading::Bulge(0.18 + 0.17 * strength),
        };
        let random = Random::of_text(seed, "object");
        Self {
            random,
            style,
            variant,
            drawing: Drawing::default(),
            frame: Transform::identity(),
            outline,
            shading,
        }
    }

    /// What was drawn.
    pub(super) fn finish(self) -> Drawing {
        self.drawing
    }

    /// Uniform in `[low, high)`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        self.random.uniform(f64::from(low), f64::from(high)) as f32
    }

    /// True in this share of cases.
    pub(super) fn chance(&mut self, share: f32) -> bool {
        self.between(0.0, 1.0) < share
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn count(&mut self, low: usize, high: usize) -> usize {
        low + self.random.uniform(0.0, (high - low + 1) as f64) as usize
    }

    /// One of them.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.count(0, from.len() - 1)]
    }

    /// Any colour a thing may be painted in.
    pub(super) fn paint(&mut self) -> Colour {
        let hue = self.between(0.0, 360.0);
        let pastel = self.chance(0.5);
        match self.style {
            Style::Standard => Colour::hsl(hue, self.between(0.5, 0.9), self.between(0.38, 0.62)),
            Style::HeldOut if pastel => {
                Colour::hsl(hue, self.between(0.25, 0.5), self.between(0.64, 0.8))
            }
            Style::HeldOut => Colour::hsl(hue, self.between(0.35, 0.8), self.between(0.22, 0.36)),
        }
    }

    /// A colour near one of `bases`; the held-out hand strays further, and towards other tints.
    pub(super) fn near(&mut self, bases: &[u32]) -> Colour {
        let base = Colour::hex(self.pick(bases));
        let stray = match self.style {
            Style::Standard => 0.04,
            Style::HeldOut => 0.09,
        };
        let shift = self.between(-stray, stray);
        let Colour([r, g, b]) = base;
        let mut nudge = |channel: f32| channel + shift + self.between(-stray, stray) / 2.0;
        let nudged = Colour([nudge(r), nudge(g), nudge(b)].map(|channel| channel.clamp(0.0, 1.0)));
        match self.style {
            Style::Standard => nudged,
            Style::HeldOut => nudged.mix(Colour::hex(0x8a7fae), 0.12),
        }
    }

    /// Draws in a frame of its own.
    pub(super) fn within(&mut self, frame: Transform, draw: impl FnOnce(&mut Self)) {
        let outer = self.frame;
        self.frame = outer.pre_concat(frame);
        draw(self);
        self.frame = outer;
    }

    /// Draws a part that has a name of its own, the `number`th of that name.
    pub(super) fn part(&mut self, part: ObjectPart, number: usize, draw: impl FnOnce(&mut Self)) {
        let outer = self.drawing.begin(Some((part, number)));
        draw(self);
        self.drawing.begin(outer);
    }

    /// A surface: shaded, and outlined if this hand outlines.
    pub(super) fn shape(&mut self, path: Option<Path>, colour: Colour) {
        let fill = match self.shading {
            Shading::Flat => PathFill::Flat(colour),
            Shading::Slope(strength) => {
                PathFill::Slope(colour.lighter(strength), colour.darker(strength))
            }
            Shading::Bulge(strength) => {
                PathFill::Bulge(colour.lighter(strength), colour.darker(strength))
            }
        };
        self.drawing.add(path.clone(), self.frame, fill, None);
        if let Some((width, ink)) = self.outline {
            self.drawing.add(
                path,
                self.frame,
                PathFill::Flat(ink.unwrap_or(colour.darker(0.45))),
                Some(width),
            );
        }
    }

    /// A detail: one colour, no outline.
    pub(super) fn detail(&mut self, path: Option<Path>, colour: Colour) {
        self.drawing.add(path, self.frame, PathFill::Flat(colour), None);
    }

    /// A line with round ends.
    pub(super) fn line(&mut self, path: Option<Path>, width: f32, colour: Colour) {
        self.drawing.add(path, self.frame, PathFill::Flat(colour), Some(width));
    }

    /// A bar: a line that is outlined as surfaces are.
    pub(super) fn bar(&mut self, path: Option<Path>, width: f32, colour: Colour) {
        if let Some((outline, ink)) = self.outline {
            let ink = PathFill::Flat(ink.unwrap_or(colour.darker(0.45)));
            self.drawing.add(path.clone(), self.frame, ink, Some(width + outline));
        }
        self.line(path, width, colour);
    }
}
