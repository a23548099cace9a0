//! The reception: accepts, shows and cancels bookings. What an API process does, and what embedders call.

mod desk;
mod webhooks;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use metrics::counter;
use thiserror::Error;
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, sleep, timeout},
};

pub use self::{
    desk::ReplayError,
    webhooks::{Tried, WebhookError},
};
use crate::{
    api::{BookRequest, FieldError, Health, HealthStatus},
    booking::{Booking, CancelRefused, Status},
    crash::crash_point,
    id::BookingId,
    job::JobKind,
    message::Message,
    page::Filter,
    ports::{Acceptance, Broker, Cancellation, Clock, Followed, Keyed, NewBooking, Poster, Record, Store, StoreError, StoreStats},
    relay::Relay,
    request::{self, IdempotencyKey},
    settings::Settings,
    timeline::Entry,
    topology::{Publication, Queue, Route},
    waiters::Waiters,
    watchers::Follower,
};

/// How long an unknown outcome is looked up before the caller is told that we cannot know.
const RECALL_WITHIN: Duration = Duration::from_secs(2);

/// How long a probe of the store may take.
const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// How long the broker may take to say how deep a queue is.
const DEPTH_WITHIN: Duration = Duration::from_secs(1);

/// Webhooks tried out at once: each may take as long as a delivery.
const TRIED_AT_ONCE: usize = 8;

/// The handle of a running clinic.
#[derive(Clone)]
pub struct Reception {
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    relay: Relay,
    waiters: Arc<Waiters>,
    settings: Arc<Settings>,
    webhooks: Option<Arc<dyn Poster>>,
    /// Room for webhooks that are being tried out.
    trying: Arc<Semaphore>,
    /// When the last probe of the store began, and what it saw.
    probed: Arc<Mutex<Option<(Instant, String)>>>,
}

/// An accepted booking.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Booked {
    /// As first answered: pending.
    pub booking: Booking,
    /// Whether an earlier request with the same key made it.
    pub replayed: bool,
}

