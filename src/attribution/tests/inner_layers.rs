//! dnc-shap at every place of a small AlexNet of random numbers: what it finds there adds up.

use super::*;
use crate::networks::AlexNet;
use crate::nn::weights::{Array, safetensors};
use crate::random::Random;
use std::collections::BTreeMap;

/// Channels of the five convolutions, all different so that no layer passes for another.
const CHANNELS: [usize; 5] = [4, 6, 5, 8, 7];

/// Rows and columns of their outputs for an input of 67 x 83.
const SIZES: [(i64, i64); 5] = [(17, 21), (10, 12), (4, 5), (4, 5), (4, 5)];

fn small_alexnet(seed: u64) -> AlexNet {
    let mut random = Random::new(seed, 9);
    let mut tensors: Vec<(String, Array)> = Vec::new();
    let mut layer = |name: &str, shape: &[usize]| {
        let inputs: usize = shape[1..].iter().product();
        let mut array = |shape: &[usize], deviation: f64| {
            let values = random
                .spread(shape.iter().product(), deviation)
                .into_iter()
                .map(|value| value as f32);
            Array { shape: shape.to_vec(), values: values.collect() }
        };
        tensors.push((format!("{name}.weight"), array(shape, (3.0 / inputs as f64).sqrt())));
        tensors.push((format!("{name}.bias"), array(&shape[..1], 0.2)));
    };
    let mut before = 3;
    for (number, channels) in (1..).zip(CHANNELS) {
        layer(&format!("conv{number}"), &[channels, before, 3, 3]);
        before = channels;
    }
    // Pooling leaves 1 x 2 places.
    for (name, shape) in [("fc6", [9, 2 * before]), ("fc7", [8, 9]), ("fc8", [5, 8])] {
        layer(name, &shape);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    safetensors::write(&path, &tensors, &BTreeMap::new()).unwrap();
    let card = "labels = ['a', 'b', 'c', 'd', 'e']\ninput = [83, 67]\nstructure = 'emonet'\n";
    std::fs::write(path.with_extension("toml"), card).unwrap();
    AlexNet::load(&path, None, Device::Cpu).unwrap()
}

fn forward_of(network: &dyn Classifier, seed: u64) -> Forward {
    let values: Vec<f32> =
        Random::new(seed, 10).spread(2 * 3 * 67 * 83, 1.0).iter().map(|v| *v as f32).collect();
    Forward::run(network, Tensor::from_slice(&values).reshape([2, 3, 67, 83])).unwrap()
}

fn at(layer: &str, evaluations: usize) -> Options {
    Options { at_layer: HiddenPlace::from(layer.to_string()), evaluations, ..Options::default() }
}

fn numbers(x: &Tensor) -> Vec<f32> {
    Vec::try_from(&x.flatten(0, -1)).unwrap()
}

/// The raw maps of dnc-shap and the games they are of.
fn found(network: &dyn Classifier, forward: &Forward, options: Options) -> (Tensor, Vec<Game>) {
    let _no_grad = tch::no_grad_guard();
    let pass = HeadPass::new(network, forward, options, &[1, 4], &[0, 0]).unwrap();
    let method: Method = "dnc-shap".parse().unwrap();
    let raw = method.implementation().raw_maps(&pass, Score::Probability).unwrap();
    (raw.maps, raw.games.unwrap())
}

#[test]
fn values_add_up_at_every_layer() {
    let (mut worst, mut largest): (f64, f64) = (0.0, 0.0);
    for seed in 0..4 {
        let network = small_alexnet(seed);
        let forward = forward_of(&network, seed);
        let probabilities = forward.outputs().softmax(1, Kind::Double);
        for (place, name) in network.inner_layers().into_iter().enumerate() {
            for evaluations in [2, 30, 200] {
                let (maps, games) = found(&network, &forward, at(name, evaluations));
                assert_eq!(maps.size(), [2, SIZES[place].0, SIZES[place].1], "{name}");
                for (picture, (game, class)) in games.iter().zip([1, 4]).enumerate() {
                    let sum = maps.get(picture as i64).sum(Kind::Double).double_value(&[]);
                    worst = worst.max((sum - (game.all - game.nothing)).abs());
                    worst = worst.max(
                        (game.all - probabilities.double_value(&[picture as i64, class])).abs(),
                    );
                    largest = largest.max((game.all - game.nothing).abs());
                    assert_eq!(game.layer.as_deref(), Some(name));
                    assert!(
                        game.evaluations <= evaluations
                            && (evaluations < 30 || game.evaluations > 20)
                    );
                }
            }
        }
    }
    eprintln!("at most {worst:.1e} off, of gains of up to {largest:.2}");
    assert!(worst < 1e-6, "{worst:e}");
    assert!(largest > 0.05, "{largest}: the networks say nothing");
}

/// With one halving the left half has the mean of what it adds to nothing and to the right half.
#[test]
fn a_half_has_the_value_of_hiding_it_by_hand() {
    let network = small_alexnet(7);
    let forward = forward_of(&network, 7);
    for (place, name) in network.inner_layers().into_iter().enumerate() {
        let whole = network.inner(name, &forward.input).unwrap().values;
        let half = SIZES[place].1 / 2;
        let score = |shown: std::ops::Range<i64>| {
            let masked = whole.zeros_like();
            let part = |x: &Tensor| x.narrow(3, shown.start, shown.end - shown.start);
            part(&masked).copy_(&part(&whole));
            let outputs = network.outputs_from(name, &Activation::alone(masked)).unwrap();
            outputs.softmax(1, Kind::Double).double_value(&[1, 4])
        };
        let (nothing, left, right, all) =
            (score(0..0), score(0..half), score(half..SIZES[place].1), score(0..SIZES[place].1));
        let (maps, _) = found(&network, &forward, at(name, 4));
        let credit = maps.get(1).narrow(1, 0, half).sum(Kind::Double).double_value(&[]);
        let expected = (left - nothing + all - right) / 2.0;
        assert!((credit - expected).abs() < 1e-6, "{name}: {credit} {expected}");
    }
}

#[test]
fn a_layer_is_the_convolution_before_its_relu_and_leads_to_the_outputs() {
    let network = small_alexnet(3);
    let forward = forward_of(&network, 3);
    assert_eq!(network.inner_layers(), ["conv1", "conv2", "conv3", "conv4", "conv5"]);
    for (place, name) in network.inner_layers().into_iter().enumerate() {
        let inner = network.inner(name, &forward.input).unwrap();
        assert_eq!(
            inner.values.size(),
            [2, CHANNELS[place] as i64, SIZES[place].0, SIZES[place].1]
        );
        assert!(inner.values.min().double_value(&[]) < 0.0, "{name} is behind its ReLU");
        let outputs = network.outputs_from(name, &inner).unwrap();
        assert_eq!(numbers(&outputs), numbers(forward.outputs()), "{name}");
    }
    let message = network.inner("conv6", &forward.input).unwrap_err().to_string();
    assert!(message.contains("no inner layer `conv6`; known: conv1, conv2"), "{message}");
}

#[test]
fn the_last_convolution_is_the_activation() {
    let network = small_alexnet(5);
    let forward = forward_of(&network, 5);
    let [by_name, explained] =
        ["conv5", "activation"].map(|name| found(&network, &forward, at(name, 40)));
    assert_eq!(numbers(&by_name.0), numbers(&explained.0));
    let without_name = |games: Vec<Game>| {
        games.into_iter().map(|game| Game { layer: None, ..game }).collect::<Vec<_>>()
    };
    assert_eq!(without_name(by_name.1), without_name(explained.1));
    let elsewhere = found(&network, &forward, at("conv4", 40));
    assert_ne!(numbers(&by_name.0), numbers(&elsewhere.0));
}

#[test]
fn a_layer_that_is_not_named_is_refused_with_those_that_are() {
    let network = small_alexnet(1);
    let refusal = |network: &dyn Classifier, layer: &str| {
        check(&[], &at(layer, 8), network).unwrap_err().to_string()
    };
    for name in ["input", "activation", "conv1", "conv5"] {
        assert!(check(&Method::all(), &at(name, 8), &network).is_ok(), "{name}");
    }
    let message = refusal(&network, "fc6");
    let known = "small.safetensors has no layer of this name; places can be hidden of: input, \
                 activation, conv1, conv2";
    assert!(message.contains("at-layer `fc6`") && message.contains(known), "{message}");
    let message = refusal(&HeadAlone::new(&random_head(1, 6, 0.3), true), "conv1");
    assert!(
        message.contains("names no layers; places can be hidden of: input, activation"),
        "{message}"
    );
}
