//! A store that is locked, full or read-only: 503, nothing half accepted, and service resumes by itself.

use std::time::Duration;

use clinic_tests::{
    checker::Expected,
    disk::TightPlace,
    eventually::eventually,
    http::{Answer, Http},
    process::{ClinicProcess, Setup},
};
use rusqlite::Connection;

use crate::slot_of_its_own;

/// Asks until the answer is no 202, and demands that it says so properly.
async fn until_refused(http: &Http, run: &str) -> Answer {
    for number in 0..20_000 {
        let key = format!("{run}-{number}");
        let answer = http.try_book(&slot_of_its_own(run, number), Some(&key), Duration::from_secs(30)).await.unwrap();
        if answer.status != 202 {
            let answer = answer.expect_problem(503, "unavailable");
            assert!(answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()), "{answer}");
            return answer;
        }
    }
    panic!("it never refused");
}

async fn until_accepted(http: &Http, run: &str) {
    eventually("service again", Duration::from_secs(30), || async {
        let answer = http.try_book(&slot_of_its_own(run, 0), Some(run), Duration::from_secs(30)).await.ok()?;
        assert!([202, 503].contains(&answer.status), "{answer}");
        (answer.status == 202).then_some(())
    })
    .await;
    assert_eq!(http.ready().await.status, 200);
}

async fn finish(setup: &Setup, mut clinic: ClinicProcess) {
    setup.at_rest(Duration::from_secs(60)).await;
    let status = clinic.terminate();
    assert!(status.success(), "{status}");
    assert!(!clinic.diagnostics().contains("panicked"), "{}", clinic.diagnostics());
    setup.check(&Expected::finished().kills_only()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_locked_by_another_writer() {
    let setup = Setup::new();
    let clinic = setup.start();
    let http = clinic.http();
    until_accepted(&http, "before").await;
    let other = Connection::open(setup.store()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    until_refused(&http, "locked").await;
    assert_eq!(http.live().await.status, 200);
    let ready = http.ready().await;
    assert!(ready.status == 503 && ready.text("store") != "ok", "{ready}");
    // Reading goes on.
    http.list("").await.expect(200);
    other.execute_batch("ROLLBACK").unwrap();
    until_accepted(&http, "after").await;
    drop(other);
    finish(&setup, clinic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk() {
    let place = TightPlace::new(64);
    let setup = place.hold(Setup::new());
    let clinic = setup.start();
    let http = clinic.http();
    until_accepted(&http, "before").await;
    for round in 0..3 {
        place.leave(&clinic, 0);
        until_refused(&http, &format!("full{round}")).await;
        http.list("").await.expect(200);
        assert_eq!(http.live().await.status, 200);
        place.leave(&clinic, 24 << 20);
        until_accepted(&http, &format!("after{round}")).await;
    }
    finish(&setup, clinic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_becomes_read_only() {
    let place = TightPlace::new(64);
    let setup = place.hold(Setup::new());
    let clinic = setup.start();
    let http = clinic.http();
    until_accepted(&http, "before").await;
    place.set_read_only(&clinic, true);
    until_refused(&http, "frozen").await;
    http.list("").await.expect(200);
    place.set_read_only(&clinic, false);
    until_accepted(&http, "after").await;
    finish(&setup, clinic).await;
}
