//! No command replaces a file that emocam did not make, unless it is told to; and where it may
//! write is known before models are loaded.

use crate::common;
use crate::common::corpus::{Corpus, emocam, ends, refused};
use crate::common::reference;
use std::fs;
use std::process::Command;

const MINE: &str = "my own work of years";

/// A command in the corpus's folder.
fn at(corpus: &Corpus, arguments: &[&str]) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(arguments);
    command
}

/// A corpus with a folder `mine` that holds somebody's file of this name.
fn with_mine(name: &str) -> Corpus {
    let corpus = Corpus::small();
    corpus.write(&format!("mine/{name}"), MINE);
    corpus
}

fn content(corpus: &Corpus, name: &str) -> String {
    String::from_utf8_lossy(&fs::read(corpus.path(name)).unwrap()).into_owned()
}

fn ball() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/objects/rugby-ball.png")
}

/// Models that are not there: a command that looks for them first says so.
const NO_MODELS: [(&str, &str); 2] =
    [("--emotion-weights", "nowhere.pth"), ("--detector-weights", "nowhere.weights")];

#[test]
fn folders_of_runs_are_looked_at_before_models_are_loaded() {
    let corpus = with_mine("run.csv");
    let ball = ball();
    let ball = ball.to_str().unwrap();
    let remove: &[&str] = &["photos", "--fills", "mean"];
    let paste: &[&str] = &["photos", "--object", ball];
    for (subcommand, arguments) in [
        ("analyze", &["photos"] as &[&str]),
        ("evaluate", &["photos"]),
        ("remove", remove),
        ("paste", paste),
    ] {
        let command = |out: &str| {
            let mut command = corpus.command(subcommand, &NO_MODELS);
            command.args(arguments).args(["--out", out]);
            command
        };
        refused(&mut command("mine"), &["mine", "is not empty", "--out"]);
        refused(&mut command("mine/run.csv/below"), &["run.csv"]);
        refused(&mut command("new/run"), &["nowhere"]);
        assert!(!corpus.path("new").exists(), "{subcommand} left an empty folder");
        assert_eq!(content(&corpus, "mine/run.csv"), MINE, "{subcommand}");
    }
    let without_detector = |subcommand: &str, out: &str| {
        let mut command = at(&corpus, &[subcommand]);
        match subcommand {
            "embed" => command.args(["nowhere.pth", "photos"]),
            _ => command.args(["photos", "--emotion-weights", "nowhere.pth"]),
        };
        command.args(["--device", "cpu", "--out", out]);
        command
    };
    for subcommand in ["embed", "classify"] {
        refused(&mut without_detector(subcommand, "mine"), &["mine", "is not empty"]);
        refused(&mut without_detector(subcommand, "new"), &["nowhere.pth"]);
        assert!(!corpus.path("new").exists(), "{subcommand} left an empty folder");
    }
    for (kind, data) in [("multi-gap", "drawn"), ("fer", "drawn-faces")] {
        refused(&mut at(&corpus, &["train", kind, data, "--out", "mine"]), &["mine is not empty"]);
    }
    refused(&mut at(&corpus, &["demo", "--out", "mine"]), &["mine is not empty"]);
    assert_eq!(common::corpus::files_below(&corpus.path("mine")), ["run.csv"]);
}

#[test]
fn explain_asks_before_it_replaces_a_file_and_not_for_its_own() {
    let corpus = with_mine("picture_3.json");
    let explain = |weights: &[(&str, &str)], out: &[&str]| {
        let mut command = corpus.command("explain", weights);
        command.args(["photos/a/picture_3.png", "--cam", "grad-cam", "--out"]).args(out);
        command
    };
    refused(
        &mut explain(&NO_MODELS, &["mine"]),
        &["mine holds files", "picture_3.json", "--overwrite"],
    );
    assert_eq!(content(&corpus, "mine/picture_3.json"), MINE);
    refused(&mut explain(&NO_MODELS, &["new/mine"]), &["nowhere"]);
    assert!(!corpus.path("new").exists());
    ends(&mut explain(&[], &["mine", "--overwrite"]), 0);
    assert!(content(&corpus, "mine/picture_3.json").contains("probabilities"));
    for _ in 0..2 {
        ends(&mut explain(&[], &["new/mine"]), 0);
    }
}

