//! The store in PostgreSQL, for clinics of many hosts.
//!
//! Calls of the hot kinds (accept, conclude, settle) share transactions: many rows by one statement, one sync for all. What is not plain
//! in such a batch, and every other call, runs statement by statement. Whoever writes of a booking locks its row first, several in the
//! order of their ids.

mod accept;
mod accepts;
mod batcher;
mod cancel;
mod claim;
mod conclude;
mod core;
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
mod plain;
mod progress;
mod read;
mod remind;
mod rows;
mod tx;
mod url;
mod webhooks;
mod work;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use self::{
    accepts::Accepts,
    batcher::{Batcher, Counted, Measures},
    conclude::Conclusions,
    core::{Core, transact},
    doubt::Doubts,
    error::{classify, classify_read},
    notices::Settlements,
    tx::{Mode, Tx},
    work::Works,
};
pub use self::{
    open::PostgresOpenError,
    options::PostgresOptions,
    url::{PostgresUrl, PostgresUrlError},
};
use crate::{
    booking::Booking,
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

/// Rows of a batch that accepts. Each takes a lock of its patient until the commit, of which a server as it comes has room for 6,400.
const ACCEPTED: usize = 256;
/// Rows of a batch of work. What is not plain in it goes statement by statement, and all the others wait for that.
const WORKED: usize = 256;
/// Calls of work that may wait; callers beyond that wait their turn.
const WORK: usize = 4_096;
/// Batches of a kind that are under way at once.
const UNDER_WAY: usize = 2;
/// How long closing waits for what is under way.
const CLOSING: Duration = Duration::from_secs(1);

/// The store in PostgreSQL.
pub struct PostgresStore {
    core: Arc<Core>,
    accepts: Batcher<Accepts>,
    concludes: Batcher<Works<Conclusions>>,
    settles: Batcher<Works<Settlements>>,
}

/// Runs `$work`, which uses `$tx`, in a transaction of its own.
macro_rules! write {
    ($store:expr, |$tx:ident| $work:expr) => {{
        let store = $store;
        let _counted = Counted::new(&store.core.writes);
        transact!(&*store.core, Mode::Write, |$tx| $work).map_err(StoreError::from)
    }};
}

/// Reads by `$work`, which uses `$tx`, what was true at one moment.
macro_rules! read {
    ($store:expr, |$tx:ident| $work:expr) => {{
        let store = $store;
        let begun = Tx::begin(&store.core.pool, &store.core.options, Mode::Read).await.map_err(classify_read)?;
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
        let accepting = (options.connections / 2).max(1);
        let writes = Arc::default();
        let work = Measures { waiting: WORK, sheds: false, rows: WORKED, under_way: UNDER_WAY, patience: options.patience };
        let requests =
            Measures { waiting: options.waiting_accepts, sheds: true, rows: ACCEPTED, under_way: UNDER_WAY.min(accepting), ..work };
        let core = Core { pool, options, accepting: Semaphore::new(accepting), writes: Arc::clone(&writes), doubts: Doubts::default() };
        let core = Arc::new(core);
        Ok(Self {
            accepts: Batcher::start(Accepts(Arc::clone(&core)), requests, &writes),
            concludes: Batcher::start(Works::new(&core), work, &writes),
            settles: Batcher::start(Works::new(&core), work, &writes),
            core,
        })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn accept(&self, new: &NewBooking) -> Result<Acceptance, StoreError> {
        self.accepts.submit(new.clone()).await
    }

    async fn recall(&self, id: BookingId) -> Result<Option<Booking>, StoreError> {
        self.core.doubts.settle_all(&self.core.pool).await.map_err(classify)?;
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
        self.concludes.submit(conclusions.to_vec()).await
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
        self.settles.submit(results.to_vec()).await
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
        Ok(StoreStats { writer_queue: self.core.writes.load(Ordering::Relaxed), ..stats })
    }

    async fn close(&self) {
        self.accepts.close();
        self.concludes.close();
        self.settles.close();
        let until = Instant::now() + CLOSING;
        while self.core.writes.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            sleep(Duration::from_millis(2)).await;
        }
        self.core.pool.close();
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
