//! The Darknet engine against OpenCV's Darknet importer, on miniatures of every family
//! (scripts/reference/darknet_small.py).

use crate::common::{Tensors, reference, tensors};
use emocam::image::{LetterboxFilter, Rgb8, Size};
use emocam::nn::Precision;
use emocam::nn::weights::darknet::DarknetWeights;
use emocam::regions::darknet::{
    Cfg, ClassScores, Darknet, DarknetNetwork, DarknetSettings, Head, Thresholds,
};
use tch::{Device, Kind, Tensor};

const NETWORKS: [&str; 8] =
    ["yolov3", "tiny", "spp", "v4", "v4tiny", "fastest", "swish", "tinyvariance"];

fn cfg(name: &str) -> Cfg {
    let path = reference(&format!("darknet/{name}.cfg"));
    Cfg::parse(&std::fs::read_to_string(&path).unwrap(), &path).unwrap()
}

fn network(name: &str) -> (DarknetNetwork, Tensors) {
    let cfg = cfg(name);
    let path = reference(&format!("darknet/{name}.weights"));
    let weights = DarknetWeights::open(&path, cfg.parameter_count().unwrap()).unwrap();
    let network = DarknetNetwork::load(&cfg, weights, Device::Cpu, Precision::F32).unwrap();
    (network, tensors(&format!("darknet/{name}.safetensors")))
}

/// Channels-last in memory, as the detector prepares it.
fn input(expected: &Tensors) -> Tensor {
    let (shape, bytes) = expected.bytes("input");
    let nchw = Tensor::from_data_size(bytes, &shape, Kind::Uint8);
    nchw.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0
}

#[test]
fn raw_heads_agree_with_opencv() {
    for name in NETWORKS {
        let (network, expected) = network(name);
        let raw = network.forward(&input(&expected)).unwrap();
        assert_eq!(raw.len(), network.heads().len());
        for (at, head) in raw.iter().enumerate() {
            let (shape, wanted) = expected.floats(&format!("raw_{at}"));
            assert_eq!(head.size(), shape, "{name}, head {at}");
            let found = Vec::<f32>::try_from(&head.contiguous().flatten(0, -1)).unwrap();
            let largest = wanted.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            let error = found.iter().zip(&wanted).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
            eprintln!(
                "{name}, head {at}: max abs difference / max abs value = {:.2e}",
                error / largest
            );
            assert!(error / largest < 3.5e-5, "{name}, head {at}: {error} of {largest}");
        }
    }
}

/// Every row of OpenCV's region layer over the threshold is one of ours, and the other way round.
#[test]
fn logistic_decoding_agrees_with_opencv() {
    for name in NETWORKS {
        let cfg = cfg(name);
        let expected = tensors(&format!("darknet/{name}.safetensors"));
        let (_, pixels) = expected.bytes("input");
        let area = cfg.input.area();
        let hwc = (0..area)
            .flat_map(|at| [pixels[at], pixels[area + at], pixels[2 * area + at]])
            .collect();
        let picture = Rgb8::new(cfg.input, hwc);
        let confidence = 0.2;
        let thresholds =
            Thresholds { class_scores: ClassScores::Logistic, confidence, nms_iou: 1.0 };
        let weights = reference(&format!("darknet/{name}.weights"));
        let settings = DarknetSettings {
            thresholds,
            precision: Precision::F32,
            rect: false,
            filter: LetterboxFilter::Bicubic,
            fill: 0,
        };
        let classes = (0..cfg.classes()).map(|class| format!("class {class}")).collect();
        let detector = Darknet::load(&cfg, &weights, classes, settings, Device::Cpu).unwrap();
        let mut found = detector.detect(&[&picture]).unwrap().remove(0);
        let heads = detector.network().heads();
        let mut wanted: Vec<_> = heads
            .iter()
            .enumerate()
            .flat_map(|(at, head)| opencv_rows(&expected, at, head, cfg.input, confidence))
            .collect();
        assert_eq!(found.len(), wanted.len(), "{name}");
        assert!(!found.is_empty(), "{name} finds nothing: no test");
        found.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
        wanted.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (ours, (class, score, edges)) in found.iter().zip(wanted) {
            assert_eq!(ours.class, class, "{name}");
            assert!((ours.confidence - score).abs() < 1e-4, "{name}: {ours:?}, {score}");
            for (a, b) in <[f32; 4]>::from(ours.bounding_box).iter().zip(edges) {
                assert!((a - b).abs() < 0.02 + 1e-3 * b.abs(), "{name}: {ours:?}, {edges:?}");
            }
        }
    }
}

/// (class, confidence, edges in input pixels) of the rows over the threshold.
fn opencv_rows(
    expected: &Tensors,
    at: usize,
    head: &Head,
    input: Size,
    over: f32,
) -> Vec<(usize, f32, [f32; 4])> {
    let (_, rows) = expected.floats(&format!("region_{at}"));
    rows.chunks_exact(5 + head.classes)
        .flat_map(|row| {
            let (w, h) = (input.width as f32, input.height as f32);
            let edges = [
                (row[0] - row[2] / 2.0) * w,
                (row[1] - row[3] / 2.0) * h,
                (row[0] + row[2] / 2.0) * w,
                (row[1] + row[3] / 2.0) * h,
            ];
            let classes = row[5..].iter().enumerate().filter(move |(_, score)| **score > over);
            classes.map(move |(class, score)| (class, *score, edges)).collect::<Vec<_>>()
        })
        .collect()
}
