//! The energy pointing game (Wang et al. 2020, Score-CAM, section 4.3): the share of a map that
//! lies inside the boxes of one class of objects. A map of no information has the boxes' share of
//! the area.

/// The share of the sum of `map` that lies `inside`; undefined for a map of zeros.
pub(super) fn energy(map: &[f32], inside: &[bool]) -> Option<f64> {
    let sum = |wanted: &dyn Fn(bool) -> bool| -> f64 {
        map.iter()
            .zip(inside)
            .filter(|&(_, &inside)| wanted(inside))
            .map(|(&value, _)| f64::from(value))
            .sum()
    };
    let whole = sum(&|_| true);
    (whole > 0.0).then(|| sum(&|inside| inside) / whole)
}

/// The share of the pixels that lie inside; none where no pixel does.
pub(super) fn area(inside: &[bool]) -> Option<f64> {
    let count = inside.iter().filter(|&&inside| inside).count();
    (count > 0).then(|| count as f64 / inside.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Extent, Fit, Mask, Region, Size, inside};
    use proptest::prelude::*;

    /// The pixels of a squashed photo inside boxes.
    fn inside_boxes(boxes: &[[f64; 4]], photo: Size, grid: Size) -> Vec<bool> {
        let regions: Vec<Region> = boxes.iter().map(|&edges| Extent::from(edges).into()).collect();
        inside(&regions, &Fit::squash(grid).placement(photo))
    }

    #[test]
    fn of_a_mask_its_pixels_count_and_not_its_box() {
        let photo = Size::new(4, 2);
        let bits = [true, false, false, true, false, false, false, true];
        let region = Region::from(Mask::from_bits(photo, &bits).unwrap());
        assert_eq!(inside(&[region], &Fit::squash(photo).placement(photo)), bits);
    }

    #[test]
    fn overlapping_boxes_count_once() {
        // A photo of 8 x 2 squashed to 4 x 4.
        let boxes = [[0.0, 0.0, 4.0, 1.0], [2.0, 0.0, 4.0, 2.0]];
        let found = inside_boxes(&boxes, Size::new(8, 2), Size::new(4, 4));
        let (o, i) = (false, true);
        assert_eq!(found, [i, i, o, o, i, i, o, o, o, i, o, o, o, i, o, o]);
        assert_eq!(area(&found), Some(6.0 / 16.0));
        assert_eq!(
            energy(&[1.0; 16], &found),
            area(&found),
            "a map of no information has the share of the area"
        );
        assert_eq!(energy(&[0.0; 16], &found), None);
        assert_eq!(area(&inside_boxes(&[], Size::new(8, 2), Size::new(4, 4))), None);
    }

    proptest! {
        #[test]
        fn a_box_and_the_rest_share_the_map(map in prop::collection::vec(0.0_f32..1.0, 20), split in 0.0..50.0_f64) {
            let (photo, grid) = (Size::new(50, 9), Size::new(5, 4));
            let part = |from, to| inside_boxes(&[[from, 0.0, to, 9.0]], photo, grid);
            if let (Some(a), Some(b)) = (energy(&map, &part(0.0, split)), energy(&map, &part(split, 50.0))) {
                prop_assert!((a + b - 1.0).abs() < 1e-9);
            }
        }
    }
}
