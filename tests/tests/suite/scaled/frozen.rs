//! A worker that stands still beyond its leases and wakes up: whatever it has to say comes too late.

use std::time::Duration;

use clinic_tests::{
    cluster::{Cluster, Part, held_by},
    eventually::eventually,
    rabbit::Rabbit,
    size::figure,
};

use super::{accepted, bookings, settled, steady};
use crate::{day, visit};

const FROZEN: Part = Part::Worker(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_frozen_worker_that_wakes_up_changes_nothing() {
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit)
        .workers(3)
        .set("CLINIC_SIM_DELAY", "1200ms..1800ms")
        .set("CLINIC_SIM_APPROVE", "0.5")
        .set("CLINIC_ATTEMPT_TIMEOUT", "3s")
        .set("CLINIC_LEASE", "5s")
        .start()
        .await;
    let driving = steady(&cluster, "frozen", bookings(), 100.0);
    accepted(&cluster, bookings() / 4).await;
    let more = freeze_outside_of_a_commit(&cluster).await;
    let store = cluster.setup().store();
    let had = held_by(store, Some(cluster.process(FROZEN).id()));
    assert!(had.len() >= 5, "it had only {} bookings in hand", had.len());
    eventually("others to take over all it had", Duration::from_secs(60), || async {
        held_by(store, Some(cluster.process(FROZEN).id())).is_empty().then_some(())
    })
    .await;
    cluster.process(FROZEN).resume();
    let fenced = eventually("late outcomes fenced off", Duration::from_secs(30), || async {
        let fenced = cluster.metric_of(FROZEN, "clinic_fenced_total", "").await;
        // An outcome that waited for the writer's turn when the process froze may be given up instead: its lease is over by then.
        (fenced * 2.0 >= had.len() as f64).then_some(fenced)
    })
    .await;
    figure(&format!("worker frozen: {} bookings in hand, {fenced} late outcomes changed nothing", had.len()));
    let mut tally = driving.await.unwrap();
    tally.accepted += more;
    settled(cluster, "worker frozen", tally, bookings() + more).await;
}

/// A process that is frozen inside of a commit stops every writer of the file, as is documented; another instant, then.
/// Gives how many bookings were made to find out.
async fn freeze_outside_of_a_commit(cluster: &Cluster) -> usize {
    for attempt in 1..=20 {
        // While all writers stood still it has finished what it had.
        let in_hand = || held_by(cluster.setup().store(), Some(cluster.process(FROZEN).id())).len();
        eventually("bookings in hand", Duration::from_secs(30), || async { (in_hand() >= 10).then_some(()) }).await;
        cluster.process(FROZEN).pause();
        let body = visit(&format!("PAC-probe-{attempt}"), &format!("DOC-probe-{attempt}"), day(30));
        let answer = cluster.http().try_book(&body, Some(&format!("probe-{attempt}")), Duration::from_secs(2)).await;
        if answer.is_ok_and(|answer| answer.status == 202) {
            return attempt;
        }
        cluster.process(FROZEN).resume();
        // Asked again until it is clear, so that it counts.
        eventually("an answer", Duration::from_secs(30), || async {
            let answer = cluster.http().try_book(&body, Some(&format!("probe-{attempt}")), Duration::from_secs(10)).await;
            answer.is_ok_and(|answer| answer.status == 202).then_some(())
        })
        .await;
    }
    panic!("it was frozen inside of a commit twenty times");
}
