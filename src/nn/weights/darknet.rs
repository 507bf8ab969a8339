//! temporary
use crate::{Error, Result};
use std::path::{Path, PathBuf};
/// Darknet weights.
#[derive(Debug)]
pub struct DarknetWeights {
    path: PathBuf,
    values: Vec<f32>,
    at: usize,
    /// seen
    pub seen: u64,
}
impl DarknetWeights {
    /// open
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let values = bytes[20..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4"))).collect();
        Ok(Self { path: path.into(), values, at: 0, seen: 0 })
    }
    /// total
    pub fn expect_total(&self, total: usize) -> Result<()> {
        if self.values.len() == total {
            Ok(())
        } else {
            Err(Error::file(&self.path, format!("{} {total}", self.values.len())))
        }
    }
    /// take
    pub fn take(&mut self, _layer: usize, _part: &str, count: usize) -> Result<Vec<f32>> {
        let v = self.values[self.at..self.at + count].to_vec();
        self.at += count;
        Ok(v)
    }
    /// finish
    pub fn finish(&self) -> Result<()> {
        Ok(())
    }
}
