//! The methods against other implementations, and their laws.

mod averaged;
mod inner_layers;
mod laws;
mod opaque;
mod references;
mod targets;

use super::*;
use crate::image::Rgb8;
use crate::networks::{Activation, Card, Classifier, Forward};
use crate::nn::{Layer, forward};
use std::path::{Path, PathBuf};
use tch::Device;

/// A network that is nothing but its head: the input is A.
#[derive(Debug)]
pub(super) struct HeadAlone {
    card: Card,
    layers: Vec<Layer>,
    hidden: bool,
}

impl HeadAlone {
    fn new(layers: &[Layer], hidden: bool) -> Self {
        let card = "labels = ['a', 'b', 'c', 'd', 'e']\ninput = [7, 9]\n\
                    [valence]\nbias = 3.0\nweights = [0.5, -0.25, 1.0, -0.75, 0.125]\n\
                    [arousal]\nbias = -1.5\nweights = [-0.5, 2.0, 0.25, 0.75, -0.125]\n";
        let card = Card::from_toml(card, Path::new("test")).unwrap();
        let layers = layers.iter().map(|layer| layer.on(Device::Cpu).unwrap()).collect();
        Self { card, layers, hidden }
    }
}

impl Classifier for HeadAlone {
    fn card(&self) -> &Card {
        &self.card
    }

    fn prepare(&self, _pictures: &[&Rgb8]) -> Result<Tensor> {
        unreachable!("its input is made by the test")
    }

    fn activation(&self, input: &Tensor) -> Result<Activation> {
        Ok(Activation::alone(input.shallow_clone()))
    }

    fn outputs(&self, activation: &Activation) -> Result<Tensor, TchError> {
        forward(&self.layers, &activation.values)
    }

    fn layers(&self) -> Option<&[Layer]> {
        (!self.hidden).then_some(&self.layers)
    }

    fn on(&self, _device: Device) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(Self::new(&self.layers, self.hidden)))
    }

    fn files(&self) -> &[(&'static str, PathBuf)] {
        &[]
    }
}

/// A batch of activations that went through a head.
pub(super) struct Run {
    network: HeadAlone,
    forward: Forward,
}

impl Run {
    fn new(head: &[Layer], a: &Tensor) -> Self {
        Self::with(HeadAlone::new(head, false), a)
    }

    fn with(network: HeadAlone, a: &Tensor) -> Self {
        let forward = Forward::run(&network, a.shallow_clone()).unwrap();
        Self { network, forward }
    }

    fn pass<'a>(&'a self, classes: &'a [usize], seeds: &'a [u64]) -> HeadPass<'a> {
        self.pass_with(
            Options { permutations: 4, evaluations: 20, ..Options::default() },
            classes,
            seeds,
        )
    }

    fn pass_with<'a>(
        &'a self,
        options: Options,
        classes: &'a [usize],
        seeds: &'a [u64],
    ) -> HeadPass<'a> {
        HeadPass::new(&self.network, &self.forward, options, classes, seeds).unwrap()
    }
}

/// All methods whose maps need no regions.
fn map_methods() -> Vec<Method> {
    Method::all().into_iter().filter(|method| method.row().needs != Needs::Regions).collect()
}

/// A head of random numbers: pooling, three linear layers with ReLUs between them.
fn random_head(seed: u64, channels: usize, bias: f64) -> Vec<Layer> {
    let mut random = crate::random::Random::new(seed, 7);
    let mut tensor = |shape: &[i64], deviation: f64| {
        let count = shape.iter().product::<i64>() as usize;
        let values: Vec<f32> =
            random.spread(count, deviation).into_iter().map(|value| value as f32).collect();
        Tensor::from_slice(&values).reshape(shape)
    };
    let mut layers =
        vec![Layer::RELU, Layer::MaxPool { size: 3, stride: 2, padding: 0 }, Layer::Flatten];
    for (number, (inputs, outputs)) in
        [(channels as i64 * 4, 12_i64), (12, 9), (9, 5)].into_iter().enumerate()
    {
        if number > 0 {
            layers.push(Layer::RELU);
        }
        let weight = tensor(&[outputs, inputs], (2.0 / inputs as f64).sqrt());
        layers.push(Layer::Linear { weight, bias: tensor(&[outputs], bias) });
    }
    layers
}

fn random_activation(seed: u64, pictures: i64, channels: i64) -> Tensor {
    let mut random = crate::random::Random::new(seed, 8);
    let values: Vec<f32> =
        random.spread((pictures * channels * 25) as usize, 1.0).iter().map(|v| *v as f32).collect();
    Tensor::from_slice(&values).reshape([pictures, channels, 5, 5])
}
