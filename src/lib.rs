//! What in the pictures drives the answers of an image-emotion network.
//!
//! The rooms, in the order in which data flows: [`image`] (pixels and boxes).

pub mod error;
pub mod files;
pub mod image;
pub mod models;
pub mod nn;

pub use error::{Error, Result};
