//! The paper's methods against pytorch-grad-cam, captum and scikit-learn (scripts/reference/cam_methods.py), and their laws
//! on random heads.

use super::walk::{backward, Rule};
use super::*;
use crate::corpus::{decode, DecodeOptions};
use crate::emotion::{AlexNet, EmotionModel};
use crate::image::{resize, Filter};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tch::Device;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/emonet").join(name)
}

/// The narrow EmoNet, its activation of the eight pictures, the predicted classes.
fn narrow() -> (AlexNet, Tensor, Vec<usize>) {
    let model = AlexNet::load(&reference("narrow_ecco.pt"), None, Device::Cpu).unwrap();
    let inputs: Vec<_> = (0..8)
        .map(|at| {
            let picture = decode(&reference(&format!("picture_{at}.png")), &DecodeOptions::default()).unwrap();
            resize(&picture, model.input(), Filter::Bicubic)
        })
        .collect();
    let activation = model.features(&inputs.iter().collect::<Vec<_>>()).unwrap();
    let logits = forward(model.head(), &activation).unwrap();
    let classes = Vec::<i64>::try_from(&logits.argmax(1, false)).unwrap();
    (model, activation, classes.into_iter().map(|class| class as usize).collect())
}

fn expected(name: &str) -> Tensor {
    let bytes = std::fs::read(reference("methods.safetensors")).unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = all.tensor(name).unwrap();
    let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
    let kind = if view.dtype() == safetensors::Dtype::U8 { Kind::Uint8 } else { Kind::Float };
    Tensor::from_data_size(view.data(), &shape, kind).to_kind(Kind::Float)
}

/// |found - wanted| / |wanted|, the largest of all pictures.
fn relative(found: &Tensor, wanted: &Tensor) -> f64 {
    assert_eq!(found.size(), wanted.size());
    let norm = |x: &Tensor| x.square().sum_dim_intlist([1_i64].as_slice(), false, Kind::Double).sqrt();
    f64::try_from((norm(&(found - wanted)) / norm(wanted)).max()).unwrap()
}

#[test]
fn ablation_agrees_with_one_forward_pass_a_channel_and_with_pytorch_grad_cam() {
    let (model, activation, classes) = narrow();
    let pass = HeadPass::new(&activation, model.head(), &classes, &[0; 8]);
    let error = relative(&ablation_cam::weights(&pass, Score::Probability).unwrap(), &expected("ablation"));
    eprintln!("Ablation-CAM weights: {error:.1e}");
    assert!(error < 1e-4, "{error}");
    let maps = explain(Method::AblationCam, Target::Preset, &pass, model.input()).unwrap();
    let maps = Tensor::from_slice(&maps.values.concat()).reshape([8, 227, 227]).slice(1, 0, 227, 5).slice(2, 0, 227, 5);
    let error = f64::try_from((maps - expected("ablation_map")).abs().max()).unwrap();
    eprintln!("Ablation-CAM maps: {error:.1e}");
    assert!(error < 1e-3, "{error}");
}

#[test]
fn lrp_and_lift_weights_agree_with_captum() {
    let (model, activation, classes) = narrow();
    let pass = HeadPass::new(&activation, model.head(), &classes, &[0; 8]);
    let relevance = sum_over_positions(&backward(&pass, Score::Logit, Rule::Epsilon).unwrap()).unwrap();
    let multipliers = backward(&pass, Score::Logit, Rule::DeepLift).unwrap();
    let contributions = sum_over_positions(&(multipliers * &activation)).unwrap();
    for (name, found) in [("lrp", relevance), ("lift", contributions)] {
        let error = relative(&found, &expected(name));
        eprintln!("{name}: {error:.1e}");
        assert!(error < 1e-3, "{name}: {error}");
    }
}

#[test]
fn lime_coefficients_agree_with_scikit_learn_on_the_same_masks() {
    let (model, activation, classes) = narrow();
    let pass = HeadPass::new(&activation, model.head(), &classes, &[0; 8]);
    let (masks, wanted) = (expected("masks"), expected("lasso"));
    for at in 0..8 {
        let masks = Vec::<f32>::try_from(&masks.get(at as i64).flatten(0, -1)).unwrap();
        let parts = pass.channel_parts().unwrap();
        let found = lime_cam::coefficients(&pass, parts, at, &masks, Score::Logit).unwrap();
        let wanted = Vec::<f32>::try_from(&wanted.get(at as i64)).unwrap();
        assert!(wanted.iter().any(|coefficient| *coefficient != 0.0));
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - f64::from(wanted)).abs() < 1e-4, "picture {at}: {found} {wanted}");
        }
    }
}

/// A head of random numbers: pooling, two linear layers with a ReLU between them.
fn random_head(seed: u64, channels: usize, bias: f64) -> Vec<Layer> {
    let mut random = crate::random::Random::new(seed, 7);
    let mut tensor = |shape: &[i64], deviation: f64| {
        let count = shape.iter().product::<i64>() as usize;
        let values: Vec<f32> = random.spread(count, deviation).into_iter().map(|value| value as f32).collect();
        Tensor::from_slice(&values).reshape(shape)
    };
    let mut layers = vec![Layer::Relu, Layer::MaxPool { size: 3, stride: 2 }, Layer::Flatten];
    for (at, (of, to)) in [(channels as i64 * 4, 12_i64), (12, 9), (9, 5)].into_iter().enumerate() {
        if at > 0 {
            layers.push(Layer::Relu);
        }
        layers.push(Layer::Linear { weight: tensor(&[to, of], (2.0 / of as f64).sqrt()), bias: tensor(&[to], bias) });
    }
    layers
}

