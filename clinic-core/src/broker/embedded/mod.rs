//! The in-process broker: the same topology, nothing durable. The store is the truth; what is lost here, the sweep finds.

mod consumer;
mod queue;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    task::coop,
};

use self::{consumer::EmbeddedConsumer, queue::QueueState};
use crate::{
    id::BookingId,
    ports::{Broker, BrokerError, Consumer, Listener, PublishError},
    topology::{Publication, Queue, Route},
};

/// News that a listener may lag behind before it misses some.
const NEWS: usize = 4096;

/// A broker inside the process: bounded queues, prefetch, acknowledgement, redelivery, fair spreading over consumers.
///
/// Messages live in memory and end with the value: dropping it closes it.
#[derive(Debug)]
pub struct EmbeddedBroker {
    bookings: Arc<QueueState>,
    notifications: Arc<QueueState>,
    /// `None` once closed.
    news: Mutex<Option<broadcast::Sender<BookingId>>>,
}

impl EmbeddedBroker {
    /// Messages that may wait in a queue when nothing else is said.
    pub const CAPACITY: usize = 100_000;

    /// A broker whose queues hold at most `capacity` waiting messages each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            bookings: Arc::new(QueueState::new(capacity)),
            notifications: Arc::new(QueueState::new(capacity)),
            news: Mutex::new(Some(broadcast::channel(NEWS).0)),
        }
    }

    /// Closes it for good: publishing is refused, consumers and listeners end.
    pub fn close(&self) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).take();
        for queue in Queue::ALL {
            self.queue(queue).close();
        }
    }

    /// Messages in a queue's `.dead` twin: rejected, or returned more often than the delivery limit allows.
    #[must_use]
    pub fn dead(&self, queue: Queue) -> u64 {
        self.queue(queue).dead()
    }

    const fn queue(&self, queue: Queue) -> &Arc<QueueState> {
        match queue {
            Queue::Bookings => &self.bookings,
            Queue::Notifications => &self.notifications,
        }
    }

    fn tell_listeners(&self, publications: &[Publication]) {
        if let Some(news) = &*self.news.lock().unwrap_or_else(PoisonError::into_inner) {
            for publication in publications {
                if matches!(publication.route, Route::News(_)) {
                    // Nobody listening is no error.
                    let _ = news.send(publication.message.booking);
                }
            }
        }
    }
}

impl Default for EmbeddedBroker {
    fn default() -> Self {
        Self::new(Self::CAPACITY)
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), PublishError>> {
        // Nothing here ever waits, so a busy publisher would never let others run.
        coop::consume_budget().await;
        let mut results = Vec::with_capacity(publications.len());
        for run in publications.chunk_by(|a, b| a.route.queue() == b.route.queue()) {
            self.queue(run[0].route.queue()).publish(run, &mut results);
        }
        self.tell_listeners(publications);
        results
    }

    async fn consume(&self, queue: Queue, prefetch: usize) -> Result<Box<dyn Consumer>, BrokerError> {
        let consumer = EmbeddedConsumer::new(self.queue(queue).clone(), prefetch).ok_or(BrokerError::Closed)?;
        Ok(Box::new(consumer))
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, BrokerError> {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let news = news.as_ref().ok_or(BrokerError::Closed)?.subscribe();
        Ok(Box::new(EmbeddedListener { news }))
    }

    fn health(&self) -> Result<(), BrokerError> {
        if self.news.lock().unwrap_or_else(PoisonError::into_inner).is_some() { Ok(()) } else { Err(BrokerError::Closed) }
    }

    async fn depth(&self, queue: Queue) -> Option<u64> {
        Some(self.queue(queue).depth())
    }
}

struct EmbeddedListener {
    news: broadcast::Receiver<BookingId>,
}

#[async_trait]
impl Listener for EmbeddedListener {
    async fn next(&mut self) -> Option<BookingId> {
        loop {
            match self.news.recv().await {
                Ok(booking) => return Some(booking),
                // What was missed is gone: news are a hint.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests;
