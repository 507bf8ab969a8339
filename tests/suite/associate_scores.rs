//! The scores by which `emocam associate` counts boxes: those that know the size, nested classes, the background, means.

use crate::associate::associate;
use crate::common::corpus::{Cells, Corpus, Run, assert_counts, ends, recount, refused};
use crate::common::invented::invent_records;
use emocam::run::record::{BoxRecord, ImageRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Counts of the records themselves; `important` sees a record and the number of a box, whose
/// scores are in [`scores`].
pub(crate) fn recount_records(
    run: &Run,
    important: impl Fn(&ImageRecord, usize) -> bool,
) -> (BTreeMap<String, u64>, Cells) {
    let manifest = run.manifest();
    let name = |list: &str, at: usize| manifest[list][at].as_str().unwrap().to_string();
    let (mut of_label, mut cells) = (BTreeMap::new(), Cells::new());
    for record in run.records::<ImageRecord>() {
        let label = name("labels", record.label);
        *of_label.entry(label.clone()).or_default() += 1;
        let counts = (0..record.boxes.len()).filter(|&at| important(&record, at));
        let classes: BTreeSet<usize> = counts.map(|at| record.boxes[at].class).collect();
        for class in classes {
            *cells.entry((name("classes", class), label.clone())).or_default() += 1;
        }
    }
    (of_label, cells)
}

/// Mean, maximum, mass, contrast, z and lift of a box by the first method.
pub(crate) fn scores(record: &ImageRecord, at: usize) -> [f32; 6] {
    record.maps[0].scores[at].into()
}

/// 1 less the share of other pictures with as much in the box's place on their grids, equal ones by
/// half.
fn chance(all: &[ImageRecord], record: &ImageRecord, at: usize) -> f64 {
    let [x_min, y_min, x_max, y_max] =
        <[f32; 4]>::from(record.boxes[at].bounding_box).map(f64::from);
    let overlap = |cell: usize, start: f64, end: f64, side: u32| {
        let step = f64::from(side) / 8.0;
        (end.min((cell + 1) as f64 * step) - start.max(cell as f64 * step)).max(0.0)
    };
    let inside = |of: &ImageRecord| {
        let text = String::from(of.maps[0].grid.unwrap());
        let value = |cell: usize| {
            let value = u8::from_str_radix(&text[2 * cell..2 * cell + 2], 16).unwrap();
            let across = overlap(cell % 8, x_min, x_max, record.width);
            f64::from(value) * across * overlap(cell / 8, y_min, y_max, record.height)
        };
        (0..64).map(value).sum::<f64>()
    };
    let own = inside(record);
    let others: Vec<f64> = all.iter().filter(|of| of.path != record.path).map(inside).collect();
    let share = |other: &f64| match other - own {
        difference if difference.abs() < 1e-3 => 0.5,
        difference => f64::from(u8::from(difference > 0.0)),
    };
    1.0 - others.iter().map(share).sum::<f64>() / others.len() as f64
}

#[test]
fn scores_that_know_the_size_count_as_they_say() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let all = run.records::<ImageRecord>();
    let mut sums = BTreeSet::new();
    let mut check = |flags: &[&str], important: &dyn Fn(&ImageRecord, usize) -> bool| {
        ends(associate(&run).args(flags), 0);
        let expected = recount_records(&run, important);
        assert_counts(&run.path("grad-cam"), &expected);
        sums.insert(expected.1.values().sum::<u64>());
    };
    check(&["--score", "contrast"], &|record, at| scores(record, at)[3] > 0.1);
    check(&["--score", "contrast", "--importance=-0.05"], &|record, at| {
        scores(record, at)[3] > -0.05
    });
    check(&["--score", "z"], &|record, at| scores(record, at)[4] > 1.0);
    check(&["--score", "z", "--importance", "0.2"], &|record, at| scores(record, at)[4] > 0.2);
    check(&["--score", "lift"], &|record, at| scores(record, at)[5] > 1.5);
    check(&["--score", "chance", "--importance", "0.6"], &|record, at| {
        chance(&all, record, at) > 0.6 + 1e-6
    });
    check(&["--score", "chance"], &|record, at| chance(&all, record, at) > 0.95);
    assert!(sums.len() >= 4, "the settings make a difference: {sums:?}");
    assert_eq!(run.manifest()["matrices"]["importance"].as_f64().map(|it| it as f32), Some(0.95));
    refused(
        associate(&run).args(["--score", "contrast", "--importance", "1.5"]),
        &["from -1 to 1"],
    );
    refused(
        associate(&run).args(["--score", "chance", "--chance", "5"]),
        &["choose another score"],
    );
    let text = fs::read_to_string(run.path("records.jsonl")).unwrap();
    run.reseal(text.split_inclusive('\n').next().unwrap().as_bytes());
    refused(associate(&run).args(["--score", "chance"]), &["fewer than two images"]);
    let one = ["--limit", "1", "--score", "chance"];
    refused(corpus.analyze("one").args(one), &["there is only one", "choose another --score"]);
}

