//! Which filters (channels of the explained activation A) respond to which objects, and for which
//! labels they count (after Mertens et al. 2025, arXiv 2509.21384; our own formulas).
//!
//! For class i and channel k: the mean, over the pictures in which a box of class i was found, of
//! the share of the channel's positive weighted activation ReLU(w_k A_k) that lies in the boxes of
//! class i, beside the share that a channel which is the same everywhere would have there (the
//! boxes' area). For label j and channel k: the mean of w_k over the pictures of label j. ReLU(w A)
//! is |w| ReLU(A) or |w| ReLU(-A), so that the shares of all methods come from one matrix product a
//! picture ([`channel_sums`]).
//!
//! In: A, boxes and channel weights of pictures ([`in_batch`]). Out: sums over pictures
//! ([`FilterSums`]), which are integers, so that neither the order of the pictures nor shards nor
//! restarts change a digit; `filters.csv`, `filter_weights.csv` and a figure a method. All boxes
//! that were found count, whatever their confidence; of regions with pixels of their own, the box.

mod figure;
mod sidecar;
mod sums;
mod tables;

pub use figure::{ClassChannelPair, figure};
pub use sums::{Excited, FilterSums};

use crate::image::{BoundingBox, Placement, Size};
use crate::score::{ChannelScorer, channel_sums};
use tch::{TchError, Tensor};

/// What is kept of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureFilters {
    /// The classes of its boxes, ascending.
    pub classes: Vec<ClassShares>,
    /// Channel weights, by method that has any and channel.
    pub weights: Vec<Vec<f32>>,
    /// Where each channel is strongest.
    pub peaks: Vec<Peak>,
}

/// How a picture's channels lie in the boxes of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassShares {
    /// Its index.
    pub class: usize,
    /// The share of a channel that is the same everywhere, 0 to 1.
    pub area: f32,
    /// The share of each channel's positive part, 0 to 1, then that of each channel's negative
    /// part; `None` where there is no such part.
    pub shares: [Vec<Option<f32>>; 2],
}

/// Where a channel of a picture is strongest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// The highest value of A.
    pub value: f32,
    /// The middle of its place in shares of the picture's width and height.
    pub at: [f32; 2],
}

/// A picture of a batch.
#[derive(Debug)]
pub struct PictureBoxes<'a> {
    /// How it lies in the network's input.
    pub placement: &'a Placement,
    /// Class and box, in pixels of the picture, of every region that was found.
    pub boxes: Vec<(usize, BoundingBox)>,
}

/// What is kept of the pictures of a batch; `activation` is A, (N, K, rows, columns), and `weights`
/// has (N, K) for each method that weighs channels.
///
/// # Errors
/// No memory.
pub fn in_batch(
    activation: &Tensor,
    weights: &[&Tensor],
    pictures: &[PictureBoxes<'_>],
) -> Result<Vec<PictureFilters>, TchError> {
    let (_, channels, rows, columns) = activation.size4()?;
    let grid = Size::new(columns as u32, rows as u32);
    let (values, places) = activation.f_flatten(2, -1)?.f_max_dim(2, false)?;
    let values = Vec::<f32>::try_from(&values.f_flatten(0, -1)?)?;
    let places = Vec::<i64>::try_from(&places.f_flatten(0, -1)?)?;
    let by_method = weights.iter().map(|weights| Vec::<f32>::try_from(&weights.f_flatten(0, -1)?));
    let by_method = by_method.collect::<Result<Vec<_>, _>>()?;
    let channels = channels as usize;
    let of_picture = |(number, picture): (usize, &PictureBoxes<'_>)| {
        let own = number * channels..(number + 1) * channels;
        let peak = |at: usize| Peak {
            value: values[at],
            at: middle(picture.placement, grid, places[at] as u32),
        };
        Ok(PictureFilters {
            classes: class_shares(&activation.f_get(number as i64)?, grid, picture)?,
            weights: by_method.iter().map(|weights| weights[own.clone()].to_vec()).collect(),
            peaks: own.map(peak).collect(),
        })
    };
    pictures.iter().enumerate().map(of_picture).collect()
}

/// The middle of A's `place` in shares of the picture.
fn middle(placement: &Placement, grid: Size, place: u32) -> [f32; 2] {
    let (column, row, picture) = (place % grid.width, place / grid.width, placement.original);
    let sides = [
        (placement.across(), column, grid.width, picture.width),
        (placement.down(), row, grid.height, picture.height),
    ];
    sides.map(|(cover, cell, cells, pixels)| {
        let middle = cover.start + cover.length * (f64::from(cell) + 0.5) / f64::from(cells);
        (middle / f64::from(pixels)).clamp(0.0, 1.0) as f32
    })
}

/// For every class of the picture's boxes; `activation` is (K, rows, columns).
fn class_shares(
    activation: &Tensor,
    grid: Size,
    picture: &PictureBoxes<'_>,
) -> Result<Vec<ClassShares>, TchError> {
    let mut classes: Vec<usize> = picture.boxes.iter().map(|(class, _)| *class).collect();
    classes.sort_unstable();
    classes.dedup();
    if classes.is_empty() {
        return Ok(Vec::new());
    }
    let scorer = ChannelScorer::new(picture.placement, grid);
    let boxes_of = |class: usize| -> Vec<BoundingBox> {
        picture
            .boxes
            .iter()
            .filter(|(other, _)| *other == class)
            .map(|(_, region)| *region)
            .collect()
    };
    let sets = std::iter::once(scorer.whole())
        .chain(classes.iter().map(|&class| scorer.places(&boxes_of(class))));
    let sets: Vec<Vec<f64>> = sets.collect();
    let area: Vec<f64> = sets.iter().map(|places| places.iter().sum()).collect();
    let sums = channel_sums(activation, &sets)?;
    let share =
        |row: &[f32], set: usize| (row[0] > 0.0).then(|| (row[set] / row[0]).clamp(0.0, 1.0));
    let of_class = |(number, &class): (usize, &usize)| {
        let halves = sums.chunks_exact(sums.len() / 2);
        let half = |half: &[f32]| {
            half.chunks_exact(sets.len()).map(|row| share(row, number + 1)).collect()
        };
        let mut shares = halves.map(half);
        let shares = [shares.next().unwrap_or_default(), shares.next().unwrap_or_default()];
        ClassShares { class, area: (area[number + 1] / area[0]).clamp(0.0, 1.0) as f32, shares }
    };
    Ok(classes.iter().enumerate().map(of_class).collect())
}

#[cfg(test)]
mod tests;
