//! What in the pictures drives the answers of an image-emotion network.
//!
//! The rooms, in the order in which data flows: [`image`] (pixels and boxes), [`nn`] (devices, weights, layers),
//! [`detect`] (objects), [`emotion`] (the explained network).

pub mod detect;
pub mod emotion;
pub mod error;
pub mod files;
pub mod image;
pub mod nn;

pub use error::{Error, Result};
