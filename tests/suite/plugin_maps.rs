//! Plug-in networks against PyTorch and pytorch-grad-cam on the eager models they were exported
//! from (scripts/reference/plugin_small.py), and the bad ones, each refused with its reason.

use crate::common::corpus::{emocam, ends};
use crate::common::{reference, tensors};
use emocam::attribution::{HeadPass, Method, Needs, Options, Target, explain};
use emocam::corpus::{DecodeOptions, decode};
use emocam::image::Rgb8;
use emocam::networks::{Classifier, Forward, open};
use emocam::nn::Precision;
use tch::{Device, Tensor};

const PICTURES: [&str; 3] = ["picture_3.png", "picture_6.png", "picture_1.png"];
/// Reference maps are every fourth row and column.
const STEP: usize = 4;

fn plugin(name: &str) -> Box<dyn Classifier> {
    open(&reference(&format!("plugins/{name}.pt")), None, Device::Cpu).unwrap()
}

/// The reference's pictures at the network's input size.
fn pictures(network: &dyn Classifier) -> Vec<Rgb8> {
    let picture = |name: &&str| {
        let pixels = decode(&reference("emonet").join(name), &DecodeOptions::default()).unwrap();
        network.card().fit.apply(&pixels, pixels.size())
    };
    PICTURES.iter().map(picture).collect()
}

