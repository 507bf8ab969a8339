//! How much of a map lies on a region's own pixels.
//!
//! The map is brought to the picture's own pixels (bilinear, half-pixel centres, 0 where the
//! network's input does not cover the picture), and a mask is a set of vertical stretches of these.
//! Along a column the map is a broken line between the rows of cells, so that the sum over a
//! stretch comes from two running sums and its maximum lies at an end of a piece: neither the map
//! nor the mask is ever unpacked to pixels.

use super::BoxScore;
use super::rectangle::wider;
use crate::image::{Mask, Placement, Size};
use std::ops::Range;

/// What masks of pictures of one size are scored with.
#[derive(Debug)]
pub struct MaskScorer {
    map: Size,
    /// For every column of the picture the cell before it and the weights of it and the next.
    columns: Vec<(usize, [f64; 2])>,
    /// Stretches of rows between the same two cells, from the top.
    pieces: Vec<Piece>,
    /// For every row of the picture the weight of its second cell; of rows that are not covered,
    /// both are 0.
    fractions: Vec<f64>,
    /// For every row the piece that it is in.
    piece_of: Vec<u32>,
    /// Sums of `fractions` over all rows above.
    running: Vec<f64>,
}

/// Rows between the same two cells.
#[derive(Debug)]
struct Piece {
    rows: Range<usize>,
    cell: usize,
    covered: bool,
}

