//! Masks: sets of pixels of a picture, kept as the run lengths that COCO uses.
//!
//! Pixels are numbered column by column: down the first column, then down the second. A mask is the
//! list of lengths of runs of pixels outside and inside in turn, beginning with those outside.
//! Nothing here unpacks a mask: memory and time depend on the number of runs (and, for
//! [`Mask::spans`] and [`Mask::outline`], of columns), never on that of pixels. Whatever comes from
//! a file is checked here; errors are sentences to which the reader adds the file and the place.

mod compressed;
mod json;
mod outline;
mod polygon;

pub(crate) use json::RunLengths;

use super::{BoundingBox, Size};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The longest side of a picture that a mask can belong to: with it, every pixel's number fits 32
/// bits.
pub const MAX_SIDE: u32 = 65_535;

/// A set of pixels of a picture. In JSON it is COCO's object of `size`, which is `[height, width]`,
/// and `counts`, which is written as the compressed string and read as that or as a list of
/// numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RunLengths", into = "RunLengths")]
pub struct Mask {
    size: Size,
    /// Lengths of the runs outside (even places) and inside (odd places). Their sum is the
    /// picture's area; only the first can be 0. So equal sets have equal counts.
    counts: Box<[u32]>,
}

/// A stretch of a mask's pixels in one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The column, counted from the left edge.
    pub column: u32,
    /// The rows from the upper edge, at least one.
    pub rows: Range<u32>,
}

impl Mask {
    /// A mask of a picture of this size from its run lengths, the first of which counts pixels
    /// outside. Runs of length 0 are allowed and join their neighbours.
    ///
    /// # Errors
    /// The size has a side of 0 or over [`MAX_SIDE`]; the lengths do not sum to its area.
    pub fn from_counts(size: Size, counts: impl IntoIterator<Item = u64>) -> Result<Self, String> {
        Self::from_results(size, counts.into_iter().map(Ok))
    }

    /// A mask from the string that COCO compresses run lengths to.
    ///
    /// # Errors
    /// The string is no such string; its counts are none for this size, as in
    /// [`Self::from_counts`].
    pub fn from_compressed(size: Size, text: &str) -> Result<Self, String> {
        Self::from_results(size, compressed::Counts::new(text))
    }

    /// The pixels inside at least one of `polygons`, each a list x, y, x, y, … of corners in pixels
    /// of the picture, as pycocotools sees them: pixel for pixel what its `frPyObjects` and `merge`
    /// give. What is outside of the picture is cut off. No polygon gives an empty mask.
    ///
    /// # Errors
    /// The size has a side of 0 or over [`MAX_SIDE`]; a polygon has an odd number of coordinates,
    /// fewer than three corners, or a coordinate that is not finite or beyond 10 million; the edges
    /// cross too many columns.
    pub fn from_polygons(size: Size, polygons: &[Vec<f64>]) -> Result<Self, String> {
        Ok(Self::from_polygons_counted(size, polygons)?.0)
    }

    /// [`Self::from_polygons`], and how many columns the edges cross: what the mask has cost.
    pub(crate) fn from_polygons_counted(
        size: Size,
        polygons: &[Vec<f64>],
    ) -> Result<(Self, usize), String> {
        check_size(size)?;
        let (runs, crossings) = polygon::runs(size, polygons)?;
        Ok((Self::from_runs(size, runs), crossings))
    }

    /// A mask from one value a pixel, row by row.
    ///
    /// # Errors
    /// The size has a side of 0 or over [`MAX_SIDE`]; the number of values is not its area.
    pub fn from_bits(size: Size, bits: &[bool]) -> Result<Self, String> {
        check_size(size)?;
        if bits.len() != size.area() {
            return Err(format!(
                "expected {} values for a mask of {size}, found {}",
                size.area(),
                bits.len()
            ));
        }
        let mut runs = Runs::default();
        for column in 0..size.width as usize {
            let pixels = bits.iter().skip(column).step_by(size.width as usize);
            pixels.for_each(|&inside| runs.push(inside, 1));
        }
        Ok(runs.into_mask(size))
    }

    /// A mask from lengths each of which may have turned out to be none.
    fn from_results(
        size: Size,
        counts: impl Iterator<Item = Result<u64, String>>,
    ) -> Result<Self, String> {
        check_size(size)?;
        let area = size.area() as u64;
        let (mut runs, mut total, mut inside) = (Runs::default(), 0_u64, false);
        for count in counts {
            let count = count?;
            if count > area - total {
                return Err(format!(
                    "run lengths that sum to the {area} pixels of a picture of {size} were \
                     expected, found a sum of {} or more",
                    total.saturating_add(count)
                ));
            }
            total += count;
            // Not over the area, which fits.
            runs.push(inside, count as u32);
            inside = !inside;
        }
        if total < area {
            return Err(format!(
                "run lengths that sum to the {area} pixels of a picture of {size} were expected, \
                 found a sum of {total}"
            ));
        }
        Ok(runs.into_mask(size))
    }

