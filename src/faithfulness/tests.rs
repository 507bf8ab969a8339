//! Against numpy, torchvision, pytorch-grad-cam and scipy on the same maps
//! (scripts/reference/evaluate.py).

use super::curve::{blurred, counts, replace};
use super::explained::ExplainedBatch;
use super::impute::{RgbLevels, impute};
use super::order::{part, ranks};
use super::probe::{INPUTS, Probe};
use super::road::{FIFTHS, First, combined, without};
use super::{JudgingNetworks, Measure, Plan, confidence, pointing, sanity};
use crate::attribution::{Maps, Method};
use crate::config::{CamConfig, Config};
use crate::corpus::{DecodeOptions, decode};
use crate::image::{Extent, Filter, Fit, Region, Size, resize};
use crate::networks::narrow::Narrow;
use crate::networks::{AlexNet, Classifier};
use crate::nn::Precision;
use crate::stats::Ranks;
use serde_json::Value;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

const SIDE: usize = 227;
const SIZE: Size = Size::new(227, 227);

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(reference("evaluate/evaluate.json")).unwrap())
        .unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The generator's `cone` and `ties`.
fn cone_and_ties() -> (Vec<f32>, Vec<f32>) {
    let pixel = |at: usize| {
        let (y, x) = ((at / SIDE) as i64, (at % SIDE) as i64);
        let cone = (20_000 - (y - 90).pow(2) - (x - 150).pow(2)).max(0) as f32 / 20_000.0;
        (cone, (at * 7919 % (SIDE * SIDE)) as f32)
    };
    (0..SIDE * SIDE).map(pixel).unzip()
}

fn model() -> AlexNet {
    AlexNet::load(&reference("emonet/narrow_ecco.pt"), None, Device::Cpu).unwrap()
}

fn explained<'a>(model: &'a AlexNet, picture: &Value) -> ExplainedBatch<'a> {
    let file = reference("emonet").join(picture["picture"].as_str().unwrap());
    let input = resize(&decode(&file, &DecodeOptions::default()).unwrap(), SIZE, Filter::Bicubic);
    ExplainedBatch::new(model, &[&input], None, vec![1]).unwrap()
}

fn probe<'a>(model: &'a AlexNet, inputs: &'a Cell<usize>, picture: &Value) -> Probe<'a> {
    let probe = explained(model, picture).probe(0, model, inputs).unwrap();
    assert_eq!(probe.class as u64, picture["class"].as_u64().unwrap());
    probe
}

/// The channels of a pixel beside each other, row by row.
fn pixels(input: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(&input.permute([0, 2, 3, 1]).contiguous().flatten(0, -1)).unwrap()
}

/// The explained class's probability for each of the pictures.
fn probabilities(probe: &Probe<'_>, pictures: &[Vec<f32>]) -> Vec<f64> {
    let make = &mut |numbers: &[usize]| {
        let values: Vec<f32> =
            numbers.iter().flat_map(|&number| &pictures[number]).copied().collect();
        Ok(Tensor::from_slice(&values)
            .reshape([-1, SIDE as i64, SIDE as i64, 3])
            .permute([0, 3, 1, 2]))
    };
    probe.probabilities(pictures.len(), make).unwrap()
}

fn colours(input: &Tensor) -> Vec<RgbLevels> {
    let plane = |channel: i64| {
        Vec::<f64>::try_from(
            &input.get(0).get(channel).to_kind(Kind::Double).contiguous().flatten(0, -1),
        )
        .unwrap()
    };
    let [red, green, blue] = [0, 1, 2].map(plane);
    (0..red.len()).map(|index| [red[index], green[index], blue[index]]).collect()
}

/// Largest absolute difference.
fn off(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

#[test]
fn curves_and_products_are_those_of_the_reference() {
    let (probabilities, shares) = off_the_reference(&model());
    eprintln!("probabilities within {probabilities:.1e}, drop, gain within {shares:.1e}");
    assert!(probabilities.max(shares) < 1e-5, "{probabilities} {shares}");
}

#[test]
fn in_bf16_curves_and_products_are_near_the_reference() {
    let (probabilities, shares) =
        off_the_reference(&*model().in_precision(Precision::Bf16).unwrap().unwrap());
    eprintln!("bf16: probabilities within {probabilities:.1e}, drop, gain within {shares:.1e}");
    assert!(probabilities > 1e-4, "the network computes in bf16");
    assert!(probabilities < 0.08 && shares < 0.17, "{probabilities} {shares}");
}

#[test]
fn a_network_that_computes_in_f32_alone_is_not_judged_in_bf16() {
    let network = Narrow::new(Box::new(model()), 1, 0);
    let mut config = Config::default();
    config.compute.precision = Precision::Bf16;
    let plan = Plan { measures: vec![Measure::Confidence], steps: 1, pointing: None, resamples: 0 };
    let refused = JudgingNetworks::new(Box::new(network), None, &plan, &config).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("--precision bf16: this network computes in f32 alone"), "{refused}");
}

