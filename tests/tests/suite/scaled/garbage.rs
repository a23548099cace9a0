//! Garbage in the queues: parked with a reason or ignored, and in nobody's way.

use std::time::{Duration, Instant};

use clinic_tests::{
    cluster::Cluster,
    eventually::eventually,
    rabbit::{Amqp, Parked, Rabbit},
    size::figure,
};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, LongString},
};
use uuid::Uuid;

use super::{SETTLES_WITHIN, bookings, longest_wait, number, settled, steady};

const RATE: f64 = 100.0;
/// At a fixed rate without any delay of the simulation, whoever is decided later than this was held up.
const LATE: Duration = Duration::from_secs(5);

/// What is put into a queue, and whether it is poison.
struct Rubbish {
    what: &'static str,
    body: Vec<u8>,
    properties: BasicProperties,
    is_poison: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn garbage_is_parked_or_ignored_and_holds_up_nobody() {
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).workers(2).start().await;
    let amqp = rabbit.amqp().await;
    let decided = cluster.http().book(&clinic_tests::load::slot_of_its_own("first", 0)).await.expect(202).id();
    cluster.http().decided(decided).await;

    let driving = steady(&cluster, "clean", bookings(), RATE);
    let began = Instant::now();
    // One piece for a hundred messages, of which each booking has one in either queue.
    let pieces = bookings() / 100;
    let mut poison = 0;
    for piece in 0..pieces {
        super::accepted(&cluster, 1 + bookings() * piece / pieces).await;
        for queue in ["booking_queue", "notification_queue"] {
            let rubbish = rubbish(piece, decided);
            amqp.publish("", &cluster.name(queue), &rubbish.body, rubbish.properties).await;
            assert!(!rubbish.what.is_empty());
            poison += usize::from(rubbish.is_poison && queue == "booking_queue");
        }
    }
    let tally = driving.await.unwrap();
    let took = began.elapsed();
    cluster.at_rest(SETTLES_WITHIN).await;
    let late = longest_wait(&cluster, "clean");
    let parked = [parked(&amqp, &cluster, "booking_queue", poison).await, parked(&amqp, &cluster, "notification_queue", poison).await];
    figure(&format!(
        "garbage: {pieces} pieces a queue, {poison} parked in each; {} bookings in {took:?}, the slowest {late:?}",
        bookings()
    ));
    assert!(late < LATE, "a booking was decided after {late:?}");
    for (queue, parked) in ["booking_queue", "notification_queue"].into_iter().zip(parked) {
        for letter in parked {
            assert_eq!(letter.reason.as_deref(), Some("rejected"), "{letter:?}");
            assert_eq!(letter.queue, Some(cluster.name(queue)), "where it truly died, whatever its headers said");
        }
        assert_eq!(amqp.depth(&cluster.name(queue)).await, Some(0));
    }
    // What was decided before is as it was.
    assert_eq!(number(&cluster, "SELECT count(*) FROM timeline WHERE kind = 'attempt'"), bookings() as i64 + 1);
    let mut tally = tally;
    tally.accepted += 1;
    settled(cluster, "garbage", tally, bookings() + 1).await;
}

/// Everything poisonous arrives on the dead queue, and nothing else.
async fn parked(amqp: &Amqp, cluster: &Cluster, queue: &str, poison: usize) -> Vec<Parked> {
    let dead = cluster.name(&format!("{queue}.dead"));
    let mut all = Vec::new();
    eventually("poison on the dead queue", Duration::from_secs(30), || {
        let depth = amqp.depth(&dead);
        async { depth.await.filter(|depth| *depth >= poison as u64) }
    })
    .await;
    all.extend(amqp.take(&dead).await);
    assert_eq!(all.len(), poison, "{queue}");
    all
}

fn rubbish(piece: usize, decided: Uuid) -> Rubbish {
    let message =
        |version: u32, job: Uuid, booking: Uuid| format!(r#"{{"v":{version},"job":"{job}","kind":"decide","booking":"{booking}"}}"#);
    let (unknown, plain) = (Uuid::now_v7(), BasicProperties::default());
    let (what, body, properties, is_poison) = match piece % 6 {
        0 => ("not JSON", b"\xff\xfenot json {".to_vec(), plain, true),
        1 => ("an unknown version", message(99, unknown, unknown).into_bytes(), plain, true),
        2 => ("unknown ids", message(1, unknown, unknown).into_bytes(), plain, false),
        3 => ("decided long ago", message(1, unknown, decided).into_bytes(), plain, false),
        4 => ("a mebibyte", vec![b'x'; 1 << 20], plain, true),
        _ => ("spoofed headers", b"{}".to_vec(), spoofed(), true),
    };
    Rubbish { what, body, properties, is_poison }
}

/// Headers that only a broker should write.
fn spoofed() -> BasicProperties {
    let text = |text: &str| AMQPValue::LongString(LongString::from(text));
    let mut headers = FieldTable::default();
    headers.insert("x-death".into(), text("never"));
    headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(19));
    headers.insert("x-first-death-queue".into(), text("elsewhere"));
    headers.insert("traceparent".into(), text("00-zz-zz-zz"));
    BasicProperties::default().with_headers(headers).with_message_id("not-an-id".into()).with_content_type("text/html".into())
}
