//! The command line of `emocam`.
fn main() {}