/// Why a booking was not accepted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BookError {
    /// Fields are wrong.
    #[error("the request is not valid: correct the named fields")]
    Invalid(Vec<FieldError>),
    /// Another active booking of the doctor overlaps.
    #[error("another booking of this doctor overlaps the time: choose another time or doctor")]
    SlotTaken,
    /// The patient has too many undecided bookings.
    #[error("the patient has too many undecided bookings: wait for a decision or cancel one")]
    TooManyPending,
    /// The key came with another request before.
    #[error("the idempotency key was used for another request: use a new key for a new booking")]
    KeyReused,
    /// Surely not booked.
    #[error("the booking was not made: try again in a moment")]
    Unavailable(#[source] StoreError),
    /// Booked or not.
    #[error("it is not known whether the booking was made: ask again with the same idempotency key")]
    OutcomeUnknown(#[source] StoreError),
}

/// Why a booking was not cancelled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CancelError {
    /// No such booking.
    #[error("there is no such booking")]
    NotFound,
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] CancelRefused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Reception {
    /// A reception over its ports.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        relay: Relay,
        waiters: Arc<Waiters>,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            store,
            broker,
            clock,
            relay,
            waiters,
            settings,
            webhooks: None,
            trying: Arc::new(Semaphore::new(TRIED_AT_ONCE)),
            probed: Arc::default(),
        }
    }

    /// The same, with what posts to the endpoints that are registered.
    #[must_use]
    pub fn with_webhooks(mut self, poster: Option<Arc<dyn Poster>>) -> Self {
        self.webhooks = poster;
        self
    }

    /// Accepts a request: committed and synced when it returns.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn book(&self, request: &BookRequest) -> Result<Booking, BookError> {
        self.book_keyed(request, "", None).await.map(|booked| booked.booking)
    }

    /// Accepts a request under a caller's idempotency key (1-255 visible ASCII characters).
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn book_keyed(&self, request: &BookRequest, caller: &str, key: Option<&str>) -> Result<Booked, BookError> {
        let appointment = request::parse(request, self.settings.defaults).map_err(BookError::Invalid)?;
        let key =
            key.map(|key| IdempotencyKey::parse(caller, key, &appointment)).transpose().map_err(|error| BookError::Invalid(vec![error]))?;
        if let Err(mut error) = request::check_time(&appointment.slot, self.clock.now(), self.settings.horizon) {
            if request.time_slot.is_some() {
                error.field = "time_slot".into();
            }
            return self.repeat(key.as_ref(), error).await;
        }
        let room = self.relay.room();
        let look_after = if room.is_some() { self.settings.grace } else { Duration::ZERO };
        let new = NewBooking::new(appointment, key, self.settings.decide_within, self.settings.pending_per_patient, look_after);
        let acceptance = match self.store.accept(&new).await {
            Ok(acceptance) => acceptance,
            Err(StoreError::Unknown(source)) => self.recall(&new, source).await?,
            Err(error) => self.not_made(new.key.as_ref(), error).await?,
        };
        match acceptance {
            Acceptance::Accepted(booking) => {
                crash_point!("accepted");
                counter!("clinic_bookings_accepted_total").increment(1);
                if let Some(room) = room {
                    room.send(Publication::new(Message::new(new.job, JobKind::Decide, new.id), Route::Work));
                }
                Ok(Booked { booking, replayed: false })
            }
            Acceptance::Replayed(booking) => Ok(Booked { booking, replayed: true }),
            Acceptance::KeyReused => Err(BookError::KeyReused),
            Acceptance::SlotTaken => Err(BookError::SlotTaken),
            Acceptance::TooManyPending => Err(BookError::TooManyPending),
        }
    }

    /// A request whose time is no longer valid may still repeat one that was.
    async fn repeat(&self, key: Option<&IdempotencyKey>, error: FieldError) -> Result<Booked, BookError> {
        let keyed = match key {
            Some(key) => self.store.keyed(key).await.map_err(BookError::OutcomeUnknown)?,
            None => None,
        };
        match keyed {
            Some(Keyed::Same(booking)) => Ok(Booked { booking: *booking, replayed: true }),
            Some(Keyed::Other) => Err(BookError::KeyReused),
            None => Err(BookError::Invalid(vec![error])),
        }
    }

    /// This request surely booked nothing, but an earlier one with its key may have: only who can read can tell.
    async fn not_made(&self, key: Option<&IdempotencyKey>, error: StoreError) -> Result<Acceptance, BookError> {
        let Some(key) = key else { return Err(BookError::Unavailable(error)) };
        match self.store.keyed(key).await {
            Ok(Some(Keyed::Same(booking))) => Ok(Acceptance::Replayed(*booking)),
            Ok(Some(Keyed::Other)) => Ok(Acceptance::KeyReused),
            Ok(None) => Err(BookError::Unavailable(error)),
            Err(_) => Err(BookError::OutcomeUnknown(error)),
        }
    }

    async fn recall(&self, new: &NewBooking, source: crate::ports::Source) -> Result<Acceptance, BookError> {
        let until = Instant::now() + RECALL_WITHIN;
        loop {
            match timeout(RECALL_WITHIN, self.store.recall(new.id)).await {
                // It may have been decided meanwhile.
                Ok(Ok(Some(booking))) => return Ok(Acceptance::Accepted(booking.as_first_answered())),
                Ok(Ok(None)) => return self.not_made(new.key.as_ref(), StoreError::Unavailable(source)).await,
                Ok(Err(_)) | Err(_) if Instant::now() < until => sleep(Duration::from_millis(50)).await,
                Ok(Err(_)) | Err(_) => return Err(BookError::OutcomeUnknown(StoreError::Unknown(source))),
            }
        }
    }

    /// A booking and its notices.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, id: BookingId) -> Result<Option<Record>, StoreError> {
        Ok(self.store.bookings(&[id]).await?.pop())
    }

    /// A booking, once it is decided or cancelled, or as it stands after `at_most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_decided(&self, id: BookingId, at_most: Duration) -> Result<Option<Record>, StoreError> {
        // Registered before the first read, so that no decision falls between the two.
        let decided = self.waiters.register(id);
        match self.find(id).await? {
            Some(record) if record.booking.status == Status::Pending && !at_most.is_zero() => match timeout(at_most, decided).await {
                Ok(Ok(record)) => Ok(Some(record)),
                Ok(Err(_)) | Err(_) => self.find(id).await,
            },
            found => Ok(found),
        }
    }

    /// A booking's timeline, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn timeline(&self, id: BookingId) -> Result<Option<Vec<Entry>>, StoreError> {
        self.store.timeline(id).await
    }

    /// Follows a booking: its timeline after an entry (0 for all of it), and what comes, as it comes. `None` when there is no such booking.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn follow(&self, id: BookingId, after: u32) -> Result<Option<Follower>, StoreError> {
        let at = Followed::new(id, after);
        let mut follower = Follower::listening(Arc::clone(&self.waiters), at);
        let found = self.store.progress(&[at]).await?.pop();
        Ok(found.map(|progress| {
            follower.take(progress);
            follower
        }))
    }

    /// Bookings in the order of (start, id).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        self.store.list(filter).await
    }

    /// Cancels a booking; also fine when it was cancelled before.
    ///
    /// # Errors
    /// [`CancelError`].
    pub async fn cancel(&self, id: BookingId) -> Result<Booking, CancelError> {
        match self.store.cancel(id).await? {
            Cancellation::Done(booking, publications) => {
                crash_point!("cancelled");
                counter!("clinic_bookings_cancelled_total").increment(1);
                self.relay.send(&publications);
                Ok(booking)
            }
            Cancellation::Already(booking) => Ok(booking),
            Cancellation::Refused(refused) => Err(refused.into()),
            Cancellation::NotFound => Err(CancelError::NotFound),
        }
    }

    /// Whether a booking could be accepted now, and how the broker is. The store alone decides over `down`.
    pub async fn health(&self) -> Health {
        let store = self.probe().await;
        let broker = self.broker.health().map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        let status = match (store.as_str(), broker.as_str()) {
            ("ok", "ok") => HealthStatus::Ok,
            ("ok", _) => HealthStatus::Degraded,
            _ => HealthStatus::Down,
        };
        Health::new(status, store, broker)
    }

    /// How the store is. Whoever asks while a probe runs shares the next one: a flood of questions is one write at a time.
    async fn probe(&self) -> String {
        let asked = Instant::now();
        let mut probed = self.probed.lock().await;
        if let Some((begun, seen)) = &*probed
            && *begun > asked
        {
            return seen.clone();
        }
        let begun = Instant::now();
        let seen = match timeout(PROBE_WITHIN, self.store.probe()).await {
            Ok(Ok(())) => "ok".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store does not answer within 2 s".to_owned(),
        };
        *probed = Some((begun, seen.clone()));
        seen
    }

    /// The store's figures, for metrics.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.store.stats().await
    }

    /// How many messages wait in each queue, for metrics; `None` where the broker does not say so within a second.
    pub async fn depths(&self) -> Vec<(Queue, Option<u64>)> {
        let depths = Queue::ALL.map(async |queue| (queue, timeout(DEPTH_WITHIN, self.broker.depth(queue)).await.ok().flatten()));
        join_all(depths).await
    }

    /// The clinic's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl std::fmt::Debug for Reception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reception").finish_non_exhaustive()
    }
}

/// Asks the store for something that it does once however often it is asked; where the outcome is not known, again until it is.
async fn settled<T, E, F>(act: impl Fn() -> F, failed: fn(StoreError) -> E, unknown: fn(StoreError) -> E) -> Result<T, E>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let error = match act().await {
        Err(error @ StoreError::Unknown(_)) => error,
        known => return known.map_err(failed),
    };
    let until = Instant::now() + RECALL_WITHIN;
    loop {
        match timeout(RECALL_WITHIN, act()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(_)) | Err(_) if Instant::now() < until => sleep(Duration::from_millis(50)).await,
            Ok(Err(_)) | Err(_) => return Err(unknown(error)),
        }
    }
}
