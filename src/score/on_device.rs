//! Scores of maps that lie on a GPU, where they lie, for all boxes of a batch at once: the two
//! matrices as products, running sums in f64, running maxima, and one reading of numbers.

use super::rectangle::WINDOWS;
use super::{MapGrid, MapScores, Rectangle, RegionCover, Scorer, Sums, at_corners};
use crate::image::{Extent, Size, Taps};
use rayon::prelude::*;
use std::ops::Range;
use tch::{Device, Kind, TchError, Tensor};

/// What [`super::PlacedMap::scores`] says of the maps of a batch of N pictures, on any device.
/// `maps` has one tensor a method, (N, rows, columns), f32; `scorers`, `boxes`, in pixels of the
/// picture, and `covers` have one entry a picture. Returns the scores by picture and method, which
/// differ from those by rounding in f32.
///
/// # Errors
/// Maps of another size than the scorers', or no memory.
pub fn scores_on_device(
    scorers: &[Scorer],
    maps: &[&Tensor],
    boxes: &[&[Extent]],
    covers: &[RegionCover],
) -> Result<Vec<Vec<MapScores>>, TchError> {
    let Some(first) = maps.first() else { return Ok(vec![Vec::new(); boxes.len()]) };
    let _no_grad = tch::no_grad_guard();
    let device = first.device();
    let rows = dense(scorers.iter().map(|scorer| &scorer.rows), scorers[0].map.height, device)?;
    let columns =
        dense(scorers.iter().map(|scorer| &scorer.columns), scorers[0].map.width, device)?
            .f_transpose(1, 2)?;
    let look = Look::new(
        scorers,
        boxes,
        covers,
        (rows.size()[1] as usize, columns.size()[2] as usize),
        device,
    )?;
    let numbers = maps.iter().map(|maps| look.at(&rows.f_matmul(maps)?.f_matmul(&columns)?));
    let numbers = Tensor::f_cat(&numbers.collect::<Result<Vec<_>, _>>()?, 0)?;
    let numbers = Vec::<f64>::try_from(&numbers)?;
    let by_method: Vec<&[f64]> = numbers.chunks_exact(numbers.len() / maps.len()).collect();
    let mut start = 0;
    let of_picture = |(picture, of): (usize, &&[Extent])| {
        let range = start..start + of.len();
        start = range.end;
        by_method.iter().map(|numbers| look.scores(numbers, picture, range.clone())).collect()
    };
    Ok(boxes.iter().enumerate().map(of_picture).collect())
}

/// Where the numbers lie that the scores of a batch come from.
struct Look<'a> {
    /// Of all pictures' boxes, one after the other.
    rectangles: Vec<Rectangle>,
    /// The pictures' sizes on the canvas.
    contents: Vec<Size>,
    covers: &'a [RegionCover],
    /// Which places are no background: in regions, or beyond a picture, (N, H, W).
    covered: Tensor,
    /// Into the sums of all pictures, (N, H + 1, W + 1): four corners of each box, of its frame,
    /// and of each cell of the pictures' grids, then every picture's last.
    corners: Tensor,
    /// Likewise the four corners of all windows of the boxes' sizes, (4, boxes, windows).
    same_size: Tensor,
    /// For every power of two up to W, in order; `None` where no box has its width.
    windows: Vec<Option<Window>>,
    /// Per box the place of its maximum among those of all windows, one behind them where it has no
    /// pixels.
    maxima: Tensor,
}

/// The boxes at least as wide as a power of two and narrower than the next: two windows of that
/// width cover each.
struct Window {
    /// Into the windows' maxima, (N, H, W - width + 1): each box's windows in all rows of its
    /// picture, (boxes, H).
    left: Tensor,
    right: Tensor,
    /// Which of these rows are not the box's, (boxes, H).
    outside: Tensor,
}

impl Window {
    /// From each box's first window, last window, first row and the row behind its last, (4, boxes,
    /// 1), for maxima of `width` columns.
    fn new(places: &Tensor, every_row: &Tensor, width: i64) -> Result<Self, TchError> {
        let rows = every_row.f_mul_scalar(width)?;
        let part = |number: i64| places.f_select(0, number);
        let (above, below) = (every_row.f_lt_tensor(&part(2)?)?, every_row.f_ge_tensor(&part(3)?)?);
        let (left, right) = (part(0)?.f_add(&rows)?, part(1)?.f_add(&rows)?);
        Ok(Self { left, right, outside: above.f_logical_or(&below)? })
    }
}

