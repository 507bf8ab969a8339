//! Which layers of a network have features: the inner ones it names, the explained activation A,
//! the linear ones behind A where it shows them, and the outputs.

use crate::networks::{Classifier, Forward};
use crate::{Error, Result};
use tch::{Kind, TchError, Tensor};

/// By this name every network's explained activation is known, besides that of its card.
const ACTIVATION: &str = "activation";

/// By this name every network's outputs are known.
const OUTPUTS: &str = "outputs";

/// A layer whose features can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureLayer {
    /// Its name.
    pub name: String,
    place: LayerPlace,
}

/// Where its output is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LayerPlace {
    /// Before A.
    Inner,
    /// A itself.
    Activation,
    /// Number of a layer behind A.
    Head(usize),
    /// The end.
    Outputs,
}

impl FeatureLayer {
    /// What the features are, in a few words.
    pub fn description(&self) -> &'static str {
        match self.place {
            LayerPlace::Inner => "inner layer, mean over all places",
            LayerPlace::Activation => "the explained activation, mean over all places",
            LayerPlace::Head(_) => "behind the explained activation",
            LayerPlace::Outputs => "the network's outputs",
        }
    }

    /// Its name as that of a folder.
    pub fn folder(&self) -> String {
        let plain = |letter: char| {
            if letter.is_alphanumeric() || "._-".contains(letter) { letter } else { '_' }
        };
        let name: String = self.name.chars().map(plain).collect();
        // Not a hidden folder, nor the one above.
        if name.starts_with('.') { format!("_{name}") } else { name }
    }

    /// The features of a batch that went through `network`, one list a picture.
    ///
    /// # Errors
    /// The network could not be run.
    pub fn features(&self, network: &dyn Classifier, forward: &Forward) -> Result<Vec<Vec<f32>>> {
        let pooled = match self.place {
            LayerPlace::Inner => pooled(&network.inner(&self.name, &forward.input)?.values),
            LayerPlace::Activation => pooled(&forward.activation.values),
            LayerPlace::Head(layer) => pooled(&forward.values[layer + 1]),
            LayerPlace::Outputs => pooled(forward.outputs()),
        };
        let numbers = pooled.and_then(|pooled| {
            Ok((pooled.size()[1] as usize, Vec::<f32>::try_from(&pooled.f_flatten(0, -1)?)?))
        });
        let (columns, numbers) = numbers.map_err(Error::torch("reading a layer's features"))?;
        if columns == 0 {
            return Err(Error::Setting(format!("the layer `{}` has no channels", self.name)));
        }
        Ok(numbers.chunks_exact(columns).map(<[f32]>::to_vec).collect())
    }
}

/// (N, channels) in f32: of what has places their mean.
fn pooled(output: &Tensor) -> Result<Tensor, TchError> {
    let _no_grad = tch::no_grad_guard();
    let output = output.f_to_kind(Kind::Float)?;
    let places: Vec<i64> = (2..output.dim() as i64).collect();
    let output = if places.is_empty() {
        output
    } else {
        output.f_mean_dim(places.as_slice(), false, Kind::Float)?
    };
    output.f_to_device(tch::Device::Cpu)?.f_contiguous()
}

/// All layers of a network whose features can be asked for, from the input to the outputs. Where an
/// inner layer has the name of A, it is A.
pub fn feature_layers(network: &dyn Classifier) -> Vec<FeatureLayer> {
    let explained = network.card().layer.clone().unwrap_or_else(|| ACTIVATION.into());
    let inner = network.inner_layers().into_iter().filter(|name| *name != explained);
    let inner = inner.map(|name| FeatureLayer { name: name.into(), place: LayerPlace::Inner });
    let head = network.head_layers().into_iter();
    let head = head.map(|(name, layer)| FeatureLayer { name, place: LayerPlace::Head(layer) });
    let mut layers: Vec<FeatureLayer> = inner.collect();
    layers.push(FeatureLayer { name: explained, place: LayerPlace::Activation });
    layers.extend(head);
    layers.push(FeatureLayer { name: OUTPUTS.into(), place: LayerPlace::Outputs });
    layers
}

/// The layers of these names, each once and in their order; A where none is named.
///
/// # Errors
/// A layer that the network has not, with the names of those it has.
pub fn choose(network: &dyn Classifier, names: &[String]) -> Result<Vec<FeatureLayer>> {
    let known = feature_layers(network);
    let explained = || known.iter().find(|layer| layer.place == LayerPlace::Activation);
    let named = |name: &str| match known.iter().find(|layer| layer.name == name) {
        None if name == ACTIVATION => explained(),
        found => found,
    };
    let mut chosen: Vec<FeatureLayer> = Vec::new();
    let asked: Vec<&str> = if names.is_empty() {
        vec![ACTIVATION]
    } else {
        names.iter().map(String::as_str).collect()
    };
    for name in asked {
        let Some(layer) = named(name) else {
            let known: Vec<&str> = known.iter().map(|layer| layer.name.as_str()).collect();
            return Err(Error::Setting(format!(
                "the network has no layer `{name}`; it has {}",
                known.join(", ")
            )));
        };
        if !chosen.contains(layer) {
            chosen.push(layer.clone());
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Rgb8;
    use crate::networks::AlexNet;
    use std::path::Path;

    #[test]
    fn layers_are_chosen_by_name_and_give_a_row_a_picture() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/emonet/narrow_ecco.pt");
        let network = AlexNet::load(&file, None, tch::Device::Cpu).unwrap();
        let known: Vec<String> =
            feature_layers(&network).into_iter().map(|layer| layer.name).collect();
        let expected = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "outputs"];
        assert!(expected.iter().all(|name| known.iter().any(|layer| layer == name)), "{known:?}");
        let picture = Rgb8::filled(network.card().input(), [200, 90, 10]);
        let forward = Forward::of_pictures(&network, &[&picture, &picture]).unwrap();
        for layer in feature_layers(&network) {
            let features = layer.features(&network, &forward).unwrap();
            assert_eq!(features.len(), 2, "{}", layer.name);
            assert_eq!(features[0].len(), features[1].len());
        }
        let names = ["fc7", "activation", "fc7"].map(String::from);
        let chosen = choose(&network, &names).unwrap();
        assert_eq!(chosen.len(), 2);
        // Behind its ReLU.
        assert!(
            chosen[0].features(&network, &forward).unwrap()[0].iter().all(|value| *value >= 0.0)
        );
        assert_eq!(choose(&network, &[]).unwrap(), chosen[1..]);
        let error = choose(&network, &["fc9".to_string()]).unwrap_err().to_string();
        assert!(error.contains("no layer `fc9`; it has conv1, "), "{error}");
    }

    #[test]
    fn names_become_folders() {
        let folder =
            |name: &str| FeatureLayer { name: name.into(), place: LayerPlace::Inner }.folder();
        assert_eq!(
            ["blocks.3/attn out", "..", "fc6"].map(folder),
            ["blocks.3_attn_out", "_..", "fc6"]
        );
    }
}
