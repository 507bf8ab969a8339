//! Laws of masks, and damaged ones. What pycocotools makes of the same input is compared in
//! `tests/suite/coco_masks.rs`.

use super::*;
use proptest::prelude::*;

/// A mask of any picture up to 12 x 17, with its pixels row by row.
fn any_mask() -> impl Strategy<Value = (Mask, Vec<bool>)> {
    (1..=12_u32, 1..=17_u32).prop_flat_map(|(width, height)| {
        let count = (width * height) as usize;
        // Mostly inside, mostly outside, or mixed: long runs are as likely as short ones.
        let bits = (0.02..0.98_f64)
            .prop_flat_map(move |share| prop::collection::vec(prop::bool::weighted(share), count));
        bits.prop_map(move |bits| (Mask::from_bits(Size::new(width, height), &bits).unwrap(), bits))
    })
}

/// Twice the area inside a contour: positive if it goes round clockwise on the screen.
fn doubled_area(contour: &[(u32, u32)]) -> i64 {
    let next = contour.iter().cycle().skip(1);
    let cross = |(a, b): (&(u32, u32), &(u32, u32))| {
        i64::from(a.0) * i64::from(b.1) - i64::from(b.0) * i64::from(a.1)
    };
    contour.iter().zip(next).map(cross).sum()
}

