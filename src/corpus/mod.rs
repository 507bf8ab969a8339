//! From folders to pixels: which images there are, in which order, and what is in them.
//!
//! In: files, folders, lists and tars as the user names them. Out: [`Source`]s in a fixed order,
//! then [`Rgb8`](crate::image::Rgb8) pixels, upright. Files are hostile: nothing here panics, hangs
//! or takes memory because of what a file says, and a file that cannot be used is a [`Problem`] or
//! an error that says why, never the end of the run.

mod decode;
mod find;
mod join;
mod jpeg;
mod list;
mod names;
mod options;
mod shard;
mod source;
mod tar;

pub use decode::decode;
pub use find::{Corpus, FIGURES, Problem, check, find};
pub use join::Joined;
pub(crate) use names::beneath;
pub use options::{DecodeOptions, Enough};
pub use shard::{Shard, ShardChoice, shard_of};
pub use source::{Member, Source, digest};
