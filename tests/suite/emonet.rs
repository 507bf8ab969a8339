//! EmoNet against PyTorch and pytorch-grad-cam (scripts/reference/emonet.py): both published
//! checkpoint layouts as `torch.save` writes them, narrow, and the full size with synthesized
//! weights.

use crate::common::{json, reference, tensors};
use emocam::attribution::{HeadPass, Maps, Method, Options, Target, explain};
use emocam::corpus::{DecodeOptions, decode};
use emocam::files::sha256;
use emocam::image::{Filter, Rgb8, resize};
use emocam::networks::{AlexNet, Card, Classifier, Forward, predict};
use emocam::nn::weights::{Array, mean_image};
use std::path::Path;
use tch::Device;

/// The mean image of the narrow network: a formula of scripts/reference/emonet.py.
fn write_narrow_mean(path: &Path) {
    let value =
        |at: usize| (104 + 8 * (at / (227 * 227)) + at / 227 % 227 / 4 - at % 227 / 6) as f32;
    let mean = Array { shape: vec![3, 227, 227], values: (0..3 * 227 * 227).map(value).collect() };
    mean_image::write(path, &mean).unwrap();
}

fn inputs(expected: &serde_json::Value, model: &AlexNet) -> Vec<Rgb8> {
    let pictures = expected["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 8);
    pictures
        .iter()
        .map(|picture| {
            let file = reference("emonet").join(picture["picture"].as_str().unwrap());
            let input = resize(
                &decode(&file, &DecodeOptions::default()).unwrap(),
                model.card().input(),
                Filter::Bicubic,
            );
            assert_eq!(
                sha256(input.data()),
                picture["resized_sha256"],
                "{}: resized pixels",
                file.display()
            );
            input
        })
        .collect()
}

/// Largest absolute difference.
fn off(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

/// Grad-CAM maps of `classes`, one a picture.
fn grad_cam(model: &AlexNet, pictures: &[&Rgb8], target: Target, classes: &[usize]) -> Maps {
    let forward = Forward::of_pictures(model, pictures).unwrap();
    let options = Options { target, ..Options::default() };
    let pass = HeadPass::new(model, &forward, options, classes, &[0; 8][..classes.len()]).unwrap();
    explain(Method::GRAD_CAM, &pass, model.card().input()).unwrap()
}

/// Activation, probabilities, label, affect and maps of `model` against `<name>.json` and
/// `<name>.safetensors`.
fn check(model: &AlexNet, name: &str, maps: bool) {
    let expected = json(&format!("{name}.json"));
    let sampled = tensors(&format!("{name}.safetensors"));
    let inputs = inputs(&expected, model);
    let pictures: Vec<&Rgb8> = inputs.iter().collect();
    let forward = Forward::of_pictures(model, &pictures).unwrap();

    let flat = Vec::<f32>::try_from(&forward.activation.values.flatten(0, -1)).unwrap();
    let of_picture = flat.len() / pictures.len();
    let sample: Vec<f32> =
        flat.chunks(of_picture).flat_map(|one| one.iter().copied().step_by(13)).collect();
    let (_, wanted) = sampled.floats("conv5_sample");
    let scale = wanted.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    assert!(
        off(&sample, &wanted) / scale < 1e-5,
        "{name}: conv5 is off by {} of {scale}",
        off(&sample, &wanted)
    );

    let emotions = forward.predictions(model.card()).unwrap();
    for (emotion, picture) in emotions.iter().zip(expected["pictures"].as_array().unwrap()) {
        let wanted: Vec<f32> = serde_json::from_value(picture["probabilities"].clone()).unwrap();
        let error = off(&emotion.probabilities, &wanted);
        assert!(error < 1e-5, "{name}: probabilities are off by {error}");
        assert_eq!(emotion.label, picture["class"], "{name}");
        for (what, regression) in
            [("valence", &model.card().valence), ("arousal", &model.card().arousal)]
        {
            let found = regression.as_ref().unwrap().predict(&emotion.probabilities);
            assert!((found - picture[what].as_f64().unwrap()).abs() < 1e-4, "{name}: {what}");
        }
    }

    let classes: Vec<usize> = emotions.iter().map(|emotion| emotion.label).collect();
    if !maps {
        return;
    }
    for (target, tensor) in [(Target::Probability, "probability_map"), (Target::Logit, "logit_map")]
    {
        let found = grad_cam(model, &pictures, target, &classes);
        let (_, wanted) = sampled.floats(tensor);
        let every_fifth: Vec<f32> = found
            .values()
            .unwrap()
            .iter()
            .flat_map(|map| {
                let lines = map.chunks_exact(227).step_by(5);
                lines.flat_map(|line| line.iter().copied().step_by(5)).collect::<Vec<_>>()
            })
            .collect();
        let error = off(&every_fifth, &wanted);
        eprintln!("{name}: Grad-CAM, {tensor}: max abs difference {error:.2e}");
        assert!(error < 1.6e-5, "{name}: Grad-CAM is off by {error}");
        assert!(found.values().unwrap().iter().flatten().all(|value| (0.0..=1.0).contains(value)));
    }
}

#[test]
fn the_leuven_layout_agrees_with_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let mean = folder.path().join("img_mean.txt");
    write_narrow_mean(&mean);
    let model =
        AlexNet::load(&reference("emonet/narrow_leuven.pth"), Some(&mean), Device::Cpu).unwrap();
    check(&model, "emonet/leuven", true);
}

#[test]
fn the_ecco_layout_agrees_with_pytorch() {
    let model = AlexNet::load(&reference("emonet/narrow_ecco.pt"), None, Device::Cpu).unwrap();
    check(&model, "emonet/ecco", false);
}

#[test]
fn a_copy_of_emonets_card_beside_its_weights_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, mean) = (folder.path().join("emonet.pth"), folder.path().join("img_mean.txt"));
    std::fs::copy(reference("emonet/narrow_leuven.pth"), &weights).unwrap();
    std::fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/emonet.toml"),
        weights.with_extension("toml"),
    )
    .unwrap();
    write_narrow_mean(&mean);
    check(&AlexNet::load(&weights, None, Device::Cpu).unwrap(), "emonet/leuven", true);
}

