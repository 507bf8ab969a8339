//! From faces to images (Kumar & Raman): a network of facial expressions learns the emotions of
//! pictures of anything, while its features of faces and of pictures are drawn together by a
//! discrepancy loss.
//!
//! In: the network, labelled faces (the source), pictures (the target) of which all, some or none
//! have a label, a [`AdaptRecipe`]. Out: a folder with weights and card that every command reads,
//! logs of both losses, accuracy on pictures it had not seen, and how well a linear classifier
//! tells the two domains apart before and after. The paper's formula, layers and weights are not
//! published: ours are named in `configs/adapt.toml`.

mod adaptation;
pub mod discrepancy;
mod domains;
mod lessons;
mod recipe;
mod study;
#[cfg(test)]
mod tests;

pub use adaptation::{AdaptPlan, AdaptResult, Adaptation};
pub use domains::{Labelled, LayerDistance, TwoDomains};
pub use recipe::{AdaptRecipe, ComparedLayer, DiscrepancyConfig, DomainConfig};
pub use study::{AdaptStudy, AdaptStudyRow};
