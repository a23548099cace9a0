//! Opening the file: where it may lie, who else has it, and what a lone process may conclude.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};
use thiserror::Error;

use super::{SqliteOptions, loss, migrate, turn::Turn, tx::Tx};
use crate::ports::Clock;

/// Why the store cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder or a file cannot be used.
    #[error("cannot open the store at {path}: check that the folder exists and may be written")]
    File {
        /// The store.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// SQLite refuses the file.
    #[error("cannot use {path} as a store: is it a SQLite file of this clinic, on a disk with room?")]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// The file lies on a network file system, whose locks and syncs cannot be trusted.
    #[error("{path} lies on a network file system ({kind}): put the store on a local disk")]
    Network {
        /// The store.
        path: PathBuf,
        /// Which.
        kind: &'static str,
    },
    /// The file was written by a newer release.
    #[error("{path} has schema {found}, this release knows up to {known}: start a newer release")]
    NewerSchema {
        /// The store.
        path: PathBuf,
        /// The file's schema.
        found: u32,
        /// The newest this release knows.
        known: u32,
    },
}

pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) turn: Turn,
    /// Shared with every process on the file.
    pub(super) process_lock: File,
}

/// The store's own name where `path` is a link to it: whoever comes by another name must meet the same locks.
pub(super) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A file beside the store, named by a suffix.
pub(super) fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = store.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn open(path: &Path, clock: &dyn Clock, options: &SqliteOptions) -> Result<Opened, OpenError> {
    let file = |source| OpenError::File { path: path.to_owned(), source };
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    refuse_network(path)?;
    let process_lock = OpenOptions::new().create(true).truncate(false).write(true).open(beside(path, ".lock")).map_err(file)?;
    let alone = match process_lock.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => {
            process_lock.lock_shared().map_err(file)?;
            false
        }
        Err(TryLockError::Error(source)) => return Err(file(source)),
    };
    let turn = Turn::open(path).map_err(file)?;
    let held = turn.take().map_err(file)?;
    let mut connection = connect(path).map_err(sqlite)?;
    migrate::migrate(&mut connection, path)?;
    if alone {
        // Nobody else lives, so every lease in the file belongs to the dead, and no message waits in this process.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let lost = loss::void_all(&Tx::new(&transaction, clock.now(), options)).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        if lost > 0 {
            tracing::info!(leases = lost, "voided the leases of processes that are gone");
        }
    }
    // The turn goes first: whoever takes the exclusive lock in the moment between the two locks wants it next, and we then
    // wait for them. Nothing is claimed before this returns, so what they void is no work of ours.
    drop(held);
    if alone {
        process_lock.unlock().map_err(file)?;
        process_lock.lock_shared().map_err(file)?;
    }
    Ok(Opened { connection, turn, process_lock })
}

/// A connection with the settings that the promises rest on.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // P1 rests on it: a commit returns after the log is synced.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // The bundled SQLite has STAT4, under which a statement that a partial index may serve is compiled anew whenever its
    // bindings change; plans that do not look at them are compiled once (sqlite.org, "Query Planner Stability Guarantee").
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

fn refuse_network(path: &Path) -> Result<(), OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let stat = rustix::fs::statfs(folder).map_err(|errno| OpenError::File { path: path.to_owned(), source: errno.into() })?;
    // The magic numbers of statfs(2).
    let kind = match u32::try_from(stat.f_type).unwrap_or_default() {
        0x6969 => "NFS",
        0x517B | 0xFE53_4D42 | 0xFF53_4D42 => "SMB",
        0x0102_1997 => "9P",
        0x00C3_6400 => "Ceph",
        0x5346_414F => "AFS",
        0x0BD0_0BD0 => "Lustre",
        _ => return Ok(()),
    };
    Err(OpenError::Network { path: path.to_owned(), kind })
}
