//! Trainings of seconds on drawn rectangles: the loss falls, what is written runs as what was
//! trained.

use super::average_precision::{Truth, average_precision, mean};
use super::detector::{DetectorTraining, letterboxed, loss};
use super::*;
use crate::image::LetterboxFilter;
use crate::image::Size;
use crate::networks::{AlexNet, Classifier, Forward};
use crate::nn::Precision;
use crate::random::Random;
use crate::regions::darknet::{
    Cfg, ClassScores, Darknet, DarknetSettings, Detection, Head, Thresholds,
};
use std::path::Path;
use tch::{Device, IndexOp, Kind, Tensor};

/// Pictures of 90 x 60 with one or two rectangles, red (class 0, label 3) or blue (class 1, label
/// 5); the label is the first one's.
struct Rectangles;

impl Examples for Rectangles {
    fn example(&self, number: u64) -> Example {
        let mut random = Random::new(11, number);
        let size = Size::new(90, 60);
        let mut picture = Rgb8::filled(size, [90, 110, 90]);
        let mut boxes = Vec::new();
        for _ in 0..1 + random.next_u64() % 2 {
            let class = (random.next_u64() % 2) as usize;
            let (width, height) =
                (random.uniform(14.0, 34.0) as u32, random.uniform(14.0, 30.0) as u32);
            let x = random.uniform(0.0, f64::from(size.width - width)) as u32;
            let y = random.uniform(0.0, f64::from(size.height - height)) as u32;
            for row in y..y + height {
                for column in x..x + width {
                    let start = 3 * (row * size.width + column) as usize;
                    picture.data_mut()[start..start + 3]
                        .copy_from_slice(&[[220, 30, 30], [30, 40, 230]][class]);
                }
            }
            boxes.push((
                class,
                BoundingBox::new(x as f32, y as f32, (x + width) as f32, (y + height) as f32),
            ));
        }
        let label = [3, 5][boxes[0].0];
        Example { picture, kinds: boxes.clone(), boxes, label }
    }

    fn kinds(&self) -> usize {
        2
    }
}

/// A network with every kind of layer that can be trained: stride, residual, route, upsample, two
/// heads.
fn cfg() -> Cfg {
    let text = "[net]\nwidth=96\nheight=64\n\
        [convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n\
        [convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\nstride=2\npad=1\nactivation=leaky\n\
        [convolutional]\nbatch_normalize=1\nfilters=8\nsize=1\nactivation=mish\n\
        [convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\nactivation=leaky\n\
        [shortcut]\nfrom=-3\nactivation=linear\n\
        [convolutional]\nbatch_normalize=1\nfilters=24\nsize=3\nstride=2\npad=1\nactivation=leaky\n\
        [convolutional]\nbatch_normalize=1\nfilters=24\nsize=3\nstride=2\npad=1\nactivation=leaky\n\
        [convolutional]\nfilters=14\nsize=1\nactivation=linear\n\
        [yolo]\nclasses=2\nnum=3\nmask=1,2\nanchors=14,14, 22,22, 30,28\n\
        [route]\nlayers=-3\n[upsample]\nstride=2\n[route]\nlayers=-1,5\n\
        [convolutional]\nbatch_normalize=1\ngroups=2\nfilters=16\nsize=3\npad=1\nactivation=leaky\n\
        [convolutional]\nfilters=7\nsize=1\nactivation=linear\n\
        [yolo]\nclasses=2\nnum=3\nmask=0\nanchors=14,14, 22,22, 30,28\nscale_x_y=1.1\n";
    Cfg::parse(text, Path::new("test.cfg")).unwrap()
}

fn schedule(steps: u64, batch: usize, rate: f64) -> Schedule {
    Schedule { steps, batch, rate, seed: 5, threads: 2 }
}

fn share(losses: &[f64]) -> f64 {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    mean(&losses[losses.len() - 5..]) / mean(&losses[..5])
}

