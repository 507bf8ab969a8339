//! What is behind the objects and in front of them: background, clutter that belongs to no class;
//! light and noise.
//!
//! All of it follows from the scene's seed and style, never from its objects, so that taking one
//! out changes nothing elsewhere.

use super::object::{Ambience, Style};
use super::pen::{
    Colour, Drawing, PathFill, ShownMarks, arc, blob, oval, polar, polygon, polyline, rectangle,
    turn,
};
use super::scene::below;
use crate::image::Size;
use crate::random::Random;
use resvg::tiny_skia::{Path, Pixmap, Transform};

/// Names of the settings of the standard style.
pub(super) const NAMES: [&str; 5] =
    ["sky and ground", "wall and floor", "stripes", "plain", "dots"];

/// Which of [`NAMES`] the scene of this seed has in the standard style.
pub(super) fn standard(seed: u64) -> usize {
    // The first is twice as frequent.
    below(&mut Random::of_text(seed, "background"), 6).saturating_sub(1)
}

/// Draws what is behind the objects.
struct Backdrop {
    random: Random,
    style: Style,
    width: f32,
    height: f32,
    drawing: Drawing,
}

/// Paints background and clutter over the whole of `picture`.
pub(super) fn paint_background(picture: &mut Pixmap, seed: u64, style: Style, ambience: Ambience) {
    let mut backdrop = Backdrop {
        random: Random::of_text(seed, "background"),
        style,
        width: picture.width() as f32,
        height: picture.height() as f32,
        drawing: Drawing::default(),
    };
    match ambience {
        Ambience::NightSky => backdrop.night_sky(),
        Ambience::StormLight => backdrop.storm_light(),
        Ambience::Usual | Ambience::WarmTone | Ambience::ColdTone => backdrop.usual(),
    }
    backdrop.drawing.paint(picture, Transform::identity(), ShownMarks::Without(0));
}

impl Backdrop {
    fn usual(&mut self) {
        match (self.style, below(&mut self.random, 6)) {
            (Style::Standard, 0 | 1) => self.sky_and_ground(),
            (Style::Standard, 2) => self.wall_and_floor(),
            (Style::Standard, 3) => self.stripes(0.0),
            (Style::Standard, 4) => self.plain(true),
            (Style::Standard, _) => self.dots(),
            (Style::HeldOut, 0) => self.hills(),
            (Style::HeldOut, 1) => self.checks(),
            (Style::HeldOut, 2) => self.stripes(45.0),
            (Style::HeldOut, 3) => self.rings(),
            (Style::HeldOut, 4) => self.plain(false),
            (Style::HeldOut, _) => self.patches(),
        }
        self.clutter();
    }

    /// A dark sky from edge to edge, with stars and a moon.
    fn night_sky(&mut self) {
        let hue = self.between(215.0, 260.0);
        let high = Colour::hsl(hue, self.between(0.4, 0.7), self.between(0.08, 0.16));
        let low = high.lighter(self.between(0.08, 0.2));
        self.area(0.0, self.height, PathFill::Slope(high, low));
        let short = self.width.min(self.height);
        for _ in 0..30 + below(&mut self.random, 60) {
            let (x, y) = (self.between(0.0, self.width), self.between(0.0, self.height));
            let radius = self.between(0.003, 0.009) * short;
            let star = Colour::hsl(self.between(40.0, 60.0), 0.6, self.between(0.8, 0.98));
            self.add(oval(x, y, radius, radius), PathFill::Flat(star));
        }
        let (x, y) = (self.between(0.1, 0.9) * self.width, self.between(0.08, 0.35) * self.height);
        let radius = self.between(0.05, 0.1) * short;
        let moon = Colour::hsl(48.0, 0.5, self.between(0.8, 0.92));
        self.add(oval(x, y, radius, radius), PathFill::Flat(moon));
        if self.between(0.0, 1.0) < 0.5 {
            // A crescent: the rest lies in shadow.
            self.add(
                oval(x + 0.45 * radius, y - 0.1 * radius, radius, radius),
                PathFill::Flat(high),
            );
        }
    }

