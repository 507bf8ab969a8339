//! `emocam explain`: figures, numbers and maps of single photos are those of a run over them.

use crate::common::corpus::{Corpus, ends, files_below, refused};
use serde_json::Value;
use std::path::Path;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The boxes of a method in the order of the record, with their scores: [class, confidence, box,
/// mean, max, mass, contrast, z, lift].
fn boxes(method: &Value) -> Vec<Value> {
    let mut boxes = method["boxes"].as_array().unwrap().clone();
    boxes.sort_by_key(|of| of["index"].as_u64().unwrap());
    let keys = ["class", "confidence", "box", "mean", "max", "mass", "contrast", "z", "lift"];
    boxes.iter().map(|of| keys.iter().map(|key| of[*key].clone()).collect()).collect()
}

#[test]
fn the_numbers_are_those_of_a_run() {
    const CLASSES: [&str; 4] = ["Cat", "Owl", "\"Big\", bad dog", "Tin"];
    let corpus = Corpus::small();
    // A seed of its own, and a batch that does not divide the number of photos.
    let settings = ["--cam", "paper", "--batch", "2", "--seed", "7"];
    ends(corpus.analyze("run").args(settings), 0);
    let said = ends(corpus.explain().arg("photos").args(settings), 0);
    let records = std::fs::read_to_string(corpus.path("run/records.jsonl")).unwrap();
    let images = corpus.run("run").table("images.csv");
    assert_eq!(images.rows.len(), 15);
    let mut compared = 0;
    for (record, row) in
        records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).zip(&images.rows)
    {
        let path = record["path"].as_str().unwrap();
        let of = json(
            &corpus
                .path(&format!("explained/{}", Path::new(path).with_extension("json").display())),
        );
        for key in ["path", "width", "height", "valence", "arousal"] {
            assert_eq!(of[key], record[key], "{path}");
        }
        let probabilities = of["probabilities"].as_object().unwrap();
        assert_eq!(probabilities.keys().collect::<Vec<_>>().len(), 20);
        let values: Vec<&Value> =
            images.header[5..25].iter().map(|label| &probabilities[label]).collect();
        assert_eq!(values, record["probabilities"].as_array().unwrap().iter().collect::<Vec<_>>());
        assert_eq!(of["predicted"]["label"], row[3].as_str());
        assert_eq!(of["explained"], of["predicted"]);
        assert_eq!(of["detections"], record["boxes"].as_array().unwrap().len());
        let maps = record["maps"].as_array().unwrap();
        assert_eq!(maps.len(), 5);
        for (map, method) in maps.iter().zip(of["methods"].as_array().unwrap()) {
            for key in ["method", "flat", "mean"] {
                assert_eq!(method[key], map[key], "{path}");
            }
            let expected =
                record["boxes"].as_array().unwrap().iter().zip(map["scores"].as_array().unwrap());
            let expected: Vec<Value> = expected
                .map(|(of, scores)| {
                    let class = CLASSES[of["class"].as_u64().unwrap() as usize].into();
                    let scores = scores.as_array().unwrap().iter().cloned();
                    [class, of["confidence"].clone(), of["box"].clone()]
                        .into_iter()
                        .chain(scores)
                        .collect()
                })
                .collect();
            assert_eq!(boxes(method), expected, "{path}");
            let ranked: Vec<f64> = method["boxes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|of| of["mean"].as_f64().unwrap())
                .collect();
            assert!(ranked.is_sorted_by(|a, b| a >= b), "{ranked:?}");
            let counts = method["boxes"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|of| of["counts"] == true)
                .count();
            assert_eq!(counts, ranked.iter().filter(|&&score| score as f32 > 0.3).count());
            compared += expected.len();
        }
        assert!(said.out.contains(&format!("{path}: {} ", row[3])), "{}", said.out);
    }
    assert!(compared > 500, "{compared}");
    // The configuration is the run's, the files of the models with their digests too.
    let manifest = corpus.run("run").manifest();
    let of = json(&corpus.path("explained/a/picture_0.json"));
    assert_eq!(
        (&of["configuration"], &of["models"]),
        (&manifest["configuration"], &manifest["models"])
    );
}

#[test]
fn a_photo_alone_has_the_numbers_it_has_among_others() {
    let corpus = Corpus::small();
    ends(corpus.explain().args(["photos", "--cam", "paper", "--out", "all", "--save-maps"]), 0);
    // LIME-CAM draws by the name in the corpus.
    let alone =
        ["photos/b/420.jpg", "--corpus", "photos", "--cam", "paper", "--out", "one", "--save-maps"];
    ends(corpus.explain().args(alone), 0);
    let mut files = files_below(&corpus.path("one"));
    assert_eq!(files, ["420.json", "420.png", "420.safetensors", "420.svg"]);
    files.retain(|name| name != "420.png");
    for name in files {
        let [alone, among] =
            ["one", "all/b"].map(|folder| corpus.path(&format!("{folder}/{name}")));
        assert!(std::fs::read(alone).unwrap() == std::fs::read(among).unwrap(), "{name}");
    }
}

#[test]
fn the_maps_are_those_of_a_run() {
    let corpus = Corpus::empty();
    corpus.add("x.png", "emonet/picture_3.png");
    let cam = ["--cam", "grad-cam,lift-cam", "--save-maps"];
    ends(corpus.analyze("run").args(cam), 0);
    ends(corpus.explain().arg("photos").args(cam), 0);
    let [run, explained] =
        ["run/maps/x.png.safetensors", "explained/x.safetensors"].map(|name| corpus.path(name));
    assert!(std::fs::read(run).unwrap() == std::fs::read(explained).unwrap());
}

#[test]
fn figures_can_be_read_and_photos_of_one_name_stay_apart() {
    let corpus = Corpus::empty();
    corpus.add("a/x.png", "emonet/picture_0.png");
    corpus.add("b/x.png", "emonet/picture_1.png");
    corpus.add("b/x.jpg", "pillow_resize/420.jpg");
    corpus.add("b/<&\" \u{e9}.png", "emonet/picture_2.png");
    let said = ends(corpus.explain().args(["photos/b", "photos/a/x.png", "photos/a/x.png"]), 0);
    let names = ["a/x", "b/<&\" \u{e9}", "b/x.jpg", "b/x.png"];
    let mut files: Vec<String> = names
        .iter()
        .flat_map(|name| ["json", "png", "svg"].map(|kind| format!("{name}.{kind}")))
        .collect();
    files.sort();
    assert_eq!(files_below(&corpus.path("explained")), files);
    // In the order of the names, whatever was done first.
    let written: Vec<&str> = said.err.lines().filter(|line| line.ends_with(".png")).collect();
    assert_eq!(written, names.map(|name| format!("explained/{name}.png")));
    for name in names {
        let figure = image::open(corpus.path(&format!("explained/{name}.png"))).unwrap();
        assert!(figure.width() > 1000 && figure.height() > 800, "{name}");
        let svg = std::fs::read_to_string(corpus.path(&format!("explained/{name}.svg"))).unwrap();
        assert!(!svg.contains("<text") && svg.matches("<image").count() == 12, "{name}");
        assert!(!svg.contains("<&"));
    }
    let figure = image::open(corpus.path("explained/a/x.png")).unwrap();
    let other = image::open(corpus.path("explained/b/x.png.png")).unwrap();
    assert!(figure != other);
}

#[test]
fn the_same_call_writes_the_same_bytes_and_does_not_explain_its_figures() {
    let corpus = Corpus::empty();
    corpus.add("x.png", "emonet/picture_0.png");
    corpus.add("y.jpg", "pillow_resize/420.jpg");
    let call = || {
        let methods = [".", "--cam", "grad-cam,lime-cam", "--threads", "2"];
        let said = ends(corpus.explain().args(methods), 0).out;
        // How sure an importance is stands behind it where it was drawn.
        for line in said.lines().filter(|line| line.contains("-cam ")) {
            assert_eq!(line.contains(" ± 0.0"), line.contains("lime-cam "), "{said}");
        }
        assert!(said.contains(" ± 0.0"), "{said}");
        files_below(&corpus.path("explained"))
            .into_iter()
            .map(|name| {
                (name.clone(), std::fs::read(corpus.path(&format!("explained/{name}"))).unwrap())
            })
            .collect::<Vec<_>>()
    };
    let (first, second) = (call(), call());
    assert_eq!(first.len(), 6);
    assert!(first == second);
    // Nor does a run over the same folder.
    ends(corpus.networks().args([".", "--out", "run"]), 0);
    assert_eq!(
        corpus.run("run").table("images.csv").column("path"),
        ["photos/x.png", "photos/y.jpg"]
    );
}

#[test]
fn what_cannot_be_read_is_said_and_the_others_go_on() {
    let corpus = Corpus::empty();
    corpus.add("ok.png", "emonet/picture_0.png");
    corpus.write("photos/broken.jpg", b"\xff\xd8\xff\xe0 no picture");
    corpus.write("photos/empty.png", b"");
    let said = ends(corpus.explain().args(["photos", "nowhere.jpg"]), 1);
    for phrase in [
        "failed: broken.jpg (decode): photos/broken.jpg: a JPEG that cannot be decoded",
        "failed: empty.png (decode): photos/empty.png: the file is empty",
        "failed: nowhere.jpg (find): cannot read nowhere.jpg: ",
    ] {
        assert!(said.err.contains(phrase), "no {phrase} in {}", said.err);
    }
    assert!(said.out.starts_with("ok.png: "), "{}", said.out);
    assert_eq!(files_below(&corpus.path("explained")), ["ok.json", "ok.png", "ok.svg"]);
    refused(
        corpus.explain().arg("nowhere.jpg"),
        &["no image to explain", "nowhere.jpg: cannot read"],
    );
}

#[test]
fn a_photo_is_not_replaced_by_its_figure() {
    let corpus = Corpus::empty();
    corpus.add("x.png", "emonet/picture_0.png");
    let before = std::fs::read(corpus.path("photos/x.png")).unwrap();
    refused(
        corpus.explain().args(["photos/x.png", "--out", "photos"]),
        &["photos/x.png is one of the photos", "--out"],
    );
    assert!(std::fs::read(corpus.path("photos/x.png")).unwrap() == before);
    assert_eq!(files_below(&corpus.path("photos")), ["notes.txt", "x.png"]);
}

#[test]
fn methods_come_from_flags_then_configuration_then_the_paper() {
    let corpus = Corpus::empty();
    corpus.add("x.png", "emonet/picture_0.png");
    corpus.write("mine.toml", "[cam]\nmethods = ['lrp-cam']\n");
    let methods = |flags: &[&str]| -> String {
        ends(corpus.explain().arg("photos").args(flags), 0);
        let methods = json(&corpus.path("explained/x.json"))["methods"].as_array().unwrap().clone();
        let name = |of: &Value| {
            format!("{} of {}", of["method"].as_str().unwrap(), of["score"].as_str().unwrap())
        };
        methods.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let paper = "grad-cam of probability, ablation-cam of probability, lime-cam of logit, lrp-cam \
                 of logit, lift-cam of logit";
    assert_eq!(methods(&[]), paper);
    assert_eq!(methods(&["--config", "mine.toml"]), "lrp-cam of logit");
    assert_eq!(
        methods(&["--config", "mine.toml", "--cam", "grad-cam", "--target", "logit"]),
        "grad-cam of logit"
    );
}

#[test]
fn without_detections_the_maps_are_shown_all_the_same() {
    let corpus = Corpus::empty();
    corpus.add("x.png", "emonet/picture_0.png");
    let said = ends(
        corpus.explain().args([
            "photos",
            "--confidence",
            "1",
            "--colours",
            "jet",
            "--cam",
            "grad-cam",
        ]),
        0,
    );
    assert!(said.out.contains("0 detections\n  grad-cam       no boxes\n"), "{}", said.out);
    let of = json(&corpus.path("explained/x.json"));
    assert_eq!(
        (&of["detections"], &of["methods"][0]["boxes"]),
        (&0.into(), &Value::Array(Vec::new()))
    );
    let svg = std::fs::read_to_string(corpus.path("explained/x.svg")).unwrap();
    assert!(svg.contains("no detections") && svg.matches("<image").count() == 2);
}

#[test]
fn a_chosen_class_is_explained_in_all_photos() {
    let corpus = Corpus::small();
    ends(
        corpus.explain().args([
            "photos/a",
            "--out",
            "out",
            "--class",
            "joy",
            "--cam",
            "grad-cam,shapley-cam",
        ]),
        0,
    );
    for at in 0..8 {
        let text = std::fs::read_to_string(corpus.path(&format!("out/picture_{at}.json"))).unwrap();
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(said["explained"]["label"], "Joy");
        assert_eq!(said["explained"]["probability"], said["probabilities"]["Joy"]);
    }
}
