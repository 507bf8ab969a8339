//! `emocam remove`: what is recorded against direct computation, tables against records,
//! resumption, controls, regions from a file and from the detector, drawn scenes.

use crate::common::corpus::{Corpus, emocam, ends, refused};
use crate::common::reference;
use emocam::corpus::{DecodeOptions, decode};
use emocam::image::{Filter, Rgb8, Size, resize};
use emocam::networks::{AlexNet, Classifier, Forward, Prediction, predict};
use emocam::removal::{RegionRecord, RemovalKind, RemovalRecord};
use emocam::world::{Scene, Style, graph};
use std::fs;
use std::process::Command;
use tch::{Device, Kind as Number, Tensor};

/// The classes of [`write_regions`]: a box within, one that covers everything, one that is not
/// sure, a triangle.
const CLASSES: [&str; 4] = ["Within", "All", "Unsure", "Triangle"];

/// Regions of the pictures `a/picture_0.png` to `a/picture_5.png`.
fn write_regions(corpus: &Corpus) {
    let mut lines = String::new();
    for at in 0..6 {
        let name = format!("a/picture_{at}.png");
        let (width, height) = image::image_dimensions(corpus.path("photos").join(&name)).unwrap();
        let (w, h) = (f64::from(width), f64::from(height));
        let boxes = [
            [0.1 * w, 0.2 * h, 0.4 * w, 0.55 * h],
            [-9.0, 0.0, w, h + 3.5],
            [0.0, 0.0, 0.5 * w, 0.5 * h],
        ];
        for ((class, score), edges) in CLASSES.iter().zip([0.9, 0.8, 0.2]).zip(boxes) {
            let line =
                serde_json::json!({"file": name, "label": class, "score": score, "box": edges});
            lines.push_str(&format!("{line}\n"));
        }
        let polygon = vec![0.5 * w, 0.5 * h, 0.9 * w, 0.6 * h, 0.6 * w, 0.95 * h];
        let mask =
            emocam::image::Mask::from_polygons(Size::new(width, height), &[polygon]).unwrap();
        let edges = <[f32; 4]>::from(mask.bounding_box().unwrap());
        let line = serde_json::json!({"file": name, "label": CLASSES[3], "score": 0.5, "box": edges, "rle": mask});
        lines.push_str(&format!("{line}\n"));
    }
    corpus.write("regions.jsonl", lines);
}

/// `emocam remove photos` with the narrow EmoNet and the regions of the file.
fn remove(corpus: &Corpus, run: &str) -> Command {
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["remove", "photos", "--device", "cpu", "--out", run]);
    command.args(["--fills", "mean,surroundings", "--regions", "regions.jsonl"]);
    command.arg("--emotion-weights").arg(reference("emonet/narrow_ecco.pt"));
    command
}

fn with_regions() -> Corpus {
    let corpus = Corpus::small();
    write_regions(&corpus);
    corpus
}

/// Which places of an input of the network lie in a box of a picture, by their centres.
fn places(region: &RegionRecord, picture: Size, input: Size) -> Vec<bool> {
    let of = region.bounding_box;
    let inside = |place: u32, places: u32, side: u32, low: f32, high: f32| {
        let at = (f64::from(place) + 0.5) * f64::from(side) / f64::from(places);
        f64::from(low) <= at && at < f64::from(high)
    };
    let row = |y: u32| {
        (0..input.width).map(move |x| {
            inside(x, input.width, picture.width, of.x_min, of.x_max)
                && inside(y, input.height, picture.height, of.y_min, of.y_max)
        })
    };
    (0..input.height).flat_map(row).collect()
}

/// What the network answers with some places in the picture's mean colour.
fn with_mean_colour(network: &AlexNet, input: &Rgb8, hidden: &[bool]) -> Prediction {
    let size = input.size();
    let whole = network.prepare(&[input]).unwrap();
    let black = network.prepare(&[&Rgb8::filled(size, [0; 3])]).unwrap();
    let mean = (&whole - &black).mean_dim([2_i64, 3].as_slice(), true, Number::Float) + black;
    let hidden =
        Tensor::from_slice(hidden).reshape([1, 1, i64::from(size.height), i64::from(size.width)]);
    let masked = mean.where_self(&hidden, &whole);
    Forward::run(network, masked).unwrap().predictions(network.card()).unwrap().remove(0)
}

