//! The network of facial expressions against the same network in plain PyTorch
//! (scripts/reference/fer_net.py), and what must hold between its parts.

use crate::common::formula::{Formula, assert_step, integers, list, off, pixels};
use crate::common::{json, shared};
use emocam::attribution::{HeadPass, Options, Target, explain};
use emocam::corpus::{DecodeOptions, decode};
use emocam::networks::{Activation, Card, Classifier, FerNet, Forward, open};
use serde_json::Value;
use std::path::Path;
use tch::{Device, Kind, Tensor};

fn network(kind: Kind, card: &Value) -> FerNet {
    let card = Card::from_toml(card.as_str().unwrap(), Path::new("card.toml")).unwrap();
    FerNet::build(card, &mut Formula(kind), Device::Cpu).unwrap()
}

/// The largest absolute difference, as a share of the largest value.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    ((a - b).abs().max() / b.abs().max()).double_value(&[])
}

#[test]
fn blocks_branches_sum_and_logits_are_pytorchs() {
    for case in list(&json("fer_net/forward.json")) {
        for (kind, tolerance) in [(Kind::Double, 1e-8), (Kind::Float, 4e-6)] {
            let network = network(kind, &case["card"]);
            let input = network.normalised(&pixels(case).to_kind(kind)).unwrap();
            let mut worst = 0.0_f64;
            for (number, wanted) in list(&case["blocks"]).iter().enumerate() {
                let inner = network.inner(&format!("b{}", number + 1), &input).unwrap();
                worst = worst.max(off(&inner.values, wanted));
                // What by-passes block k is the sum of the branches that begin before it.
                assert_eq!(inner.context.len(), usize::from(number > 0));
                for sum in &inner.context {
                    worst = worst.max(off(sum, &case["branches"][number - 1]));
                }
            }
            let features = network.features(&input).unwrap();
            worst = worst.max(off(&features.sum, &case["sum"]));
            for (hidden, wanted) in features.hidden.iter().zip(list(&case["hidden"])) {
                worst = worst.max(off(hidden, wanted));
            }
            worst = worst.max(off(&features.logits, &case["logits"]));
            eprintln!("{}, {kind:?}: within {worst:.1e}", case["pixels"]);
            // Measured at most 3.5e-9 in f64 and 1.4e-6 in f32.
            assert!(worst < tolerance, "{} {kind:?}", case["pixels"]);
        }
    }
}

#[test]
fn a_step_of_training_changes_the_same_as_in_pytorch() {
    for case in list(&json("fer_net/training.json")) {
        let (network, pixels) =
            (network(Kind::Double, &case["card"]), pixels(case).to_kind(Kind::Double));
        let input = network.normalised(&pixels).unwrap();
        // Measured at most 3.0e-9: the reference's nine digits.
        assert_step(network.parameters(), |_| network.features(&input).unwrap().logits, case, 9e-9);
    }
}

#[test]
fn from_every_layer_the_network_goes_on_to_the_same_logits() {
    let case = &json("fer_net/forward.json")[0];
    let network = network(Kind::Float, &case["card"]);
    let input = network.normalised(&pixels(case)).unwrap();
    let logits = network.features(&input).unwrap().logits;
    for name in network.inner_layers() {
        let inner = network.inner(name, &input).unwrap();
        let again = network.outputs_from(name, &inner).unwrap();
        let off = difference(&again, &logits);
        eprintln!("{name}: within {off:.1e}");
        // Measured at most 2.0e-7: another order of the same sums.
        assert!(off < 6e-7, "{name}");
        // And something hangs on it.
        let without = inner.with_values(inner.values.zeros_like());
        assert!(
            difference(&network.outputs_from(name, &without).unwrap(), &logits) > 1e-3,
            "{name}"
        );
    }
    for (place, name) in network.streams().into_iter().enumerate() {
        let explained = network.explaining(place).unwrap();
        let activation = explained.activation(&input).unwrap();
        assert!(difference(&explained.outputs(&activation).unwrap(), &logits) < 1e-5, "{name}");
        let size = activation.values.size();
        let sides = integers(&case["shape"]);
        let stride = if name == "b5" { 16 } else { 32 };
        assert_eq!(size[2..], [sides[2] / stride, sides[3] / stride], "{name}");
    }
    let unknown = network.inner("b6", &input).unwrap_err().to_string();
    assert!(unknown.contains("b1, b2"), "{unknown}");
}

