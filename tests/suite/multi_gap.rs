//! Multi-GAP networks against torchvision, the same networks written in plain PyTorch, and
//! pytorch-grad-cam (scripts/reference/multi_gap.py); and what must hold between their parts.
//!
//! No weights are committed: both sides make them by a formula from a tensor's name ([`Formula`]).

use crate::common::formula::{Formula, assert_step, drawn, floats, integers, list, off, pixels};
use crate::common::{json, reference};
use emocam::attribution::{HeadPass, Options, Target, explain};
use emocam::corpus::{DecodeOptions, decode};
use emocam::networks::backbone::{BackboneKind, TorchVision};
use emocam::networks::multi_gap::Means;
use emocam::networks::{Activation, Card, Classifier, Forward, MultiGap, open};
use emocam::nn::Precision;
use serde_json::Value;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// The network that a card's text describes.
fn network(card: &Value) -> MultiGap {
    network_in(Kind::Float, card)
}

fn network_in(kind: Kind, card: &Value) -> MultiGap {
    let card = Card::from_toml(card.as_str().unwrap(), Path::new("card.toml")).unwrap();
    MultiGap::build(card, &mut Formula(kind), Device::Cpu).unwrap()
}

/// The same numbers, to the byte.
fn same(found: &Tensor, wanted: &Tensor) -> bool {
    found.size() == wanted.size() && found.equal(wanted)
}

/// The largest differences of taps and logits from torchvision's, for one input.
fn off_torchvision(network: &TorchVision, kind: Kind, input: &Value) -> (f64, f64) {
    let x =
        drawn(input["name"].as_str().unwrap(), &integers(&input["shape"]), 1.0, 0.0).to_kind(kind);
    let taps = network.backbone.forward(&x, false).unwrap();
    assert_eq!(taps.len(), 5);
    let taps = taps
        .iter()
        .zip(list(&input["taps"]))
        .map(|(tap, wanted)| off(tap, wanted))
        .fold(0.0, f64::max);
    (taps, off(&network.logits(&x).unwrap(), &input["logits"]))
}

/// In f64, where only the reference's nine digits differ, and as it is used.
#[test]
fn backbones_are_torchvisions() {
    for case in list(&json("multi_gap/torchvision.json")) {
        let (name, width) = (case["network"].as_str().unwrap(), case["width"].as_f64().unwrap());
        let backbone =
            if name == "vgg16" { BackboneKind::Vgg16 } else { BackboneKind::MobilenetV2 };
        // Measured at most 3.3e-9 and 1.0e-5, the latter for MobileNetV2 on instruction sets from
        // SSE4.1 to AVX-512.
        for (kind, tolerance) in [(Kind::Double, 9e-9), (Kind::Float, 2e-5)] {
            let network = TorchVision::build(backbone, width, 1000, &mut Formula(kind)).unwrap();
            for input in list(&case["inputs"]) {
                let (taps, logits) = off_torchvision(&network, kind, input);
                eprintln!(
                    "{name} x {width}, {}, {kind:?}: taps {taps:.1e}, logits {logits:.1e}",
                    input["shape"]
                );
                assert!(taps < tolerance && logits < tolerance, "{name} x {width}, {kind:?}");
            }
        }
    }
}

/// In f64: a step in f32 depends on the machine by up to a hundredth, for a place of a map may come
/// to lie on the other side of a ReLU6's edge.
#[test]
fn a_step_of_training_changes_the_same_as_in_pytorch() {
    for case in list(&json("multi_gap/training.json")) {
        let (network, pixels) =
            (network_in(Kind::Double, &case["card"]), pixels(case).to_kind(Kind::Double));
        let logits = |training| {
            network.answers(&network.means(&pixels, None, training).unwrap()).unwrap().fused
        };
        // Measured at most 4.7e-9: the reference's nine digits.
        assert_step(network.parameters(), logits, case, 1e-8);
    }
}

