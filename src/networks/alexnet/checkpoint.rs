//! A checkpoint of an AlexNet in any known layout, brought to the project's own.
//!
//! In: a state dict, the card beside it. Out: the tensors in the project's names and order, the
//! mean image, and the [`Structure`] of what the weights do not tell. What is neither said by the
//! card nor proved by the file is refused.

use super::layout::{CONVOLUTIONS, LAYOUTS, Layout, unknown_layout};
use super::structure::Structure;
use crate::image::Size;
use crate::networks::{Architecture, Card, Flatten, Mean};
use crate::nn::weights::{Array, StateDict, mean_image};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A checkpoint in the project's own layout, and the files it was read from.
#[derive(Debug)]
pub(crate) struct Canonical {
    /// conv1..conv5 and fc6..fc8 (`.weight`, `.bias`), fc6 reading channels, rows, columns; and
    /// `mean` (3, rows, columns) or (3, 1, 1) where there is one.
    pub tensors: Vec<(String, Array)>,
    /// What the weights do not tell.
    pub structure: Structure,
    /// Role and path of every file.
    pub files: Vec<(&'static str, PathBuf)>,
    /// Made by `emocam models synthesize`.
    pub synthesized: bool,
}

/// The mean image's tensor in a converted checkpoint.
pub(crate) const MEAN: &str = "mean";

/// The entry of a checkpoint's metadata that says its numbers are random.
pub(crate) const SYNTHESIZED: &str = "synthesized";

/// The entry of a checkpoint's metadata that says what it was trained on, and what it says of a
/// network that was trained here, with EmoNet's layers.
pub(crate) const TRAINED_HERE: (&str, &str) =
    ("about", "trained on drawn scenes by `emocam train-demo`; not EmoNet");

/// The entry of a converted checkpoint's metadata with its [`Structure`] as JSON, where that is not
/// EmoNet's.
pub(super) const STRUCTURE: &str = "structure";

/// (kernel side, groups) of the five convolutions.
type Shapes = [(usize, usize); CONVOLUTIONS];

const EMONET_SHAPES: Shapes = [(11, 1), (5, 2), (3, 1), (3, 2), (3, 2)];
const TORCHVISION_SHAPES: Shapes = [(11, 1), (5, 1), (3, 1), (3, 1), (3, 1)];

/// Who says what the weights do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The card beside the weights, or what this program wrote into the file.
    Said,
    /// Torchvision's names, which hold as long as the kernels are torchvision's too.
    Names,
    /// Nobody: without a card it is taken for EmoNet, as long as it has EmoNet's kernels.
    Preset,
}

/// Reads a checkpoint of any layout into the project's own, which is what `models import` writes.
///
/// # Errors
/// As [`super::AlexNet::load`].
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
    let (structure, source) = structure_of(&state, path, card, layout)?;
    check_preparation(&state, path, mean, card, (&structure, layout))?;
    let mut tensors = eight_layers(&mut state, path, card, layout, &structure)?;
    check_shapes(path, &tensors, source)?;
    let mut files = vec![("emotion.weights", path.to_path_buf())];
    if has_card(path) {
        files.push(("emotion.card", Card::path_beside(path)));
    }
    let mean_file = mean_file(path, mean, card, layout);
    if let Some(mean) = mean_of(&mut state, path, mean_file.as_deref(), card, layout)? {
        tensors.push((MEAN.into(), mean));
    }
    files.extend(mean_file.map(|file| ("emotion.mean", file)));
    if let Some(name) = state.arrays.keys().next() {
        return Err(Error::file(
            path,
            format!("holds a tensor `{name}` that this network does not have"),
        ));
    }
    let synthesized = state.metadata.contains_key(SYNTHESIZED);
    Ok(Canonical { tensors, structure, files, synthesized })
}

fn has_card(path: &Path) -> bool {
    Card::path_beside(path).is_file()
}