impl<'a> Look<'a> {
    fn new(
        scorers: &[Scorer],
        boxes: &[&[Extent]],
        covers: &'a [RegionCover],
        (height, width): (usize, usize),
        device: Device,
    ) -> Result<Self, TchError> {
        let all = scorers.iter().zip(boxes).enumerate().flat_map(|(picture, (scorer, of))| {
            of.iter()
                .map(move |extent| (picture, Rectangle::new(scorer.letterbox, scorer.area, extent)))
        });
        let (pictures, rectangles): (Vec<usize>, Vec<Rectangle>) = all.unzip();
        let contents: Vec<Size> = scorers.iter().map(|scorer| scorer.letterbox.content).collect();
        // All places travel together, since every journey stops the GPU.
        let mut places = corners(&pictures, &rectangles, &contents, (height, width));
        let corners = places.len();
        places.extend(same_size_places(&pictures, &rectangles, (height, width)));
        let with_pixels = rectangles.iter().filter(|rectangle| !rectangle.is_empty()).count();
        let (mut maxima, mut next) = (vec![with_pixels; rectangles.len()], 0);
        let mut counts = Vec::new();
        for power in 0..=width.ilog2() {
            let side = 1 << power;
            let fits = |number: &usize| {
                let rectangle = &rectangles[*number];
                !rectangle.is_empty() && rectangle.columns.len().ilog2() == power
            };
            let numbers: Vec<usize> = (0..rectangles.len()).filter(fits).collect();
            for &number in &numbers {
                maxima[number] = next;
                next += 1;
            }
            let first_row = |number: usize| pictures[number] * height * (width - side + 1);
            places.extend(
                numbers.iter().map(|&number| first_row(number) + rectangles[number].columns.start),
            );
            places.extend(
                numbers
                    .iter()
                    .map(|&number| first_row(number) + rectangles[number].columns.end - side),
            );
            places.extend(numbers.iter().map(|&number| rectangles[number].rows.start));
            places.extend(numbers.iter().map(|&number| rectangles[number].rows.end));
            counts.push(numbers.len());
        }
        places.extend(maxima);

        let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
        let places = Tensor::f_from_slice(&places)?.f_to_device(device)?;
        let mut start = 0;
        let mut take = |count: usize| {
            start += count;
            places.f_narrow(0, (start - count) as i64, count as i64)
        };
        let corners = take(corners)?;
        let same_size = same_size_corners(
            &take((2 * WINDOWS + 2) * rectangles.len())?,
            rectangles.len() as i64,
        )?;
        let every_row = Tensor::f_arange(height as i64, (Kind::Int64, device))?;
        let mut windows = Vec::with_capacity(counts.len());
        for (power, count) in counts.into_iter().enumerate() {
            let places = take(4 * count)?.f_reshape([4, count as i64, 1])?;
            let window = Window::new(&places, &every_row, (width - (1 << power) + 1) as i64)?;
            windows.push((count > 0).then_some(window));
        }
        let maxima = take(rectangles.len())?;
        let covered = covered(covers, &contents, (height, width))?.f_to_device(device)?;
        Ok(Self { rectangles, contents, covers, covered, corners, same_size, windows, maxima })
    }

