//! Networks that users bring, through every command: labels, sizes and preparation of their own, a
//! single output, heads whose layers cannot be seen, and memory that runs out.

use crate::common;
use crate::common::corpus::{Corpus, ends, refused};
use crate::common::reference;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const LABELS: [&str; 8] =
    ["amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness"];

/// Fifteen pictures of many shapes, the miniature detector, and this plug-in.
fn with(corpus: &Corpus, subcommand: &str, plugin: &str) -> Command {
    let weights = reference(&format!("plugins/{plugin}.pt"));
    corpus.command(subcommand, &[("--emotion-weights", weights.to_str().unwrap())])
}

fn ball() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/objects/rugby-ball.png")
}

#[test]
fn eight_labels_on_a_wide_input_go_through_every_command() {
    let corpus = Corpus::small();
    let methods = "grad-cam,ablation-cam,lime-cam,shapley-cam,score-cam";
    ends(
        with(&corpus, "analyze", "cnn8").args([
            "photos",
            "--out",
            "run",
            "--save-maps",
            "--cam",
            methods,
        ]),
        0,
    );
    let run = corpus.run("run");
    let images = run.table("images.csv");
    assert_eq!(images.header[5..13], LABELS);
    assert_eq!(images.rows.len(), 15);
    for row in &images.rows {
        let numbers: Vec<f64> = row[5..15].iter().map(|cell| cell.parse().unwrap()).collect();
        approx::assert_abs_diff_eq!(numbers[..8].iter().sum::<f64>(), 1.0, epsilon = 1e-5);
        // The card's regressions.
        let valence = [1.5, 1.0, 1.25, 2.0, -1.5, -2.0, -1.0, -1.75];
        let wanted: f64 =
            0.5 + valence.iter().zip(&numbers).map(|(weight, p)| weight * p).sum::<f64>();
        approx::assert_abs_diff_eq!(numbers[8], wanted, epsilon = 1e-4);
    }
    let maps = std::fs::read(run.path("maps/a/picture_5.png.safetensors")).unwrap();
    let maps = safetensors::SafeTensors::deserialize(&maps).unwrap();
    assert_eq!(maps.tensor("grad-cam").unwrap().shape(), [96, 160]);
    let importances: BTreeSet<_> = methods
        .split(',')
        .map(|method| run.table("objects.csv").column(method).join(","))
        .collect();
    assert_eq!(importances.len(), 5, "the methods differ");
    assert_eq!(run.table("grad-cam/association.csv").header[1..], LABELS);
    let input = &run.manifest()["input"];
    assert_eq!((&input["width"], &input["height"]), (&160.into(), &96.into()), "{input}");

    ends(
        common::corpus::emocam().current_dir(corpus.path("")).args([
            "associate",
            "run",
            "--importance",
            "0.2",
        ]),
        0,
    );
    assert_eq!(run.table("grad-cam/association.csv").header[1..], LABELS);
    ends(
        common::corpus::emocam().current_dir(corpus.path("")).args([
            "rsa",
            "run",
            "--resamples",
            "100",
        ]),
        0,
    );
    assert_eq!(run.table("rsa/spearman.csv").rows.len(), 5);

    ends(
        with(&corpus, "explain", "cnn8").args([
            "photos/a",
            "--cam",
            "grad-cam,xgrad-cam",
            "--corpus",
            "photos",
        ]),
        0,
    );
    let explained = corpus.explained("picture_3.json");
    assert!(LABELS.iter().all(|label| explained.contains(&format!("\"{label}\""))), "{explained}");

    let mut evaluate = with(&corpus, "evaluate", "cnn8");
    evaluate.args([
        "photos",
        "--out",
        "judged",
        "--limit",
        "3",
        "--steps",
        "5",
        "--cam",
        "grad-cam,hires-cam",
    ]);
    ends(evaluate.args(["--pointing", "Tin"]), 0);
    let judged = corpus.run("judged").table("evaluation.csv");
    assert!(judged.column("method").contains(&"hires-cam"));

    let mut paste = with(&corpus, "paste", "cnn8");
    paste
        .args(["photos", "--out", "pasted", "--limit", "4", "--focus", "--controls", "mean"])
        .arg("--object")
        .arg(ball());
    ends(&mut paste, 0);
    let records = std::fs::read_to_string(corpus.path("pasted/records.jsonl")).unwrap();
    assert_eq!(records.lines().count(), 4);
}

