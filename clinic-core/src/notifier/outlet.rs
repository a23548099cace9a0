//! Outlets: the configured channels, each with its own room, so that a slow one delays no other. Of webhooks, so has each endpoint.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::{
    id::EndpointId,
    notification::Notice,
    ports::{Channel, ChannelError, Receipt},
    retry::RetryPolicy,
    webhook,
};

/// No send may take longer: its lease is longer still, and must end some day.
const LONGEST_SEND: Duration = Duration::from_secs(24 * 3600);

/// A channel, what it said of itself, and the room it has.
#[derive(Clone)]
pub(super) struct Outlet {
    channel: Arc<dyn Channel>,
    name: String,
    timeout: Duration,
    retry: RetryPolicy,
    permits: Arc<Semaphore>,
    size: usize,
    /// What is left of the room that the last claim was offered.
    offered: Arc<AtomicUsize>,
    /// Whether a claim used up what it was offered, so that more may wait in the store; until a sweep does not.
    hungry: Arc<AtomicBool>,
    /// Wakes the claiming task when a channel that is hungry has room again.
    freed: Arc<Notify>,
}

/// Room for one send, given back when dropped.
pub(super) struct Room {
    outlet: Outlet,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(self.permit.take());
        let outlet = &self.outlet;
        // Half of it at least, so that a full channel costs the store one claim a batch rather than one a notice.
        if outlet.is_to_be_fed() {
            outlet.freed.notify_one();
        }
    }
}

impl Outlet {
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) const fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// The channel's send. Nothing of it runs before the first poll: a port may panic before it has made its future.
    pub(super) async fn send(&self, notice: &Notice) -> Result<Receipt, ChannelError> {
        self.channel.send(notice).await
    }

    fn new(channel: Arc<dyn Channel>, freed: &Arc<Notify>) -> Self {
        let size = channel.concurrency().clamp(1, Semaphore::MAX_PERMITS);
        Self {
            name: channel.name().to_owned(),
            timeout: channel.timeout().min(LONGEST_SEND),
            retry: channel.retry(),
            permits: Arc::new(Semaphore::new(size)),
            size,
            offered: Arc::new(AtomicUsize::new(size)),
            hungry: Arc::default(),
            freed: Arc::clone(freed),
            channel,
        }
    }

    /// The same channel with room of its own.
    fn for_endpoint(&self, endpoint: EndpointId) -> Self {
        Self {
            name: webhook::channel_of(endpoint),
            permits: Arc::new(Semaphore::new(self.size)),
            offered: Arc::new(AtomicUsize::new(self.size)),
            hungry: Arc::default(),
            ..self.clone()
        }
    }

    fn is_idle(&self) -> bool {
        self.permits.available_permits() == self.size
    }

    fn is_hungry(&self) -> bool {
        self.hungry.load(Ordering::Relaxed)
    }

    fn is_to_be_fed(&self) -> bool {
        self.is_hungry() && self.permits.available_permits() * 2 >= self.size
    }

    /// The room that a claim is offered.
    fn offer(&self) -> (String, usize) {
        let room = self.permits.available_permits();
        self.offered.store(room, Ordering::Relaxed);
        if room == 0 {
            self.hungry.store(true, Ordering::Relaxed);
        }
        (self.name.clone(), room)
    }

    pub(super) fn take_room(&self) -> Option<Room> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        if self.offered.fetch_sub(1, Ordering::Relaxed) <= 1 {
            self.hungry.store(true, Ordering::Relaxed);
        }
        Some(Room { outlet: self.clone(), permit: Some(permit) })
    }
}

/// The configured channels.
#[derive(Clone)]
pub struct Outlets {
    outlets: Vec<Outlet>,
    /// Of the webhooks' channel, what is sent to which endpoint; those that are idle are forgotten.
    endpoints: Arc<Mutex<HashMap<EndpointId, Outlet>>>,
    freed: Arc<Notify>,
}

impl Outlets {
    /// Outlets of channels; of two with one name the first counts.
    #[must_use]
    pub fn new(channels: Vec<Arc<dyn Channel>>) -> Self {
        let freed = Arc::new(Notify::new());
        let mut outlets: Vec<Outlet> = Vec::new();
        for channel in channels {
            let name = channel.name().to_owned();
            if outlets.iter().any(|outlet| outlet.name == name) {
                tracing::warn!(channel = name, "a second channel of this name is left out");
                continue;
            }
            outlets.push(Outlet::new(channel, &freed));
        }
        Self { outlets, endpoints: Arc::default(), freed }
    }

    /// Where a notice of a ledger's channel is sent.
    pub(super) fn get(&self, channel: &str) -> Option<Outlet> {
        let (name, endpoint) = webhook::split(channel);
        let outlet = self.outlets.iter().find(|outlet| outlet.name == name)?;
        Some(match endpoint {
            Some(endpoint) => self.busy_endpoints().entry(endpoint).or_insert_with(|| outlet.for_endpoint(endpoint)).clone(),
            None => outlet.clone(),
        })
    }

    /// Every channel, and every endpoint that is being sent to, and how many sends it has room for. To be offered to one claim, by the
    /// one task that claims.
    pub(super) fn rooms(&self) -> Vec<(String, usize)> {
        let mut endpoints = self.busy_endpoints();
        endpoints.retain(|_, outlet| !outlet.is_idle() || outlet.is_hungry());
        self.outlets.iter().chain(endpoints.values()).map(Outlet::offer).collect()
    }

    /// The same for a claim that takes whatever is due: who is left with room is not hungry any more.
    pub(super) fn rooms_of_sweep(&self) -> Vec<(String, usize)> {
        for outlet in self.outlets.iter().chain(self.busy_endpoints().values()) {
            outlet.hungry.store(false, Ordering::Relaxed);
        }
        self.rooms()
    }

    fn busy_endpoints(&self) -> MutexGuard<'_, HashMap<EndpointId, Outlet>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a notice's lease must be: no shorter than `usual`, and long enough for the slowest channel.
    pub(super) fn lease(&self, usual: Duration) -> Duration {
        let slowest = self.outlets.iter().map(|outlet| outlet.timeout).max().unwrap_or_default();
        usual.max(slowest.mul_f64(1.5))
    }

    /// Waits until a channel that is hungry has room.
    pub(super) async fn room_again(&self) {
        let waiting = !self.outlets.iter().chain(self.busy_endpoints().values()).any(Outlet::is_to_be_fed);
        if waiting {
            self.freed.notified().await;
        }
    }
}
