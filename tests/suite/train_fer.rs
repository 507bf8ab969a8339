//! `emocam train fer` and `emocam train adapt` as people use them: kills, full disks, data that
//! cannot be, folds, and trained networks in the other commands.

use crate::common::corpus::{Corpus, emocam, ends, files_below, refused};
use crate::common::process::{Disk, finish, signal, start};
use emocam::random::Random;
use emocam::world::{Scene, Style, graph};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Networks so small that an epoch takes less than a second; never square.
const FER: &str = "
[network]
width = 0.05
units = 12
input = [32, 64]
channels = 'rgb'
[drawn]
train = 48
validation = 8
test = 10
[training]
epochs = 3
batch = 8
";

const ADAPT: &str = "
[source.drawn]
train = 40
validation = 8
test = 10
[target.drawn]
train = 32
validation = 8
test = 10
[training]
epochs = 4
batch = 8
[study]
labelled = [6]
repeats = 2
";

fn configs(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name).to_string_lossy().into_owned()
}

fn corpus() -> Corpus {
    let corpus = Corpus::empty();
    corpus.write("fer.toml", FER);
    corpus.write("adapt.toml", ADAPT);
    corpus
}

fn fer(corpus: &Corpus, data: &str, out: &str) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["train", "fer", data, "--out", out]);
    command.args(["--recipe", "fer.toml", "--device", "cpu"]);
    command
}

fn adapt(corpus: &Corpus, out: &str) -> Command {
    let target = format!("drawn={}", configs("graphs/four-emotions.toml"));
    adapt_to(corpus, out, &target, &configs("expressions-to-emotions.toml"))
}

fn adapt_to(corpus: &Corpus, out: &str, target: &str, map: &str) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([
        "train",
        "adapt",
        "--from",
        "faces/model.safetensors",
        "--out",
        out,
    ]);
    command.args(["--source", "drawn-faces", "--recipe", "adapt.toml", "--device", "cpu"]);
    command.args(["--target", target, "--label-map", map]);
    command
}

fn bytes(corpus: &Corpus, name: &str) -> Vec<u8> {
    fs::read(corpus.path(name)).unwrap()
}

fn text(corpus: &Corpus, name: &str) -> String {
    String::from_utf8(bytes(corpus, name)).unwrap()
}

/// Writes a scene of the drawn world.
fn save(corpus: &Corpus, number: u64, name: &str) {
    let scene = Scene::draw(graph(), 5, number, Style::Standard).render();
    let size = scene.size();
    let pixels = image::RgbImage::from_raw(size.width, size.height, scene.data().to_vec()).unwrap();
    pixels.save(corpus.path(name)).unwrap();
}

/// Files that a training leaves, killed or not.
const FILES: [&str; 5] =
    ["model.safetensors", "model.toml", "log.csv", "predictions.csv", "curves.svg"];

/// Kills a training at five random moments and lets it end.
fn killed(corpus: &Corpus, make: &dyn Fn(&str) -> Command) {
    let clock = std::time::Instant::now();
    ends(&mut make("whole"), 0);
    let whole = clock.elapsed();
    let mut random = Random::new(9, std::process::id().into());
    for _ in 0..5 {
        let mut child = start(make("killed").arg("--resume"));
        std::thread::sleep(whole.mul_f64(random.uniform(0.1, 0.6)));
        if child.try_wait().unwrap().is_none() {
            signal(&child, "-KILL");
        }
        finish(child);
    }
    ends(make("killed").arg("--resume"), 0);
    for file in FILES {
        assert_eq!(
            bytes(corpus, &format!("whole/{file}")),
            bytes(corpus, &format!("killed/{file}")),
            "{file}"
        );
    }
    assert_eq!(files_below(&corpus.path("whole")), files_below(&corpus.path("killed")));
}

#[test]
fn a_training_killed_five_times_ends_in_the_same_bytes() {
    let corpus = corpus();
    killed(&corpus, &|out| fer(&corpus, "drawn-faces", out));
}