/// What the weights do not tell, and who says it.
fn structure_of(
    state: &StateDict,
    path: &Path,
    card: &Card,
    layout: &Layout,
) -> Result<(Structure, Source)> {
    let (note, trained) = (state.metadata.get(STRUCTURE), state.metadata.get(TRAINED_HERE.0));
    let made_here = state.metadata.contains_key(SYNTHESIZED)
        || trained.is_some_and(|text| text == TRAINED_HERE.1);
    if !has_card(path) {
        if note.is_some() || layout.is_torchvision {
            let message = "is not EmoNet, and no card lies beside it: write one with its labels \
                           and its input (configs/emonet.toml explains the keys)";
            return Err(Error::file(
                path,
                format!("{message} as {}", Card::path_beside(path).display()),
            ));
        }
        return Ok((Structure::EMONET, if made_here { Source::Said } else { Source::Preset }));
    }
    let refuse = |message: String| Error::file(&Card::path_beside(path), message);
    match (card.structure, note) {
        (Some(structure), _) if layout.is_torchvision && structure.norm().is_some() => Err(refuse(
            "`structure` has local response normalisation, for which the names of the tensors \
             (features.0, features.3 ...: a convolution, a ReLU, a pooling) leave no room: \
             torchvision's is \"torchvision\""
                .into(),
        )),
        (Some(structure), _) => Ok((structure, Source::Said)),
        (None, Some(json)) => {
            let found: Result<Structure, String> =
                serde_json::from_str(json).map_err(|error| error.to_string());
            let found = found.and_then(|structure| structure.check().map(|()| structure));
            let damaged =
                |error| Error::file(path, format!("its entry `structure` cannot be: {error}"));
            Ok((found.map_err(damaged)?, Source::Said))
        }
        (None, None) if made_here => Ok((Structure::EMONET, Source::Said)),
        (None, None) if layout.is_torchvision => Ok((Structure::TORCHVISION, Source::Names)),
        (None, None) => Err(refuse(
            "does not say what the weights cannot tell: write `structure = \"emonet\"` (local \
             response normalisation before the pooling behind conv1 and conv2, no padding at \
             conv1), \"caffenet\" (normalisation after the pooling), \"torchvision\" (no \
             normalisation, padding 2 at conv1, averaged to 6 x 6 before fc6), or a table \
             `[structure]` with stride, padding, local_response_norm, pooling and average"
                .into(),
        )),
    }
}

/// Refuses a card that leaves to EmoNet's defaults how the input of another network is prepared,
/// and in which order fc6 reads.
fn check_preparation(
    state: &StateDict,
    path: &Path,
    mean: Option<&Path>,
    card: &Card,
    (structure, layout): (&Structure, &Layout),
) -> Result<()> {
    if !has_card(path) {
        return Ok(());
    }
    let refuse = |message: String| Err(Error::file(&Card::path_beside(path), message));
    let mean_is_known = mean.is_some() || state.arrays.contains_key(MEAN);
    let unsaid: Vec<String> = card
        .unsaid
        .iter()
        .filter(|key| !(mean_is_known && **key == "mean"))
        .map(|key| format!("`{key}`"))
        .collect();
    if *structure != Structure::EMONET && !unsaid.is_empty() {
        return refuse(format!(
            "does not say how the input of this network is prepared, which is not EmoNet: {} \
             missing. Torchvision's own AlexNet has resize = \"center-crop\", crop = 0.875, filter \
             = \"bilinear\", scale = 255, mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, \
             0.225], channels = \"rgb\"; a network without one of them scale = 1, mean = [0, 0, \
             0], std = [1, 1, 1]",
            unsaid.join(", ")
        ));
    }
    // With EmoNet's labels it is EmoNet, of which the names of the tensors tell the order.
    let is_emonet = *structure == Structure::EMONET && card.labels == Card::emonet().labels;
    if layout.flatten == Flatten::ChannelsColumnsRows && card.flatten.is_none() && !is_emonet {
        return refuse(
            "does not say in which order fc1 reads the pooled map: write `flatten = \
             \"channels-rows-columns\"` (PyTorch's own) or \"channels-columns-rows\" (EmoNet of KU \
             Leuven, which came from MATLAB)"
                .into(),
        );
    }
    Ok(())
}

/// Takes weights and biases of the eight layers, checked against each other and the input's size.
fn eight_layers(
    state: &mut StateDict,
    path: &Path,
    card: &Card,
    layout: &Layout,
    structure: &Structure,
) -> Result<Vec<(String, Array)>> {
    let flatten = card.flatten.unwrap_or(layout.flatten);
    let mut tensors = Vec::new();
    let mut map = (card.input(), 3);
    for (at, layer) in layout.layers.iter().enumerate() {
        let mut weight = take_weight(state, &format!("{layer}.weight"), at, layout.name)?;
        let (size, features) = map;
        if at < CONVOLUTIONS {
            let size = structure.behind(at, size, weight.shape[2] as i64).ok_or_else(|| {
                let message = format!(
                    "an input of {} (width x height) leaves nothing behind {layer}: name a larger \
                     one",
                    card.input()
                );
                Error::file(&Card::path_beside(path), message)
            })?;
            map = (size, weight.shape[0] as i64);
        } else {
            let (rows, columns) = (i64::from(size.height), i64::from(size.width));
            let wanted = if at == CONVOLUTIONS { features * rows * columns } else { features };
            fully_connected(&mut weight, path, layer, wanted, (at == 7).then_some(card.outputs()))?;
            if at == CONVOLUTIONS && flatten == Flatten::ChannelsColumnsRows {
                swap_rows_and_columns(
                    &mut weight,
                    features as usize,
                    rows as usize,
                    columns as usize,
                );
            }
            map = (size, weight.shape[0] as i64);
        }
        let bias = Array {
            shape: vec![weight.shape[0]],
            values: state.take(&format!("{layer}.bias"), &[weight.shape[0]])?,
        };
        let name = LAYOUTS[0].layers[at];
        tensors.push((format!("{name}.weight"), weight));
        tensors.push((format!("{name}.bias"), bias));
    }
    Ok(tensors)
}

