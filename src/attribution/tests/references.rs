//! The methods against pytorch-grad-cam, captum and scikit-learn (scripts/reference/cam_methods.py).

use super::super::walk::gradient;
use super::super::{lift_cam, lime_cam, lrp_cam, *};
use crate::corpus::{decode, DecodeOptions};
use crate::image::{resize, Filter};
use crate::networks::{logits, values, AlexNet, EmotionModel};
use std::path::{Path, PathBuf};
use tch::Device;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/emonet").join(name)
}

/// The narrow EmoNet, its input and values of the eight pictures, the predicted classes.
struct Narrow {
    model: AlexNet,
    input: Tensor,
    values: Vec<Tensor>,
    classes: Vec<usize>,
}

impl Narrow {
    fn new() -> Self {
        let model = AlexNet::load(&reference("narrow_ecco.pt"), None, Device::Cpu).unwrap();
        let pictures: Vec<_> = (0..8)
            .map(|at| {
                let picture = decode(&reference(&format!("picture_{at}.png")), &DecodeOptions::default()).unwrap();
                resize(&picture, model.input(), Filter::Bicubic)
            })
            .collect();
        let input = model.prepare(&pictures.iter().collect::<Vec<_>>()).unwrap();
        let values = values(&model, &model.activation(&input).unwrap()).unwrap();
        let classes = Vec::<i64>::try_from(&values[values.len() - 1].argmax(1, false)).unwrap();
        Self { model, input, values, classes: classes.into_iter().map(|class| class as usize).collect() }
    }

    fn pass(&self, options: Options) -> HeadPass<'_> {
        self.pass_for(options, &self.classes)
    }

    fn pass_for<'a>(&'a self, options: Options, classes: &'a [usize]) -> HeadPass<'a> {
        let (body, head) = (self.model.body(), self.model.head());
        let network = Network { input: &self.input, body, head, values: &self.values };
        HeadPass::new(network, options, classes, &[0; 8])
    }

    /// The largest difference of the maps from those of the reference, which has every `step`-th row and column.
    fn map_error(&self, method: Method, pass: &HeadPass<'_>, name: &str, step: i64) -> f64 {
        let maps = explain(method, pass, self.model.input()).unwrap();
        assert_eq!(maps.flat, [false; 8]);
        let error = (maps.tensor().slice(1, 0, 227, step).slice(2, 0, 227, step) - expected(name)).abs().max();
        let error = f64::try_from(error).unwrap();
        eprintln!("{name}: maps {error:.1e}");
        error
    }
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
fn a_gradient_is_what_a_small_step_says() {
    let narrow = Narrow::new();
    let pass = narrow.pass_for(Options::default(), &[7; 8]);
    let a = &narrow.values[0];
    let score = |a: &Tensor| pass.scores(&logits(&narrow.model, a).unwrap(), 3, Score::Probability).unwrap().get(3);
    let gradient = gradient(&pass, Score::Probability).unwrap();
    // Along the gradient itself, where the change is largest.
    let norm = f64::try_from(gradient.get(3).norm()).unwrap();
    let step = 1e-2 / norm;
    let change = f64::try_from(score(&(a + gradient * step)) - score(&(a - gradient * step))).unwrap();
    let expected = 2.0 * step * norm * norm;
    assert!((change / expected - 1.0).abs() < 0.05, "{change} by steps, {expected} by the gradient");
}

#[test]
fn ablation_agrees_with_one_forward_pass_a_channel_and_with_pytorch_grad_cam() {
    let narrow = Narrow::new();
    let pass = narrow.pass(Options::default());
    let error = relative(&ablation_cam::weights(&pass, Score::Probability).unwrap(), &expected("ablation"));
    eprintln!("Ablation-CAM weights: {error:.1e}");
    assert!(error < 1e-4, "{error}");
    assert!(narrow.map_error(Method::AblationCam, &pass, "ablation_map", 5) < 1e-3);
}

#[test]
fn the_wider_family_agrees_with_pytorch_grad_cam() {
    let narrow = Narrow::new();
    let pass = narrow.pass(Options::default());
    for (method, name) in [
        (Method::GradCamPlusPlus, "grad_cam_plus_plus"),
        (Method::XGradCam, "xgrad_cam"),
        (Method::HiResCam, "hires_cam"),
        (Method::LayerCam, "layer_cam"),
        (Method::EigenCam, "eigen_cam"),
        (Method::ScoreCam, "score_cam"),
    ] {
        let error = narrow.map_error(method, &pass, name, 9);
        assert!(error < 1e-3, "{name}: {error}");
    }
}

#[test]
fn another_point_and_another_class_agree_with_pytorch_grad_cam() {
    let narrow = Narrow::new();
    let logit = Options { target: Target::Logit, ..Options::default() };
    let behind = narrow.pass(Options { layer_point: LayerPoint::PostRelu, ..logit });
    for (method, name) in [
        (Method::GradCam, "post_relu_grad_cam"),
        (Method::LayerCam, "post_relu_layer_cam"),
        (Method::XGradCam, "post_relu_xgrad_cam"),
    ] {
        let error = narrow.map_error(method, &behind, name, 9);
        assert!(error < 1e-3, "{name}: {error}");
    }
    let third = narrow.pass_for(logit, &[3; 8]);
    assert!(narrow.map_error(Method::GradCam, &third, "class_3_grad_cam", 9) < 1e-3);
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
        ("published_lrp", lrp(published)),
        ("published_lift", lift(published)),
    ] {
        let error = relative(&found, &expected(name));
        eprintln!("{name}: weights {error:.1e}");
        assert!(error < 1e-3, "{name}: {error}");
    }
}

#[test]
fn published_lrp_is_grad_cam_of_the_logit_times_the_logit() {
    let narrow = Narrow::new();
    let pass = narrow.pass(Options { compat: Compat::Published, ..Options::default() });
    let lrp = lrp_cam::weights(&pass, Score::Logit).unwrap();
    let grad_cam = gradient(&pass, Score::Logit).unwrap().mean_dim([2_i64, 3].as_slice(), false, None);
    for at in 0..8 {
        let of = |x: &Tensor| x.get(at) - x.get(at).mean(None);
        let (x, y) = (of(&lrp), of(&grad_cam));
        let r = f64::try_from((&x * &y).sum(None) / (x.square().sum(None) * y.square().sum(None)).sqrt()).unwrap();
        assert!(r.abs() > 0.9999, "picture {at}: r = {r}");
    }
    // The true rule is something else.
    let true_lrp = lrp_cam::weights(&narrow.pass(Options::default()), Score::Logit).unwrap();
    assert!(relative(&true_lrp, &lrp) > 0.1);
}

#[test]
fn lime_coefficients_agree_with_scikit_learn_on_the_same_masks() {
    let narrow = Narrow::new();
    let pass = narrow.pass(Options::default());
    let (masks, wanted) = (expected("masks"), expected("lasso"));
    let rows = |all: &Tensor, at| Vec::<f32>::try_from(&all.get(at).flatten(0, -1)).unwrap();
    let masks: Vec<Vec<f32>> = (0..8).map(|at| rows(&masks, at)).collect();
    let found = lime_cam::coefficients(&pass, &masks, Score::Logit).unwrap();
    assert_eq!(found.len(), 8);
    for (at, found) in found.iter().enumerate() {
        let wanted = rows(&wanted, at as i64);
        assert!(wanted.iter().any(|coefficient| *coefficient != 0.0));
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - f64::from(wanted)).abs() < 1e-4, "picture {at}: {found} {wanted}");
        }
    }
}