impl MaskScorer {
    /// For pictures that lie in the network's input as `placement` says, and maps of the size `map`
    /// over that input.
    pub fn new(placement: &Placement, map: Size) -> Self {
        let Size { width, height } = placement.original;
        let (across, down) = (placement.across(), placement.down());
        let columns =
            (0..width).map(|column| across.bilinear(f64::from(column) + 0.5, map.width)).collect();
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut fractions, mut piece_of, mut running) = (Vec::new(), Vec::new(), vec![0.0]);
        for row in 0..height {
            let (cell, [first, second]) = down.bilinear(f64::from(row) + 0.5, map.height);
            let (row, covered) = (row as usize, first + second > 0.0);
            match pieces.last_mut().filter(|piece| piece.cell == cell && piece.covered == covered) {
                Some(piece) => piece.rows.end = row + 1,
                None => pieces.push(Piece { rows: row..row + 1, cell, covered }),
            }
            fractions.push(second);
            piece_of.push(pieces.len() as u32 - 1);
            running.push(running[row] + second);
        }
        Self { map, columns, pieces, fractions, piece_of, running }
    }

    /// The scores of `masks`, which are of the pictures' size, on `map`, row by row; each mask with
    /// the scores of its box, of which z is its own.
    pub fn scores(&self, map: &[f32], masks: &[(&Mask, &BoxScore)]) -> Vec<BoxScore> {
        let total = self.total(map);
        // Columns are made once for all masks, when the first asks.
        let mut profiles: Vec<Option<Profile>> = (0..self.columns.len()).map(|_| None).collect();
        let mut sum_of = |column: usize, rows: &Range<usize>, max: Option<&mut f64>| {
            let profile = profiles[column].get_or_insert_with(|| self.profile(map, column));
            if let Some(max) = max {
                *max = self.maximum(profile, rows.clone()).max(*max);
            }
            self.below(profile, rows.end) - self.below(profile, rows.start)
        };
        let score = |(mask, of_box): &(&Mask, &BoxScore)| {
            let area = mask.area() as f64;
            let (mut sum, mut max) = (0.0, f64::NEG_INFINITY);
            let mut bounds = [usize::MAX, 0, usize::MAX, 0];
            for span in mask.spans() {
                let (column, rows) =
                    (span.column as usize, span.rows.start as usize..span.rows.end as usize);
                sum += sum_of(column, &rows, Some(&mut max));
                let [left, right, top, bottom] = bounds;
                bounds = [
                    left.min(column),
                    right.max(column + 1),
                    top.min(rows.start),
                    bottom.max(rows.end),
                ];
            }
            if area == 0.0 {
                return BoxScore::default();
            }
            let [left, right, top, bottom] = bounds;
            let (rows, columns) = (
                wider(&(top..bottom), self.fractions.len()),
                wider(&(left..right), self.columns.len()),
            );
            let outside = (rows.len() * columns.len()) as f64 - area;
            let frame: f64 = columns.map(|column| sum_of(column, &rows, None)).sum();
            let contrast = if outside > 0.0 { sum / area - (frame - sum) / outside } else { 0.0 };
            let mass = if total > 0.0 { sum / total } else { 0.0 };
            let pixels = (self.columns.len() * self.fractions.len()) as f64;
            BoxScore {
                mean: (sum / area) as f32,
                max: max as f32,
                mass: mass as f32,
                contrast: contrast as f32,
                z: of_box.z,
                lift: (mass * pixels / area) as f32,
            }
        };
        masks.iter().map(score).collect()
    }

    /// The sum of the map over all pixels of the picture.
    fn total(&self, map: &[f32]) -> f64 {
        let mut across = vec![0.0; self.map.width as usize];
        for (cell, weights) in &self.columns {
            for (offset, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0)
            {
                across[cell + offset] += weight;
            }
        }
        let sums: Vec<f64> = map
            .chunks_exact(self.map.width as usize)
            .map(|line| {
                line.iter().zip(&across).map(|(&value, weight)| f64::from(value) * weight).sum()
            })
            .collect();
        self.below(&self.with_sums(sums), self.fractions.len())
    }

    /// The map along a column of the picture.
    fn profile(&self, map: &[f32], column: usize) -> Profile {
        let (cell, weights) = self.columns[column];
        let value = |line: &[f32]| {
            let cells = weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
            cells.map(|(offset, weight)| weight * f64::from(line[cell + offset])).sum()
        };
        self.with_sums(map.chunks_exact(self.map.width as usize).map(value).collect())
    }

    fn with_sums(&self, cells: Vec<f64>) -> Profile {
        let mut profile = Profile { cells, sums: vec![0.0] };
        for piece in &self.pieces {
            let sum =
                profile.sums[profile.sums.len() - 1] + self.part(&profile, piece, &piece.rows);
            profile.sums.push(sum);
        }
        profile
    }

    /// The sum over rows that lie in one piece.
    fn part(&self, profile: &Profile, piece: &Piece, rows: &Range<usize>) -> f64 {
        if !piece.covered {
            return 0.0;
        }
        let (first, second) = profile.ends(piece.cell);
        let seconds = self.running[rows.end] - self.running[rows.start];
        first * (rows.len() as f64 - seconds) + second * seconds
    }

    /// The sum over all rows above `row`.
    fn below(&self, profile: &Profile, row: usize) -> f64 {
        match self.piece_of.get(row) {
            None => profile.sums[self.pieces.len()],
            Some(&piece) => {
                let number = piece as usize;
                let piece = &self.pieces[number];
                profile.sums[number] + self.part(profile, piece, &(piece.rows.start..row))
            }
        }
    }

    /// The maximum over rows, at least one.
    fn maximum(&self, profile: &Profile, rows: Range<usize>) -> f64 {
        let value = |row: usize, piece: &Piece| {
            if !piece.covered {
                return 0.0;
            }
            let (first, second) = profile.ends(piece.cell);
            first + (second - first) * self.fractions[row]
        };
        let pieces = self.piece_of[rows.start] as usize..=self.piece_of[rows.end - 1] as usize;
        // A straight line is highest at one of its ends.
        let highest = |piece: &Piece| {
            let (first, last) =
                (piece.rows.start.max(rows.start), piece.rows.end.min(rows.end) - 1);
            value(first, piece).max(value(last, piece))
        };
        self.pieces[pieces].iter().map(highest).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The map along one column.
#[derive(Debug)]
struct Profile {
    /// At every row of cells.
    cells: Vec<f64>,
    /// Over the rows of the picture in all pieces above each piece, and over all.
    sums: Vec<f64>,
}

impl Profile {
    /// The values of a cell and the next.
    fn ends(&self, cell: usize) -> (f64, f64) {
        (self.cells[cell], self.cells[(cell + 1).min(self.cells.len() - 1)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Filter, Fit, Resize};
    use crate::random::Random;
    use proptest::prelude::*;

    /// By the definition: the map at every pixel of the picture.
    fn unpacked(placement: &Placement, size: Size, map: &[f32]) -> Vec<f64> {
        let Size { width, height } = placement.original;
        let mut values = Vec::new();
        for row in 0..height {
            let (y, down) = placement.down().bilinear(f64::from(row) + 0.5, size.height);
            for column in 0..width {
                let (x, across) = placement.across().bilinear(f64::from(column) + 0.5, size.width);
                let mut value = 0.0;
                for (i, v) in down.iter().enumerate().filter(|(_, v)| **v > 0.0) {
                    for (j, h) in across.iter().enumerate().filter(|(_, h)| **h > 0.0) {
                        value += v * h * f64::from(map[(y + i) * size.width as usize + x + j]);
                    }
                }
                values.push(value);
            }
        }
        values
    }

    /// Values of the pixels that are not the mask's in a frame around it.
    fn frame_less_mask(picture: Size, bits: &[bool], values: &[f64]) -> Vec<f64> {
        let width = picture.width as usize;
        let places: Vec<[usize; 2]> = (0..bits.len())
            .filter(|&at| bits[at])
            .map(|index| [index / width, index % width])
            .collect();
        let frame = [0, 1].map(|side| {
            let along: Vec<usize> = places.iter().map(|place| place[side]).collect();
            let (first, last) = (along.iter().min().unwrap(), along.iter().max().unwrap());
            let length = (last + 1 - first) as f64;
            let margin = ((2.0_f64.sqrt() * length - length) / 2.0).round().max(1.0);
            (*first as f64 - margin, *last as f64 + margin)
        });
        let is_in = |at: usize, side: usize| {
            let place = [at / width, at % width][side] as f64;
            frame[side].0 <= place && place <= frame[side].1
        };
        (0..bits.len())
            .filter(|&at| !bits[at] && is_in(at, 0) && is_in(at, 1))
            .map(|index| values[index])
            .collect()
    }

    proptest! {
        #[test]
        fn runs_say_what_pixels_say(
            width in 1_u32..60, height in 1_u32..60, kind in 0..3_usize, seed: u64, density in 0.05..0.9_f64,
        ) {
            let (picture, size) = (Size::new(width, height), Size::new(9, 13));
            let resize = [Resize::Squash, Resize::CenterCrop, Resize::Letterbox][kind];
            let fit = Fit { resize, crop: 0.8, filter: Filter::Bilinear, input: Size::new(27, 39) };
            let placement = fit.placement(picture);
            let mut random = Random::new(seed, 0);
            let map: Vec<f32> = (0..size.area()).map(|_| random.uniform(0.0, 1.0) as f32).collect();
            let [columns, rows] = [width, height].map(|side| {
                let [a, b] = [(); 2].map(|()| random.below(side as usize) as u32);
                a.min(b)..=a.max(b)
            });
            let is_set = |at: u32| {
                let inside = columns.contains(&(at % width)) && rows.contains(&(at / width));
                random.uniform(0.0, 1.0) < density && inside
            };
            let bits: Vec<bool> = (0..width * height).map(is_set).collect();
            let mask = Mask::from_bits(picture, &bits).unwrap();
            let of_box = BoxScore { z: 0.7, ..BoxScore::default() };
            let found = MaskScorer::new(&placement, size).scores(&map, &[(&mask, &of_box)])[0];
            let values = unpacked(&placement, size, &map);
            let inside: Vec<f64> = values.iter().zip(&bits).filter(|&(_, &bit)| bit).map(|(&value, _)| value).collect();
            if inside.is_empty() {
                prop_assert_eq!(found, BoxScore::default());
                return Ok(());
            }
            let (sum, total) = (inside.iter().sum::<f64>(), values.iter().sum::<f64>());
            let max = inside.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((f64::from(found.mean) - sum / inside.len() as f64).abs() < 1e-6);
            prop_assert!((f64::from(found.max) - max).abs() < 1e-6);
            let mass = if total > 0.0 { sum / total } else { 0.0 };
            prop_assert!((f64::from(found.mass) - mass).abs() < 1e-6);
            let lift = mass * values.len() as f64 / inside.len() as f64;
            prop_assert!((f64::from(found.lift) - lift).abs() < 1e-5 * lift.max(1.0));
            prop_assert_eq!(found.z, 0.7);
            let outside = frame_less_mask(picture, &bits, &values);
            let mean = sum / inside.len() as f64;
            let of_frame = outside.iter().sum::<f64>() / outside.len() as f64;
            let contrast = if outside.is_empty() { 0.0 } else { mean - of_frame };
            prop_assert!((f64::from(found.contrast) - contrast).abs() < 1e-6, "{} {}", found.contrast, contrast);
        }
    }
}