#[test]
fn recorded_probabilities_are_those_of_direct_computation() {
    let corpus = with_regions();
    ends(&mut remove(&corpus, "run"), 0);
    let network = AlexNet::load(&reference("emonet/narrow_ecco.pt"), None, Device::Cpu).unwrap();
    let (mut worst, mut compared) = (0.0_f32, 0);
    for record in corpus
        .run("run")
        .records::<RemovalRecord>()
        .iter()
        .filter(|record| !record.regions.is_empty())
    {
        let photo =
            decode(&corpus.path("photos").join(&record.path), &DecodeOptions::default()).unwrap();
        let input = resize(&photo, network.card().input(), Filter::Bicubic);
        // By their names All, Triangle, Unsure, Within.
        let classes: Vec<usize> = record.regions.iter().map(|region| region.class).collect();
        assert_eq!(classes, [3, 0, 1], "the sure ones, by falling confidence");
        for region in record.regions.iter().filter(|region| region.rle.is_none()) {
            let own = places(region, photo.size(), input.size());
            let others: Vec<bool> = own.iter().map(|inside| !inside).collect();
            for (kind, hidden) in [(RemovalKind::Removed, &own), (RemovalKind::Kept, &others)] {
                let (found, wanted) = (
                    region.answers[0].of_kind(kind).unwrap(),
                    with_mean_colour(&network, &input, hidden),
                );
                worst = worst.max((found.probability - wanted.probabilities[record.label]).abs());
                compared += 1;
            }
            let share = own.iter().filter(|&&inside| inside).count() as f32 / own.len() as f32;
            assert!((region.covered - share).abs() < 1e-6);
        }
        // What covers all: nothing is left, or everything, by any fill.
        let all = &record.regions[1];
        assert_eq!((all.covered, all.control), (1.0, None));
        for answers in &all.answers {
            assert_eq!(answers.removed_control, None);
            assert!((answers.kept.probability - record.probabilities[record.label]).abs() < 1e-6);
            assert!(
                (answers.removed.probability - all.answers[0].removed.probability).abs() < 1e-5
            );
        }
    }
    assert_eq!(compared, 6 * 2 * 2);
    // The command computes batches of sixteen, this test single pictures.
    assert!(worst < 1e-5, "probabilities are off by {worst:e}");
}

#[test]
fn tables_say_what_the_records_say() {
    let corpus = with_regions();
    let said = ends(&mut remove(&corpus, "run"), 0);
    assert!(
        said.out.starts_with("15 pictures, 18 regions, 6 of them without a control\n"),
        "{}",
        said.out
    );
    assert!(said.err.contains("images have no entry"), "{}", said.err);
    let run = corpus.run("run");
    for name in ["removal.png", "removal.svg", "failures.csv", "run.json"] {
        assert!(run.path(name).exists(), "{name}");
    }
    let (records, table) = (run.records::<RemovalRecord>(), run.table("removal.csv"));
    // Per region and fill: removed and kept, and where there is a control both of it.
    assert_eq!((records.len(), table.rows.len()), (15, 2 * (12 * 4 + 6 * 2)));
    let number = |row: &[String], name: &str| row[table.at(name)].parse::<f64>().unwrap();
    for row in &table.rows {
        approx::assert_abs_diff_eq!(
            number(row, "change"),
            number(row, "probability") - number(row, "whole"),
            epsilon = 1e-6
        );
        assert_eq!(
            row[table.at("flip")] == "1",
            row[table.at("label")] != row[table.at("label_then")]
        );
        assert_eq!(
            row[table.at("kind")].ends_with("control"),
            !row[table.at("overlap")].is_empty()
        );
    }
    let of = |class: &str, fill: &str, kind: &str| -> Vec<f64> {
        let wanted = |row: &&Vec<String>| [&row[3], &row[10], &row[11]] == [class, fill, kind];
        table.rows.iter().filter(wanted).map(|row| number(row, "change")).collect()
    };
    let classes = run.table("classes.csv");
    let mut all = 0;
    for row in classes.rows.iter().filter(|row| row[1].is_empty()) {
        let (own, control) =
            (of(&row[0], &row[2], &row[3]), of(&row[0], &row[2], &format!("{}-control", row[3])));
        assert_eq!((row[classes.at("n")].clone(), own.len()), ("6".into(), 6));
        let cell = |name: &str| row[classes.at(name)].parse::<f64>().ok();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        approx::assert_abs_diff_eq!(cell("change").unwrap(), mean(&own), epsilon = 1e-9);
        if row[0] == "All" {
            assert_eq!(
                (control.len(), cell("difference"), cell("control_flip_share")),
                (0, None, None)
            );
        } else {
            approx::assert_abs_diff_eq!(
                cell("difference").unwrap(),
                mean(&own) - mean(&control),
                epsilon = 1e-9
            );
            assert_eq!(
                (cell("lower"), cell("upper")),
                (None, None),
                "six images are too few for an interval"
            );
        }
        assert!(cell("flip_lower").unwrap() <= cell("flip_share").unwrap());
        all += 1;
    }
    assert_eq!(all, 3 * 2 * 2);
    for (name, bytes) in run.tables() {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{name}");
    }
}

