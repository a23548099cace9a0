//! Garbage in the queues: parked with a reason or ignored, and in nobody's way.

use std::time::{Duration, Instant};

use clinic_tests::{
    checker::Expected,
    cluster::Cluster,
    eventually::eventually,
    rabbit::{Amqp, Parked, Rabbit},
    size::figure,
};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, LongString},
};
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::{
    SETTLES_WITHIN, bookings,
    detour::{Detour, NEWS, WORK, detour},
    longest_silence, longest_wait, settled, steady,
};
use crate::{count, day, slot_of_its_own, visit};

const RATE: f64 = 100.0;
/// At a fixed rate without any delay of the simulation, whoever is answered, decided or told later than this was held up.
const LATE: Duration = Duration::from_secs(5);

/// What is put into a queue, and whether it is poison.
struct Rubbish {
    body: Vec<u8>,
    properties: BasicProperties,
    is_poison: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn garbage_is_parked_or_ignored_and_holds_up_nobody() {
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).workers(2).start().await;
    let amqp = rabbit.amqp().await;
    let decided = cluster.http().book(&slot_of_its_own("first", 0)).await.expect(202).id();
    cluster.at_rest(SETTLES_WITHIN).await;
    let settled_jobs = [
        ("booking_queue", message(1, "decide", settled_job(&cluster, "booking", "id", decided), decided)),
        ("notification_queue", message(1, "tell", settled_job(&cluster, "notice", "booking", decided), decided)),
    ];

    let driving = steady(&cluster, "clean", bookings(), RATE);
    let began = Instant::now();
    // One piece for a hundred messages, of which each booking has one in either queue.
    let pieces = bookings() / 100;
    let mut poison = 0;
    for piece in 0..pieces {
        super::accepted(&cluster, 1 + bookings() * piece / pieces).await;
        for (queue, settled_job) in &settled_jobs {
            let rubbish = rubbish(piece, settled_job);
            amqp.publish("", &cluster.name(queue), &rubbish.body, rubbish.properties).await;
            poison += usize::from(rubbish.is_poison && *queue == "booking_queue");
        }
    }
    let tally = driving.await.unwrap();
    let took = began.elapsed();
    cluster.at_rest(SETTLES_WITHIN).await;
    let (late, silent) = (longest_wait(&cluster, "clean"), longest_silence(&cluster, "clean"));
    let parked = [parked(&amqp, &cluster, "booking_queue", poison).await, parked(&amqp, &cluster, "notification_queue", poison).await];
    figure(&format!(
        "garbage: {pieces} pieces a queue, {poison} parked in each; {} bookings in {took:?}, the slowest accepted within {:?}, \
         decided within {late:?} and told within {silent:?}",
        bookings(),
        tally.slowest
    ));
    assert!(
        tally.slowest < LATE && late < LATE && silent < LATE,
        "accepted, decided, told after {:?}, {late:?}, {silent:?}",
        tally.slowest
    );
    for (queue, parked) in ["booking_queue", "notification_queue"].into_iter().zip(parked) {
        for letter in parked {
            assert_eq!(letter.reason.as_deref(), Some("rejected"), "{letter:?}");
            assert_eq!(letter.queue, Some(cluster.name(queue)), "where it truly died, whatever its headers said");
        }
        let queue = cluster.name(queue);
        eventually("an empty queue", Duration::from_secs(30), || async { (amqp.depth(&queue).await == Some(0)).then_some(()) }).await;
    }
    // What was decided before is as it was.
    assert_eq!(count(cluster.setup(), "timeline WHERE kind = 'attempt'"), bookings() as i64 + 1);
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

fn rubbish(piece: usize, settled_job: &[u8]) -> Rubbish {
    let (unknown, plain) = (Uuid::now_v7(), BasicProperties::default());
    let (body, properties, is_poison) = match piece % 7 {
        0 => (b"\xff\xfenot json {".to_vec(), plain, true),
        1 => (message(99, "decide", unknown, unknown), plain, true),
        2 => (message(1, "decide", unknown, unknown), plain, false),
        3 => (settled_job.to_vec(), plain, false),
        4 => (vec![b'x'; 1 << 20], plain, true),
        5 => (b"{}".to_vec(), spoofed(), true),
        _ => (settled_job.to_vec(), spoofed(), false),
    };
    Rubbish { body, properties, is_poison }
}

fn message(version: u32, kind: &str, job: Uuid, booking: Uuid) -> Vec<u8> {
    format!(r#"{{"v":{version},"job":"{job}","kind":"{kind}","booking":"{booking}"}}"#).into_bytes()
}

/// The job that decided a booking (`booking`, by its `id`) or told of it (`notice`, by its `booking`); it is gone.
fn settled_job(cluster: &Cluster, table: &str, by: &str, booking: Uuid) -> Uuid {
    let store = Connection::open_with_flags(cluster.setup().store(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    store.busy_timeout(Duration::from_secs(5)).unwrap();
    let sql = format!("SELECT job FROM {table} WHERE {by} = ?1");
    let job = Uuid::from_bytes(store.query_row(&sql, [booking.as_bytes()], |row| row.get(0)).unwrap());
    assert_eq!(count(cluster.setup(), "job"), 0, "the job is not settled");
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_true_message_counts_whatever_its_headers_say() {
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).start().await;
    let (work, news) = (detour(&rabbit, &cluster, &WORK).await, detour(&rabbit, &cluster, &NEWS).await);
    let booking = cluster.http().book(&visit("PAC-spoofed", "DOC-spoofed", day(30))).await.expect(202).id();
    spoof(&work).await;
    cluster.http().decided(booking).await;
    spoof(&news).await;
    cluster.at_rest(SETTLES_WITHIN).await;
    // Neither was found by the sweep instead.
    for metric in ["clinic_claims_total", "clinic_notice_claims_total"] {
        let by = (cluster.metric(metric, "broker").await, cluster.metric(metric, "sweep").await);
        assert_eq!(by, (1.0, 0.0), "{metric} by the broker, by the sweep");
    }
    assert_eq!(cluster.observed().lines_so_far(), 1);
    cluster.finish(&Expected::finished().kills_only()).assert_clean();
}

/// Lets the one message pass, with other headers.
async fn spoof(detour: &Detour) {
    let tapped = eventually("a message", Duration::from_secs(20), || async { detour.amqp.take(&detour.tap).await.pop() }).await;
    detour.amqp.publish("", &detour.queue, &tapped.body, spoofed()).await;
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
