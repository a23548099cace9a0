//! Rows of work that is still to be done.

use rusqlite::{OptionalExtension, Row};

use super::{rows::Millis, tx::Tx};
use crate::{
    id::{BookingId, JobId, Token},
    job::JobKind,
};

/// A job's row.
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) kind: JobKind,
    pub(super) booking: BookingId,
    /// What a tell job tells.
    pub(super) event_seq: Option<u32>,
    pub(super) attempt: u32,
    pub(super) losses: u32,
    pub(super) reserves: bool,
    pub(super) token: Option<Token>,
    pub(super) worker: Option<String>,
    pub(super) lease_until: Option<Millis>,
    /// Whether the lease was won by a message, which comes back when its holder's channel to the broker is gone.
    pub(super) by_message: bool,
    pub(super) due_at: Millis,
}

impl Job {
    /// The job, if it is still to be done.
    pub(super) fn find(tx: &Tx<'_>, id: JobId) -> rusqlite::Result<Option<Self>> {
        tx.connection
            .prepare_cached(
                "SELECT id, kind, booking, event_seq, attempt, losses, reserves, token, worker, lease_until, by_message, due_at \
                 FROM job WHERE id = ?1",
            )?
            .query_row([id], Self::read)
            .optional()
    }

    /// The decide job of a booking, if it is still to be done.
    pub(super) fn deciding(tx: &Tx<'_>, booking: BookingId) -> rusqlite::Result<Option<Self>> {
        let job: Option<JobId> =
            tx.connection.prepare_cached("SELECT job FROM booking WHERE id = ?1")?.query_row([booking], |row| row.get(0)).optional()?;
        job.map_or(Ok(None), |job| Self::find(tx, job))
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            booking: row.get(2)?,
            event_seq: row.get(3)?,
            attempt: row.get(4)?,
            losses: row.get(5)?,
            reserves: row.get(6)?,
            token: row.get(7)?,
            worker: row.get(8)?,
            lease_until: row.get(9)?,
            by_message: row.get(10)?,
            due_at: row.get(11)?,
        })
    }

    /// Settled: the job is gone.
    pub(super) fn settle(&self, tx: &Tx<'_>) -> rusqlite::Result<()> {
        tx.connection.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([self.id]).map(drop)
    }

    /// Until when somebody may be at work on it.
    pub(super) fn busy_until(&self) -> Option<Millis> {
        self.token.and(self.lease_until)
    }
}
