//! Healthy running: news comes by the broker, the sweep finds next to nothing.

use clinic_tests::{cluster::Cluster, rabbit::Rabbit, size::figure};

use super::{bookings, claims, settled, steady};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nearly_every_claim_comes_by_the_broker() {
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).workers(2).notifiers(2).set("CLINIC_SIM_DELAY", "0ms..300ms").start().await;
    let tally = steady(&cluster, "healthy", bookings(), 200.0).await.unwrap();
    cluster.at_rest(super::SETTLES_WITHIN).await;
    let (broker, sweep) = (claims(&cluster, "broker").await, claims(&cluster, "sweep").await);
    let (all_broker, all_sweep) =
        (cluster.metric("clinic_claims_total", "broker").await, cluster.metric("clinic_claims_total", "sweep").await);
    figure(&format!("healthy: {broker} claims by the broker, {sweep} by the sweep; with the notifiers' {all_broker} and {all_sweep}"));
    assert!(broker + sweep >= bookings() as f64, "{broker} and {sweep} claims");
    assert!(broker >= 0.99 * (broker + sweep), "{broker} claims of the workers by the broker, {sweep} by the sweep");
    assert!(all_broker >= 0.99 * (all_broker + all_sweep), "{all_broker} claims in all by the broker, {all_sweep} by the sweep");
    settled(cluster, "healthy", tally, bookings()).await;
}