/// Grad-CAM by its definition: channels weighted with their mean gradient, summed, below zero cut
/// off.
fn grad_cam(network: &dyn Classifier, activation: &Activation, label: i64) -> Tensor {
    let values = activation.values.detach().copy().set_requires_grad(true);
    let outputs = network.outputs(&activation.with_values(values.shallow_clone())).unwrap();
    outputs.get(0).get(label).backward();
    let weights = values.grad().mean_dim([2_i64, 3].as_slice(), true, Kind::Float);
    (weights * values.detach()).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float).relu()
}

#[test]
fn grad_cam_at_both_places_is_its_definition_and_files_are_read_again() {
    let case = &json("fer_net/forward.json")[0];
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("model.safetensors");
    network(Kind::Float, &case["card"]).save(&weights).unwrap();
    let read = open(&weights, None, Device::Cpu).unwrap();
    let (input, place) = (read.prepare(&[&scene(read.card())]).unwrap(), read.streams());
    assert_eq!(place, ["b5", "sum"]);
    for number in 0..2 {
        let network = read.explaining(number).unwrap();
        let forward = Forward::run(&*network, input.shallow_clone()).unwrap();
        let label = forward.predictions(network.card()).unwrap()[0].explained();
        let labels = [label];
        let options = Options { target: Target::Logit, ..Options::default() };
        let pass = HeadPass::new(&*network, &forward, options, &labels, &[0]).unwrap();
        let grid = forward.activation.values.size();
        let size = emocam::image::Size::new(grid[3] as u32, grid[2] as u32);
        let found = explain("grad-cam".parse().unwrap(), &pass, size).unwrap();
        let wanted = grad_cam(&*network, &forward.activation, label as i64);
        let (least, most) = (wanted.min(), wanted.max());
        let off = difference(found.tensor(), &((&wanted - &least) / (most - least)));
        eprintln!("Grad-CAM at place {number}: within {off:.1e}");
        // Measured at most 1.2e-7.
        assert!(off < 3.6e-7, "{number}");
    }
}

fn scene(card: &Card) -> emocam::image::Rgb8 {
    let scene =
        emocam::world::Scene::draw(emocam::world::graph(), 3, 1, emocam::world::Style::Standard)
            .render();
    card.fit.apply(&scene, scene.size())
}

#[test]
fn a_card_that_cannot_be_is_refused() {
    let head = "network = 'fer_net'\nlabels = ['a', 'b']\n";
    for (rest, phrase) in [
        ("input = [96, 100]\n[fer_net]\n", "multiples of 32"),
        ("input = [96, 96]\n", "needs a table `[fer_net]`"),
        ("input = [96, 96]\n[fer_net]\nwidth = 0\n", "`width`"),
        ("input = [96, 96]\n[fer_net]\nunits = 0\n", "`units`"),
        ("input = [96, 96]\nlayout = 'nhwc'\n[fer_net]\n", "`layout`"),
    ] {
        let message = Card::from_toml(&format!("{head}{rest}"), Path::new("mine.toml"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("mine.toml") && message.contains(phrase), "{message}");
    }
    let other = "labels = ['a', 'b']\ninput = 9\n[fer_net]\n";
    let message = Card::from_toml(other, Path::new("mine.toml")).unwrap_err().to_string();
    assert!(message.contains("belongs to"), "{message}");
}

/// The published size on real photos, with random weights.
#[test]
fn the_full_size_explains_photos() {
    let Some(photos) = shared("photos") else { return };
    let card = "network = 'fer_net'\nlabels = ['a', 'b', 'c', 'd', 'e', 'f', 'g']\ninput = [224, 224]\nscale = 255\n\
                [fer_net]\n";
    let network = network(Kind::Float, &card.into());
    let numbers: usize =
        network.parameters().iter().map(|parameter| parameter.tensor.numel()).sum();
    // VGG16's convolutions 14,714,688, the branches 4,425,728, hidden layers 51,382,272 and
    // 4,196,352, the last 14,343.
    assert_eq!(numbers, 74_733_383);
    let mut names: Vec<_> =
        std::fs::read_dir(photos).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in
        names.iter().filter(|path| path.extension().is_some_and(|kind| kind == "jpg")).take(3)
    {
        let pixels = decode(path, &DecodeOptions::default()).unwrap();
        let picture = network.card().fit.apply(&pixels, pixels.size());
        let forward = Forward::of_pictures(&network, &[&picture]).unwrap();
        let labels = [forward.predictions(network.card()).unwrap()[0].explained()];
        let pass = HeadPass::new(&network, &forward, Options::default(), &labels, &[0]).unwrap();
        let maps = explain("grad-cam".parse().unwrap(), &pass, network.card().input()).unwrap();
        let map = maps.tensor();
        assert_eq!(map.size(), [1, 224, 224]);
        assert!(map.isfinite().all().int64_value(&[]) == 1, "{}", path.display());
    }
}