    /// A mask from runs of pixels inside: in order, neither overlapping nor beyond the picture.
    fn from_runs(size: Size, inside: impl IntoIterator<Item = Range<u32>>) -> Self {
        let (mut runs, mut position) = (Runs::default(), 0);
        for run in inside {
            runs.push(false, run.start - position);
            runs.push(true, run.end - run.start);
            position = run.end;
        }
        runs.push(false, size.area() as u32 - position);
        runs.into_mask(size)
    }

    /// The size of the picture.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The run lengths, of pixels outside and inside in turn. Their sum is the picture's area; only
    /// the first can be 0.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// COCO's compressed string of the run lengths.
    pub fn to_compressed(&self) -> String {
        compressed::write(&self.counts)
    }

    /// The number of pixels inside.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&count| u64::from(count)).sum()
    }

    /// Whether no pixel is inside.
    pub fn is_empty(&self) -> bool {
        self.counts.len() < 2
    }

    /// The smallest half-open box around the pixels inside; `None` if there are none.
    pub fn bounding_box(&self) -> Option<BoundingBox> {
        let height = self.size.height;
        let mut tight: Option<[u32; 4]> = None;
        for run in self.runs() {
            let [first, last] =
                [run.start, run.end - 1].map(|pixel| (pixel / height, pixel % height));
            // A run that goes on in the next column has the lowest pixel of one and the topmost of
            // the other.
            let [top, bottom] = if first.0 == last.0 { [first.1, last.1 + 1] } else { [0, height] };
            let [left, upper, right, lower] = tight.unwrap_or([first.0, top, last.0 + 1, bottom]);
            tight =
                Some([left.min(first.0), upper.min(top), right.max(last.0 + 1), lower.max(bottom)]);
        }
        // Whole numbers up to MAX_SIDE, which f32 holds exactly.
        tight.map(|edges| BoundingBox::from(edges.map(|edge| edge as f32)))
    }

    /// Whether the pixel `x` from the left and `y` from the top is inside; no pixel beyond the
    /// picture is. Takes time with the number of runs.
    pub fn contains(&self, x: u32, y: u32) -> bool {
        if x >= self.size.width || y >= self.size.height {
            return false;
        }
        let pixel = x * self.size.height + y;
        self.runs().take_while(|run| run.start <= pixel).any(|run| run.contains(&pixel))
    }

    /// The pixels of either mask.
    ///
    /// # Panics
    /// If their sizes differ: a mistake of the caller, never of a file.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        assert_eq!(self.size, other.size, "masks of one picture have one size");
        let mut runs: Vec<_> = self.runs().chain(other.runs()).collect();
        polygon::join(&mut runs);
        Self::from_runs(self.size, runs)
    }

    /// The stretches of pixels inside, column by column from the left and down each. A run that
    /// goes on in the next column gives one in each.
    pub fn spans(&self) -> impl Iterator<Item = Span> + '_ {
        let height = self.size.height;
        self.runs().flat_map(move |run| {
            (run.start / height..=(run.end - 1) / height).map(move |column| {
                let top = column * height;
                Span { column, rows: run.start.max(top) - top..run.end.min(top + height) - top }
            })
        })
    }

    /// The closed contours along the edges of the pixels, each the list of its corners (x, y) in
    /// pixels, the last not repeating the first. Contours go round clockwise as seen on the screen,
    /// those of holes counter-clockwise; pixels that touch at a corner alone have contours of their
    /// own. Contours are in order of their leftmost, then topmost corner.
    pub fn outline(&self) -> Vec<Vec<(u32, u32)>> {
        outline::trace(self)
    }

    /// The runs inside, as numbers of pixels.
    fn runs(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        let mut position = 0;
        self.counts.chunks_exact(2).map(move |pair| {
            let start = position + pair[0];
            position = start + pair[1];
            start..position
        })
    }
}

/// Run lengths in the making.
#[derive(Debug, Default)]
struct Runs(Vec<u32>);

impl Runs {
    /// Adds `length` pixels that are inside or outside. All pixels together must be at most the
    /// picture's.
    fn push(&mut self, inside: bool, length: u32) {
        if length == 0 {
            return;
        }
        if self.0.is_empty() && inside {
            self.0.push(0);
        }
        let last_inside = self.0.len().is_multiple_of(2);
        match self.0.last_mut() {
            Some(last) if last_inside == inside => *last += length,
            _ => self.0.push(length),
        }
    }

    fn into_mask(self, size: Size) -> Mask {
        Mask { size, counts: self.0.into_boxed_slice() }
    }
}

fn check_size(size: Size) -> Result<(), String> {
    let sides = 1..=MAX_SIDE;
    match sides.contains(&size.width) && sides.contains(&size.height) {
        true => Ok(()),
        false => Err(format!("a mask's picture has sides of 1 to {MAX_SIDE} pixels, found {size}")),
    }
}

#[cfg(test)]
mod tests;
