//! Cancelling: when it may be, what it frees, and what is told.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use clinic_tests::{checker::Expected, eventually::eventually, process::Setup};

use crate::{day, visit};

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_and_a_confirmed_booking_can_be_cancelled() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "300ms..300ms");
    let mut clinic = setup.start();
    let http = clinic.http();
    let pending = http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    let cancelled = http.cancel(pending).await.expect(200);
    assert_eq!(cancelled.text("status"), "cancelled");
    // Its slot is free at once; cancelling again changes nothing.
    let confirmed = http.book(&visit("PAC002", "DOC001", day(30))).await.expect(202).id();
    assert_eq!(http.cancel(pending).await.expect(200).text("status"), "cancelled");
    assert_eq!(http.decided(confirmed).await.text("status"), "confirmed");
    assert_eq!(http.cancel(confirmed).await.expect(200).text("status"), "cancelled");
    http.book(&visit("PAC003", "DOC001", day(30))).await.expect(202);
    setup.at_rest(Duration::from_secs(20)).await;
    assert!(clinic.terminate().success());
    let told: Vec<_> =
        setup.observed().snapshot().lines.into_iter().filter(|line| line.booking == pending).map(|line| line.event).collect();
    assert_eq!(told, ["cancelled"]);
    setup.check(&Expected::finished()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rejected_or_has_begun_cannot() {
    let setup = Setup::new().set("CLINIC_SIM_APPROVE", "0.0");
    let clinic = setup.start();
    let http = clinic.http();
    let rejected = http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    http.decided(rejected).await;
    http.cancel(rejected).await.expect_problem(409, "not_cancellable");
    drop(clinic);

    let clinic = setup.set("CLINIC_SIM_APPROVE", "1.0").start();
    let http = clinic.http();
    let start = Utc::now() + TimeDelta::milliseconds(1500);
    let begun = http.book(&visit("PAC001", "DOC001", start)).await.expect(202).id();
    assert_eq!(http.decided(begun).await.text("status"), "confirmed");
    eventually("the visit's start", Duration::from_secs(10), || async { (Utc::now() > start + TimeDelta::milliseconds(50)).then_some(()) })
        .await;
    http.cancel(begun).await.expect_problem(409, "already_started");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_races_with_deciding_and_one_of_them_wins() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "0ms..20ms").set("CLINIC_SIM_APPROVE", "0.5");
    let mut clinic = setup.start();
    let races = (0..300).map(|number| {
        let http = clinic.http();
        tokio::spawn(async move {
            let id = http.book(&visit(&format!("PAC{number}"), &format!("DOC{number}"), day(30))).await.expect(202).id();
            tokio::time::sleep(Duration::from_millis(number % 25)).await;
            let answer = http.cancel(id).await;
            assert!(answer.status == 200 || answer.text("code") == "not_cancellable", "{answer}");
            http.booking(id).await.expect(200);
        })
    });
    for race in races.collect::<Vec<_>>() {
        race.await.unwrap();
    }
    setup.at_rest(Duration::from_secs(30)).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().kills_only()).assert_clean();
}
