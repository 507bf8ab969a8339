//! `emocam train`: networks of the published systems from labelled pictures.

mod data;
pub mod demo;
mod multi_gap;

use std::process::ExitCode;

/// Train a network on labelled pictures; every command then reads it like any other
#[derive(Debug, clap::Subcommand)]
pub enum TrainCommand {
    MultiGap(multi_gap::Args),
}

pub fn run(command: TrainCommand) -> anyhow::Result<ExitCode> {
    match command {
        TrainCommand::MultiGap(args) => multi_gap::run(args),
    }
}
