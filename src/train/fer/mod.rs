//! Training of the network of facial expressions (Malik, Kumar, Raman, ICVGIP 2021), on faces or on
//! anything else.
//!
//! In: a [`FerRecipe`], labelled pictures. Out: a folder with weights and card that every command
//! reads, the log of the training and how it did on pictures it had not seen; with folds a folder
//! each, and their mean.

mod folds;
mod learner;
mod recipe;
#[cfg(test)]
mod tests;
mod training;

pub use folds::{Folds, FoldsResult};
pub use learner::{FerLearner, IS_BACKBONE};
pub use recipe::check_frozen;
pub use recipe::{FerNetworkConfig, FerRecipe, FoldsConfig};
pub use training::FerTraining;