#[test]
fn the_recurrent_layer_and_its_attention_are_pytorchs_and_the_papers() {
    for case in list(&json("multi_gap/gru.json")) {
        let (network, name, rows) =
            (network(&case["card"]), case["name"].as_str().unwrap(), case["rows"].as_i64());
        let channels = integers(&case["means"]);
        let mean = |(block, &channels): (usize, &i64)| {
            drawn(&format!("{name} means {block}"), &[rows.unwrap(), channels], 1.0, 0.0)
        };
        let means: Vec<Tensor> = channels.iter().enumerate().map(mean).collect();
        let features = off(&network.streams()[0].features(&means).unwrap(), &case["features"]);
        eprintln!("{name}: features within {features:.1e}");
        // Measured at most 3.3e-7.
        assert!(features < 9e-7, "{name}");
    }
}

/// Features, all answers, and the answer where the pairs are not known.
fn assert_answers(case: &Value, tolerance: f64) {
    let (network, pixels) = (network(&case["card"]), pixels(case));
    let name = case["pixels"].as_str().unwrap();
    let pairs = match case["pairs"].as_i64().unwrap() {
        0 => None,
        count => Some(drawn(&format!("{name} pairs"), &[pixels.size()[0], count], 0.25, 0.5)),
    };
    let means = network.means(&pixels, pairs, false).unwrap();
    let mut features: Vec<Tensor> = network
        .streams()
        .iter()
        .zip(&means.streams)
        .map(|(stream, means)| stream.features(means).unwrap())
        .collect();
    features.extend(network.anp().map(|anp| anp.features(means.pairs.as_ref(), 1).unwrap()));
    let answers = network.answers(&means).unwrap();
    let compared = |found: &[Tensor], wanted: &Value| {
        assert_eq!(found.len(), list(wanted).len());
        found.iter().zip(list(wanted)).map(|(found, wanted)| off(found, wanted)).fold(0.0, f64::max)
    };
    let (features, streams) =
        (compared(&features, &case["features"]), compared(&answers.streams, &case["streams"]));
    let fused = off(&answers.fused, &case["fused"]);
    let without = Means { streams: means.streams, pairs: None };
    let without = off(&network.answers(&without).unwrap().fused, &case["fused_without"]);
    eprintln!(
        "{name}: features within {features:.1e}, streams {streams:.1e}, fused {fused:.1e} and \
         {without:.1e}"
    );
    assert!(
        [features, streams, fused, without].iter().all(|&difference| difference < tolerance),
        "{name}"
    );
}

#[test]
fn streams_are_fused_as_defined_and_a_mean_stands_in_for_pairs() {
    for case in list(&json("multi_gap/fusion.json")) {
        // Measured at most 3.9e-6.
        assert_answers(case, 1e-5);
    }
}

/// The card of a single stream with so many blocks.
fn single(backbone: &str, width: f64, blocks: usize) -> Value {
    let stream =
        format!("name = 'object'\nbackbone = '{backbone}'\nwidth = {width}\nblocks = {blocks}\n");
    let head = "network = 'multi_gap'\nlabels = ['a', 'b', 'c']\ninput = [72, 104]\n";
    format!("{head}[[multi_gap.streams]]\n{stream}").into()
}

#[test]
fn a_network_of_fewer_blocks_has_the_whole_ones_first_features() {
    for case in list(&json("multi_gap/truncated.json")) {
        // Measured at most 6.7e-7.
        assert_answers(case, 2e-6);
    }
    let pixels = drawn("truncated pixels", &[2, 3, 72, 104], 70.0, 127.5);
    for (backbone, width) in [("mobilenet_v2", 0.35), ("vgg16", 0.125)] {
        let features = |blocks| {
            let network = network(&single(backbone, width, blocks));
            let stream = &network.streams()[0];
            stream.features(&stream.means(&pixels, false).unwrap()).unwrap()
        };
        let whole = features(5);
        for blocks in 1..=4 {
            let first = whole.narrow(1, 0, 64 * blocks as i64);
            assert!(same(&features(blocks), &first), "{backbone}, {blocks} blocks");
        }
    }
}

