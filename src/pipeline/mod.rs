//! The pass over pictures, and what an analysis does with each.
//!
//! [`Pass`] runs any [`Stage`]: pictures are decoded on some threads, go through the networks on
//! others in batches ([`in_batches`]), and their results come out in order; every command that runs
//! networks over pictures uses it. [`Analysis`] is the stage of `analyze` and `explain`: from
//! pixels to a picture's record.

mod analysis;
mod batches;
mod gather;
mod pass;
#[cfg(test)]
mod tests;
mod visible_regions;

pub use analysis::{Analysis, Examined, Prepared, Worker};
pub use batches::{distinct, in_batches};
pub use pass::{Done, Pass, PassProgress, Stage, workers_on};
