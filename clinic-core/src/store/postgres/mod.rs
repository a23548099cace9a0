//! The store in PostgreSQL, for clinics of many hosts.
//!
//! Each command is a transaction of its own; those of different bookings run side by side, and the server lets them share a sync of its
//! disk. Whoever writes of a booking locks its row first, several in the order of their ids.

mod accept;
mod cancel;
mod claim;
mod conclude;
mod desk;
mod doubt;
mod ending;
mod error;
mod expand;
mod job;
mod ledger;
mod loss;
mod migrate;
mod notices;
mod open;
mod options;
mod progress;
mod read;
mod remind;
mod rows;
mod tx;
mod url;
mod webhooks;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use deadpool_postgres::Pool;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

use self::{
    doubt::{Doubts, Outcome},
    error::{Error, classify, classify_read},
    tx::{Mode, Tx},
};
pub use self::{
    open::PostgresOpenError,
    options::PostgresOptions,
    url::{PostgresUrl, PostgresUrlError},
};
use crate::{
    booking::Booking,
    crash::crash_point,
    dead_letter::{DeadLetter, DeadLetterId, LetterFilter},
    id::{BookingId, EndpointId, JobId},
    notification::Notice,
    page::Filter,
    ports::{
        Acceptance, Cancellation, Claim, ClaimRequest, Claimant, Concluded, Conclusion, Followed, Keyed, NewBooking, NewEndpoint,
        NoticeClaimant, NoticeResult, NoticeSettled, Overdue, OverdueNotices, Progress, Record, Registration, Replay, Replayed, Store,
        StoreError, StoreStats,
    },
    request::IdempotencyKey,
    timeline::Entry,
    topology::Publication,
    webhook::{Endpoint, Secret},
};

/// How often a transaction that conflicts with others is run.
const TRIES: u32 = 8;
/// How long closing waits for what is under way.
const CLOSING: Duration = Duration::from_secs(1);

/// The store in PostgreSQL.
pub struct PostgresStore {
    pool: Pool,
    options: PostgresOptions,
    /// Requests that wait or run; more are shed.
    requests: Semaphore,
    /// Requests that run: work always finds connections of its own.
    accepting: Semaphore,
    /// Writes that wait or run.
    writes: AtomicU64,
    doubts: Doubts,
}

/// How an attempt at a transaction ended.
enum Ended<T> {
    Done(T),
    /// It met another one and was undone; the same again may succeed.
    Conflict(Error),
    Failed(StoreError),
}

/// Runs `$work`, which uses `$tx`, in a transaction, again where it meets another one.
macro_rules! write {
    ($store:expr, |$tx:ident| $work:expr) => {{
        let store = $store;
        let _counted = Counted::new(&store.writes);
        let mut tries = 1;
        loop {
            let begun = Tx::begin(&store.pool, &store.options, Mode::Write).await.map_err(classify)?;
            let worked = {
                let $tx = &begun;
                $work.await
            };
            match store.end(begun, worked).await {
                Ended::Done(done) => break Ok(done),
                Ended::Conflict(_) if tries < TRIES => tries += 1,
                Ended::Conflict(error) => break Err(classify(error)),
                Ended::Failed(error) => break Err(error),
            }
        }
    }};
}

/// Reads by `$work`, which uses `$tx`, what was true at one moment.
macro_rules! read {
    ($store:expr, |$tx:ident| $work:expr) => {{
        let store = $store;
        let begun = Tx::begin(&store.pool, &store.options, Mode::Read).await.map_err(classify_read)?;
        let read = {
            let $tx = &begun;
            $work.await
        };
        match &read {
            Ok(_) => drop(begun.commit().await),
            Err(error) => begun.rollback(error).await,
        }
        read.map_err(classify_read)
    }};
}

impl PostgresStore {
    /// Connects, checks that the server keeps what it commits, and makes the schema or brings it up to date.
    ///
    /// # Errors
    /// [`PostgresOpenError`] says what is wrong and what to do.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, PostgresOpenError> {
        let url = PostgresUrl::parse(url)?;
        let pool = open::pool(&url, options.connections)?;
        open::prepare(&pool, &url).await?;
        let accepting = Semaphore::new((options.connections / 2).max(1));
        Ok(Self {
            pool,
            requests: Semaphore::new(options.waiting_accepts),
            accepting,
            options,
            writes: AtomicU64::new(0),
            doubts: Doubts::default(),
        })
    }

    /// Ends a transaction as its work did. A commit that is not answered is looked up.
    async fn end<T>(&self, tx: Tx, worked: error::Result<T>) -> Ended<T> {
        let done = match worked {
            Ok(done) => done,
            Err(error) => {
                tx.rollback(&error).await;
                return if error.is_conflict() { Ended::Conflict(error) } else { Ended::Failed(classify(error)) };
            }
        };
        crash_point!("in_transaction");
        let xid = tx.xid.clone();
        let committed = tx.commit().await;
        crash_point!("committed");
        match committed {
            Ok(()) => Ended::Done(done),
            Err(error) if error.is_conflict() => Ended::Conflict(error),
            Err(error) => {
                tracing::warn!(%error, "a commit was not answered; its outcome is looked up");
                match self.doubts.settle(&self.pool, &xid).await {
                    Some(Outcome::Committed) => Ended::Done(done),
                    Some(Outcome::Aborted) => Ended::Failed(StoreError::Unavailable(error.into())),
                    None => Ended::Failed(StoreError::Unknown(error.into())),
                }
            }
        }
    }
}