#[test]
fn each_stream_is_explained_as_pytorch_grad_cam_does() {
    let expected = json("multi_gap/grad_cam.json");
    let whole = network(&expected["card"]);
    assert!(whole.in_precision(Precision::Bf16).unwrap().is_none());
    let picture = |name: &Value| {
        let name = name.as_str().unwrap();
        let pixels = decode(&reference("emonet").join(name), &DecodeOptions::default()).unwrap();
        whole.card().fit.apply(&pixels, pixels.size())
    };
    let pictures: Vec<_> = list(&expected["pictures"]).iter().map(picture).collect();
    let wanted_logits: Vec<f64> = list(&expected["logits"])
        .iter()
        .flat_map(list)
        .map(|value| value.as_f64().unwrap())
        .collect();
    let step = expected["step"].as_i64().unwrap();
    for (place, case) in list(&expected["maps"]).iter().enumerate() {
        let name = case["stream"].as_str().unwrap();
        let stream = whole.streams().iter().position(|stream| stream.name() == name).unwrap();
        let network = whole.explaining(stream).unwrap();
        let forward =
            Forward::of_pictures(&*network, &pictures.iter().collect::<Vec<_>>()).unwrap();
        let found = floats(forward.outputs());
        let largest =
            wanted_logits.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        assert_eq!(found.len(), wanted_logits.len());
        let differences = found.iter().zip(&wanted_logits).map(|(a, b)| (a - b).abs() / largest);
        let logits = differences.fold(0.0, f64::max);
        assert_eq!(forward.activation.values.size()[2..], integers(&case["grid"]), "{name}");
        let labels: Vec<usize> =
            integers(&case["labels"]).iter().map(|&label| label as usize).collect();
        if place % 2 == 0 {
            let answers = forward.predictions(network.card()).unwrap();
            assert_eq!(
                answers.iter().map(|answer| answer.explained()).collect::<Vec<_>>(),
                labels,
                "{name}"
            );
        }
        let options = Options { target: Target::Logit, ..Options::default() };
        let seeds = vec![0; labels.len()];
        let pass = HeadPass::new(&*network, &forward, options, &labels, &seeds).unwrap();
        let maps = explain("grad-cam".parse().unwrap(), &pass, network.card().input()).unwrap();
        let found = floats(&maps.tensor().slice(1, None, None, step).slice(2, None, None, step));
        let wanted: Vec<f64> = list(&case["maps"])
            .iter()
            .flat_map(list)
            .flat_map(list)
            .map(|value| value.as_f64().unwrap())
            .collect();
        assert_eq!(found.len(), wanted.len());
        let maps = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        eprintln!("{name}, labels {labels:?}: logits within {logits:.1e}, maps {maps:.1e}");
        // Measured at most 1.3e-6 and 1.0e-4.
        assert!(logits < 3e-6 && maps < 3e-4, "{name}");
    }
}

/// Cards of all kinds: fusion, recurrent layers, truncation and pairs; the first says all that a
/// card can.
fn cards() -> Vec<Value> {
    let fused = json("multi_gap/fusion.json");
    let mut fused: Vec<Value> = list(&fused).iter().map(|case| case["card"].clone()).collect();
    let more = "layer = 'features.17'\nsource = 'drawn'\nresize = 'letterbox'\nfilter = \
                'bilinear'\ncrop = 0.5\n";
    let answers = "[valence]\nbias = 1\nweights = [1, 2, 3, 4, 5, 6, 7, 8]\n[[reference]]\ninput = 'ramp'\n\
                   outputs = [1, 2, 3, 4, 5, 6, 7, 8]\n[[published]]\npicture = 'one.png'\nrelative_tolerance = 0.1\n\
                   probabilities = [1, 0, 0, 0, 0, 0, 0, 0]\n";
    fused[0] = fused[0]
        .as_str()
        .unwrap()
        .replace("[multi_gap]", &format!("{more}{answers}[multi_gap]"))
        .into();
    fused.into_iter().chain([single("mobilenet_v2", 0.35, 5), single("vgg16", 0.125, 2)]).collect()
}

