//! Rows of the ledger: one notice each.

use super::{
    ending,
    error::Result,
    rows::{Columns, Count, Millis},
    tx::{Tx, params},
};
use crate::{
    id::{BookingId, JobId, NoticeId, Token},
    notification::NoticeState,
    timeline::EntryKind,
};

/// The columns of [`Row::read`], in its order.
macro_rules! row_columns {
    () => {
        "booking, event_seq, channel, id, job, tries, losses, token, lease_until, due_at"
    };
}
pub(super) use row_columns;

/// A pending ledger row.
pub(super) struct Row {
    /// Whether it is in the ledger yet; a fresh one is written once, with its lease.
    pub(super) stored: bool,
    pub(super) booking: BookingId,
    pub(super) event_seq: u32,
    pub(super) channel: String,
    pub(super) id: NoticeId,
    pub(super) job: JobId,
    pub(super) tries: u32,
    pub(super) losses: u32,
    pub(super) token: Option<Token>,
    pub(super) lease_until: Option<Millis>,
    pub(super) due_at: Option<Millis>,
}

impl Row {
    /// One that is yet to be stored, due at once.
    pub(super) fn fresh(booking: BookingId, event_seq: u32, channel: String, job: JobId, now: Millis) -> Self {
        let (id, due_at) = (NoticeId::generate(), Some(now));
        Self { stored: false, booking, event_seq, channel, id, job, tries: 0, losses: 0, token: None, lease_until: None, due_at }
    }

    pub(super) fn read(row: &tokio_postgres::Row) -> Result<Self> {
        Ok(Self {
            stored: true,
            booking: row.column(0)?,
            event_seq: row.count(1)?,
            channel: row.column(2)?,
            id: row.column(3)?,
            job: row.column(4)?,
            tries: row.count(5)?,
            losses: row.count(6)?,
            token: row.column(7)?,
            lease_until: row.column(8)?,
            due_at: row.column(9)?,
        })
    }

    /// Writes a fresh one, due at once.
    pub(super) async fn store(&self, tx: &Tx) -> Result<()> {
        if !self.stored {
            self.insert(tx, None, tx.now).await?;
        }
        Ok(())
    }

    pub(super) async fn insert(&self, tx: &Tx, lease: Option<(Token, Millis)>, next_look: Millis) -> Result<()> {
        let (token, until) = lease.unzip();
        let sql = "INSERT INTO notice (booking, event_seq, channel, id, job, state, due_at, token, lease_until, next_look) \
                   VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9)";
        let values = params![self.booking, Count(self.event_seq), self.channel, self.id, self.job, tx.now, token, until, next_look];
        tx.execute(sql, values).await.map(drop)
    }

    /// Whether somebody holds it.
    pub(super) fn is_held(&self, now: Millis) -> bool {
        self.token.is_some() && self.busy_until(now).is_some()
    }

    /// Until when somebody may be sending it: whoever holds it, or held it before and was overtaken, which does not stop them.
    pub(super) fn busy_until(&self, now: Millis) -> Option<Millis> {
        self.lease_until.filter(|until| *until > now)
    }

    /// Ends it. Unless it was sent, the lease of one that was taken from somebody stays: they may still send it.
    pub(super) async fn end(&self, tx: &Tx, state: NoticeState, more_tries: u32, code: Option<&str>, receipt: Option<&str>) -> Result<()> {
        let seq = ending::next_seq(tx, self.booking).await?;
        let sql = "UPDATE notice SET state = $4, tries = tries + $5, code = $6, receipt = $7, seq = $8, settled_at = $9, token = NULL, \
                   lease_until = CASE WHEN losses > 0 AND $4 <> 'sent' THEN lease_until END, due_at = NULL, next_look = NULL \
                   WHERE booking = $1 AND event_seq = $2 AND channel = $3";
        let (tries, seq) = (Count(more_tries), Count(seq));
        let values = params![self.booking, Count(self.event_seq), self.channel, state, tries, code, receipt, seq, tx.now];
        tx.execute(sql, values).await.map(drop)
    }

    pub(super) async fn retry(&self, tx: &Tx, code: &str, due: Millis) -> Result<()> {
        let (seq, tries) = (Count(ending::next_seq(tx, self.booking).await?), Count(self.tries + 1));
        let sql = "INSERT INTO timeline (booking, seq, at, kind, attempt, code, next_try, channel, notice) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let values = params![self.booking, seq, tx.now, EntryKind::NoticeRetry, tries, code, due, self.channel, self.id];
        tx.execute(sql, values).await?;
        let sql = "UPDATE notice SET tries = tries + 1, code = $4 WHERE booking = $1 AND event_seq = $2 AND channel = $3";
        tx.execute(sql, params![self.booking, Count(self.event_seq), self.channel, code]).await?;
        self.free(tx, due).await
    }

    /// Lets it go until `due`; the lease of one that was taken from somebody stays, as in [`end`](Self::end).
    pub(super) async fn free(&self, tx: &Tx, due: Millis) -> Result<()> {
        let sql = "UPDATE notice SET token = NULL, lease_until = CASE WHEN losses > 0 THEN lease_until END, due_at = $4, next_look = $4 \
                   WHERE booking = $1 AND event_seq = $2 AND channel = $3";
        tx.execute(sql, params![self.booking, Count(self.event_seq), self.channel, due]).await.map(drop)
    }

    /// Not before then does the sweep look at it.
    pub(super) async fn look_not_before(&self, tx: &Tx, at: Millis) -> Result<()> {
        let sql = "UPDATE notice SET next_look = $4 WHERE booking = $1 AND event_seq = $2 AND channel = $3";
        tx.execute(sql, params![self.booking, Count(self.event_seq), self.channel, at]).await.map(drop)
    }
}
