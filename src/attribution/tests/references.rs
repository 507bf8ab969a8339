//! The methods against pytorch-grad-cam, captum and scikit-learn
//! (scripts/reference/cam_methods.py).

use super::*;
use crate::attribution::cam::{ablation_cam, lift_cam, lime_cam, lrp_cam};
use crate::corpus::{DecodeOptions, decode};
use crate::networks::AlexNet;
use crate::nn::Precision;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/emonet").join(name)
}

/// The narrow EmoNet, what the eight pictures gave, the predicted classes.
struct Narrow {
    model: AlexNet,
    forward: Forward,
    classes: Vec<usize>,
}

impl Narrow {
    fn new() -> Self {
        let model = AlexNet::load(&reference("narrow_ecco.pt"), None, Device::Cpu).unwrap();
        let pictures: Vec<_> = (0..8)
            .map(|number| {
                let file = reference(&format!("picture_{number}.png"));
                let picture = decode(&file, &DecodeOptions::default()).unwrap();
                model.card().fit.apply(&picture, picture.size())
            })
            .collect();
        let forward = Forward::of_pictures(&model, &pictures.iter().collect::<Vec<_>>()).unwrap();
        let classes =
            forward.predictions(model.card()).unwrap().iter().map(|found| found.label).collect();
        Self { model, forward, classes }
    }

    fn pass(&self, options: Options) -> HeadPass<'_> {
        self.pass_for(options, &self.classes)
    }

    fn pass_for<'a>(&'a self, options: Options, classes: &'a [usize]) -> HeadPass<'a> {
        HeadPass::new(&self.model, &self.forward, options, classes, &[0; 8]).unwrap()
    }

    /// The largest difference of the maps from those of the reference, which has every `step`-th
    /// row and column.
    fn map_error(&self, method: Method, pass: &HeadPass<'_>, name: &str, step: i64) -> f64 {
        let maps = explain(method, pass, self.model.card().input()).unwrap();
        assert_eq!(maps.flat, [false; 8]);
        let error = (maps.tensor().slice(1, 0, 227, step).slice(2, 0, 227, step) - expected(name))
            .abs()
            .max();
        let error = f64::try_from(error).unwrap();
        eprintln!("{name}: maps {error:.1e}");
        error
    }
}

fn named(name: &str) -> Method {
    name.parse().unwrap()
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
    let norm =
        |x: &Tensor| x.square().sum_dim_intlist([1_i64].as_slice(), false, Kind::Double).sqrt();
    f64::try_from((norm(&(found - wanted)) / norm(wanted)).max()).unwrap()
}

#[test]
fn a_gradient_is_what_a_small_step_says() {
    let narrow = Narrow::new();
    let pass = narrow.pass_for(Options::default(), &[7; 8]);
    let a = pass.a();
    let score = |a: Tensor| {
        let outputs = narrow.model.outputs(&Activation::alone(a)).unwrap();
        pass.scores(&outputs, 3, Score::Probability).unwrap().get(3)
    };
    let gradient = pass.gradient(Score::Probability).unwrap();
    // Along the gradient itself, where the change is largest.
    let norm = f64::try_from(gradient.get(3).norm()).unwrap();
    let step = 1e-2 / norm;
    let change = f64::try_from(score(a + gradient * step) - score(a - gradient * step)).unwrap();
    let expected = 2.0 * step * norm * norm;
    assert!(
        (change / expected - 1.0).abs() < 0.05,
        "{change} by steps, {expected} by the gradient"
    );
}

#[test]
fn ablation_agrees_with_one_forward_pass_a_channel_and_with_pytorch_grad_cam() {
    let narrow = Narrow::new();
    let pass = narrow.pass(Options::default());
    let error =
        relative(&ablation_cam::weights(&pass, Score::Probability).unwrap(), &expected("ablation"));
    eprintln!("Ablation-CAM weights: {error:.1e}");
    assert!(error < 2.8e-5, "{error}");
    let error = narrow.map_error(named("ablation-cam"), &pass, "ablation_map", 5);
    eprintln!("Ablation-CAM maps: {error:.1e}");
    assert!(error < 1.7e-5, "{error}");
}

