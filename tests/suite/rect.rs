//! `--rect`: the detector on canvases cut down to the picture, against OpenCV on the same ones
//! (scripts/reference/darknet_rect.py), and runs over pictures of many shapes.

use crate::common::corpus::{Corpus, Run, assert_same_tables, ends, refused};
use crate::common::{json, reference, tensors};
use emocam::image::{LetterboxFilter, Rgb8, Size};
use emocam::nn::Precision;
use emocam::nn::weights::darknet::DarknetWeights;
use emocam::regions::darknet::{
    Cfg, ClassScores, Darknet, DarknetNetwork, DarknetSettings, Thresholds,
};
use std::fs;
use tch::{Device, Kind, Tensor};

const NETWORKS: [&str; 7] = ["yolov3", "tiny", "spp", "v4", "v4tiny", "fastest", "tinyvariance"];

fn cfg(name: &str) -> Cfg {
    let path = reference(&format!("darknet/{name}.cfg"));
    Cfg::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap()
}

#[test]
fn strides_are_those_of_the_coarsest_layer() {
    let strides = NETWORKS.map(|name| cfg(name).stride());
    assert_eq!(strides, [Some(32), Some(32), Some(8), Some(32), Some(16), Some(16), Some(8)]);
    // Its layers' sides are no fixed shares of the input's.
    assert_eq!(cfg("swish").stride(), None);
    // A convolution without padding: 96 x 64 becomes 94 x 62.
    let path = reference("darknet/tinyvariance.cfg");
    let text = fs::read_to_string(&path).unwrap().replacen("pad=1", "pad=0", 1);
    assert_eq!(Cfg::parse(&text, &path).unwrap().stride(), None);
}

/// As in `tests/suite/darknet.rs`, on other canvases than the cfg's.
#[test]
fn raw_heads_on_rectangles_agree_with_opencv() {
    let expected = tensors("darknet_rect/raw.safetensors");
    for name in NETWORKS {
        let cfg = cfg(name);
        let path = reference(&format!("darknet/{name}.weights"));
        let weights = DarknetWeights::open(&path, cfg.parameter_count().unwrap()).unwrap();
        let network = DarknetNetwork::load(&cfg, weights, Device::Cpu, Precision::F32).unwrap();
        for canvas in ["96x32", "32x64"] {
            let (shape, bytes) = expected.bytes(&format!("{name}/{canvas}/input"));
            let nchw = Tensor::from_data_size(bytes, &shape, Kind::Uint8);
            let input =
                nchw.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]).to_kind(Kind::Float)
                    / 255.0;
            for (at, head) in network.forward(&input).unwrap().iter().enumerate() {
                let (shape, wanted) = expected.floats(&format!("{name}/{canvas}/raw_{at}"));
                assert_eq!(head.size(), shape, "{name} on {canvas}, head {at}");
                let found = Vec::<f32>::try_from(&head.contiguous().flatten(0, -1)).unwrap();
                let largest = wanted.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
                let error =
                    found.iter().zip(&wanted).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
                eprintln!("{name} on {canvas}, head {at}: {:.2e}", error / largest);
                assert!(
                    error / largest < 2.1e-5,
                    "{name} on {canvas}, head {at}: {error} of {largest}"
                );
            }
        }
    }
}

fn detector(thresholds: Thresholds) -> Darknet {
    let weights = reference("darknet/yolov3.weights");
    let settings = DarknetSettings {
        thresholds,
        precision: Precision::F32,
        rect: true,
        filter: LetterboxFilter::Bicubic,
        fill: 0,
    };
    let cfg = cfg("yolov3");
    let classes = (0..cfg.classes()).map(|class| format!("class {class}")).collect();
    Darknet::load(&cfg, &weights, classes, settings, Device::Cpu).unwrap()
}

/// Pictures of several sizes may share a call: each gets what it gets among its own kind.
#[test]
fn a_mixed_batch_is_its_parts() {
    let detector = detector(Thresholds {
        class_scores: ClassScores::Logistic,
        confidence: 0.3,
        nms_iou: 0.45,
    });
    let sizes = [(96, 64), (96, 32), (32, 64), (96, 32), (96, 64), (64, 64)];
    let picture = |(at, (width, height)): (usize, (u32, u32))| {
        let size = Size::new(width, height);
        let pixels =
            (0..3 * size.area()).map(|i| ((i * (at + 3) + i / 7 * 31) % 251) as u8).collect();
        Rgb8::new(size, pixels)
    };
    let pictures: Vec<Rgb8> = sizes.into_iter().enumerate().map(picture).collect();
    let mixed = detector.detect(&pictures.iter().collect::<Vec<_>>()).unwrap();
    for (picture, found) in pictures.iter().zip(mixed) {
        let alone = detector.detect(&[picture; 6]).unwrap();
        assert!(!found.is_empty() && alone.iter().all(|other| *other == found));
    }
}

