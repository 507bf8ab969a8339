//! EmoNet (Kragel et al. 2019): the original two-column AlexNet of Krizhevsky et al. 2012 with 20 outputs. Any AlexNet
//! with these eight layers fits: numbers of channels and groups are read off the weights.

use super::input::Normalisation;
use super::{linear_layers, no_inner_layer, Activation, Architecture, Card, Classifier, Flatten, Mean};
use crate::image::Rgb8;
use crate::nn::weights::{mean_image, safetensors, Array, StateDict};
use crate::nn::{forward, Layer};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use tch::{Device, TchError, Tensor};

/// The network, split at conv5.
#[derive(Debug)]
pub struct AlexNet {
    card: Card,
    normalisation: Normalisation,
    body: Vec<Layer>,
    head: Vec<Layer>,
    files: Vec<(&'static str, PathBuf)>,
    synthesized: bool,
}

/// A checkpoint in the project's own layout, and the files it was read from.
#[derive(Debug)]
pub(crate) struct Canonical {
    /// conv1..conv5 and fc6..fc8 (`.weight`, `.bias`), fc6 reading channels, rows, columns; and `mean` (3, rows,
    /// columns) or (3, 1, 1) where there is one.
    pub tensors: Vec<(String, Array)>,
    /// Role and path of every file.
    pub files: Vec<(&'static str, PathBuf)>,
    /// Made by `emocam models synthesize`.
    pub synthesized: bool,
}

/// Names of the eight layers in a checkpoint, and how it flattens.
#[derive(Debug)]
struct Layout {
    name: &'static str,
    layers: [&'static str; 8],
    flatten: Flatten,
    /// Whether the published code subtracts the mean image that is published beside it.
    needs_mean: bool,
}

const LAYOUTS: [Layout; 3] = [
    Layout {
        name: "emocam",
        layers: ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"],
        flatten: Flatten::ChannelsRowsColumns,
        needs_mean: false,
    },
    Layout {
        name: "KU Leuven",
        layers: ["conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3"],
        flatten: Flatten::ChannelsColumnsRows,
        needs_mean: true,
    },
    Layout {
        name: "ECCO Lab",
        layers: ["conv_0.0", "conv_1.0", "conv_2.0", "conv_3.0", "conv_4.0", "conv_5.0", "conv_6.0", "classifier.0"],
        flatten: Flatten::ChannelsRowsColumns,
        needs_mean: false,
    },
];

/// (stride, padding) of the five convolutions.
const CONVOLUTIONS: [(i64, i64); 5] = [(4, 0), (1, 2), (1, 1), (1, 1), (1, 1)];

/// The mean image's tensor in a converted checkpoint.
pub(crate) const MEAN: &str = "mean";

/// The entry of a checkpoint's metadata that says its numbers are random.
pub(crate) const SYNTHESIZED: &str = "synthesized";

impl AlexNet {
    /// Loads a checkpoint in any of the three layouts, with the mean image from `mean`, else from the model's card,
    /// else from the checkpoint, else none where the published code subtracts none.
    ///
    /// # Errors
    /// A file that cannot be read; a tensor that is missing, superfluous or of the wrong shape; a mean image that is
    /// needed and not given.
    pub fn load(weights: &Path, mean: Option<&Path>, device: Device) -> Result<Self> {
        let card = Card::beside(weights)?;
        let checkpoint = canonical(weights, mean, &card)?;
        Self::build(weights, checkpoint, card, device)
    }

    /// Converts a checkpoint of any layout, with its mean image, to the project's own layout as safetensors.
    ///
    /// # Errors
    /// As [`Self::load`]; `out` cannot be written.
    pub fn import(weights: &Path, mean: Option<&Path>, out: &Path) -> Result<()> {
        let checkpoint = canonical(weights, mean, &Card::beside(weights)?)?;
        let note = checkpoint.synthesized.then(|| (SYNTHESIZED.to_string(), "true".to_string()));
        safetensors::write(out, &checkpoint.tensors, &note.into_iter().collect())
    }

    /// Whether a mean image or colour is subtracted from the input.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn subtracts_mean(&self) -> Result<bool> {
        self.normalisation.subtracts().map_err(Error::torch("looking at the mean image"))
    }

    /// Numbers in the eight layers.
    pub fn parameter_count(&self) -> usize {
        let count = |layer: &Layer| match layer {
            Layer::Convolution { kernel: weight, bias, .. } | Layer::Linear { weight, bias } => {
                weight.numel() + bias.numel()
            }
            _ => 0,
        };
        self.body.iter().chain(&self.head).map(count).sum()
    }

