use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    dead_letter::Poison,
    id::BookingId,
    ports::{Broker, BrokerError, Consumer, Delivery, Listener, PublishError},
    topology::{Publication, Queue},
};

/// A broker with faults, around any other: full, closed, forgetful, repetitive or slow, each switched on and off at any time.
/// Without faults it is the broker it wraps.
pub struct FaultyBroker {
    broker: Arc<dyn Broker>,
    full: AtomicBool,
    lose_every: AtomicU64,
    repeats: AtomicU32,
    delay: AtomicU64,
    /// Messages handed to [`Broker::publish`] while losing, the lost ones, and the refused ones.
    counted: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
    closed: watch::Sender<bool>,
}

impl FaultyBroker {
    /// Around a broker, without faults yet.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self {
            broker,
            full: AtomicBool::new(false),
            lose_every: AtomicU64::new(0),
            repeats: AtomicU32::new(0),
            delay: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            closed: watch::channel(false).0,
        }
    }

    /// Whether every queue is full: nothing is taken.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// Whether there is no connection: nothing is taken, consumers and listeners end, new ones are refused.
    pub fn set_closed(&self, closed: bool) {
        self.closed.send_replace(closed);
    }

    /// Confirms every n-th message and loses it; 1 loses all, 0 none.
    pub fn lose_every(&self, n: u64) {
        self.counted.store(0, Ordering::SeqCst);
        self.lose_every.store(n, Ordering::SeqCst);
    }

    /// Delivers each message so many times more than it was published.
    pub fn repeat(&self, times: u32) {
        self.repeats.store(times, Ordering::SeqCst);
    }

    /// How long publishing takes, cut to whole milliseconds.
    pub fn delay(&self, by: Duration) {
        self.delay.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Messages confirmed and lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }

    /// Messages refused by a fault so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    fn refuse(&self, count: usize, error: impl Fn() -> PublishError) -> Vec<Result<(), PublishError>> {
        self.refused.fetch_add(count as u64, Ordering::SeqCst);
        (0..count).map(|_| Err(error())).collect()
    }

    fn loses_this(&self) -> bool {
        let every = self.lose_every.load(Ordering::SeqCst);
        let lost = every > 0 && (self.counted.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(every);
        self.lost.fetch_add(lost.into(), Ordering::SeqCst);
        lost
    }
}

impl std::fmt::Debug for FaultyBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultyBroker").field("closed", &self.is_closed()).field("full", &self.full).finish_non_exhaustive()
    }
}

#[async_trait]
impl Broker for FaultyBroker {
    async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), PublishError>> {
        let delay = self.delay.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if self.is_closed() {
            return self.refuse(publications.len(), || PublishError::Unreachable);
        }
        if self.full.load(Ordering::SeqCst) {
            return self.refuse(publications.len(), || PublishError::Full);
        }
        let lost: Vec<bool> = publications.iter().map(|_| self.loses_this()).collect();
        let kept: Vec<_> = publications.iter().zip(&lost).filter(|(_, lost)| !**lost).map(|(publication, _)| *publication).collect();
        let mut answers = self.broker.publish(&kept).await.into_iter();
        for _ in 0..self.repeats.load(Ordering::SeqCst) {
            // Whether there was room for a repeat is nobody's business.
            let _ = self.broker.publish(&kept).await;
        }
        lost.into_iter().map(|lost| if lost { Ok(()) } else { answers.next().unwrap_or(Err(PublishError::Unreachable)) }).collect()
    }

    async fn consume(&self, queue: Queue, prefetch: usize) -> Result<Box<dyn Consumer>, BrokerError> {
        if self.is_closed() {
            return Err(closed());
        }
        let consumer = self.broker.consume(queue, prefetch).await?;
        Ok(Box::new(FaultySession { session: consumer, closed: self.closed.subscribe(), over: false }))
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, BrokerError> {
        if self.is_closed() {
            return Err(closed());
        }
        let listener = self.broker.listen().await?;
        Ok(Box::new(FaultySession { session: listener, closed: self.closed.subscribe(), over: false }))
    }

    fn health(&self) -> Result<(), BrokerError> {
        if self.is_closed() { Err(closed()) } else { self.broker.health() }
    }

    async fn depth(&self, queue: Queue) -> Option<u64> {
        if self.is_closed() { None } else { self.broker.depth(queue).await }
    }

    async fn poison(&self) -> Option<Vec<Poison>> {
        if self.is_closed() { None } else { self.broker.poison().await }
    }
}

