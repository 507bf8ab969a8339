//! What in the pictures drives the answers of an image-emotion network.

pub mod detect;
pub mod error;
pub mod explain;
pub mod files;
pub mod image;
pub mod nn;

pub use error::{Error, Result};