/// How far probabilities of changed pictures, and how far average drop, gain and increase, are from
/// the reference's, which are computed in f32, where `network` answers for what the pictures become.
fn off_the_reference(network: &dyn Classifier) -> (f64, f64) {
    let inputs = Cell::new(INPUTS);
    let (model, (cone, ties)) = (model(), cone_and_ties());
    let (ranks, counts) = (ranks(&cone, &ties), counts(SIZE.area(), 20));
    let (mut worst, mut shares) = (0.0_f64, 0.0_f64);
    for picture in expected()["pictures"].as_array().unwrap() {
        let probe = Probe { network, ..probe(&model, &inputs, picture) };
        let [input, blurred] = [&probe.input, &blurred(&probe.input).unwrap()].map(pixels);
        let zero = vec![0.0; input.len()];
        for (name, old, new) in [("deletion", &input, &zero), ("insertion", &blurred, &input)] {
            let changed = |&count: &i64| {
                let mut changed = zero.clone();
                replace(old, new, &ranks, count, &mut changed);
                changed
            };
            let curve = probabilities(&probe, &counts.iter().map(changed).collect::<Vec<_>>());
            worst = worst.max(off(&curve, &numbers(&picture[name])));
        }
        let mut product = zero.clone();
        confidence::multiply(&input, &cone, &mut product);
        let shown = probabilities(&probe, &[product])[0];
        let whole = probabilities(&probe, &[input])[0];
        worst = worst.max(off(
            &[whole, shown],
            &[&picture["probability"], &picture["multiplied"]].map(|v| v.as_f64().unwrap()),
        ));
        let found = [
            confidence::drop(whole, shown).unwrap(),
            confidence::gain(whole, shown).unwrap(),
            confidence::increase(whole, shown),
        ];
        let wanted = ["drop", "gain", "increase"].map(|name| picture[name].as_f64().unwrap());
        shares = shares.max(off(&found, &wanted));
    }
    (worst, shares)
}

