//! Training of Multi-GAP networks (Lim et al., ICIP 2020), and the paper's two studies.
//!
//! In: a [`Recipe`], labelled pictures ([`super::data`]). Out: a folder for each network, with
//! weights and card that every command reads, the log of its training and how it did on pictures it
//! had not seen. What is computed of a picture by a backbone that is not trained is computed once,
//! however many networks stand on it: the mean over all places may be taken before the 1 x 1
//! convolution, so that a few hundred numbers a picture are all they read.

mod lessons;
pub mod recipe;
mod study;
#[cfg(test)]
mod tests;
mod uses;
mod workshop;

pub use recipe::Recipe;
pub use study::Study;
pub use workshop::{NetworkPlan, Workshop};