/// The whole way: letterbox, network, decoding, suppression, and back to the picture.
#[test]
fn detections_of_a_run_agree_with_opencv() {
    let corpus = Corpus::empty();
    let expected = json("darknet_rect/detections.json");
    for name in expected.as_object().unwrap().keys() {
        corpus.add(name, &format!("emonet/{name}"));
    }
    let mut analyze = corpus.analyze("run");
    analyze.args([
        "--rect",
        "--class-scores",
        "logistic",
        "--confidence",
        "0.4",
        "--nms-iou",
        "0.45",
    ]);
    ends(&mut analyze, 0);
    let objects = corpus.run("run").table("objects.csv");
    let [path, class] = ["path", "class"].map(|column| objects.at(column));
    let numbers =
        ["confidence", "x_min", "y_min", "x_max", "y_max"].map(|column| objects.at(column));
    let classes = ["Cat", "Owl", "\"Big\", bad dog", "Tin"];
    let (mut matched, mut unsure, mut worst) = (0, 0, [0.0_f64; 2]);
    for (name, of) in expected.as_object().unwrap() {
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        let wanted: Vec<(usize, Vec<f64>)> = of["boxes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                (
                    row[0].as_u64().unwrap() as usize,
                    row.as_array().unwrap()[1..].iter().map(number).collect(),
                )
            })
            .collect();
        let found: Vec<(usize, Vec<f64>)> = objects
            .rows
            .iter()
            .filter(|row| row[path] == *name)
            .map(|row| {
                let class = classes.iter().position(|known| *known == row[class]).unwrap();
                (class, numbers.iter().map(|&at| row[at].parse().unwrap()).collect())
            })
            .collect();
        for (ones, others) in [(&found, &wanted), (&wanted, &found)] {
            for (class, one) in ones {
                let apart = |other: &[f64]| {
                    one[1..].iter().zip(&other[1..]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
                };
                let like = others
                    .iter()
                    .filter(|other| other.0 == *class && (other.1[0] - one[0]).abs() < 3.9e-5)
                    .map(|other| (apart(&other.1), (other.1[0] - one[0]).abs()))
                    .min_by(|a, b| a.0.total_cmp(&b.0));
                match like {
                    Some((pixels, confidence)) if pixels < 0.02 => {
                        worst = [worst[0].max(pixels), worst[1].max(confidence)];
                        matched += 1;
                    }
                    // An overlap that equals the threshold, or a confidence, to rounding.
                    _ => unsure += 1,
                }
            }
        }
    }
    eprintln!(
        "{matched} matched both ways, {unsure} not; pixels {:.1e}, confidence {:.1e}",
        worst[0], worst[1]
    );
    assert!(matched > 3400 && unsure <= 1, "{matched} matched, {unsure} not");
}

fn rect(corpus: &Corpus, run: &str, more: &[&str]) -> Run {
    ends(corpus.analyze(run).arg("--rect").args(more), 0);
    corpus.run(run)
}

#[test]
fn neither_the_order_of_shapes_nor_a_kill_changes_a_byte() {
    // 22 pictures of nine shapes: some fill batches of four, some never do.
    let corpus = Corpus::small();
    for (number, (width, height)) in
        [(40, 20), (20, 40), (60, 20), (40, 20), (30, 30), (90, 28), (40, 21)].iter().enumerate()
    {
        let pixel = |x: u32, y: u32| {
            image::Rgb([(x * 5) as u8, (y * 9) as u8, (x * y + 40 * number as u32) as u8])
        };
        let picture = image::RgbImage::from_fn(*width, *height, pixel);
        picture.save(corpus.path(&format!("photos/c{number}.png"))).unwrap();
    }
    let whole = rect(&corpus, "whole", &["--save-maps"]);
    assert_eq!(whole.table("images.csv").rows.len(), 22);
    let paths = whole.table("images.csv");
    assert!(paths.column("path").is_sorted());
    let records = fs::read(whole.path("records.jsonl")).unwrap();
    rect(&corpus, "torn", &["--threads", "1"]);
    let torn = corpus.run("torn");
    assert_same_tables(&whole, &torn);
    let ends_of_lines: Vec<usize> = (0..records.len()).filter(|&at| records[at] == b'\n').collect();
    // Wherever it was cut, other pictures meet in the batches of the rest.
    for keep in [1, 5, 6, 11, 20] {
        fs::write(torn.path("records.jsonl"), &records[..=ends_of_lines[keep]]).unwrap();
        rect(&corpus, "torn", &["--resume"]);
        assert!(
            fs::read(torn.path("records.jsonl")).unwrap() == records,
            "cut behind record {keep}"
        );
        assert_same_tables(&whole, &torn);
    }
    // Not the same as with bars.
    let square = corpus.analyzed("square");
    assert!(
        fs::read(square.path("objects.csv")).unwrap()
            != fs::read(whole.path("objects.csv")).unwrap()
    );
    refused(
        corpus.analyze("square").args(["--rect", "--resume"]),
        &["setting detector.rect: false then, true now"],
    );
    // One photo alone has the numbers of the run.
    ends(
        corpus
            .explain()
            .args(["photos/a", "photos/b", "--rect", "--cam", "grad-cam", "--corpus", "photos"]),
        0,
    );
    for record in String::from_utf8(records).unwrap().lines() {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        let name = record["path"].as_str().unwrap();
        if name.contains('/') {
            let stem = corpus.path("explained").join(name).with_extension("json");
            let explained = fs::read(stem).unwrap();
            let explained: serde_json::Value = serde_json::from_slice(&explained).unwrap();
            let boxes = explained["methods"][0]["boxes"].as_array().unwrap();
            assert_eq!(boxes.len(), record["boxes"].as_array().unwrap().len(), "{name}");
            for of in boxes {
                let scores = &record["maps"][0]["scores"][of["index"].as_u64().unwrap() as usize];
                assert_eq!(
                    [&of["mean"], &of["max"], &of["mass"]],
                    [&scores[0], &scores[1], &scores[2]],
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn a_network_without_a_stride_is_refused() {
    let corpus = Corpus::small();
    let [cfg, weights] = ["cfg", "weights"]
        .map(|end| reference(&format!("darknet/swish.{end}")).display().to_string());
    let mut command =
        corpus.networks_but(&[("--detector", &cfg), ("--detector-weights", &weights)]);
    refused(
        command.args(["photos", "--rect"]),
        &["swish.cfg: its layers' sides are no fixed shares", "leave out --rect"],
    );
}
