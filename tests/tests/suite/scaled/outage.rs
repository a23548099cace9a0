//! A long outage: when the broker is back there is no flood, and nobody is starved.

use std::time::Duration;

use clinic_tests::{
    cluster::Cluster,
    eventually::eventually,
    rabbit::Rabbit,
    size::{figure, sized},
};

use super::{SETTLES_WITHIN, claims, longest_wait, settled, steady};

/// A booking that waits so long for its turn is starved: a grace and a sweep are far less.
const STARVED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_long_outage_ends_without_a_flood() {
    let (rate, outage) = (sized(200.0, 500.0), Duration::from_secs(sized(20, outage_in_full())));
    let (during, around) = ((rate * outage.as_secs_f64()) as usize, (rate * 4.0) as usize);
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).workers(2).set("CLINIC_SIM_DELAY", "0ms..100ms").start().await;
    let mut tally = steady(&cluster, "before", around, rate).await.unwrap();
    assert!(claims(&cluster, "broker").await > 0.0, "nothing came by the broker before its outage");

    cluster.network().cut();
    tally += steady(&cluster, "during", during, rate).await.unwrap();
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
    let waits = ["before", "during", "after"].map(|keys| longest_wait(&cluster, keys));
    figure(&format!("outage of {outage:?}: {published} messages for {jobs} jobs; longest waits before, during, after: {waits:?}"));
    assert!(published > 0.0 && published <= 1.2 * jobs, "{published} messages for {jobs} jobs");
    assert!(waits.iter().all(|wait| *wait < STARVED), "{waits:?}");
    settled(cluster, "outage", tally, during + 2 * around).await;
}

/// Ten minutes, unless somebody has less time.
fn outage_in_full() -> u64 {
    std::env::var("CLINIC_TEST_OUTAGE").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(600)
}
