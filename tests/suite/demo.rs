//! The embedded models on the drawn world: `emocam demo` whole, its tables on one and two threads,
//! detections and answers against what was drawn, and what pasting a cause does.

use crate::common::corpus::{Corpus, Run, Table, assert_same_tables, emocam, ends, refused};
use crate::common::process::{finish, signal, start, wait_for_records};
use emocam::stats::wilson;
use emocam::world::{CLASSES, LABELS, Variant, graph};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn demo(corpus: &Corpus, out: &str, threads: &str) -> (String, Run) {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["demo", "--scenes", "250", "--out", out]);
    command.env("RAYON_NUM_THREADS", threads).env("OMP_NUM_THREADS", threads);
    (ends(&mut command, 0).out, corpus.run(out))
}

/// The place of a class in a label's column of a method's association matrix.
fn rank(run: &Run, method: &str, class: &str, label: &str) -> usize {
    let table = run.table(&format!("run/{method}/association.csv"));
    let shares: Vec<f64> = table.column(label).iter().map(|cell| cell.parse().unwrap()).collect();
    let own = shares[table.column("class").iter().position(|name| *name == class).unwrap()];
    1 + shares[..CLASSES.len()].iter().filter(|&&share| share > own).count()
}

#[test]
fn the_demo_finds_every_planted_cause_and_its_tables_are_the_same_on_one_thread() {
    let corpus = Corpus::empty();
    let (said, one) = demo(&corpus, "one", "1");
    // LRP-CAM and LIFT-CAM do not find all of them, which the demo says.
    for method in ["grad-cam", "ablation-cam", "lime-cam"] {
        for cause in &graph().causes {
            let (class, label) = (CLASSES[cause.class], LABELS[cause.label]);
            let rank = rank(&one, method, class, label);
            assert!(rank <= 3, "{method}: {class} is number {rank} of {label}\n{said}");
        }
        assert!(one.path(&format!("run/{method}/heatmap.png")).is_file());
    }
    let causes = graph().causes.len();
    let line = said.lines().find(|line| line.contains(&format!("of {causes}"))).unwrap();
    let found: Vec<usize> =
        line.split_whitespace().rev().take(6).map(|count| count.parse().unwrap()).collect();
    assert!(
        found[2..5].iter().all(|&count| count == causes)
            && found.iter().all(|&count| count <= causes),
        "{line}"
    );
    let files = one.files();
    assert_eq!(
        files
            .iter()
            .filter(|name| name.starts_with("explained/") && name.ends_with(".png"))
            .count(),
        4
    );
    for name in ["run/rsa/heatmap.png", "scenes/graph.json", "models/README.md", "demo.toml"] {
        assert!(files.iter().any(|file| file == name), "{name}");
    }
    let (_, two) = demo(&corpus, "two", "2");
    assert_same_tables(&one, &two);
    refused(
        emocam().current_dir(corpus.path("")).args(["demo", "--out", "one"]),
        &["one is not empty", "--out"],
    );
}

#[test]
fn ctrl_c_ends_the_demo_and_it_says_what_is_left() {
    let corpus = Corpus::empty();
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["demo", "--scenes", "600", "--out", "out"]);
    let mut child = start(&mut command);
    wait_for_records(&mut child, &corpus.run("out/run"), 0);
    signal(&child, "-INT");
    let (status, said) = finish(child);
    assert_eq!(status, Some(130), "{said}");
    assert!(said.contains("stopped; what was done lies in out"), "{said}");
}

/// Scenes, their objects, and a configuration with the embedded models.
fn scenes(corpus: &Corpus, count: &str) -> String {
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["world", "--scenes", count, "--seed", "77", "--out", "scenes"]);
    ends(command.args(["--objects", "objects"]), 0);
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    let quoted =
        |name: &str| toml::Value::String(models.join(name).to_str().unwrap().into()).to_string();
    let [cfg, weights, names] = ["detector.cfg", "detector.weights", "detector.names"].map(quoted);
    let emotion = quoted("emotion.safetensors");
    let config = format!(
        "[detector]\ncfg = {cfg}\nweights = {weights}\nnames = {names}\n[emotion]\nweights = \
         {emotion}\n"
    );
    corpus.write("models.toml", config);
    "models.toml".into()
}

