//! Where things are.

pub mod darknet;
