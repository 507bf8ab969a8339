//! The sums in the run's folder: `filters.safetensors`, written whole from time to time, which says
//! of how many records it has the pictures. Records beyond that are made again when a run is
//! resumed.

use super::sums::MethodSums;
use super::{Excited, FilterSums};
use crate::files::write_bytes;
use crate::run::Run;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;

/// The file's name.
const NAME: &str = "filters.safetensors";

impl FilterSums {
    /// Reads the sums of `run`; those of no picture where it has none yet.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or belongs to another run.
    pub fn open(run: &Run) -> Result<Self> {
        let path = run.path(NAME);
        let mut sums = Self::new(&run.manifest);
        if !path.exists() {
            return Ok(sums);
        }
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let wrong = |cause: String| {
            Error::file(&path, format!("not the sums of this run's filters: {cause}"))
        };
        sums.fill(&bytes).map_err(wrong)?;
        Ok(sums)
    }

    /// Writes the sums to `run`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, run: &Run) -> Result<()> {
        let path = run.path(NAME);
        let failed = |cause: String| Error::file(&path, format!("cannot be written: {cause}"));
        write_bytes(&path, &self.bytes().map_err(failed)?)
    }

    /// Shares and counts are U64, weights I128 as 16 bytes each, little end first.
    fn bytes(&self) -> Result<Vec<u8>, String> {
        let le = |values: &[u64]| {
            values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()
        };
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = vec![
            ("class_images".into(), Dtype::U64, vec![self.classes.len()], le(&self.class_images)),
            ("label_images".into(), Dtype::U64, vec![self.labels.len()], le(&self.label_images)),
        ];
        let cells = vec![self.classes.len(), self.channels];
        for (name, sums) in self.methods.iter().zip(&self.sums) {
            let MethodSums { active, shares, areas, weights } = sums;
            for (what, values) in [("active", active), ("shares", shares), ("areas", areas)] {
                tensors.push((format!("{name}.{what}"), Dtype::U64, cells.clone(), le(values)));
            }
            let shape = vec![self.labels.len(), self.channels, 16];
            let weights = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
            tensors.push((format!("{name}.weights"), Dtype::U8, shape, weights));
        }
        // A tensor without any number, as of no channels, cannot be told from one that is missing.
        let views = tensors.iter().filter(|(.., bytes)| !bytes.is_empty()).map(|tensor| {
            let (name, kind, shape, bytes) = tensor;
            TensorView::new(*kind, shape.clone(), bytes)
                .map(|view| (name.clone(), view))
                .map_err(|e| e.to_string())
        });
        let excited = serde_json::to_string(&self.excited).map_err(|error| error.to_string())?;
        let metadata =
            [("pictures", self.pictures.to_string()), ("channels", self.channels.to_string())];
        let metadata = metadata
            .into_iter()
            .chain([("excited", excited)])
            .map(|(key, value)| (key.to_string(), value));
        let metadata: HashMap<String, String> = metadata.collect();
        safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, Some(metadata))
            .map_err(|error| error.to_string())
    }

    fn fill(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (_, head) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let metadata = head.metadata().as_ref().ok_or("it has no metadata")?;
        let entry = |key: &str| metadata.get(key).ok_or_else(|| format!("it has no `{key}`"));
        self.pictures = entry("pictures")?.parse().map_err(|_| "`pictures` is no number")?;
        let channels: usize = entry("channels")?.parse().map_err(|_| "`channels` is no number")?;
        let excited: Vec<Vec<Excited>> =
            serde_json::from_str(entry("excited")?).map_err(|error| error.to_string())?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let read = |name: &str, count: usize, size: usize| -> Result<Vec<u8>, String> {
            if count == 0 {
                return Ok(Vec::new());
            }
            let view = tensors.tensor(name).map_err(|error| error.to_string())?;
            match count.checked_mul(size) == Some(view.data().len()) {
                true => Ok(view.data().to_vec()),
                false => Err(format!(
                    "`{name}` has {} bytes, expected {count} times {size}",
                    view.data().len()
                )),
            }
        };
        let numbers = |name: &str, count: usize| -> Result<Vec<u64>, String> {
            Ok(read(name, count, 8)?
                .as_chunks::<8>()
                .0
                .iter()
                .map(|bytes| u64::from_le_bytes(*bytes))
                .collect())
        };
        if channels == 0 || excited.len() != channels {
            return if channels == 0 && self.pictures == 0 {
                Ok(())
            } else {
                Err("its channels contradict".into())
            };
        }
        self.class_images = numbers("class_images", self.classes.len())?;
        self.label_images = numbers("label_images", self.labels.len())?;
        let cells = self.classes.len() * channels;
        for (name, sums) in self.methods.iter().zip(&mut self.sums) {
            let weights = read(&format!("{name}.weights"), self.labels.len() * channels, 16)?;
            *sums = MethodSums {
                active: numbers(&format!("{name}.active"), cells)?,
                shares: numbers(&format!("{name}.shares"), cells)?,
                areas: numbers(&format!("{name}.areas"), cells)?,
                weights: weights
                    .as_chunks::<16>()
                    .0
                    .iter()
                    .map(|bytes| i128::from_le_bytes(*bytes))
                    .collect(),
            };
        }
        (self.channels, self.excited) = (channels, excited);
        Ok(())
    }
}