#[test]
fn road_is_that_of_the_reference() {
    let inputs = Cell::new(INPUTS);
    let (model, (cone, ties)) = (model(), cone_and_ties());
    let ranks = ranks(&cone, &ties);
    let still = vec![[0.0; 3]; SIZE.area()];
    let mut worst = 0.0_f64;
    let expected = expected();
    let with_road = || {
        expected["pictures"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|picture| picture.get("road").is_some())
    };
    for picture in with_road() {
        let probe = probe(&model, &inputs, picture);
        let colours = colours(&probe.input);
        let curve = |first| -> Vec<f64> {
            let filled = FIFTHS
                .map(|fifths| without(&colours, SIZE, &ranks, (first, fifths), &still).unwrap());
            probabilities(
                &probe,
                &filled
                    .map(|colours| colours.iter().flatten().map(|&value| value as f32).collect()),
            )
        };
        let (most, least) = (curve(First::MostRelevant), curve(First::LeastRelevant));
        worst = worst.max(off(&most, &numbers(&picture["road_most"])));
        worst = worst.max(off(&least, &numbers(&picture["road_least"])));
        worst = worst.max(off(&[combined(&most, &least)], &[picture["road"].as_f64().unwrap()]));
    }
    assert_eq!(with_road().count(), 3);
    eprintln!("probabilities without removed pixels within {worst:.1e}");
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn filled_pixels_are_those_of_the_reference() {
    let (model, (cone, ties)) = (model(), cone_and_ties());
    let ranks = ranks(&cone, &ties);
    let picture = &expected()["pictures"][0];
    let inputs = Cell::new(INPUTS);
    let colours = colours(&probe(&model, &inputs, picture).input);
    let bytes = std::fs::read(reference("evaluate/imputed.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut worst = 0.0_f64;
    for fifths in 1..=4 {
        let removed: Vec<bool> =
            ranks.iter().map(|&rank| rank < part(SIZE.area(), (fifths, 5))).collect();
        let filled = impute(&colours, SIZE, &removed).unwrap();
        let tensor = tensors.tensor(&format!("most_{}", 20 * fifths)).unwrap();
        let wanted: Vec<f64> = tensor
            .data()
            .chunks_exact(4)
            .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
            .collect();
        let planes = (0..3).flat_map(|channel| filled.iter().map(move |colour| colour[channel]));
        worst = worst.max(off(&planes.step_by(41).collect::<Vec<_>>(), &wanted));
    }
    // Levels of 0..255, where f32 resolves 1.5e-5.
    eprintln!("filled pixels within {worst:.1e} levels");
    assert!(worst < 6e-5, "{worst}");
}

#[test]
fn the_pointing_game_is_that_of_the_reference() {
    let (cone, _) = cone_and_ties();
    let expected = expected();
    for case in expected["pointing"].as_array().unwrap() {
        let side = |name: &str| case[name].as_u64().unwrap() as u32;
        let boxes: Vec<Extent> = serde_json::from_value(case["boxes"].clone()).unwrap();
        let regions: Vec<Region> = boxes.into_iter().map(Region::from).collect();
        let photo = Size::new(side("width"), side("height"));
        let inside = crate::image::inside(&regions, &Fit::squash(SIZE).placement(photo));
        let area = case["area"].as_f64().unwrap();
        assert_eq!(pointing::area(&inside), (area > 0.0).then_some(area));
        let energy = pointing::energy(&cone, &inside).unwrap();
        approx::assert_abs_diff_eq!(energy, case["energy"].as_f64().unwrap(), epsilon = 1e-9);
    }
    assert_eq!(expected["pointing"].as_array().unwrap().len(), 4);
}

#[test]
fn rank_correlations_are_scipys() {
    let expected = expected();
    for case in expected["spearman"].as_array().unwrap() {
        let [a, b] = ["a", "b"]
            .map(|name| -> Vec<f32> { serde_json::from_value(case[name].clone()).unwrap() });
        approx::assert_abs_diff_eq!(
            Ranks::of(&a).spearman(&Ranks::of(&b)).unwrap(),
            case["rho"].as_f64().unwrap(),
            epsilon = 1e-12
        );
    }
    assert_eq!(expected["spearman"].as_array().unwrap().len(), 3);
}

#[test]
fn a_map_changes_with_the_head_and_not_without() {
    let model = model();
    let batch = explained(&model, &expected()["pictures"][3]);
    let cam = CamConfig { methods: Method::cams(), ..CamConfig::default() };
    let (config, grid) = (Config { cam, ..Config::default() }, Size::new(13, 13));
    let own = batch.maps(&model, &config, &[grid]).unwrap();
    let ranks = |maps: &Vec<Maps>| Ranks::of(&maps[0].values().unwrap()[0]);
    let heads = sanity::redrawn_networks(&model, 1).unwrap();
    assert_eq!(heads.len(), 3);
    let others: Vec<_> =
        heads.iter().map(|head| batch.maps(&**head, &config, &[grid]).unwrap()).collect();
    for (at, method) in config.cam.methods.iter().enumerate() {
        let again = &batch.maps(&model, &config, &[grid]).unwrap()[at];
        assert_eq!(ranks(&own[at]).spearman(&ranks(again)), Some(1.0), "{method}");
        for other in &others {
            let correlation = ranks(&own[at]).spearman(&ranks(&other[at]));
            // Eigen-CAM does not look at the head: that is what the check is to show.
            match method.name() {
                "eigen-cam" => assert_eq!(correlation, Some(1.0), "{method}"),
                _ => {
                    assert!(correlation.is_none_or(|rho| rho < 0.999), "{method}: {correlation:?}");
                }
            }
        }
    }
}

#[test]
fn a_probability_does_not_depend_on_how_many_are_asked_at_once() {
    let inputs = Cell::new(INPUTS);
    let model = model();
    let probe = probe(&model, &inputs, &expected()["pictures"][3]);
    let own = pixels(&probe.input);
    let found = probabilities(&probe, &vec![own.clone(); 67]);
    let alone = probabilities(&probe, &[own]);
    assert_eq!(found.len(), 67);
    assert!(found.iter().all(|&p| p == alone[0]), "the same to the last bit");
    assert_eq!(model.card().input(), SIZE);
}
