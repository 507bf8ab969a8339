//! Against an independent reading of the same tiny networks
//! (`scripts/reference/yolo_torchscript_small.py`), and files that are none.

use super::*;
use crate::files::sha256;
use crate::image::{Letterbox, Picture};
use serde::Deserialize;
use std::fs::File;
use std::io::Write;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Differences from the reading in Python: none in practice; another processor's sums differ in the
/// last digits.
const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Expected {
    confidence: f32,
    nms_iou: f32,
    pictures: Vec<ExpectedPicture>,
}

#[derive(Deserialize)]
struct ExpectedPicture {
    size: [u32; 2],
    canvas_sha256: String,
    /// Left, top, width, height.
    content: [u32; 4],
    detections: Vec<ExpectedDetection>,
}

#[derive(Deserialize)]
struct ExpectedDetection {
    class: String,
    confidence: f64,
    #[serde(rename = "box")]
    edges: [f64; 4],
}

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/yolo_torchscript").join(name)
}

fn expected() -> Expected {
    serde_json::from_str(&std::fs::read_to_string(reference("detections.json")).unwrap()).unwrap()
}

fn load(path: &Path) -> Result<YoloTorchScript> {
    let Expected { confidence, nms_iou, .. } = expected();
    YoloTorchScript::load(path, BoxThresholds { confidence, nms_iou }, Precision::F32, Device::Cpu)
}

/// The picture that `picture` in the script makes: every byte from its place alone.
fn picture([width, height]: [u32; 2]) -> Picture {
    let byte = |x: u32, y: u32, channel: u32| {
        let place = x
            .wrapping_mul(2_654_435_761)
            .wrapping_add(y.wrapping_mul(40_503))
            .wrapping_add(channel * 977);
        (place.wrapping_mul(place | 1) >> 24) as u8
    };
    let data = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| byte(x, y, c))))
        .collect();
    Rgb8::new(Size::new(width, height), data).into()
}

/// That `found` is what is expected, in whatever order boxes of nearly one confidence come.
fn assert_found(found: &[Located], wanted: &[ExpectedDetection], classes: &[String], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    assert!(found.is_sorted_by(|a, b| a.confidence >= b.confidence), "{what}");
    for ExpectedDetection { class, confidence, edges } in wanted {
        let same = |located: &&Located| {
            let extent = <[f64; 4]>::from(located.region.extent);
            classes[located.class] == *class
                && (f64::from(located.confidence) - confidence).abs() <= TOLERANCE
                && extent.iter().zip(edges).all(|(a, b)| (a - b).abs() <= TOLERANCE * 200.0)
        };
        assert_eq!(found.iter().filter(same).count(), 1, "{what}: {class} {confidence} {edges:?}");
    }
}

#[test]
fn boxes_are_those_of_an_independent_reading_alone_and_together() {
    let expected = expected();
    for (name, batch, set) in [
        ("tiny.torchscript", BatchSize::Any, BatchSize::Any),
        ("tiny.torchscript", BatchSize::Any, BatchSize::Fixed(4)),
        ("fixed.torchscript", BatchSize::Fixed(1), BatchSize::Fixed(1)),
    ] {
        let mut detector = load(&reference(name)).unwrap();
        assert_eq!((detector.batch, detector.export.input), (batch, Size::new(96, 64)));
        detector.batch = set;
        let sights: Vec<Sight> = expected
            .pictures
            .iter()
            .map(|wanted| detector.view().sight(&picture(wanted.size)))
            .collect();
        let together = detector.locate(&sights.iter().collect::<Vec<_>>()).unwrap();
        let elsewhere = detector.on(Device::Cpu).unwrap();
        for ((sight, wanted), in_batch) in sights.iter().zip(&expected.pictures).zip(together) {
            let what = format!("{name}, {set:?}, {:?}", wanted.size);
            let Letterbox { left, top, content, .. } = sight.letterbox;
            assert_eq!([left, top, content.width, content.height], wanted.content, "{what}");
            assert_eq!(sha256(sight.pixels.data()), wanted.canvas_sha256, "{what}");
            assert_found(&in_batch, &wanted.detections, detector.classes(), &what);
            let alone = elsewhere.locate(&[sight]).unwrap().remove(0);
            assert_found(&alone, &wanted.detections, detector.classes(), &what);
        }
        assert!(detector.locate(&[]).unwrap().is_empty());
    }
}

#[test]
fn the_fixture_tests_what_it_should() {
    let (detector, expected) = (load(&reference("tiny.torchscript")).unwrap(), expected());
    let pictures: Vec<Rgb8> = expected
        .pictures
        .iter()
        .map(|wanted| detector.view().sight(&picture(wanted.size)).pixels)
        .collect();
    let all = BoxThresholds { confidence: 0.0, nms_iou: 1.0 };
    let loose =
        YoloTorchScript::load(&reference("tiny.torchscript"), all, Precision::F32, Device::Cpu)
            .unwrap();
    let boxes: usize =
        loose.detect(&pictures.iter().collect::<Vec<_>>()).unwrap().iter().map(Vec::len).sum();
    assert_eq!(boxes, 30 * pictures.len() - 11, "11 boxes have sides that are no numbers");
    let kept: usize = expected.pictures.iter().map(|picture| picture.detections.len()).sum();
    assert!(kept < boxes / 3 * 2, "{kept} of {boxes}");
}

