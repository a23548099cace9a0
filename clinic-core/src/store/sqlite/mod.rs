//! The store in one SQLite file: one writer with group commit, a few readers that never wait for it.
//!
//! Several processes on one host may share the file; they take turns to write (see `turn`).

mod accept;
mod cancel;
mod claim;
mod conclude;
mod desk;
mod file;
mod job;
mod ledger;
mod ending;
mod expand;
mod loss;
mod migrate;
mod notices;
mod progress;
mod read;
mod reader;
mod remind;
mod rows;
mod turn;
mod tx;
mod webhooks;
mod writer;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::file::OpenError;
use self::{
    reader::Readers,
    writer::{Lane, Writer},
};
use crate::{
    booking::Booking,
    dead_letter::{DeadLetter, DeadLetterId, LetterFilter},
    id::{BookingId, EndpointId, JobId},
    notification::Notice,
    page::Filter,
    ports::{
        Acceptance, Cancellation, Claim, ClaimRequest, Claimant, Clock, Concluded, Conclusion, Followed, Keyed, NewBooking, NewEndpoint,
        NoticeClaimant, NoticeResult, NoticeSettled, Overdue, OverdueNotices, Progress, Record, Registration, Replay, Replayed, Store,
        StoreError, StoreStats,
    },
    reminder::Reminders,
    request::IdempotencyKey,
    timeline::Entry,
    topology::Publication,
    webhook::{Endpoint, Secret},
};

/// How the store runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How long a job made by a write is left to its message before the sweep may pick it up.
    pub grace: Duration,
    /// Bookings that may wait for the writer; more are refused with [`StoreError::Busy`].
    pub waiting_accepts: usize,
    /// How long a command may wait for the writer before it is refused.
    pub patience: Duration,
    /// How long before a confirmed visit its patient is reminded.
    pub reminders: Reminders,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { grace: Duration::from_secs(30), waiting_accepts: 8192, patience: Duration::from_secs(5), reminders: Reminders::default() }
    }
}

impl SqliteOptions {
    /// The same with another grace.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The same with other reminders.
    #[must_use]
    pub fn with_reminders(mut self, reminders: Reminders) -> Self {
        self.reminders = reminders;
        self
    }
}

