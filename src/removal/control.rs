//! A patch of a region's size and shape at another place of the picture, drawn at random.

use crate::image::{BoundingBox, Placement};
use crate::random::Random;

/// The greatest share of a control that may lie on its region: of one that is mostly the region
/// nothing is learnt.
const MOST_OVERLAP: f64 = 0.5;

/// A region, moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// Which places of the network's input it has, row by row: as many as the region, in its shape.
    pub places: Vec<bool>,
    /// The share of it that lies on the region, in `[0, 0.5]`.
    pub overlap: f64,
    /// The share of it that lies on regions of the picture, this one among them, in `[0, 1]`.
    pub on_regions: f64,
    /// The box around it in pixels of the picture, cut to it.
    pub bounding_box: BoundingBox,
}

/// First and last row, first and last column of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Around {
    rows: (i64, i64),
    columns: (i64, i64),
}

impl Control {
    /// Of a region of these places of the network's input (row by row, all of them in the picture,
    /// which lies there as `placement` says): moved by whole places, so that all of it stays in the
    /// picture. `regions` are the places of all regions of the picture, since what another object
    /// does is not what a patch does.
    ///
    /// Of the moves after which its box and the region's do not overlap, those remain whose box has
    /// the fewest places of `regions`; it is drawn evenly from them. Where no box of its size fits
    /// beside the region's, it lies in the corner of the picture where it overlaps the region
    /// least, the first of equals from the upper left. `None` for a region without places, and
    /// where that is more than half of the region, as of one that fills the picture.
    pub fn draw(
        region: &[bool],
        regions: &[bool],
        placement: &Placement,
        random: &mut Random,
    ) -> Option<Self> {
        let width = placement.input.width as usize;
        let around = Around::new(region, width)?;
        let first = (i64::from(placement.top), i64::from(placement.left));
        let last = (
            first.0 + placement.rows.len() as i64 - 1,
            first.1 + placement.columns.len() as i64 - 1,
        );
        let (up, down) = (first.0 - around.rows.0, last.0 - around.rows.1);
        let (left, right) = (first.1 - around.columns.0, last.1 - around.columns.1);
        let (height, wide) =
            (around.rows.1 - around.rows.0 + 1, around.columns.1 - around.columns.0 + 1);
        let all = (up..=down).flat_map(|down| (left..=right).map(move |across| (down, across)));
        let free: Vec<(i64, i64)> =
            all.filter(|(down, across)| down.abs() >= height || across.abs() >= wide).collect();
        let shift = match free.is_empty() {
            false => {
                let sums = Sums::new(regions, width);
                let taken: Vec<u32> =
                    free.iter().map(|&by| sums.within(around.moved(by))).collect();
                let least = taken.iter().min()?;
                let best: Vec<_> =
                    free.iter().zip(&taken).filter(|(_, taken)| *taken == least).collect();
                *best[random.below(best.len())].0
            }
            true => {
                let corners = [(up, left), (up, right), (down, left), (down, right)];
                *corners.iter().min_by_key(|&&by| shared(region, &moved(region, width, by)))?
            }
        };
        let places = moved(region, width, shift);
        let area = region.iter().filter(|&&inside| inside).count() as f64;
        let (overlap, on_regions) =
            (shared(region, &places) as f64 / area, shared(regions, &places) as f64 / area);
        let bounding_box = around.moved(shift).in_picture(placement)?;
        (overlap <= MOST_OVERLAP).then_some(Self { places, overlap, on_regions, bounding_box })
    }
}

/// How many places of a set lie above and to the left of each place.
struct Sums {
    sums: Vec<u32>,
    width: usize,
}

impl Sums {
    /// Of a set of places in rows of `width`.
    fn new(places: &[bool], width: usize) -> Self {
        let mut sums = vec![0; width + 1];
        for (row, places) in places.chunks_exact(width).enumerate() {
            let (above, mut in_row) = (row * (width + 1), 0);
            sums.push(0);
            for (column, &inside) in places.iter().enumerate() {
                in_row += u32::from(inside);
                sums.push(sums[above + column + 1] + in_row);
            }
        }
        Self { sums, width: width + 1 }
    }

    /// How many lie in a box, which is inside.
    fn within(&self, Around { rows, columns }: Around) -> u32 {
        let until = |row: i64, column: i64| self.sums[row as usize * self.width + column as usize];
        let (last_row, last_column) = (rows.1 + 1, columns.1 + 1);
        until(last_row, last_column) + until(rows.0, columns.0)
            - until(rows.0, last_column)
            - until(last_row, columns.0)
    }
}

/// Places that both have.
fn shared(a: &[bool], b: &[bool]) -> usize {
    a.iter().zip(b).filter(|&(&a, &b)| a && b).count()
}

/// The region moved down and to the right; what would leave the input is lost, but the caller sees
/// to it that nothing does.
fn moved(region: &[bool], width: usize, (down, across): (i64, i64)) -> Vec<bool> {
    let mut places = vec![false; region.len()];
    let shift = down * width as i64 + across;
    for (at, _) in region.iter().enumerate().filter(|&(_, &inside)| inside) {
        if let Some(place) = places.get_mut((at as i64 + shift) as usize) {
            *place = true;
        }
    }
    places
}

impl Around {
    fn new(region: &[bool], width: usize) -> Option<Self> {
        let mut around: Option<Self> = None;
        for (at, _) in region.iter().enumerate().filter(|&(_, &inside)| inside) {
            let (row, column) = ((at / width) as i64, (at % width) as i64);
            let grown = |range: (i64, i64), at: i64| (range.0.min(at), range.1.max(at));
            around = Some(match around {
                None => Self { rows: (row, row), columns: (column, column) },
                Some(Self { rows, columns }) => {
                    Self { rows: grown(rows, row), columns: grown(columns, column) }
                }
            });
        }
        around
    }