#[test]
fn an_imported_checkpoint_is_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let (mean, out) =
        (folder.path().join("img_mean.txt"), folder.path().join("narrow.safetensors"));
    write_narrow_mean(&mean);
    AlexNet::import(&reference("emonet/narrow_leuven.pth"), Some(&mean), &out).unwrap();
    check(&AlexNet::load(&out, None, Device::Cpu).unwrap(), "emonet/leuven", true);
}

#[test]
fn the_full_size_agrees_with_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, mean) = (folder.path().join("emonet.pth"), folder.path().join("img_mean.txt"));
    emocam::synthesize::write_emonet(&Card::emonet(), 1, &weights, &mean).unwrap();
    let model = AlexNet::load(&weights, None, Device::Cpu).unwrap();
    assert!(model.synthesized());
    check(&model, "full_size/emonet", true);
}

#[test]
fn a_leuven_checkpoint_without_its_mean_says_so() {
    let message = AlexNet::load(&reference("emonet/narrow_leuven.pth"), None, Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(message.contains("img_mean.txt") && message.contains("--emotion-mean"), "{message}");
}

/// What lets a batch be filled up and a run be resumed anywhere (src/pipeline.rs).
#[test]
fn a_picture_s_results_depend_neither_on_its_place_in_a_batch_nor_on_its_neighbours() {
    let model = AlexNet::load(&reference("emonet/narrow_ecco.pt"), None, Device::Cpu).unwrap();
    let inputs = inputs(&json("emonet/ecco.json"), &model);
    let run = |order: [usize; 4]| -> Vec<(Vec<f32>, Vec<f32>)> {
        let pictures: Vec<&Rgb8> = order.iter().map(|&at| &inputs[at]).collect();
        let emotions = predict(&model, &pictures).unwrap();
        let classes: Vec<usize> = emotions.iter().map(|emotion| emotion.label).collect();
        let maps = grad_cam(&model, &pictures, Target::Preset, &classes);
        emotions
            .into_iter()
            .map(|emotion| emotion.probabilities)
            .zip(maps.values().unwrap())
            .collect()
    };
    let reference = run([0, 1, 2, 3]);
    let moved = run([3, 5, 0, 0]);
    assert!(reference[0] == moved[2] && reference[0] == moved[3] && reference[3] == moved[0]);
}

#[test]
fn weights_of_another_network_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.pth");
    let tensor = |name: &str, shape: &[usize]| {
        (
            name.to_string(),
            Array { shape: shape.to_vec(), values: vec![0.5; shape.iter().product()] },
        )
    };
    let write = |tensors: &[(String, Array)]| {
        emocam::nn::weights::pytorch::write(&path, tensors, None).unwrap();
        AlexNet::load(&path, None, Device::Cpu).unwrap_err().to_string()
    };
    let message = write(&[tensor("layer1.weight", &[2, 3])]);
    assert!(message.contains("known layout") && message.contains("layer1.weight"), "{message}");
    let mut layers: Vec<_> = (1..=5)
        .flat_map(|n| {
            let of = [3, 4, 4, 4, 4][n - 1];
            let side = [11, 5, 3, 3, 3][n - 1];
            [
                tensor(&format!("conv{n}.weight"), &[4, of, side, side]),
                tensor(&format!("conv{n}.bias"), &[4]),
            ]
        })
        .collect();
    for (name, shape) in [("fc1", [5, 4 * 36]), ("fc2", [5, 5]), ("fc3", [19, 5])] {
        layers.push(tensor(&format!("{name}.weight"), &shape));
        layers.push(tensor(&format!("{name}.bias"), &shape[..1]));
    }
    let message = write(&layers);
    assert!(
        message.contains("fc3.weight") && message.contains("20 outputs") && message.contains("19"),
        "{message}"
    );
    layers[10] = tensor("fc1.weight", &[5, 4 * 35]);
    let message = write(&layers);
    assert!(message.contains("fc1.weight") && message.contains("144 inputs"), "{message}");
}

