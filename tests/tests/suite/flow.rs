//! A booking's whole way over HTTP, as the README shows it.

use clinic_tests::{checker::Expected, load::Load, process::Setup};
use serde_json::json;

use crate::{day, visit};

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_accepted_decided_and_told() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "200ms..200ms");
    let mut clinic = setup.start();
    let http = clinic.http();

    let accepted = http.book(&json!({"patient_id": "PAC001", "doctor_id": "DOC001", "datetime": day(30).to_rfc3339()})).await.expect(202);
    assert_eq!(accepted.text("status"), "pending");
    assert_eq!(accepted.header("location"), Some(format!("/booking/{}", accepted.id()).as_str()));
    assert_eq!(accepted.header("content-type"), Some("application/json"));
    let mut fields: Vec<String> = accepted.json().as_object().unwrap().keys().cloned().collect();
    fields.sort();
    let mut promised: Vec<&str> =
        "id status reason message patient_id patient_name doctor_id datetime end duration_minutes timezone language attempts \
         created_at decide_by decided_at replay_of replayed_as notices"
            .split_whitespace()
            .collect();
    promised.sort_unstable();
    assert_eq!(fields, promised);
    for time in ["datetime", "end", "created_at", "decide_by"] {
        assert!(accepted.text(time).ends_with('Z'), "{time}: {accepted}");
    }
    http.book(&visit("PAC002", "DOC001", day(30))).await.expect_problem(409, "slot_taken");

    let decided = http.decided(accepted.id()).await;
    assert_eq!((decided.text("status").as_str(), decided.field("attempts")), ("confirmed", json!(1)));
    assert!(decided.text("decided_at").ends_with('Z'));
    setup.at_rest(std::time::Duration::from_secs(10)).await;
    let notices = http.booking(accepted.id()).await.field("notices");
    assert_eq!((&notices[0]["event"], &notices[0]["channel"], &notices[0]["state"]), (&json!("confirmed"), &json!("log"), &json!("sent")));
    let events = http.timeline(accepted.id()).await.expect(200).field("events");
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["accepted", "attempt", "confirmed", "notice_sent"]);
    let places: Vec<_> = events.as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(places.is_sorted_by(|one, next| one < next), "{places:?}");

    assert!(clinic.terminate().success());
    let line = &setup.observed().snapshot().lines[0];
    assert_eq!((line.booking, line.event.as_str()), (accepted.id(), "confirmed"));
    assert_eq!(notices[0]["id"], json!(line.id));
    setup.check(&Expected::finished().kills_only()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_says_why_in_the_patients_language() {
    let setup = Setup::new().set("CLINIC_SIM_APPROVE", "0.0");
    let mut clinic = setup.start();
    let http = clinic.http();
    let mut body = visit("PAC001", "DOC001", day(30));
    body["language"] = json!("en");
    let english = http.book(&body).await.expect(202);
    let local = json!({"patient_name": "Juan Pérez", "time_slot": format!("{}", day(31).format("%Y-%m-%dT15:00:00"))});
    let spanish = http.book(&local).await.expect(202);
    assert_eq!(spanish.text("datetime"), format!("{}", day(31).format("%Y-%m-%dT15:00:00Z")));
    for (booking, words) in [(english, "choose another"), (spanish, "elija otra")] {
        let decided = http.decided(booking.id()).await;
        assert_eq!((decided.text("status").as_str(), decided.text("reason").as_str()), ("rejected", "unavailable"));
        assert!(decided.text("message").contains(words), "{decided}");
    }
    // The slot is free again.
    http.book(&visit("PAC002", "DOC001", day(30))).await.expect(202);
    setup.at_rest(std::time::Duration::from_secs(10)).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().kills_only()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_json_where_logs_are() {
    let setup = Setup::new().set("CLINIC_LOG_FORMAT", "json");
    let mut clinic = setup.start();
    let booking = clinic.http().book(&visit("PAC001", "DOC001", day(30))).await.expect(202);
    setup.at_rest(std::time::Duration::from_secs(10)).await;
    assert!(clinic.terminate().success());
    let seen = setup.observed().snapshot();
    assert!(seen.lines[0].content.starts_with('{'));
    assert_eq!((seen.lines.len(), seen.lines[0].booking), (1, booking.id()));
    setup.check(&Expected::finished()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_answered_when_it_is_decided() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "1s..1s");
    let clinic = setup.start();
    let http = clinic.http();
    let booking = http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    assert_eq!(http.wait(booking, 0).await.expect(200).text("status"), "pending");
    assert_eq!(http.booking(booking).await.expect(200).text("status"), "pending");
    let waits = (0..50).map(|_| {
        let http = http.clone();
        tokio::spawn(async move { http.wait(booking, 60).await.expect(200).text("status") })
    });
    for wait in waits.collect::<Vec<_>>() {
        assert_eq!(wait.await.unwrap(), "confirmed");
    }
    for wrong in ["61", "-1", "x", "1.5", ""] {
        let answer = http.get(&format!("/booking/{booking}?wait={wrong}")).await.expect_problem(422, "invalid_request");
        assert_eq!(answer.fields(), ["wait"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_too_shortly_sees_it_pending() {
    let clinic = Setup::new().set("CLINIC_SIM_DELAY", "9s..9s").start();
    let http = clinic.http();
    let booking = http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    assert_eq!(http.wait(booking, 1).await.expect(200).text("status"), "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_decided_by_its_start_is_rejected_then() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "9s..9s");
    let clinic = setup.start();
    let http = clinic.http();
    let soon = chrono::Utc::now() + chrono::TimeDelta::milliseconds(1500);
    let booking = http.book(&visit("PAC001", "DOC001", soon)).await.expect(202);
    assert_eq!(booking.text("decide_by"), booking.text("datetime"));
    let decided = http.decided(booking.id()).await;
    assert_eq!((decided.text("status").as_str(), decided.text("reason").as_str()), ("rejected", "deadline_passed"));
    setup.at_rest(std::time::Duration::from_secs(20)).await;
    let setup = clinic.kill9();
    setup.check(&Expected::finished()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clinic_explains_itself() {
    let clinic = Setup::new().start();
    let http = clinic.http();
    assert_eq!(http.live().await.expect(200).text("status"), "ok");
    assert_eq!(http.ready().await.expect(200).text("store"), "ok");
    assert_eq!(http.health().await.expect(200).text("status"), "ok");
    let document = http.openapi().await.expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    for path in ["/book", "/booking/{id}", "/booking/{id}/timeline", "/bookings", "/health", "/health/live", "/health/ready", "/metrics"] {
        assert!(document["paths"][path].is_object(), "{path} is not documented");
    }
    let docs = http.docs().await.expect(200).body;
    assert!(docs.contains("<html") && !docs.contains("https://"), "the page must not load anything from elsewhere");
    let root = http.root().await.expect(200).body;
    assert!(root.contains("/docs"), "{root}");
    http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202);
    assert!(http.metric("clinic_bookings_accepted_total", "").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn news_comes_by_the_broker_and_not_by_the_sweep() {
    let setup = Setup::new();
    let clinic = setup.start();
    let http = clinic.http();
    Load::closed("news", 16, 500).run(&http).await.expect_all(500);
    setup.at_rest(std::time::Duration::from_secs(30)).await;
    let (broker, sweep) = (http.metric("clinic_claims_total", "broker").await, http.metric("clinic_claims_total", "sweep").await);
    assert!(broker >= 500.0 && broker >= 99.0 * sweep, "{broker} claims by the broker, {sweep} by the sweep");
}