#[test]
fn the_wider_family_agrees_with_pytorch_grad_cam() {
    let narrow = Narrow::new();
    let pass = narrow.pass(Options::default());
    // Grad-CAM++ divides by sums that come close to zero.
    for (method, name, tolerance) in [
        (named("grad-cam++"), "grad_cam_plus_plus", 1.6e-3),
        (named("xgrad-cam"), "xgrad_cam", 3.6e-5),
        (named("hires-cam"), "hires_cam", 3.3e-6),
        (named("layer-cam"), "layer_cam", 3e-6),
        (named("eigen-cam"), "eigen_cam", 4.5e-6),
        (named("score-cam"), "score_cam", 5.4e-5),
    ] {
        let error = narrow.map_error(method, &pass, name, 9);
        eprintln!("{name}: maps {error:.1e}");
        assert!(error < tolerance, "{name}: {error}");
    }
}

#[test]
fn another_point_and_another_class_agree_with_pytorch_grad_cam() {
    let narrow = Narrow::new();
    let logit = Options { target: Target::Logit, ..Options::default() };
    let behind = narrow.pass(Options { layer_point: LayerPoint::PostRelu, ..logit.clone() });
    for (method, name) in [
        (named("grad-cam"), "post_relu_grad_cam"),
        (named("layer-cam"), "post_relu_layer_cam"),
        (named("xgrad-cam"), "post_relu_xgrad_cam"),
    ] {
        let error = narrow.map_error(method, &behind, name, 9);
        eprintln!("{name}: maps {error:.1e}");
        assert!(error < 3e-5, "{name}: {error}");
    }
    let third = narrow.pass_for(logit, &[3; 8]);
    let error = narrow.map_error(named("grad-cam"), &third, "class_3_grad_cam", 9);
    eprintln!("class_3_grad_cam: maps {error:.1e}");
    assert!(error < 1.6e-5, "{error}");
}

#[test]
fn lrp_and_lift_weights_agree_with_captum() {
    let narrow = Narrow::new();
    let published = Options { compat: Compat::Published, ..Options::default() };
    let gamma = Options { lrp_rule: LrpRule::Gamma, ..Options::default() };
    let z_plus = Options { lrp_rule: LrpRule::ZPlus, ..Options::default() };
    let lrp = |options| lrp_cam::weights(&narrow.pass(options), Score::Logit).unwrap();
    let lift = |options| lift_cam::weights(&narrow.pass(options), Score::Logit).unwrap();
    for (name, found) in [
        ("lrp", lrp(Options::default())),
        ("lrp_gamma", lrp(gamma)),
        ("lrp_z_plus", lrp(z_plus)),
        ("lift", lift(Options::default())),
        ("published_lrp", lrp(published.clone())),
        ("published_lift", lift(published)),
    ] {
        let error = relative(&found, &expected(name));
        eprintln!("{name}: weights {error:.1e}");
        assert!(error < 1.2e-5, "{name}: {error}");
    }
}

#[test]
fn published_lrp_is_grad_cam_of_the_logit_times_the_logit() {
    let narrow = Narrow::new();
    let pass = narrow.pass(Options { compat: Compat::Published, ..Options::default() });
    let lrp = lrp_cam::weights(&pass, Score::Logit).unwrap();
    let grad_cam =
        pass.gradient(Score::Logit).unwrap().mean_dim([2_i64, 3].as_slice(), false, None);
    for at in 0..8 {
        let centred = |x: &Tensor| x.get(at) - x.get(at).mean(None);
        let (x, y) = (centred(&lrp), centred(&grad_cam));
        let r = f64::try_from(
            (&x * &y).sum(None) / (x.square().sum(None) * y.square().sum(None)).sqrt(),
        )
        .unwrap();
        assert!(r.abs() > 0.9999, "picture {at}: r = {r}");
    }
    // The true rule is something else.
    let true_lrp = lrp_cam::weights(&narrow.pass(Options::default()), Score::Logit).unwrap();
    assert!(relative(&true_lrp, &lrp) > 0.1);
}