#[test]
fn a_single_output_is_explained_and_stands_in_bins() {
    let corpus = Corpus::small();
    let mut analyze = with(&corpus, "analyze", "scalar");
    ends(analyze.args(["photos", "--out", "run", "--cam", "grad-cam,ablation-cam"]), 0);
    let run = corpus.run("run");
    let images = run.table("images.csv");
    assert_eq!(images.header, ["path", "width", "height", "label", "valence"]);
    let bins = ["valence below -0.25", "valence from -0.25 to 0.25", "valence from 0.25"];
    for row in &images.rows {
        let valence: f32 = row[4].parse().unwrap();
        let bin = usize::from(valence >= -0.25) + usize::from(valence >= 0.25);
        assert_eq!(row[3], bins[bin], "{valence}");
    }
    assert_eq!(run.table("grad-cam/association.csv").header[1..], bins);
    assert_eq!(run.manifest()["output"], "valence");
    ends(common::corpus::emocam().current_dir(corpus.path("")).args(["associate", "run"]), 0);
    let binned = || {
        let mut command = common::corpus::emocam();
        command.current_dir(corpus.path("")).args(["associate", "run", "--bins", "5"]);
        command
    };
    ends(binned().args(["--out", "binned"]), 0);
    let counts = common::corpus::Table::read(&corpus.path("binned/grad-cam/counts.csv"));
    assert_eq!(counts.header.len(), 1 + 5);
    assert_eq!(
        counts.rows[counts.rows.len() - 1][1..],
        ["3", "3", "3", "3", "3"],
        "fifteen images in five bins"
    );
    refused(&mut binned(), &["--out"]);
    let margins = ["--out", "margins", "--min-margin", "0.1"];
    refused(binned().args(margins), &["min_margin", "single output (valence)"]);
    ends(with(&corpus, "explain", "scalar").args(["photos/a/picture_3.png"]), 0);
    assert!(corpus.explained("picture_3.json").contains("valence"));
    let judged = |subcommand: &str| with(&corpus, subcommand, "scalar");
    refused(judged("evaluate").args(["photos", "--out", "x"]), &["single output valence"]);
    refused(
        judged("paste").args(["photos", "--out", "x"]).arg("--object").arg(ball()),
        &["single output valence"],
    );
}

#[test]
fn methods_that_need_layers_are_refused_with_those_that_do_not() {
    let corpus = Corpus::small();
    for (method, reason) in [("lrp-cam", "walks the layers"), ("lift-cam", "walks the layers")] {
        let mut command = with(&corpus, "analyze", "tokens");
        let works = "these work on it: grad-cam, ablation-cam, lime-cam, shapley-cam, grad-cam++";
        refused(
            command.args(["photos", "--out", "x", "--cam", method]),
            &[method, reason, "tokens.pt", works],
        );
    }
    assert!(!corpus.path("x").exists());
}

/// What names the network or says how long it took.
const NAMES: [&str; 5] = ["models", "configuration", "timings", "seconds", "parts"];

/// Every file of a folder but what names the network: paths and bytes.
fn results(corpus: &Corpus, folder: &str) -> Vec<(String, Vec<u8>)> {
    let files = common::corpus::files_below(&corpus.path(folder)).into_iter();
    let results = files.filter(|name| name != "run.json").map(|name| {
        let bytes = std::fs::read(corpus.path(folder).join(&name)).unwrap();
        if !name.ends_with(".json") {
            return (name, bytes);
        }
        let mut document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let all = document.as_object_mut().unwrap();
        all.retain(|key, _| !NAMES.contains(&key.as_str()));
        for part in ["run", "outcome"] {
            if let Some(part) = all.get_mut(part).and_then(|part| part.as_object_mut()) {
                part.retain(|key, _| !NAMES.contains(&key.as_str()));
            }
        }
        (name, document.to_string().into_bytes())
    });
    results.collect()
}

/// `hungry.pt` is `sated.pt`, but says that memory has run out where more than two pictures, one of
/// them almost white, come at a time.
#[test]
fn where_memory_runs_out_midway_every_command_finishes_with_the_same_bytes() {
    let corpus = Corpus::small();
    let white = image::RgbImage::from_pixel(90, 60, image::Rgb([255; 3]));
    white.save(corpus.path("photos/a/white.png")).unwrap();
    let commands: [(&str, &[&str]); 4] = [
        ("analyze", &["--cam", "grad-cam,ablation-cam,lime-cam,shapley-cam", "--save-maps"]),
        ("explain", &["--cam", "grad-cam,ablation-cam", "--save-maps"]),
        ("evaluate", &["--cam", "grad-cam", "--steps", "5"]),
        ("paste", &["--focus", "--positions", "2x2"]),
    ];
    for (command, flags) in commands {
        for plugin in ["hungry", "sated"] {
            let mut run = with(&corpus, command, plugin);
            run.args(["photos", "--batch", "4", "--out", &format!("{command}-{plugin}")])
                .args(flags);
            if command == "paste" {
                run.arg("--object").arg(ball());
            }
            let said = ends(&mut run, 0);
            let halved = said.err.contains("the memory does not suffice for batches of");
            assert_eq!(halved, plugin == "hungry", "{command} with {plugin}: {}", said.err);
        }
        let [hungry, sated] =
            ["hungry", "sated"].map(|plugin| results(&corpus, &format!("{command}-{plugin}")));
        assert!(hungry.len() > 3, "{command}");
        for ((name, hungry), (other, sated)) in hungry.iter().zip(&sated) {
            assert_eq!(name, other, "{command}");
            assert!(hungry == sated, "{command}: {name} differs");
        }
    }
}
