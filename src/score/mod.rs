//! How much of a map lies in a region: the importance of a detection.
//!
//! The published chain resizes the emotion model's map to the photo (OpenCV's bilinear),
//! letterboxes it like the detector's input (Pillow's bicubic) and averages it over the box, whose
//! edges are cut to whole pixels. Both resizings are linear and separable, so the chain is one
//! banded matrix a side, made once per image size: the same numbers to rounding, without an image
//! of the photo's size. The module `on_device` does the same with tensors, for maps that lie on a
//! GPU; `mask` scores the pixels of regions that are more than a box, `channels` all channels of A
//! by one product. Knows nothing of networks.

mod channels;
mod cover;
mod grid;
mod mask;
mod on_device;
mod rectangle;
mod rule;

pub use channels::{ChannelScorer, channel_sums};
pub use cover::RegionCover;
pub use grid::{MapGrid, MapSample, OtherMaps};
pub use mask::MaskScorer;
pub use on_device::scores_on_device;
pub use rule::ScoreRule;

use rectangle::{Rectangle, Sums};

use crate::image::{Cover, Extent, Filter, Letterbox, Mask, Placement, Size, Taps, taps};
use serde::{Deserialize, Serialize};

/// What of a box that reaches beyond the picture counts as its area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxArea {
    /// Its part on the detector's canvas: it is averaged over black bars too, where the map is 0
    /// (the paper's pipeline).
    #[default]
    Canvas,
    /// Its part in the picture.
    Picture,
}

impl BoxArea {
    /// The name in options and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Canvas => "canvas",
            Self::Picture => "picture",
        }
    }
}

/// How much of the map a region holds. In JSON: `[mean, max, mass, contrast, z, lift]`.
///
/// The first three are the larger, the larger the map or the region; the others know the region's
/// size. They are of the region's part in the picture, in whole pixels of the canvas, and 0 where
/// it has none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "[f32; 6]", into = "[f32; 6]")]
pub struct BoxScore {
    /// Mean of the map over the box's pixels: the importance C_Act(b) of the paper (section 2).
    /// About `[0, 1]`; the bicubic filter overshoots a little.
    pub mean: f32,
    /// Maximum over the box's pixels.
    pub max: f32,
    /// The box's share of the sum of the whole map, 0 for a map of zeros.
    pub mass: f32,
    /// Mean inside less mean in a frame around it with as much area, about `[-1, 1]`. The frame's
    /// outer edges are the region's, the sides longer by a factor of sqrt 2; of a frame that
    /// reaches over the picture's edge the part in the picture counts, and where none is left the
    /// contrast is 0. Of a mask the frame is that of its bounding box, and what of it is not the
    /// mask's counts as outside.
    pub contrast: f32,
    /// By how many standard deviations the mean inside is greater than the mean in a window of the
    /// same size somewhere in the picture: 16 x 16 places, evenly spaced from edge to edge and
    /// rounded to whole pixels. 0 where the windows do not differ, as for a constant map or a box
    /// as large as the picture. Of a mask that of its box.
    pub z: f32,
    /// Share of the map's sum over share of the picture's area: 1 where the map is everywhere the
    /// same, 0 for a map of zeros.
    pub lift: f32,
}

impl BoxScore {
    /// What stands for a region that has a value in place of a map: the value's share of all
    /// positive ones, in place of every number.
    pub fn of_value(share: f32) -> Self {
        Self::from([share; 6])
    }
}

impl From<[f32; 6]> for BoxScore {
    fn from([mean, max, mass, contrast, z, lift]: [f32; 6]) -> Self {
        Self { mean, max, mass, contrast, z, lift }
    }
}

impl From<BoxScore> for [f32; 6] {
    fn from(score: BoxScore) -> Self {
        [score.mean, score.max, score.mass, score.contrast, score.z, score.lift]
    }
}

/// What is kept of a picture's map by one method.
#[derive(Debug, Clone, PartialEq)]
pub struct MapScores {
    /// One a box.
    pub boxes: Vec<BoxScore>,
    /// The background's.
    pub background: BoxScore,
    /// The map itself, coarsely.
    pub grid: MapGrid,
}

/// The two matrices for images of one size.
#[derive(Debug)]
pub struct Scorer {
    letterbox: Letterbox,
    area: BoxArea,
    map: Size,
    /// A linear map along an axis each.
    rows: Taps,
    columns: Taps,
}

