//! Rows of work that is still to be done.

use tokio_postgres::Row;

use super::{
    error::Result,
    rows::{Columns, Count, Millis},
    tx::{Tx, params},
};
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

macro_rules! job_columns {
    () => {
        "job.id, job.kind, job.booking, event_seq, attempt, losses, job.reserves, token, worker, lease_until, by_message, due_at"
    };
}

impl Job {
    /// The job, if it is still to be done.
    pub(super) async fn find(tx: &Tx, id: JobId) -> Result<Option<Self>> {
        let row = tx.one(concat!("SELECT ", job_columns!(), " FROM job WHERE id = $1"), params![id]).await?;
        row.as_ref().map(Self::read).transpose()
    }

    /// The decide job of a booking, if it is still to be done.
    pub(super) async fn deciding(tx: &Tx, booking: BookingId) -> Result<Option<Self>> {
        let sql = concat!("SELECT ", job_columns!(), " FROM job JOIN booking ON booking.job = job.id WHERE booking.id = $1");
        tx.one(sql, params![booking]).await?.as_ref().map(Self::read).transpose()
    }

    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.column(0)?,
            kind: row.column(1)?,
            booking: row.column(2)?,
            event_seq: row.column::<Option<Count>>(3)?.map(|seq| seq.0),
            attempt: row.count(4)?,
            losses: row.count(5)?,
            reserves: row.column(6)?,
            token: row.column(7)?,
            worker: row.column(8)?,
            lease_until: row.column(9)?,
            by_message: row.column(10)?,
            due_at: row.column(11)?,
        })
    }

    /// Settled: the job is gone.
    pub(super) async fn settle(&self, tx: &Tx) -> Result<()> {
        tx.execute("DELETE FROM job WHERE id = $1", params![self.id]).await.map(drop)
    }

    /// Until when somebody may be at work on it.
    pub(super) fn busy_until(&self) -> Option<Millis> {
        self.token.and(self.lease_until)
    }
}