#[test]
fn lime_coefficients_agree_with_scikit_learn_on_the_same_masks() {
    let (worst, _) = lime_off_scikit_learn(Precision::F32);
    eprintln!("LIME-CAM's coefficients within {worst:.1e}");
    assert!(worst < 9e-6, "{worst}");
}

/// Beside the standard error of 0.075 of the norm up to which sets are drawn it is little.
#[test]
fn in_bf16_lime_coefficients_are_near_scikit_learns() {
    let (_, share) = lime_off_scikit_learn(Precision::Bf16);
    eprintln!("bf16: LIME-CAM's coefficients off by {share:.1e} of their norm");
    assert!(share > 1e-5, "the product is one of bf16");
    assert!(share < 0.01, "{share}");
}

/// What is rounded is what a missing channel changes, which is small beside the whole.
#[test]
fn in_bf16_ablation_weights_are_near_those_in_f32() {
    let narrow = Narrow::new();
    for score in [Score::Logit, Score::Probability] {
        let weights = |precision| {
            let pass = narrow.pass(Options::default()).with_changes_in(precision);
            ablation_cam::weights(&pass, score).unwrap()
        };
        let share = relative(&weights(Precision::Bf16), &weights(Precision::F32));
        eprintln!("bf16: Ablation-CAM's weights off by {share:.1e}, {score:?}");
        assert!(share > 1e-6, "the product is one of bf16");
        assert!(share < 0.01, "{share}");
    }
}

/// The largest difference of any place of a map; documents state it. Shapley-CAM's standard error
/// is larger; for Score-CAM the whole network answers in bf16.
#[test]
fn in_bf16_maps_from_very_many_answers_are_near_those_in_f32() {
    let narrow = Narrow::new();
    for (name, limit) in [("shapley-cam", 0.028), ("score-cam", 0.28)] {
        let [f32, bf16] = [Precision::F32, Precision::Bf16].map(|precision| {
            let pass = narrow.pass(Options::default()).with_changes_in(precision);
            explain(named(name), &pass, narrow.model.card().input()).unwrap()
        });
        let off = f64::try_from((bf16.tensor() - f32.tensor()).abs().max()).unwrap();
        eprintln!("bf16: maps of {name} off by {off:.1e}");
        assert!(off > 1e-6, "{name} is computed in bf16");
        assert!(off < limit, "{name}: {off}");
    }
}

/// How far LIME-CAM's coefficients are from scikit-learn's on the same masks: the largest
/// difference, and over the pictures the largest norm of differences as a share of their norm.
fn lime_off_scikit_learn(changes_in: Precision) -> (f64, f64) {
    let narrow = Narrow::new();
    let pass = narrow.pass(Options::default()).with_changes_in(changes_in);
    let (masks, wanted) = (expected("masks"), expected("lasso"));
    let rows = |all: &Tensor, at| Vec::<f32>::try_from(&all.get(at).flatten(0, -1)).unwrap();
    let masks: Vec<Vec<u8>> = (0..8)
        .map(|index| rows(&masks, index).into_iter().map(|stays| stays as u8).collect())
        .collect();
    let found =
        lime_cam::coefficients(&pass, &(0..8).collect::<Vec<_>>(), &masks, Score::Logit).unwrap();
    assert_eq!(found.len(), 8);
    let (mut worst, mut share) = (0.0_f64, 0.0_f64);
    for (at, found) in found.iter().enumerate() {
        let wanted: Vec<f64> = rows(&wanted, at as i64).into_iter().map(f64::from).collect();
        assert!(wanted.iter().any(|coefficient| *coefficient != 0.0));
        let off: Vec<f64> = found.iter().zip(&wanted).map(|(a, b)| a - b).collect();
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        worst = off.iter().fold(worst, |worst, off| worst.max(off.abs()));
        share = share.max(norm(&off) / norm(&wanted));
    }
    (worst, share)
}
