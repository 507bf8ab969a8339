//! `emocam validate` with the embedded models, and with models that know nothing of the drawn
//! world.

use crate::common;
use crate::common::corpus::{Corpus, Table, emocam, ends, refused, sealed};
use emocam::world::{ObjectPart, PartBox, Scene, Style, Variant, parts_graph};
use std::collections::BTreeMap;
use std::process::Command;

fn validate(corpus: &Corpus, out: &str) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([
        "validate",
        "--device",
        "cpu",
        "--scenes",
        "24",
        "--resamples",
        "40",
    ]);
    command.args(["--out", out, "--cam", "grad-cam,lift-cam"]);
    command
}

#[test]
fn every_method_by_every_rule_beside_a_random_map_and_detections_alone() {
    let corpus = Corpus::empty();
    let said = ends(&mut validate(&corpus, "one"), 0);
    assert!(said.out.starts_with("24 scenes: "), "{}", said.out);
    // How fast it went, and what the usual number would take; the last line of progress comes once.
    assert_eq!(said.err.matches("24/24 scenes, ").count(), 1, "{}", said.err);
    let rate = said.err.lines().find(|line| line.starts_with("24 scenes in ")).unwrap_or_default();
    assert!(rate.contains(" scenes/s: 1,000 take "), "{}", said.err);
    let table = Table::read(&corpus.path("one/validity.csv"));
    assert_eq!(
        table.rows.len(),
        3 * 7 + 2,
        "two methods and a random map by seven scores, and detections"
    );
    assert_eq!(table.column("method")[21..], ["detection only"; 2]);
    assert_eq!(
        table.column("box_score")[..7],
        ["mean", "max", "mass", "contrast", "z", "lift", "chance"]
    );
    assert_eq!(table.column("threshold")[0], "0.3");
    let numbers = table.rows.iter().flat_map(|row| &row[2..]).filter(|cell| !cell.is_empty());
    assert!(
        numbers.clone().count() > 20
            && numbers.clone().all(|cell| cell.parse::<f64>().unwrap().is_finite())
    );
    for name in ["effects", "flips"] {
        let matrix = Table::read(&corpus.path(&format!("one/{name}.csv")));
        assert_eq!((matrix.rows.len(), matrix.header.len()), (20, 21));
    }
    for picture in ["effects.png", "validity.png"] {
        assert!(image::open(corpus.path(&format!("one/{picture}"))).unwrap().width() > 500);
    }
    // The same bytes again.
    ends(&mut validate(&corpus, "two"), 0);
    for name in ["validity.csv", "effects.csv", "flips.csv"] {
        let [one, two] =
            ["one", "two"].map(|run| std::fs::read(corpus.path(&format!("{run}/{name}"))).unwrap());
        assert!(one == two, "{name}");
    }
}