proptest! {
    #[test]
    fn a_mask_holds_the_bits_it_was_made_from((mask, bits) in any_mask()) {
        let Size { width, height } = mask.size();
        for y in 0..height {
            for x in 0..width {
                prop_assert_eq!(mask.contains(x, y), bits[(y * width + x) as usize]);
            }
        }
        prop_assert!(!mask.contains(width, 0) && !mask.contains(0, height));
        prop_assert_eq!(mask.area(), bits.iter().filter(|&&inside| inside).count() as u64);
        prop_assert_eq!(mask.is_empty(), mask.area() == 0);
    }

    #[test]
    fn counts_compressed_string_and_json_give_the_mask_back((mask, _) in any_mask()) {
        let counts = mask.counts().iter().map(|&count| u64::from(count));
        prop_assert_eq!(&Mask::from_counts(mask.size(), counts).unwrap(), &mask);
        prop_assert_eq!(&Mask::from_compressed(mask.size(), &mask.to_compressed()).unwrap(), &mask);
        let text = serde_json::to_string(&mask).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Mask>(&text).unwrap(), &mask);
        let Size { width, height } = mask.size();
        let listed = format!(r#"{{"counts": {:?}, "size": [{height}, {width}]}}"#, mask.counts());
        prop_assert_eq!(&serde_json::from_str::<Mask>(&listed).unwrap(), &mask);
    }

    #[test]
    fn spans_are_the_pixels_in_order((mask, _) in any_mask()) {
        let pixels: Vec<_> = mask.spans().flat_map(|span| span.rows.map(move |y| (span.column, y))).collect();
        prop_assert!(pixels.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(pixels.len() as u64, mask.area());
        prop_assert!(pixels.iter().all(|&(x, y)| mask.contains(x, y)));
        let edges = |side: fn(&(u32, u32)) -> u32| {
            Some((pixels.iter().map(side).min()?, pixels.iter().map(side).max()? + 1))
        };
        let tight = edges(|pixel| pixel.0).zip(edges(|pixel| pixel.1)).map(|((left, right), (top, bottom))| {
            BoundingBox::from([left, top, right, bottom].map(|edge| edge as f32))
        });
        prop_assert_eq!(mask.bounding_box(), tight);
    }

    #[test]
    fn a_union_has_the_pixels_of_either((mask, bits) in any_mask(), seed in any::<u64>()) {
        let other_bits: Vec<_> = (0..bits.len()).map(|index| seed.rotate_left(7 * index as u32) & 5 == 5).collect();
        let other = Mask::from_bits(mask.size(), &other_bits).unwrap();
        let either: Vec<_> = bits.iter().zip(&other_bits).map(|(a, b)| a | b).collect();
        let both: Vec<_> = bits.iter().zip(&other_bits).map(|(a, b)| a & b).collect();
        let union = mask.union(&other);
        prop_assert_eq!(&union, &Mask::from_bits(mask.size(), &either).unwrap());
        prop_assert_eq!(&union, &other.union(&mask));
        let shared = Mask::from_bits(mask.size(), &both).unwrap();
        prop_assert_eq!(union.area() + shared.area(), mask.area() + other.area());
    }

    #[test]
    fn an_outline_encloses_the_area((mask, _) in any_mask()) {
        let outline = mask.outline();
        prop_assert_eq!(outline.iter().map(|contour| doubled_area(contour)).sum::<i64>(), 2 * mask.area() as i64);
        for contour in &outline {
            // Corners in turn along a column's and a row's edge, none of them in the middle of a
            // straight side.
            prop_assert!(contour.len() >= 4 && contour.len() % 2 == 0);
            for (index, &(x, y)) in contour.iter().enumerate() {
                let next = contour[(index + 1) % contour.len()];
                let changed = (x != next.0, y != next.1);
                prop_assert_eq!(changed, if index % 2 == 0 { (false, true) } else { (true, false) });
            }
        }
        // Every pixel edge between inside and outside is part of one contour, once.
        let length: u64 = outline.iter().flat_map(|contour| contour.iter().zip(contour.iter().cycle().skip(1)))
            .map(|(a, b)| u64::from(a.0.abs_diff(b.0) + a.1.abs_diff(b.1))).sum();
        let inside = |x: i64, y: i64| {
            u32::try_from(x).and_then(|x| u32::try_from(y).map(|y| mask.contains(x, y))).unwrap_or(false)
        };
        let mut edges = 0;
        for x in 0..=i64::from(mask.size().width) {
            for y in 0..=i64::from(mask.size().height) {
                edges += u64::from(inside(x, y) != inside(x - 1, y)) + u64::from(inside(x, y) != inside(x, y - 1));
            }
        }
        prop_assert_eq!(length, edges);
    }

    /// Corners far outside, on the border and twice: never a panic, and never a pixel outside of
    /// the polygon's box.
    #[test]
    fn polygons_of_any_numbers_give_a_mask_or_an_error(
        width in 1..40_u32, height in 1..40_u32,
        polygons in prop::collection::vec(prop::collection::vec(prop_oneof![
            8 => -60.0..60.0_f64, 2 => (-3..60_i32).prop_map(f64::from), 1 => -1e7..1e7_f64, 1 => any::<f64>(),
        ], 0..14), 0..4),
    ) {
        if let Ok(mask) = Mask::from_polygons(Size::new(width, height), &polygons) {
            prop_assert_eq!(mask.counts().iter().sum::<u32>(), width * height);
            let rows = polygons.iter().flatten().skip(1).step_by(2);
            if polygons.len() == 1 && !mask.is_empty() {
                let lowest = rows.fold(f64::MIN, |lowest, &y| lowest.max(y));
                prop_assert!(f64::from(mask.bounding_box().unwrap().y_max) <= lowest + 1.0);
            }
        }
    }

    #[test]
    fn compressed_strings_of_any_characters_give_a_mask_or_an_error(text in ".{0,30}|[0-o]{0,30}") {
        if let Ok(mask) = Mask::from_compressed(Size::new(7, 5), &text) {
            prop_assert_eq!(mask.counts().iter().sum::<u32>(), 35);
        }
    }
}

#[test]
fn runs_of_no_pixels_join_their_neighbours() {
    let size = Size::new(3, 2);
    let mask = Mask::from_counts(size, [0, 0, 2, 1, 0, 1, 2, 0]).unwrap();
    assert_eq!(mask.counts(), [2, 2, 2]);
    assert_eq!(Mask::from_counts(size, [0, 6]).unwrap().counts(), [0, 6]);
    assert_eq!(Mask::from_counts(size, [6, 0]).unwrap(), Mask::from_polygons(size, &[]).unwrap());
}

#[test]
fn pixels_that_touch_at_a_corner_and_holes_have_contours_of_their_own() {
    let mask = |rows: &[&str]| {
        let size = Size::new(rows[0].len() as u32, rows.len() as u32);
        Mask::from_bits(size, &rows.concat().bytes().map(|byte| byte == b'#').collect::<Vec<_>>())
            .unwrap()
    };
    let falling = mask(&["#..", ".#."]).outline();
    assert_eq!(
        falling,
        [vec![(0, 1), (0, 0), (1, 0), (1, 1)], vec![(1, 2), (1, 1), (2, 1), (2, 2)]]
    );
    let rising = mask(&[".#.", "#.."]).outline();
    assert_eq!(
        rising,
        [vec![(0, 2), (0, 1), (1, 1), (1, 2)], vec![(1, 1), (1, 0), (2, 0), (2, 1)]]
    );
    let ring = mask(&["####", "#.##", "####"]).outline();
    assert_eq!(ring, [vec![(0, 3), (0, 0), (4, 0), (4, 3)], vec![(1, 1), (1, 2), (2, 2), (2, 1)]]);
    assert!(mask(&["..."]).outline().is_empty());
}

#[test]
fn the_largest_mask_costs_what_its_runs_cost() {
    let size = Size::new(MAX_SIDE, MAX_SIDE);
    let area = u64::from(MAX_SIDE) * u64::from(MAX_SIDE);
    let mask = Mask::from_counts(size, [1, area - 2, 1]).unwrap();
    assert_eq!(mask.area(), area - 2);
    assert_eq!(mask.bounding_box(), Some(BoundingBox::new(0.0, 0.0, 65_535.0, 65_535.0)));
    assert_eq!(mask.spans().count(), MAX_SIDE as usize);
    assert!(
        mask.contains(0, 1) && !mask.contains(0, 0) && !mask.contains(MAX_SIDE - 1, MAX_SIDE - 1)
    );
    assert_eq!(Mask::from_compressed(size, &mask.to_compressed()).unwrap(), mask);
    let corners = vec![-9e6, -9e6, 9e6, -9e6, 9e6, 9e6, -9e6, 9e6];
    assert_eq!(Mask::from_polygons(size, &[corners]).unwrap().counts(), [0, area as u32]);
}

#[test]
fn damaged_masks_are_refused_with_what_was_found() {
    let size = Size::new(4, 3);
    let counts = |counts: &[u64]| Mask::from_counts(size, counts.iter().copied()).unwrap_err();
    assert!(
        counts(&[5, 6]).contains("12 pixels of a picture of 4x3 were expected, found a sum of 11")
    );
    assert!(counts(&[5, 8]).contains("a sum of 13 or more"));
    assert!(counts(&[1_000_000_000]).contains("1000000000 or more"));
    assert!(counts(&[3, u64::MAX, u64::MAX]).contains("or more"));
    assert!(counts(&[]).contains("a sum of 0"));
    let endless = Mask::from_counts(size, std::iter::repeat(5)).unwrap_err();
    assert!(endless.contains("15 or more"));
    for sides in [Size::new(0, 3), Size::new(3, 65_536), Size::new(u32::MAX, u32::MAX)] {
        assert!(
            Mask::from_counts(sides, [0])
                .unwrap_err()
                .contains("sides of 1 to 65535 pixels, found")
        );
        assert!(Mask::from_polygons(sides, &[]).is_err() && Mask::from_bits(sides, &[]).is_err());
    }
    let compressed = |text: &str| Mask::from_compressed(size, text).unwrap_err();
    assert!(compressed("<P").contains("ends within a number"));
    assert!(compressed("<é").contains("from `0` to `o`, found `\\u{c3}` as its character 2"));
    assert!(compressed("ooooooooo").contains("more than 7 characters"));
    assert!(compressed("O").contains("-1 as its run length 1"));
    let polygon = |polygon: Vec<f64>| Mask::from_polygons(size, &[polygon]).unwrap_err();
    assert!(polygon(vec![0.0; 4]).contains("at least three corners, found one of 4 numbers"));
    assert!(polygon(vec![0.0; 7]).contains("found one of 7 numbers"));
    assert!(polygon(vec![0.0, 1.0, f64::NAN, 1.0, 2.0, 3.0]).contains("found NaN"));
    assert!(polygon(vec![0.0, 1.0, 1e9, 1.0, 2.0, 3.0]).contains("found 1000000000"));
    let zigzag: Vec<f64> =
        (0..300).flat_map(|index| [f64::from(index % 2) * 70_000.0, 1.0]).collect();
    let error = Mask::from_polygons(Size::new(MAX_SIDE, 3), &[zigzag]).unwrap_err();
    assert!(error.contains("may cross 4000000 columns"), "{error}");
}