    /// How many layers of the body there are up to the convolution `name`, its ReLU not among them.
    fn behind(&self, name: &str) -> Result<usize> {
        let known = self.inner_layers();
        let convolutions = self.body.iter().zip(1..).filter(|(layer, _)| matches!(layer, Layer::Convolution { .. }));
        let found = convolutions.zip(&known).find(|(_, known)| **known == name);
        found.map(|((_, behind), _)| behind).ok_or_else(|| no_inner_layer(name, &known))
    }

    /// The same network, its tensors on `device`.
    fn moved(&self, device: Device) -> Result<Self> {
        let layers = |layers: &[Layer]| layers.iter().map(|layer| layer.on(device)).collect::<Result<Vec<_>, _>>();
        let parts = || Ok((self.normalisation.on(device)?, layers(&self.body)?, layers(&self.head)?));
        let (normalisation, body, head) = parts().map_err(Error::torch("sharing the emotion model"))?;
        let (card, files) = (self.card.clone(), self.files.clone());
        Ok(Self { card, normalisation, body, head, files, synthesized: self.synthesized })
    }

    fn build(path: &Path, checkpoint: Canonical, card: Card, device: Device) -> Result<Self> {
        let Canonical { mut tensors, files, synthesized } = checkpoint;
        let place = |array: &Array| -> Result<Tensor> {
            let shape: Vec<i64> = array.shape.iter().map(|&side| side as i64).collect();
            Tensor::f_from_slice(&array.values)
                .and_then(|tensor| tensor.f_reshape(&shape)?.f_to_device(device))
                .map_err(Error::torch("loading the emotion model's weights"))
        };
        let mean = tensors.iter().position(|(name, _)| name == MEAN);
        let mean = mean.map(|place_of_mean| place(&tensors.swap_remove(place_of_mean).1)).transpose()?;
        let normalisation = Normalisation::new(&card, mean, device)?;
        let get = |name: String| -> Result<Tensor> {
            let (_, array) = tensors.iter().find(|(known, _)| *known == name).expect("canonical() gives all layers");
            place(array)
        };
        let (body, head) = layers(path, get)?;
        Ok(Self { card, normalisation, body, head, files, synthesized })
    }
}

impl Classifier for AlexNet {
    fn card(&self) -> &Card {
        &self.card
    }

    fn prepare(&self, pictures: &[&Rgb8]) -> Result<Tensor> {
        self.normalisation.prepare(pictures, &self.card)
    }

    fn activation(&self, input: &Tensor) -> Result<Activation> {
        let _no_grad = tch::no_grad_guard();
        let values = forward(&self.body, input).and_then(|a| a.f_contiguous());
        values.map(Activation::alone).map_err(Error::torch("running the emotion model"))
    }

    fn outputs(&self, activation: &Activation) -> Result<Tensor, TchError> {
        forward(&self.head, &activation.values)
    }

    fn inner_layers(&self) -> Vec<&str> {
        LAYOUTS[0].layers[..CONVOLUTIONS.len()].to_vec()
    }

    fn inner(&self, name: &str, input: &Tensor) -> Result<Activation> {
        let _no_grad = tch::no_grad_guard();
        let (before, _) = self.body.split_at(self.behind(name)?);
        let values = forward(before, input).and_then(|values| values.f_contiguous());
        values.map(Activation::alone).map_err(Error::torch("running the emotion model"))
    }

    fn outputs_from(&self, name: &str, inner: &Activation) -> Result<Tensor> {
        let _no_grad = tch::no_grad_guard();
        let (_, after) = self.body.split_at(self.behind(name)?);
        let a = forward(after, &inner.values).and_then(|a| a.f_contiguous());
        a.and_then(|a| forward(&self.head, &a)).map_err(Error::torch("running the emotion model"))
    }

    fn layers(&self) -> Option<&[Layer]> {
        Some(&self.head)
    }

    fn head_layers(&self) -> Vec<(String, usize)> {
        let names = LAYOUTS[0].layers[CONVOLUTIONS.len()..].iter().map(ToString::to_string);
        names.zip(linear_layers(&self.head)).collect()
    }

    fn with_layers(&self, layers: Vec<Layer>) -> Result<Option<Box<dyn Classifier>>> {
        Ok(Some(Box::new(Self { head: layers, ..self.moved(self.normalisation.device())? })))
    }

    fn on(&self, device: Device) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.moved(device)?))
    }

    fn files(&self) -> &[(&'static str, PathBuf)] {
        &self.files
    }

    fn synthesized(&self) -> bool {
        self.synthesized
    }
}

