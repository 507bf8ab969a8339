//! `emocam train`: networks of the published systems from labelled pictures.

mod adapt;
mod data;
pub(super) mod demo;
mod fer;
mod multi_gap;
mod session;

use std::process::ExitCode;

/// Train a network on labelled pictures; every command then reads it like any other
#[derive(Debug, clap::Subcommand)]
pub(super) enum TrainCommand {
    MultiGap(multi_gap::Args),
    Fer(fer::Args),
    Adapt(adapt::Args),
}

pub(super) fn run(command: TrainCommand) -> anyhow::Result<ExitCode> {
    match command {
        TrainCommand::MultiGap(args) => multi_gap::run(args),
        TrainCommand::Fer(args) => fer::run(args),
        TrainCommand::Adapt(args) => adapt::run(args),
    }
}
