//! Every message three times, some of them late: one effect each.

use std::time::Duration;

use clinic_tests::{
    cluster::Cluster,
    eventually::eventually,
    rabbit::{Amqp, Rabbit},
    size::figure,
};
use futures_util::StreamExt;
use lapin::{
    options::{BasicAckOptions, BasicConsumeOptions, QueueBindOptions, QueueDeleteOptions},
    types::FieldTable,
};
use rand::RngExt;
use tokio::task::JoinHandle;

use super::{SETTLES_WITHIN, bookings, number, settled, steady};

/// So many messages pass before a late copy.
const LATE_BY: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_message_comes_three_times_and_some_late() {
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).workers(2).notifiers(2).set("CLINIC_SIM_DELAY", "0ms..200ms").start().await;
    let work = stutter(&rabbit, &cluster, "clinic.bookings", "booking_queue", "booking_queue").await;
    let news = stutter(&rabbit, &cluster, "booking_notifications", "booking.*", "notification_queue").await;
    let tally = steady(&cluster, "thrice", bookings(), 100.0).await.unwrap();
    cluster.at_rest(SETTLES_WITHIN).await;
    let copies = (work.stop().await, news.stop().await);
    figure(&format!("every message three times: {} copies for workers, {} for notifiers", copies.0, copies.1));
    assert!(copies.0 >= 2 * bookings() && copies.1 >= 2 * bookings(), "{copies:?} copies of {} messages", bookings());
    // The state that a run without copies ends in: one attempt, one decision, one notice each, nothing lost or dead.
    let all = bookings() as i64;
    assert_eq!(number(&cluster, "SELECT count(*) FROM booking WHERE status = 'confirmed' AND attempts = 1"), all);
    assert_eq!(number(&cluster, "SELECT count(*) FROM timeline WHERE kind = 'attempt'"), all);
    assert_eq!(number(&cluster, "SELECT count(*) FROM timeline WHERE kind = 'attempt_lost'"), 0);
    assert_eq!(number(&cluster, "SELECT count(*) FROM notice WHERE state = 'sent' AND losses = 0 AND tries <= 1"), all);
    assert_eq!(number(&cluster, "SELECT count(*) FROM dead_letter"), 0);
    assert_eq!(cluster.observed().lines_so_far(), bookings(), "a notice went out twice");
    settled(cluster, "every message three times", tally, bookings()).await;
}

/// Publishes copies of what passes an exchange.
struct Stutter {
    tap: String,
    queue: String,
    amqp: Amqp,
    copying: JoinHandle<usize>,
}

async fn stutter(rabbit: &Rabbit, cluster: &Cluster, exchange: &str, key: &str, queue: &str) -> Stutter {
    let (amqp, publisher) = (rabbit.amqp().await, rabbit.amqp().await);
    let (tap, queue) = (cluster.name(&format!("tap.{queue}")), cluster.name(queue));
    amqp.declare(&tap).await;
    let exchange = cluster.name(exchange);
    let (bind, none) = (QueueBindOptions::default(), FieldTable::default);
    amqp.channel().queue_bind(tap.as_str().into(), exchange.into(), key.into(), bind, none()).await.unwrap();
    let consuming = amqp.channel().basic_consume(tap.as_str().into(), "tap".into(), BasicConsumeOptions::default(), none());
    let mut consumer = consuming.await.unwrap();
    let to = queue.clone();
    let copying = tokio::spawn(async move {
        let (mut seen, mut copies, mut late) = (0, 0, Vec::new());
        while let Some(Ok(delivery)) = consumer.next().await {
            seen += 1;
            for _ in 0..2 {
                let lateness = if rand::rng().random_bool(0.1) { rand::rng().random_range(1..LATE_BY) } else { 0 };
                late.push((seen + lateness, delivery.data.clone(), delivery.properties.clone()));
            }
            for (_, data, properties) in late.extract_if(.., |(at, ..)| *at <= seen) {
                publisher.publish("", &to, &data, properties).await;
                copies += 1;
            }
            delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
        for (_, data, properties) in late {
            publisher.publish("", &to, &data, properties).await;
            copies += 1;
        }
        copies
    });
    Stutter { tap, queue, amqp, copying }
}

impl Stutter {
    /// Copies what is left, waits until all of it was taken, and says how many copies there were.
    async fn stop(self) -> usize {
        let Self { tap, queue, amqp, copying } = self;
        let empty = |name: String| {
            let amqp = &amqp;
            async move { (amqp.depth(&name).await == Some(0)).then_some(()) }
        };
        eventually("all copied", Duration::from_secs(60), || empty(tap.clone())).await;
        // Ends the consumer.
        amqp.channel().queue_delete(tap.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        let copies = copying.await.unwrap();
        eventually("all copies taken", Duration::from_secs(60), || empty(queue.clone())).await;
        copies
    }
}
