//! What the integration tests share: reference values, odd files, corpora and the command line.

pub(crate) mod browser;
pub(crate) mod corpus;
pub(crate) mod formula;
pub(crate) mod invented;
pub(crate) mod odd;
pub(crate) mod process;
pub(crate) mod split;

use std::path::{Path, PathBuf};

/// A file below `tests/reference`.
pub(crate) fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// A file of the folder of photos and detectors beside the checkout, if it is there; else says so.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
    }
    path.exists().then_some(path)
}

/// A JSON file below `tests/reference`.
pub(crate) fn json(name: &str) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(reference(name)).unwrap()).unwrap()
}

/// The tensors of a safetensors file.
pub(crate) struct Tensors(Vec<u8>);

/// A safetensors file below `tests/reference`.
pub(crate) fn tensors(name: &str) -> Tensors {
    Tensors(std::fs::read(reference(name)).unwrap())
}

impl Tensors {
    /// Shape and bytes of a tensor.
    pub(crate) fn bytes(&self, name: &str) -> (Vec<i64>, &[u8]) {
        let all = safetensors::SafeTensors::deserialize(&self.0).unwrap();
        let view = all.tensor(name).unwrap();
        (view.shape().iter().map(|&side| side as i64).collect(), view.data())
    }

    /// Shape and values of an f32 tensor.
    pub(crate) fn floats(&self, name: &str) -> (Vec<i64>, Vec<f32>) {
        let (shape, bytes) = self.bytes(name);
        (shape, bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
    }
}
