//! The methods' laws, on random heads.

use super::super::walk::{Rule, backward};
use super::*;
use crate::attribution::cam::shapley_cam;
use proptest::prelude::*;

/// The score of picture 0 with the channels of each subset: 2^K numbers.
fn scores_of_subsets(pass: &HeadPass<'_>, channels: usize) -> Vec<f64> {
    let masks: Vec<f32> = (0..1_usize << channels)
        .flat_map(|set| (0..channels).map(move |k| (set >> k & 1) as f32))
        .collect();
    let masks = Tensor::from_slice(&masks).reshape([-1, channels as i64, 1, 1]);
    let logits =
        forward(pass.visible.unwrap().layers, &(pass.a().get(0).unsqueeze(0) * masks)).unwrap();
    Vec::try_from(&pass.scores(&logits, 0, Score::Logit).unwrap().to_kind(Kind::Double)).unwrap()
}

/// By the definition: the mean over the subsets' sizes of the mean gain from joining a subset of
/// that size.
fn exact_shapley_values(pass: &HeadPass<'_>, channels: usize) -> Vec<f64> {
    let scores = scores_of_subsets(pass, channels);
    let binomial = |n: usize, k: usize| {
        (0..k).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
    };
    let of_channel = |k: usize| -> f64 {
        let without = (0..scores.len()).filter(|set| set >> k & 1 == 0);
        without
            .map(|set: usize| {
                let size = set.count_ones() as usize;
                (scores[set | 1 << k] - scores[set])
                    / (channels as f64 * binomial(channels - 1, size))
            })
            .sum()
    };
    (0..channels).map(of_channel).collect()
}

/// The error of each picture's weights.
fn errors(maps: &Maps) -> Vec<Option<f32>> {
    (0..maps.flat.len()).map(|picture| maps.error(picture)).collect()
}

#[test]
fn shapley_sampling_converges_to_the_exact_values() {
    let (head, a) = (random_head(5, 6, 0.3), random_activation(5, 1, 6));
    let run = Run::new(&head, &a);
    let distance = |permutations: usize| {
        let options = Options { permutations, ..Options::default() };
        let pass = run.pass_with(options, &[2], &[7]);
        let (exact, found) = (
            exact_shapley_values(&pass, 6),
            shapley_cam::estimate(&pass, 0, Score::Logit).unwrap(),
        );
        let largest =
            exact.iter().zip(&found.values).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        let within = exact
            .iter()
            .zip(&found.values)
            .zip(&found.errors)
            .all(|((x, y), e)| (x - y).abs() < 5.0 * e + 1e-5);
        (largest, within)
    };
    let (few, many, most) = (distance(8), distance(512), distance(32_768));
    assert!(many.1 && most.1, "an estimate is further off than its error says");
    assert!(few.0 > 2.0 * many.0 && many.0 > 2.0 * most.0, "{few:?} {many:?} {most:?}");
    assert!(most.0 < 5e-3, "{most:?}");
}

#[test]
fn maps_of_nothing_are_flat_and_finite_by_every_method() {
    let head = random_head(3, 6, 0.3);
    let negative = -random_activation(3, 2, 6).abs() - 0.1;
    let saturated = {
        let mut head = random_head(4, 6, 0.0);
        let Some(Layer::Linear { weight, .. }) = head.last_mut() else {
            unreachable!("a head ends in a linear layer")
        };
        *weight *= 1e4;
        head
    };
    let positive = random_activation(4, 2, 6).abs();
    let zero = positive.zeros_like();
    for point in [LayerPoint::PreRelu, LayerPoint::PostRelu] {
        for target in [Target::Preset, Target::Probability, Target::Logit] {
            for (what, a, head) in [
                ("negative", &negative, &head),
                ("zero", &zero, &head),
                ("saturated", &positive, &saturated),
            ] {
                let options = Options {
                    target,
                    layer_point: point,
                    permutations: 4,
                    evaluations: 20,
                    ..Options::default()
                };
                let best =
                    Vec::<i64>::try_from(&forward(head, a).unwrap().argmax(1, false)).unwrap();
                let classes: Vec<usize> = best.into_iter().map(|class| class as usize).collect();
                let run = Run::new(head, a);
                let pass = run.pass_with(options, &classes, &[1, 2]);
                for method in map_methods() {
                    let maps = explain(method, &pass, Size::new(9, 7)).unwrap();
                    let values = maps.values().unwrap();
                    assert!(
                        values.iter().flatten().all(|value| (0.0..=1.0).contains(value)),
                        "{what}: {method}"
                    );
                    assert!(
                        errors(&maps).into_iter().flatten().all(f32::is_finite),
                        "{what}: {method}"
                    );
                    assert!(what != "zero" || maps.flat == [true; 2], "{what}: {method}");
                    for (map, flat) in values.iter().zip(&maps.flat) {
                        assert_eq!(map.iter().all(|&value| value < 0.5), *flat, "{what}: {method}");
                    }
                }
            }
        }
    }
}

