//! The command line of `emocam`.

// In the program alone: tests print what they measure.
#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::exit, clippy::iter_over_hash_type))]

mod cli;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    emocam::nn::share_one_heap();
    match cli::run() {
        Ok(status) => status,
        Err(error) if cli::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `eprintln!`, which panics where stderr is closed: the status must be 2.
            let _ = writeln!(std::io::stderr(), "emocam: {}", cli::printable_error(&error));
            ExitCode::from(2)
        }
    }
}