    /// From maps on their canvases, (N, H, W), f32, one after the other, f64: the sums at the
    /// corners; mean and standard deviation of the sums over windows of each box's size; the boxes'
    /// maxima; sums over the backgrounds and over what lies in regions, maxima of the backgrounds.
    fn at(&self, placed: &Tensor) -> Result<Tensor, TchError> {
        // Sums over rectangles from the upper left corner, with a first row and column of zeros.
        let sums =
            placed.f_to_kind(Kind::Double)?.f_cumsum(1, Kind::Double)?.f_cumsum(2, Kind::Double)?;
        let sums = sums.f_constant_pad_nd([1, 0, 1, 0])?.f_flatten(0, -1)?;
        let mut of_windows = placed.shallow_clone();
        let mut maxima = Vec::with_capacity(self.windows.len() + 1);
        for (power, window) in self.windows.iter().enumerate() {
            if power > 0 {
                // Two windows of half the width, side by side.
                let (half, columns) = (1_i64 << (power - 1), of_windows.size()[2]);
                let left = of_windows.f_narrow(2, 0, columns - half)?;
                of_windows = left.f_maximum(&of_windows.f_narrow(2, half, columns - half)?)?;
            }
            if let Some(window) = window {
                maxima.push(window.maxima(&of_windows)?);
            }
        }
        maxima.push(Tensor::f_full([1], f64::NEG_INFINITY, (Kind::Float, placed.device()))?);
        let maxima =
            Tensor::f_cat(&maxima, 0)?.f_index_select(0, &self.maxima)?.f_to_kind(Kind::Double)?;
        let [end, above, left, start] =
            [0, 1, 2, 3].map(|corner| sums.f_take(&self.same_size.f_select(0, corner)?));
        let same_size = end?.f_sub(&above?)?.f_sub(&left?)?.f_add(&start?)?;
        let mean = same_size.f_mean_dim(Some([1_i64].as_slice()), false, Kind::Double)?;
        let squares = same_size.f_sub(&mean.f_unsqueeze(1)?)?.f_square()?;
        let deviation =
            squares.f_mean_dim(Some([1_i64].as_slice()), false, Kind::Double)?.f_sqrt()?;
        let places = [1_i64, 2];
        let sum =
            |values: &Tensor| values.f_sum_dim_intlist(places.as_slice(), false, Kind::Double);
        let free = placed.f_masked_fill(&self.covered, 0.0)?;
        // Beyond a picture its canvas is 0, so that what is left lies in regions.
        let (free, inside) = (sum(&free)?, sum(&placed.f_sub(&free)?)?);
        let most = placed
            .f_masked_fill(&self.covered, f64::NEG_INFINITY)?
            .f_amax(places.as_slice(), false)?;
        let most = most.f_to_kind(Kind::Double)?;
        Tensor::f_cat(
            &[sums.f_index_select(0, &self.corners)?, mean, deviation, maxima, free, inside, most],
            0,
        )
    }

    /// The scores of the boxes `of`, which are `picture`'s, from what [`Self::at`] says of a
    /// method's maps.
    fn scores(&self, numbers: &[f64], picture: usize, of: Range<usize>) -> MapScores {
        let (boxes, pictures) = (self.rectangles.len(), self.contents.len());
        let (corners, rest) = numbers.split_at(8 * boxes + 4 * MapGrid::CELLS * pictures);
        let (totals, rest) = rest.split_at(pictures);
        let sums: Vec<f64> = corners.as_chunks::<4>().0.iter().copied().map(at_corners).collect();
        let score = |at: usize| {
            let sums = Sums {
                inside: sums[at],
                frame: sums[boxes + at],
                total: totals[picture],
                windows: [rest[at], rest[boxes + at]],
            };
            self.rectangles[at].score(&sums, rest[2 * boxes + at] as f32)
        };
        let [free, inside, most] =
            [0, 1, 2].map(|part| rest[3 * boxes + part * pictures + picture]);
        let cells = sums[2 * boxes + MapGrid::CELLS * picture..]
            .iter()
            .zip(MapGrid::cells(self.contents[picture]));
        MapScores {
            boxes: of.map(score).collect(),
            background: self.covers[picture].score(free, most as f32, inside, totals[picture]),
            grid: MapGrid::new(cells.map(|(sum, cell)| sum / cell.area())),
        }
    }
}

/// See [`Look::covered`].
fn covered(
    covers: &[RegionCover],
    contents: &[Size],
    (height, width): (usize, usize),
) -> Result<Tensor, TchError> {
    let mut all = vec![true; covers.len() * height * width];
    let pictures = all.par_chunks_exact_mut(height * width).zip(covers).zip(contents);
    pictures.for_each(|((all, cover), content)| {
        let lines = cover.covered().chunks_exact(content.width as usize);
        all.chunks_exact_mut(width)
            .zip(lines)
            .for_each(|(all, line)| all[..line.len()].copy_from_slice(line));
    });
    Tensor::f_from_slice(&all)?.f_reshape([covers.len() as i64, height as i64, width as i64])
}

