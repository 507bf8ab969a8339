//! Records of pictures that were never there, as many as a large corpus has.

use super::corpus::Run;
use emocam::image::BoundingBox;
use emocam::run::journal::RecordWriter;
use emocam::run::record::{BoxRecord, ImageRecord, MapRecord};
use emocam::score::{BoxScore, MapGrid};

/// Replaces the records of a run by 25,000 invented ones, of so many boxes and of 601 classes; no
/// picture has the last label.
pub(crate) fn invent_records(run: &Run, boxes: u64) {
    let mut manifest = run.manifest();
    let methods: Vec<String> =
        serde_json::from_value(manifest["configuration"]["cam"]["methods"].clone()).unwrap();
    let classes: Vec<String> = (0..601).map(|class| format!("Class {class}")).collect();
    manifest["classes"] = classes.into();
    std::fs::write(run.path("run.json"), manifest.to_string()).unwrap();
    run.expect_records(25_000);
    std::fs::remove_file(run.path("records.jsonl")).unwrap();
    let mut writer = RecordWriter::open(&run.path("records.jsonl")).unwrap();
    for chunk in 0..25 {
        let records: Vec<_> =
            (0..1000).map(|at| invented(1000 * chunk + at, boxes, 601, &methods)).collect();
        writer.append(&records).unwrap();
    }
}

/// The parts of a number, cheaply mixed: the same records in every run of the tests.
fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d) >> 11
}

/// The record of a picture that was never there.
pub(crate) fn invented(number: u64, boxes: u64, classes: u64, methods: &[String]) -> ImageRecord {
    let part = |at: u64, of: u64| (mixed(number * 1000 + at) % of) as usize;
    let share = |at: u64| part(at, 1000) as f32 / 1000.0;
    let boxed = |at: u64| {
        let (x, y) = (share(10 * at) * 500.0, share(10 * at + 1) * 300.0);
        let (width, height) = (1.0 + share(10 * at + 2) * 140.0, 1.0 + share(10 * at + 3) * 180.0);
        let bounding_box = BoundingBox::new(x, y, x + width, y + height);
        BoxRecord {
            class: part(10 * at + 4, classes),
            confidence: 0.005 + 0.99 * share(10 * at + 5),
            bounding_box,
            extent: bounding_box.into(),
            rle: None,
        }
    };
    // Methods agree in part: half of a score is all methods' and half its own.
    let score = |of: u64, at: u64| {
        let part = |number| {
            if of == 0 { share(number) } else { (share(number) + share(5000 * of + number)) / 2.0 }
        };
        let [mean, max, mass] = [6, 7, 8].map(|number| part(10 * at + number));
        // No map has a mean over its maximum.
        let (mean, max) = (mean.min(max), mean.max(max));
        BoxScore { mean, max, mass, contrast: mean - max, z: 4.0 * mass - 2.0, lift: 3.0 * mean }
    };
    let grid = |of: u64| {
        let cells = (0..64).map(|at| format!("{:02x}", part(2000 + 5000 * of + at, 256)));
        MapGrid::try_from(cells.collect::<String>()).unwrap()
    };
    let map = |(of, method): (u64, &String)| MapRecord {
        method: method.clone(),
        flat: false,
        error: None,
        mean: share(901),
        scores: (0..boxes).map(|at| score(of, at)).collect(),
        mask_scores: Vec::new(),
        score_errors: Vec::new(),
        background: score(of, 60),
        grid: Some(grid(of)),
        game: None,
    };
    let mut boxes: Vec<BoxRecord> = (0..boxes).map(boxed).collect();
    boxes.sort_by(|one, next| next.confidence.total_cmp(&one.confidence));
    let label = part(999, 19);
    let mut probabilities: Vec<f32> = (0..20).map(|label| 0.01 + share(label) / 20.0).collect();
    // The label is the most probable one, more or less.
    probabilities[label] = 0.07 + share(998) / 5.0;
    let sum: f32 = probabilities.iter().sum();
    probabilities.iter_mut().for_each(|probability| *probability /= sum);
    ImageRecord {
        path: format!("folder/picture {number}.jpg"),
        width: 641,
        height: 481,
        label,
        probabilities,
        output: None,
        valence: Some(1.0 + 8.0 * share(900)),
        arousal: None,
        boxes,
        clipped: 1,
        outside: 0,
        maps: (0..).zip(methods).map(map).collect(),
    }
}
