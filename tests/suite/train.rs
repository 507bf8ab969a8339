//! `emocam train multi-gap` and `emocam classify` as people use them: data of every layout, kills,
//! full disks, settings that cannot be, and a trained network in the other commands.

use crate::common::corpus::{Corpus, emocam, ends, files_below, refused};
use crate::common::process::{Disk, finish, signal, start};
use emocam::random::Random;
use emocam::world::{Scene, Style, graph};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Networks so small that an epoch takes less than a second; never square.
const RECIPE: &str = "
[network]
input = [32, 40]
[stream.object]
backbone = 'mobilenet_v2'
width = 0.05
[stream.places]
backbone = 'vgg16'
width = 0.05
units = 3
[split]
test = 0.3
validation = 0.2
[drawn]
train = 60
validation = 8
test = 10
[training]
epochs = 5
batch = 8
[heads]
epochs = 2
batch = 8
[study]
variants = 'heads'
";

/// A folder with the recipe and 30 scenes in folders of three labels.
fn corpus() -> Corpus {
    let corpus = Corpus::empty();
    corpus.write("recipe.toml", RECIPE);
    for number in 0..30 {
        let scene = Scene::draw(graph(), 5, number, Style::Standard).render();
        let size = scene.size();
        let pixels =
            image::RgbImage::from_raw(size.width, size.height, scene.data().to_vec()).unwrap();
        let folder = corpus.path("data").join(["calm", "glad", "sad"][number as usize % 3]);
        fs::create_dir_all(&folder).unwrap();
        pixels.save(folder.join(format!("{number:02}.png"))).unwrap();
    }
    corpus
}

fn train(corpus: &Corpus, data: &str, out: &str) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["train", "multi-gap", data, "--out", out]);
    command.args(["--recipe", "recipe.toml", "--device", "cpu"]);
    command
}

fn bytes(corpus: &Corpus, name: &str) -> Vec<u8> {
    fs::read(corpus.path(name)).unwrap()
}

#[test]
fn a_training_killed_five_times_ends_in_the_same_bytes() {
    let corpus = corpus();
    let clock = std::time::Instant::now();
    ends(&mut train(&corpus, "drawn", "whole"), 0);
    let whole = clock.elapsed();
    let mut random = Random::new(7, std::process::id().into());
    for _ in 0..5 {
        let mut child = start(train(&corpus, "drawn", "killed").arg("--resume"));
        std::thread::sleep(whole.mul_f64(random.uniform(0.1, 0.6)));
        if child.try_wait().unwrap().is_none() {
            signal(&child, "-KILL");
        }
        finish(child);
    }
    ends(train(&corpus, "drawn", "killed").arg("--resume"), 0);
    for file in [
        "model.safetensors",
        "model.toml",
        "log.csv",
        "predictions.csv",
        "confusion.csv",
        "curves.svg",
    ] {
        assert_eq!(
            bytes(&corpus, &format!("whole/{file}")),
            bytes(&corpus, &format!("killed/{file}")),
            "{file}"
        );
    }
    assert_eq!(files_below(&corpus.path("whole")), files_below(&corpus.path("killed")));
    // What is done is done: a further call only reads.
    let said = ends(train(&corpus, "drawn", "killed").arg("--resume"), 0);
    assert!(said.out.contains("accuracy") && !said.err.contains("steps"), "{}", said.err);
}

#[test]
fn a_stopped_training_says_how_to_go_on() {
    let corpus = corpus();
    let mut command = train(&corpus, "drawn", "run");
    let child = start(&mut command);
    std::thread::sleep(Duration::from_millis(700));
    signal(&child, "-INT");
    let (status, said) = finish(child);
    assert!(
        status == Some(130) && said.contains("--resume") || status == Some(0),
        "{status:?} {said}"
    );
}