    /// Dark clouds from edge to edge, and a pale greenish horizon.
    fn storm_light(&mut self) {
        let dark = Colour::hsl(
            self.between(195.0, 230.0),
            self.between(0.08, 0.2),
            self.between(0.2, 0.3),
        );
        let pale = Colour::hsl(
            self.between(55.0, 80.0),
            self.between(0.35, 0.55),
            self.between(0.62, 0.75),
        );
        let horizon = self.height * self.between(0.62, 0.8);
        self.area(0.0, horizon, PathFill::Flat(dark));
        self.area(
            horizon - 0.12 * self.height,
            horizon,
            PathFill::Slope(dark.mix(pale, 0.5), pale),
        );
        self.area(horizon, self.height, PathFill::Slope(dark.darker(0.25), dark.darker(0.45)));
        let short = self.width.min(self.height);
        for _ in 0..12 + below(&mut self.random, 8) {
            let (x, y) = (
                self.between(0.0, self.width),
                self.between(-0.05, 0.85) * (horizon - 0.1 * self.height),
            );
            let (rx, ry) = (self.between(0.15, 0.35) * short, self.between(0.05, 0.12) * short);
            let cloud =
                if self.between(0.0, 1.0) < 0.5 { dark.lighter(0.12) } else { dark.darker(0.3) };
            self.add(oval(x, y, rx, ry), PathFill::Flat(cloud));
        }
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        self.random.uniform(f64::from(low), f64::from(high)) as f32
    }

    /// A background colour: pale and calm, or in the other style dusky or tinted.
    fn colour(&mut self) -> Colour {
        let hue = self.between(0.0, 360.0);
        let dusky = self.between(0.0, 1.0) < 0.4;
        match self.style {
            Style::Standard => Colour::hsl(hue, self.between(0.1, 0.45), self.between(0.68, 0.92)),
            Style::HeldOut if dusky => {
                Colour::hsl(hue, self.between(0.1, 0.3), self.between(0.4, 0.52))
            }
            Style::HeldOut => Colour::hsl(hue, self.between(0.2, 0.5), self.between(0.76, 0.9)),
        }
    }

    fn add(&mut self, path: Option<Path>, fill: PathFill) {
        self.drawing.add(path, Transform::identity(), fill, None);
    }

    fn area(&mut self, top: f32, bottom: f32, fill: PathFill) {
        self.add(rectangle(0.0, top, self.width, bottom), fill);
    }

    fn plain(&mut self, slope: bool) {
        let (a, b) = (self.colour(), self.colour());
        let far = a.mix(b, 0.6);
        let fill =
            if slope { PathFill::Slope(a, far) } else { PathFill::Bulge(a.lighter(0.2), far) };
        self.area(0.0, self.height, fill);
    }

    fn sky_and_ground(&mut self) {
        let horizon = self.height * self.between(0.4, 0.7);
        let sky = Colour::hsl(
            self.between(190.0, 225.0),
            self.between(0.35, 0.75),
            self.between(0.72, 0.88),
        );
        let ground = match below(&mut self.random, 4) {
            0 => Colour::hsl(self.between(38.0, 48.0), 0.45, self.between(0.68, 0.8)),
            1 => Colour::hsl(self.between(200.0, 240.0), 0.06, self.between(0.66, 0.85)),
            _ => Colour::hsl(
                self.between(80.0, 125.0),
                self.between(0.3, 0.5),
                self.between(0.52, 0.7),
            ),
        };
        self.area(0.0, horizon, PathFill::Slope(sky, sky.lighter(0.4)));
        self.area(horizon, self.height, PathFill::Slope(ground.lighter(0.1), ground.darker(0.12)));
        for _ in 0..below(&mut self.random, 4) {
            let (x, y) = (self.between(0.0, self.width), self.between(0.05, 0.8) * horizon);
            let size = self.between(0.04, 0.09) * self.width;
            for (dx, s) in [(-0.9, 0.7), (0.0, 1.0), (0.9, 0.75)] {
                self.add(
                    oval(x + dx * size, y, size * s, size * s * 0.6),
                    PathFill::Flat(sky.lighter(0.6)),
                );
            }
        }
    }

    fn wall_and_floor(&mut self) {
        let edge = self.height * self.between(0.6, 0.8);
        let (wall, floor) =
            (self.colour(), Colour::hsl(self.between(20.0, 45.0), 0.35, self.between(0.5, 0.72)));
        self.area(0.0, edge, PathFill::Slope(wall, wall.darker(0.1)));
        self.area(edge, self.height, PathFill::Flat(floor));
        let boards = 3 + below(&mut self.random, 4);
        for board in 1..boards {
            let y = edge + (self.height - edge) * board as f32 / boards as f32;
            self.area(y - 1.0, y + 1.0, PathFill::Flat(floor.darker(0.15)));
        }
        self.area(
            edge - 0.012 * self.height,
            edge + 0.012 * self.height,
            PathFill::Flat(wall.lighter(0.5)),
        );
    }