#[test]
fn an_adaptation_killed_five_times_ends_in_the_same_bytes_and_logs_both_losses() {
    let corpus = corpus();
    ends(&mut fer(&corpus, "drawn-faces", "faces"), 0);
    killed(&corpus, &|out| {
        let mut command = adapt(&corpus, out);
        command.args(["--labelled", "8"]);
        command
    });
    let log = text(&corpus, "whole/log.csv");
    assert!(
        log.starts_with("epoch,rate,training_loss,training_accuracy,validation_loss,validation_accuracy,discrepancy\n")
    );
    assert!(log.lines().skip(1).all(|line| line.split(',').all(|cell| !cell.is_empty())), "{log}");
    let result: serde_json::Value =
        serde_json::from_slice(&bytes(&corpus, "whole/result.json")).unwrap();
    let layers: Vec<&str> = result["after"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["layer"].as_str().unwrap())
        .collect();
    assert_eq!((layers, result["labelled"].as_u64()), (vec!["sum", "hidden1", "hidden2"], Some(8)));
}

#[test]
fn an_adapted_network_is_explained_like_any_other() {
    let corpus = corpus();
    ends(&mut fer(&corpus, "drawn-faces", "faces"), 0);
    ends(&mut adapt(&corpus, "adapted"), 0);
    let said = ends(
        emocam().current_dir(corpus.path("")).args([
            "models",
            "check",
            "adapted/model.safetensors",
        ]),
        0,
    );
    assert!(
        said.out.contains("facial expressions") && said.out.contains("happy, sad, hate, anger"),
        "{}",
        said.out
    );
    for number in 0..3 {
        save(&corpus, number, &format!("photo-{number}.png"));
    }
    let line = |number: usize| {
        format!(
            "{{\"file\": \"photo-{number}.png\", \"label\": \"Thing\", \"score\": 0.9, \"box\": \
             [10, 20, 150, 120]}}\n"
        )
    };
    corpus.write("regions.jsonl", (0..3).map(line).collect::<String>());
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([
        "analyze",
        "photo-0.png",
        "photo-1.png",
        "--device",
        "cpu",
    ]);
    command.args(["--emotion-weights", "adapted/model.safetensors", "--regions", "regions.jsonl"]);
    command.args(["--cam", "grad-cam", "--stream", "all", "--out", "run"]);
    ends(&mut command, 0);
    let record = text(&corpus, "run/records.jsonl");
    assert!(record.contains("grad-cam@b5") && record.contains("grad-cam@sum"), "{record}");
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([
        "explain",
        "photo-2.png",
        "--device",
        "cpu",
        "--out",
        "shown",
    ]);
    command.args(["--emotion-weights", "adapted/model.safetensors", "--regions", "regions.jsonl"]);
    command.args(["--cam", "dnc-shap", "--at-layer", "b3", "--evaluations", "20"]);
    ends(&mut command, 0);
    let lrp = emocam()
        .current_dir(corpus.path(""))
        .args([
            "analyze",
            "photo-0.png",
            "--regions",
            "regions.jsonl",
            "--device",
            "cpu",
            "--cam",
            "lrp-cam",
        ])
        .args(["--emotion-weights", "adapted/model.safetensors", "--out", "no"])
        .output()
        .unwrap();
    assert_eq!(lrp.status.code(), Some(2));
    let message = String::from_utf8(lrp.stderr).unwrap();
    assert!(message.contains("lrp-cam") && message.contains("grad-cam"), "{message}");
}