/// Body and head of a network, from its tensors by name (`conv1.weight` to `fc8.bias`); `path` is for messages.
///
/// # Errors
/// Whatever `get` reports; a kernel that does not fit the channels before it.
pub(crate) fn layers(path: &Path, get: impl Fn(String) -> Result<Tensor>) -> Result<(Vec<Layer>, Vec<Layer>)> {
    let mut body = Vec::new();
    let mut channels = 3;
    for (at, (stride, padding)) in CONVOLUTIONS.into_iter().enumerate() {
        let (kernel, bias) = (get(format!("conv{}.weight", at + 1))?, get(format!("conv{}.bias", at + 1))?);
        let (out, of_group) = (kernel.size()[0], kernel.size()[1]);
        if of_group == 0 || channels % of_group != 0 || out % (channels / of_group) != 0 {
            return Err(Error::Tensor {
                path: path.into(),
                tensor: format!("conv{}.weight", at + 1),
                expected: format!("a kernel for {channels} channels in equal groups"),
                found: format!("{:?}", kernel.size()),
            });
        }
        body.push(Layer::Convolution { kernel, bias, stride, padding, groups: channels / of_group });
        if at < 4 {
            body.push(Layer::RELU);
        }
        if at < 2 {
            body.push(Layer::LocalResponseNorm { size: 5, alpha: 1e-4, beta: 0.75, k: 1.0 });
            body.push(Layer::MaxPool { size: 3, stride: 2, padding: 0 });
        }
        channels = out;
    }
    let mut head = vec![Layer::RELU, Layer::MaxPool { size: 3, stride: 2, padding: 0 }, Layer::Flatten];
    for at in 6..=8 {
        head.push(Layer::Linear { weight: get(format!("fc{at}.weight"))?, bias: get(format!("fc{at}.bias"))? });
        if at < 8 {
            head.push(Layer::RELU);
        }
    }
    Ok((body, head))
}

/// How many places a window of `size` has on a side; 0 where it is larger than that.
fn windows(side: i64, size: i64, stride: i64) -> i64 {
    if side < size {
        return 0;
    }
    (side - size) / stride + 1
}

/// Reads a checkpoint of any layout into the project's own, which is what `models import` writes.
///
/// # Errors
/// As [`AlexNet::load`].
pub(crate) fn canonical(path: &Path, mean: Option<&Path>, card: &Card) -> Result<Canonical> {
    if card.architecture != Architecture::AlexNet {
        return Err(Error::file(
            path,
            "its card says that it is no AlexNet (key `network`), but it is to be read as one",
        ));
    }
    let mut state = StateDict::open(path)?;
    let has = |layer: &str| state.arrays.contains_key(&format!("{layer}.weight"));
    let layout = LAYOUTS.iter().find(|layout| layout.layers.iter().all(|layer| has(layer)));
    let layout = layout.ok_or_else(|| unknown_layout(&state, path))?;
    let flatten = card.flatten.unwrap_or(layout.flatten);
    let mut tensors = Vec::new();
    let input = card.input();
    let (mut rows, mut columns, mut features) = (i64::from(input.height), i64::from(input.width), 3);
    for (at, layer) in layout.layers.iter().enumerate() {
        let mut weight = take_weight(&mut state, &format!("{layer}.weight"), at, layout.name)?;
        if at < 5 {
            for side in [&mut rows, &mut columns] {
                let (stride, padding) = CONVOLUTIONS[at];
                *side = windows(*side + 2 * padding, weight.shape[2] as i64, stride);
                *side = if at == 2 || at == 3 { *side } else { windows(*side, 3, 2) };
            }
            if rows == 0 || columns == 0 {
                let message =
                    format!("an input of {input} (width x height) leaves nothing behind {layer}: name a larger one");
                return Err(Error::file(&Card::path_beside(path), message));
            }
            features = weight.shape[0] as i64;
        } else {
            let wanted = if at == 5 { features * rows * columns } else { features };
            fully_connected(&mut weight, path, layer, wanted, (at == 7).then_some(card.outputs()))?;
            if at == 5 && flatten == Flatten::ChannelsColumnsRows {
                swap_rows_and_columns(&mut weight, features as usize, rows as usize, columns as usize);
            }
            features = weight.shape[0] as i64;
        }
        let bias =
            Array { shape: vec![weight.shape[0]], values: state.take(&format!("{layer}.bias"), &[weight.shape[0]])? };
        let name = LAYOUTS[0].layers[at];
        tensors.push((format!("{name}.weight"), weight));
        tensors.push((format!("{name}.bias"), bias));
    }
    let mut files = vec![("emotion.weights", path.to_path_buf())];
    if Card::path_beside(path).is_file() {
        files.push(("emotion.card", Card::path_beside(path)));
    }
    let mean_file = mean_file(path, mean, card, layout);
    if let Some(mean) = mean_of(&mut state, path, mean_file.as_deref(), card, layout)? {
        tensors.push((MEAN.into(), mean));
    }
    files.extend(mean_file.map(|file| ("emotion.mean", file)));
    if let Some(name) = state.arrays.keys().next() {
        return Err(Error::file(path, format!("holds a tensor `{name}` that this network does not have")));
    }
    let synthesized = state.metadata.contains_key(SYNTHESIZED);
    Ok(Canonical { tensors, files, synthesized })
}

