//! Colour maps in which equal steps of the value look equally large, also to colour-blind readers
//! and in print.
//!
//! Both are F. Crameri's Scientific colour maps 8.0 (doi:10.5281/zenodo.1243862, MIT licence; F.
//! Crameri, G. E. Shephard, P. J. Heron, The misuse of colour in science communication, Nature
//! Communications 11, 5444, 2020): `navia` reversed, so that zero is nearly the paper's white and
//! more is darker, and `vik`. Of each table's 256 rows every 255/32nd is kept; linear interpolation
//! between them stays within 2.1 of 255 levels of the full table.
//!
//! Maps laid over photos need the opposite of `navia` reversed: dark where there is nothing, so
//! that what is high stands out. That is `inferno` by N. J. Smith and S. van der Walt (matplotlib,
//! dedicated to the public domain as CC0), kept in the same way, within 1.5 levels. `jet`, which
//! most published activation maps are drawn in, is there to compare with them and for nothing else.
//! Categories have the colours of M. Okabe and K. Ito (Color Universal Design, 2008).

/// Red, green, blue, sRGB, 0..=255.
pub(super) type Rgb = [u8; 3];

pub(super) const BLACK: Rgb = [0; 3];
pub(super) const WHITE: Rgb = [255; 3];

const NAVIA_REVERSED: [u32; 33] = [
    0xfcf4d9, 0xf4f1cd, 0xeaedc0, 0xdfe8b0, 0xd1e39f, 0xc1dd8e, 0xafd57d, 0x9bcc71, 0x88c369,
    0x78b968, 0x6cb06a, 0x62a86d, 0x5aa172, 0x529a76, 0x4c9479, 0x468f7d, 0x418a80, 0x3c8683,
    0x378186, 0x337d89, 0x2e798c, 0x2a748e, 0x256e90, 0x206891, 0x1a608f, 0x14578a, 0x0e4d81,
    0x0a4274, 0x073865, 0x062f56, 0x052545, 0x051c36, 0x031327,
];

const VIK: [u32; 33] = [
    0x001261, 0x021f69, 0x022b71, 0x023779, 0x034481, 0x045089, 0x0c5e92, 0x1b6d9b, 0x2f7ca6,
    0x478db1, 0x609dbc, 0x79adc7, 0x92bdd2, 0xacccdc, 0xc5dbe5, 0xdce5e9, 0xece5e1, 0xeedacf,
    0xe9cbb9, 0xe2bba4, 0xdcab8f, 0xd59c7b, 0xcf8e68, 0xc97f55, 0xc37243, 0xbc6331, 0xb3531f,
    0xa5400e, 0x932e06, 0x832106, 0x741506, 0x660a07, 0x590008,
];

const INFERNO: [u32; 33] = [
    0x000004, 0x040312, 0x0b0724, 0x150b37, 0x210c4a, 0x2e0a5a, 0x3c0965, 0x4a0c6b, 0x57106d,
    0x63146e, 0x70196e, 0x7d1e6d, 0x89226a, 0x962766, 0xa32b61, 0xaf315c, 0xbb3755, 0xc63e4d,
    0xd14644, 0xdb4f3b, 0xe35932, 0xeb6528, 0xf1711e, 0xf67f14, 0xf98d0a, 0xfb9c06, 0xfcab0f,
    0xfbba1f, 0xf9ca32, 0xf5d949, 0xf2e865, 0xf3f586, 0xfcffa4,
];

/// Seven colours that readers with any colour vision tell apart, the most different first: those of
/// Okabe and Ito without black.
pub(super) const CATEGORIES: [Rgb; 7] = [
    [0x56, 0xb4, 0xe9],
    [0xe6, 0x9f, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0xf0, 0xe4, 0x42],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x72, 0xb2],
];

/// The colour of a value of an activation map, 0 to 1, dark to light.
pub(super) fn inferno(value: f64) -> Rgb {
    interpolate(&INFERNO, value)
}

/// MATLAB's `jet`: each channel rises, stays and falls in straight lines over quarters of the
/// range.
pub(super) fn jet(value: f64) -> Rgb {
    let value = 4.0 * value.clamp(0.0, 1.0);
    [3.0, 2.0, 1.0]
        .map(|centre| ((1.5 - (value - centre).abs()).clamp(0.0, 1.0) * 255.0).round() as u8)
}

/// Values to colours. A range with zero inside gets a diverging map whose neutral middle is zero,
/// whatever the range; any other range gets the sequential map from its lower to its upper end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    lower: f64,
    upper: f64,
}

impl Scale {
    /// A scale over a range with `lower < upper`, both finite.
    pub(super) fn new((lower, upper): (f64, f64)) -> Self {
        Self { lower, upper }
    }

    /// The colour of a value; beyond the range, that of its nearer end.
    pub(super) fn colour(&self, value: f64) -> Rgb {
        if self.lower < 0.0 && self.upper > 0.0 {
            let reach = self.upper.max(-self.lower);
            interpolate(&VIK, 0.5 + 0.5 * value.clamp(self.lower, self.upper) / reach)
        } else {
            interpolate(&NAVIA_REVERSED, (value - self.lower) / (self.upper - self.lower))
        }
    }
}

/// The colour nearly dissolved in white, for what should be there and not strike.
pub(super) fn faded(colour: Rgb) -> Rgb {
    const KEPT: f64 = 0.3;
    colour.map(|level| (KEPT * f64::from(level) + (1.0 - KEPT) * 255.0).round() as u8)
}

