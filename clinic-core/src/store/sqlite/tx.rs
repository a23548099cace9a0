//! The open transaction, as commands see it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::{SqliteOptions, rows::Millis};
use crate::reminder::Reminders;

/// What a command works with: the open transaction and the moment it runs at.
pub(super) struct Tx<'a> {
    pub(super) connection: &'a Connection,
    pub(super) now: Millis,
    pub(super) grace: Duration,
    pub(super) reminders: &'a Reminders,
}

impl<'a> Tx<'a> {
    pub(super) fn new(connection: &'a Connection, now: DateTime<Utc>, options: &'a SqliteOptions) -> Self {
        Self { connection, now: now.into(), grace: options.grace, reminders: &options.reminders }
    }
}

/// Writes something small, so that the commit is a real one.
pub(super) fn touch(tx: &Tx<'_>) -> rusqlite::Result<()> {
    tx.connection.prepare_cached("UPDATE probe SET at = ?1 WHERE one = 1")?.execute([tx.now]).map(drop)
}
