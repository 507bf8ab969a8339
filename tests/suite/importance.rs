//! Importances against the published chain of Pillow and OpenCV resizes
//! (scripts/reference/importance.py).

use crate::common::json;
use emocam::image::{BoundingBox, Extent, Fit, Letterbox, Mask, Size};
use emocam::score::{BoxArea, BoxScore, MaskScorer, Scorer};
use tch::Tensor;

#[test]
fn importances_agree_with_the_published_chain() {
    let expected = json("importance/importance.json");
    let numbers =
        |value: &serde_json::Value| -> Vec<f64> { serde_json::from_value(value.clone()).unwrap() };
    let (mut count, mut worst, mut same_side) = (0, 0.0_f64, 0);
    for case in expected["cases"].as_array().unwrap() {
        let original = Size::new(
            case["width"].as_u64().unwrap() as u32,
            case["height"].as_u64().unwrap() as u32,
        );
        let letterbox = Letterbox::fit(original, Size::new(608, 608));
        let placed =
            [letterbox.content.width, letterbox.content.height, letterbox.left, letterbox.top];
        assert_eq!(numbers(&case["letterbox"]), placed.map(f64::from));
        let rows: Vec<Vec<f64>> = serde_json::from_value(case["map_13"].clone()).unwrap();
        let small =
            Tensor::from_slice(&rows.concat()).reshape([1, 1, 13, 13]).to_kind(tch::Kind::Float);
        let map = Vec::<f32>::try_from(
            &small.upsample_bilinear2d([227, 227], false, None, None).flatten(0, -1),
        )
        .unwrap();
        let squashed = Size::new(227, 227);
        let placement = Fit::squash(squashed).placement(original);
        let placed = Scorer::new(&placement, squashed, letterbox, BoxArea::Canvas).place(&map);
        for of in case["boxes"].as_array().unwrap() {
            // Null: the chain finds no pixel in the box (a box thinner than one, truncated).
            let Some(importance) = of["importance"].as_f64() else { continue };
            let edges: [f32; 4] = serde_json::from_value(of["box"].clone()).unwrap();
            let found =
                f64::from(placed.score(&letterbox.to_original(&BoundingBox::from(edges))).mean);
            worst = worst.max((found - importance).abs());
            same_side += usize::from((found > 0.3) == (importance > 0.3));
            count += 1;
        }
    }
    eprintln!(
        "{count} boxes, max abs difference {worst:.2e}, same decision at 0.3 for {same_side}"
    );
    assert!(count > 250);
    assert!(worst < 3e-7, "importances are off by {worst}");
    assert_eq!(same_side, count);
}

/// A figure to look at, not to fail by: what scoring costs a picture on the full canvas.
#[test]
#[ignore = "prints times"]
fn what_scores_cost() {
    let letterbox = Letterbox::fit(Size::new(1024, 768), Size::new(608, 608));
    let (input, map_size) = (Size::new(227, 227), Size::new(227, 227));
    let map: Vec<f32> =
        (0..map_size.area()).map(|at| ((at * 7919) % 1009) as f32 / 1009.0).collect();
    let placement = Fit::squash(input).placement(letterbox.original);
    let scorer = Scorer::new(&placement, map_size, letterbox, BoxArea::Canvas);
    let edge = |number: usize, of: f64| ((number * 7919) % 97) as f64 / 97.0 * of;
    let boxed = |number: usize| {
        let (x, y) = (edge(4 * number, 900.0), edge(4 * number + 1, 600.0));
        Extent::new(
            x,
            y,
            x + edge(4 * number + 2, 300.0) + 9.0,
            y + edge(4 * number + 3, 300.0) + 9.0,
        )
    };
    let extents: Vec<Extent> = (0..20).map(boxed).collect();
    let timed = |name: &str, run: &dyn Fn()| {
        let clock = std::time::Instant::now();
        (0..20).for_each(|_| run());
        eprintln!("{name}: {:.3} ms", clock.elapsed().as_secs_f64() * 1e3 / 20.0);
    };
    let cover = scorer.cover(extents.iter().map(|extent| (extent, None)));
    let placed = scorer.place(&map);
    timed("placing a map, once a map", &|| drop(scorer.place(&map)));
    timed("20 boxes on a map, grid and background", &|| drop(placed.scores(&extents, &cover)));
    timed("no box: grid and background", &|| drop(placed.scores(&[], &cover)));
    timed("the cover, once a picture", &|| {
        drop(scorer.cover(extents.iter().map(|extent| (extent, None))));
    });
    assert_eq!(placed.scores(&extents, &cover).boxes.len(), 20);
}

/// Scores on masks, by runs, against pixels (scripts/reference/mask_importance.py).
#[test]
fn importances_on_masks_agree_with_numpy() {
    let expected = json("importance/masks.json");
    let (mut count, mut worst) = (0, [0.0_f64; 3]);
    for case in expected["cases"].as_array().unwrap() {
        let original = Size::new(
            case["width"].as_u64().unwrap() as u32,
            case["height"].as_u64().unwrap() as u32,
        );
        let rows: Vec<Vec<f32>> = serde_json::from_value(case["map"].clone()).unwrap();
        let map = Size::new(rows[0].len() as u32, rows.len() as u32);
        let scorer = MaskScorer::new(&Fit::squash(Size::new(227, 227)).placement(original), map);
        let found = case["masks"].as_array().unwrap();
        let mask = |of: &serde_json::Value| {
            Mask::from_compressed(original, of["counts"].as_str().unwrap()).unwrap()
        };
        let masks: Vec<Mask> = found.iter().map(mask).collect();
        let of_box = BoxScore::default();
        let with_boxes: Vec<(&Mask, &BoxScore)> =
            masks.iter().map(|mask| (mask, &of_box)).collect();
        let scores = scorer.scores(&rows.concat(), &with_boxes);
        for (score, wanted) in scores.iter().zip(found) {
            let numbers = [(score.mean, "mean"), (score.max, "max"), (score.mass, "mass")];
            for (worst, (score, name)) in worst.iter_mut().zip(numbers) {
                *worst = worst.max((f64::from(score) - wanted[name].as_f64().unwrap()).abs());
            }
            count += 1;
        }
    }
    let [mean, max, mass] = worst;
    eprintln!("{count} masks: mean within {mean:.1e}, max {max:.1e}, mass {mass:.1e}");
    assert!(count > 80);
    assert!(worst.iter().all(|&worst| worst < 1.8e-7), "{worst:?}");
}
