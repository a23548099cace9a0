//! Outlets: the configured channels, each with its own room, so that a slow one delays no other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::{
    notification::Notice,
    ports::{Channel, ChannelError, Receipt},
    retry::RetryPolicy,
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
    /// Whether it had no room left when notices were last claimed.
    was_full: Arc<AtomicBool>,
    /// Wakes the claiming task when a channel that was full has room again.
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
        if outlet.was_full.load(Ordering::Relaxed) && outlet.permits.available_permits() * 2 >= outlet.size {
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

    pub(super) fn take_room(&self) -> Option<Room> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(Room { outlet: self.clone(), permit: Some(permit) })
    }
}

/// The configured channels.
#[derive(Clone)]
pub struct Outlets {
    outlets: Vec<Outlet>,
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
            let size = channel.concurrency().clamp(1, Semaphore::MAX_PERMITS);
            outlets.push(Outlet {
                timeout: channel.timeout().min(LONGEST_SEND),
                retry: channel.retry(),
                name,
                permits: Arc::new(Semaphore::new(size)),
                size,
                was_full: Arc::default(),
                freed: Arc::clone(&freed),
                channel,
            });
        }
        Self { outlets, freed }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Outlet> {
        self.outlets.iter().find(|outlet| outlet.name == name)
    }

    /// Every channel and how many sends it has room for.
    pub(super) fn rooms(&self) -> Vec<(String, usize)> {
        let room = |outlet: &Outlet| {
            outlet.was_full.store(false, Ordering::Relaxed);
            (outlet.name.clone(), outlet.permits.available_permits())
        };
        self.outlets.iter().map(room).collect()
    }

    /// How long a notice's lease must be: no shorter than `usual`, and long enough for the slowest channel.
    pub(super) fn lease(&self, usual: Duration) -> Duration {
        let slowest = self.outlets.iter().map(|outlet| outlet.timeout).max().unwrap_or_default();
        usual.max(slowest.mul_f64(1.5))
    }

    /// Waits until a channel that had no room left has some.
    pub(super) async fn room_again(&self) {
        for outlet in self.outlets.iter().filter(|outlet| outlet.permits.available_permits() == 0) {
            outlet.was_full.store(true, Ordering::Relaxed);
        }
        self.freed.notified().await;
    }
}