impl Scorer {
    /// For pictures that lie in the network's input as `placement` says, maps of the size `map`
    /// over that input, and boxes on the canvas of `letterbox`.
    pub fn new(placement: &Placement, map: Size, letterbox: Letterbox, area: BoxArea) -> Self {
        let Letterbox { original, content, .. } = letterbox;
        Self {
            letterbox,
            area,
            map,
            rows: axis(placement.down(), map.height, original.height, content.height),
            columns: axis(placement.across(), map.width, original.width, content.width),
        }
    }

    /// Which pixels of the content lie in regions of the picture, each with its mask where it has
    /// one.
    pub fn cover<'a>(
        &self,
        regions: impl Iterator<Item = (&'a Extent, Option<&'a Mask>)>,
    ) -> RegionCover {
        RegionCover::new(self.letterbox, regions)
    }

    /// The map on the content of the canvas, row by row; around it lies padding, where the map is
    /// 0.
    pub fn place(&self, map: &[f32]) -> PlacedMap {
        assert_eq!(map.len(), self.map.area(), "the map has the size the scorer was made for");
        let (width, height) = (self.columns.len(), self.rows.len());
        let across: Vec<f64> = map
            .chunks_exact(self.map.width as usize)
            .flat_map(|line| {
                self.columns.iter().map(|(start, weights)| dot(weights, &line[start..]))
            })
            .collect();
        let mut values = vec![0.0_f32; width * height];
        let mut line = vec![0.0_f64; width];
        for ((start, weights), out) in self.rows.iter().zip(values.chunks_exact_mut(width)) {
            line.fill(0.0);
            for (weight, source) in weights.iter().zip(across[start * width..].chunks_exact(width))
            {
                line.iter_mut().zip(source).for_each(|(sum, value)| *sum += weight * value);
            }
            out.iter_mut().zip(&line).for_each(|(out, value)| *out = *value as f32);
        }
        PlacedMap {
            letterbox: self.letterbox,
            area: self.area,
            sums: integral(&values, width),
            values,
        }
    }
}

/// A map on the detector's canvas, ready to score boxes.
#[derive(Debug)]
pub struct PlacedMap {
    letterbox: Letterbox,
    area: BoxArea,
    /// The content's pixels.
    values: Vec<f32>,
    /// Sums over all pixels above and to the left: one row and one column more than the content.
    sums: Vec<f64>,
}

impl PlacedMap {
    /// The content's pixels, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The score of the box `extent`, in pixels of the picture. As in the published chain its edges
    /// on the canvas are truncated to whole pixels, and by [`BoxArea::Canvas`] the padding counts
    /// as part of the box; unlike there, the box is clipped to the canvas first, and a box thinner
    /// than a pixel is scored on the pixel it lies in.
    pub fn score(&self, extent: &Extent) -> BoxScore {
        let rectangle = Rectangle::new(self.letterbox, self.area, extent);
        let width = self.letterbox.content.width as usize;
        let stride = width + 1;
        let columns = rectangle.columns.clone();
        let rows = rectangle.rows.clone().map(|row| &self.values[row * width..][columns.clone()]);
        let sums = Sums {
            inside: at_corners(rectangle.corners(stride).map(|corner| self.sums[corner])),
            frame: at_corners(rectangle.frame().corners(stride).map(|corner| self.sums[corner])),
            total: self.sums[self.sums.len() - 1],
            windows: rectangle.windows(&self.sums, stride),
        };
        rectangle.score(&sums, maximum(rows))
    }

    /// What is kept of the map of a picture with these regions, which `cover` it.
    pub fn scores(&self, extents: &[Extent], cover: &RegionCover) -> MapScores {
        let content = self.letterbox.content;
        let means = MapGrid::cells(content).map(|cell| {
            at_corners(cell.corners(content.width as usize + 1).map(|corner| self.sums[corner]))
                / cell.area()
        });
        MapScores {
            boxes: extents.iter().map(|extent| self.score(extent)).collect(),
            background: cover.of_map(&self.values, self.sums[self.sums.len() - 1]),
            grid: MapGrid::new(means),
        }
    }
}

/// From sums over all pixels above and to the left of a rectangle's corners the sum over the
/// rectangle.
fn at_corners([end, above, left, start]: [f64; 4]) -> f64 {
    end - above - left + start
}

