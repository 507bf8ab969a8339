//! The methods against other implementations, and their laws.

mod laws;
mod references;