#[test]
fn world_never_draws_over_photos() {
    let corpus = with_mine("scene-00000.png");
    let world = |arguments: &[&str]| {
        let mut command = at(&corpus, &["world", "--scenes", "1"]);
        command.args(arguments);
        command
    };
    refused(
        &mut world(&["--out", "mine"]),
        &["mine holds files", "scene-00000.png", "--overwrite"],
    );
    refused(&mut world(&["--out", "drawn", "--objects", "mine"]), &["mine holds files"]);
    assert_eq!(content(&corpus, "mine/scene-00000.png"), MINE);
    assert!(!corpus.path("drawn").exists());
    for _ in 0..2 {
        ends(&mut world(&["--out", "drawn", "--objects", "alone"]), 0);
    }
    // What is drawn are photos to the other commands.
    let mut analyze = corpus.networks();
    ends(analyze.args(["drawn", "--out", "run"]), 0);
    assert_eq!(corpus.run("run").table("images.csv").rows.len(), 1);
    ends(&mut world(&["--out", "mine", "--overwrite"]), 0);
    assert_ne!(content(&corpus, "mine/scene-00000.png"), MINE);
}

#[test]
fn paste_find_and_validate_ask_before_models_are_loaded() {
    let corpus = with_mine("find.csv");
    let find = |weights: &str, out: &[&str]| {
        let mut command = at(
            &corpus,
            &["paste", "--find", "photos/a/picture_3.png", "--device", "cpu", "--object"],
        );
        command
            .arg(ball())
            .args(["--grid", "2x2", "--scales", "0.2", "--emotion-weights", weights, "--out"])
            .args(out);
        command
    };
    let narrow = reference("emonet/narrow_ecco.pt");
    let narrow = narrow.to_str().unwrap();
    refused(&mut find("nowhere.pth", &["mine"]), &["mine holds files", "find.csv", "--overwrite"]);
    assert_eq!(content(&corpus, "mine/find.csv"), MINE);
    ends(&mut find(narrow, &["mine", "--overwrite"]), 0);
    assert!(content(&corpus, "mine/find.csv").starts_with("object,"));
    for _ in 0..2 {
        ends(&mut find(narrow, &["found"]), 0);
    }
    corpus.write("mine/validity.csv", MINE);
    let validate = at(&corpus, &["validate", "--scenes", "2", "--device", "cpu", "--out", "mine"]);
    refused(&mut { validate }, &["mine holds files", "--overwrite"]);
    assert_eq!(content(&corpus, "mine/validity.csv"), MINE);
    let ball = ball();
    let paste = ["paste", "photos", "--object", ball.to_str().unwrap(), "--overwrite"];
    refused(&mut at(&corpus, &paste), &["--overwrite belongs to --find"]);
}

#[test]
fn what_asks_a_run_asks_before_it_replaces_a_file_and_not_for_its_own() {
    let corpus = Corpus::small();
    ends(corpus.networks().args(["photos", "--out", "run", "--cam", "grad-cam,layer-cam"]), 0);
    let commands: [(&[&str], &str); 4] = [
        (&["associate", "run"], "nested.csv"),
        (&["rsa", "run", "--resamples", "100", "--permutations", "100"], "spearman.csv"),
        (&["report", "run", "--examples", "0"], "index.html"),
        (
            &["compare", "run", "run", "--cam", "grad-cam,layer-cam", "--resamples", "100"],
            "differences.csv",
        ),
    ];
    for (arguments, name) in commands {
        let subcommand = arguments[0];
        let folder = format!("mine-{subcommand}");
        corpus.write(&format!("{folder}/{name}"), MINE);
        let with = |out: &[&str]| at(&corpus, &[arguments, &["--out"], out].concat());
        refused(&mut with(&[&folder]), &[&format!("{folder} holds files"), name, "--overwrite"]);
        assert_eq!(content(&corpus, &format!("{folder}/{name}")), MINE, "{subcommand}");
        assert_eq!(common::corpus::files_below(&corpus.path(&folder)), [name], "{subcommand}");
        ends(&mut with(&[&folder, "--overwrite"]), 0);
        assert!(common::corpus::files_below(&corpus.path(&folder)).len() > 1, "{subcommand}");
        for _ in 0..2 {
            ends(&mut with(&[&format!("own-{subcommand}")]), 0);
        }
    }
    // Into the run, which is emocam's, and its own folders.
    for arguments in [
        &["associate", "run"] as &[&str],
        &["rsa", "run", "--resamples", "100"],
        &["report", "run"],
    ] {
        for _ in 0..2 {
            ends(&mut at(&corpus, arguments), 0);
        }
    }
}

