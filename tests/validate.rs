//! `emocam validate` with the embedded models, and with models that know nothing of the drawn world.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

mod common;

use common::corpus::{emocam, ends, refused, Corpus, Table};
use std::process::Command;

fn validate(corpus: &Corpus, out: &str) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["validate", "--device", "cpu", "--scenes", "24", "--resamples", "40"]);
    command.args(["--out", out, "--cam", "grad-cam,lift-cam"]);
    command
}

#[test]
fn every_method_by_every_rule_beside_a_random_map_and_detections_alone() {
    let corpus = Corpus::empty();
    let said = ends(&mut validate(&corpus, "one"), 0);
    assert!(said.out.starts_with("24 scenes: "), "{}", said.out);
    let table = Table::read(&corpus.path("one/validity.csv"));
    assert_eq!(table.rows.len(), 3 * 3 + 2);
    assert_eq!(table.column("method")[9..], ["detection only"; 2]);
    let numbers = table.rows.iter().flat_map(|row| &row[2..]).filter(|cell| !cell.is_empty());
    assert!(numbers.clone().count() > 20 && numbers.clone().all(|cell| cell.parse::<f64>().unwrap().is_finite()));
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
        let [one, two] = ["one", "two"].map(|run| std::fs::read(corpus.path(&format!("{run}/{name}"))).unwrap());
        assert!(one == two, "{name}");
    }
}

#[test]
fn models_that_do_not_know_the_world_are_refused() {
    let corpus = Corpus::empty();
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["validate", "--device", "cpu", "--detector"]);
    command.arg(common::reference("darknet/yolov3.cfg")).arg("--detector-weights");
    command.arg(common::reference("darknet/yolov3.weights")).args(["--class-names", "four.names"]);
    command.arg("--emotion-weights").arg(common::reference("emonet/narrow_ecco.pt"));
    refused(&mut command, &["not those of the drawn world", "4 classes from Cat on", "20 from Human face on"]);
}

#[test]
fn a_graph_whose_labels_the_model_does_not_have_is_refused() {
    let corpus = Corpus::empty();
    let four = format!("{}/configs/graphs/four-emotions.toml", env!("CARGO_MANIFEST_DIR"));
    let phrases = ["not those of the causal graph", "expected happy, sad, hate, anger, found Adoration"];
    refused(validate(&corpus, "run").args(["--graph", &four]), &phrases);
    corpus.write("graph.toml", "labels = 4");
    refused(validate(&corpus, "run").args(["--graph", "graph.toml"]), &["graph.toml: not a causal graph"]);
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["remove", "--drawn", "3", "--device", "cpu", "--graph", &four]);
    refused(&mut command, &phrases);
}

/// The built-in graph without its confounders, so that scenes are others and labels the same.
#[test]
fn scenes_are_drawn_from_the_graph_that_is_named() {
    let corpus = Corpus::empty();
    let mut graph: toml::Table = toml::from_str(include_str!("../configs/graphs/standard.toml")).unwrap();
    graph.remove("confounders");
    corpus.write("graph.toml", toml::to_string(&graph).unwrap());
    let answers = |out: &str, arguments: &[&str]| ends(validate(&corpus, out).args(arguments), 0).out;
    let (usual, other) = (answers("usual", &[]), answers("other", &["--graph", "graph.toml"]));
    assert_ne!(usual, other);
    let effects = std::fs::read_to_string(corpus.path("other/effects.csv")).unwrap();
    let candle = effects.lines().find(|line| line.starts_with("Candle")).unwrap();
    assert!(candle.split(',').skip(1).all(|cell| cell.is_empty() || cell == "0"), "{candle}");
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["remove", "--drawn", "4", "--device", "cpu", "--fills", "mean"]);
    ends(command.args(["--graph", "graph.toml", "--out", "removal"]), 0);
    let manifest = corpus.run("removal").manifest();
    assert!(manifest["models"].as_array().unwrap().iter().any(|file| file["role"] == "world.graph"), "{manifest}");
    let classes = std::fs::read_to_string(corpus.path("removal/classes.csv")).unwrap();
    assert!(!classes.contains("Candle"), "{classes}");
}
