//! Checkpoints: the log is moved into the store's file by a thread of its own, so that commits don't wait for it. The
//! writer only finishes what little is left, and the log then starts over.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use rusqlite::Connection;

use super::super::{OpenError, file};

/// Pages of 4 KiB in the log that call for a checkpoint.
const PAGES: u64 = 4_000;
/// Pages at which the writer waits for one rather than let the log grow on.
const TOO_MANY: u64 = 64_000;

pub(super) struct Checkpointer {
    pages: Arc<AtomicU64>,
    start: SyncSender<()>,
    done: Arc<AtomicBool>,
    /// At how many pages the writer waits next. Only it looks at this.
    too_many: Cell<u64>,
}

impl Checkpointer {
    /// The thread ends when the checkpointer is dropped.
    pub(super) fn start(path: &Path, pages: Arc<AtomicU64>) -> Result<Self, OpenError> {
        let connection = file::connect(path).map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
        let (start, asked) = sync_channel(1);
        let done = Arc::new(AtomicBool::new(false));
        let finished = Arc::clone(&done);
        std::thread::Builder::new()
            .name("clinic-checkpoint".into())
            .spawn(move || run(&connection, &asked, &finished))
            .map_err(|source| OpenError::File { path: PathBuf::from(path), source })?;
        Ok(Self { pages, start, done, too_many: Cell::new(TOO_MANY) })
    }

    /// Called by the writer between two transactions.
    pub(super) fn after_commit(&self, connection: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if self.done.swap(false, Ordering::AcqRel) {
            // Most pages are moved: the rest is quick, and the next commit writes at the log's beginning again.
            checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)");
        } else if pages > self.too_many.get() {
            checkpoint(connection, "PRAGMA wal_checkpoint(RESTART)");
            // A reader from outside may stay for long: each wait for it has to be earned by more log.
            self.too_many.set(pages + TOO_MANY);
        } else if pages > PAGES {
            if pages < TOO_MANY {
                self.too_many.set(TOO_MANY);
            }
            // Full means that it is running already.
            let _ = self.start.try_send(());
        }
    }
}

fn run(connection: &Connection, asked: &Receiver<()>, done: &AtomicBool) {
    while asked.recv().is_ok() {
        checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)");
        done.store(true, Ordering::Release);
    }
}

/// A checkpoint that cannot be had now, for a reader or a full disk, is made later.
fn checkpoint(connection: &Connection, sql: &str) {
    if let Err(error) = connection.query_row(sql, [], |_| Ok(())) {
        tracing::debug!(%error, "a checkpoint is put off");
    }
}