/// Black or white, whichever has more contrast on the colour by the WCAG 2 definition.
pub(super) fn readable_on(colour: Rgb) -> Rgb {
    // Equal contrast (1.05 / (l + 0.05) = (l + 0.05) / 0.05) lies at l = sqrt(0.0525) - 0.05.
    if luminance(colour) > 0.0525_f64.sqrt() - 0.05 { BLACK } else { WHITE }
}

/// Relative luminance of an sRGB colour, 0 to 1.
fn luminance(colour: Rgb) -> f64 {
    let [red, green, blue] = colour.map(|level| {
        let level = f64::from(level) / 255.0;
        if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// The contrast of two colours by the WCAG 2 definition, 1 to 21.
#[cfg(test)]
pub(super) fn contrast(a: Rgb, b: Rgb) -> f64 {
    let [a, b] = [a, b].map(|colour| luminance(colour) + 0.05);
    a.max(b) / a.min(b)
}

fn interpolate(table: &[u32; 33], position: f64) -> Rgb {
    let position = position.clamp(0.0, 1.0) * 32.0;
    let below = (position as usize).min(31);
    let share = position - below as f64;
    let channel = |shift: u32| {
        let [a, b] =
            [table[below], table[below + 1]].map(|colour| f64::from((colour >> shift) & 0xff));
        (a + share * (b - a)).round() as u8
    };
    [channel(16), channel(8), channel(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lightness(colour: Rgb) -> f64 {
        match luminance(colour) {
            dark if dark <= 0.008856 => 903.3 * dark,
            light => 116.0 * light.cbrt() - 16.0,
        }
    }

    #[test]
    fn the_sequential_map_runs_from_light_to_dark() {
        let scale = Scale::new((0.0, 2.0));
        assert_eq!(scale.colour(0.0), [0xfc, 0xf4, 0xd9]);
        assert_eq!(scale.colour(2.0), [0x03, 0x13, 0x27]);
        // Row 127.5 of the published table, counted from its other end.
        assert_eq!(scale.colour(1.0), [0x41, 0x8a, 0x80]);
        let lightness: Vec<u32> = (0..=100)
            .map(|i| scale.colour(f64::from(i) / 50.0).iter().map(|&c| u32::from(c)).sum())
            .collect();
        assert!(lightness.windows(2).all(|pair| pair[0] > pair[1]), "{lightness:?}");
    }

    #[test]
    fn zero_is_neutral_in_a_lopsided_diverging_range() {
        let scale = Scale::new((-0.25, 1.0));
        assert_eq!(scale.colour(0.0), [0xec, 0xe5, 0xe1]);
        assert_eq!(scale.colour(1.0), [0x59, 0x00, 0x08]);
        assert_eq!(scale.colour(-0.25), Scale::new((-1.0, 1.0)).colour(-0.25));
    }

    #[test]
    fn inferno_runs_from_dark_to_light() {
        assert_eq!(
            [0.0, 0.5, 1.0].map(inferno),
            [[0, 0, 4], [0xbb, 0x37, 0x55], [0xfc, 0xff, 0xa4]]
        );
        // Perceived lightness (CIE 1976) rises throughout, by steps that are nearly equal.
        let lightness: Vec<f64> =
            (0..=16).map(|i| lightness(inferno(f64::from(i) / 16.0))).collect();
        assert!(
            lightness.windows(2).all(|pair| (3.0..9.0).contains(&(pair[1] - pair[0]))),
            "{lightness:?}"
        );
    }

    #[test]
    fn jet_is_matlabs() {
        // The corners of jet(64)'s straight lines.
        let corners = [0.0, 0.125, 0.375, 0.5, 0.625, 0.875, 1.0].map(jet);
        let half = 128;
        let expected = [
            [0, 0, half],
            [0, 0, 255],
            [0, 255, 255],
            [half, 255, half],
            [255, 255, 0],
            [255, 0, 0],
            [half, 0, 0],
        ];
        assert_eq!(corners, expected);
    }

    #[test]
    fn text_is_readable_on_every_colour_of_every_map() {
        let scales = [(0.0, 1.0), (-1.0, 1.0), (-0.25, 1.0)].map(Scale::new);
        let values = || (0..=1000).map(|step| f64::from(step) / 1000.0);
        let cells = scales.iter().flat_map(|scale| {
            values().map(|value| scale.colour(scale.lower + value * (scale.upper - scale.lower)))
        });
        let colours: Vec<Rgb> =
            cells.chain(values().map(inferno)).chain(values().map(jet)).chain(CATEGORIES).collect();
        for colour in colours.iter().flat_map(|&colour| [colour, faded(colour)]) {
            let found = contrast(readable_on(colour), colour);
            assert!(found >= 4.5, "{found:.2} on {colour:?}");
        }
        approx::assert_abs_diff_eq!(contrast(BLACK, WHITE), 21.0, epsilon = 1e-9);
        approx::assert_abs_diff_eq!(contrast([0x76; 3], WHITE), 4.54, epsilon = 0.01);
    }

    #[test]
    fn text_on_light_is_black_and_on_dark_white() {
        assert_eq!(readable_on([0xfc, 0xf4, 0xd9]), BLACK);
        assert_eq!(readable_on([0x03, 0x13, 0x27]), WHITE);
        // 4.5:1 and more on both sides of the equal-contrast grey.
        assert_eq!(readable_on([0x76; 3]), BLACK);
        assert_eq!(readable_on([0x74; 3]), WHITE);
    }
}