/// OpenCV's bilinear resizing from `map` cells over what the input covers to `original` pixels,
/// then Pillow's bicubic from there to `content`, as one matrix. Pixels that the input does not
/// cover are 0.
fn axis(cover: Cover, map: u32, original: u32, content: u32) -> Taps {
    let bilinear: Vec<(usize, [f64; 2])> =
        (0..original).map(|pixel| cover.bilinear(f64::from(pixel) + 0.5, map)).collect();
    let (mut all, mut band) = (Taps::default(), Vec::new());
    for (start, weights) in taps(original, content, Filter::Bicubic).iter() {
        let sources = &bilinear[start..start + weights.len()];
        // Pixels that are not covered have no weights and name the cell at their end.
        let first = sources.first().map_or(0, |(low, _)| *low);
        let last = sources.last().map_or(0, |(low, _)| (*low + 1).min(map as usize - 1));
        band.clear();
        band.resize(last - first + 1, 0.0);
        for (weight, (low, pair)) in weights.iter().zip(sources) {
            for (at, share) in pair.iter().enumerate().filter(|(_, share)| **share > 0.0) {
                band[low + at - first] += weight * share;
            }
        }
        all.push(first, &band);
    }
    all
}

/// Of all lines, sixteen maxima side by side, which the processor compares at once; minus infinity
/// where there is nothing.
fn maximum<'a>(lines: impl Iterator<Item = &'a [f32]>) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut maxima = [f32::NEG_INFINITY; 16];
    for line in lines {
        let (blocks, rest) = line.as_chunks::<16>();
        for block in blocks {
            maxima.iter_mut().zip(block).for_each(|(max, &value)| *max = larger(*max, value));
        }
        maxima[0] = rest.iter().fold(maxima[0], |max, &value| larger(max, value));
    }
    maxima.into_iter().fold(f32::NEG_INFINITY, larger)
}

fn dot(weights: &[f64], values: &[f32]) -> f64 {
    weights.iter().zip(values).map(|(weight, &value)| weight * f64::from(value)).sum()
}

