//! One key, one booking.

use std::{collections::BTreeSet, time::Duration};

use chrono::{TimeDelta, Utc};
use clinic_tests::{checker::Expected, eventually::eventually, process::Setup};
use reqwest::Method;
use serde_json::json;

use crate::{day, visit};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_under_the_same_key_gets_the_first_answer() {
    let setup = Setup::new();
    let clinic = setup.start();
    let http = clinic.http();
    let body = visit("PAC001", "DOC001", day(30));
    let first = http.book_keyed(&body, "key-1").await.expect(202);
    assert_eq!(first.header("idempotency-replayed"), None);
    http.decided(first.id()).await;
    let again = http.book_keyed(&body, "key-1").await.expect(202);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    // Spelled differently, meant the same.
    let start = day(30).with_timezone(&chrono::FixedOffset::east_opt(7200).unwrap()).to_rfc3339();
    let spelled = json!({"doctor_id": "DOC001", "time_slot": start, "patient_id": "PAC001", "duration_minutes": 30});
    assert_eq!(http.book_keyed(&spelled, "key-1").await.expect(202).id(), first.id());

    let other = visit("PAC001", "DOC001", day(31));
    http.book_keyed(&other, "key-1").await.expect_problem(422, "idempotency_key_reused");
    // Only 202s are kept: a refused request may be corrected under its key.
    http.book_keyed(&body, "key-2").await.expect_problem(409, "slot_taken");
    http.book_keyed(&other, "key-2").await.expect(202);

    let setup = clinic.kill9();
    let clinic = setup.start();
    assert_eq!(clinic.http().book_keyed(&body, "key-1").await.expect(202).id(), first.id());
    setup.at_rest(Duration::from_secs(20)).await;
    let setup = clinic.kill9();
    setup.check(&Expected::finished()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_duplicates_make_one_booking() {
    let setup = Setup::new();
    let clinic = setup.start();
    for round in 0..20 {
        let body = visit(&format!("PAC{round}"), "DOC001", day(30 + round));
        setup.observed().once(&format!("PAC{round}"));
        let asked = (0..16).map(|_| {
            let (http, body) = (clinic.http(), body.clone());
            tokio::spawn(async move { http.book_keyed(&body, &format!("key-{round}")).await.expect(202) })
        });
        let (mut ids, mut first) = (BTreeSet::new(), 0);
        for asked in asked.collect::<Vec<_>>() {
            let answer = asked.await.unwrap();
            ids.insert(answer.id());
            first += usize::from(answer.header("idempotency-replayed").is_none());
        }
        assert_eq!((ids.len(), first), (1, 1), "round {round}");
    }
    setup.at_rest(Duration::from_secs(20)).await;
    let setup = clinic.kill9();
    setup.check(&Expected::finished()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_replays_after_the_visit_has_begun() {
    let clinic = Setup::new().start();
    let http = clinic.http();
    let start = Utc::now() + TimeDelta::milliseconds(1200);
    let body = visit("PAC001", "DOC001", start);
    let first = http.book_keyed(&body, "key-1").await.expect(202);
    eventually("the visit's start", Duration::from_secs(10), || async { (Utc::now() > start + TimeDelta::milliseconds(50)).then_some(()) })
        .await;
    let again = http.book_keyed(&body, "key-1").await.expect(202);
    assert_eq!((again.id(), again.header("idempotency-replayed")), (first.id(), Some("true")));
    let fresh = http.book_keyed(&body, "key-2").await.expect_problem(422, "invalid_request");
    assert_eq!(fresh.fields(), ["datetime"]);
    http.book_keyed(&visit("PAC002", "DOC001", start), "key-1").await.expect_problem(422, "idempotency_key_reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_have_bounds() {
    let clinic = Setup::new().start();
    let http = clinic.http();
    let body = visit("PAC001", "DOC001", day(30));
    for key in ["", "two words", &"k".repeat(256)] {
        let answer = http.book_keyed(&body, key).await.expect_problem(422, "invalid_request");
        assert_eq!(answer.fields(), ["Idempotency-Key"]);
    }
    let twice = http.request(Method::POST, "/book").json(&body).header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(http.send(twice).await.unwrap().expect_problem(422, "invalid_request").fields(), ["Idempotency-Key"]);
    http.book_keyed(&body, &"k".repeat(255)).await.expect(202);
}
