//! Features of a network's layers over one or several corpora, seen in the plane and measured.
//!
//! In: a network, pictures of one or several domains, and if there are any the labels that people
//! gave. Out: per layer the features as a matrix, principal components and t-SNE as a table and a
//! picture, and numbers that say what the eye may be wrong about: how well labels are apart, how
//! far the picture can be trusted, how far apart the domains are.

mod features;
mod layers;
mod measure;
mod pass;
mod picture;
mod report;

pub use features::{FeatureSet, Judgement, MarkBy, PictureRow};
pub use layers::{FeatureLayer, choose, feature_layers};
pub use measure::{
    DomainPair, EmbedSettings, EmbeddingMeasure, FEWEST_PICTURES, LayerEmbedding, Measurement,
    Space, measure,
};
pub use pass::{EmbedStage, EmbeddedPicture};
pub use report::{LayerReport, write_layer};

/// The command by which `run.json` knows its runs.
pub const COMMAND: &str = "embed";
