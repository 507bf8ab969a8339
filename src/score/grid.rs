//! A map as 8 x 8 means over the picture, small enough to keep in every record, and what the maps
//! of other pictures have in a box's place.
//!
//! A map is high in the middle of most pictures, and so is the motif. How much of that a box owes
//! to its place alone is seen from the maps that other pictures of the run have there.

use super::rectangle::Area;
use crate::image::Size;
use crate::random::Random;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Cells along each side.
const SIDE: usize = 8;

/// Means of a map over 8 x 8 equal parts of the picture, row by row, each of 0 to 1 in 255 steps.
/// In JSON: two hexadecimal digits a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MapGrid([u8; MapGrid::CELLS]);

impl MapGrid {
    /// Its number of parts.
    pub(super) const CELLS: usize = SIDE * SIDE;

    /// The parts in whole pixels of a placed map; of a side with fewer pixels than parts some are
    /// the same.
    pub(super) fn cells(content: Size) -> impl Iterator<Item = Area> {
        let part = |number: usize, side: u32| {
            let side = side as usize;
            let start = number * side / SIDE;
            start..((number + 1) * side / SIDE).max(start + 1)
        };
        let cell = move |at: usize| Area {
            rows: part(at / SIDE, content.height),
            columns: part(at % SIDE, content.width),
        };
        (0..MapGrid::CELLS).map(cell)
    }

    /// From the means over [`Self::cells`]; what a bicubic filter overshoots is cut.
    pub(super) fn new(means: impl Iterator<Item = f64>) -> Self {
        let mut cells = [0; MapGrid::CELLS];
        cells
            .iter_mut()
            .zip(means)
            .for_each(|(cell, mean)| *cell = (mean.clamp(0.0, 1.0) * 255.0).round() as u8);
        Self(cells)
    }

    /// The greatest difference of two, in steps.
    #[cfg(test)]
    pub(super) fn differs_by(&self, other: &Self) -> u8 {
        self.0.iter().zip(&other.0).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
    }
}

impl From<MapGrid> for String {
    fn from(MapGrid(cells): MapGrid) -> Self {
        cells.iter().map(|cell| format!("{cell:02x}")).collect()
    }
}

impl TryFrom<String> for MapGrid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut cells = [0; MapGrid::CELLS];
        let read = cells.iter_mut().zip(pairs).all(|(cell, &[high, low])| {
            let value = digit(high).zip(digit(low)).map(|(high, low)| 16 * high + low);
            *cell = value.unwrap_or_default();
            value.is_some()
        });
        if !read || pairs.len() != MapGrid::CELLS || !rest.is_empty() {
            let (count, digits) = (MapGrid::CELLS, 2 * MapGrid::CELLS);
            return Err(format!(
                "a grid of {count} cells should have {digits} hexadecimal digits, and not {text:?}"
            ));
        }
        Ok(Self(cells))
    }
}

/// Pictures whose maps are looked at: the score has a standard error of at most 0.035, at 0.95 of
/// 0.015.
const SAMPLE: usize = 200;

/// The maps of a run's pictures, of many a sample that depends neither on their order nor on
/// chance: those with the lowest digests of their paths.
#[derive(Debug, Default)]
pub struct OtherMaps {
    /// By digest and path the grids of all methods; `None` of one without maps.
    sample: BTreeMap<(u64, String), Vec<Option<MapGrid>>>,
}

/// A sample that is ready to be asked.
#[derive(Debug)]
pub struct MapSample {
    places: HashMap<String, usize>,
    /// By method, then by cell the values of all pictures; `None` of a method without maps.
    methods: Vec<Option<Vec<f32>>>,
}

impl OtherMaps {
    /// Adds a picture.
    pub fn add(&mut self, path: &str, grids: impl Iterator<Item = Option<MapGrid>>) {
        let digest = Random::of_text(0, path).next_u64();
        let last = self.sample.last_key_value().map(|(key, _)| key.0);
        if self.sample.len() < SAMPLE || last.is_some_and(|last| digest < last) {
            self.sample.insert((digest, path.into()), grids.collect());
            if self.sample.len() > SAMPLE {
                self.sample.pop_last();
            }
        }
    }

    /// The sample; `None` where there are fewer than two pictures, so that one has no others.
    pub fn sample(self) -> Option<MapSample> {
        let pictures: Vec<&Vec<Option<MapGrid>>> = self.sample.values().collect();
        let methods = pictures.iter().map(|grids| grids.len()).min().unwrap_or(0);
        let of_method = |method: usize| {
            let grids = pictures.iter().map(|grids| grids[method].map(|MapGrid(cells)| cells));
            let grids = grids.collect::<Option<Vec<[u8; MapGrid::CELLS]>>>()?;
            Some(
                (0..MapGrid::CELLS)
                    .flat_map(|cell| grids.iter().map(move |grid| f32::from(grid[cell])))
                    .collect(),
            )
        };
        let methods = (0..methods).map(of_method).collect();
        let count = self.sample.len();
        let places = self.sample.into_keys().map(|(_, path)| path).zip(0..).collect();
        (count > 1).then_some(MapSample { places, methods })
    }
}

