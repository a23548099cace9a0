use std::io;

use thiserror::Error;

/// Why a journal is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be opened, read or written.
    #[error("the journal cannot be read or written: look at its folder, its owner and the room on its disk")]
    Io(#[from] io::Error),
    /// It is open already, by a journal or an entry of this process or of another.
    #[error("the journal is open already, in this process or another: give each process one of its own, and open it once")]
    Locked,
    /// The path is a link to a file that is not there.
    #[error("the journal is a link to a file that does not exist: mend the link, or take it away")]
    Dangling,
    /// A line is no record, and none that a process was about to write when it died.
    #[error("line {0} of the journal is no record: it was damaged or written by a newer release")]
    Corrupt(usize),
    /// A write failed before and could not be taken back for sure, so that nobody knows what is on disk.
    #[error("a write to the journal failed before: drop this one and its entries first, then open it again")]
    Broken,
}
