//! Placeholder until the reader of region files is merged.
use super::Located;
use crate::image::Size;
use crate::Result;
use std::path::Path;
#[derive(Debug)]
pub struct KnownPicture { pub size: Option<Size>, pub regions: Vec<Located> }
#[derive(Debug)]
pub struct KnownRegions { classes: Vec<String> }
impl KnownRegions {
    pub fn new(_f: &Path, classes: Vec<String>, _p: Vec<(String, KnownPicture)>) -> Result<Self> { Ok(Self { classes }) }
    pub fn classes(&self) -> &[String] { &self.classes }
    pub fn regions(&self, _path: &str, _size: Size) -> Result<&[Located]> { Ok(&[]) }
    pub fn join(self, _p: &[&str]) -> Result<Self> { Ok(self) }
}
pub fn read(_file: &Path, _d: Option<&Path>) -> Result<KnownRegions> { Ok(KnownRegions { classes: Vec::new() }) }
