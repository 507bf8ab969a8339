//! A photo with an object, or with something else in the object's place: the changed pixels alone.

use super::object::{FILTER, PastedObject};
use super::settings::Fill;
use crate::image::{KeptResize, Rgb8, Rgba8, Size, resize};
use crate::random::Random;
use std::ops::Range;

/// A control's blur: what lies below the object is reduced to this many pixels a side and enlarged
/// again.
const BLURRED: u32 = 4;

/// The part of a pasted picture that lies inside the photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// Leftmost column of the photo.
    pub left: usize,
    /// Top row of the photo.
    pub top: usize,
    columns: Range<usize>,
    rows: Range<usize>,
}

/// Where a picture of size `sprite` lies in a photo when its centre is at the shares `x` and `y` of
/// its sides: the upper left corner at the nearest whole pixel, halves rounded up. `None` when all
/// of it hangs over the border.
pub fn spot_footprint(sprite: Size, photo: Size, x: f64, y: f64) -> Option<Footprint> {
    let axis = |share: f64, side: u32, own: u32| {
        let start = (share * f64::from(side) - f64::from(own) / 2.0 + 0.5).floor() as i64;
        let hidden = (-start).max(0);
        let end = (i64::from(side) - start).min(i64::from(own));
        (hidden < end).then(|| (start.max(0) as usize, hidden as usize..end as usize))
    };
    let (left, columns) = axis(x, photo.width, sprite.width)?;
    let (top, rows) = axis(y, photo.height, sprite.height)?;
    Some(Footprint { left, top, columns, rows })
}

/// An object at the size for one photo, with everything that can fill its place.
#[derive(Debug)]
pub struct Sprites {
    object: Rgba8,
    /// Colours per control, made when the control is used.
    mean: Option<Rgba8>,
    shuffled: Option<Rgba8>,
}

impl Sprites {
    /// Makes what `fills` need for `photo`; `random` shuffles.
    pub fn new(
        object: &PastedObject,
        photo: &Rgb8,
        scale: f64,
        fills: &[Fill],
        random: Random,
    ) -> Self {
        let object = object.pixels.resize(object.size_in(photo.size().height, scale), FILTER);
        let wanted = |fill: Fill| fills.contains(&fill);
        let mean = wanted(Fill::Mean)
            .then(|| object.with_colour(Rgb8::filled(object.size(), mean_colour(photo))));
        let shuffled = wanted(Fill::Shuffle).then(|| shuffle(&object, random));
        Self { object, mean, shuffled }
    }

    /// The object's size in the photo.
    pub fn size(&self) -> Size {
        self.object.size()
    }

    /// The photo's pixels inside the footprint, with the object or its control over them.
    ///
    /// # Panics
    /// When the fill was not among those the sprites were made with.
    pub fn patch(&self, photo: &Rgb8, fill: Fill, at: &Footprint) -> Rgb8 {
        let Footprint { left, top, columns, rows } = at;
        let mut below = photo.crop(*left..left + columns.len(), *top..top + rows.len());
        let visible = |sprite: &Rgba8| sprite.crop(columns.clone(), rows.clone());
        let made =
            |sprite: &Option<Rgba8>| visible(sprite.as_ref().expect("the control was asked for"));
        let above = match fill {
            Fill::Object => visible(&self.object),
            Fill::Mean => made(&self.mean),
            Fill::Shuffle => made(&self.shuffled),
            Fill::Blur => visible(&self.object).with_colour(blurred(&below)),
        };
        above.lay_over(&mut below);
        below
    }

    /// The photo with the object or its control, at the network's size; the photo as it is where
    /// the object lies outside.
    pub fn paste(&self, photo: &KeptResize, fill: Fill, at: Option<&Footprint>) -> Rgb8 {
        match at {
            Some(at) => photo.with(at.left, at.top, &self.patch(photo.image(), fill, at)),
            None => photo.result().clone(),
        }
    }

    /// The object's alpha inside the footprint, as a grey picture.
    pub fn mask(&self, at: &Footprint) -> Rgb8 {
        self.object.crop(at.columns.clone(), at.rows.clone()).mask()
    }

    /// The share of the photo's area that the object hides, its alpha counted.
    pub fn covered(&self, photo: Size, at: Option<&Footprint>) -> f64 {
        let hidden = at.map_or(0, |index| {
            let visible = self.object.crop(index.columns.clone(), index.rows.clone());
            visible.alpha().iter().map(|&alpha| u64::from(alpha)).sum()
        });
        hidden as f64 / 255.0 / photo.area() as f64
    }
}

/// Mean of every channel, halves rounded up.
fn mean_colour(photo: &Rgb8) -> [u8; 3] {
    let mut sums = [0_u64; 3];
    for pixel in photo.data().chunks_exact(3) {
        sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u64::from(value));
    }
    let count = photo.size().area() as u64;
    sums.map(|sum| ((2 * sum + count) / (2 * count)) as u8)
}

/// Low-pass: reduced to at most [`BLURRED`] pixels a side and enlarged, both by the triangle
/// filter.
fn blurred(below: &Rgb8) -> Rgb8 {
    let Size { width, height } = below.size();
    let small = Size::new(width.min(BLURRED), height.min(BLURRED));
    resize(&resize(below, small, FILTER), below.size(), FILTER)
}

/// The colours of the visible pixels exchanged among them; alpha stays.
fn shuffle(object: &Rgba8, mut random: Random) -> Rgba8 {
    let pixels: &[u8] = object.colour().data();
    let visible: Vec<usize> =
        (0..object.alpha().len()).filter(|&at| object.alpha()[at] > 0).collect();
    let mut from = visible.clone();
    random.shuffle(&mut from);
    let mut colours = object.colour().clone();
    for (to, from) in visible.into_iter().zip(from) {
        colours.data_mut()[3 * to..3 * to + 3].copy_from_slice(&pixels[3 * from..3 * from + 3]);
    }
    object.with_colour(colours)
}