fn unknown_layout(state: &StateDict, path: &Path) -> Error {
    let names: Vec<&str> = state.arrays.keys().take(6).map(String::as_str).collect();
    let message = format!(
        "not a checkpoint of an AlexNet in a known layout: expected tensors conv1..conv5 and fc1..fc3 (KU Leuven), \
         conv_0.0..conv_6.0 and classifier.0 (ECCO Lab), or conv1..conv5 and fc6..fc8; found {} tensors: {} ...",
        state.arrays.len(),
        names.join(", ")
    );
    Error::file(path, message)
}

/// The weight of layer `at`, four-dimensional for convolutions, otherwise as it is in the file.
fn take_weight(state: &mut StateDict, name: &str, at: usize, layout: &str) -> Result<Array> {
    let shape = state.arrays.get(name).map(|array| array.shape.clone()).unwrap_or_default();
    let dimensions =
        if at < 5 { shape.len() == 4 && shape[2] == shape[3] } else { shape.len() == 2 || shape.len() == 4 };
    if !dimensions || shape.contains(&0) {
        let expected = if at < 5 { "a square convolution kernel" } else { "a matrix (or a convolution of its size)" };
        return Err(Error::Tensor {
            path: state.path.clone(),
            tensor: name.into(),
            expected: format!("{expected} (layout: {layout})"),
            found: format!("shape {shape:?}"),
        });
    }
    Ok(Array { values: state.take(name, &shape)?, shape })
}

/// Flattens a fully connected layer's weight to (out, in) and checks both.
fn fully_connected(weight: &mut Array, path: &Path, layer: &str, wanted: i64, labels: Option<usize>) -> Result<()> {
    let (out, of) = (weight.shape[0], weight.shape[1..].iter().product::<usize>());
    if of as i64 != wanted || labels.is_some_and(|labels| labels != out) {
        return Err(Error::Tensor {
            path: path.into(),
            tensor: format!("{layer}.weight"),
            expected: match labels {
                Some(labels) => format!("{labels} outputs (the labels) of {wanted} inputs"),
                None => format!("{wanted} inputs"),
            },
            found: format!("{out} outputs of {of} inputs"),
        });
    }
    weight.shape = vec![out, of];
    Ok(())
}

/// Reorders fc6's inputs from channels, columns, rows to channels, rows, columns.
fn swap_rows_and_columns(weight: &mut Array, channels: usize, rows: usize, columns: usize) {
    for output in weight.values.chunks_exact_mut(channels * rows * columns) {
        for channel in output.chunks_exact_mut(rows * columns) {
            let old = channel.to_vec();
            for row in 0..rows {
                for column in 0..columns {
                    channel[row * columns + column] = old[column * rows + row];
                }
            }
        }
    }
}

/// The mean image's file: the one given, the card's, or `img_mean.txt` beside weights of a layout that needs it.
fn mean_file(path: &Path, given: Option<&Path>, card: &Card, layout: &Layout) -> Option<PathBuf> {
    match (given, &card.mean) {
        (Some(file), _) => Some(file.to_path_buf()),
        (None, Some(Mean::File(name))) => Some(path.with_file_name(name)),
        (None, Some(Mean::Colour(_))) => None,
        (None, None) => Some(path.with_file_name("img_mean.txt")).filter(|file| layout.needs_mean && file.is_file()),
    }
}

fn mean_of(
    state: &mut StateDict,
    path: &Path,
    file: Option<&Path>,
    card: &Card,
    layout: &Layout,
) -> Result<Option<Array>> {
    let stored = match state.arrays.get(MEAN).map(|array| array.shape.clone()) {
        Some(shape) => Some(Array { values: state.take(MEAN, &shape)?, shape }),
        None => None,
    };
    let mean = match (file, &card.mean) {
        (Some(file), _) => Some(mean_image::read(file)?),
        (None, Some(Mean::Colour(colour))) => Some(Array { shape: vec![3, 1, 1], values: colour.to_vec() }),
        (None, _) => stored,
    };
    let input = card.input();
    let (rows, columns) = (input.height as usize, input.width as usize);
    match &mean {
        Some(mean) if mean.shape != [3, rows, columns] && mean.shape != [3, 1, 1] => Err(Error::Tensor {
            path: file.unwrap_or(path).into(),
            tensor: MEAN.into(),
            expected: format!("3 x {rows} x {columns}"),
            found: format!("{:?}", mean.shape),
        }),
        None if layout.needs_mean => Err(Error::file(
            path,
            "this checkpoint (KU Leuven layout) goes with a mean image: put the published img_mean.txt beside it, or name \
             it with `--emotion-mean`",
        )),
        _ => Ok(mean),
    }
}
