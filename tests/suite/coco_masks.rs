//! Masks against pycocotools: polygons and run lengths, by the cases of
//! `scripts/reference/coco_masks.py`.

use crate::common;
use emocam::image::{Extent, Mask, Region, Size};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Case {
    size: [u32; 2],
    polygons: Option<Vec<Vec<f64>>>,
    counts: Option<Vec<u64>>,
    compressed: String,
    area: u64,
    bbox: [f64; 4],
}

#[test]
fn masks_equal_pycocotools_pixel_for_pixel() {
    let cases: Vec<Case> = serde_json::from_value(common::json("coco_masks.json")).unwrap();
    assert_eq!(cases.len(), 300);
    let mut kinds = [0; 2];
    for (number, case) in cases.iter().enumerate() {
        let size = Size::new(case.size[1], case.size[0]);
        let mask = match (&case.polygons, &case.counts) {
            (Some(polygons), None) => Mask::from_polygons(size, polygons).unwrap(),
            (None, Some(counts)) => Mask::from_counts(size, counts.iter().copied()).unwrap(),
            _ => panic!("case {number} is of no kind"),
        };
        kinds[usize::from(case.counts.is_some())] += 1;
        assert_eq!(mask.to_compressed(), case.compressed, "case {number}: {case:?}");
        assert_eq!(mask.area(), case.area, "case {number}");
        assert_eq!(Mask::from_compressed(size, &case.compressed).unwrap(), mask, "case {number}");
        let [x, y, width, height] = case.bbox;
        assert_eq!(
            Region::from(mask).extent,
            Extent::new(x, y, x + width, y + height),
            "case {number}"
        );
    }
    assert!(kinds[0] > 150 && kinds[1] > 50, "{kinds:?}");
}
