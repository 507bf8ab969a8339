//! What the weights of an AlexNet do not tell of its layers: strides, padding, pooling, local
//! response normalisation.
//!
//! Kernels, channels and groups are read off the weights. The rest is a key of the network's card,
//! `structure`: the name of a published network, or a table with every number.

use serde::{Deserialize, Serialize};

/// The largest stride, padding and window; no AlexNet comes near it.
const MOST: i64 = 64;

/// The layers between the convolutions of an AlexNet. Behind conv1, conv2 and conv5 there is
/// maximum pooling, behind all layers but the last a ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Structure {
    /// Step of conv1 in both directions; the other convolutions go on by one.
    pub stride: i64,
    /// Zeros on every side of the input of conv1 to conv5.
    pub padding: [i64; 5],
    /// Behind conv1 and conv2.
    pub local_response_norm: NormKey,
    /// Side and step of the windows of every maximum pooling, which has no padding and leaves out
    /// what does not fill a window.
    pub pooling: [i64; 2],
    /// Rows and columns to which the last pooled map is averaged before fc6 (PyTorch's
    /// `AdaptiveAvgPool2d`). Without it fc6 reads the map as it is, which has to fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<[i64; 2]>,
}

/// Local response normalisation as a card has it: `false`, or a table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`local_response_norm` should be false, or a table with place, size, alpha, beta \
                 and k"
)]
pub enum NormKey {
    /// `false`: there is none.
    Absent(bool),
    /// There is one behind conv1 and one behind conv2.
    Present(LocalResponseNorm),
}

/// x / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta, as in PyTorch and
/// Caffe.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalResponseNorm {
    /// Where it stands.
    pub place: NormPlace,
    /// Channels in the sum, an odd number.
    pub size: i64,
    /// Factor of the mean square.
    pub alpha: f64,
    /// Exponent.
    pub beta: f64,
    /// Constant term.
    pub k: f64,
}

/// Where local response normalisation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormPlace {
    /// Behind the ReLU, before the pooling (Krizhevsky et al. 2012).
    BeforePooling,
    /// Behind the pooling (the reference model of Caffe).
    AfterPooling,
}

/// The numbers of Krizhevsky et al. 2012 as Caffe took them over.
const NORM: LocalResponseNorm =
    LocalResponseNorm { place: NormPlace::BeforePooling, size: 5, alpha: 1e-4, beta: 0.75, k: 1.0 };

impl Structure {
    /// EmoNet, and with it the AlexNet of Krizhevsky et al. 2012.
    pub const EMONET: Self = Self {
        stride: 4,
        padding: [0, 2, 1, 1, 1],
        local_response_norm: NormKey::Present(NORM),
        pooling: [3, 2],
        average: None,
    };

    /// `torchvision.models.alexnet` (Krizhevsky 2014, "One weird trick", without its local response
    /// normalisation).
    pub const TORCHVISION: Self = Self {
        stride: 4,
        padding: [2, 2, 1, 1, 1],
        local_response_norm: NormKey::Absent(false),
        pooling: [3, 2],
        average: Some([6, 6]),
    };

    /// CaffeNet, the reference model of Caffe: EmoNet's layers with the pooling before the
    /// normalisation.
    pub const CAFFENET: Self = Self {
        local_response_norm: NormKey::Present(LocalResponseNorm {
            place: NormPlace::AfterPooling,
            ..NORM
        }),
        ..Self::EMONET
    };

    /// Local response normalisation behind conv1 and conv2; `None`: there is none.
    pub fn norm(&self) -> Option<&LocalResponseNorm> {
        match &self.local_response_norm {
            NormKey::Absent(_) => None,
            NormKey::Present(norm) => Some(norm),
        }
    }

    /// In a sentence, for people.
    pub fn in_words(&self) -> String {
        let norm = match self.norm() {
            None => "no local response normalisation".to_string(),
            Some(LocalResponseNorm { place, size, alpha, beta, k }) => {
                let place = match place {
                    NormPlace::BeforePooling => "before",
                    NormPlace::AfterPooling => "after",
                };
                format!(
                    "local response normalisation {place} the pooling (size {size}, alpha {alpha}, \
                     beta {beta}, k {k})"
                )
            }
        };
        let average = match self.average {
            None => "none averaged".to_string(),
            Some([rows, columns]) => format!("averaged to {rows} x {columns} before fc6"),
        };
        let (stride, padding, [size, step]) = (self.stride, self.padding, self.pooling);
        format!(
            "stride {stride}, padding {padding:?}, {norm}, pooling of {size} by {step}, {average}"
        )
    }