impl MapSample {
    /// 1 less the share of other pictures' maps whose mean in the box is as large or larger than
    /// that of `own`, those that are equal by half: in `[0, 1]`, the larger the less chance and
    /// place explain it. `edges` are x and y of the box's ends in shares of the picture's sides.
    /// `None`: the method has no maps.
    pub fn score(
        &self,
        method: usize,
        path: &str,
        own: &MapGrid,
        edges: [[f64; 2]; 2],
    ) -> Option<f32> {
        let values = self.methods.get(method)?.as_ref()?;
        let count = self.places.len();
        let [columns, rows] = edges.map(|[start, end]| {
            let share = |cell: usize| {
                let cell = cell as f64;
                (end * SIDE as f64).min(cell + 1.0) - (start * SIDE as f64).max(cell)
            };
            std::array::from_fn::<f64, SIDE, _>(|cell| share(cell).max(0.0))
        });
        let (mut sums, mut of_own) = (vec![0.0_f32; count], 0.0_f32);
        for (at, values) in values.chunks_exact(count).enumerate() {
            let weight = (rows[at / SIDE] * columns[at % SIDE]) as f32;
            if weight > 0.0 {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
                of_own += weight * f32::from(own.0[at]);
            }
        }
        let halves = |sum: f32| u32::from(sum >= of_own) + u32::from(sum > of_own);
        let of_itself = self.places.get(path).map_or(0, |&place| halves(sums[place]));
        let others = count - usize::from(self.places.contains_key(path));
        let as_large = sums.iter().map(|&sum| halves(sum)).sum::<u32>() - of_itself;
        Some((1.0 - f64::from(as_large) / (2 * others) as f64) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid that is `inside` in the upper left quarter and `outside` elsewhere.
    fn quarter(inside: f64, outside: f64) -> MapGrid {
        MapGrid::new(
            (0..MapGrid::CELLS)
                .map(|index| if index / SIDE < 4 && index % SIDE < 4 { inside } else { outside }),
        )
    }

    #[test]
    fn a_grid_is_text_and_back() {
        let grid = MapGrid::new((0..MapGrid::CELLS).map(|index| index as f64 / 60.0));
        let text = String::from(grid);
        assert!(text.starts_with("00040") && text.ends_with("ffffff"), "{text}");
        assert_eq!(MapGrid::try_from(text), Ok(grid));
        for wrong in ["", "00", &"0g".repeat(64), &"é".repeat(64)] {
            assert!(MapGrid::try_from(wrong.to_string()).unwrap_err().contains("128"), "{wrong}");
        }
    }

    #[test]
    fn cells_cover_a_picture_once() {
        for size in [Size::new(41, 29), Size::new(8, 16)] {
            assert_eq!(
                MapGrid::cells(size).map(|cell| cell.area()).sum::<f64>(),
                size.area() as f64
            );
        }
        assert!(MapGrid::cells(Size::new(3, 1)).all(|cell| !cell.is_empty()));
    }

    #[test]
    fn a_box_beside_other_maps_by_hand() {
        let mut maps = OtherMaps::default();
        let grids = [
            quarter(0.8, 0.1),
            quarter(0.6, 0.1),
            quarter(0.8, 0.9),
            quarter(1.0, 0.0),
            quarter(0.2, 0.2),
        ];
        for (number, grid) in grids.into_iter().enumerate() {
            maps.add(&format!("{number}"), [Some(grid), None].into_iter());
        }
        let sample = maps.sample().unwrap();
        // In the quarter one of four others has more, one as much; over the whole picture one has
        // more.
        let quarter_of_it = [[0.0, 0.5], [0.0, 0.5]];
        assert_eq!(sample.score(0, "0", &grids[0], quarter_of_it), Some(1.0 - 1.5 / 4.0));
        assert_eq!(sample.score(0, "0", &grids[0], [[0.0, 1.0], [0.0, 1.0]]), Some(0.75));
        assert_eq!(sample.score(0, "another", &grids[3], quarter_of_it), Some(0.9));
        assert_eq!(sample.score(1, "0", &grids[0], quarter_of_it), None);
        // The quarter's last column and what is right of it: again one of the others has more.
        let beside = [[0.375, 1.0], [0.0, 0.5]];
        assert_eq!(sample.score(0, "0", &grids[0], beside), Some(0.75));
        let mut single = OtherMaps::default();
        single.add("a", [Some(grids[0])].into_iter());
        assert!(single.sample().is_none());
    }

    #[test]
    fn the_sample_does_not_depend_on_the_order() {
        let scores = |order: &[usize]| {
            let mut maps = OtherMaps::default();
            for &number in order {
                maps.add(
                    &number.to_string(),
                    [Some(quarter(number as f64 / 999.0, 0.5))].into_iter(),
                );
            }
            let sample = maps.sample().unwrap();
            let own = quarter(0.3, 0.5);
            let score = |path: &str| sample.score(0, path, &own, [[0.1, 0.4], [0.2, 0.3]]).unwrap();
            (sample.places.len(), score("none"), score("7"))
        };
        let mut order: Vec<usize> = (0..1000).collect();
        let expected = scores(&order);
        Random::new(1, 0).shuffle(&mut order);
        assert_eq!(scores(&order), expected);
        assert_eq!(expected.0, SAMPLE);
        assert!((expected.1 - 0.3).abs() < 0.1, "{expected:?}");
    }
}
