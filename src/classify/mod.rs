//! The command `classify`: what a network answers for the pictures of a corpus, and how often that is right.

mod confusion;

pub use confusion::{Confusion, Share};
