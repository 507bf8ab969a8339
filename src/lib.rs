//! What in the pictures drives the answers of an image-emotion network.
//!
//! The rooms, in the order in which data flows; each knows those before it and none behind it:
//!
//! * [`image`]: pixels, boxes, masks, and how a picture lies in a network's input; [`corpus`]:
//!   which pictures, decoded;
//! * [`nn`]: devices, weights, layers, TorchScript files; [`stats`]: ranks, correlations,
//!   intervals, tests and solvers on plain numbers;
//! * the two ends: [`regions`], where things are ([`regions::Detector`], or files); [`networks`],
//!   what is explained ([`networks::Classifier`]);
//! * [`attribution`]: which places of the explained activation an answer rests on, a file a method;
//!   [`score`]: how much of a map lies on a region;
//! * [`run`]: the folder that is left behind, and what is kept of a picture; [`load`]: from names
//!   in a configuration to both ends; [`pipeline`]: the one pass over pictures, which every command
//!   that runs networks uses;
//! * [`annotations`]: what people say the pictures show; [`classify`]: what a network answers, and
//!   how often that is right; [`embed`]: its features in the plane; [`filters`]: which channels
//!   respond to which objects; [`associate`]: the object-emotion matrix and its statistics;
//!   [`rsa`]: whether such matrices agree; [`compare`]: what differs between two runs; [`merge`]:
//!   one run from those of its shards;
//! * [`report`]: runs as a page; [`export`]: in other tools' formats; [`figures`]: single photos;
//!   [`faithfulness`]: whether a method's maps are any good; [`mod@paste`]: objects pasted into
//!   photos, [`removal`]: regions taken out of them, and what that changes; [`plot`]: pictures of
//!   all of them;
//! * [`world`]: drawn scenes whose causes are known; [`train`]: the two small networks that know
//!   them; [`ground_truth`]: the maps against interventions in that world; [`demo`]: the two
//!   networks, embedded;
//! * [`config`], [`models`], [`synthesize`]: what a run is told, and where its networks come from;
//!   [`names`]: those of classes and labels.

// In the program alone: tests print what they measure.
#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::exit, clippy::iter_over_hash_type))]

pub mod annotations;
pub mod associate;
pub mod attribution;
pub mod classify;
pub mod compare;
pub mod config;
pub mod corpus;
pub mod demo;
pub mod embed;
pub mod error;
pub mod export;
pub mod faithfulness;
pub mod figures;
pub mod files;
pub mod filters;
pub mod ground_truth;
pub mod image;
pub mod load;
pub mod merge;
pub mod models;
pub mod names;
pub mod networks;
pub mod nn;
pub mod paste;
pub mod pipeline;
pub mod plot;
pub mod random;
pub mod regions;
pub mod removal;
pub mod report;
pub mod rsa;
pub mod run;
pub mod score;
pub mod stats;
pub mod synthesize;
pub mod train;
pub mod world;

pub use error::{Error, Result};
