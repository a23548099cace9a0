//! A broker that is short of memory takes nothing: nobody waits for it.

use std::time::{Duration, Instant};

use clinic_tests::{
    cluster::{Cluster, Part},
    eventually::eventually,
    load::{Load, Tally},
    rabbit::Rabbit,
    size::{figure, sized},
};

use super::{SETTLES_WITHIN, bookings, number, settled};

const RATE: f64 = 100.0;
/// Nothing blocks longer, not even on a machine with two cores and the broker on it.
const BLOCKS_AT_MOST: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_memory_alarm_blocks_nobody() {
    let rabbit = Rabbit::own().await;
    let cluster = Cluster::over(&rabbit).workers(2).set("CLINIC_SIM_DELAY", "0ms..200ms").start().await;
    let worker = cluster.http_of(Part::Worker(0));
    eventually("a ready worker", Duration::from_secs(30), || async { (worker.ready().await.status == 200).then_some(()) }).await;
    let mut tally = book(&cluster, "before", bookings() / 4).await;

    rabbit.memory_alarm(true).await;
    let during = bookings() / 2;
    let booking = book(&cluster, "during", during);
    let watching = async {
        let began = Instant::now();
        eventually("a worker that is not ready", Duration::from_secs(30), || async { (worker.ready().await.status == 503).then_some(()) })
            .await;
        let dropped = began.elapsed();
        let mut slowest = Duration::ZERO;
        while began.elapsed() < Duration::from_secs(sized(8, 40)) {
            let asked = Instant::now();
            assert_eq!(cluster.http().ready().await.status, 200, "the API needs the store alone");
            slowest = slowest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        (dropped, slowest)
    };
    let (answers, (dropped, slowest)) = tokio::join!(booking, watching);
    tally += answers;
    // The sweep goes on without the broker.
    eventually("decisions during the alarm", Duration::from_secs(60), || async {
        (number(&cluster, "SELECT count(*) FROM booking WHERE status = 'pending'") == 0).then_some(())
    })
    .await;
    assert_eq!(worker.ready().await.status, 503, "the alarm is not over");

    rabbit.memory_alarm(false).await;
    let ended = Instant::now();
    eventually("a worker that is ready again", Duration::from_secs(60), || async { (worker.ready().await.status == 200).then_some(()) })
        .await;
    let returned = ended.elapsed();
    tally += book(&cluster, "after", bookings() / 4).await;
    cluster.at_rest(SETTLES_WITHIN).await;
    figure(&format!(
        "memory alarm: a worker unready after {dropped:?}, ready {returned:?} after its end; slowest readiness of the API {slowest:?}"
    ));
    assert!(slowest <= BLOCKS_AT_MOST, "{slowest:?}");
    settled(cluster, "memory alarm", tally, bookings()).await;
}

/// Asks once each and waits no longer than is allowed; every one must be accepted.
async fn book(cluster: &Cluster, keys: &str, bookings: usize) -> Tally {
    let load = Load::new(keys, 64, bookings).at_most_per_second(RATE).waiting_at_most(BLOCKS_AT_MOST);
    let tally = load.run(&cluster.http()).await;
    assert_eq!(tally.accepted, bookings, "{keys}: {tally:?}");
    tally
}