#[test]
fn nested_classes_are_told_by_a_table() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let all = run.records::<ImageRecord>();
    let names: Vec<String> = serde_json::from_value(run.manifest()["classes"].clone()).unwrap();
    let over = |record: &ImageRecord, at: usize| scores(record, at)[0] > 0.05;
    let inside = |part: &BoxRecord, whole: &BoxRecord| {
        let [p, w] = [part, whole].map(|region| <[f32; 4]>::from(region.bounding_box));
        let width = (p[2].min(w[2]) - p[0].max(w[0])).max(0.0);
        let height = (p[3].min(w[3]) - p[1].max(w[1])).max(0.0);
        width * height >= 0.8 * (p[2] - p[0]) * (p[3] - p[1])
    };
    // A class is a part of another, wherever it lies in one: the two of which that happens most
    // often.
    let mut pairs: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for record in &all {
        let counting: Vec<&BoxRecord> = (0..record.boxes.len())
            .filter(|&at| over(record, at))
            .map(|at| &record.boxes[at])
            .collect();
        for (part, whole) in
            counting.iter().flat_map(|part| counting.iter().map(move |whole| (part, whole)))
        {
            if part.class != whole.class && inside(part, whole) {
                *pairs.entry((part.class, whole.class)).or_default() += 1;
            }
        }
    }
    let (&(part, whole), _) =
        pairs.iter().max_by_key(|(_, count)| **count).expect("some boxes lie in others");
    let table = corpus.path("nested.csv");
    fs::write(&table, format!("part,whole,relation\n{},{},part-of\n", names[part], names[whole]))
        .unwrap();
    let lies_in = |record: &ImageRecord, inner: usize, outer: usize| {
        let [inner, outer] = [inner, outer].map(|at| &record.boxes[at]);
        (inner.class, outer.class) == (part, whole) && inside(inner, outer)
    };
    let is_hidden = |record: &ImageRecord, at: usize, outermost: bool| {
        let others = (0..record.boxes.len()).filter(|&other| over(record, other));
        others.into_iter().any(|other| {
            if outermost { lies_in(record, at, other) } else { lies_in(record, other, at) }
        })
    };
    let count = |rule: &str, important: &dyn Fn(&ImageRecord, usize) -> bool| {
        let flags =
            ["--importance", "0.05", "--min-images", "1", "--nested", rule, "--nested-table"];
        ends(associate(&run).args(flags).arg(&table), 0);
        let expected = recount_records(&run, important);
        assert_counts(&run.path("grad-cam"), &expected);
        expected.1.values().sum::<u64>()
    };
    let separate = count("separate", &over);
    let outermost =
        count("outermost", &|record, at| over(record, at) && !is_hidden(record, at, true));
    let innermost =
        count("innermost", &|record, at| over(record, at) && !is_hidden(record, at, false));
    eprintln!(
        "{} images: {separate} separate, {outermost} outermost, {innermost} innermost",
        all.len()
    );
    assert!(outermost <= separate && innermost <= separate && outermost.min(innermost) < separate);
    let statistics = run.table("grad-cam/statistics.csv");
    let dependent = statistics.at("dependent_on");
    assert_eq!(dependent + 1, statistics.header.len());
    let nested = [&names[part], &names[whole]];
    let told: Vec<&Vec<String>> =
        statistics.rows.iter().filter(|row| !row[dependent].is_empty()).collect();
    assert!(!told.is_empty() && told.iter().all(|row| nested.contains(&&row[0])), "{told:?}");
    fs::write(&table, "part,whole,relation\nNo such thing,Person,is-a\n").unwrap();
    refused(
        associate(&run).arg("--nested-table").arg(&table),
        &["line 2", "no class \"No such thing\""],
    );
}