#[test]
fn a_control_has_its_region_s_size_and_lies_inside_the_picture_beside_it() {
    let corpus = with_regions();
    ends(&mut remove(&corpus, "run"), 0);
    ends(remove(&corpus, "other").args(["--seed", "2"]), 0);
    let (mut moved, all) = (
        0,
        [
            corpus.run("run").records::<RemovalRecord>(),
            corpus.run("other").records::<RemovalRecord>(),
        ],
    );
    for (record, other) in all[0].iter().zip(&all[1]) {
        for (region, again) in record.regions.iter().zip(&other.regions) {
            let (Some(control), Some(again)) = (region.control, again.control) else { continue };
            let (own, of) = (region.bounding_box, control.bounding_box);
            let (width, height) = (record.width as f32, record.height as f32);
            assert!(
                of.x_min >= 0.0 && of.y_min >= 0.0 && of.x_max <= width && of.y_max <= height,
                "{of:?}"
            );
            // Up to a place of the input at each end.
            assert!(
                (of.width() - own.width()).abs() <= 2.0 * width / 227.0 + 1e-3,
                "{of:?} for {own:?}"
            );
            assert!(
                (of.height() - own.height()).abs() <= 2.0 * height / 227.0 + 1e-3,
                "{of:?} for {own:?}"
            );
            assert_eq!(control.overlap, 0.0);
            moved += usize::from(of != again.bounding_box);
        }
    }
    assert!(moved >= 10, "another seed, other controls: {moved} of 12");
}

#[test]
fn a_run_that_was_cut_off_ends_in_the_same_bytes() {
    let corpus = with_regions();
    let start = |run: &str| {
        let mut command = remove(&corpus, run);
        command.args(["--fills", "blur"]);
        command
    };
    ends(&mut start("whole"), 0);
    ends(start("cut").args(["--threads", "1"]), 0);
    let (whole, cut) = (corpus.run("whole"), corpus.run("cut"));
    let bytes = fs::read(cut.path("records.jsonl")).unwrap();
    fs::write(cut.path("records.jsonl"), &bytes[..bytes.len() * 2 / 5]).unwrap();
    refused(&mut start("cut"), &["holds a run already", "--resume"]);
    ends(start("cut").arg("--resume"), 0);
    for name in ["records.jsonl", "removal.csv", "classes.csv", "failures.csv", "removal.svg"] {
        assert!(fs::read(cut.path(name)).unwrap() == fs::read(whole.path(name)).unwrap(), "{name}");
    }
    refused(
        start("cut").args(["--resume", "--max-regions", "2"]),
        &["made differently", "max_regions: 10 then, 2 now"],
    );
    refused(emocam().arg("associate").arg(&cut.folder), &["is a run of `emocam remove`"]);
}

