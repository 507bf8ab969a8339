//! The command line of `emocam`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else touches libtorch, which looks for CUDA once.
    emocam::nn::load_cuda();
    match cli::run() {
        Ok(status) => status,
        Err(error) if cli::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("emocam: {error:#}");
            ExitCode::from(2)
        }
    }
}
