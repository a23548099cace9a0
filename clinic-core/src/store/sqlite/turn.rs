//! Taking turns: fair queueing of several processes on one file.
//!
//! SQLite's own busy handler polls, and one process that commits without pause starves the others. Two locked files,
//! taken in order, make a queue: "next" is waited for by all, "turn" by its holder alone, and whoever gets the turn
//! lets the next one come forward.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

use super::file::beside;

/// The two lock files of a store.
pub(super) struct Turn {
    next: File,
    turn: File,
}

/// The turn, until dropped.
pub(super) struct Held<'a>(&'a File);

impl Turn {
    pub(super) fn open(store: &Path) -> io::Result<Self> {
        let open = |suffix| OpenOptions::new().create(true).truncate(false).write(true).open(beside(store, suffix));
        Ok(Self { next: open(".next")?, turn: open(".turn")? })
    }

    /// Waits for the turn.
    pub(super) fn take(&self) -> io::Result<Held<'_>> {
        self.next.lock()?;
        let taken = self.turn.lock();
        self.next.unlock()?;
        taken.map(|()| Held(&self.turn))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // An unlock can only fail on a closed descriptor; the kernel has then let go already.
        let _ = self.0.unlock();
    }
}
