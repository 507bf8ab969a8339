//! The sanity check of Adebayo et al. 2018 (section 3, cascading randomisation): does a map change
//! when the weights do?
//!
//! From the last layer backwards, the linear layers of the head are redrawn one after the other;
//! the map of the same class on the same activation is compared with the original one by Spearman's
//! rank correlation, at the activation's own resolution. Only the head is redrawn, since it is the
//! head on A that every method explains: a method that does not look at the head, as Eigen-CAM, has
//! correlation 1 by construction.

use crate::config::{CamConfig, Config};
use crate::networks::Classifier;
use crate::nn::Layer;
use crate::random::Random;
use crate::{Error, Result};
use tch::{TchError, Tensor};

/// LIME-CAM's standard error on a redrawn head, at least, as a share of the channel weights' norm.
/// Noise of this size takes 1 % off a correlation (it is divided by the root of 1 + 0.15^2), and
/// needs a quarter of the fits that half of it would.
const LIME_ERROR: f32 = 0.15;

/// `config` for maps of redrawn heads, of which only their correlation with others is asked.
pub(super) fn on_redrawn_heads(config: &Config) -> Config {
    let lime_error = config.cam.lime_error.max(LIME_ERROR);
    Config { cam: CamConfig { lime_error, ..config.cam.clone() }, ..config.clone() }
}

/// Numbers drawn at a time: a fully connected layer has tens of millions.
const CHUNK: usize = 1 << 16;

/// Networks like `network` with the last, the last two, ... all linear layers of its head redrawn.
///
/// # Errors
/// No memory; a network that does not show the layers of its head.
pub(super) fn redrawn_networks(
    network: &dyn Classifier,
    seed: u64,
) -> Result<Vec<Box<dyn Classifier>>> {
    let hidden = || {
        Error::Setting(
            "the sanity check redraws the layers of the network's head one by one, and this \
             network does not show them: name other metrics (--metrics \
             deletion,insertion,road,confidence)"
                .into(),
        )
    };
    let heads = redrawn(network.layers().ok_or_else(hidden)?, seed)?;
    heads.into_iter().map(|head| network.with_layers(head)?.ok_or_else(hidden)).collect()
}

/// `head` with its last, its last two, ... all of its linear layers redrawn: weights and biases
/// uniform of mean 0 and of the standard deviation of those they replace. Layers that are not
/// redrawn share their tensors with `head`.
///
/// # Errors
/// No memory.
pub(super) fn redrawn(head: &[Layer], seed: u64) -> Result<Vec<Vec<Layer>>> {
    let linear: Vec<usize> =
        (0..head.len()).filter(|&at| matches!(head[at], Layer::Linear { .. })).collect();
    let mut heads: Vec<Vec<Layer>> = Vec::with_capacity(linear.len());
    for &at in linear.iter().rev() {
        if let Layer::Linear { weight, bias } = &head[at] {
            let before = heads.last().map_or(head, |head| head);
            let shared =
                before.iter().map(|layer| layer.on(weight.device())).collect::<Result<Vec<_>, _>>();
            let mut next = shared.map_err(Error::torch("redrawing the head's weights"))?;
            let draw = |of: &Tensor, what: &str| {
                drawn_like(of, Random::of_text(seed, &format!("sanity, layer {at}, {what}")))
                    .map_err(Error::torch("redrawing the head's weights"))
            };
            next[at] = Layer::Linear { weight: draw(weight, "weight")?, bias: draw(bias, "bias")? };
            heads.push(next);
        }
    }
    Ok(heads)
}

/// Of the shape, device and standard deviation of `of`.
fn drawn_like(of: &Tensor, mut random: Random) -> Result<Tensor, TchError> {
    let count = of.numel();
    let deviation = of.f_std(false)?.f_double_value(&[])?;
    let mut values: Vec<f32> = Vec::with_capacity(count);
    while values.len() < count {
        values.extend(
            random
                .spread(CHUNK.min(count - values.len()), deviation)
                .into_iter()
                .map(|value| value as f32),
        );
    }
    Tensor::f_from_slice(&values)?.f_reshape(of.size())?.f_to_device(of.device())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_redrawn_from_the_last_with_their_own_deviation() {
        let linear = |out: i64, of: i64, deviation: f64| Layer::Linear {
            weight: Tensor::from_slice(
                &Random::new(out as u64, 0).spread((out * of) as usize, deviation),
            )
            .reshape([out, of])
            .to_kind(tch::Kind::Float),
            bias: Tensor::zeros([out], (tch::Kind::Float, tch::Device::Cpu)),
        };
        let head = [Layer::Flatten, linear(40, 50, 0.5), Layer::RELU, linear(30, 40, 2.0)];
        let heads = redrawn(&head, 3).unwrap();
        let weight = |layers: &[Layer], at: usize| match &layers[at] {
            Layer::Linear { weight, .. } => weight.shallow_clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(heads.len(), 2);
        assert_eq!(weight(&heads[0], 1), weight(&head, 1));
        assert_eq!(weight(&heads[0], 3), weight(&heads[1], 3), "what is redrawn stays redrawn");
        for (at, deviation) in [(1, 0.5), (3, 2.0)] {
            let new = weight(&heads[1], at);
            assert_ne!(new, weight(&head, at));
            approx::assert_relative_eq!(
                new.std(false).double_value(&[]),
                deviation,
                max_relative = 0.05
            );
        }
        assert_eq!(weight(&redrawn(&head, 3).unwrap()[1], 1), weight(&heads[1], 1));
        assert_ne!(weight(&redrawn(&head, 4).unwrap()[1], 1), weight(&heads[1], 1));
        match &heads[1][1] {
            Layer::Linear { bias, .. } => {
                assert_eq!(bias.abs().max().double_value(&[]), 0.0, "no deviation, no bias");
            }
            other => panic!("{other:?}"),
        }
    }
}
