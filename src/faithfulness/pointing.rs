//! The energy pointing game (Wang et al. 2020, Score-CAM, section 4.3): the share of a map that lies inside the boxes of
//! one class of objects. A map of no information has the boxes' share of the area.

use crate::image::{BoundingBox, Size};

/// Which pixels of the emotion model's squashed input lie in one of `boxes` (pixels of the original photo): those whose
/// centre does.
pub fn inside(boxes: &[BoundingBox], original: Size, grid: Size) -> Vec<bool> {
    let across = f64::from(original.width) / f64::from(grid.width);
    let down = f64::from(original.height) / f64::from(grid.height);
    let edges: Vec<[f64; 4]> = boxes.iter().map(|of| <[f32; 4]>::from(*of).map(f64::from)).collect();
    let mut inside = Vec::with_capacity(grid.area());
    for row in 0..grid.height {
        for column in 0..grid.width {
            let (x, y) = ((f64::from(column) + 0.5) * across, (f64::from(row) + 0.5) * down);
            let holds = |&[left, top, right, bottom]: &[f64; 4]| left <= x && x < right && top <= y && y < bottom;
            inside.push(edges.iter().any(holds));
        }
    }
    inside
}

/// The share of the sum of `map` that lies `inside`; undefined for a map of zeros.
pub fn energy(map: &[f32], inside: &[bool]) -> Option<f64> {
    let sum = |wanted: &dyn Fn(bool) -> bool| -> f64 {
        map.iter().zip(inside).filter(|(_, &inside)| wanted(inside)).map(|(&value, _)| f64::from(value)).sum()
    };
    let whole = sum(&|_| true);
    (whole > 0.0).then(|| sum(&|inside| inside) / whole)
}

/// The share of the pixels that lie inside; none where no pixel does.
pub fn area(inside: &[bool]) -> Option<f64> {
    let count = inside.iter().filter(|&&inside| inside).count();
    (count > 0).then(|| count as f64 / inside.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn overlapping_boxes_count_once() {
        // A photo of 8 x 2 squashed to 4 x 4.
        let boxes = [BoundingBox::new(0.0, 0.0, 4.0, 1.0), BoundingBox::new(2.0, 0.0, 4.0, 2.0)];
        let found = inside(&boxes, Size::new(8, 2), Size::new(4, 4));
        let (o, i) = (false, true);
        assert_eq!(found, [i, i, o, o, i, i, o, o, o, i, o, o, o, i, o, o]);
        assert_eq!(area(&found), Some(6.0 / 16.0));
        assert_eq!(energy(&[1.0; 16], &found), area(&found), "a map of no information has the share of the area");
        assert_eq!(energy(&[0.0; 16], &found), None);
        assert_eq!(area(&inside(&[], Size::new(8, 2), Size::new(4, 4))), None);
    }

    proptest! {
        #[test]
        fn a_box_and_the_rest_share_the_map(map in prop::collection::vec(0.0_f32..1.0, 20), split in 0.0_f32..50.0) {
            let (photo, grid) = (Size::new(50, 9), Size::new(5, 4));
            let part = |from, to| inside(&[BoundingBox::new(from, 0.0, to, 9.0)], photo, grid);
            if let (Some(a), Some(b)) = (energy(&map, &part(0.0, split)), energy(&map, &part(split, 50.0))) {
                prop_assert!((a + b - 1.0).abs() < 1e-9);
            }
        }
    }
}