#[test]
fn a_card_beside_the_weights_describes_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("mine.pt");
    std::fs::copy(reference("emonet/narrow_ecco.pt"), &weights).unwrap();
    let labels: Vec<String> = (0..20).map(|at| format!("'feeling {at}'")).collect();
    let card = |mean: &str| {
        format!(
            "labels = [{}]\ninput = 227\nstructure = 'emonet'\nmean = {mean}\n",
            labels.join(", ")
        )
    };
    // The published mean, from a file named by the card, makes it the other fixture.
    write_narrow_mean(&folder.path().join("my_mean.txt"));
    std::fs::write(folder.path().join("mine.toml"), card("'my_mean.txt'")).unwrap();
    let model = AlexNet::load(&weights, None, Device::Cpu).unwrap();
    assert_eq!(model.card().labels[3], "feeling 3");
    assert!(model.card().valence.is_none());
    let roles: Vec<&str> = model.files().iter().map(|(role, _)| *role).collect();
    assert_eq!(roles, ["emotion.weights", "emotion.card", "emotion.mean"]);
    let expected = json("emonet/leuven.json");
    let inputs = inputs(&expected, &model);
    let emotions = predict(&model, &inputs.iter().collect::<Vec<_>>()).unwrap();
    for (emotion, picture) in emotions.iter().zip(expected["pictures"].as_array().unwrap()) {
        let wanted: Vec<f32> = serde_json::from_value(picture["probabilities"].clone()).unwrap();
        assert!(off(&emotion.probabilities, &wanted) < 1e-5);
    }
    // A colour is subtracted everywhere.
    std::fs::write(folder.path().join("mine.toml"), card("[255.0, 255.0, 255.0]")).unwrap();
    let white = Rgb8::filled(model.card().input(), [255; 3]);
    let activation = |model: &AlexNet, picture: &Rgb8| {
        Forward::of_pictures(model, &[picture]).unwrap().activation.values
    };
    let bright = activation(&AlexNet::load(&weights, None, Device::Cpu).unwrap(), &white);
    let plain = AlexNet::load(&reference("emonet/narrow_ecco.pt"), None, Device::Cpu).unwrap();
    let black = activation(&plain, &Rgb8::filled(model.card().input(), [0; 3]));
    assert!(bright.equal(&black));
}