/// See [`Look::corners`].
fn corners(
    pictures: &[usize],
    rectangles: &[Rectangle],
    contents: &[Size],
    (height, width): (usize, usize),
) -> Vec<usize> {
    let (stride, area) = (width + 1, (height + 1) * (width + 1));
    let in_batch =
        |picture: usize, corners: [usize; 4]| corners.map(|corner| picture * area + corner);
    let each = || pictures.iter().zip(rectangles);
    let boxes = each().flat_map(|(&picture, of)| in_batch(picture, of.corners(stride)));
    let frames = each().flat_map(|(&picture, of)| in_batch(picture, of.frame().corners(stride)));
    let cells = contents.iter().enumerate().flat_map(|(picture, &content)| {
        MapGrid::cells(content).flat_map(move |cell| in_batch(picture, cell.corners(stride)))
    });
    let ends = (1..=contents.len()).map(|pictures| pictures * area - 1);
    boxes.chain(frames).chain(cells).chain(ends).collect()
}

/// Where windows of the boxes' sizes lie in the sums of all pictures: each box's first rows, then
/// each box's first columns, then all heights, then all widths.
fn same_size_places(
    pictures: &[usize],
    rectangles: &[Rectangle],
    (height, width): (usize, usize),
) -> Vec<usize> {
    let stride = width + 1;
    let rows = pictures.iter().zip(rectangles).flat_map(|(picture, of)| {
        let [rows, _] = of.places();
        rows.map(|row| (picture * (height + 1) + row) * stride)
    });
    let columns = rectangles.iter().flat_map(|rectangle| rectangle.places()[1]);
    let heights = rectangles.iter().map(|rectangle| rectangle.rows.len() * stride);
    rows.chain(columns)
        .chain(heights)
        .chain(rectangles.iter().map(|rectangle| rectangle.columns.len()))
        .collect()
}

/// From [`same_size_places`] of so many boxes the corners of all windows, as [`Look::same_size`].
fn same_size_corners(places: &Tensor, boxes: i64) -> Result<Tensor, TchError> {
    let windows = WINDOWS as i64;
    let part = |start: i64, count: i64| places.f_narrow(0, start * boxes, count * boxes);
    let rows = part(0, windows)?.f_reshape([boxes, windows, 1])?;
    let columns = part(windows, windows)?.f_reshape([boxes, 1, windows])?;
    let start = rows.f_add(&columns)?.f_reshape([boxes, windows * windows])?;
    let [down, across] = [0, 1].map(|side| part(2 * windows + side, 1)?.f_reshape([boxes, 1]));
    let (below, right) = (start.f_add(&down?)?, across?);
    Tensor::f_stack(&[below.f_add(&right)?, start.f_add(&right)?, below, start], 0)
}

impl Window {
    /// Each box's maximum, (boxes), from those of all windows of this width, (N, H, W - width + 1).
    fn maxima(&self, of_windows: &Tensor) -> Result<Tensor, TchError> {
        let inside = of_windows.f_take(&self.left)?.f_maximum(&of_windows.f_take(&self.right)?)?;
        inside.f_masked_fill(&self.outside, f64::NEG_INFINITY)?.f_amax([1_i64].as_slice(), false)
    }
}