    /// Bands at `angle` or across it.
    fn stripes(&mut self, angle: f32) {
        let a = self.colour();
        let b = if self.between(0.0, 1.0) < 0.5 { a.darker(0.1) } else { a.lighter(0.35) };
        self.area(0.0, self.height, PathFill::Flat(a));
        let band = self.between(0.05, 0.16) * self.width.min(self.height);
        let across = if below(&mut self.random, 2) == 0 { 0.0 } else { 90.0 };
        let reach = self.width + self.height;
        let (x, y) = (self.width / 2.0, self.height / 2.0);
        let frame = Transform::from_translate(x, y).pre_concat(turn(angle + across));
        let mut at = -reach;
        while at < reach {
            self.drawing.add(
                rectangle(-reach, at, reach, at + band),
                frame,
                PathFill::Flat(b),
                None,
            );
            at += 2.0 * band;
        }
    }

    fn dots(&mut self) {
        let a = self.colour();
        let b = if self.between(0.0, 1.0) < 0.5 { a.darker(0.13) } else { a.lighter(0.45) };
        self.area(0.0, self.height, PathFill::Flat(a));
        let step = self.between(0.1, 0.18) * self.width.min(self.height);
        let radius = step * self.between(0.14, 0.26);
        for row in 0..=(self.height / step) as usize {
            for column in 0..=(self.width / step) as usize {
                let shift = if row % 2 == 0 { 0.0 } else { 0.5 };
                let (x, y) = ((column as f32 + shift) * step, row as f32 * step);
                self.add(oval(x, y, radius, radius), PathFill::Flat(b));
            }
        }
    }

    fn hills(&mut self) {
        let sky = self.colour();
        self.area(
            0.0,
            self.height,
            PathFill::Slope(sky.lighter(0.15), sky.mix(Colour::hex(0xf2b08a), 0.5)),
        );
        for hill in 0..3 {
            let top = self.height * (0.42 + 0.17 * hill as f32 + self.between(-0.05, 0.05));
            let (x, colour) = (self.between(0.0, self.width), self.colour());
            let mut outline = arc(x, top + self.height, self.width, self.height, 180.0, 360.0);
            outline
                .extend([(2.0 * self.width, 2.0 * self.height), (-self.width, 2.0 * self.height)]);
            self.add(polygon(&outline), PathFill::Flat(colour.darker(0.06 * hill as f32)));
        }
        self.area(self.height * 0.86, self.height, PathFill::Flat(sky.darker(0.25)));
    }

    fn checks(&mut self) {
        let a = self.colour();
        let b = a.mix(self.colour(), 0.35);
        self.area(0.0, self.height, PathFill::Flat(a));
        let step = self.between(0.1, 0.2) * self.width.min(self.height);
        for row in 0..=(self.height / step) as usize {
            for column in (row % 2..=(self.width / step) as usize).step_by(2) {
                let (x, y) = (column as f32 * step, row as f32 * step);
                self.add(rectangle(x, y, x + step, y + step), PathFill::Flat(b));
            }
        }
    }

    fn rings(&mut self) {
        let (a, b) = (self.colour(), self.colour());
        self.area(0.0, self.height, PathFill::Flat(a));
        let (x, y) = (self.between(0.2, 0.8) * self.width, self.between(0.2, 0.8) * self.height);
        let step = self.between(0.1, 0.18) * self.width.min(self.height);
        for ring in (1..8).rev() {
            let radius = step * ring as f32;
            let colour = if ring % 2 == 0 { a } else { a.mix(b, 0.4) };
            self.add(oval(x, y, radius, radius), PathFill::Flat(colour));
        }
    }

    fn patches(&mut self) {
        let a = self.colour();
        self.area(0.0, self.height, PathFill::Flat(a));
        for _ in 0..14 {
            let (x, y) = (self.between(0.0, self.width), self.between(0.0, self.height));
            let radius = self.between(0.1, 0.3) * self.width.min(self.height);
            let colour = a.mix(self.colour(), 0.3);
            let points: Vec<(f32, f32)> = (0..6)
                .map(|corner| polar(x, y, radius * self.between(0.6, 1.1), 60.0 * corner as f32))
                .collect();
            self.add(blob(&points), PathFill::Flat(colour));
        }
    }