/// The largest difference.
fn off(found: &Tensor, wanted: &[f32]) -> f32 {
    let found = Vec::<f32>::try_from(&found.flatten(0, -1)).unwrap();
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

#[test]
fn in_bf16_plugins_answer_nearly_the_same() {
    // The outputs of `tokens` are small differences of large numbers.
    for (name, allowed) in [("cnn8", 0.03), ("tokens", 0.15), ("context", 0.03), ("scalar", 0.014)]
    {
        let network = plugin(name);
        let rounded = network.in_precision(Precision::Bf16).unwrap().unwrap();
        let pictures = pictures(&*network);
        let pictures: Vec<&Rgb8> = pictures.iter().collect();
        let outputs = |network: &dyn Classifier| {
            let forward = Forward::of_pictures(network, &pictures).unwrap();
            Vec::<f32>::try_from(&forward.outputs().flatten(0, -1)).unwrap()
        };
        let own = outputs(&*network);
        let largest = own.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let share = off(&Tensor::from_slice(&outputs(&*rounded)), &own) / largest;
        eprintln!("{name}: in bf16 off by {share:.1e} of the largest output");
        assert!(share > 1e-5 && share < allowed, "{name}: {share}");
        assert_eq!(outputs(&*rounded.on(Device::Cpu).unwrap()), outputs(&*rounded), "{name}");
    }
}

#[test]
fn answers_and_maps_of_plugins_are_those_of_pytorch_grad_cam() {
    let methods = ["grad-cam", "grad-cam++", "xgrad-cam", "layer-cam", "ablation-cam"];
    for name in ["cnn8", "tokens", "context", "scalar"] {
        let (network, expected) = (plugin(name), tensors(&format!("plugins/{name}.safetensors")));
        let network = &*network;
        let pictures = pictures(network);
        let forward = Forward::of_pictures(network, &pictures.iter().collect::<Vec<_>>()).unwrap();
        let input = off(&forward.input.narrow(0, 0, 1), &expected.floats("input").1);
        let (shape, a) = expected.floats("a");
        assert_eq!(forward.activation.values.size(), shape, "{name}");
        let (a, outputs) = (
            off(&forward.activation.values, &a),
            off(forward.outputs(), &expected.floats("logits").1),
        );
        eprintln!("{name}: input within {input:.1e}, A {a:.1e}, outputs {outputs:.1e}");
        assert!(input < 1e-6 && a < 8e-6 && outputs < 5e-6, "{name}");

        let bytes = expected.bytes("target").1.chunks_exact(8);
        let classes: Vec<usize> =
            bytes.map(|b| i64::from_le_bytes(b.try_into().unwrap()) as usize).collect();
        let answers = forward.predictions(network.card()).unwrap();
        assert_eq!(
            answers.iter().map(|answer| answer.explained()).collect::<Vec<_>>(),
            classes,
            "{name}"
        );
        let options = Options { target: Target::Logit, ..Options::default() };
        let pass = HeadPass::new(network, &forward, options, &classes, &[0; 3]).unwrap();
        for method in methods {
            let maps = explain(method.parse().unwrap(), &pass, network.card().input()).unwrap();
            let wanted = expected
                .floats(&format!("{}_map", method.replace("++", "_plus_plus").replace('-', "_")))
                .1;
            let every =
                maps.tensor().slice(1, None, None, STEP as i64).slice(2, None, None, STEP as i64);
            // What a negative output loses is here a share of its size; the reference's map of it
            // is zero.
            let explained =
                Vec::<f32>::try_from(forward.outputs().amax([1_i64].as_slice(), false)).unwrap();
            let compared = |picture: &usize| method != "ablation-cam" || explained[*picture] > 0.0;
            let wanted = wanted.chunks_exact(wanted.len() / classes.len());
            let differences = wanted.enumerate().filter(|(picture, _)| compared(picture));
            let difference = differences
                .map(|(picture, wanted)| off(&every.get(picture as i64), wanted))
                .fold(0.0, f32::max);
            eprintln!("{name}, {method}: maps within {difference:.1e}");
            assert!(difference < 1e-5, "{name}, {method}: {difference:.1e}");
        }
    }
}

#[test]
fn a_thousand_labels_are_answered_and_explained() {
    let network = plugin("many");
    let network = &*network;
    let pictures = pictures(network);
    let forward = Forward::of_pictures(network, &pictures.iter().collect::<Vec<_>>()).unwrap();
    let answers = forward.predictions(network.card()).unwrap();
    let classes: Vec<usize> = answers.iter().map(|answer| answer.label).collect();
    assert!(answers.iter().all(|answer| answer.probabilities.len() == 1000));
    let options = Options { evaluations: 20, ..Options::default() };
    let pass = HeadPass::new(network, &forward, options, &classes, &[0; 3]).unwrap();
    let needs_regions = |method: &Method| method.row().needs == Needs::Regions;
    for method in Method::for_network(network).into_iter().filter(|method| !needs_regions(method)) {
        let maps = explain(method, &pass, network.card().input()).unwrap();
        assert!(
            maps.values().unwrap().iter().flatten().all(|value| (0.0..=1.0).contains(value)),
            "{method}"
        );
    }
}

#[test]
fn the_doctor_finds_nothing_wrong_with_good_files() {
    for name in ["cnn8", "tokens", "context", "scalar", "many"] {
        let said = ends(
            emocam().args(["models", "check"]).arg(reference(&format!("plugins/{name}.pt"))),
            0,
        );
        assert!(
            said.out.contains("\n  pixels:  / ") && said.out.contains(", less the mean "),
            "{}",
            said.out
        );
        assert!(
            !said.out.contains("WRONG") && said.out.contains("usable with every method"),
            "{}",
            said.out
        );
        assert!(said.out.contains("load only what you trust"), "{}", said.out);
    }
}

/// Each bad file: what the doctor and `analyze` say of it, in one sentence.
#[test]
fn bad_files_are_diagnosed_and_refused() {
    let cases: [(&str, &[&str]); 11] = [
        (
            "last_block",
            &["behind the last block the class token alone is read", "cut one block earlier"],
        ),
        ("fastpath", &["backward through `head` fails", "set_fastpath_enabled(False)"]),
        ("blind", &["the head ignores it", "cut at a layer that the answer goes through"]),
        ("blind_frozen", &["the head ignores it"]),
        ("liar", &["`valence` has 8 weights for 7 labels"]),
        ("shape", &["1 + 6 x 9 = 55 tokens", "[1, 49, 8]"]),
        ("batch", &["`head` has the number of pictures built in"]),
        ("nocard", &["has no card", "export_model.py"]),
        ("nomethod", &["the file has no method `features`", "export_model.py"]),
        ("truncated", &["truncated.pt"]),
        ("hostile", &["hostile.pt"]),
    ];
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("photos")).unwrap();
    std::fs::copy(reference("emonet/picture_1.png"), folder.path().join("photos/one.png")).unwrap();
    std::fs::write(
        folder.path().join("regions.jsonl"),
        "{\"file\": \"one.png\", \"label\": \"cat\", \"score\": 0.9, \"box\": [1, 1, 9, 9]}\n",
    )
    .unwrap();
    // An archive whose card claims to be 4 GB.
    let mut hostile = std::fs::read(reference("plugins/scalar.pt")).unwrap();
    let at = hostile.windows(11).rposition(|window| window == b"emocam.json").unwrap();
    let directory = hostile[..at].windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    hostile[directory + 20..directory + 28].fill(0xfe);
    std::fs::write(folder.path().join("hostile.pt"), hostile).unwrap();
    for (name, phrases) in cases {
        let file = match name {
            "hostile" => folder.path().join("hostile.pt"),
            _ => reference(&format!("plugins/{name}.pt")),
        };
        // 2: it is not even read.
        let unread = ["liar", "nocard", "truncated", "hostile"].contains(&name);
        let said = ends(emocam().args(["models", "check"]).arg(&file), if unread { 2 } else { 1 });
        let mut analyze = emocam();
        analyze.current_dir(&folder).args([
            "analyze",
            "photos",
            "--regions",
            "regions.jsonl",
            "--device",
            "cpu",
        ]);
        let refused = ends(analyze.arg("--emotion-weights").arg(&file), 2);
        for phrase in phrases {
            let both = format!("{}{}", said.out, said.err);
            assert!(both.contains(phrase), "{name}: no \"{phrase}\" in: {both}");
            assert!(refused.err.contains(phrase), "{name}: no \"{phrase}\" in: {}", refused.err);
        }
        assert_eq!(refused.err.trim().lines().count(), 1, "{name}: {}", refused.err);
    }
}
