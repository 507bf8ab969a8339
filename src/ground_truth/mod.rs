//! Is the answer right? In the drawn world the cause of a picture's emotion is known, and what an
//! object does to the model can be seen by taking it out of the scene and asking again. Here the
//! association matrix is held against that.
//!
//! [`TrialStage`] asks the models about scenes, with every object and without each; [`Validation`]
//! says, per method and rule for what counts as an important box, how well what the maps say
//! recovers what the interventions show.
//!
//! There are several worlds ([`WORLDS`]), each with a question of its own; [`Decision`] holds all
//! methods and scores against the truth in all of them, and [`HansReport`] two networks that answer
//! alike for different reasons.

mod answers;
mod box_judge;
mod decision;
mod hans;
mod record;
mod recovery;
mod stage;
mod tables;
mod trial;
mod worlds;

pub use answers::Reading;
pub use box_judge::BoxJudge;
pub use decision::{Asked, Decision, Rightness};
pub use hans::HansReport;
pub use record::{TrialRecord, ValidationSettings};
pub use recovery::{Recovery, RecoveryEstimate, RecoveryMeasure, Validation};
pub use stage::{TrialStage, trials, trials_of_run};
pub use trial::{Effect, Trial, World};
pub use worlds::{DrawnWorld, Question, WORLDS};
