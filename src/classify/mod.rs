//! The command `classify`: what a network answers for the pictures of a corpus, and how often that
//! is right.
//!
//! In: a network, pictures, and if there are any the labels that people gave. Out: a run directory
//! whose records are the answers; tables of answers, and where there are labels accuracy, recall,
//! precision and the confusion matrix.

mod confusion;
mod pass;
mod record;
mod report;

pub use crate::stats::Share;
pub use confusion::Confusion;
pub use pass::{ClassifyStage, ClassifyWorker, PreparedInput};
pub use record::{COMMAND, ClassifyRecord};
pub use report::{JudgedAnswers, write};
