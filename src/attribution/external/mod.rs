//! Maps from elsewhere: one file a picture, made by a method that this program does not have, by an
//! eye tracker, by people.
//!
//! In: folders ([`MapFolder`]) with an NPY, safetensors or PNG file for every picture of a corpus,
//! each a map of any size over the whole upright picture. Out: maps over the network's input,
//! finished by the rule of all maps: ReLU, min-max to `[0, 1]`, bilinear to the input's size,
//! min-max again. A map is brought to the input as the picture is: where the input is a crop of the
//! picture, the map is resized to the size of the whole resized picture and cropped likewise, and
//! only what is left takes part in the second min-max; where the input has bars, the map is 0 on
//! them.
//!
//! The files are hostile: nothing here panics or takes memory because of what a file says, and one
//! that cannot be used is an error that names it, what was expected and what was found. The room
//! knows nothing of networks.

mod files;
mod folder;
mod npy;
mod number;
mod placed;
mod png;
mod read;
mod safetensors;
mod shape;
#[cfg(test)]
mod tests;

pub use files::MapFiles;
pub use folder::{MapFolder, check_different};
pub(crate) use npy::matrix as npy_matrix;

use super::Maps;
use super::map::measure;
use crate::image::{Placement, Size};
use crate::{Error, Result};
use tch::{Device, TchError, Tensor};

/// The longest side of a map, in cells.
pub const MAX_SIDE: usize = 1 << 16;

/// The most cells of a map: 128 MB as f32, as many as 8192 x 4096 pixels.
pub const MAX_CELLS: usize = 1 << 25;

/// The longest file that is read, in bytes: a map of f64 beside as much of something else.
pub const MAX_FILE_BYTES: u64 = 1 << 29;

/// A map over the whole upright picture, as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PictureMap {
    /// Columns and rows; neither is 0.
    size: Size,
    /// Row by row; all finite.
    values: Vec<f32>,
}

/// The folders of maps that a command is given, joined with its corpus.
#[derive(Debug, Default)]
pub struct ExternalMaps {
    folders: Vec<MapFiles>,
}

impl ExternalMaps {
    /// Looks through `folders` for the files of the pictures at `paths`, by the rule of
    /// [`MapFiles::join`].
    ///
    /// # Errors
    /// A folder that cannot be read, or that has no file for any of the pictures.
    pub fn join(folders: &[MapFolder], paths: &[&str]) -> Result<Self> {
        let folders =
            folders.iter().map(|folder| MapFiles::join(folder, paths)).collect::<Result<_>>()?;
        Ok(Self { folders })
    }

    /// The folders, in the order of the configuration.
    pub fn folders(&self) -> &[MapFiles] {
        &self.folders
    }

    /// Reads the maps of the picture at `path`, which lies in the network's input as `placement`
    /// says: one a folder, over the input, row by row, in `[0, 1]`, ready for [`Self::finish`].
    ///
    /// # Errors
    /// The picture has no file in a folder, or several, or one that cannot be used; the error names
    /// it.
    pub fn read(&self, path: &str, placement: &Placement) -> Result<Vec<Vec<f32>>> {
        let read =
            |folder: &MapFiles| Ok(placed::over_input(&read::map(&folder.file(path)?)?, placement));
        self.folders.iter().map(read).collect()
    }

    /// The finished maps of a batch on `device`, one entry a folder, from what [`Self::read`] gave
    /// for each of its `pictures`, at least one; `size` is the input's.
    ///
    /// # Errors
    /// [`Error::Torch`] when memory is short.
    pub fn finish(
        &self,
        pictures: &[&[Vec<f32>]],
        size: Size,
        device: Device,
    ) -> Result<Vec<Maps>> {
        let _no_grad = tch::no_grad_guard();
        let shape = [pictures.len() as i64, i64::from(size.height), i64::from(size.width)];
        let finish = |folder: usize| -> Result<Maps, TchError> {
            let values: Vec<f32> =
                pictures.iter().flat_map(|maps| &maps[folder]).copied().collect();
            measure(&Tensor::f_from_slice(&values)?.f_reshape(shape)?.f_to_device(device)?)
        };
        let finish = |folder| finish(folder).map_err(Error::torch("finishing maps from files"));
        (0..self.folders.len()).map(finish).collect()
    }
}
