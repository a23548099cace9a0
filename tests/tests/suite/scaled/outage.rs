//! A long outage: when the broker is back there is no flood, and nobody is starved.

use std::time::Duration;

use clinic_tests::{
    cluster::{Cluster, Part},
    eventually::eventually,
    rabbit::Rabbit,
    size::{figure, sized},
};

use super::{SETTLES_WITHIN, claims, longest_silence, longest_wait, settled, steady};

/// A booking that waits so long for its turn is starved: a grace and a sweep are far less.
const STARVED: Duration = Duration::from_secs(60);
/// What waits for the broker is bounded: no process grows by more while the broker is gone, in bytes.
const GROWS_BY: u64 = 150 << 20;
const WATCHED: [Part; 3] = [Part::Api, Part::Worker(0), Part::Worker(1)];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_long_outage_ends_without_a_flood() {
    let (rate, outage) = (sized(200.0, 500.0), Duration::from_secs(sized(20, 600)));
    let (during, around) = ((rate * outage.as_secs_f64()) as usize, (rate * 4.0) as usize);
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).workers(2).set("CLINIC_SIM_DELAY", "0ms..100ms").start().await;
    let mut tally = steady(&cluster, "before", around, rate).await.unwrap();
    assert!(claims(&cluster, "broker").await > 0.0, "nothing came by the broker before its outage");

    let resident = || WATCHED.map(|part| cluster.process(part).resident());
    let lean = resident();
    cluster.network().cut();
    tally += steady(&cluster, "during", during, rate).await.unwrap();
    let fat = resident();
    cluster.network().restore();
    let before = claims(&cluster, "broker").await;
    let after = steady(&cluster, "after", around, rate);
    eventually("claims through the broker", Duration::from_secs(60), || async {
        (claims(&cluster, "broker").await > before).then_some(())
    })
    .await;
    tally += after.await.unwrap();
    cluster.at_rest(SETTLES_WITHIN).await;

    // A job to decide and one to tell for each booking.
    let jobs = 2.0 * tally.accepted as f64;
    let published = cluster.metric("clinic_published_total", "").await;
    let rounds = ["before", "during", "after"];
    let (waits, silences) = (rounds.map(|keys| longest_wait(&cluster, keys)), rounds.map(|keys| longest_silence(&cluster, keys)));
    figure(&format!("outage of {outage:?}: {published} messages for {jobs} jobs"));
    figure(&format!("outage: longest waits before, during, after: to be decided {waits:?}, then to be told {silences:?}"));
    let grown = [0, 1, 2].map(|at| fat[at].saturating_sub(lean[at]) >> 20);
    figure(&format!("outage: the API and two workers grew by {grown:?} MiB, from {:?}", lean.map(|bytes| bytes >> 20)));
    assert!(published > 0.0 && published <= 1.2 * jobs, "{published} messages for {jobs} jobs");
    assert!(waits.iter().chain(&silences).all(|wait| *wait < STARVED), "{waits:?} {silences:?}");
    assert!(lean.iter().all(|bytes| *bytes > 0), "no figure of resident memory: {lean:?}");
    assert!(lean.iter().zip(fat).all(|(before, after)| after < before + GROWS_BY), "{lean:?} before, {fat:?} at the end of the outage");
    settled(cluster, "outage", tally, during + 2 * around).await;
}
