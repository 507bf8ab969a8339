//! What in the pictures drives the answers of an image-emotion network.
//!
//! The rooms, in the order in which data flows:
//!
//! * [`image`]: pixels, boxes and masks; [`corpus`]: which pictures, decoded;
//! * [`regions`]: labelled boxes and masks from files;
//! * [`nn`]: devices, weights, layers; [`detect`]: objects; [`emotion`]: the explained network; [`explain`]: its maps;
//!   [`score`]: how much of a map lies in a box;
//! * [`record`]: what is kept of a picture; [`pipeline`]: the one pass that knows all stages; [`run`]: the folder it
//!   leaves behind; [`merge`]: one run from those of its shards;
//! * [`associate`]: the object-emotion matrix; [`rsa`]: whether such matrices agree; [`explained`]: single photos;
//!   [`evaluate`]: whether a method's maps are any good; [`plot`]: pictures of all of them;
//! * [`world`]: drawn scenes whose causes are known; [`training`]: the two small networks that know them;
//! * [`validate`]: the maps against interventions in that world; [`demo`]: the two networks, embedded;
//! * [`mod@paste`]: objects pasted into photos, and what that changes;
//! * [`stats`]: ranks, correlations, intervals, tests and solvers on plain numbers;
//! * [`config`], [`models`], [`load`], [`synthesize`]: what a run is told, and where its networks come from.

pub mod associate;
pub mod attribution;
pub mod config;
pub mod corpus;
pub mod demo;
pub mod error;
pub mod faithfulness;
pub mod figures;
pub mod files;
pub mod ground_truth;
pub mod image;
pub mod load;
pub mod merge;
pub mod models;
pub mod networks;
pub mod nn;
pub mod paste;
pub mod pipeline;
pub mod plot;
pub mod random;
pub mod regions;
pub mod rsa;
pub mod run;
pub mod score;
pub mod stats;
pub mod synthesize;
pub mod train;
pub mod world;

pub use error::{Error, Result};