    /// Refuses what no layer can be, in words that go behind a file's name.
    pub(crate) fn check(&self) -> Result<(), String> {
        let [window, step] = self.pooling;
        let averaged = self.average.unwrap_or([1, 1]);
        let counts = [("stride", self.stride), ("pooling", window), ("pooling", step)];
        let counts = counts.into_iter().chain(averaged.map(|side| ("average", side)));
        if let Some((key, found)) =
            counts.into_iter().find(|(_, count)| !(1..=MOST).contains(count))
        {
            return Err(format!("`structure`: `{key}` should be from 1 to {MOST}, found {found}"));
        }
        if let Some(found) = self.padding.iter().find(|zeros| !(0..=MOST).contains(*zeros)) {
            return Err(format!(
                "`structure`: `padding` should be five numbers from 0 to {MOST}, found {found}"
            ));
        }
        match self.local_response_norm {
            NormKey::Absent(false) => Ok(()),
            NormKey::Absent(true) => Err(
                "`structure`: `local_response_norm = true` does not say which: write place, size, \
                 alpha, beta and k"
                    .into(),
            ),
            NormKey::Present(LocalResponseNorm { size, alpha, beta, k, .. }) => {
                let sound = (1..=MOST).contains(&size) && size % 2 == 1;
                let factors = (0.0..=1e6).contains(&alpha) && (0.0..=10.0).contains(&beta);
                match sound && factors && (1e-6..=1e6).contains(&k) {
                    true => Ok(()),
                    false => Err(format!(
                        "`structure`: `local_response_norm` should have an odd size up to {MOST}, \
                         alpha from 0 to 1e6, beta from 0 to 10 and k from 1e-6 to 1e6, found size \
                         {size}, alpha {alpha}, beta {beta}, k {k}"
                    )),
                }
            }
        }
    }
}

/// The key `structure` of a card.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`structure` should be \"emonet\", \"torchvision\" or \"caffenet\", or a table \
                 with stride, padding, local_response_norm (false, or place, size, alpha, beta and \
                 k), pooling and, where there is one, average"
)]
pub(in crate::networks) enum StructureKey {
    /// A published network.
    Named(PublishedStructure),
    /// Every number.
    Given(Structure),
}

/// Published networks by name.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::networks) enum PublishedStructure {
    EmoNet,
    TorchVision,
    CaffeNet,
}

impl From<StructureKey> for Structure {
    fn from(key: StructureKey) -> Self {
        match key {
            StructureKey::Named(PublishedStructure::EmoNet) => Self::EMONET,
            StructureKey::Named(PublishedStructure::TorchVision) => Self::TORCHVISION,
            StructureKey::Named(PublishedStructure::CaffeNet) => Self::CAFFENET,
            StructureKey::Given(structure) => structure,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::networks::{Card, Structure};
    use std::path::Path;

    fn card(structure: &str) -> crate::Result<Card> {
        Card::from_toml(
            &format!("labels = ['a', 'b']\ninput = 224\n{structure}\n"),
            Path::new("mine.toml"),
        )
    }

    #[test]
    fn a_structure_is_a_name_or_all_its_numbers() {
        for (name, structure) in [
            ("emonet", Structure::EMONET),
            ("torchvision", Structure::TORCHVISION),
            ("caffenet", Structure::CAFFENET),
        ] {
            assert_eq!(card(&format!("structure = '{name}'")).unwrap().structure, Some(structure));
            let table = toml::to_string(&structure).unwrap().replace("[local", "[structure.local");
            assert_eq!(
                card(&format!("[structure]\n{table}")).unwrap().structure,
                Some(structure),
                "{table}"
            );
        }
        assert_eq!(card("").unwrap().structure, None);
    }

    #[test]
    fn half_a_structure_is_none() {
        let rest = "stride = 4\npadding = [0, 2, 1, 1, 1]\npooling = [3, 2]";
        let written = |norm: &str| format!("[structure]\n{rest}\nlocal_response_norm = {norm}");
        for (structure, phrase) in [
            ("structure = 'resnet'".to_string(), "should be \"emonet\""),
            (format!("[structure]\n{rest}"), "local_response_norm"),
            (written("true"), "does not say which"),
            (
                written("{ place = 'before-pooling', size = 5, alpha = 1e-4, beta = 0.75 }"),
                "local_response_norm",
            ),
            (
                written(
                    "{ place = 'after-pooling', size = 4, alpha = 1e-4, beta = 0.75, k = 1.0 }",
                ),
                "odd size",
            ),
            (
                written("{ place = 'after-pooling', size = 5, alpha = nan, beta = 0.75, k = 1.0 }"),
                "found size 5, alpha NaN",
            ),
            (
                written("false").replace("stride = 4", "stride = 0"),
                "`stride` should be from 1 to 64, found 0",
            ),
            (written("false").replace("[0, 2", "[-1, 2"), "`padding`"),
            (written("false").replace("[3, 2]", "[3, 100000]"), "`pooling`"),
            (format!("{}\naverage = [0, 6]", written("false")), "`average`"),
            (
                "network = 'torchscript'\nstructure = 'emonet'".to_string(),
                "belongs to `network = \"alexnet\"`",
            ),
        ] {
            let message = card(&structure).unwrap_err().to_string();
            assert!(
                message.contains("mine.toml") && message.contains(phrase),
                "{structure}: {message}"
            );
        }
    }
}
