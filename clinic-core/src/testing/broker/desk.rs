use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use crate::{
    id::{BookingId, JobId},
    job::JobKind,
    message::Message,
    notification::EventKind,
    ports::{Broker, Consumer, Delivery, Listener},
    topology::{Publication, Queue, Route},
};

/// By then something that was to come has come.
const SOON: Duration = Duration::from_secs(10);
/// What has not come by then will not: long enough for a broker on this machine, short enough to wait for.
pub(super) const NEVER: Duration = Duration::from_millis(300);

/// A broker under test, with a method for each step that panics when it is not taken.
pub(super) struct Desk {
    pub(super) broker: Arc<dyn Broker>,
}

pub(super) fn work() -> Publication {
    Publication::new(Message::new(JobId::generate(), JobKind::Decide, BookingId::generate()), Route::Work)
}

pub(super) fn news(kind: EventKind) -> Publication {
    Publication::new(Message::new(JobId::generate(), JobKind::Tell, BookingId::generate()), Route::News(kind))
}

pub(super) fn message(delivery: &Delivery) -> Message {
    Message::parse(&delivery.body).expect("a message comes out as it went in")
}

/// The next delivery; panics when none comes.
pub(super) async fn next(consumer: &mut Box<dyn Consumer>) -> Delivery {
    let begun = Instant::now();
    match timeout(SOON, consumer.next()).await {
        // The end of the time-out polls once more, and would find what nobody was woken for.
        Ok(Some(delivery)) if begun.elapsed() < SOON => delivery,
        Ok(Some(_)) => panic!("a message was there, but nobody woke its consumer"),
        Ok(None) => panic!("the consumer's session ended though nobody ended it"),
        Err(_) => panic!("a message that is there was not delivered within {SOON:?}"),
    }
}

/// Panics when a delivery comes.
pub(super) async fn nothing(consumer: &mut Box<dyn Consumer>, why: &str) {
    if let Ok(delivery) = timeout(NEVER, consumer.next()).await {
        panic!("{why}, yet this came: {delivery:?}");
    }
}

impl Desk {
    pub(super) fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker }
    }

    pub(super) async fn published(&self, publications: &[Publication]) {
        let results = timeout(SOON, self.broker.publish(publications)).await.expect("publishing returns within seconds");
        assert_eq!(results.len(), publications.len(), "publishing answers once for each message");
        for result in results {
            result.unwrap_or_else(|error| panic!("a healthy broker takes messages: {error}"));
        }
    }

    /// Publishes so many fresh work messages.
    pub(super) async fn work(&self, count: usize) -> Vec<Message> {
        let publications: Vec<_> = (0..count).map(|_| work()).collect();
        self.published(&publications).await;
        publications.into_iter().map(|publication| publication.message).collect()
    }

    pub(super) async fn consumer(&self, queue: Queue, prefetch: usize) -> Box<dyn Consumer> {
        match timeout(SOON, self.broker.consume(queue, prefetch)).await {
            Ok(Ok(consumer)) => consumer,
            Ok(Err(error)) => panic!("a healthy broker lets consume: {error}"),
            Err(_) => panic!("starting to consume took longer than {SOON:?}"),
        }
    }

    pub(super) async fn worker(&self, prefetch: usize) -> Box<dyn Consumer> {
        self.consumer(Queue::Bookings, prefetch).await
    }

    pub(super) async fn listener(&self) -> Box<dyn Listener> {
        match timeout(SOON, self.broker.listen()).await {
            Ok(Ok(listener)) => listener,
            Ok(Err(error)) => panic!("a healthy broker lets listen: {error}"),
            Err(_) => panic!("starting to listen took longer than {SOON:?}"),
        }
    }
}
