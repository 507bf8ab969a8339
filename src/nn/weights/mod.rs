//! temporary
mod darknet;
pub use darknet::DarknetWeights;
