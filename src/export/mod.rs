//! The command `export`: a run in formats that other tools read.
//!
//! In: the records of a run. Out: a COCO data set whose objects carry their importance, or one long
//! table. Both are written picture by picture, in the order of the corpus, and hold no more than
//! one in memory.

mod coco;
mod long;

pub use coco::write_coco;
pub use long::write_long;

/// The JSON schema (draft 2020-12) of a line of `records.jsonl`.
pub const RECORD_SCHEMA: &str = include_str!("record.schema.json");
