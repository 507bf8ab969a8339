//! A network that hides its layers is explained as the same network that shows them, by every
//! method that can.

use super::*;
use crate::nn::Precision;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn hiding_the_layers_changes_no_map(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 3, 6));
        let (shown, hidden) = (Run::new(&head, &a), Run::with(HeadAlone::new(&head, true), &a));
        let (classes, seeds) = ([4, 0, 1], [7, 8, 9]);
        let shown_only = |method: &Method| method.row().needs == Needs::Layers;
        let methods: Vec<Method> = map_methods().into_iter().filter(|method| !shown_only(method)).collect();
        let works = Method::for_network(&hidden.network);
        prop_assert!(methods.iter().all(|method| works.contains(method)));
        prop_assert_eq!(works.len() + 2, Method::all().len(), "all but LRP-CAM and LIFT-CAM");
        for target in [Target::Probability, Target::Logit] {
            let options = Options { target, permutations: 4, evaluations: 20, ..Options::default() };
            let (shown, hidden) =
                (shown.pass_with(options.clone(), &classes, &seeds), hidden.pass_with(options, &classes, &seeds));
            for &method in &methods {
                let [shown, hidden] =
                    [&shown, &hidden].map(|pass| explain(method, pass, Size::new(11, 8)).unwrap().values().unwrap());
                for (x, y) in shown.iter().flatten().zip(hidden.iter().flatten()) {
                    prop_assert!((x - y).abs() < 1e-3, "{} {:?}: {} {}", method, target, x, y);
                }
            }
        }
    }
}

#[test]
fn a_network_that_computes_in_f32_alone_does_so_whatever_is_asked_for() {
    let (head, a) = (random_head(2, 6, 0.3), random_activation(2, 3, 6));
    let hidden = Run::with(HeadAlone::new(&head, true), &a);
    let works = Method::for_network(&hidden.network);
    for method in map_methods().into_iter().filter(|method| works.contains(method)) {
        let [f32, bf16] = [Precision::F32, Precision::Bf16].map(|precision| {
            let pass = hidden.pass(&[4, 0, 1], &[7, 8, 9]).with_changes_in(precision);
            explain(method, &pass, Size::new(11, 8)).unwrap().values().unwrap()
        });
        assert_eq!(f32, bf16, "{method}");
    }
    // This one shows its layers, and cannot be rounded.
    let (shown, score_cam) = (Run::new(&head, &a), "score-cam".parse().unwrap());
    let [f32, bf16] = [Precision::F32, Precision::Bf16].map(|precision| {
        let pass = shown.pass(&[4, 0, 1], &[7, 8, 9]).with_changes_in(precision);
        explain(score_cam, &pass, Size::new(11, 8)).unwrap().values().unwrap()
    });
    assert_eq!(f32, bf16);
}

#[test]
fn a_method_that_cannot_be_is_refused_with_those_that_can() {
    let head = random_head(1, 6, 0.3);
    let hidden = HeadAlone::new(&head, true);
    let options = Options::default();
    assert!(check(&Method::all(), &options, &HeadAlone::new(&head, false)).is_ok());
    let methods = ["grad-cam", "lrp-cam"].map(|name| name.parse::<Method>().unwrap());
    let message = check(&methods, &options, &hidden).unwrap_err().to_string();
    assert!(
        message.contains("lrp-cam walks the layers") && message.contains("grad-cam, ablation-cam"),
        "{message}"
    );
    assert!(!message.contains("lift-cam"), "{message}");
    let behind = Options { layer_point: LayerPoint::PostRelu, ..options };
    let message = check(&methods[..1], &behind, &hidden).unwrap_err().to_string();
    assert!(message.contains("shows no ReLU"), "{message}");
}

#[test]
fn a_gradient_that_does_not_flow_is_an_error_and_no_crash() {
    #[derive(Debug)]
    struct Blind(HeadAlone);
    impl Classifier for Blind {
        fn card(&self) -> &Card {
            self.0.card()
        }
        fn prepare(&self, pictures: &[&Rgb8]) -> Result<Tensor> {
            self.0.prepare(pictures)
        }
        fn activation(&self, input: &Tensor) -> Result<Activation> {
            self.0.activation(input)
        }
        fn outputs(&self, activation: &Activation) -> Result<Tensor, TchError> {
            Tensor::f_ones([activation.values.size()[0], 5], (Kind::Float, Device::Cpu))
        }
        fn layers(&self) -> Option<&[Layer]> {
            None
        }
        fn on(&self, device: Device) -> Result<Box<dyn Classifier>> {
            self.0.on(device)
        }
        fn files(&self) -> &[(&'static str, PathBuf)] {
            &[]
        }
    }
    let blind = Blind(HeadAlone::new(&[], true));
    let forward = Forward::run(&blind, random_activation(1, 2, 3)).unwrap();
    let pass = HeadPass::new(&blind, &forward, Options::default(), &[0, 1], &[0, 0]).unwrap();
    let message = explain(Method::GRAD_CAM, &pass, Size::new(4, 4)).unwrap_err().to_string();
    assert!(message.contains("no gradient flows"), "{message}");
}