#[test]
fn faces_and_the_emotions_of_any_graph_are_learnt() {
    let corpus = corpus();
    let four = format!("drawn={}/configs/graphs/four-emotions.toml", env!("CARGO_MANIFEST_DIR"));
    let lessons = [
        ("drawn-faces", "faces", "happy,sad,angry,disgusted,neutral"),
        (&four, "four", "happy,sad,hate,anger"),
    ];
    for (word, out, labels) in lessons {
        ends(&mut train(&corpus, word, out), 0);
        let card: toml::Table =
            toml::from_str(&fs::read_to_string(corpus.path(out).join("model.toml")).unwrap())
                .unwrap();
        let found: Vec<&str> = card["labels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|label| label.as_str().unwrap())
            .collect();
        assert_eq!(found.join(","), labels);
    }
    refused(&mut train(&corpus, "drawn=nowhere.toml", "none"), &["nowhere.toml"]);
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([
        "world",
        "--scenes",
        "2",
        "--out",
        "faces",
        "--graph",
        "recipe.toml",
    ]);
    refused(
        &mut command,
        &["recipe.toml: not a causal graph", "unknown field", "expected one of `labels`"],
    );
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([
        "validate",
        "--scenes",
        "3",
        "--resamples",
        "5",
        "--cam",
        "grad-cam",
    ]);
    command.args([
        "--device",
        "cpu",
        "--emotion-weights",
        "four/model.safetensors",
        "--graph",
        &four["drawn=".len()..],
    ]);
    let said = ends(&mut command, 0);
    assert!(said.out.starts_with("3 scenes: "), "{}", said.out);
}

#[test]
fn all_layouts_of_labels_are_read_and_broken_pictures_are_rows() {
    let corpus = corpus();
    corpus.write("data/sad/broken.png", "no picture");
    ends(&mut train(&corpus, "data", "folders"), 1);
    let table = bytes(&corpus, "folders/failures.csv");
    let failures = String::from_utf8(table).unwrap();
    assert!(failures.contains("sad/broken.png,decode"), "{failures}");
    let log = String::from_utf8(bytes(&corpus, "folders/log.csv")).unwrap();
    assert_eq!(log.lines().count(), 6);

    // The same pictures by their names, and by a table.
    let mut table = String::from("path,label\n");
    for label in ["calm", "glad", "sad"] {
        for file in files_below(&corpus.path("data").join(label)) {
            if file != "broken.png" {
                fs::create_dir_all(corpus.path("names")).unwrap();
                let name = corpus.path("names").join(format!("{label}_{file}"));
                fs::copy(corpus.path("data").join(label).join(&file), name).unwrap();
                table.push_str(&format!("data/{label}/{file},{label}\n"));
            }
        }
    }
    ends(&mut train(&corpus, "names", "by-name"), 0);
    corpus.write("labels.csv", &table);
    ends(&mut train(&corpus, "labels.csv", "by-table"), 0);
    let card = String::from_utf8(bytes(&corpus, "by-table/model.toml")).unwrap();
    assert!(card.contains(r#"labels = ["calm", "glad", "sad"]"#), "{card}");

    corpus.write("twice.csv", table + "data/calm/00.png,sad\n");
    refused(&mut train(&corpus, "twice.csv", "no"), &["twice.csv", "data/calm/00.png twice"]);
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let corpus = corpus();
    let with = |more: &str| corpus.write("recipe.toml", format!("{RECIPE}{more}"));
    with("[data]\nlabels = ['calm', 'glad', 'proud', 'sad']\n");
    refused(&mut train(&corpus, "data", "no1"), &["`proud` has no picture"]);
    with("[data]\nlabels = ['calm', 'glad']\n");
    refused(&mut train(&corpus, "data", "no2"), &["`sad` is none of the network's"]);
    corpus.write("empty/readme.txt", "no pictures");
    with("");
    refused(
        &mut train(&corpus, "empty", "no3"),
        &["no labelled picture", "a folder for each label"],
    );
    for (name, lines) in
        [("train", "calm/00.png\nglad/01.png\nsad/02.png\n"), ("test", "calm/03.png\n")]
    {
        corpus.write(&format!("splits/{name}.txt"), lines);
    }
    corpus.write("splits/validation.txt", "calm/06.png\ncalm/00.png\n");
    corpus.write("recipe.toml", RECIPE.replace("[split]", "[split]\nfiles = 'splits'"));
    refused(&mut train(&corpus, "data", "no4"), &["validation.txt, line 2", "train.txt already"]);
    corpus.write(
        "recipe.toml",
        RECIPE.replace("'mobilenet_v2'", "'mobilenet_v2'\nweights = 'recipe.toml'"),
    );
    refused(&mut train(&corpus, "data", "no5"), &["recipe.toml", "expected weights"]);
    corpus.write(
        "recipe.toml",
        RECIPE.replace("[training]", "[training]\noptimiser='sgd'\nrate=1e6\nlargest_norm=0"),
    );
    refused(&mut train(&corpus, "data", "no6"), &["the loss is", "lower rate"]);
    assert!(!corpus.path("no6/model.safetensors").exists());
}

#[test]
fn a_folder_is_gone_on_with_by_the_same_recipe_and_data_alone() {
    let corpus = corpus();
    ends(&mut train(&corpus, "data", "run"), 0);
    refused(&mut train(&corpus, "data", "run"), &["holds a training already", "--resume"]);
    refused(train(&corpus, "drawn", "run").arg("--resume"), &["other settings or other data"]);
    corpus.write("recipe.toml", RECIPE.replace("epochs = 5", "epochs = 6"));
    refused(train(&corpus, "data", "run").arg("--resume"), &["another recipe"]);
    corpus.write("recipe.toml", RECIPE);
    fs::remove_file(corpus.path("run/result.json")).unwrap();
    fs::remove_file(corpus.path("data/sad/02.png")).unwrap();
    refused(
        train(&corpus, "data", "run").arg("--resume"),
        &["other settings or other data", "another folder"],
    );
}

#[test]
fn a_full_disk_ends_a_training_and_it_goes_on_when_there_is_room() {
    let corpus = corpus();
    ends(&mut train(&corpus, "drawn", "whole"), 0);
    let size = fs::metadata(corpus.path("whole/checkpoint.safetensors")).unwrap().len() / 1024;
    let folder = corpus.path("disk");
    let Some(disk) = Disk::mount(&folder, size / 2) else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    refused(
        &mut train(&corpus, "drawn", "disk/run"),
        &["checkpoint.safetensors", "No space left on device"],
    );
    disk.resize(8 * size + 4096);
    ends(train(&corpus, "drawn", "disk/run").arg("--resume"), 0);
    assert_eq!(
        bytes(&corpus, "whole/model.safetensors"),
        bytes(&corpus, "disk/run/model.safetensors")
    );
    drop(disk);
}

#[test]
fn a_trained_network_is_explained_by_stream_and_classified() {
    let corpus = corpus();
    ends(train(&corpus, "drawn", "study").args(["--study", "table1"]), 0);
    let table = String::from_utf8(bytes(&corpus, "study/table1.csv")).unwrap();
    assert_eq!(table.lines().count(), 11, "{table}");
    let weights = "study/early-fusion/model.safetensors";
    let mut lines = String::new();
    for file in files_below(&corpus.path("data")) {
        let line = serde_json::json!({"file": file, "label": "Thing", "score": 0.9, "box": [10.0, 20.0, 150.0, 120.0]});
        lines.push_str(&format!("{line}\n"));
    }
    corpus.write("regions.jsonl", lines);
    let with = |command: &str, input: &str, more: &[&str]| {
        let mut made = emocam();
        made.current_dir(corpus.path("")).args([
            command,
            input,
            "--emotion-weights",
            weights,
            "--device",
            "cpu",
        ]);
        made.args(more);
        made
    };
    let regions = ["--regions", "regions.jsonl", "--stream", "all", "--cam", "grad-cam,xgrad-cam"];
    ends(&mut with("analyze", "data", &[&regions[..], &["--out", "run"]].concat()), 0);
    for stream in ["object", "places"] {
        assert!(corpus.path(&format!("run/grad-cam@{stream}/association.csv")).is_file());
    }
    let objects = String::from_utf8(bytes(&corpus, "run/objects.csv")).unwrap();
    assert!(
        objects.contains("grad-cam@object,xgrad-cam@object,grad-cam@places,xgrad-cam@places"),
        "{objects}"
    );

    // One stream alone gives the numbers it gives beside the other.
    let alone = [
        "--regions",
        "regions.jsonl",
        "--stream",
        "places",
        "--cam",
        "xgrad-cam",
        "--out",
        "places",
    ];
    ends(&mut with("analyze", "data", &alone), 0);
    let association = |run: &str| bytes(&corpus, &format!("{run}/association.csv"));
    assert_eq!(association("places/xgrad-cam"), association("run/xgrad-cam@places"));

    ends(&mut with("explain", "data/sad/02.png", &regions), 0);
    let explained = String::from_utf8(bytes(&corpus, "explained/02.json")).unwrap();
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    let streams: Vec<&str> = explained["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["stream"].as_str().unwrap())
        .collect();
    assert_eq!(
        (streams, explained["methods"].as_array().unwrap().len()),
        (vec!["object", "places", "anp"], 4)
    );

    ends(&mut with("classify", "data", &["--out", "answers"]), 0);
    corpus.write("truth.csv", "path,label\ncalm/00.png,Joy\nglad/01.png,Fear\n");
    let said =
        ends(&mut with("classify", "data", &["--labels", "truth.csv", "--out", "judged"]), 0);
    assert!(
        said.out.contains("of 2\n") && said.out.contains("28 images have no label"),
        "{}",
        said.out
    );
    assert_eq!(
        bytes(&corpus, "answers/records.jsonl"),
        bytes(&corpus, "judged/records.jsonl"),
        "labels do not change answers"
    );

    let sky = ["--regions", "regions.jsonl", "--stream", "sky", "--out", "no"];
    refused(&mut with("analyze", "data", &sky), &["no stream `sky`", "object, places"]);
    let wrong = ["--regions", "regions.jsonl", "--cam", "lrp-cam", "--out", "no"];
    refused(&mut with("analyze", "data", &wrong), &["lrp-cam"]);
}