#[test]
fn the_background_is_a_row_where_it_is_asked_for() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let run = corpus.analyzed("run");
    invent_records(&run, 3);
    ends(&mut associate(&run), 0);
    let before = run.tables();
    let all = run.records::<ImageRecord>();
    ends(associate(&run).args(["--background", "row", "--importance", "0.2"]), 0);
    for name in ["association.csv", "counts.csv", "mean_scores.csv"] {
        let table = run.table(&format!("grad-cam/{name}"));
        let row = table.rows.iter().find(|row| row[0] == "(background)").unwrap();
        for (label, cell) in row[1..].iter().enumerate() {
            let means: Vec<f64> = all
                .iter()
                .filter(|record| record.label == label)
                .map(|record| f64::from(record.maps[0].background.mean))
                .collect();
            let (count, images) = (
                means.iter().filter(|&&mean| mean > f64::from(0.2_f32)).count(),
                means.len() as f64,
            );
            let expected = match name {
                "counts.csv" => count as f64,
                "association.csv" => count as f64 / images,
                _ => means.iter().sum::<f64>() / images,
            };
            match cell.as_str() {
                "" => assert_eq!(images, 0.0),
                cell => assert!(
                    (cell.parse::<f64>().unwrap() - expected).abs() < 1e-9,
                    "{name}: {cell} {expected}"
                ),
            }
        }
    }
    let statistics = run.table("grad-cam/statistics.csv");
    let own: Vec<_> = statistics.rows.iter().filter(|row| row[0] == "(background)").collect();
    assert!(
        !own.is_empty()
            && own.iter().all(|row| row[statistics.at("detected")] == row[statistics.at("images")])
    );
    refused(
        associate(&run).args(["--background", "row", "--score", "z"]),
        &["the background has none"],
    );
    refused(
        associate(&run).args(["--background", "row", "--curve", "(background)", "Awe"]),
        &["no curve"],
    );
    ends(&mut associate(&run), 0);
    assert_eq!(run.tables(), before);
}

#[test]
fn the_matrix_without_a_threshold_is_the_mean_of_the_greatest_scores() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    for (score, place) in [("mean", 0), ("z", 4)] {
        ends(associate(&run).args(["--score", score, "--min-confidence", "0.01"]), 0);
        let table = run.table("grad-cam/mean_scores.csv");
        let manifest = run.manifest();
        for (class, row) in table.rows.iter().enumerate() {
            assert_eq!(manifest["classes"][class].as_str().unwrap(), row[0]);
            for (label, cell) in row[1..].iter().enumerate() {
                let best = |record: &ImageRecord| {
                    let boxes = record.boxes.iter().enumerate();
                    let own = boxes
                        .filter(|(_, region)| region.class == class && region.confidence > 0.01);
                    own.map(|(at, _)| scores(record, at)[place])
                        .max_by(f32::total_cmp)
                        .map_or(0.0, f64::from)
                };
                let of_label: Vec<f64> = run
                    .records::<ImageRecord>()
                    .iter()
                    .filter(|record| record.label == label)
                    .map(best)
                    .collect();
                match of_label.len() {
                    0 => assert_eq!(cell, ""),
                    images => {
                        let mean = of_label.iter().sum::<f64>() / images as f64;
                        assert!(
                            (cell.parse::<f64>().unwrap() - mean).abs() < 1e-9,
                            "{score}: {cell} {mean}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn other_thresholds_and_scores_give_the_counts_they_say() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let objects = run.tables()["objects.csv"].clone();
    let mut sums = BTreeSet::new();
    let mut check = |flags: &[&str], expected: (BTreeMap<String, u64>, Cells)| {
        let said = ends(associate(&run).args(flags), 0);
        assert!(said.out.starts_with("grad-cam: 15 images"), "{}", said.out);
        assert_counts(&run.path("grad-cam"), &expected);
        sums.insert(expected.1.values().sum::<u64>());
    };
    check(&["--importance", "0.05"], recount(&run, "grad-cam", |score, _| score > 0.05));
    check(&["--importance", "0.7"], recount(&run, "grad-cam", |score, _| score > 0.7));
    check(
        &["--min-confidence", "0.9"],
        recount(&run, "grad-cam", |score, confidence| score > 0.3 && confidence > 0.9),
    );
    check(&["--score", "mean"], recount_records(&run, |record, at| scores(record, at)[0] > 0.3));
    check(
        &["--score", "max", "--importance", "0.6"],
        recount_records(&run, |record, at| scores(record, at)[1] > 0.6),
    );
    check(
        &["--score", "mass", "--importance", "0.4"],
        recount_records(&run, |record, at| scores(record, at)[2] > 0.4),
    );
    assert!(sums.len() >= 4, "the settings make a difference: {sums:?}");
    // What the networks said is untouched, and the settings of the run hold again without flags.
    assert!(run.tables()["objects.csv"] == objects);
    ends(&mut associate(&run), 0);
    assert_counts(&run.path("grad-cam"), &recount(&run, "grad-cam", |score, _| score > 0.3));
}
