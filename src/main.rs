//! The command line of `emocam`.

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
