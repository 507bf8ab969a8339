//! Scores beyond a label's own: differences of logits, valence and arousal, and what speaks against
//! a score.

use super::*;
use crate::attribution::walk::{Rule, backward};
use proptest::prelude::*;

const SIZE: Size = Size { width: 11, height: 8 };

/// Every score with the options that ask for it.
fn targets() -> [(Score, Options); 5] {
    let options = |target, contrast: &str| Options {
        target,
        contrast: contrast.into(),
        permutations: 4,
        evaluations: 20,
        ..Options::default()
    };
    [
        (Score::Probability, options(Target::Probability, "")),
        (Score::Logit, options(Target::Logit, "")),
        (Score::Contrast, options(Target::Preset, "D")),
        (Score::Valence, options(Target::Valence, "")),
        (Score::Arousal, options(Target::Arousal, "")),
    ]
}

/// The score of each picture by its definition, from the logits (N, 5): (N).
fn defined(score: Score, logits: &Tensor, classes: &[usize]) -> Tensor {
    let p = logits.softmax(1, Kind::Float);
    let of_class = |columns: &Tensor| {
        let pictures = classes.iter().enumerate();
        let all: Vec<Tensor> =
            pictures.map(|(n, &class)| columns.get(n as i64).get(class as i64)).collect();
        Tensor::stack(&all, 0)
    };
    let regression = |bias: f64, weights: [f32; 5]| {
        (&p * Tensor::from_slice(&weights)).sum_dim_intlist(1, false, None) + bias
    };
    match score {
        Score::Probability => of_class(&p),
        Score::Logit => of_class(logits),
        Score::Contrast => of_class(logits) - logits.select(1, 3),
        Score::Valence => regression(3.0, [0.5, -0.25, 1.0, -0.75, 0.125]),
        Score::Arousal => regression(-1.5, [-0.5, 2.0, 0.25, 0.75, -0.125]),
    }
}

fn largest(difference: &Tensor) -> f64 {
    f64::try_from(difference.abs().max()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Both ways to a gradient against libtorch's differentiation of the score as it is defined;
    /// and the score itself.
    #[test]
    fn scores_and_their_gradients_are_as_defined(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 3, 6));
        let (shown, hidden) = (Run::new(&head, &a), Run::with(HeadAlone::new(&head, true), &a));
        let classes = [0, 4, 3];
        for (score, options) in targets() {
            prop_assert!(Method::GRAD_CAM.score(&options) == score);
            let leaf = a.copy().set_requires_grad(true);
            let scores = defined(score, &forward(&head, &leaf).unwrap(), &classes);
            let expected = Tensor::run_backward(&[scores.sum(Kind::Float)], &[&leaf], false, false).remove(0);
            for run in [&shown, &hidden] {
                let pass = run.pass_with(options.clone(), &classes, &[0; 3]);
                let error = largest(&(pass.gradient(score).unwrap() - &expected));
                prop_assert!(error < 1e-5, "{score:?}: {error}");
                let error = largest(&(pass.own_scores(score).unwrap().squeeze_dim(1) - &scores));
                prop_assert!(error < 1e-5, "{score:?}: {error}");
                for picture in 0..3 {
                    let whole = pass.masked(picture, &Tensor::ones([1, 6], (Kind::Float, Device::Cpu)), score).unwrap();
                    let error = largest(&(whole - scores.get(picture as i64)));
                    prop_assert!(error < 1e-4, "{score:?} of picture {picture}: {error}");
                }
            }
        }
    }

    /// A difference is redistributed whole: DeepLIFT's contributions sum to its change, LRP's
    /// relevances, without biases, to itself.
    #[test]
    fn contributions_to_a_difference_are_complete(seed in 0..10_000_u64) {
        let a = random_activation(seed, 3, 6);
        let (biased, unbiased) = (random_head(seed, 6, 0.3), random_head(seed, 6, 0.0));
        let (classes, [_, _, (score, options), ..]) = ([0, 4, 3], targets());
        let (lift_run, lrp_run) = (Run::new(&biased, &a), Run::new(&unbiased, &a));
        let pass = lift_run.pass_with(options.clone(), &classes, &[0; 3]);
        let found = backward(&pass, score, Rule::DeepLift).unwrap() * &a;
        let score_at = |a: &Tensor| defined(score, &forward(&biased, a).unwrap(), &classes);
        let wanted = score_at(&a) - score_at(&a.zeros_like());
        let sums = |x: &Tensor| x.sum_dim_intlist([1_i64, 2, 3].as_slice(), false, Kind::Float);
        prop_assert!(largest(&(sums(&found) - wanted)) < 1e-4);
        let pass = lrp_run.pass_with(options, &classes, &[0; 3]);
        let found = backward(&pass, score, Rule::Lrp(LrpRule::Epsilon)).unwrap();
        let wanted = defined(score, &forward(&unbiased, &a).unwrap(), &classes);
        prop_assert!(largest(&(sums(&found) - wanted)) < 5e-3);
    }

    /// What speaks against a score is minus the raw map, finished like any other, by every method
    /// and for every score.
    #[test]
    fn the_negative_map_is_minus_the_raw_map_finished(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 3, 6));
        let (run, classes, seeds) = (Run::new(&head, &a), [0, 4, 2], [7, 8, 9]);
        for (score, options) in targets() {
            let options = Options { sign: Sign::Negative, ..options };
            for method in map_methods().into_iter().filter(|method| method.can_explain(&options)) {
                let pass = run.pass_with(options.clone(), &classes, &seeds);
                let raw = method.implementation().raw_maps(&pass, score).unwrap();
                let expected = finish(&-raw.maps, SIZE).unwrap();
                let found = explain(method, &pass, SIZE).unwrap();
                prop_assert_eq!(found.values().unwrap(), expected.values().unwrap(), "{} {:?}", method, score);
                prop_assert_eq!(found.flat, expected.flat);
            }
        }
    }
}

