//! The worker: claims bookings, asks whether they can take place, stores the decision.
//!
//! One task a booking in flight; no thread is held while an answer is waited for.

mod attempt;
mod in_flight;
mod intake;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::in_flight::InFlight;
use crate::{
    ports::{Availability, Broker, Claimant, Clock, Conclusion, Ending, Store},
    relay::Relay,
    settings::Settings,
};

/// How long bookings in flight may go on after shutdown has begun.
pub const DRAIN: Duration = Duration::from_secs(8);

/// What a worker needs.
#[derive(Clone)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Worker {
    pub store: Arc<dyn Store>,
    pub broker: Arc<dyn Broker>,
    pub availability: Arc<dyn Availability>,
    pub clock: Arc<dyn Clock>,
    pub relay: Relay,
    pub settings: Arc<Settings>,
}

/// Decides bookings until shutdown; then gives what is in flight [`DRAIN`] and the rest back to the store.
pub async fn run(worker: Worker, shutdown: CancellationToken) {
    let room = worker.settings.concurrency.min(worker.availability.concurrency()).clamp(1, Semaphore::MAX_PERMITS);
    let desk = Arc::new(Desk {
        claimant: Claimant::new(worker.settings.worker.clone(), worker.settings.lease, worker.availability.reserves()),
        room: Arc::new(Semaphore::new(room)),
        in_flight: InFlight::default(),
        tasks: TaskTracker::new(),
        worker,
    });
    let abandon = CancellationToken::new();
    // Should this be dropped on the way, the bookings in flight are left as well.
    let _abandoned = abandon.clone().drop_guard();
    let working = async { tokio::join!(intake::consume(&desk, room, &shutdown, &abandon), intake::sweep(&desk, &shutdown, &abandon)) };
    // Counted from the shutdown: taking leave of a broker that hangs is part of it.
    let ((consumer, ()), drained) = tokio::join!(working, drain_from(&shutdown));
    desk.tasks.close();
    if timeout_at(drained, desk.tasks.wait()).await.is_err() {
        abandon.cancel();
        desk.tasks.wait().await;
        desk.give_back().await;
    }
    // Only now: what is dropped unacknowledged is redelivered, and by now it is free to be claimed.
    drop(consumer);
}

/// When what is in flight is given up, once shutdown has begun.
pub(crate) async fn drain_from(shutdown: &CancellationToken) -> Instant {
    shutdown.cancelled().await;
    Instant::now() + DRAIN
}

/// What the tasks of one worker share.
struct Desk {
    worker: Worker,
    claimant: Claimant,
    room: Arc<Semaphore>,
    in_flight: InFlight,
    tasks: TaskTracker,
}

impl Desk {
    /// Gives every lease back in one write. Should it fail, the leases run out by themselves.
    async fn give_back(&self) {
        let leases = self.in_flight.drain();
        let name = &self.claimant.worker;
        let lost: Vec<_> = leases.into_iter().map(|lease| Conclusion::new(lease, name.clone(), Ending::Lost)).collect();
        if lost.is_empty() {
            return;
        }
        match self.worker.store.conclude(&lost).await {
            Ok(_) => tracing::info!(bookings = lost.len(), "gave bookings in flight back"),
            Err(error) => {
                tracing::warn!(bookings = lost.len(), %error, "could not give bookings in flight back; their leases will run out")
            }
        }
    }
}
