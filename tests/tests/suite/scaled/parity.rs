//! Several processes keep what one keeps: attempts that fail, cancellations, and a worker that is stopped among them.

use std::time::{Duration, Instant};

use clinic_tests::{
    checker::Expected,
    cluster::{Cluster, Part},
    rabbit::Rabbit,
    size::figure,
};

use super::{SETTLES_WITHIN, accepted, bookings, cancel_every, claims, settled_as, steady};
use crate::count;

/// Every process promises to end so soon.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn failed_attempts_cancellations_and_a_graceful_stop_keep_the_promises() {
    let rabbit = Rabbit::shared().await;
    let plan = Cluster::over(&rabbit).workers(2).notifiers(2).set("CLINIC_SIM_DELAY", "100ms..500ms").set("CLINIC_SIM_APPROVE", "0.8");
    let mut cluster = plan.set("CLINIC_SIM_FAIL", "0.05").set("CLINIC_RETRY_BASE", "100ms").start().await;
    let driving = steady(&cluster, "parity", bookings(), 100.0);
    let cancelled = cancel_every(&cluster, 10, bookings() / 2).await;
    accepted(&cluster, bookings() / 2).await;
    let asked = Instant::now();
    cluster.terminate(Part::Worker(0));
    let took = asked.elapsed();
    accepted(&cluster, bookings() * 3 / 4).await;
    cluster.start(Part::Worker(0));
    let tally = driving.await.unwrap();
    cluster.at_rest(SETTLES_WITHIN).await;

    let retried = count(cluster.setup(), "timeline WHERE kind = 'attempt' AND code = 'transient' AND next_try IS NOT NULL");
    let (broker, sweep) = (claims(&cluster, "broker").await, claims(&cluster, "sweep").await);
    let heir = cluster.metric_of(Part::Worker(0), "clinic_claims_total", "broker").await;
    figure(&format!(
        "parity: {retried} attempts failed and were followed by another, {cancelled} confirmed bookings cancelled, a worker stopped in {took:?}; \
         {broker} claims by the broker, {sweep} by the sweep"
    ));
    assert!(took < ENDS_WITHIN, "a worker took {took:?} to stop");
    assert!(retried as usize >= bookings() / 50, "only {retried} attempts failed");
    assert!(cancelled >= bookings() / 40, "only {cancelled} were confirmed and cancelled");
    assert_eq!(count(cluster.setup(), "booking WHERE status = 'cancelled'"), cancelled as i64);
    assert!(heir > 0.0, "a worker that came later got nothing to do");
    // A second attempt comes by the broker as the first does.
    assert!(broker >= 0.95 * (broker + sweep), "{broker} claims by the broker, {sweep} by the sweep");
    settled_as(Expected::finished(), cluster, "parity", tally, bookings()).await;
}