#[test]
fn what_was_drawn_is_found_and_named() {
    let corpus = Corpus::empty();
    let config = scenes(&corpus, "60");
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["analyze", "scenes", "--device", "cpu", "--config", &config]);
    ends(command.args(["--out", "run"]), 0);
    let truth = Table::read(&corpus.path("scenes/scenes.csv"));
    let labels: BTreeMap<&str, &str> =
        truth.column("path").into_iter().zip(truth.column("label")).collect();
    let images = corpus.run("run").table("images.csv");
    let answers = images.column("path").into_iter().zip(images.column("label"));
    let right = answers.filter(|(path, label)| labels[path] == *label).count();
    assert!(right >= 51, "{right} of 60 labels");
    // Classes over half confidence, against those drawn and visible.
    let classes = |table: &Table, keep: &dyn Fn(&[String]) -> bool| -> BTreeSet<(String, String)> {
        let (path, class) = (table.at("path"), table.at("class"));
        table
            .rows
            .iter()
            .filter(|row| keep(row))
            .map(|row| (row[path].clone(), row[class].clone()))
            .collect()
    };
    let drawn = Table::read(&corpus.path("scenes/objects.csv"));
    let edge = drawn.at("x_min");
    let drawn = classes(&drawn, &|row| !row[edge].is_empty());
    let found = corpus.run("run").table("objects.csv");
    let confidence = found.at("confidence");
    let found = classes(&found, &|row| row[confidence].parse::<f64>().unwrap() > 0.5);
    let both = drawn.intersection(&found).count() as f64;
    let (recall, precision) = (both / drawn.len() as f64, both / found.len() as f64);
    assert!(recall > 0.9 && precision > 0.9, "recall {recall}, precision {precision}");
}

/// Pastes of `object`, filled with `fill`, into scenes of other labels, and how many of them became
/// `label`.
fn switched(corpus: &Corpus, run: &str, object: usize, fill: usize, label: usize) -> (u64, u64) {
    let (mut all, mut to_label) = (0, 0);
    for record in corpus.run(run).records::<emocam::paste::PasteRecord>() {
        if record.label != label {
            let spots = record.spots.len();
            // Four fills an object: the object itself, mean, blur, shuffle.
            let first = (4 * object + fill) * spots;
            let labels = record.pasted[first..first + spots].iter().map(|pasted| pasted.label);
            all += spots as u64;
            to_label += labels.filter(|&found| found == label).count() as u64;
        }
    }
    (to_label, all)
}

#[test]
fn a_pasted_cause_switches_the_answer_and_its_controls_and_bystanders_do_not() {
    let corpus = Corpus::empty();
    let config = scenes(&corpus, "40");
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["paste", "scenes", "--device", "cpu", "--config", &config]);
    command.args([
        "--object",
        "objects/human-face-smiling.png",
        "--object",
        "objects/human-face-neutral.png",
    ]);
    command.args(["--controls", "all", "--scale", "0.35", "--positions", "2x2", "--out", "pasted"]);
    ends(&mut command, 0);
    let cause = graph().causes.iter().find(|cause| cause.variant == Variant::Smiling).unwrap();
    assert_eq!((CLASSES[cause.class], LABELS[cause.label]), ("Human face", "Joy"));
    let interval = |object, fill| {
        let (switched, all) = switched(&corpus, "pasted", object, fill, cause.label);
        assert!(all > 100);
        wilson(switched, all).unwrap()
    };
    let (smile, _) = interval(0, 0);
    assert!(smile > 0.35, "{smile}");
    // The outline filled otherwise, and a face that does not smile, however filled.
    for (object, fill) in [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)] {
        let (_, upper) = interval(object, fill);
        assert!(
            upper < smile - 0.1,
            "object {object}, fill {fill}: up to {upper}, the smile from {smile}"
        );
    }
}