/// Counts a write for as long as it is under way.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(writes: &'a AtomicU64) -> Self {
        writes.fetch_add(1, Ordering::Relaxed);
        Self(writes)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn accept(&self, new: &NewBooking) -> Result<Acceptance, StoreError> {
        let _waiting = self.requests.try_acquire().map_err(|_| StoreError::Busy)?;
        let _room = match timeout(self.options.patience, self.accepting.acquire()).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) | Err(_) => return Err(StoreError::Busy),
        };
        write!(self, |tx| accept::accept(tx, new))
    }

    async fn recall(&self, id: BookingId) -> Result<Option<Booking>, StoreError> {
        self.doubts.settle_all(&self.pool).await.map_err(classify)?;
        write!(self, |tx| async {
            tx::touch(tx).await?;
            rows::booking(tx, id).await
        })
    }

    async fn keyed(&self, key: &IdempotencyKey) -> Result<Option<Keyed>, StoreError> {
        read!(self, |tx| accept::keyed(tx, key))
    }

    async fn claim(&self, claimant: &Claimant, requests: &[ClaimRequest]) -> Result<Vec<Claim>, StoreError> {
        write!(self, |tx| claim::claim(tx, claimant, requests))
    }

    async fn claim_overdue(&self, claimant: &Claimant, limit: usize) -> Result<Overdue, StoreError> {
        write!(self, |tx| claim::claim_overdue(tx, claimant, limit))
    }

    async fn conclude(&self, conclusions: &[Conclusion]) -> Result<Vec<Concluded>, StoreError> {
        write!(self, |tx| conclude::conclude_all(tx, conclusions))
    }

    async fn release_if_ended(&self, id: BookingId) -> Result<Vec<Publication>, StoreError> {
        write!(self, |tx| ending::release_if_ended(tx, id))
    }

    async fn hasten(&self, jobs: &[JobId]) -> Result<(), StoreError> {
        write!(self, |tx| claim::hasten(tx, jobs))
    }

    async fn cancel(&self, id: BookingId) -> Result<Cancellation, StoreError> {
        write!(self, |tx| cancel::cancel(tx, id))
    }

    async fn expire(&self, limit: usize) -> Result<Vec<Publication>, StoreError> {
        write!(self, |tx| ending::expire(tx, limit))
    }

    async fn remind(&self, limit: usize) -> Result<Vec<Publication>, StoreError> {
        write!(self, |tx| remind::remind(tx, limit))
    }

    async fn claim_notices(&self, claimant: &NoticeClaimant, requests: &[ClaimRequest]) -> Result<Vec<Vec<Notice>>, StoreError> {
        write!(self, |tx| notices::claim(tx, claimant, requests))
    }

    async fn claim_overdue_notices(&self, claimant: &NoticeClaimant, limit: usize) -> Result<OverdueNotices, StoreError> {
        write!(self, |tx| notices::claim_overdue(tx, claimant, limit))
    }

    async fn settle_notices(&self, results: &[NoticeResult]) -> Result<Vec<NoticeSettled>, StoreError> {
        write!(self, |tx| notices::settle_all(tx, results))
    }

    async fn bookings(&self, ids: &[BookingId]) -> Result<Vec<Record>, StoreError> {
        read!(self, |tx| read::bookings(tx, ids))
    }

    async fn timeline(&self, id: BookingId) -> Result<Option<Vec<Entry>>, StoreError> {
        read!(self, |tx| read::timeline(tx, id))
    }

    async fn progress(&self, followed: &[Followed]) -> Result<Vec<Progress>, StoreError> {
        read!(self, |tx| progress::progress(tx, followed))
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        read!(self, |tx| read::list(tx, filter))
    }

    async fn dead_letters(&self, filter: &LetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        read!(self, |tx| desk::list(tx, filter))
    }

    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        read!(self, |tx| desk::find(tx, id))
    }

    async fn try_replay(&self, id: DeadLetterId) -> Result<Replayed, StoreError> {
        read!(self, |tx| desk::try_replay(tx, id))
    }

    async fn replay(&self, replay: &Replay) -> Result<Replayed, StoreError> {
        write!(self, |tx| desk::replay(tx, replay))
    }

    async fn add_endpoint(&self, new: &NewEndpoint) -> Result<Registration, StoreError> {
        write!(self, |tx| webhooks::add(tx, new))
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        read!(self, |tx| webhooks::list(tx))
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        read!(self, |tx| webhooks::find(tx, id))
    }

    async fn remove_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        write!(self, |tx| webhooks::remove(tx, id))
    }

    async fn renew_secret(&self, id: EndpointId, secret: &Secret) -> Result<Option<Endpoint>, StoreError> {
        write!(self, |tx| webhooks::renew_secret(tx, id, secret))
    }

    async fn enable_endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        write!(self, |tx| webhooks::enable(tx, id))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        write!(self, |tx| tx::touch(tx))
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let stats = read!(self, |tx| read::stats(tx))?;
        Ok(StoreStats { writer_queue: self.writes.load(Ordering::Relaxed), ..stats })
    }

    async fn close(&self) {
        self.requests.close();
        self.pool.close();
        let until = Instant::now() + CLOSING;
        while self.writes.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            sleep(Duration::from_millis(2)).await;
        }
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