#[test]
fn the_surest_regions_of_the_detector() {
    let corpus = Corpus::small();
    let mut command = corpus.command("remove", &[]);
    command.args([
        "photos/a",
        "--out",
        "run",
        "--fills",
        "black",
        "--max-regions",
        "3",
        "--player-confidence",
        "0.01",
    ]);
    ends(command.args(["--limit", "4"]), 0);
    let records = corpus.run("run").records::<RemovalRecord>();
    assert_eq!(records.len(), 4);
    assert!(
        records.iter().any(|record| record.regions.len() == 3)
            && records.iter().all(|r| r.regions.len() <= 3)
    );
    for record in &records {
        let confidences: Vec<f32> = record.regions.iter().map(|region| region.confidence).collect();
        assert!(
            confidences.is_sorted_by(|a, b| a >= b) && confidences.iter().all(|&of| of >= 0.01),
            "{confidences:?}"
        );
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let corpus = with_regions();
    refused(
        remove(&corpus, "x").args(["--fills", "grey"]),
        &["grey", "expected one of", "surroundings"],
    );
    refused(remove(&corpus, "x").args(["--fills", "mean,mean"]), &["fills: mean is named twice"]);
    refused(remove(&corpus, "x").args(["--max-regions", "0"]), &["from 1 to 1000, found 0"]);
    refused(remove(&corpus, "x").args(["--drawn", "3"]), &["cannot be used with"]);
    refused(
        remove(&corpus, "x").args(["--class", "Joy"]),
        &["each image's own label", "leave --class out"],
    );
    refused(emocam().args(["remove", "--world", "3"]), &["--drawn"]);
    refused(&mut remove(&Corpus::empty(), "x"), &["no images in photos"]);
    assert!(!corpus.path("x").exists());
    corpus.write("photos/bad.jpg", "no picture");
    let said = ends(&mut remove(&corpus, "some"), 1);
    assert!(said.err.contains("bad.jpg (decode)"), "{}", said.err);
    assert_eq!(corpus.run("some").table("failures.csv").column("path"), ["bad.jpg"]);
    // No region at all is a defined result.
    let said = ends(remove(&corpus, "none").args(["--player-confidence", "1", "--limit", "3"]), 0);
    assert!(
        said.out.starts_with("3 pictures, 0 regions") && said.err.contains("no picture"),
        "{}",
        said.out
    );
    assert_eq!(corpus.run("none").table("classes.csv").rows.len(), 0);
}

#[test]
fn drawn_scenes_are_compared_with_drawing_again() {
    let corpus = Corpus::empty();
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["remove", "--drawn", "12", "--device", "cpu", "--out", "run"]);
    let said = ends(command.args(["--fills", "mean,surroundings"]), 0);
    assert!(said.out.contains("against drawing the scene again"), "{}", said.out);
    let run = corpus.run("run");
    let network =
        AlexNet::load(&corpus.path("run-models/emotion.safetensors"), None, Device::Cpu).unwrap();
    let mut objects = 0;
    for (number, record) in run.records::<RemovalRecord>().iter().enumerate().take(4) {
        let scene = Scene::draw(graph(), 7, number as u64, Style::Standard);
        let boxes = scene.boxes();
        assert_eq!(
            (record.path.as_str(), record.regions.len()),
            (format!("scene {number}").as_str(), boxes.len())
        );
        for (region, (object, bounding_box)) in record.regions.iter().zip(boxes) {
            assert_eq!(
                (region.class, region.bounding_box),
                (scene.objects[object].class, bounding_box)
            );
            let without = scene.without(object).render();
            let input = network.card().fit.apply(&without, without.size());
            let wanted = predict(&network, &[&input]).unwrap()[0].probabilities[record.label];
            assert!((region.redrawn.unwrap().probability - wanted).abs() < 1e-5);
            objects += 1;
        }
    }
    assert!(objects > 8, "{objects} objects");
    let table = run.table("redrawing.csv");
    assert_eq!(
        table.column("kind"),
        ["removed", "removed-control", "removed", "removed-control", "nothing"]
    );
    assert_eq!(table.column("scenes"), ["12"; 5]);
    let apart: Vec<f64> =
        table.column("mean_absolute_difference").iter().map(|cell| cell.parse().unwrap()).collect();
    assert!(apart[0] < apart[4] / 3.0 && apart[2] < apart[4] / 3.0, "{apart:?}");
    let redrawn =
        run.table("removal.csv").column("kind").iter().filter(|kind| **kind == "redrawn").count();
    assert_eq!(
        redrawn,
        run.records::<RemovalRecord>().iter().map(|record| record.regions.len()).sum::<usize>()
    );
}
