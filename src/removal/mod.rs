//! The experiment of the command remove: every region of a picture alone taken away, and alone
//! kept, beside a patch of its size and shape elsewhere in the picture.
//!
//! In: pictures with regions, from a detector or a file, or drawn scenes with the exact boxes of
//! their objects. Out: what the network answers for each ([`RemovalRecord`], probabilities of the
//! label of the whole picture), and tables of how much its probability changes, by class of region,
//! label and fill. What is hidden is filled at the network's resolution
//! ([`crate::attribution::MaskedInputs`]). Of drawn scenes, where objects can be taken out by
//! drawing the scene again, the two are compared.

mod control;
mod pass;
mod pictures;
mod record;
mod redrawing;
mod report;
mod settings;
mod tally;

pub use control::Control;
pub use pass::{RemovalNetworks, RemovalStage, Subject};
pub use record::{ControlRecord, FillAnswers, RegionRecord, RemovalAnswer, RemovalRecord};
pub use redrawing::{Redrawing, RedrawingAgreement};
pub use report::write;
pub use settings::{COMMAND, DrawnScenes, MOST_REGIONS, RemovalKind, RemovalSettings};
pub use tally::{Group, RemovalMeasure, RemovalTally};
