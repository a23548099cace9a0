//! A graceful stop: what is under way is finished or given back, nothing is lost.

use std::time::Duration;

use clinic_tests::{checker::Expected, eventually::eventually, load::Load, process::Setup};

use crate::{count, day, visit};

fn held(setup: &Setup) -> i64 {
    count(setup, "job WHERE token IS NOT NULL")
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_in_flight_are_given_back() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "20s..20s").set("CLINIC_ATTEMPT_TIMEOUT", "30s").set("CLINIC_LEASE", "60s");
    let mut clinic = setup.start();
    Load::closed("stop", 16, 300).run(&clinic.http()).await.expect_all(300);
    eventually("every booking in flight", Duration::from_secs(10), || async { (held(&setup) == 300).then_some(()) }).await;
    let status = clinic.terminate();
    assert!(status.success(), "{status}\n{}", clinic.diagnostics());
    assert_eq!(held(&setup), 0, "attempts that nobody gave back");
    setup.check(&Expected::under_way().kills_only()).assert_clean();

    let setup = setup.set("CLINIC_SIM_DELAY", "0s..0s");
    let mut clinic = setup.start();
    setup.at_rest(Duration::from_secs(30)).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().kills_only()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_loses_nothing() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "0ms..100ms");
    for round in 0..3 {
        let mut clinic = setup.start();
        let (http, load) = (clinic.http(), Load::closed(&format!("stop{round}"), 16, 400).insisting());
        let before = setup.observed().accepted_so_far();
        let driving = tokio::spawn(async move { load.run(&http).await });
        eventually("some bookings", Duration::from_secs(20), || async {
            (setup.observed().accepted_so_far() >= before + 100).then_some(())
        })
        .await;
        let status = clinic.terminate();
        assert!(status.success(), "{status}\n{}", clinic.diagnostics());
        setup.check(&Expected::under_way().kills_only()).assert_clean();
        let mut clinic = setup.start();
        driving.await.unwrap().expect_all(400);
        setup.at_rest(Duration::from_secs(30)).await;
        assert!(clinic.terminate().success());
    }
    setup.check(&Expected::finished().kills_only()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_answered_at_the_stop() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "9s..9s");
    let mut clinic = setup.start();
    let http = clinic.http();
    let id = http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    let waiting = tokio::spawn({
        let http = http.clone();
        async move { http.wait(id, 60).await.expect(200).text("status") }
    });
    // The request is there once the metrics have been read after it on a second connection.
    http.metrics().await.expect(200);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(clinic.terminate().success());
    assert_eq!(waiting.await.unwrap(), "pending");
}
