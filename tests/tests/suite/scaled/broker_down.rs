//! `kill -9` of RabbitMQ: accepting and deciding need the store alone, and the broker is used again as soon as it is there.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clinic_tests::{
    answers::Answers,
    cluster::{Cluster, Part},
    eventually::eventually,
    load::Load,
    rabbit::Rabbit,
    size::{figure, is_full, sized},
};

use super::{bookings, claims, settled};
use crate::count;

const RATE: f64 = 100.0;
/// Claims come through the broker so soon after it accepts connections.
const BACK_WITHIN: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rabbitmq_is_killed_and_nobody_notices_but_by_latency() {
    let kills = sized(2, 5);
    // Of each round half comes with the broker and half without.
    let each = bookings() / kills / 2;
    let rabbit = Rabbit::own().await;
    let cluster = Cluster::over(&rabbit).workers(2).set("CLINIC_SIM_DELAY", "0ms..100ms").start().await;
    let (mut all, mut down, mut returns) = (Answers::default(), Answers::default(), Vec::new());
    for round in 0..kills {
        all += book(&cluster, format!("up{round}"), each).await;
        assert!(claims(&cluster, "broker").await > 0.0, "nothing came by the broker while it was there");

        rabbit.kill9().await;
        let before = (claims(&cluster, "sweep").await, decided(&cluster));
        let answers = book(&cluster, format!("down{round}"), each - RATE as usize).await;
        down += answers.clone();
        // All that is decided now is decided through the sweep; at least what is older than two sweeps is.
        eventually("decisions through the sweep", Duration::from_secs(30), || async {
            let swept = claims(&cluster, "sweep").await - before.0;
            let more = decided(&cluster) - before.1;
            (swept >= answers.accepted as f64 / 2.0 && more >= answers.accepted as i64 / 2).then_some(())
        })
        .await;
        assert_eq!(cluster.http().ready().await.status, 200, "the API needs the store alone");
        assert_eq!(cluster.http_of(Part::Worker(0)).ready().await.status, 503, "a worker without its broker");

        let before = claims(&cluster, "broker").await;
        rabbit.start().await;
        let (began, booking) = (Instant::now(), book(&cluster, format!("back{round}"), RATE as usize));
        let back = eventually("claims through the broker", Duration::from_secs(30), || async {
            (claims(&cluster, "broker").await > before).then(|| began.elapsed())
        });
        let (answers, back) = tokio::join!(booking, back);
        all += answers;
        returns.push(back);
    }
    figure(&format!(
        "RabbitMQ killed: {} of {} accepted while it was down; claims by it after its return: {returns:?}",
        down.accepted, down.asked
    ));
    assert!(down.accepted as f64 >= 0.999 * down.asked as f64, "while it was down: {down:?}");
    assert!(!is_full() || returns.iter().all(|back| *back <= BACK_WITHIN), "{returns:?}");
    // Of the few that were not, nothing is expected.
    all += Answers { errors: BTreeMap::new(), ..down };
    let accepted = all.accepted;
    settled(cluster, "RabbitMQ killed", all, accepted).await;
}

/// Asks once each, at a fixed rate.
async fn book(cluster: &Cluster, name: String, bookings: usize) -> Answers {
    Load::steady(&name, RATE, bookings).run(&cluster.http()).await
}

fn decided(cluster: &Cluster) -> i64 {
    count(cluster.setup(), "booking WHERE status <> 'pending'")
}
