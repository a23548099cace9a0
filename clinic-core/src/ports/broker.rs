use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use super::Source;
use crate::{
    dead_letter::Poison,
    id::BookingId,
    topology::{Publication, Queue},
};

/// Why the broker did not take a message. The job stays in the store, due at once: nothing is lost.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The queue is full.
    #[error("the queue is full; the sweep will pick the job up")]
    Full,
    /// There is no connection, or it was lost before the broker confirmed.
    #[error("the broker cannot be reached; the sweep will pick the job up")]
    Unreachable,
}

/// Why the broker cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// There is no connection.
    #[error("the broker cannot be reached; it is tried again")]
    Unreachable(#[source] Source),
    /// It is there and takes no messages: it is short of memory or disk space.
    #[error("the broker takes no messages now: it is short of memory or disk space, or told to be")]
    Blocked,
    /// It was closed by us.
    #[error("the broker was closed")]
    Closed,
}

/// Carries the news that a job is there. Losing it costs latency, never a booking.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Publishes messages; one result each, `Ok` when the broker has confirmed it. Returns within seconds also when it is blocked.
    async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), PublishError>>;

    /// Starts to consume a queue with at most `prefetch` unacknowledged deliveries.
    ///
    /// # Errors
    /// [`BrokerError`] when there is no connection now; callers try again.
    async fn consume(&self, queue: Queue, prefetch: usize) -> Result<Box<dyn Consumer>, BrokerError>;

    /// Listens to the news of all decisions. A hint: news may be missed.
    ///
    /// # Errors
    /// [`BrokerError`] when there is no connection now; callers try again.
    async fn listen(&self) -> Result<Box<dyn Listener>, BrokerError>;

    /// Whether messages can be published now.
    ///
    /// # Errors
    /// What is wrong.
    fn health(&self) -> Result<(), BrokerError>;

    /// Messages waiting in a queue, if known.
    async fn depth(&self, queue: Queue) -> Option<u64>;

    /// What lies in the `.dead` queues, in no order, at most [`Poison::SHOWN`] of each, the oldest; `None` when that cannot be told within seconds.
    /// Looking takes nothing away, however often; what somebody else looks at meanwhile may be missing. An adapter that keeps no poison
    /// has none to show.
    async fn poison(&self) -> Option<Vec<Poison>> {
        Some(Vec::new())
    }

    /// Takes leave of it, within a second: consumers and listeners end, publishing is refused. Does nothing unless an adapter says so.
    async fn close(&self) {}
}

/// A consumer of one queue. Dropping it gives unacknowledged deliveries back, marked as redelivered.
#[async_trait]
pub trait Consumer: Send {
    /// The next delivery; `None` when the session is over: consume again. Cancelling the wait loses nothing.
    async fn next(&mut self) -> Option<Delivery>;

    /// Takes no more deliveries; those in hand may still be acknowledged.
    async fn cancel(&mut self);
}

/// A listener to decisions.
#[async_trait]
pub trait Listener: Send {
    /// The next booking there is news of; `None` when the session is over: listen again.
    async fn next(&mut self) -> Option<BookingId>;
}

/// A message handed to a consumer. Dropped without a word it stays unacknowledged until the consumer goes.
pub struct Delivery {
    /// The message's bytes.
    pub body: Bytes,
    /// Whether it was handed out before: its former holder's channel is gone.
    pub redelivered: bool,
    acker: Box<dyn Acker>,
}

impl Delivery {
    /// A delivery, as broker adapters make them.
    #[must_use]
    pub fn new(body: Bytes, redelivered: bool, acker: Box<dyn Acker>) -> Self {
        Self { body, redelivered, acker }
    }

    /// Done: the broker forgets it. Never waits.
    pub fn ack(self) {
        self.acker.ack();
    }

    /// Poison: to the `.dead` queue. Never waits.
    pub fn reject(self) {
        self.acker.reject();
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("bytes", &self.body.len()).field("redelivered", &self.redelivered).finish_non_exhaustive()
    }
}

/// The adapter's half of a [`Delivery`].
pub trait Acker: Send + Sync {
    /// Acknowledge.
    fn ack(self: Box<Self>);
    /// Dead-letter.
    fn reject(self: Box<Self>);
}