/// With half of the records, a torn one and none, `--resume` comes to the same tables; without it a
/// finished one begins anew and one that was stopped is not lost.
#[test]
fn a_stopped_validation_goes_on_to_the_same_tables() {
    let corpus = Corpus::empty();
    let command = |more: &[&str]| {
        let mut command = validate(&corpus, "out");
        command.args(more);
        command
    };
    ends(&mut command(&["--resume"]), 0);
    let content = |name: &str| std::fs::read(corpus.path(&format!("out/{name}"))).unwrap();
    let tables = ["validity.csv", "effects.csv", "flips.csv"];
    let wanted = tables.map(content);
    let records = content("scenes-emotion/records.jsonl");
    let lines: Vec<&[u8]> = records.split_inclusive(|&byte| byte == b'\n').collect();
    assert_eq!(lines.len(), 24);
    let half = lines[..12].concat();
    for (keep, done) in [
        (half.len(), "24 scenes, 12 already done"),
        (half.len() + 9, "12 already done"),
        (5, "24 scenes; cpu"),
    ] {
        std::fs::write(corpus.path("out/scenes-emotion/records.jsonl"), &records[..keep]).unwrap();
        std::fs::remove_file(corpus.path("out/validity.csv")).unwrap();
        let said = ends(&mut command(&["--resume"]), 0);
        assert!(said.err.contains(done), "{}", said.err);
        assert!(
            content("scenes-emotion/records.jsonl") == records && tables.map(content) == wanted
        );
    }
    refused(
        &mut command(&["--resume", "--world", "8"]),
        &["made differently", "world: 7 then, 8 now"],
    );
    refused(&mut command(&["--resume", "--seed", "9"]), &["made differently", "cam.seed"]);
    let said = ends(&mut command(&["--world", "8"]), 0);
    assert!(!said.err.contains("already done") && tables.map(content) != wanted, "{}", said.err);
    corpus.run("out/scenes-emotion").unfinish();
    let stopped = content("scenes-emotion/records.jsonl");
    refused(
        &mut command(&["--world", "8"]),
        &["holds a validation that was stopped", "--resume", "--overwrite"],
    );
    assert!(content("scenes-emotion/records.jsonl") == stopped);
    ends(&mut command(&["--world", "8", "--overwrite"]), 0);
    let changed = String::from_utf8(records).unwrap().replacen("\"drop\":", "\"drop\":7", 1);
    std::fs::write(corpus.path("out/scenes-emotion/records.jsonl"), sealed(changed.as_bytes()))
        .unwrap();
    refused(
        &mut command(&["--resume", "--world", "8"]),
        &["records.jsonl, line", "fall by -1 to 1"],
    );
}

#[test]
fn models_that_do_not_know_the_world_are_refused() {
    let corpus = Corpus::empty();
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["validate", "--device", "cpu", "--detector"]);
    command.arg(common::reference("darknet/yolov3.cfg")).arg("--detector-weights");
    command.arg(common::reference("darknet/yolov3.weights")).args(["--class-names", "four.names"]);
    command.arg("--emotion-weights").arg(common::reference("emonet/narrow_ecco.pt"));
    refused(
        &mut command,
        &["not those of the drawn world", "4 classes from Cat on", "20 from Human face on"],
    );
}

#[test]
fn a_graph_whose_labels_the_model_does_not_have_is_refused() {
    let corpus = Corpus::empty();
    let four = format!("{}/configs/graphs/four-emotions.toml", env!("CARGO_MANIFEST_DIR"));
    let phrases =
        ["not those of the causal graph", "expected happy, sad, hate, anger, found Adoration"];
    refused(validate(&corpus, "run").args(["--graph", &four]), &phrases);
    corpus.write("graph.toml", "labels = 4");
    refused(
        validate(&corpus, "run").args(["--graph", "graph.toml"]),
        &["graph.toml: not a causal graph"],
    );
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["remove", "--drawn", "3", "--device", "cpu", "--graph", &four]);
    refused(&mut command, &phrases);
}

/// The built-in graph without its confounders, so that scenes are others and labels the same.
#[test]
fn scenes_are_drawn_from_the_graph_that_is_named() {
    let corpus = Corpus::empty();
    let mut graph: toml::Table =
        toml::from_str(include_str!("../../configs/graphs/standard.toml")).unwrap();
    graph.remove("confounders");
    corpus.write("graph.toml", toml::to_string(&graph).unwrap());
    let answers =
        |out: &str, arguments: &[&str]| ends(validate(&corpus, out).args(arguments), 0).out;
    let (usual, other) = (answers("usual", &[]), answers("other", &["--graph", "graph.toml"]));
    assert_ne!(usual, other);
    let effects = std::fs::read_to_string(corpus.path("other/effects.csv")).unwrap();
    let candle = effects.lines().find(|line| line.starts_with("Candle")).unwrap();
    assert!(candle.split(',').skip(1).all(|cell| cell.is_empty() || cell == "0"), "{candle}");
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["remove", "--drawn", "4", "--device", "cpu", "--fills", "mean"]);
    ends(command.args(["--graph", "graph.toml", "--out", "removal"]), 0);
    let manifest = corpus.run("removal").manifest();
    assert!(
        manifest["models"].as_array().unwrap().iter().any(|file| file["role"] == "world.graph"),
        "{manifest}"
    );
    let classes = std::fs::read_to_string(corpus.path("removal/classes.csv")).unwrap();
    assert!(!classes.contains("Candle"), "{classes}");
}

