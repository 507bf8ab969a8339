//! The names under which checkpoints keep an AlexNet's eight layers.

use crate::Error;
use crate::networks::Flatten;
use crate::nn::weights::StateDict;
use std::path::Path;

/// Names of the eight layers in a checkpoint, and how it flattens.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) name: &'static str,
    pub(super) layers: [&'static str; 8],
    pub(super) flatten: Flatten,
    /// Whether the published code subtracts the mean image that is published beside it.
    pub(super) needs_mean: bool,
    /// Whether the numbers in the names count every layer, those without weights too, and thereby
    /// tell them.
    pub(super) is_torchvision: bool,
}

pub(super) const LAYOUTS: [Layout; 5] = [
    Layout {
        name: "emocam",
        layers: ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"],
        flatten: Flatten::ChannelsRowsColumns,
        needs_mean: false,
        is_torchvision: false,
    },
    Layout {
        name: "KU Leuven",
        layers: ["conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3"],
        flatten: Flatten::ChannelsColumnsRows,
        needs_mean: true,
        is_torchvision: false,
    },
    Layout {
        name: "ECCO Lab",
        layers: [
            "conv_0.0",
            "conv_1.0",
            "conv_2.0",
            "conv_3.0",
            "conv_4.0",
            "conv_5.0",
            "conv_6.0",
            "classifier.0",
        ],
        flatten: Flatten::ChannelsRowsColumns,
        needs_mean: false,
        is_torchvision: false,
    },
    Layout {
        name: "torchvision",
        layers: [
            "features.0",
            "features.3",
            "features.6",
            "features.8",
            "features.10",
            "classifier.1",
            "classifier.4",
            "classifier.6",
        ],
        flatten: Flatten::ChannelsRowsColumns,
        needs_mean: false,
        is_torchvision: true,
    },
    // As PyTorch's ImageNet example saves it, which spreads the convolutions alone over several
    // GPUs.
    Layout {
        name: "torchvision",
        layers: [
            "features.module.0",
            "features.module.3",
            "features.module.6",
            "features.module.8",
            "features.module.10",
            "classifier.1",
            "classifier.4",
            "classifier.6",
        ],
        flatten: Flatten::ChannelsRowsColumns,
        needs_mean: false,
        is_torchvision: true,
    },
];

/// How many of the layers are convolutions.
pub(super) const CONVOLUTIONS: usize = 5;

/// What is said of a checkpoint in no known layout.
pub(super) fn unknown_layout(state: &StateDict, path: &Path) -> Error {
    let names: Vec<&str> = state.arrays.keys().take(6).map(String::as_str).collect();
    let message = format!(
        "not a checkpoint of an AlexNet in a known layout: expected tensors conv1..conv5 and \
         fc1..fc3 (KU Leuven), conv_0.0..conv_6.0 and classifier.0 (ECCO Lab), \
         features.0..features.10 and classifier.1..classifier.6 (torchvision), or conv1..conv5 and \
         fc6..fc8; found {} tensors: {} ...",
        state.arrays.len(),
        names.join(", ")
    );
    Error::file(path, message)
}