    fn moved(self, (down, across): (i64, i64)) -> Self {
        let moved = |(first, last): (i64, i64), by: i64| (first + by, last + by);
        Self { rows: moved(self.rows, down), columns: moved(self.columns, across) }
    }

    /// In pixels of the picture, cut to it.
    fn in_picture(self, placement: &Placement) -> Option<BoundingBox> {
        let (across, down) = (placement.across(), placement.down());
        let x = |place: i64| {
            across.start + place as f64 * across.length / f64::from(placement.input.width)
        };
        let y = |place: i64| {
            down.start + place as f64 * down.length / f64::from(placement.input.height)
        };
        let [left, right] = [x(self.columns.0), x(self.columns.1 + 1)];
        let [top, bottom] = [y(self.rows.0), y(self.rows.1 + 1)];
        let original = placement.original;
        BoundingBox::from([left, top, right, bottom].map(|edge| edge as f32))
            .clip(original.width as f32, original.height as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Filter, Fit, Resize, Size};
    use proptest::prelude::*;

    fn placement(resize: Resize, width: u32, height: u32) -> Placement {
        let fit = Fit { resize, crop: 0.9, filter: Filter::Bilinear, input: Size::new(29, 23) };
        fit.placement(Size::new(width, height))
    }

    /// The places of the picture in the input, row by row.
    fn of_picture(placement: &Placement) -> Vec<bool> {
        crate::image::inside(
            &[crate::image::Extent::new(0.0, 0.0, f64::MAX, f64::MAX).into()],
            placement,
        )
    }

    proptest! {
        #[test]
        fn a_control_has_the_region_s_size_and_shape_and_lies_in_the_picture(
            seed in 0_u64..10_000, kind in 0..3_usize, width in 20_u32..200, height in 20_u32..200,
        ) {
            let placement = placement([Resize::Squash, Resize::CenterCrop, Resize::Letterbox][kind], width, height);
            let picture = of_picture(&placement);
            let mut random = Random::new(seed, 0);
            let edges = [0.0, 0.0, 1.0, 1.0].map(|low: f64| random.uniform(0.0, 1.0) * 0.7 + 0.3 * low);
            let [x, y] = [(edges[0], edges[2], width), (edges[1], edges[3], height)]
                .map(|(a, b, side)| (a.min(b) * f64::from(side), a.max(b) * f64::from(side)));
            let region = crate::image::inside(&[crate::image::Extent::new(x.0, y.0, x.1, y.1).into()], &placement);
            prop_assume!(region.contains(&true));
            let count = |places: &[bool]| places.iter().filter(|&&inside| inside).count();
            let Some(control) = Control::draw(&region, &region, &placement, &mut random) else {
                // Then the region is more than a half of the picture along both sides.
                let around = Around::new(&region, 29).unwrap();
                prop_assert!(2 * (around.rows.1 - around.rows.0 + 1) > placement.rows.len() as i64);
                prop_assert!(2 * (around.columns.1 - around.columns.0 + 1) > placement.columns.len() as i64);
                return Ok(());
            };
            prop_assert_eq!(count(&control.places), count(&region));
            prop_assert!(control.places.iter().zip(&picture).all(|(&inside, &shown)| shown || !inside));
            let both = shared(&region, &control.places);
            prop_assert!((both as f64 / count(&region) as f64 - control.overlap).abs() < 1e-12);
            prop_assert!(control.overlap <= MOST_OVERLAP);
            // The same shape: moved back it is the region.
            let (from, to) = (Around::new(&region, 29).unwrap(), Around::new(&control.places, 29).unwrap());
            let back = (from.rows.0 - to.rows.0, from.columns.0 - to.columns.0);
            prop_assert_eq!(moved(&control.places, 29, back), region);
        }
    }

    #[test]
    fn a_region_that_fills_the_picture_has_no_control() {
        let placement = placement(Resize::Squash, 60, 40);
        let mut random = Random::new(1, 0);
        assert_eq!(
            Control::draw(&[true; 29 * 23], &[true; 29 * 23], &placement, &mut random),
            None
        );
        assert_eq!(
            Control::draw(&[false; 29 * 23], &[false; 29 * 23], &placement, &mut random),
            None
        );
        // Two thirds of the width, all of the height: moved to the other side it still lies on half
        // of itself.
        let region: Vec<bool> = (0..29 * 23).map(|index| index % 29 < 18).collect();
        let control = Control::draw(&region, &region, &placement, &mut random).unwrap();
        assert!(control.overlap > 0.3 && control.overlap <= 0.5, "{}", control.overlap);
        assert_eq!(control.bounding_box.height(), 40.0);
    }

    #[test]
    fn other_regions_are_left_alone_where_there_is_room() {
        let placement = placement(Resize::Squash, 58, 46);
        let boxed = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| -> Vec<bool> {
            (0..29 * 23)
                .map(|index| rows.contains(&(index / 29)) && columns.contains(&(index % 29)))
                .collect()
        };
        let (region, other) = (boxed(2..9, 3..12), boxed(0..23, 12..20));
        let regions: Vec<bool> = region.iter().zip(&other).map(|(&a, &b)| a || b).collect();
        for seed in 0..50 {
            let control =
                Control::draw(&region, &regions, &placement, &mut Random::new(seed, 0)).unwrap();
            assert_eq!((control.overlap, control.on_regions), (0.0, 0.0), "{control:?}");
        }
        // Without room it lies on them.
        let regions = vec![true; 29 * 23];
        let control = Control::draw(&region, &regions, &placement, &mut Random::new(1, 0)).unwrap();
        assert_eq!((control.overlap, control.on_regions), (0.0, 1.0));
    }
}