/// Sums over rectangles from the upper left corner (Crow 1984), with a first row and column of
/// zeros.
fn integral(values: &[f32], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0; width + 1];
    for line in values.chunks_exact(width) {
        let above = sums.len() - (width + 1);
        let mut of_line = 0.0;
        sums.push(0.0);
        for (column, &value) in line.iter().enumerate() {
            of_line += f64::from(value);
            sums.push(sums[above + column + 1] + of_line);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Fit, Resize};
    use proptest::prelude::*;

    /// Scores of squashed pictures on the canvas.
    fn scorer(letterbox: Letterbox, map: Size) -> Scorer {
        Scorer::new(
            &Fit::squash(map).placement(letterbox.original),
            map,
            letterbox,
            BoxArea::Canvas,
        )
    }

    /// The score of a box in pixels of the canvas.
    fn on_canvas(placed: &PlacedMap, edges: [f32; 4]) -> BoxScore {
        placed.score(&placed.letterbox.to_original(&edges.into()))
    }

    fn map(size: Size) -> Vec<f32> {
        (0..size.area()).map(|index| ((index * 7919) % 101) as f32 / 100.0).collect()
    }

    #[test]
    fn a_score_in_json_has_its_order_and_a_value_stands_in_all_places() {
        let text = "[1.0,2.0,3.0,4.0,5.0,6.0]";
        let score: BoxScore = serde_json::from_str(text).unwrap();
        assert_eq!((score.mean, score.max, score.mass), (1.0, 2.0, 3.0));
        assert_eq!((score.contrast, score.z, score.lift), (4.0, 5.0, 6.0));
        assert_eq!(serde_json::to_string(&score).unwrap(), text);
        assert_eq!(<[f32; 6]>::from(BoxScore::of_value(0.4)), [0.4; 6]);
        assert_eq!([BoxArea::Canvas, BoxArea::Picture].map(BoxArea::name), ["canvas", "picture"]);
    }

    #[test]
    fn a_constant_map_stays_constant_and_padding_counts_as_nothing() {
        let canvas = Size::new(40, 40);
        let scorer = scorer(Letterbox::fit(Size::new(200, 100), canvas), Size::new(13, 13));
        let placed = scorer.place(&[1.0; 169]);
        // The content is 40 x 20, from row 10 to row 30.
        let inside = on_canvas(&placed, [5.0, 12.0, 25.9, 20.2]);
        approx::assert_abs_diff_eq!(inside.mean, 1.0, epsilon = 1e-6);
        approx::assert_abs_diff_eq!(inside.max, 1.0, epsilon = 1e-6);
        approx::assert_abs_diff_eq!(inside.mass, 20.0 * 8.0 / 800.0, epsilon = 1e-6);
        let half_outside = on_canvas(&placed, [0.0, 0.0, 40.0, 20.0]);
        approx::assert_abs_diff_eq!(half_outside.mean, 0.5, epsilon = 1e-6);
        let padding = on_canvas(&placed, [-9.0, -9.0, 40.0, 5.0]);
        assert_eq!(padding, BoxScore::default());
    }

    #[test]
    fn a_box_thinner_than_a_pixel_is_scored_on_its_pixel() {
        let scorer = scorer(Letterbox::fit(Size::new(13, 7), Size::new(13, 7)), Size::new(13, 7));
        let map = map(Size::new(13, 7));
        let placed = scorer.place(&map);
        let score = on_canvas(&placed, [3.2, 5.1, 3.4, 5.9]);
        approx::assert_abs_diff_eq!(score.mean, map[5 * 13 + 3], epsilon = 1e-6);
        assert_eq!(score.mean, score.max);
        let corner = on_canvas(&placed, [13.0, 7.0, 13.0, 7.0]);
        approx::assert_abs_diff_eq!(corner.mean, map[6 * 13 + 12], epsilon = 1e-6);
    }

    proptest! {
        #[test]
        fn masses_of_a_tiling_sum_to_one(
            width in 3..90_u32, height in 3..90_u32, cut_x in 0..32_u32, cut_y in 0..24_u32,
        ) {
            let canvas = Size::new(32, 24);
            let size = Size::new(9, 11);
            let placed = scorer(Letterbox::fit(Size::new(width, height), canvas), size).place(&map(size));
            let (x, y) = (cut_x as f32, cut_y as f32);
            let tiles = [
                [0.0, 0.0, x, y],
                [x, 0.0, 32.0, y],
                [0.0, y, x, 24.0],
                [x, y, 32.0, 24.0],
            ];
            let tiles = tiles.into_iter().filter(|[a, b, c, d]| a < c && b < d);
            let mass: f32 = tiles.map(|tile| on_canvas(&placed, tile).mass).sum();
            prop_assert!((mass - 1.0).abs() < 1e-4, "{}", mass);
        }
    }

    #[test]
    fn inside_the_picture_the_padding_does_not_count() {
        let canvas = Size::new(40, 40);
        let letterbox = Letterbox::fit(Size::new(200, 100), canvas);
        let placement = Fit::squash(Size::new(13, 13)).placement(letterbox.original);
        let placed = Scorer::new(&placement, Size::new(13, 13), letterbox, BoxArea::Picture)
            .place(&[1.0; 169]);
        // From row 0 to row 20, half of it above the content.
        approx::assert_abs_diff_eq!(
            on_canvas(&placed, [0.0, 0.0, 40.0, 20.0]).mean,
            1.0,
            epsilon = 1e-6
        );
        let padding = on_canvas(&placed, [-9.0, -9.0, 40.0, 5.0]);
        assert_eq!(padding, BoxScore::default());
    }

    #[test]
    fn what_a_centre_crop_does_not_see_is_nothing() {
        // Of 40 columns the middle 20 are seen, as a map of 2 x 2 cells of 10 x 10 pixels.
        let fit = Fit {
            resize: Resize::CenterCrop,
            crop: 1.0,
            filter: Filter::Bilinear,
            input: Size::new(2, 2),
        };
        let photo = Size::new(40, 20);
        let placement = fit.placement(photo);
        let placed =
            Scorer::new(&placement, Size::new(2, 2), Letterbox::fit(photo, photo), BoxArea::Canvas);
        let placed = placed.place(&[1.0, 1.0, 1.0, 1.0]);
        for (edges, mean) in [
            ([0.0, 0.0, 10.0, 20.0], 0.0),
            ([10.0, 0.0, 30.0, 20.0], 1.0),
            ([5.0, 0.0, 15.0, 20.0], 0.5),
            ([30.0, 0.0, 40.0, 20.0], 0.0),
        ] {
            approx::assert_abs_diff_eq!(placed.score(&edges.into()).mean, mean, epsilon = 1e-6);
        }
    }
}