#[test]
fn a_detector_learns_and_its_file_runs_as_what_was_trained() {
    let cfg = cfg();
    let train = || {
        let mut network = DetectorTraining::new(&cfg, 1, Device::Cpu).unwrap();
        let mut losses = Vec::new();
        detector::train(&mut network, &Rectangles, &schedule(60, 8, 5e-3), |step| {
            losses.push(step.loss);
        })
        .unwrap();
        (network, losses)
    };
    let (network, losses) = train();
    assert!(losses.iter().all(|loss| loss.is_finite()));
    assert!(share(&losses) < 0.55, "{losses:?}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.weights");
    network.save(&path).unwrap();
    let thresholds =
        Thresholds { class_scores: ClassScores::Softmax, confidence: 0.005, nms_iou: 0.45 };
    let (precision, filter) = (Precision::F32, LetterboxFilter::Bicubic);
    let settings = DarknetSettings { thresholds, precision, rect: false, filter, fill: 0 };
    let names = ["red", "blue"].map(String::from).to_vec();
    let runs = Darknet::load(&cfg, &path, names, settings, Device::Cpu).unwrap();
    let again = DetectorTraining::load(&cfg, &path, Device::Cpu).unwrap();
    let pictures: Vec<Rgb8> = (900..904)
        .map(|number| letterboxed(&Rectangles.example(number), cfg.input).picture)
        .collect();
    let x = crate::nn::stack(&pictures.iter().collect::<Vec<_>>(), cfg.input, Device::Cpu).unwrap();
    let x = x.to_kind(Kind::Float) / 255.0;
    let trained = network.forward(&x, false).unwrap();
    for other in [runs.network().forward(&x).unwrap(), again.forward(&x, false).unwrap()] {
        assert_eq!(other.len(), 2);
        for (a, b) in trained.iter().zip(&other) {
            let off = (a - b).abs().max().double_value(&[]);
            assert!(off < 1e-4, "raw outputs differ by {off}");
        }
    }
    let header =
        crate::nn::weights::darknet::DarknetWeights::open(&path, cfg.parameter_count().unwrap())
            .unwrap();
    assert_eq!(header.header().seen, 60 * 8);

    // 60 steps find most of it.
    let found = evaluate::detections(&runs, &Rectangles, 40, 2, |_| ()).unwrap();
    assert_eq!((found.detections.len(), found.truth.len()), (40, 40));
    assert_eq!(runs.input(), cfg.input);
    let map = evaluate::mean_average_precision(&found, 2, 0.45).unwrap();
    assert!(map > 0.3, "mAP {map}");

    // The same seed on the same machine: the same weights.
    assert_eq!(train().1, losses);
}

