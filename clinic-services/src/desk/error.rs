use clinic_client::{BuildError, Error};
use thiserror::Error;

/// Why the desk could not be asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeskError {
    /// Neither letters nor filters were given.
    #[error("say which letters: their ids, a filter such as --code or --newer-than, or --all for every letter not yet replayed")]
    Unbounded,
    /// The address or the key is of no use.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// The clinic did not answer, or refused.
    #[error(transparent)]
    Call(#[from] Error),
    /// The system gave no runtime.
    #[error("the system gave no threads to run with")]
    Runtime(#[source] std::io::Error),
}

impl DeskError {
    /// Whether the command was written wrongly.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Unbounded | Self::Client(_))
    }
}