/// The store in one SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the file, making it when it is not there. A process that finds no other on the file voids all leases.
    ///
    /// Blocks; call it before serving or on a blocking thread.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and what to do.
    pub fn open(path: &Path, clock: Arc<dyn Clock>, options: SqliteOptions) -> Result<Self, OpenError> {
        let path = &file::real(path);
        let opened = file::open(path, &*clock, &options)?;
        let readers = Readers::open(path)?;
        Ok(Self { writer: Writer::start(opened, path, clock, options)?, readers })
    }

    async fn work<T, F>(&self, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&tx::Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writer.submit(Lane::Work, run).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, new: &NewBooking) -> Result<Acceptance, StoreError> {
        let new = new.clone();
        self.writer.submit(Lane::Accept, move |tx| accept::accept(tx, &new)).await
    }

    async fn recall(&self, id: BookingId) -> Result<Option<Booking>, StoreError> {
        self.work(move |tx| {
            tx::touch(tx)?;
            rows::booking(tx.connection, id)
        })
        .await
    }

    async fn keyed(&self, key: &IdempotencyKey) -> Result<Option<Keyed>, StoreError> {
        let key = *key;
        self.readers.read(move |connection| accept::keyed(connection, &key)).await
    }

    async fn claim(&self, claimant: &Claimant, requests: &[ClaimRequest]) -> Result<Vec<Claim>, StoreError> {
        let (claimant, requests) = (claimant.clone(), requests.to_vec());
        self.work(move |tx| requests.iter().map(|request| claim::claim(tx, &claimant, request)).collect()).await
    }

    async fn claim_overdue(&self, claimant: &Claimant, limit: usize) -> Result<Overdue, StoreError> {
        let claimant = claimant.clone();
        self.work(move |tx| claim::claim_overdue(tx, &claimant, limit)).await
    }

    async fn conclude(&self, conclusions: &[Conclusion]) -> Result<Vec<Concluded>, StoreError> {
        let conclusions = conclusions.to_vec();
        self.work(move |tx| conclusions.iter().map(|conclusion| conclude::conclude(tx, conclusion)).collect()).await
    }

    async fn release_if_ended(&self, id: BookingId) -> Result<Vec<Publication>, StoreError> {
        self.work(move |tx| ending::release_if_ended(tx, id)).await
    }

    async fn hasten(&self, jobs: &[JobId]) -> Result<(), StoreError> {
        let jobs = jobs.to_vec();
        self.work(move |tx| claim::hasten(tx, &jobs)).await
    }

    async fn cancel(&self, id: BookingId) -> Result<Cancellation, StoreError> {
        self.work(move |tx| cancel::cancel(tx, id)).await
    }

    async fn expire(&self, limit: usize) -> Result<Vec<Publication>, StoreError> {
        self.work(move |tx| ending::expire(tx, limit)).await
    }

    async fn remind(&self, limit: usize) -> Result<Vec<Publication>, StoreError> {
        self.work(move |tx| remind::remind(tx, limit)).await
    }

    async fn claim_notices(&self, claimant: &NoticeClaimant, requests: &[ClaimRequest]) -> Result<Vec<Vec<Notice>>, StoreError> {
        let (claimant, requests) = (claimant.clone(), requests.to_vec());
        self.work(move |tx| notices::claim(tx, &claimant, &requests)).await
    }

    async fn claim_overdue_notices(&self, claimant: &NoticeClaimant, limit: usize) -> Result<OverdueNotices, StoreError> {
        let claimant = claimant.clone();
        self.work(move |tx| notices::claim_overdue(tx, &claimant, limit)).await
    }

    async fn settle_notices(&self, results: &[NoticeResult]) -> Result<Vec<NoticeSettled>, StoreError> {
        let results = results.to_vec();
        self.work(move |tx| results.iter().map(|result| notices::settle(tx, result)).collect()).await
    }

    async fn bookings(&self, ids: &[BookingId]) -> Result<Vec<Record>, StoreError> {
        let ids = ids.to_vec();
        self.readers.read(move |connection| read::bookings(connection, &ids)).await
    }

    async fn timeline(&self, id: BookingId) -> Result<Option<Vec<Entry>>, StoreError> {
        self.readers.read(move |connection| read::timeline(connection, id)).await
    }

    async fn progress(&self, followed: &[Followed]) -> Result<Vec<Progress>, StoreError> {
        let followed = followed.to_vec();
        self.readers.read(move |connection| progress::progress(connection, &followed)).await
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |connection| read::list(connection, &filter)).await
    }

    async fn dead_letters(&self, filter: &LetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |connection| desk::list(connection, &filter)).await
    }

    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        self.readers.read(move |connection| desk::find(connection, id)).await
    }

    async fn try_replay(&self, id: DeadLetterId) -> Result<Replayed, StoreError> {
        let now = self.writer.now();
        self.readers.read(move |connection| desk::try_replay(connection, now, id)).await
    }

    async fn replay(&self, replay: &Replay) -> Result<Replayed, StoreError> {
        let replay = *replay;
        self.work(move |tx| desk::replay(tx, &replay)).await
    }

    async fn add_endpoint(&self, new: &NewEndpoint) -> Result<Registration, StoreError> {
        let new = new.clone();
        self.work(move |tx| webhooks::add(tx, &new)).await
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.readers.read(webhooks::list).await
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.readers.read(move |connection| webhooks::find(connection, id)).await
    }

    async fn remove_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        self.work(move |tx| webhooks::remove(tx, id)).await
    }

    async fn renew_secret(&self, id: EndpointId, secret: &Secret) -> Result<Option<Endpoint>, StoreError> {
        let secret = *secret;
        self.work(move |tx| webhooks::renew_secret(tx, id, &secret)).await
    }

    async fn enable_endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.work(move |tx| webhooks::enable(tx, id)).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.work(tx::touch).await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let (wal_bytes, writer_queue) = (self.writer.wal_bytes(), self.writer.waiting());
        let now = self.writer.now();
        let stats = self.readers.read(move |connection| read::stats(connection, now)).await?;
        Ok(StoreStats { wal_bytes, writer_queue, ..stats })
    }

    async fn close(&self) {
        self.writer.close().await;
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
