//! The one error type of the library: every variant says which file or tensor, what was expected,
//! what was found and, where there is one, what to do about it.

use std::path::{Path, PathBuf};

/// Result with the crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the library. Messages are complete sentences for the user; sources are not
/// repeated in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: "read", "write", "create", "rename to".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A line of a text file (cfg, names, mean image, records, TOML) that does not say what it
    /// should.
    #[error("{}, line {line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What was expected and what was found.
        message: String,
    },
    /// A file that is not what it should be: damaged, of another kind, or not fitting its
    /// companions.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected, what was found, what to do.
        message: String,
    },
    /// A tensor of a weights file with the wrong shape, type or values, or none at all.
    #[error("{}: tensor `{tensor}`: expected {expected}, found {found}", path.display())]
    Tensor {
        /// The weights file.
        path: PathBuf,
        /// The tensor's or layer's name.
        tensor: String,
        /// What the network needs.
        expected: String,
        /// What the file holds.
        found: String,
    },
    /// A setting or argument whose value cannot be used.
    #[error("{0}")]
    Setting(String),
    /// A figure that cannot be drawn.
    #[error("{0}")]
    Figure(String),
    /// A computation that came to no usable number: it did not converge, or is not defined for what
    /// it was given.
    #[error("{0}")]
    Numerics(String),
    /// libtorch refused an operation.
    #[error("libtorch failed while {doing}: {message}")]
    Torch {
        /// The stage, as "running the detector".
        doing: &'static str,
        /// The first line of libtorch's message.
        message: String,
    },
}

impl Error {
    /// An [`Error::Io`], for use with `map_err`.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// The message and its sources in one line, for a table's cell.
    pub fn in_one_line(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Whether libtorch ran out of memory, of the GPU or of the machine.
    pub fn is_out_of_memory(&self) -> bool {
        // The allocators', cuBLAS' and cuDNN's words, and what is said of a convolution no
        // algorithm of which gets its workspace.
        const WORDS: [&str; 5] = [
            "out of memory",
            "can't allocate memory",
            "STATUS_ALLOC_FAILED",
            "ALLOCATION_FAILED",
            "unable to find an engine",
        ];
        matches!(self, Self::Torch { message, .. } if WORDS.iter().any(|words| message.contains(words)))
    }

    /// An [`Error::Line`]; `line` counts from 1.
    pub fn line(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self::Line { path: path.to_path_buf(), line, message: message.into() }
    }

    /// An [`Error::File`].
    pub fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File { path: path.to_path_buf(), message: message.into() }
    }

    /// An [`Error::Torch`] for use with `map_err`: keeps the one line of the C++ message that says
    /// what went wrong; it ends in a backtrace, and an error inside a TorchScript program begins
    /// with one.
    pub fn torch(doing: &'static str) -> impl FnOnce(tch::TchError) -> Self {
        move |source| Self::Torch { doing, message: crate::nn::script::reason(&source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_memory_is_known_by_the_words_of_whoever_had_too_little() {
        let error =
            |message: &str| Error::Torch { doing: "running the detector", message: message.into() };
        for message in [
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 \
             GiB",
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate \
             memory: you tried 4 bytes",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "GET was unable to find an engine to execute this computation",
        ] {
            assert!(error(message).is_out_of_memory(), "{message}");
        }
        assert!(
            !error("The size of tensor a (4) must match the size of tensor b (3)")
                .is_out_of_memory()
        );
        assert!(!Error::Setting("out of memory".into()).is_out_of_memory());
    }
}
