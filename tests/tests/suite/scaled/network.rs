//! A network between the services and their broker that is cut, slow, or passes nothing.

use std::time::Duration;

use clinic_tests::{
    cluster::Cluster,
    eventually::eventually,
    rabbit::Rabbit,
    size::{figure, sized},
};
use rand::RngExt;

use super::{SETTLES_WITHIN, accepted, bookings, claims, settled, steady};

async fn cluster(rabbit: &Rabbit) -> Cluster {
    Cluster::over(rabbit).workers(2).set("CLINIC_SIM_DELAY", "0ms..300ms").set("CLINIC_SIM_APPROVE", "0.8").start().await
}

/// Claims come by the broker again.
async fn back(cluster: &Cluster, before: f64) {
    eventually("claims through the broker", Duration::from_secs(60), || async { (claims(cluster, "broker").await > before).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_network_is_cut_ten_times() {
    const CYCLES: usize = 10;
    let rabbit = Rabbit::shared().await;
    let cluster = cluster(&rabbit).await;
    let driving = steady(&cluster, "cut", bookings(), 100.0);
    for cycle in 0..CYCLES {
        accepted(&cluster, bookings() * (cycle + 1) / (CYCLES + 2)).await;
        cluster.network().cut();
        eventually("the end of every connection", Duration::from_secs(5), || async {
            (cluster.network().connections() == 0).then_some(())
        })
        .await;
        // Only now: what was delivered before the cut may be claimed after it.
        let before = claims(&cluster, "broker").await;
        let pause = rand::rng().random_range(100..1_000);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        cluster.network().restore();
        back(&cluster, before).await;
    }
    let tally = driving.await.unwrap();
    settled(cluster, "network cut", tally, bookings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_network_is_frozen() {
    // The full size is longer than two heartbeats: the connections are given up.
    let freeze = Duration::from_secs(sized(6, 30));
    let rabbit = Rabbit::shared().await;
    let cluster = cluster(&rabbit).await;
    let driving = steady(&cluster, "ice", bookings(), 100.0);
    accepted(&cluster, bookings() / 4).await;
    assert!(cluster.network().connections() > 0, "nobody uses the network");
    cluster.network().freeze();
    tokio::time::sleep(freeze).await;
    let before = claims(&cluster, "broker").await;
    cluster.network().restore();
    back(&cluster, before).await;
    let tally = driving.await.unwrap();
    settled(cluster, "network frozen", tally, bookings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_network_is_slow() {
    let rabbit = Rabbit::shared().await;
    let cluster = cluster(&rabbit).await;
    cluster.network().delay(Duration::from_millis(50));
    let tally = steady(&cluster, "slow", bookings(), 100.0).await.unwrap();
    cluster.at_rest(SETTLES_WITHIN).await;
    let (broker, sweep) = (claims(&cluster, "broker").await, claims(&cluster, "sweep").await);
    figure(&format!("network slow: {broker} claims by the broker, {sweep} by the sweep"));
    assert!(broker >= 0.9 * (broker + sweep), "{broker} claims by the broker, {sweep} by the sweep");
    settled(cluster, "network slow", tally, bookings()).await;
}