#[test]
fn single_files_are_not_replaced() {
    let corpus = with_mine("weights.safetensors");
    ends(&mut corpus.analyze("run"), 0);
    let export = |out: &[&str]| {
        at(&corpus, &[&["export", "run", "--format", "long"] as &[&str], out].concat())
    };
    for _ in 0..2 {
        ends(&mut export(&[]), 0);
    }
    corpus.write("mine/long.csv", MINE);
    refused(
        &mut export(&["--out", "mine/long.csv"]),
        &["long.csv is there already", "--overwrite"],
    );
    assert_eq!(content(&corpus, "mine/long.csv"), MINE);
    ends(&mut export(&["--out", "mine/long.csv", "--overwrite"]), 0);
    assert_ne!(content(&corpus, "mine/long.csv"), MINE);

    let narrow = reference("emonet/narrow_ecco.pt");
    let import = |checkpoint: &str, out: &[&str]| {
        at(&corpus, &[&["models", "import", checkpoint] as &[&str], out].concat())
    };
    let out = ["--out", "mine/weights.safetensors"];
    refused(
        &mut import("nowhere.pth", &out),
        &["weights.safetensors is there already", "--overwrite"],
    );
    assert_eq!(content(&corpus, "mine/weights.safetensors"), MINE);
    let narrow = narrow.to_str().unwrap();
    refused(&mut import(narrow, &out), &["is there already"]);
    ends(&mut import(narrow, &[&out as &[&str], &["--overwrite"]].concat()), 0);
    assert_ne!(content(&corpus, "mine/weights.safetensors"), MINE);
    // The default name of what is safetensors already is the file itself.
    let before = fs::read(corpus.path("mine/weights.safetensors")).unwrap();
    refused(&mut import("mine/weights.safetensors", &[]), &["is there already"]);
    assert!(fs::read(corpus.path("mine/weights.safetensors")).unwrap() == before);
    corpus.write("mine/tiny.weights", MINE);
    let cfg = reference("darknet/tiny.cfg");
    let mut synthesize =
        at(&corpus, &["models", "synthesize", cfg.to_str().unwrap(), "--out", "mine/tiny.weights"]);
    refused(&mut synthesize, &["tiny.weights exists already"]);
    assert_eq!(content(&corpus, "mine/tiny.weights"), MINE);
    // A file under a published name that is not the published one.
    corpus.write("models/yolov3-openimages.weights", MINE);
    let fetch = |flags: &[&str]| {
        let mut command =
            at(&corpus, &["models", "fetch", "yolov3-openimages", "--models", "models"]);
        command.args(flags).env("HTTPS_PROXY", "http://127.0.0.1:9").env_remove("NO_PROXY");
        command
    };
    refused(
        &mut fetch(&[]),
        &["yolov3-openimages.weights: is there already", "259229388 bytes", "--overwrite"],
    );
    refused(&mut fetch(&["--overwrite"]), &["could not be downloaded"]);
    assert_eq!(content(&corpus, "models/yolov3-openimages.weights"), MINE);
}

/// A report clears up after an earlier one, in its own folder alone.
#[test]
fn a_report_in_a_folder_of_the_users_leaves_the_users_photos() {
    let corpus = Corpus::small();
    ends(&mut corpus.analyze("run"), 0);
    corpus.write("site/photos/holiday.jpg", MINE);
    for _ in 0..2 {
        ends(
            &mut at(&corpus, &["report", "run", "--examples", "0", "--out", "site", "--overwrite"]),
            0,
        );
    }
    assert_eq!(content(&corpus, "site/photos/holiday.jpg"), MINE);
    corpus.write("site/index.html", MINE);
    ends(
        &mut at(&corpus, &["report", "run", "--examples", "0", "--out", "site", "--overwrite"]),
        0,
    );
    assert!(content(&corpus, "site/index.html").contains("<html"));
}