fn random_activation(seed: u64, pictures: i64, channels: i64) -> Tensor {
    let mut random = crate::random::Random::new(seed, 8);
    let values: Vec<f32> = random.spread((pictures * channels * 25) as usize, 1.0).iter().map(|v| *v as f32).collect();
    Tensor::from_slice(&values).reshape([pictures, channels, 5, 5])
}

fn per_picture(x: &Tensor) -> Vec<f64> {
    let n = x.size()[0];
    Vec::<f64>::try_from(&x.to_kind(Kind::Double).reshape([n, -1]).sum_dim_intlist([1_i64].as_slice(), false, None))
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// DeepLIFT is complete: the contributions sum to the score less that of A = 0.
    #[test]
    fn lift_contributions_are_complete(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 3, 6));
        let pass = HeadPass::new(&a, &head, &[0, 4, 2], &[0; 3]);
        for score in [Score::Logit, Score::Probability] {
            let multipliers = backward(&pass, score, Rule::DeepLift).unwrap();
            let sums = per_picture(&(multipliers * &a));
            let at = |a: &Tensor, picture: usize| {
                let logits = forward(&head, a).unwrap();
                f64::try_from(pass.scores(&logits, picture, score).unwrap().get(picture as i64)).unwrap()
            };
            for (picture, sum) in sums.into_iter().enumerate() {
                let wanted = at(&a, picture) - at(&a.zeros_like(), picture);
                prop_assert!((sum - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "{sum} {wanted}");
            }
        }
    }

    /// LRP conserves: without biases the relevances sum to the logit.
    #[test]
    fn lrp_conserves_without_biases(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.0), random_activation(seed, 3, 6));
        let pass = HeadPass::new(&a, &head, &[1, 0, 3], &[0; 3]);
        let sums = per_picture(&backward(&pass, Score::Logit, Rule::Epsilon).unwrap());
        let logits = forward(&head, &a).unwrap();
        for (picture, sum) in sums.into_iter().enumerate() {
            let logit = f64::try_from(pass.scores(&logits, picture, Score::Logit).unwrap().get(picture as i64)).unwrap();
            prop_assert!((sum - logit).abs() < 2e-3 * (1.0 + logit.abs()), "{sum} {logit}");
        }
    }

    /// Without biases DeepLIFT against zero is gradient times A.
    #[test]
    fn lift_is_gradient_times_a_without_biases(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.0), random_activation(seed, 2, 6));
        let pass = HeadPass::new(&a, &head, &[1, 2], &[0; 2]);
        let lift = sum_over_positions(&(backward(&pass, Score::Logit, Rule::DeepLift).unwrap() * &a)).unwrap();
        let gradient = sum_over_positions(&(pass.gradient(Score::Logit).unwrap() * &a)).unwrap();
        prop_assert!(f64::try_from((lift - gradient).abs().max()).unwrap() < 1e-4);
    }

    /// Leaving channels out of the first linear layer is leaving them out of A.
    #[test]
    fn masked_channels_are_masked_activations(seed in 0..10_000_u64, bits in 0..64_u8) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 2, 6));
        let mask: Vec<f32> = (0..6).map(|k| f32::from(bits >> k & 1)).collect();
        let mask = Tensor::from_slice(&mask);
        let pass = HeadPass::new(&a, &head, &[1, 2], &[0; 2]);
        let parts = pass.channel_parts().unwrap();
        for at in 0..2 {
            let quick = parts.finish(&parts.masked(at, &mask.reshape([1, 6])).unwrap()).unwrap();
            let slow = forward(&head, &(a.get(at as i64) * mask.reshape([6, 1, 1])).unsqueeze(0)).unwrap();
            prop_assert!(f64::try_from((quick - &slow).abs().max()).unwrap() < 1e-5 * (1.0 + f64::try_from(slow.abs().max()).unwrap()));
        }
    }

    /// A batch gives what its pictures give one by one, by every method.
    #[test]
    fn a_batch_is_its_pictures(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 3, 6));
        let (classes, seeds) = ([4, 0, 1], [7, 8, 9]);
        let size = Size::new(10, 10);
        for &method in Method::ALL {
            let together = explain(method, Target::Preset, &HeadPass::new(&a, &head, &classes, &seeds), size).unwrap();
            for at in 0..3 {
                let one = a.narrow(0, at as i64, 1);
                let pass = HeadPass::new(&one, &head, &classes[at..=at], &seeds[at..=at]);
                let alone = explain(method, Target::Preset, &pass, size).unwrap();
                for (x, y) in together.values[at].iter().zip(&alone.values[0]) {
                    prop_assert!(x.is_finite() && (x - y).abs() < 1e-3, "{method}: {x} {y}");
                }
            }
        }
    }
}
