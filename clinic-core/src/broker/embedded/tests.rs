use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::*;
use crate::{id::JobId, job::JobKind, message::Message, notification::EventKind};

const SOON: Duration = Duration::from_secs(10);

fn work() -> Publication {
    Publication::new(Message::new(JobId::generate(), JobKind::Decide, BookingId::generate()), Route::Work)
}

fn news() -> Publication {
    Publication::new(Message::new(JobId::generate(), JobKind::Tell, BookingId::generate()), Route::News(EventKind::Confirmed))
}

#[tokio::test]
async fn a_full_queue_says_so_and_takes_again_when_emptied() {
    let broker = EmbeddedBroker::new(2);
    let results = broker.publish(&[work(), work(), work(), news()]).await;
    assert!(matches!(results[..], [Ok(()), Ok(()), Err(PublishError::Full), Ok(())]));
    let mut consumer = broker.consume(Queue::Bookings, 1).await.unwrap();
    consumer.next().await.unwrap().ack();
    assert!(broker.publish(&[work()]).await[0].is_ok());
}

#[tokio::test]
async fn rejected_messages_are_counted_as_dead() {
    let broker = EmbeddedBroker::default();
    broker.publish(&[work(), work()]).await;
    let mut consumer = broker.consume(Queue::Bookings, 5).await.unwrap();
    consumer.next().await.unwrap().reject();
    consumer.next().await.unwrap().ack();
    drop(consumer);
    assert_eq!((broker.dead(Queue::Bookings), broker.depth(Queue::Bookings).await), (1, Some(0)));
}

#[tokio::test]
async fn a_message_that_takes_its_consumer_down_again_and_again_ends_among_the_dead() {
    let broker = EmbeddedBroker::default();
    broker.publish(&[work()]).await;
    for times in 0..=crate::topology::DELIVERY_LIMIT {
        let mut consumer = broker.consume(Queue::Bookings, 1).await.unwrap();
        assert_eq!(consumer.next().await.unwrap().redelivered, times > 0);
    }
    assert_eq!((broker.dead(Queue::Bookings), broker.depth(Queue::Bookings).await), (1, Some(0)));
}

#[tokio::test]
async fn what_comes_back_from_two_consumers_keeps_its_order() {
    let broker = EmbeddedBroker::default();
    let sent: Vec<_> = (0..20).map(|_| work()).collect();
    let (mut one, mut two) = (broker.consume(Queue::Bookings, 8).await.unwrap(), broker.consume(Queue::Bookings, 8).await.unwrap());
    broker.publish(&sent).await;
    for _ in 0..5 {
        one.next().await.unwrap();
        two.next().await.unwrap();
    }
    drop((two, one));
    let mut all = broker.consume(Queue::Bookings, 100).await.unwrap();
    for (at, publication) in sent.iter().enumerate() {
        let delivery = all.next().await.unwrap();
        assert_eq!(Message::parse(&delivery.body).unwrap(), publication.message);
        assert_eq!(delivery.redelivered, at < 10, "only what was in a consumer's hand counts as redelivered");
    }
}

#[tokio::test]
async fn closing_ends_everything_and_refuses_the_rest() {
    let broker = EmbeddedBroker::default();
    let mut consumer = broker.consume(Queue::Bookings, 5).await.unwrap();
    let mut listener = broker.listen().await.unwrap();
    let waiting = tokio::spawn(async move { (consumer.next().await.is_none(), listener.next().await.is_none()) });
    tokio::task::yield_now().await;
    broker.close();
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap(), (true, true));
    assert!(matches!(broker.publish(&[work(), news()]).await[..], [Err(PublishError::Unreachable), Err(PublishError::Unreachable)]));
    assert!(matches!(broker.consume(Queue::Bookings, 5).await, Err(BrokerError::Closed)));
    assert!(matches!(broker.listen().await, Err(BrokerError::Closed)));
    assert!(matches!(broker.health(), Err(BrokerError::Closed)));
}

#[tokio::test]
async fn dropping_the_broker_ends_its_consumers() {
    let broker = EmbeddedBroker::default();
    let mut consumer = broker.consume(Queue::Bookings, 5).await.unwrap();
    drop(broker);
    assert!(timeout(SOON, consumer.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_listener_that_lags_misses_news_and_goes_on() {
    let broker = EmbeddedBroker::default();
    let mut listener = broker.listen().await.unwrap();
    let many: Vec<_> = (0..NEWS + 100).map(|_| news()).collect();
    broker.publish(&many).await;
    let first = listener.next().await.unwrap();
    assert_ne!(first, many[0].message.booking);
    assert!(many.iter().any(|publication| publication.message.booking == first));
}

#[tokio::test]
async fn a_busy_consumer_lets_others_run() {
    let broker = EmbeddedBroker::default();
    broker.publish(&(0..10_000).map(|_| work()).collect::<Vec<_>>()).await;
    let mut consumer = broker.consume(Queue::Bookings, 10_000).await.unwrap();
    let stalled = (0..10_000).any(|_| consumer.next().now_or_never().is_none());
    assert!(stalled, "ten thousand deliveries in one go never gave the runtime a turn");
}
