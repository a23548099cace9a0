//! Every message three times, some of them late and out of their order: one effect each.

use std::time::Duration;

use clinic_tests::{cluster::Cluster, eventually::eventually, rabbit::Rabbit, size::figure};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, QueueDeleteOptions},
    types::FieldTable,
};
use rand::{RngExt, seq::SliceRandom};
use tokio::{task::JoinHandle, time::timeout};

use super::{
    SETTLES_WITHIN, bookings, cancel_every,
    detour::{Detour, NEWS, WORK, Way, detour},
    settled, steady,
};
use crate::count;

/// So many messages pass before a late one.
const LATE_BY: usize = 40;
/// What is late comes at last when nothing else has come for so long.
const QUIET: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_message_comes_three_times_and_some_late() {
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).workers(2).notifiers(2).set("CLINIC_SIM_DELAY", "0ms..200ms").start().await;
    let (work, news) = (stutter(&rabbit, &cluster, &WORK).await, stutter(&rabbit, &cluster, &NEWS).await);
    let driving = steady(&cluster, "thrice", bookings(), 100.0);
    // What tells of a cancellation must not overtake what tells of the confirmation.
    let cancelled = cancel_every(&cluster, 10, bookings()).await as i64;
    let tally = driving.await.unwrap();
    cluster.at_rest(SETTLES_WITHIN).await;
    let (work, news) = (work.stop().await, news.stop().await);
    figure(&format!("every message three times: for workers {work:?}, for notifiers {news:?}; {cancelled} cancelled"));
    for sent in [&work, &news] {
        assert!(sent.messages >= bookings() && sent.copies == 3 * sent.messages, "{sent:?} of {} bookings", bookings());
        assert!(sent.late >= sent.messages / 20, "{sent:?}");
    }
    // The state that a run without copies ends in: one attempt, one decision, one notice each, nothing lost or dead.
    let (all, setup) = (bookings() as i64, cluster.setup());
    assert_eq!(count(setup, "booking WHERE status = 'confirmed' AND attempts = 1"), all - cancelled);
    assert_eq!(count(setup, "booking WHERE status = 'cancelled' AND attempts = 1"), cancelled);
    assert_eq!(count(setup, "timeline WHERE kind = 'attempt'"), all);
    assert_eq!(count(setup, "timeline WHERE kind = 'attempt_lost'"), 0);
    assert_eq!(count(setup, "notice WHERE losses = 0 AND tries <= 1"), all + cancelled);
    assert_eq!(count(setup, "dead_letter"), 0);
    let sent = count(setup, "notice WHERE state = 'sent'");
    assert_eq!(cluster.observed().lines_so_far() as i64, sent, "a notice went out twice");
    settled(cluster, "every message three times", tally, bookings()).await;
}

/// All that goes one way, three times.
struct Stutter {
    detour: Detour,
    copying: JoinHandle<Sent>,
}

#[derive(Debug, Default)]
struct Sent {
    messages: usize,
    copies: usize,
    /// Messages of which no copy came in its order.
    late: usize,
}

/// A copy, and after how many messages it is due.
type Copy = (usize, Vec<u8>, BasicProperties);

async fn stutter(rabbit: &Rabbit, cluster: &Cluster, way: &Way) -> Stutter {
    let detour = detour(rabbit, cluster, way).await;
    let consuming = detour.amqp.channel().basic_consume(
        detour.tap.as_str().into(),
        "tap".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let consumer = consuming.await.unwrap();
    let copying = tokio::spawn(copy(consumer, rabbit.amqp().await, detour.queue.clone()));
    Stutter { detour, copying }
}

async fn copy(mut consumer: Consumer, publisher: clinic_tests::rabbit::Amqp, queue: String) -> Sent {
    let (mut sent, mut waiting) = (Sent::default(), Vec::<Copy>::new());
    loop {
        let next = timeout(QUIET, consumer.next()).await;
        if let Ok(Some(Ok(delivery))) = &next {
            sent.messages += 1;
            let lateness = lateness();
            sent.late += usize::from(lateness.iter().all(|late| *late > 0));
            waiting.extend(lateness.map(|late| (sent.messages + late, delivery.data.clone(), delivery.properties.clone())));
            delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
        let is_quiet = !matches!(next, Ok(Some(Ok(_))));
        let mut due: Vec<_> = waiting.extract_if(.., |(at, ..)| is_quiet || *at <= sent.messages).collect();
        due.shuffle(&mut rand::rng());
        for (_, data, properties) in due {
            publisher.publish("", &queue, &data, properties).await;
            sent.copies += 1;
        }
        if !matches!(next, Err(_) | Ok(Some(Ok(_)))) {
            return sent;
        }
    }
}

/// Of ten messages one comes late altogether; of the others a copy may.
fn lateness() -> [usize; 3] {
    let mut rng = rand::rng();
    let share = if rng.random_bool(0.1) { 1.0 } else { 0.1 };
    [(); 3].map(|()| if rng.random_bool(share) { rng.random_range(1..LATE_BY) } else { 0 })
}

impl Stutter {
    /// Copies what is left, waits until all of it was taken, and says how much there was.
    async fn stop(self) -> Sent {
        let Self { detour: Detour { amqp, tap, queue }, copying } = self;
        let empty = |name: String| {
            let amqp = &amqp;
            async move { (amqp.depth(&name).await == Some(0)).then_some(()) }
        };
        eventually("all copied", Duration::from_secs(60), || empty(tap.clone())).await;
        // Ends the consumer.
        amqp.channel().queue_delete(tap.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        let sent = copying.await.unwrap();
        eventually("all copies taken", Duration::from_secs(60), || empty(queue.clone())).await;
        sent
    }
}