impl Structure {
    /// The size of the map behind convolution number `at` (from 0), its pooling and, at the last
    /// one, the averaging; `None` where nothing is left.
    fn behind(&self, at: usize, size: Size, kernel: i64) -> Option<Size> {
        let step = if at == 0 { self.stride } else { 1 };
        let [window, window_step] = self.pooling;
        let one = |side: u32| -> Option<u32> {
            let mut side = windows(i64::from(side) + 2 * self.padding[at], kernel, step);
            if at != 2 && at != 3 {
                side = windows(side, window, window_step);
            }
            u32::try_from(side).ok().filter(|&side| side > 0)
        };
        let behind = Size::new(one(size.width)?, one(size.height)?);
        match self.average {
            Some([rows, columns]) if at + 1 == CONVOLUTIONS => {
                Some(Size::new(columns as u32, rows as u32))
            }
            _ => Some(behind),
        }
    }
}

/// How many places a window of `size` has on a side; 0 where it is larger than that.
fn windows(side: i64, size: i64, stride: i64) -> i64 {
    if side < size {
        return 0;
    }
    (side - size) / stride + 1
}

/// Refuses a structure that was concluded, not said, where the kernels are not those that go with
/// it.
fn check_shapes(path: &Path, tensors: &[(String, Array)], source: Source) -> Result<()> {
    let (name, wanted) = match source {
        Source::Said => return Ok(()),
        Source::Names => ("torchvision's AlexNet", TORCHVISION_SHAPES),
        Source::Preset => ("EmoNet", EMONET_SHAPES),
    };
    let kernels = tensors.iter().step_by(2).take(CONVOLUTIONS).map(|(_, kernel)| &kernel.shape);
    let mut channels = 3;
    let mut found = Vec::new();
    for shape in kernels {
        found.push((shape[2], channels / shape[1]));
        channels = shape[0];
    }
    if found == wanted {
        return Ok(());
    }
    let described = |shapes: &[(usize, usize)]| {
        let one = |(side, groups): &(usize, usize)| format!("{side} x {side} in {groups}");
        shapes.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let message = format!(
        "is not {name}, as which it would be read: kernels and groups of conv1 to conv5 should be \
         {}, found {}. Say what it is in {}, key `structure` (configs/emonet.toml explains it)",
        described(&wanted),
        described(&found),
        Card::path_beside(path).display()
    );
    Err(Error::file(path, message))
}

/// The weight of layer `at`, four-dimensional for convolutions, otherwise as it is in the file.
fn take_weight(state: &mut StateDict, name: &str, at: usize, layout: &str) -> Result<Array> {
    let shape = state.arrays.get(name).map(|array| array.shape.clone()).unwrap_or_default();
    let dimensions = if at < CONVOLUTIONS {
        shape.len() == 4 && shape[2] == shape[3]
    } else {
        shape.len() == 2 || shape.len() == 4
    };
    if !dimensions || shape.contains(&0) {
        let expected = if at < CONVOLUTIONS {
            "a square convolution kernel"
        } else {
            "a matrix (or a convolution of its size)"
        };
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
fn fully_connected(
    weight: &mut Array,
    path: &Path,
    layer: &str,
    wanted: i64,
    labels: Option<usize>,
) -> Result<()> {
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

/// The mean image's file: the one given, the card's, or `img_mean.txt` beside weights of a layout
/// that needs it.
fn mean_file(path: &Path, given: Option<&Path>, card: &Card, layout: &Layout) -> Option<PathBuf> {
    match (given, &card.mean) {
        (Some(file), _) => Some(file.to_path_buf()),
        (None, Some(Mean::File(name))) => Some(path.with_file_name(name)),
        (None, Some(Mean::Colour(_))) => None,
        (None, None) => Some(path.with_file_name("img_mean.txt"))
            .filter(|file| layout.needs_mean && file.is_file()),
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
        (None, Some(Mean::Colour(colour))) => {
            Some(Array { shape: vec![3, 1, 1], values: colour.to_vec() })
        }
        (None, _) => stored,
    };
    let input = card.input();
    let (rows, columns) = (input.height as usize, input.width as usize);
    match &mean {
        Some(mean) if mean.shape != [3, rows, columns] && mean.shape != [3, 1, 1] => {
            Err(Error::Tensor {
                path: file.unwrap_or(path).into(),
                tensor: MEAN.into(),
                expected: format!("3 x {rows} x {columns}"),
                found: format!("{:?}", mean.shape),
            })
        }
        None if layout.needs_mean => Err(Error::file(
            path,
            "this checkpoint (KU Leuven layout) goes with a mean image: put the published \
             img_mean.txt beside it, or name it with `--emotion-mean`",
        )),
        _ => Ok(mean),
    }
}