fn closed() -> BrokerError {
    BrokerError::Unreachable("the broker is closed on purpose".into())
}

/// A consumer or listener that ends when the broker closes, and stays ended when it opens again.
struct FaultySession<S> {
    session: S,
    closed: watch::Receiver<bool>,
    over: bool,
}

/// What comes next, or the session's end when the broker closes first.
async fn while_open<T>(over: &mut bool, closed: &mut watch::Receiver<bool>, next: impl Future<Output = Option<T>>) -> Option<T> {
    if *over {
        return None;
    }
    tokio::select! {
        biased;
        _ = closed.wait_for(|closed| *closed) => {
            *over = true;
            None
        }
        next = next => next,
    }
}

#[async_trait]
impl Consumer for FaultySession<Box<dyn Consumer>> {
    async fn next(&mut self) -> Option<Delivery> {
        while_open(&mut self.over, &mut self.closed, self.session.next()).await
    }

    async fn cancel(&mut self) {
        self.session.cancel().await;
    }
}

#[async_trait]
impl Listener for FaultySession<Box<dyn Listener>> {
    async fn next(&mut self) -> Option<BookingId> {
        while_open(&mut self.over, &mut self.closed, self.session.next()).await
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::*;
    use crate::{broker::EmbeddedBroker, id::JobId, job::JobKind, message::Message, topology::Route};

    fn faulty() -> FaultyBroker {
        FaultyBroker::new(Arc::new(EmbeddedBroker::default()))
    }

    fn work(count: usize) -> Vec<Publication> {
        (0..count).map(|_| Publication::new(Message::new(JobId::generate(), JobKind::Decide, BookingId::generate()), Route::Work)).collect()
    }

    #[tokio::test]
    async fn every_second_message_is_confirmed_and_lost() {
        let broker = faulty();
        broker.lose_every(2);
        assert!(broker.publish(&work(5)).await.iter().chain(&broker.publish(&work(5)).await).all(Result::is_ok));
        assert_eq!((broker.lost(), broker.depth(Queue::Bookings).await), (5, Some(5)));
    }

    #[tokio::test]
    async fn full_and_closed_refuse_until_they_are_over() {
        let broker = faulty();
        broker.set_full(true);
        assert!(matches!(broker.publish(&work(1)).await[..], [Err(PublishError::Full)]));
        broker.set_full(false);
        broker.set_closed(true);
        assert!(matches!(broker.publish(&work(1)).await[..], [Err(PublishError::Unreachable)]));
        assert!(broker.health().is_err() && broker.consume(Queue::Bookings, 1).await.is_err() && broker.listen().await.is_err());
        broker.set_closed(false);
        assert!(broker.publish(&work(1)).await[0].is_ok() && broker.health().is_ok());
        assert_eq!(broker.refused(), 2);
    }

    #[tokio::test]
    async fn closing_ends_consumers_for_good_and_gives_their_messages_back() {
        let broker = faulty();
        broker.publish(&work(2)).await;
        let mut consumer = broker.consume(Queue::Bookings, 1).await.unwrap();
        let _in_hand = consumer.next().await.unwrap();
        broker.set_closed(true);
        assert!(consumer.next().await.is_none());
        broker.set_closed(false);
        assert!(consumer.next().await.is_none());
        drop(consumer);
        let mut heir = broker.consume(Queue::Bookings, 1).await.unwrap();
        assert!(heir.next().await.unwrap().redelivered);
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_and_delays_are_as_told() {
        let broker = faulty();
        broker.repeat(2);
        broker.delay(Duration::from_secs(3));
        let begun = tokio::time::Instant::now();
        assert_eq!(broker.publish(&work(4)).await.len(), 4);
        assert!(begun.elapsed() >= Duration::from_secs(3));
        assert_eq!(broker.depth(Queue::Bookings).await, Some(12));
    }
}