/// The rows of a `decision.csv` of this method and score, by reading.
fn right(table: &Table, method: &str, score: &str) -> Vec<(String, f64)> {
    let (methods, scores) = (table.column("method"), table.column("score"));
    let rows = (0..table.rows.len()).filter(|&row| (methods[row], scores[row]) == (method, score));
    let (readings, values) = (table.column("reading"), table.column("right"));
    rows.map(|row| (readings[row].to_string(), values[row].parse().unwrap())).collect()
}

/// Two networks give the same answers, one by the cause, the other by its companion. What is in the
/// pictures cannot tell them apart; taking things out does, and so does a method that hides them.
#[test]
fn a_clever_hans_is_found_out() {
    let corpus = Corpus::empty();
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["validate", "--hans", "--device", "cpu", "--scenes", "120"]);
    ends(command.args(["--resamples", "40", "--out", "hans", "--cam", "grad-cam,object-shap"]), 0);
    let networks = Table::read(&corpus.path("hans/networks.csv"));
    for column in ["agreement", "accuracy"] {
        let values: Vec<f64> =
            networks.column(column).iter().map(|value| value.parse().unwrap()).collect();
        assert!(values.iter().all(|&share| share >= 0.95), "{column}: {values:?}");
    }
    let truth = Table::read(&corpus.path("hans/truth.csv"));
    assert_eq!(truth.rows.len(), 16);
    for row in &truth.rows {
        let [by, other] = ["flips_without", "flips_without_other"]
            .map(|name| row[truth.at(name)].parse::<f64>().unwrap());
        assert!(by > 0.7 && other < 0.3, "{row:?}");
    }
    let decision = Table::read(&corpus.path("hans/decision.csv"));
    let detections = right(&decision, "detection only", "any");
    assert_eq!(detections.len(), 3);
    assert!(detections.iter().all(|(_, right)| *right == 0.5), "{detections:?}");
    let by_hiding = right(&decision, "object-shap", "mean");
    assert!(
        by_hiding[0].1 == 1.0 && by_hiding[1].1 == 1.0 && by_hiding[2].1 >= 0.9,
        "{by_hiding:?}"
    );
    for network in ["emotion", "hans"] {
        let heatmap = image::open(corpus.path(&format!("hans/heatmap-{network}.png"))).unwrap();
        assert!(heatmap.width() > 500);
    }
    let mut command = validate(&corpus, "own");
    command.args(["--hans", "--emotion-weights"]).arg(common::reference("emonet/narrow_ecco.pt"));
    refused(
        &mut command,
        &["networks that come with the program are compared", "leave out --emotion-weights"],
    );
}

/// In the world of parts the detector knows the parts, and its classes are asked about; in that of
/// backgrounds there is a row for what no box holds.
#[test]
fn parts_and_backgrounds_are_asked_about_in_their_worlds() {
    let corpus = Corpus::empty();
    let effects = |graph: &str| {
        ends(validate(&corpus, graph).args(["--graph", graph]), 0);
        Table::read(&corpus.path(&format!("{graph}/effects.csv")))
    };
    let parts = effects("parts");
    assert_eq!(parts.rows.len(), 28);
    assert_eq!(parts.column("class")[20..23], ["Human eye", "Human mouth", "Human nose"]);
    let background = effects("background");
    assert_eq!(background.rows.len(), 21);
    assert_eq!(background.column("class")[20], "(background)");
    for label in ["Awe", "Anxiety", "Romance", "Entrancement"] {
        let cell: f64 = background.column(label)[20].parse().unwrap_or(1.0);
        assert!(cell > 0.4, "{label}: {cell}");
    }
    let cell = background.column("Fear")[20];
    assert!(cell.is_empty() || cell.parse::<f64>().unwrap().abs() < 1e-9, "{cell}");
}

