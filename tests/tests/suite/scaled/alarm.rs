//! A broker that is short of memory takes nothing: nobody waits for it.

use std::time::{Duration, Instant};

use clinic_tests::{
    answers::Answers,
    cluster::{Cluster, Part},
    eventually::eventually,
    load::Load,
    rabbit::Rabbit,
    size::{figure, sized},
};

use super::{SETTLES_WITHIN, bookings, longest_silence, longest_wait, settled};
use crate::count;

const RATE: f64 = 100.0;
/// Nothing blocks longer, not even on a machine with two cores and the broker on it.
const BLOCKS_AT_MOST: Duration = Duration::from_secs(5);
/// Without the broker the sweep finds what is to be decided and told; it looks every 2 s.
const FOUND_WITHIN: Duration = Duration::from_secs(20);
const WORKERS: [Part; 2] = [Part::Worker(0), Part::Worker(1)];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_memory_alarm_blocks_nobody() {
    let rabbit = Rabbit::own().await;
    let cluster = Cluster::over(&rabbit).workers(2).set("CLINIC_SIM_DELAY", "0ms..200ms").start().await;
    answer(&cluster, 200).await;
    let mut asked = book(&cluster, "before", bookings() / 4).await;

    rabbit.memory_alarm(true).await;
    let during = bookings() / 2;
    let booking = book(&cluster, "during", during);
    let watching = async {
        let began = Instant::now();
        answer(&cluster, 503).await;
        let dropped = began.elapsed();
        let mut slowest = [Duration::ZERO; 4];
        while began.elapsed() < Duration::from_secs(sized(8, 40)) {
            for (part, slowest) in [Part::Api, Part::Worker(0), Part::Worker(1), Part::Notifier(0)].into_iter().zip(&mut slowest) {
                let asked = Instant::now();
                let status = cluster.http_of(part).ready().await.status;
                *slowest = asked.elapsed().max(*slowest);
                // The broker blocks those who publish: a notifier does not.
                assert_eq!(status, if matches!(part, Part::Worker(_)) { 503 } else { 200 }, "{part:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        (dropped, slowest)
    };
    let (answers, (dropped, slowest)) = tokio::join!(booking, watching);
    asked += answers;
    // The sweep goes on without the broker.
    eventually("decisions during the alarm", Duration::from_secs(60), || async {
        (count(cluster.setup(), "booking WHERE status = 'pending'") == 0).then_some(())
    })
    .await;
    for worker in WORKERS {
        assert_eq!(cluster.http_of(worker).ready().await.status, 503, "the alarm is not over");
    }

    rabbit.memory_alarm(false).await;
    let ended = Instant::now();
    answer(&cluster, 200).await;
    let returned = ended.elapsed();
    asked += book(&cluster, "after", bookings() / 4).await;
    cluster.at_rest(SETTLES_WITHIN).await;
    let (waited, silent) = (longest_wait(&cluster, "during"), longest_silence(&cluster, "during"));
    figure(&format!(
        "memory alarm: workers unready after {dropped:?}, ready {returned:?} after its end; slowest readiness of API, workers, notifier \
         {slowest:?}; meanwhile decided within {waited:?} and told within {silent:?}, slowest acceptance {:?}",
        asked.slowest
    ));
    assert!(slowest.iter().all(|slowest| *slowest <= BLOCKS_AT_MOST), "{slowest:?}");
    assert!(waited <= FOUND_WITHIN && silent <= FOUND_WITHIN, "decided within {waited:?}, told within {silent:?}");
    settled(cluster, "memory alarm", asked, bookings()).await;
}

/// Waits until every worker says so of its readiness.
async fn answer(cluster: &Cluster, status: u16) {
    for worker in WORKERS {
        eventually(&format!("readiness {status} of {worker:?}"), Duration::from_secs(60), || async {
            (cluster.http_of(worker).ready().await.status == status).then_some(())
        })
        .await;
    }
}

/// Asks once each and waits no longer than is allowed; every one must be accepted.
async fn book(cluster: &Cluster, name: &str, bookings: usize) -> Answers {
    let answers = Load::steady(name, RATE, bookings).waiting_at_most(BLOCKS_AT_MOST).run(&cluster.http()).await;
    answers.expect_all(bookings);
    answers
}
