//! `emocam paste`: its tables and its search, a run that goes on, and what is refused.

use crate::common;
use crate::common::corpus::{Corpus, assert_same_tables, emocam, ends, refused};
use crate::common::reference;
use crate::paste::{OBJECTS, object_file};
use emocam::corpus::{DecodeOptions, decode};
use emocam::image::{Filter, resize};
use emocam::networks::{AlexNet, Classifier, predict};
use emocam::paste::PasteRecord;
use std::fs;
use std::process::Command;
use tch::Device;

/// `emocam paste photos` with the miniature networks.
fn paste(corpus: &Corpus, run: &str) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["paste", "photos", "--device", "cpu", "--out", run]);
    command.arg("--emotion-weights").arg(reference("emonet/narrow_ecco.pt"));
    command
}

fn with_objects(mut command: Command, names: &[&str]) -> Command {
    for name in names {
        command.arg("--object").arg(object_file(&format!("{name}.png")));
    }
    command
}

#[test]
fn tables_say_what_the_records_say() {
    let corpus = Corpus::small();
    let said =
        ends(with_objects(paste(&corpus, "run"), &OBJECTS[..2]).args(["--controls", "all"]), 0);
    assert!(said.out.contains("lotus-flower") && said.out.contains("shuffle"), "{}", said.out);
    let rate = said.err.lines().find(|line| line.contains(" images in ")).unwrap_or_default();
    assert!(rate.ends_with(" images/s"), "{}", said.err);
    let run = corpus.run("run");
    let names = [
        "cochran.csv",
        "failures.csv",
        "mcnemar.csv",
        "paste.csv",
        "paste.png",
        "paste.svg",
        "positions.png",
    ];
    assert!(
        names.iter().all(|name| run.files().contains(&(*name).to_string())),
        "{:?}",
        run.files()
    );
    let labels: Vec<String> = serde_json::from_value(run.manifest()["labels"].clone()).unwrap();
    let (records, table) = (run.records::<PasteRecord>(), run.table("paste.csv"));
    assert_eq!((records.len(), table.rows.len()), (15, 2 * 4 * 17));
    for (at, row) in table.rows.iter().enumerate() {
        let (group, position) = (at / 17, at % 17);
        assert_eq!(row[0], OBJECTS[group / 4]);
        assert_eq!(row[1], ["object", "mean", "blur", "shuffle"][group % 4]);
        assert_eq!(row[2], (position + 1).to_string());
        let pasted = records.iter().map(|record| (record, &record.pasted[group * 17 + position]));
        let changed: Vec<_> =
            pasted.clone().filter(|(record, pasted)| record.label != pasted.label).collect();
        assert_eq!(row[table.at("changed")], changed.len().to_string());
        let share: f64 = row[table.at("share")].parse().unwrap();
        approx::assert_abs_diff_eq!(share, changed.len() as f64 / 15.0, epsilon = 1e-12);
        let mean = pasted.map(|(record, pasted)| {
            f64::from(pasted.probabilities[record.label])
                - f64::from(record.probabilities[record.label])
        });
        let written: f64 = row[table.at("original_change")].parse().unwrap();
        approx::assert_abs_diff_eq!(written, mean.sum::<f64>() / 15.0, epsilon = 1e-12);
        let to = &row[table.at("switched_to")];
        assert_eq!(to.is_empty(), changed.is_empty());
        if let Some(to) = labels.iter().position(|label| label == to) {
            let count =
                |label: usize| changed.iter().filter(|(_, pasted)| pasted.label == label).count();
            assert!((0..labels.len()).all(|label| count(label) <= count(to)));
        }
    }
    let switches = run.table("switches.csv");
    let total: u64 = switches
        .rows
        .iter()
        .flat_map(|row| &row[3..])
        .map(|cell| cell.parse::<u64>().unwrap())
        .sum();
    assert_eq!(total, 15 * 2 * 4 * 17);
    assert_eq!(run.table("mcnemar.csv").rows.len(), 2 * 3 * 17);
    assert_eq!(run.table("cochran.csv").column("images"), ["15"; 8]);
    for (name, bytes) in run.tables() {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{name}");
    }
}

#[test]
fn a_run_that_was_cut_off_ends_in_the_same_tables() {
    let corpus = Corpus::small();
    let start = |run: &str| {
        let mut command = with_objects(paste(&corpus, run), &OBJECTS[..1]);
        command.args(["--positions", "3x1", "--controls", "shuffle"]);
        command
    };
    ends(&mut start("whole"), 0);
    ends(start("cut").args(["--threads", "1"]), 0);
    let (whole, cut) = (corpus.run("whole"), corpus.run("cut"));
    assert_same_tables(&whole, &cut);
    let bytes = fs::read(cut.path("records.jsonl")).unwrap();
    fs::write(cut.path("records.jsonl"), &bytes[..bytes.len() * 2 / 5]).unwrap();
    refused(&mut start("cut"), &["holds a run already", "--resume"]);
    ends(start("cut").arg("--resume"), 0);
    assert_same_tables(&whole, &cut);
    assert_eq!(
        fs::read(cut.path("records.jsonl")).unwrap(),
        fs::read(whole.path("records.jsonl")).unwrap()
    );
    refused(
        start("cut").args(["--resume", "--scale", "0.3"]),
        &["made differently", "scale: 0.2 then, 0.3 now"],
    );
    refused(emocam().arg("associate").arg(&cut.folder), &["is a run of `emocam paste`"]);
}

