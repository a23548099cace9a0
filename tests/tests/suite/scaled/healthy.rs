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
    let notices = "clinic_notice_claims_total";
    let (told, found) = (cluster.metric(notices, "broker").await, cluster.metric(notices, "sweep").await);
    figure(&format!("healthy: {broker} claims by the broker, {sweep} by the sweep; of notices {told} and {found}"));
    assert!(broker + sweep >= bookings() as f64, "{broker} and {sweep} claims");
    assert!(broker >= 0.99 * (broker + sweep), "{broker} claims of the workers by the broker, {sweep} by the sweep");
    assert!(told + found >= bookings() as f64, "{told} and {found} notices claimed");
    assert!(told >= 0.99 * (told + found), "{told} claims of the notifiers by the broker, {found} by the sweep");
    settled(cluster, "healthy", tally, bookings()).await;
}
