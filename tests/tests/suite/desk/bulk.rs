//! Bulk replay while processes die: each letter once, everything decided and told, no old booking touched.

use std::time::{Duration, Instant};

use clinic_tests::{
    checker::Expected,
    cluster::{Cluster, Part},
    process::Setup,
    rabbit::Rabbit,
    size::{figure, sized},
};
use rand::RngExt;
use rusqlite::{Connection, OpenFlags, types::Value};

use super::{SETTLES_WITHIN, desk, failing, letters, mended, rows};
use crate::{count, number};

/// Letters, kills and letters a second.
fn sizes() -> (usize, usize, f64) {
    sized((100, 3, 50.0), (1_000, 10, 100.0))
}

/// What the flag of a rate takes.
fn a_second(rate: f64) -> String {
    format!("{rate}/s")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clinic_that_is_killed_again_and_again_replays_each_letter_once() {
    let (open, kills, rate) = sizes();
    let setup = failing(Setup::new());
    let mut clinic = setup.start();
    letters(&setup, &clinic.http(), "bulk", open).await;
    assert!(clinic.terminate().success());
    let old = Old::of(&setup);

    let setup = mended(setup).set("CLINIC_SIM_DELAY", "0ms..200ms").set("CLINIC_SIM_APPROVE", "0.8");
    let mut clinic = setup.start();
    let mut interrupted = 0;
    for kill in 0..kills {
        let (http, rate) = (clinic.http(), a_second(rate));
        let replaying = tokio::spawn(async move { desk(&http, &["replay", "--code", "availability_unreachable", "--rate", &rate]).await });
        random_instant(&setup, open * (kill + 1) / (kills + 1)).await;
        clinic.kill9();
        let said = replaying.await.unwrap();
        interrupted += usize::from(!said.status.success());
        assert!(said.status.success() || said.complaint.contains("the connection to the clinic failed"), "{said:?}");
        clinic = setup.start();
    }
    // What was interrupted is run again.
    let said = desk(&clinic.http(), &["replay", "--code", "availability_unreachable", "--rate", &a_second(rate)]).await;
    assert!(said.status.success(), "{said:?}");
    assert!(interrupted > 0, "no kill met the replay");
    setup.at_rest(SETTLES_WITHIN).await;
    desk(&clinic.http(), &["replay", "--all"]).await.expect(0, "0 replayed, 0 already replayed, 0 refused, 0 failed");
    assert!(clinic.terminate().success());
    let report = setup.check(&Expected::finished().retries(0));
    figure(&format!("bulk replay: {interrupted} of {kills} kills met it; {report}"));
    report.assert_clean();
    old.is_untouched(&setup, open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_that_are_killed_meanwhile_lose_no_replay() {
    let (open, kills, rate) = sizes();
    let (workers, rabbit) = (3, Rabbit::shared().await);
    let plan = Cluster::over(&rabbit).workers(workers).set("CLINIC_SIM_FAIL", "1.0").set("CLINIC_RETRIES", "0");
    let mut cluster = plan.start().await;
    letters(cluster.setup(), &cluster.http(), "bulk", open).await;
    let old = Old::of(cluster.setup());

    for (variable, value) in [("CLINIC_SIM_FAIL", "0.0"), ("CLINIC_SIM_DELAY", "100ms..400ms"), ("CLINIC_SIM_APPROVE", "0.8")] {
        cluster.set(variable, value);
    }
    for worker in (0..workers).map(Part::Worker) {
        cluster.terminate(worker);
        cluster.start(worker);
    }
    let http = cluster.http();
    let replaying = tokio::spawn(async move { desk(&http, &["replay", "--kind", "decide", "--rate", &a_second(rate)]).await });
    for kill in 0..kills {
        random_instant(cluster.setup(), open * (kill + 1) / (kills + 1)).await;
        let worker = Part::Worker(rand::rng().random_range(0..workers));
        cluster.kill9(worker);
        cluster.start(worker);
    }
    let all = format!("{open} replayed, 0 already replayed, 0 refused, 0 failed");
    replaying.await.unwrap().expect(0, &all);
    cluster.at_rest(SETTLES_WITHIN).await;
    let setup = cluster.setup().clone();
    let report = cluster.finish(&Expected::finished().retries(0));
    figure(&format!("bulk replay, workers killed: {report}"));
    report.assert_clean();
    old.is_untouched(&setup, open);
}

/// Some instant soon after so many letters were replayed.
async fn random_instant(setup: &Setup, replayed: usize) {
    let deadline = Instant::now() + SETTLES_WITHIN;
    while count(setup, "dead_letter WHERE replayed_at IS NOT NULL") < replayed as i64 {
        assert!(Instant::now() < deadline, "{replayed} letters were not replayed within {SETTLES_WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let more = rand::rng().random_range(0..30_000);
    tokio::time::sleep(Duration::from_micros(more)).await;
}

/// The bookings that failed, as they were before any replay.
struct Old(Vec<Vec<Value>>);

impl Old {
    fn of(setup: &Setup) -> Self {
        let store = Connection::open_with_flags(setup.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        store.busy_timeout(Duration::from_secs(5)).unwrap();
        let sql = "SELECT id, status, reason, start_at, end_at, attempts, created_at, decide_by, decided_at FROM booking \
                   WHERE replay_of IS NULL ORDER BY id";
        Self(rows(&store, sql))
    }

    /// Each has been replayed, once, as a booking that is decided, and is what it was.
    #[track_caller]
    fn is_untouched(&self, setup: &Setup, letters: usize) {
        assert!(self.0.len() == letters && Self::of(setup).0 == self.0, "an old booking was changed");
        let new = number(setup, "SELECT count(DISTINCT replay_of) FROM booking WHERE replay_of IS NOT NULL");
        assert_eq!((new, count(setup, "booking")), (letters as i64, 2 * letters as i64), "each letter is one new booking");
        assert_eq!(count(setup, "dead_letter"), letters as i64, "nothing failed again");
        assert_eq!(count(setup, "dead_letter WHERE replayed_at IS NULL"), 0);
    }
}