#[test]
fn a_column_becomes_a_box_of_its_best_class() {
    let found = labelled(&[10.0, 20.0, 4.0, 8.0, 0.2, 0.7, 0.7]).unwrap();
    assert_eq!((found.class, found.confidence), (1, 0.7));
    assert_eq!(found.bounding_box, BoundingBox::new(8.0, 16.0, 12.0, 24.0));
    for place in 0..5 {
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut column = [10.0, 20.0, 4.0, 8.0, 0.9];
            column[place] = number;
            assert_eq!(labelled(&column), None, "{column:?}");
        }
    }
    assert_eq!(labelled(&[10.0, 20.0, 4.0, 8.0]), None);
}

/// A copy of the tiny network with another `config.txt`, or none.
fn with_config(folder: &Path, config: Option<&str>) -> PathBuf {
    let path = folder.join("other.torchscript");
    let mut original = ZipArchive::new(File::open(reference("tiny.torchscript")).unwrap()).unwrap();
    let mut copy = ZipWriter::new(File::create(&path).unwrap());
    for index in 0..original.len() {
        let entry = original.by_index_raw(index).unwrap();
        let name = entry.name().unwrap().into_owned();
        if !name.ends_with("extra/config.txt") {
            copy.raw_copy_file(entry).unwrap();
        } else if let Some(config) = config {
            copy.start_file(
                name,
                SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
            )
            .unwrap();
            copy.write_all(config.as_bytes()).unwrap();
        }
    }
    copy.finish().unwrap();
    path
}

#[test]
fn files_that_are_no_exported_detector_are_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path, phrase: &str| {
        let message = load(path).unwrap_err().to_string();
        assert!(message.contains(phrase) && message.lines().count() == 1, "`{phrase}`: {message}");
        message
    };
    let plain = folder.path().join("plain.torchscript");
    std::fs::write(&plain, "<html>404</html>").unwrap();
    refused(&plain, "expected a TorchScript file");
    let whole = std::fs::read(reference("tiny.torchscript")).unwrap();
    for length in [0, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&plain, &whole[..length]).unwrap();
        assert!(
            load(&plain).is_err() && YoloTorchScript::classes_of(&plain).is_err(),
            "{length} bytes"
        );
    }
    refused(&with_config(folder.path(), None), "has no config.txt");
    refused(&with_config(folder.path(), Some("names: [a, b]")), "not as Ultralytics writes it");

    let config = |imgsz: &str, names: &str| {
        format!(r#"{{"task": "detect", "imgsz": {imgsz}, "names": {names}}}"#)
    };
    let three = r#"{"0": "a", "1": "b", "2": "c"}"#;
    let path = with_config(folder.path(), Some(&config("[64, 96]", three)));
    assert_eq!(load(&path).unwrap().classes(), ["a", "b", "c"]);
    let path = with_config(folder.path(), Some(&config("[64, 96]", r#"{"0": "a", "1": "b"}"#)));
    let message = refused(&path, "names 2 classes");
    assert!(message.contains("(1, 6, boxes)") && message.contains("[1, 7, 30]"), "{message}");
    assert_eq!(
        YoloTorchScript::classes_of(&path).unwrap(),
        ["a", "b"],
        "names are read without the program"
    );
    refused(
        &with_config(folder.path(), Some(&config("[16, 16]", three))),
        "16 rows and 16 columns",
    );
}

#[test]
fn descriptions_of_something_else_are_refused() {
    let names = r#""imgsz": [64, 96], "names": {"0": "a", "1": "b"}"#;
    let parse = |more: &str| Export::parse(&format!("{{{names}, {more}}}"));
    let found =
        parse(r#""task": "detect", "batch": 4, "args": {"nms": null, "dynamic": false}, "end2end": false"#).unwrap();
    assert_eq!((found.input, found.batch), (Size::new(96, 64), 4));
    for (more, phrase) in [
        (r#""task": "segment""#, "--regions"),
        (r#""task": "pose""#, "found \"pose\""),
        (r#""stride": 32"#, "names no task"),
        (r#""task": "detect", "end2end": true"#, "end2end is true"),
        (r#""task": "detect", "args": {"nms": true}"#, "nms is true"),
        (r#""task": "detect", "channels": 1"#, "3 channels, found 1"),
        (r#""task": "detect", "batch": 0"#, "found 0"),
    ] {
        let sentence = parse(more).unwrap_err();
        assert!(sentence.contains(phrase), "`{phrase}`: {sentence}");
    }
    for (imgsz, names, phrase) in [
        ("[64, 96]", r#"{"0": "a", "2": "b"}"#, "numbered from 0 on; found \"2\""),
        ("[64, 96]", r#"{"0": "a", "01": "b"}"#, "found \"01\""),
        ("[64, 96]", r#"{"0": "a", "-1": "b"}"#, "found \"-1\""),
        ("[64, 96]", r#"{"0": 1}"#, "not as Ultralytics writes it"),
        ("[64, 96]", r#"["a", "b"]"#, "not as Ultralytics writes it"),
        ("[64, 96]", "{}", "names no classes"),
        ("[0, 96]", r#"{"0": "a"}"#, "found [0, 96]"),
        ("[64, 100000]", r#"{"0": "a"}"#, "found [64, 100000]"),
        ("[64]", r#"{"0": "a"}"#, "not as Ultralytics writes it"),
        ("640", r#"{"0": "a"}"#, "not as Ultralytics writes it"),
    ] {
        let sentence =
            Export::parse(&format!(r#"{{"task": "detect", "imgsz": {imgsz}, "names": {names}}}"#))
                .unwrap_err();
        assert!(sentence.contains(phrase), "`{phrase}`: {sentence}");
    }
}