/// Figure 4 of the paper: of a smiling face the small box of an ear has the highest mean of the
/// map, because it lies where the map is high and the face's box holds much where it is not.
/// Redrawn without the ear the answer stays; without the face it goes. Scores that know a box's
/// size put the face first, and so does hiding the objects.
#[test]
fn the_ear_with_the_highest_mean_is_no_cause() {
    let corpus = Corpus::empty();
    let scene = Scene::draw(parts_graph(), 9, 30, Style::Standard);
    let face = scene.objects.iter().position(|object| object.variant == Variant::Smiling).unwrap();
    let is_ear = |part: &&PartBox| part.object == face && part.kind == ObjectPart::Ear;
    let parts = scene.part_boxes();
    let ears: Vec<&PartBox> = parts.iter().filter(is_ear).collect();
    assert_eq!(ears.len(), 2);
    let mut pictures = vec![
        ("whole.png".to_string(), scene.clone()),
        ("without-face.png".into(), scene.without(face)),
    ];
    pictures.extend(
        ears.iter()
            .map(|ear| (format!("without-{}.png", ear.part), scene.without_part(face, ear.part))),
    );
    for (name, scene) in &pictures {
        let picture = scene.render();
        let (width, height) = (picture.size().width, picture.size().height);
        let pixels = image::RgbImage::from_raw(width, height, picture.data().to_vec()).unwrap();
        std::fs::create_dir_all(corpus.path("scenes")).unwrap();
        pixels.save(corpus.path(&format!("scenes/{name}"))).unwrap();
    }
    let models = format!("{}/models/demo", env!("CARGO_MANIFEST_DIR"));
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["analyze", "scenes", "--device", "cpu", "--out", "run"]);
    command.args([
        "--detector",
        &format!("{models}/parts.cfg"),
        "--detector-weights",
        &format!("{models}/parts.weights"),
    ]);
    command.args([
        "--class-names",
        &format!("{models}/parts.names"),
        "--cam",
        "grad-cam,object-shap",
    ]);
    ends(command.args(["--emotion-weights", &format!("{models}/surroundings.safetensors")]), 0);

    let images = Table::read(&corpus.path("run/images.csv"));
    let labels: BTreeMap<&str, &str> =
        images.column("path").into_iter().zip(images.column("label")).collect();
    for (name, _) in &pictures {
        assert_eq!(
            labels[name.as_str()] == "Joy",
            name != "without-face.png",
            "{name}: {}",
            labels[name.as_str()]
        );
    }
    let objects = Table::read(&corpus.path("run/objects.csv"));
    let highest = |class: &str, column: &str| {
        let rows = objects.rows.iter().filter(|row| {
            let sure = row[objects.at("confidence")].parse::<f64>().unwrap() > 0.5;
            sure && row[objects.at("path")] == "whole.png" && row[objects.at("class")] == class
        });
        rows.map(|row| row[objects.at(column)].parse::<f64>().unwrap())
            .max_by(f64::total_cmp)
            .unwrap()
    };
    let [ear, face] = ["Human ear", "Human face"].map(|class| highest(class, "grad-cam"));
    assert!(ear > face + 0.1, "by the paper's rule the ear is first: {ear}, {face}");
    for column in ["grad-cam_contrast", "object-shap"] {
        let [ear, face] = ["Human ear", "Human face"].map(|class| highest(class, column));
        assert!(face > 2.0 * ear, "{column}: {ear}, {face}");
    }
}
