//! The laws of the rules that walk a head backwards, where the head averages its pooled map as
//! torchvision's AlexNet.

use super::super::walk::{Rule, backward};
use super::*;
use proptest::prelude::*;

/// [`random_head`] with its map of 2 x 2 places averaged to 3 x 1: rows overlap, columns are
/// merged.
fn averaging_head(seed: u64, channels: usize, bias: f64) -> Vec<Layer> {
    let mut layers = random_head(seed, channels, bias);
    let mut random = crate::random::Random::new(seed, 11);
    let values: Vec<f32> =
        random.spread(12 * channels * 3, 0.3).into_iter().map(|value| value as f32).collect();
    let Layer::Linear { weight, .. } = &mut layers[3] else {
        unreachable!("a linear layer follows the flattening")
    };
    *weight = Tensor::from_slice(&values).reshape([12, channels as i64 * 3]);
    layers.insert(2, Layer::AveragePool { rows: 3, columns: 1 });
    layers
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

#[test]
fn an_average_by_hand() {
    let x = Tensor::from_slice(&[1.0_f32, 3.0, 5.0, 11.0]).reshape([1, 1, 2, 2]);
    let layers = [Layer::AveragePool { rows: 3, columns: 1 }.on(Device::Cpu).unwrap()];
    let y = Vec::<f32>::try_from(&forward(&layers, &x).unwrap().flatten(0, -1)).unwrap();
    assert_eq!(y, [2.0, 5.0, 8.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// DeepLIFT is complete: the contributions sum to the score less that of A = 0.
    #[test]
    fn lift_contributions_are_complete(seed in 0..10_000_u64) {
        let (head, a) = (averaging_head(seed, 6, 0.3), random_activation(seed, 3, 6));
        let run = Run::new(&head, &a);
        let pass = run.pass(&[0, 4, 2], &[0; 3]);
        let sums = per_picture(&(backward(&pass, Score::Logit, Rule::DeepLift).unwrap() * &a));
        let score_at = |a: &Tensor, picture: usize| {
            let scores = pass.scores(&forward(&head, a).unwrap(), picture, Score::Logit).unwrap();
            f64::try_from(scores.get(picture as i64)).unwrap()
        };
        for (picture, sum) in sums.into_iter().enumerate() {
            let wanted = score_at(&a, picture) - score_at(&a.zeros_like(), picture);
            prop_assert!((sum - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "{sum} {wanted}");
        }
    }

    /// LRP conserves: without biases the relevances sum to the logit, by the epsilon rule and by
    /// the gamma rule.
    #[test]
    fn lrp_conserves_without_biases(seed in 0..10_000_u64) {
        let (head, a) = (averaging_head(seed, 6, 0.0), random_activation(seed, 2, 6));
        let run = Run::new(&head, &a);
        let pass = run.pass(&[1, 2], &[0; 2]);
        for rule in [LrpRule::Epsilon, LrpRule::Gamma] {
            let sums = per_picture(&backward(&pass, Score::Logit, Rule::Lrp(rule)).unwrap());
            for (sum, logit) in sums.into_iter().zip(per_picture(&pass.own_scores(Score::Logit).unwrap())) {
                prop_assert!((sum - logit).abs() < 2e-3 * (1.0 + logit.abs()), "{sum} {logit}");
            }
        }
    }

    /// The gradient is what libtorch's own differentiation of the same head gives.
    #[test]
    fn the_gradient_is_what_autograd_says(seed in 0..10_000_u64) {
        let (head, a) = (averaging_head(seed, 6, 0.3), random_activation(seed, 2, 6));
        let run = Run::new(&head, &a);
        let pass = run.pass(&[0, 4], &[0; 2]);
        let leaf = a.copy().set_requires_grad(true);
        let logits = forward(&head, &leaf).unwrap();
        let total = logits.gather(1, &pass.class_index().unwrap(), false).sum(Kind::Float);
        let expected = Tensor::run_backward(&[total], &[&leaf], false, false).remove(0);
        let error = (pass.gradient(Score::Logit).unwrap() - expected).abs().max();
        prop_assert!(f64::try_from(error).unwrap() < 1e-5);
    }

    /// Leaving channels out of the first linear layer is leaving them out of A.
    #[test]
    fn masked_channels_are_masked_activations(seed in 0..10_000_u64, bits in 0..64_u8) {
        let (head, a) = (averaging_head(seed, 6, 0.3), random_activation(seed, 1, 6));
        let run = Run::new(&head, &a);
        let mask: Vec<f32> = (0..6).map(|k| f32::from(bits >> k & 1)).collect();
        let mask = Tensor::from_slice(&mask);
        let pass = run.pass(&[1], &[0]);
        prop_assert!(pass.channel_parts().unwrap().is_some());
        let quick = pass.masked(0, &mask.reshape([1, 6]), Score::Logit).unwrap();
        let slow = forward(&head, &(&a * mask.reshape([1, 6, 1, 1]))).unwrap();
        let slow = pass.scores(&slow, 0, Score::Logit).unwrap();
        let [off, largest] = [(quick - &slow).abs().max(), slow.abs().max()].map(|most| f64::try_from(most).unwrap());
        prop_assert!(off < 1e-5 * (1.0 + largest));
    }
}