/// A copy of an activation.
fn copied(activation: &Activation) -> Activation {
    activation.with_values(activation.values.shallow_clone())
}

#[test]
fn the_activation_of_every_stream_leads_to_the_same_answers() {
    let pixels = drawn("any pixels", &[3, 3, 100, 148], 70.0, 127.5);
    for card in cards() {
        let whole = network(&card);
        let answers = whole.answers(&whole.means(&pixels, None, false).unwrap()).unwrap();
        for (stream, name) in Classifier::streams(&whole).into_iter().enumerate() {
            let explained = whole.explaining(stream).unwrap();
            assert_eq!(explained.streams(), Classifier::streams(&whole));
            let activation = explained.activation(&pixels).unwrap();
            let (channels, blocks) =
                (activation.values.size()[1], whole.streams()[stream].means(&pixels, false));
            assert_eq!(
                channels,
                blocks.unwrap().last().unwrap().size()[1],
                "{name}: another stream's activation"
            );
            assert!(same(&explained.outputs(&activation).unwrap(), &answers.fused), "{name}");
            let alone = explained.stream_outputs(&activation).unwrap();
            assert_eq!(alone.len(), answers.streams.len());
            for ((name, found), (wanted_name, wanted)) in
                alone.iter().zip(whole.stream_names().iter().zip(&answers.streams))
            {
                assert_eq!(name, wanted_name);
                assert!(same(found, wanted), "{name}");
            }
            // It is this stream that the answer is asked of, and a row of the batch sees no other.
            let changed = explained
                .outputs(&copied(&activation).with_values(&activation.values * 1.5))
                .unwrap();
            assert!(!changed.allclose(&answers.fused, 1e-3, 1e-3, false), "{name}");
            let variants = activation.values.narrow(0, 1, 1).repeat([2, 1, 1, 1]);
            let second = explained.outputs(&activation.changed(1, variants).unwrap()).unwrap();
            let wanted = answers.fused.narrow(0, 1, 1).repeat([2, 1]);
            assert!(second.allclose(&wanted, 1e-5, 1e-5, false), "{name}");
        }
    }
}

#[test]
fn copies_and_files_answer_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let pixels = drawn("any pixels", &[2, 3, 100, 148], 70.0, 127.5);
    for (number, card) in cards().iter().enumerate() {
        let whole = network(card);
        let outputs = |network: &dyn Classifier| {
            network.outputs(&network.activation(&pixels).unwrap()).unwrap()
        };
        let wanted = outputs(&whole);
        let weights = folder.path().join(format!("{number}.safetensors"));
        whole.save(&weights).unwrap();
        let loaded = open(&weights, None, Device::Cpu).unwrap();
        assert_eq!(loaded.card(), whole.card());
        let roles: Vec<&str> = loaded.files().iter().map(|(role, _)| *role).collect();
        assert_eq!(roles, ["emotion.weights", "emotion.card"]);
        let last = Classifier::streams(&whole).len() - 1;
        for (name, copy) in [
            ("on", whole.on(Device::Cpu).unwrap()),
            ("explaining", whole.explaining(last).unwrap().explaining(0).unwrap()),
            ("explaining on", whole.explaining(last).unwrap().on(Device::Cpu).unwrap()),
            ("loaded on", loaded.on(Device::Cpu).unwrap()),
            ("loaded", loaded),
        ] {
            assert!(same(&outputs(&*copy), &wanted), "{name}: {card}");
            assert_eq!(copy.card(), whole.card(), "{name}");
        }
    }
}