#[test]
fn on_boxes_of_a_class_by_the_detector_and_from_a_run() {
    let corpus = Corpus::small();
    let earlier = corpus.analyzed("earlier");
    let networks = |command: &mut Command| {
        command.arg("--detector").arg(reference("darknet/yolov3.cfg"));
        command.arg("--detector-weights").arg(reference("darknet/yolov3.weights"));
        command.arg("--class-names").arg(corpus.path("four.names"));
    };
    let at = |run: &str, classes: &[&str]| {
        let mut command = with_objects(paste(&corpus, run), &OBJECTS[1..2]);
        command.args(["--controls", "mean", "--focus"]);
        classes.iter().for_each(|class| {
            command.args(["--at", class]);
        });
        command
    };
    // The class with the most boxes; of these about the twenty most confident.
    let of = earlier.table("objects.csv");
    let confidences = |class: &str| -> Vec<f32> {
        let rows = of.rows.iter().filter(|row| row[of.at("class")] == class);
        rows.map(|row| row[of.at("confidence")].parse().unwrap()).collect()
    };
    let class =
        ["Cat", "Owl", "Tin"].into_iter().max_by_key(|class| confidences(class).len()).unwrap();
    let mut confident = confidences(class);
    confident.sort_by(f32::total_cmp);
    let least = confident[confident.len().saturating_sub(20)] - 1e-4;
    let boxes = confident.iter().filter(|&&confidence| confidence > least).count();
    let at = |run: &str, classes: &[&str]| {
        let mut command = at(run, classes);
        command.args(["--min-confidence", &least.to_string()]);
        command
    };
    ends(at("recorded", &[class]).args(["--regions", "earlier"]), 0);
    let mut detected = at("detected", &[&class.to_lowercase()]);
    networks(&mut detected);
    ends(&mut detected, 0);
    let (recorded, detected) = (corpus.run("recorded"), corpus.run("detected"));
    for run in [&recorded, &detected] {
        let table = run.table("paste.csv");
        assert_eq!(table.column("pastes"), [boxes.to_string(), boxes.to_string()]);
        assert_eq!(table.column("position"), [class, class]);
        let focus = run.table("focus.csv");
        for column in ["mass_before", "mass_after", "box_before", "box_after", "correlation"] {
            let values = focus.column(column);
            assert!(
                values.iter().all(|value| (-1.0..=1.01).contains(&value.parse::<f64>().unwrap())),
                "{values:?}"
            );
        }
    }
    for record in recorded.records::<PasteRecord>() {
        for spot in &record.spots {
            let of = spot.bounding_box.unwrap();
            let middle = f64::from(of.x_min + of.x_max) / 2.0 / f64::from(record.width);
            approx::assert_abs_diff_eq!(spot.x, middle, epsilon = 1e-6);
        }
    }
    let recorded = |class: &str| {
        let mut command = at("x", &[class]);
        command.args(["--regions", "earlier"]);
        command
    };
    refused(&mut recorded("Catt"), &["no class `Catt`", "did you mean Cat?"]);
    refused(recorded(class).args(["--positions", "2x2"]), &["cannot be used with"]);
    let mut both = recorded(class);
    networks(&mut both);
    refused(&mut both, &["--detector", "cannot be used with", "--regions"]);
}

#[test]
fn a_class_that_never_occurs_is_a_defined_result() {
    let corpus = Corpus::small();
    corpus.analyzed("earlier");
    let mut command = with_objects(paste(&corpus, "run"), &OBJECTS[..1]);
    let said =
        ends(command.args(["--at", "Tin", "--regions", "earlier", "--min-confidence", "1.0"]), 0);
    assert!(said.err.contains("no box of the class Tin in any of 15 images"), "{}", said.err);
    let run = corpus.run("run");
    let table = run.table("paste.csv");
    assert_eq!(table.column("pastes"), ["0"]);
    for column in ["share", "lower", "upper", "switched_to", "original_change"] {
        assert_eq!(table.column(column), [""], "{column}");
    }
    assert_eq!(run.table("cochran.csv").column("p_value"), [""]);
    assert!(!run.path("paste.png").exists());
}

