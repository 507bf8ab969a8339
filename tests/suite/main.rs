//! The integration tests, a module a subject, as one program: fifty programs of their own would
//! each be linked with everything, which takes minutes and gigabytes. `cargo test --test suite
//! merge::` runs those of one module.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

mod alexnet;
mod analyze;
mod associate;
mod associate_scores;
mod coco_masks;
mod common;
mod compare;
mod darknet;
mod demo;
mod embed;
mod embeddings;
mod emonet;
mod evaluate;
mod evaluate_resume;
mod explain;
mod export;
mod fer_net;
mod filters;
mod full_size;
mod hostile;
mod importance;
mod inputs;
mod maps;
mod merge;
mod merge_scale;
mod methods;
mod models;
mod multi_gap;
mod odd_files;
mod overwrite;
mod paste;
mod paste_command;
mod people;
mod photos;
mod pillow;
mod plugin_maps;
mod plugins;
mod preset;
mod readme;
mod rect;
mod regions_files;
mod regions_scale;
mod remove;
mod report;
mod rsa;
mod shapley_parts;
mod shards;
mod shards_of_experiments;
mod statistics;
mod survival;
mod train;
mod train_fer;
mod validate;
mod world;
mod world_command;