    /// Small shapes of no class: crumbs, sticks, triangles, rings.
    fn clutter(&mut self) {
        let short = self.width.min(self.height);
        for _ in 0..below(&mut self.random, 13) {
            let (x, y) = (self.between(0.0, self.width), self.between(0.0, self.height));
            let (size, angle) = (self.between(0.012, 0.032) * short, self.between(0.0, 360.0));
            let hue = self.between(0.0, 360.0);
            let colour = Colour::hsl(hue, self.between(0.1, 0.6), self.between(0.35, 0.7));
            let (path, line) = match (self.style, below(&mut self.random, 3)) {
                (Style::Standard, 0) => (
                    polygon(&[0.0, 120.0, 240.0].map(|corner| polar(x, y, size, angle + corner))),
                    None,
                ),
                (Style::Standard, 1) => (
                    polyline(&[polar(x, y, size, angle), polar(x, y, size, angle + 180.0)]),
                    Some(size * 0.35),
                ),
                (Style::Standard, _) => (oval(x, y, size * 0.6, size * 0.6), None),
                (Style::HeldOut, 0) => (
                    polygon(&[0.0, 90.0, 180.0, 270.0].map(|c| polar(x, y, size, angle + c))),
                    None,
                ),
                (Style::HeldOut, 1) => (oval(x, y, size, size), Some(size * 0.4)),
                (Style::HeldOut, _) => {
                    let (a, b) = (polar(x, y, size, angle), polar(x, y, size, angle + 120.0));
                    (polyline(&[a, (x, y), b]), Some(size * 0.35))
                }
            };
            self.drawing.add(path, Transform::identity(), PathFill::Flat(colour), line);
        }
    }
}

/// The tone of the whole picture, over RGB pixels in place.
pub(super) fn tone(pixels: &mut [u8], ambience: Ambience) {
    // Share of the colours that is left, and what grey is multiplied by.
    let (colours, tint) = match ambience {
        Ambience::Usual | Ambience::NightSky | Ambience::StormLight => return,
        Ambience::WarmTone => (0.3_f32, [1.2_f32, 0.9, 0.55]),
        Ambience::ColdTone => (0.3, [0.6, 0.9, 1.25]),
    };
    for pixel in pixels.chunks_exact_mut(3) {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
        let grey = 0.299 * red + 0.587 * green + 0.114 * blue;
        for (value, tint) in pixel.iter_mut().zip(tint) {
            // `as` rounds towards zero and keeps within 0..=255.
            *value = ((colours * f32::from(*value) + (1.0 - colours) * grey) * tint + 0.5) as u8;
        }
    }
}

/// Light from one side, its tint, darker corners and noise: what the camera adds, over RGB pixels
/// in place.
pub(super) fn light_and_noise(pixels: &mut [u8], size: Size, seed: u64, style: Style) {
    let mut random = Random::of_text(seed, "light");
    let mut between = |low: f64, high: f64| random.uniform(low, high) as f32;
    let (strength, tint_reach, corner, noise) = match style {
        Style::Standard => (0.14, 0.04, between(0.0, 0.12), between(0.0, 5.0)),
        Style::HeldOut => (0.2, 0.09, between(0.05, 0.22), between(2.0, 9.0)),
    };
    let gain = if style == Style::Standard { between(0.9, 1.08) } else { between(0.98, 1.16) };
    let slope = [between(-strength, strength), between(-strength, strength)];
    let warm = between(-tint_reach, tint_reach);
    let tint = [1.0 + warm, 1.0, 1.0 - warm];
    let mut grain = Random::of_text(seed, "noise");
    let (width, height) = (size.width as f32, size.height as f32);
    for (y, row) in pixels.chunks_exact_mut(3 * size.width as usize).enumerate() {
        let v = (y as f32 + 0.5) / height * 2.0 - 1.0;
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let u = (x as f32 + 0.5) / width * 2.0 - 1.0;
            let light =
                gain * (1.0 + slope[0] * u + slope[1] * v) * (1.0 - corner * 0.5 * (u * u + v * v));
            let bits = grain.next_u64();
            for (channel, (value, tint)) in pixel.iter_mut().zip(tint).enumerate() {
                // The sum of two uniform numbers: triangular, from -1 to 1.
                let part = |shift: usize| ((bits >> (16 * channel + shift)) & 0xff) as f32 / 255.0;
                let grain = part(0) + part(8) - 1.0;
                // `as` rounds towards zero and keeps within 0..=255.
                *value = (f32::from(*value) * light * tint + noise * grain + 0.5) as u8;
            }
        }
    }
}
