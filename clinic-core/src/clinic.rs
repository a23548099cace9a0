//! The clinic: everything assembled in one process. The only room that names adapters.

mod adapters;
mod builder;
mod roles;

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

pub use self::{
    builder::{Builder, StartError},
    roles::Roles,
};
use crate::{
    api::BookRequest,
    booking::Booking,
    id::BookingId,
    ports::{Broker, Record, Store, StoreError},
    reception::{BookError, CancelError, Reception},
};

/// The most that a shutdown may take.
const LONGEST_SHUTDOWN: Duration = Duration::from_millis(9_500);

/// A running clinic: reception, relay and sweep in this process, with worker and notifier as its [`Roles`] say.
///
/// Dropping it aborts safely: what was in flight is found again by the next start. [`shutdown`](Self::shutdown) drains first.
pub struct Clinic {
    reception: Reception,
    store: Arc<dyn Store>,
    /// Where it is the clinic's own.
    broker: Option<Arc<dyn Broker>>,
    /// Ends the worker and the notifier first, what they publish through last.
    intake: CancellationToken,
    relay: CancellationToken,
    consumers: Vec<JoinHandle<()>>,
    carriers: Vec<JoinHandle<()>>,
}

/// A task of the clinic ended other than asked.
#[derive(Debug, Error)]
#[error("a part of the clinic panicked; its work is safe in the store, look at the log")]
pub struct ShutdownError(#[source] tokio::task::JoinError);

impl Clinic {
    /// Starts to assemble one.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The reception: what an HTTP router or other code of yours calls. Cheap to clone.
    #[must_use]
    pub fn handle(&self) -> Reception {
        self.reception.clone()
    }

    /// Accepts a request: committed and synced when it returns, still pending.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn book(&self, request: &BookRequest) -> Result<Booking, BookError> {
        self.reception.book(request).await
    }

    /// A booking once it is decided or cancelled, or as it stands after `at_most`; `None` when there is no such booking.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wait_until_decided(&self, id: BookingId, at_most: Duration) -> Result<Option<Record>, StoreError> {
        self.reception.find_decided(id, at_most).await
    }

    /// Cancels a booking.
    ///
    /// # Errors
    /// [`CancelError`].
    pub async fn cancel(&self, id: BookingId) -> Result<Booking, CancelError> {
        self.reception.cancel(id).await
    }

    /// Stops: takes no more work, gives what is in flight 8 s, hands the rest back to the store, closes it. Within 10 s,
    /// whatever hangs: what is cut off then is found again by the next start.
    ///
    /// # Errors
    /// [`ShutdownError`] when a part had panicked.
    pub async fn shutdown(mut self) -> Result<(), ShutdownError> {
        let draining = async {
            self.intake.cancel();
            let consumed = join(&mut self.consumers).await;
            self.relay.cancel();
            let carried = join(&mut self.carriers).await;
            if let Some(broker) = &self.broker {
                broker.close().await;
            }
            self.store.close().await;
            consumed.and(carried)
        };
        timeout(LONGEST_SHUTDOWN, draining).await.unwrap_or_else(|_| {
            tracing::warn!("shutdown takes too long; the rest is cut off");
            Ok(())
        })
    }
}

impl Drop for Clinic {
    fn drop(&mut self) {
        self.intake.cancel();
        self.relay.cancel();
        for task in self.consumers.iter().chain(&self.carriers) {
            task.abort();
        }
    }
}

impl std::fmt::Debug for Clinic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clinic").finish_non_exhaustive()
    }
}

async fn join(tasks: &mut Vec<JoinHandle<()>>) -> Result<(), ShutdownError> {
    let mut result = Ok(());
    while let Some(task) = tasks.last_mut() {
        // Taken out only when it has ended, so that a shutdown cut off here still aborts it.
        result = result.and(task.await.map_err(ShutdownError));
        tasks.pop();
    }
    result
}