#[test]
fn objects_and_corpora_that_cannot_be_used_are_named() {
    let corpus = Corpus::small();
    let save = |name: &str, picture: image::DynamicImage| picture.save(corpus.path(name)).unwrap();
    save("opaque.png", image::RgbImage::new(9, 7).into());
    save("clear.png", image::RgbaImage::new(9, 7).into());
    save("long.png", image::RgbaImage::from_pixel(300, 2, image::Rgba([9, 9, 9, 255])).into());
    corpus.write("broken.png", &fs::read(object_file("rugby-ball.png")).unwrap()[..3000]);
    corpus.write("text.png", "no picture");
    for (file, words) in [
        ("opaque.png", "has no transparency"),
        ("clear.png", "transparent everywhere"),
        ("long.png", "at most 50 times"),
        ("broken.png", "cannot be decoded"),
        ("text.png", "cannot be decoded"),
        ("nowhere.png", "cannot read"),
    ] {
        refused(paste(&corpus, "x").args(["--object", file]), &[file, words]);
    }
    refused(
        &mut with_objects(paste(&corpus, "x"), &["rugby-ball", "rugby-ball"]),
        &["two objects are named `rugby-ball`"],
    );
    refused(
        with_objects(paste(&corpus, "x"), &OBJECTS[..1]).args(["--scale", "0"]),
        &["scale", "found 0"],
    );
    refused(
        with_objects(paste(&corpus, "x"), &OBJECTS[..1]).args(["--controls", "x"]),
        &["`x` is no control"],
    );
    refused(&mut paste(&corpus, "x"), &["--object"]);
    let empty = Corpus::empty();
    refused(&mut with_objects(paste(&empty, "x"), &OBJECTS[..1]), &["no images in photos"]);
    assert!(!corpus.path("x").exists());
    // Larger than the image on all sides: it hides the image, and the answer is the object's.
    ends(
        with_objects(paste(&corpus, "large"), &OBJECTS[..1]).args([
            "--scale",
            "3",
            "--positions",
            "1x1",
        ]),
        0,
    );
    let covered =
        corpus.run("large").table("paste.csv").column("covered")[0].parse::<f64>().unwrap();
    assert!(covered > 0.6, "{covered}");
    corpus.write("photos/bad.jpg", "no picture");
    let said =
        ends(with_objects(paste(&corpus, "some"), &OBJECTS[..1]).args(["--positions", "2x1"]), 1);
    assert!(said.err.contains("bad.jpg (decode)"), "{}", said.err);
    assert_eq!(corpus.run("some").table("failures.csv").column("path"), ["bad.jpg"]);
}

#[test]
fn a_search_finds_the_strongest_switch_of_its_grid() {
    let corpus = Corpus::small();
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([
        "paste",
        "--find",
        "photos/a/picture_3.png",
        "--device",
        "cpu",
    ]);
    command.arg("--emotion-weights").arg(reference("emonet/narrow_ecco.pt"));
    let said = ends(
        with_objects(command, &OBJECTS[2..])
            .args(["--grid", "5x4", "--scales", "0.2,0.4", "--out", "found"]),
        0,
    );
    assert!(said.out.starts_with("soccer-ball: "), "{}", said.out);
    let table = common::corpus::Table::read(&corpus.path("found/find.csv"));
    assert_eq!(table.rows.len(), 2 * 20);
    let leads: Vec<f64> = table.column("lead").iter().map(|lead| lead.parse().unwrap()).collect();
    let best = (0..40).fold(0, |best, at| if leads[at] > leads[best] { at } else { best });
    let row = &table.rows[best];
    let [scale, x, y] = ["scale", "x", "y"].map(|name| row[table.at(name)].parse::<f64>().unwrap());
    assert!(said.out.contains(&format!("{scale} high at {x:.3}, {y:.3}")), "{} {row:?}", said.out);
    // The rendered switch gives the answer of its row when it is asked from its file.
    let model = AlexNet::load(&reference("emonet/narrow_ecco.pt"), None, Device::Cpu).unwrap();
    let picture =
        decode(&corpus.path("found/soccer-ball-strongest.png"), &DecodeOptions::default()).unwrap();
    let input = resize(&picture, model.card().input(), Filter::Bicubic);
    let answer = predict(&model, &[&input]).unwrap().remove(0);
    assert_eq!(row[table.at("label")], model.card().labels[answer.label]);
    let probability: f32 = row[table.at("probability")].parse().unwrap();
    assert!((answer.probabilities[answer.label] - probability).abs() < 1e-4);
    assert!(
        corpus.path("found/soccer-ball-0.2.png").exists()
            && corpus.path("found/soccer-ball-0.4.svg").exists()
    );
    refused(
        emocam().args(["paste", "--find", "x.png", "photos", "--object", "y.png"]),
        &["cannot be used with"],
    );
}
