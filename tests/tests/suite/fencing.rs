//! P3: whoever wakes up late changes nothing.

use std::time::Duration;

use crate::{count, day, visit};
use clinic_tests::{checker::Expected, eventually::eventually, load::Load, process::Setup};

/// One process is frozen with attempts in its hands; another takes them over once their leases have run out.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_process_that_wakes_up_changes_nothing() {
    const BOOKINGS: usize = 40;
    let setup = Setup::new()
        .set("CLINIC_SIM_DELAY", "1500ms..1500ms")
        .set("CLINIC_ATTEMPT_TIMEOUT", "2s")
        .set("CLINIC_LEASE", "3s")
        .set("CLINIC_GRACE", "1s");
    // No sweep, so that it holds no lock at the moment when it is frozen.
    let frozen = setup.clone().set("CLINIC_SWEEP", "60s").start();
    Load::closed("frozen", 8, BOOKINGS).run(&frozen.http()).await.expect_all(BOOKINGS);
    let held = "job WHERE token IS NOT NULL";
    eventually("every booking claimed", Duration::from_secs(10), || async { (count(&setup, held) == BOOKINGS as i64).then_some(()) }).await;
    frozen.pause();
    assert_eq!(count(&setup, held), BOOKINGS as i64, "all were frozen in flight");

    // The twin takes every attempt over and is still at it when the frozen one wakes up with another answer.
    let twin = setup.twin().set("CLINIC_SIM_DELAY", "1900ms..1900ms").set("CLINIC_SIM_APPROVE", "0.0");
    let mut other = twin.start();
    let taken = "job WHERE token IS NOT NULL AND losses = 1";
    eventually("a takeover", Duration::from_secs(30), || async { (count(&setup, taken) == BOOKINGS as i64).then_some(()) }).await;
    frozen.resume();
    let http = frozen.http();
    eventually("late answers fenced off", Duration::from_secs(20), || async {
        (http.metric("clinic_fenced_total", "").await >= BOOKINGS as f64).then_some(())
    })
    .await;
    twin.at_rest(Duration::from_secs(60)).await;
    assert_eq!(count(&setup, "booking WHERE status = 'rejected' AND reason = 'unavailable'"), BOOKINGS as i64);
    assert!(other.terminate().success());
    frozen.kill9();
    let report = setup.check(&Expected::finished().kills_only());
    report.assert_clean();
    assert_eq!(report.losses, BOOKINGS, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_the_cancellation_changes_nothing() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "700ms..700ms");
    let clinic = setup.start();
    let http = clinic.http();
    let id = http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    eventually("the claim", Duration::from_secs(5), || async { (count(&setup, "job WHERE token IS NOT NULL") == 1).then_some(()) }).await;
    http.cancel(id).await.expect(200);
    eventually("a late answer fenced off", Duration::from_secs(10), || async {
        (http.metric("clinic_fenced_total", "").await >= 1.0).then_some(())
    })
    .await;
    assert_eq!(http.booking(id).await.text("status"), "cancelled");
    setup.at_rest(Duration::from_secs(10)).await;
    let setup = clinic.kill9();
    setup.check(&Expected::finished().kills_only()).assert_clean();
}

/// Two clinics on one file: a second worker is a matter of starting it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_share_one_store() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "0ms..50ms");
    let twin = setup.twin();
    let (mut one, mut other) = (setup.start(), twin.start());
    let (first, second) = (Load::closed("one", 16, 400), Load::closed("other", 16, 400));
    let (one_http, other_http) = (one.http(), other.http());
    let (first, second) = tokio::join!(first.run(&one_http), second.run(&other_http));
    first.expect_all(400);
    second.expect_all(400);
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(one.terminate().success() && other.terminate().success());
    setup.check(&Expected::finished().kills_only()).assert_clean();
}