/// The linear maps of N pictures as matrices, (N, most outputs, inputs), f32. They travel as they
/// are: a few numbers an output.
fn dense<'a>(
    bands: impl ExactSizeIterator<Item = &'a Taps> + Clone,
    inputs: u32,
    device: Device,
) -> Result<Tensor, TchError> {
    let pictures = bands.len();
    let outputs = bands.clone().map(Taps::len).max().unwrap_or(0);
    let width =
        bands.clone().flat_map(Taps::iter).map(|(_, weights)| weights.len()).max().unwrap_or(0);
    let mut weights = vec![0.0_f32; pictures * outputs * width];
    let mut starts = vec![0_i64; pictures * outputs];
    for (picture, bands) in bands.enumerate() {
        for (output, (start, of)) in bands.iter().enumerate() {
            let index = picture * outputs + output;
            starts[index] = start as i64;
            weights[index * width..][..of.len()]
                .iter_mut()
                .zip(of)
                .for_each(|(to, weight)| *to = *weight as f32);
        }
    }
    let (pictures, outputs, width) = (pictures as i64, outputs as i64, width as i64);
    let weights = Tensor::f_from_slice(&weights)?
        .f_reshape([pictures, outputs, width])?
        .f_to_device(device)?;
    let starts =
        Tensor::f_from_slice(&starts)?.f_reshape([pictures, outputs, 1])?.f_to_device(device)?;
    let places = starts.f_add(&Tensor::f_arange(width, (Kind::Int64, device))?)?;
    // A band that is shorter than the longest may reach, with zeros, behind the last input.
    let inputs = i64::from(inputs);
    let wide = Tensor::f_zeros([pictures, outputs, inputs + width], (Kind::Float, device))?;
    wide.f_scatter(2, &places, &weights)?.f_narrow(2, 0, inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{BoundingBox, Fit, Letterbox, Size};
    use crate::random::Random;
    use crate::score::BoxArea;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tensors_say_what_the_processor_says(
            pictures in prop::collection::vec(
                (1..300_u32, 1..300_u32,
                 prop::collection::vec((-20f32..120.0, -20f32..100.0, 0f32..150.0, 0f32..150.0), 0..9)), 1..5),
            seed in 0..99_u64,
        ) {
            let (canvas, size) = (Size::new(96, 64), Size::new(23, 19));
            let fit = |&(width, height, _): &(u32, u32, _)| Letterbox::fit(Size::new(width, height), canvas);
            let scorer = |picture: &(u32, u32, _)| {
                let letterbox = fit(picture);
                let area = if seed % 2 == 0 { BoxArea::Canvas } else { BoxArea::Picture };
                Scorer::new(&Fit::squash(size).placement(letterbox.original), size, letterbox, area)
            };
            let scorers: Vec<Scorer> = pictures.iter().map(scorer).collect();
            let boxes: Vec<Vec<Extent>> = pictures
                .iter()
                .zip(&scorers)
                .map(|((.., of), scorer)| {
                    let on_canvas = |&(x, y, w, h): &(f32, f32, f32, f32)| BoundingBox::new(x, y, x + w, y + h);
                    of.iter().map(|edges| scorer.letterbox.to_original(&on_canvas(edges))).collect()
                })
                .collect();
            let covers: Vec<RegionCover> = scorers
                .iter()
                .zip(&boxes)
                .map(|(scorer, boxes)| scorer.cover(boxes.iter().map(|extent| (extent, None))))
                .collect();
            let boxes: Vec<&[Extent]> = boxes.iter().map(Vec::as_slice).collect();
            let mut random = Random::new(seed, 0);
            // Of two methods; the first picture's map by the first shows nothing.
            let mut method = |first: f64| -> Vec<Vec<f32>> {
                let mut map = |factor| (0..size.area()).map(|_| (factor * random.uniform(0.0, 1.0)) as f32).collect();
                (0..scorers.len()).map(|index| map(if index == 0 { first } else { 1.0 })).collect()
            };
            let methods = [method(0.0), method(1.0)];
            let tensors = methods.each_ref().map(|maps| {
                Tensor::from_slice(&maps.concat()).reshape([scorers.len() as i64, 19, 23])
            });
            let found = scores_on_device(&scorers, &tensors.each_ref(), &boxes, &covers).unwrap();
            prop_assert_eq!(found.len(), scorers.len());
            for (picture, found) in found.iter().enumerate() {
                prop_assert_eq!(found.len(), 2);
                for (maps, found) in methods.iter().zip(found) {
                    let placed = scorers[picture].place(&maps[picture]);
                    prop_assert_eq!(found.boxes.len(), boxes[picture].len());
                    let expected = placed.scores(boxes[picture], &covers[picture]);
                    prop_assert!(found.grid.differs_by(&expected.grid) <= 1);
                    let pairs = found.boxes.iter().zip(&expected.boxes);
                    for (&found, &expected) in pairs.chain([(&found.background, &expected.background)]) {
                        for (a, b) in <[f32; 6]>::from(found).into_iter().zip(<[f32; 6]>::from(expected)) {
                            // Deviations of windows and shares of tiny areas are divided by.
                            prop_assert!((a - b).abs() < 1e-5 * (1.0 + 100.0 * b.abs()), "{found:?} {expected:?}");
                        }
                    }
                }
            }
        }
    }
}