#[test]
fn an_emotion_network_learns_and_its_file_runs_as_what_was_trained() {
    let mut network = emotion::EmotionTraining::new(20, &Rectangles, 1, Device::Cpu).unwrap();
    let mut losses = Vec::new();
    emotion::train(&mut network, &Rectangles, &schedule(30, 8, 1e-3), |step| {
        losses.push(step.loss);
    })
    .unwrap();
    assert!(share(&losses) < 0.5, "{losses:?}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("emotion.safetensors");
    network.save(&path, false).unwrap();
    let runs = AlexNet::load(&path, None, Device::Cpu).unwrap();
    assert!(runs.subtracts_mean().unwrap() && !runs.synthesized());
    let again = emotion::EmotionTraining::load(&path, &Rectangles, Device::Cpu).unwrap();
    let pictures: Vec<Rgb8> =
        (900..903).map(|number| emotion::squashed(&Rectangles.example(number))).collect();
    let _no_grad = tch::no_grad_guard();
    let trained = network.forward(&pictures, false).unwrap();
    let run = Forward::of_pictures(&runs, &pictures.iter().collect::<Vec<_>>()).unwrap();
    for other in [run.outputs().shallow_clone(), again.forward(&pictures, false).unwrap()] {
        let off = (&trained - other).abs().max().double_value(&[]);
        assert!(off < 1e-4, "logits differ by {off}");
    }
    let accuracy = evaluate::accuracy(&runs, &Rectangles, 20, 1, |_| ()).unwrap();
    assert_eq!(accuracy.examples, 20);
    assert_eq!(accuracy.per_label[3].0 + accuracy.per_label[5].0, 20);
    assert!(accuracy.share() <= 1.0);
}

/// One head, two anchors, three classes, 3 x 2 cells of 32 pixels.
fn head() -> Head {
    Head {
        anchors: vec![(20.0, 30.0), (50.0, 40.0)],
        classes: 3,
        scale_x_y: 1.1,
        grid: Size::new(3, 2),
        stride: (32.0, 32.0),
    }
}

/// The numbers that decode to `object` from this place.
fn encoded(
    object: &BoundingBox,
    head: &Head,
    (row, column, anchor): (i64, i64, usize),
) -> [f64; 4] {
    let logit = |share: f64| (share / (1.0 - share)).ln();
    let centre = |low: f32, high: f32, cell: i64| {
        let scale = f64::from(head.scale_x_y);
        logit((f64::from(low + high) / 2.0 / 32.0 - cell as f64 + (scale - 1.0) / 2.0) / scale)
    };
    let (width, height) = head.anchors[anchor];
    [
        centre(object.x_min, object.x_max, column),
        centre(object.y_min, object.y_max, row),
        f64::from(object.width() / width).ln(),
        f64::from(object.height() / height).ln(),
    ]
}

#[test]
fn the_numbers_of_the_truth_have_no_loss_and_decode_to_it() {
    let head = head();
    let object = BoundingBox::new(40.0, 36.5, 84.0, 62.0);
    let place = (1, 1, 1);
    let raw = Tensor::full([1, 16, 2, 3], -20.0, (Kind::Float, Device::Cpu));
    let numbers = encoded(&object, &head, place).into_iter().chain([20.0, -20.0, 20.0, -20.0]);
    for (channel, number) in numbers.enumerate() {
        let _ = raw.i((0, 8 + channel as i64, place.0, place.1)).fill_(number);
    }
    let loss_of = |class| {
        loss(&[raw.shallow_clone()], std::slice::from_ref(&head), &[&[(class, object)]]).unwrap()
    };
    assert!(loss_of(1).double_value(&[]) < 1e-4, "{}", loss_of(1).double_value(&[]));
    // As another class it costs the 40 between the two logits, and nothing else.
    approx::assert_abs_diff_eq!(loss_of(2).double_value(&[]), 40.0, epsilon = 1e-3);
    // With no object there, the objectness is wrong by 20.
    let empty = loss(&[raw.shallow_clone()], std::slice::from_ref(&head), &[&[]]).unwrap();
    approx::assert_abs_diff_eq!(empty.double_value(&[]), 20.0, epsilon = 1e-3);
}

#[test]
fn a_box_beside_the_truth_costs_its_ciou() {
    let head = head();
    let object = BoundingBox::new(40.0, 40.0, 90.0, 60.0);
    // Ten to the left and ten higher: 40 x 20 shared of 50 x 20 and 50 x 30.
    let answer = BoundingBox::new(30.0, 40.0, 80.0, 70.0);
    let raw = Tensor::full([1, 16, 2, 3], -20.0, (Kind::Float, Device::Cpu));
    // The centre (65, 50) lies in column 2, row 1.
    let place = (1, 2, 1);
    let numbers = encoded(&answer, &head, place).into_iter().chain([20.0, 20.0, -20.0, -20.0]);
    for (channel, number) in numbers.enumerate() {
        let _ = raw.i((0, 8 + channel as i64, place.0, place.1)).fill_(number);
    }
    // The answer's centre (55, 55) is out of reach of column 2 even with scale_x_y: take the
    // nearest that is in reach.
    let reached = BoundingBox::new(40.0, 40.0, 90.0, 70.0);
    for (channel, number) in encoded(&reached, &head, place).into_iter().enumerate() {
        let _ = raw.i((0, 8 + channel as i64, place.0, place.1)).fill_(number);
    }
    // IoU 1000 / 1500; centres 5 apart, hull 50 x 30; aspects 50 / 20 and 50 / 30.
    let iou = 2.0 / 3.0;
    let v =
        4.0 / std::f64::consts::PI.powi(2) * ((2.5_f64).atan() - (5.0_f64 / 3.0).atan()).powi(2);
    let ciou = iou - 25.0 / 3400.0 - v * v / (1.0 - iou + v);
    let found = loss(&[raw], &[head], &[&[(0, object)]]).unwrap().double_value(&[]);
    approx::assert_abs_diff_eq!(found, 2.0 * (1.0 - ciou), epsilon = 1e-3);
}

#[test]
fn a_batch_without_objects_has_a_loss_and_gradients() {
    let network = DetectorTraining::new(&cfg(), 3, Device::Cpu).unwrap();
    let x = Tensor::zeros([2, 3, 64, 96], (Kind::Float, Device::Cpu));
    let raw = network.forward(&x, true).unwrap();
    let total = loss(&raw, network.heads(), &[&[], &[]]).unwrap();
    total.backward();
    assert!(total.double_value(&[]).is_finite());
    for variable in network.store().trainable_variables() {
        let gradient = variable.grad();
        assert!(!gradient.defined() || gradient.isfinite().all().int64_value(&[]) == 1);
    }
}

#[test]
fn a_layer_that_is_not_trained_is_refused_with_its_line() {
    let text = "[net]\nwidth=96\nheight=64\n[maxpool]\nsize=2\nstride=2\n[convolutional]\nfilters=7\nsize=1\nactivation=linear\n[yolo]\nclasses=2\nanchors=9,9\n";
    let cfg = Cfg::parse(text, Path::new("pool.cfg")).unwrap();
    let message = DetectorTraining::new(&cfg, 1, Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("pool.cfg, line 4"), "{message}");
}

fn detection(class: usize, confidence: f32, edges: [f32; 4]) -> Detection {
    Detection { class, confidence, bounding_box: edges.into() }
}

#[test]
fn average_precision_by_hand() {
    let object = [0.0, 0.0, 10.0, 10.0];
    let truth: Vec<Truth> = vec![
        vec![(0, object.into()), (0, [50.0, 0.0, 60.0, 10.0].into())],
        vec![(0, object.into())],
    ];
    let found = vec![
        // Right; the same object again: wrong; and a class that does not occur.
        vec![
            detection(0, 0.9, object),
            detection(0, 0.8, [0.0, 0.0, 10.0, 9.0]),
            detection(1, 0.99, object),
        ],
        // IoU 0.4: wrong. Then right.
        vec![detection(0, 0.95, [0.0, 0.0, 10.0, 4.0]), detection(0, 0.3, [0.0, 0.0, 10.0, 11.0])],
    ];
    // In order: wrong, right, wrong, right; precision at the right ones 1/2 and 2/4 of three
    // objects.
    let per_class = average_precision(&found, &truth, 2, 0.5);
    approx::assert_abs_diff_eq!(per_class[0].unwrap(), (0.5 + 0.5) / 3.0, epsilon = 1e-12);
    assert_eq!(per_class[1], None);
    assert_eq!(mean(&per_class), per_class[0]);
    assert_eq!(mean(&[None]), None);
}

#[test]
fn average_precision_as_the_reference() {
    let text = include_str!("../../tests/reference/training/average_precision.json");
    let reference: serde_json::Value = serde_json::from_str(text).unwrap();
    let edges = |entry: &serde_json::Value, from: usize| -> BoundingBox {
        let edge = |at: usize| entry[from + at].as_f64().unwrap() as f32;
        [edge(0), edge(1), edge(2), edge(3)].into()
    };
    let class = |entry: &serde_json::Value| entry[0].as_u64().unwrap() as usize;
    let list = |image: &serde_json::Value, of: &str| image[of].as_array().unwrap().clone();
    let images = reference["images"].as_array().unwrap();
    let truth: Vec<Truth> = images
        .iter()
        .map(|image| list(image, "truth").iter().map(|t| (class(t), edges(t, 1))).collect())
        .collect();
    let found: Vec<Vec<Detection>> = images
        .iter()
        .map(|image| {
            let one = |d: &serde_json::Value| Detection {
                class: class(d),
                confidence: d[1].as_f64().unwrap() as f32,
                bounding_box: edges(d, 2),
            };
            list(image, "detections").iter().map(one).collect()
        })
        .collect();
    let per_class =
        average_precision(&found, &truth, reference["classes"].as_u64().unwrap() as usize, 0.5);
    for (found, expected) in per_class.iter().zip(reference["expected"].as_array().unwrap()) {
        assert_eq!(found.is_some(), !expected.is_null());
        approx::assert_abs_diff_eq!(
            found.unwrap_or(0.0),
            expected.as_f64().unwrap_or(0.0),
            epsilon = 1e-12
        );
    }
    approx::assert_abs_diff_eq!(
        mean(&per_class).unwrap(),
        reference["mean"].as_f64().unwrap(),
        epsilon = 1e-12
    );
}