fn per_picture(x: &Tensor) -> Vec<f64> {
    let n = x.size()[0];
    Vec::<f64>::try_from(&x.to_kind(Kind::Double).reshape([n, -1]).sum_dim_intlist(
        [1_i64].as_slice(),
        false,
        None,
    ))
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// DeepLIFT is complete: the contributions sum to the score less that of A = 0.
    #[test]
    fn lift_contributions_are_complete(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 3, 6));
        let run = Run::new(&head, &a);
        let pass = run.pass(&[0, 4, 2], &[0; 3]);
        for score in [Score::Logit, Score::Probability] {
            let multipliers = backward(&pass, score, Rule::DeepLift).unwrap();
            let sums = per_picture(&(multipliers * &a));
            let score_at = |a: &Tensor, picture: usize| {
                let logits = forward(&head, a).unwrap();
                f64::try_from(pass.scores(&logits, picture, score).unwrap().get(picture as i64)).unwrap()
            };
            for (picture, sum) in sums.into_iter().enumerate() {
                let wanted = score_at(&a, picture) - score_at(&a.zeros_like(), picture);
                prop_assert!((sum - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "{sum} {wanted}");
            }
        }
    }

    /// LRP conserves: without biases the relevances sum to the logit.
    #[test]
    fn lrp_conserves_without_biases(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.0), random_activation(seed, 3, 6));
        let run = Run::new(&head, &a);
        let pass = run.pass(&[1, 0, 3], &[0; 3]);
        let sums = per_picture(&backward(&pass, Score::Logit, Rule::Lrp(LrpRule::Epsilon)).unwrap());
        let logits = forward(&head, &a).unwrap();
        for (picture, sum) in sums.into_iter().enumerate() {
            let scores = pass.scores(&logits, picture, Score::Logit).unwrap();
            let logit = f64::try_from(scores.get(picture as i64)).unwrap();
            prop_assert!((sum - logit).abs() < 2e-3 * (1.0 + logit.abs()), "{sum} {logit}");
        }
    }

    /// libtorch's own differentiation of the same head.
    #[test]
    fn the_gradient_is_what_autograd_says(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 3, 6));
        let run = Run::new(&head, &a);
        let pass = run.pass(&[0, 4, 2], &[0; 3]);
        for score in [Score::Logit, Score::Probability] {
            let leaf = a.copy().set_requires_grad(true);
            let logits = forward(&head, &leaf).unwrap();
            let scores = if score == Score::Logit { logits } else { logits.softmax(1, Kind::Float) };
            let total = scores.gather(1, &pass.class_index().unwrap(), false).sum(Kind::Float);
            let expected = Tensor::run_backward(&[total], &[&leaf], false, false).remove(0);
            let error = (pass.gradient(score).unwrap() - expected).abs().max();
            prop_assert!(f64::try_from(error).unwrap() < 1e-5, "{score:?}");
        }
    }

    /// Without biases DeepLIFT against zero is gradient times A.
    #[test]
    fn lift_is_gradient_times_a_without_biases(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.0), random_activation(seed, 2, 6));
        let run = Run::new(&head, &a);
        let pass = run.pass(&[1, 2], &[0; 2]);
        let lift = sum_over_positions(&(backward(&pass, Score::Logit, Rule::DeepLift).unwrap() * &a)).unwrap();
        let gradient = sum_over_positions(&(pass.gradient(Score::Logit).unwrap() * &a)).unwrap();
        prop_assert!(f64::try_from((lift - gradient).abs().max()).unwrap() < 1e-4);
    }

    /// Shapley values, however few orders they are estimated from, sum to the score less that
    /// without any channel.
    #[test]
    fn shapley_values_sum_to_the_score(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 1, 6));
        let run = Run::new(&head, &a);
        let seeds = [seed];
        let pass = run.pass(&[3], &seeds);
        let sum: f64 = shapley_cam::estimate(&pass, 0, Score::Logit).unwrap().values.iter().sum();
        let scores = scores_of_subsets(&pass, 6);
        let wanted = scores[63] - scores[0];
        prop_assert!((sum - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "{sum} {wanted}");
    }

    /// LRP conserves by the gamma rule as well.
    #[test]
    fn lrp_conserves_by_the_gamma_rule(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.0), random_activation(seed, 2, 6));
        let run = Run::new(&head, &a);
        let pass = run.pass(&[1, 2], &[0; 2]);
        let sums = per_picture(&backward(&pass, Score::Logit, Rule::Lrp(LrpRule::Gamma)).unwrap());
        for (sum, logit) in sums.into_iter().zip(per_picture(&pass.own_scores(Score::Logit).unwrap())) {
            prop_assert!((sum - logit).abs() < 2e-3 * (1.0 + logit.abs()), "{sum} {logit}");
        }
    }

    /// By the z+ rule all relevance has the logit's sign, and none is made: what reaches a unit
    /// without any positive contribution is lost.
    #[test]
    fn z_plus_makes_no_relevance(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 2, 6));
        let run = Run::new(&head, &a);
        let pass = run.pass(&[1, 2], &[0; 2]);
        let relevance = backward(&pass, Score::Logit, Rule::Lrp(LrpRule::ZPlus)).unwrap();
        let (sums, sizes) = (per_picture(&relevance), per_picture(&relevance.abs()));
        let logits = per_picture(&pass.own_scores(Score::Logit).unwrap());
        for ((sum, size), logit) in sums.into_iter().zip(sizes).zip(logits) {
            prop_assert!((sum - size * logit.signum()).abs() < 1e-5 * (1.0 + size), "{sum} {size} {logit}");
            prop_assert!(size < logit.abs() * 1.001 + 1e-5, "{size} {logit}");
        }
    }

    /// Leaving channels out of the first linear layer is leaving them out of A.
    #[test]
    fn masked_channels_are_masked_activations(seed in 0..10_000_u64, bits in 0..64_u8) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 2, 6));
        let run = Run::new(&head, &a);
        let mask: Vec<f32> = (0..6).map(|k| f32::from(bits >> k & 1)).collect();
        let mask = Tensor::from_slice(&mask);
        let pass = run.pass(&[1, 2], &[0; 2]);
        prop_assert!(pass.channel_parts().unwrap().is_some());
        for at in 0..2 {
            let quick = pass.masked(at, &mask.reshape([1, 6]), Score::Logit).unwrap();
            let slow = forward(&head, &(a.get(at as i64) * mask.reshape([6, 1, 1])).unsqueeze(0)).unwrap();
            let slow = pass.scores(&slow, at, Score::Logit).unwrap();
            let [off, largest] = [(quick - &slow).abs().max(), slow.abs().max()].map(|most| f64::try_from(most).unwrap());
            prop_assert!(off < 1e-5 * (1.0 + largest));
        }
    }

    /// A batch gives what its pictures give one by one, by every method.
    #[test]
    fn a_batch_is_its_pictures(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 3, 6));
        let run = Run::new(&head, &a);
        let (classes, seeds) = ([4, 0, 1], [7, 8, 9]);
        let size = Size::new(10, 10);
        for method in map_methods() {
            let together = explain(method, &run.pass(&classes, &seeds), size).unwrap().values().unwrap();
            for at in 0..3 {
                let one = a.narrow(0, at as i64, 1);
                let run = Run::new(&head, &one);
                let pass = run.pass(&classes[at..=at], &seeds[at..=at]);
                let alone = explain(method, &pass, size).unwrap().values().unwrap();
                for (x, y) in together[at].iter().zip(&alone[0]) {
                    prop_assert!(x.is_finite() && (x - y).abs() < 1e-3, "{method}: {x} {y}");
                }
            }
        }
    }

    /// Copies that fill up a batch have the maps of their original, whether they are computed or
    /// not: to the last bit, but where coalitions of all pictures share batches, whose last digits
    /// may follow the place in so small a head.
    #[test]
    fn copies_have_the_maps_of_their_original(seed in 0..10_000_u64) {
        let (head, a) = (random_head(seed, 6, 0.3), random_activation(seed, 2, 6));
        let filled = Tensor::cat(&[&a, &a.narrow(0, 1, 1), &a.narrow(0, 1, 1)], 0);
        let run = Run::new(&head, &filled);
        let (classes, seeds) = ([4, 0, 0, 0], [7, 8, 8, 8]);
        let size = Size::new(10, 10);
        for method in map_methods() {
            let computed = explain(method, &run.pass(&classes, &seeds), size).unwrap();
            let repeated = explain(method, &run.pass(&classes, &seeds).with_copies_behind(2), size).unwrap();
            let (computed_values, repeated_values) = (computed.values().unwrap(), repeated.values().unwrap());
            let most = if method.to_string() == "dnc-shap" { 1e-5 } else { 0.0 };
            for (x, y) in computed_values.concat().into_iter().zip(repeated_values.concat()) {
                prop_assert!((x - y).abs() <= most, "{method}: {x} {y}");
            }
            prop_assert_eq!(errors(&computed), errors(&repeated), "{}", method);
            prop_assert!(computed.flat == repeated.flat, "{method}");
        }
    }
}