#[test]
fn a_class_held_against_itself_has_a_flat_map_by_every_method() {
    let (head, a) = (random_head(5, 6, 0.3), random_activation(5, 3, 6));
    let run = Run::new(&head, &a);
    for sign in [Sign::Positive, Sign::Negative] {
        let options = Options {
            contrast: "d".into(),
            sign,
            permutations: 4,
            evaluations: 20,
            ..Options::default()
        };
        let pass = run.pass_with(options.clone(), &[0, 3, 2], &[1, 2, 3]);
        for method in map_methods().into_iter().filter(|method| method.can_explain(&options)) {
            let maps = explain(method, &pass, SIZE).unwrap();
            assert!(maps.flat[1] && maps.means[1] == 0.0, "{method}");
            assert!(!maps.flat[0] || !maps.flat[2], "{method}");
        }
    }
}

#[test]
fn every_method_explains_what_it_says_and_nothing_else() {
    let (head, a) = (random_head(2, 6, 0.3), random_activation(2, 2, 6));
    let run = Run::new(&head, &a);
    for (score, options) in targets() {
        for method in map_methods() {
            let refused =
                check(&[method], &options, &run.network).err().map(|error| error.to_string());
            let label = matches!(score, Score::Probability | Score::Logit);
            let expected = match method.row().explains {
                Explains::AnyScore | Explains::SupportAlone => true,
                Explains::Labels => label || score == Score::Contrast,
                // The names that have always been accepted.
                Explains::NoScore => label,
            };
            assert_eq!(refused.is_none(), expected, "{method} {score:?}: {refused:?}");
            if let Some(message) = refused {
                assert!(
                    message.contains("these can: grad-cam, ablation-cam, lime-cam"),
                    "{message}"
                );
            } else {
                explain(method, &run.pass_with(options.clone(), &[1, 0], &[0; 2]), SIZE).unwrap();
            }
        }
    }
    let negative = Options { sign: Sign::Negative, ..Options::default() };
    for name in ["grad-cam++", "layer-cam", "score-cam", "eigen-cam"] {
        let message =
            check(&[name.parse().unwrap()], &negative, &run.network).unwrap_err().to_string();
        assert!(
            message.contains("--sign negative") && message.contains("these can: grad-cam,"),
            "{message}"
        );
    }
}

#[test]
fn a_card_without_a_regression_has_no_such_score() {
    let network = HeadAlone::new(&random_head(1, 6, 0.3), false);
    let mut without = HeadAlone::new(&random_head(1, 6, 0.3), false);
    without.card.arousal = None;
    let options = |target| Options { target, ..Options::default() };
    let methods = [Method::GRAD_CAM];
    assert!(check(&methods, &options(Target::Arousal), &network).is_ok());
    assert!(check(&methods, &options(Target::Valence), &without).is_ok());
    let message = check(&methods, &options(Target::Arousal), &without).unwrap_err().to_string();
    assert!(
        message.contains("no [arousal]") && message.contains("leave --target out"),
        "{message}"
    );
    without.card.scalar =
        Some(crate::networks::Scalar { name: "mood".into(), thresholds: Vec::new() });
    for (options, words) in [
        (options(Target::Valence), "single output mood"),
        (Options { contrast: "a".into(), ..options(Target::Preset) }, "single output mood"),
    ] {
        let message = check(&methods, &options, &without).unwrap_err().to_string();
        assert!(message.contains(words) && message.contains("leave --"), "{message}");
    }
    for (contrast, target, words) in [
        (
            "x",
            Target::Logit,
            "contrast should be an index below 5, or one of a, b, c, d, e; found `x`",
        ),
        ("b", Target::Valence, "contrast `b` explains two logits' difference, target valence"),
        ("b", Target::Probability, "target probability"),
    ] {
        let options = Options { contrast: contrast.into(), ..options(target) };
        let message = check(&methods, &options, &network).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
}
