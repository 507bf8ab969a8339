//! Attribution by hiding parts of the picture: Shapley values of its pixels and of its objects.
//!
//! The players of the game are parts of the picture, its payoff is the score of the picture of
//! which the other parts are hidden ([`masking`]). `hierarchy` divides the credit among rectangles,
//! ever smaller ones where there is much of it; `players` makes disjoint players of the regions of
//! a picture. As the channel methods, every method is a file with its row of the table.

pub(super) mod dnc_shap;
mod hierarchy;
mod masked_inputs;
mod masking;
pub(super) mod object_shap;
mod players;
mod published;
mod surroundings;
#[cfg(test)]
mod tests;

pub use masked_inputs::MaskedInputs;