#[test]
fn folds_and_the_study_have_their_tables() {
    let corpus = corpus();
    for number in 0..30 {
        let label = ["calm", "glad", "sad"][number as usize % 3];
        fs::create_dir_all(corpus.path("data").join(label)).unwrap();
        save(&corpus, number, &format!("data/{label}/{number:02}.png"));
    }
    let broken = corpus.path("data/sad/broken.png");
    fs::write(&broken, "no picture").unwrap();
    let said = ends(fer(&corpus, "data", "folds").args(["--folds", "3"]), 1);
    assert!(said.out.contains("fold-3") && said.out.contains("mean"), "{}", said.out);
    assert!(said.err.contains("1 failed in all; see folds/fold-1/failures.csv"), "{}", said.err);
    fs::remove_file(broken).unwrap();
    assert_eq!(text(&corpus, "folds/folds.csv").lines().count(), 5);

    ends(&mut fer(&corpus, "drawn-faces", "faces"), 0);
    let said = ends(adapt(&corpus, "study").arg("--study"), 0);
    assert!(said.out.contains("against labels alone"), "{}", said.out);
    let table = text(&corpus, "study/adaptation.csv");
    let ways: Vec<&str> =
        table.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(ways, ["as-it-is", "none", "mmd"]);
    assert!(
        corpus.path("study/adaptation.png").exists()
            && corpus.path("study/mmd-6-seed-2/model.safetensors").exists()
    );

    // Other emotions begin with a new last layer, and go on without a discrepancy.
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([
        "train",
        "fer",
        "--from",
        "faces/model.safetensors",
        "--out",
        "on",
    ]);
    command.args(["--on", "data", "--recipe", "fer.toml", "--device", "cpu"]);
    ends(&mut command, 0);
    assert!(text(&corpus, "on/model.toml").contains("glad"));
}

#[test]
fn what_cannot_be_is_said_before_anything_is_trained() {
    let corpus = corpus();
    corpus.write("bad.toml", FER.replace("[32, 64]", "[33, 64]"));
    corpus.write(
        "map.toml",
        "[labels]\nhappy = \"glee\"\nsad = \"\"\nangry = \"\"\ndisgusted = \"\"\nneutral = \"\"\n",
    );
    corpus.write("wild.toml", format!("{FER}rate = 1e6\nlargest_norm = 0.0\n"));
    fs::create_dir_all(corpus.path("empty/label")).unwrap();
    fs::write(corpus.path("empty/label/none.txt"), "").unwrap();
    ends(&mut fer(&corpus, "drawn-faces", "faces"), 0);
    let with = |recipe: &str, data: &str, out: &str| {
        let mut command = emocam();
        command.current_dir(corpus.path("")).args(["train", "fer", data, "--out", out]);
        command.args(["--recipe", recipe, "--device", "cpu"]);
        command
    };
    refused(&mut with("bad.toml", "drawn-faces", "x"), &["multiples of 32"]);
    refused(&mut with("fer.toml", "empty", "y"), &["empty"]);
    refused(with("fer.toml", "drawn-faces", "z").args(["--folds", "3"]), &["--folds"]);
    let adapted = |out: &str, target: &str, map: &str, more: &[&str]| {
        let mut command = adapt_to(&corpus, out, target, map);
        command.args(more);
        command
    };
    let (graph, map) = (
        format!("drawn={}", configs("graphs/four-emotions.toml")),
        configs("expressions-to-emotions.toml"),
    );
    refused(&mut adapted("a", &graph, "map.toml", &[]), &["`glee`", "happy, sad, hate, anger"]);
    refused(&mut adapted("b", "empty", &map, &[]), &["--target", "empty"]);
    refused(&mut adapted("d", &graph, &map, &["--labelled", "some"]), &["all, none or a number"]);
    let said = ends(&mut adapted("c", &graph, &map, &["--labelled", "33"]), 2);
    assert!(said.err.contains("33") && said.err.contains("32"), "{}", said.err);
    let said = ends(&mut with("wild.toml", "drawn-faces", "wild"), 2);
    assert!(said.err.contains("lower rate"), "{}", said.err);
}

#[test]
fn a_full_disk_is_an_error_after_which_the_training_goes_on() {
    let corpus = corpus();
    let folder = corpus.path("disk");
    let Some(disk) = Disk::mount(&folder, 100) else {
        eprintln!("skipped: this user may not mount a small disk");
        return;
    };
    let said = ends(&mut fer(&corpus, "drawn-faces", "disk/run"), 2);
    assert!(said.err.contains("No space left"), "{}", said.err);
    disk.resize(64 << 10);
    ends(fer(&corpus, "drawn-faces", "disk/run").arg("--resume"), 0);
    ends(&mut fer(&corpus, "drawn-faces", "whole"), 0);
    for file in FILES {
        assert_eq!(
            bytes(&corpus, &format!("disk/run/{file}")),
            bytes(&corpus, &format!("whole/{file}")),
            "{file}"
        );
    }
}
