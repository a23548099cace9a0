//! The API's contract, answer by answer: what can be seen from outside, of a clinic and of the one in memory alike ([`both`]); the rest
//! over a reception whose store does as told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod both;
mod client;
mod dead_letters;
mod desk;
mod document;
mod events;
mod monitor;
mod scripted;
mod webhooks;

use std::{collections::BTreeSet, time::Duration};

use axum::body::Body;
use clinic_core::{
    api::ProblemCode,
    booking::{CancelRefused, Status},
    dead_letter::ReplayRefused,
    timeline::EntryKind,
};
use clinic_services::http::{document, keys::Keys};
use http::{Method, Request};
use serde_json::{Value, json};

use self::{
    desk::{Desk, visit},
    scripted::Mood,
};

#[tokio::test]
async fn a_body_over_64_kib_is_refused_said_or_not() {
    let desk = Desk::open();
    let large = format!("{{\"patient_id\":\"{}\"}}", "x".repeat(64 * 1024));
    let said = desk.post(large.clone(), &[("content-length", &large.len().to_string())]).await;
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(large.clone()), Ok(large)]);
    let unsaid = desk.post(Body::from_stream(pieces), &[]).await;
    for answer in [said, unsaid] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "body_too_large"));
    }
    let room = 64 * 1024 - r#"{"patient_id":""}"#.len();
    let full = format!("{{\"patient_id\":\"{}\"}}", "x".repeat(room));
    assert_eq!(desk.post(full, &[]).await.status, 422);
}

#[tokio::test]
async fn conflicts_and_limits_have_their_codes() {
    let desk = Desk::open();
    for (mood, status, code) in [(Mood::SlotTaken, 409, "slot_taken"), (Mood::TooManyPending, 429, "too_many_pending")] {
        desk.store.be(mood);
        let answer = desk.book(24, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_time_or_with_the_shutdown() {
    let desk = Desk::open();
    let uri = format!("/booking/{}?wait=60", desk.book(24, &[]).await.id());
    let begun = tokio::time::Instant::now();
    assert_eq!(desk.get(&uri).await.json()["status"], "pending");
    assert_eq!(begun.elapsed().as_secs(), 60);
    let (answer, ()) = tokio::join!(desk.get(&uri), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        desk.shutdown.cancel();
    });
    assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (200, 65));
}

#[tokio::test]
async fn cancelling_says_why_not() {
    let desk = Desk::open();
    let uri = format!("/booking/{}", desk.book(24, &[]).await.id());
    assert_eq!(desk.call(Method::DELETE, &uri).await.status, 200);
    for (refused, code) in [(CancelRefused::NotCancellable, "not_cancellable"), (CancelRefused::AlreadyStarted, "already_started")] {
        let answer = desk.in_mood(Mood::Refusing(refused), &uri, Method::DELETE).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, code));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_503_with_retry_after_and_an_unknown_outcome_504() {
    let desk = Desk::open();
    let booking = format!("/booking/{}", desk.book(24, &[]).await.id());
    for mood in [Mood::Busy, Mood::Gone] {
        let mut answers = vec![
            desk.in_mood(mood, &booking, Method::GET).await,
            desk.in_mood(mood, &format!("{booking}?wait=3"), Method::GET).await,
            desk.in_mood(mood, &format!("{booking}/timeline"), Method::GET).await,
            desk.in_mood(mood, &booking, Method::DELETE).await,
            desk.in_mood(mood, "/bookings", Method::GET).await,
        ];
        desk.store.be(mood);
        answers.push(desk.book(24, &[]).await);
        for answer in answers {
            assert_eq!((answer.status.as_u16(), answer.code().as_str(), answer.header("retry-after")), (503, "unavailable", "1"));
            assert!(!answer.json()["detail"].as_str().unwrap().contains("I/O"));
        }
    }
    desk.store.be(Mood::Unknown);
    let unknown = desk.book(24, &[("idempotency-key", "k")]).await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (504, "outcome_unknown"));
    assert_eq!(desk.in_mood(Mood::Unknown, &booking, Method::DELETE).await.code(), "outcome_unknown");
}

#[tokio::test(start_paused = true)]
async fn a_503_is_never_the_answer_to_a_key_that_has_a_booking() {
    let desk = Desk::open();
    let key = [("idempotency-key", "k")];
    let first = desk.book(24, &key).await;
    desk.store.be(Mood::Shedding);
    let again = desk.book(24, &key).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed"), again.id()), (202, "true", first.id()));
    assert_eq!(desk.book(48, &key).await.code(), "idempotency_key_reused");
    let other = desk.book(24, &[("idempotency-key", "other")]).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (503, "unavailable"), "no booking has this key");
    for mood in [Mood::Busy, Mood::Gone] {
        desk.store.be(mood);
        let unknown = desk.book(24, &key).await;
        assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (504, "outcome_unknown"), "who cannot read cannot know");
        assert_eq!(desk.book(-24, &key).await.code(), "outcome_unknown", "nor whether it repeats one that was in time");
    }
}

#[tokio::test]
async fn an_outcome_in_doubt_that_is_found_is_answered_as_first_made() {
    let desk = Desk::open();
    desk.store.be(Mood::Doubtful);
    let accepted = desk.book(24, &[]).await;
    assert_eq!((accepted.status.as_u16(), &accepted.json()["status"]), (202, &json!("pending")));
}

#[tokio::test]
async fn a_fault_is_500_and_shows_nothing_inside() {
    let desk = Desk::open();
    let booking = format!("/booking/{}", desk.book(24, &[]).await.id());
    for mood in [Mood::Panicking, Mood::Corrupt] {
        for (method, uri) in [
            (Method::GET, booking.clone()),
            (Method::DELETE, booking.clone()),
            (Method::GET, format!("{booking}/timeline")),
            (Method::GET, "/bookings".to_owned()),
        ] {
            let answer = desk.in_mood(mood, &uri, method).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "internal"));
            assert!(!String::from_utf8(answer.body).unwrap().contains("scripted"));
        }
    }
    desk.store.be(Mood::Panicking);
    assert_eq!(desk.book(24, &[]).await.code(), "internal");
}

#[tokio::test]
async fn health_tells_the_store_from_the_broker() {
    let desk = Desk::open();
    assert_eq!(desk.get("/health/live").await.json(), json!({ "status": "ok" }));
    let ready = desk.get("/health/ready").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.json()["status"], &ready.json()["broker"]),
        (200, &json!("degraded"), &json!("the broker was closed"))
    );
    let down = desk.in_mood(Mood::Gone, "/health/ready", Method::GET).await;
    assert_eq!((down.status.as_u16(), &down.json()["status"], down.header("retry-after")), (503, &json!("down"), "1"));
    assert!(down.json()["store"].as_str().unwrap().contains("store"));
    let whole = desk.in_mood(Mood::Gone, "/health", Method::GET).await;
    assert_eq!((whole.status.as_u16(), &whole.json()["status"]), (200, &json!("degraded")));
}

#[tokio::test]
async fn metrics_carry_figures_read_at_the_scrape() {
    let desk = Desk::open();
    desk.book(24, &[]).await;
    desk.get("/nowhere").await;
    let metrics = desk.get("/metrics").await;
    let text = String::from_utf8(metrics.body).unwrap();
    for line in ["clinic_queue_depth{queue=\"booking_queue\"} 3", "clinic_store_up 1", "clinic_http_problems_total{code=\"not_found\"}"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(text.contains("process_resident_memory_bytes") && text.contains("# HELP clinic_store_wal_bytes"));
}

#[tokio::test]
async fn the_front_page_and_the_documentation_need_nothing_from_outside() {
    let desk = Desk::open();
    assert_eq!(desk.get("/").await.json()["links"]["documentation"], "/docs");
    let page = desk.ask(Request::get("/").header("accept", "text/html,*/*").body(Body::empty()).unwrap()).await;
    assert!(String::from_utf8(page.body).unwrap().contains("openapi.json"));
    assert_eq!(desk.get("/docs").await.header("location"), "/docs/");
    let docs = String::from_utf8(desk.get("/docs/").await.body).unwrap();
    assert!(!docs.contains("https://") && !docs.contains("http://"), "{docs}");
    let script = String::from_utf8(desk.get("/docs/swagger-initializer.js").await.body).unwrap();
    assert!(script.contains("../openapi.json") && script.contains("none") && !script.contains("https://"), "{script}");
    assert_eq!(desk.get("/openapi.json").await.json(), serde_json::to_value(document()).unwrap());
}

#[tokio::test]
async fn keys_guard_everything_but_health_and_scope_idempotency() {
    let keys = Keys::parse("desk:0123456789abcdef\nkiosk:fedcba9876543210").unwrap();
    let desk = Desk::with(Some(keys), true);
    let id = "0190163d-8694-739b-aea5-966c26f8ad91";
    for (method, uri) in [
        (Method::GET, "/".to_owned()),
        (Method::GET, "/bookings".to_owned()),
        (Method::GET, "/webhooks".to_owned()),
        (Method::POST, "/webhooks".to_owned()),
        (Method::GET, "/webhooks/7".to_owned()),
        (Method::DELETE, "/webhooks/7".to_owned()),
        (Method::POST, "/webhooks/7/test".to_owned()),
        (Method::POST, "/webhooks/7/secret".to_owned()),
        (Method::GET, "/metrics".to_owned()),
        (Method::GET, "/docs/".to_owned()),
        (Method::GET, "/nowhere".to_owned()),
        (Method::GET, "/healthy".to_owned()),
        (Method::GET, format!("/booking/{id}")),
        (Method::GET, format!("/booking/{id}/timeline")),
        (Method::DELETE, format!("/booking/{id}")),
        (Method::POST, "/book".to_owned()),
    ] {
        let request = |key: Option<&str>| {
            let request = Request::builder().method(method.clone()).uri(&uri);
            key.map_or(Request::builder().method(method.clone()).uri(&uri), |key| request.header("authorization", key))
                .body(Body::empty())
                .unwrap()
        };
        for key in [None, Some("Basic 0123456789abcdef"), Some("")] {
            let answer = desk.ask(request(key)).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str(), answer.header("www-authenticate")),
                (401, "unauthorized", "Bearer")
            );
        }
        let answer = desk.ask(request(Some("Bearer 0123456789abcdeX"))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"), "{uri}");
    }
    assert_eq!(desk.get("/health/live").await.status, 200);
    let of_desk = desk.book(24, &[("authorization", "Bearer 0123456789abcdef"), ("idempotency-key", "k")]).await;
    let of_kiosk = desk.book(24, &[("authorization", "bearer fedcba9876543210"), ("idempotency-key", "k")]).await;
    let again = desk.book(24, &[("authorization", "Bearer 0123456789abcdef"), ("idempotency-key", "k")]).await;
    assert_ne!(of_desk.id(), of_kiosk.id());
    assert_eq!(of_desk.id(), again.id());
}

#[tokio::test(start_paused = true)]
async fn every_answer_that_the_document_lists_is_given() {
    let desk = Desk::with(Some(Keys::parse("desk:0123456789abcdef").unwrap()), true);
    let key = ("authorization", "Bearer 0123456789abcdef");
    let ask = async |method: Method, uri: &str, key: &str| {
        let body = if uri == "/webhooks" { json!({ "url": "https://example.org" }) } else { visit(24) };
        let request = Request::builder().method(method).uri(uri).header("authorization", key);
        desk.ask(request.header("content-type", "application/json").body(body.to_string().into()).unwrap()).await
    };
    let id = desk.book(24, &[key]).await.id();
    let (known, unknown) = (format!("/booking/{id}"), "/booking/0190163d-8694-739b-aea5-966c26f8ad91");
    let (webhook, no_webhook) = (format!("/webhooks/{}", scripted::endpoint().id), "/webhooks/8");
    let routes = [
        (Method::GET, known.clone()),
        (Method::DELETE, known.clone()),
        (Method::GET, format!("{known}/timeline")),
        (Method::GET, format!("{known}/events")),
        (Method::GET, "/bookings".to_owned()),
        (Method::POST, "/book".to_owned()),
        (Method::GET, "/dead-letters".to_owned()),
        (Method::GET, "/dead-letters/7".to_owned()),
        (Method::POST, "/dead-letters/7/replay".to_owned()),
        (Method::GET, "/webhooks".to_owned()),
        (Method::POST, "/webhooks".to_owned()),
        (Method::GET, webhook.clone()),
        (Method::DELETE, webhook.clone()),
        (Method::POST, format!("{webhook}/test")),
        (Method::POST, format!("{webhook}/enable")),
        (Method::POST, format!("{webhook}/secret")),
        (Method::GET, "/metrics".to_owned()),
        (Method::GET, "/".to_owned()),
        (Method::GET, "/health".to_owned()),
        (Method::GET, "/health/live".to_owned()),
        (Method::GET, "/health/ready".to_owned()),
    ];
    let moods = [
        Mood::Well,
        Mood::SlotTaken,
        Mood::TooManyPending,
        Mood::Refusing(CancelRefused::NotCancellable),
        Mood::NotReplaying(ReplayRefused::SlotTaken),
        Mood::WebhookThere,
    ];
    for mood in moods.into_iter().chain([Mood::Gone, Mood::Unknown, Mood::Panicking]) {
        desk.store.be(mood);
        for (method, uri) in &routes {
            for key in [key.1, "", "Bearer none"] {
                ask(method.clone(), uri, key).await;
            }
            ask(method.clone(), &format!("{uri}?nonsense"), key.1).await;
        }
    }
    desk.store.be(Mood::Well);
    for (method, uri) in [
        (Method::GET, unknown.to_owned()),
        (Method::DELETE, unknown.to_owned()),
        (Method::GET, format!("{unknown}/timeline")),
        (Method::GET, format!("{unknown}/events")),
        (Method::GET, no_webhook.to_owned()),
        (Method::DELETE, no_webhook.to_owned()),
        (Method::POST, format!("{no_webhook}/test")),
        (Method::POST, format!("{no_webhook}/enable")),
        (Method::POST, format!("{no_webhook}/secret")),
    ] {
        ask(method, &uri, key.1).await;
    }
    desk.store.decide(&id, Status::Confirmed);
    let seen = Request::get(format!("{known}/events")).header(key.0, key.1).header("last-event-id", "2");
    assert_eq!(desk.ask(seen.body(Body::empty()).unwrap()).await.status, 204);
    ask(Method::GET, "/dead-letters/8", key.1).await;
    ask(Method::POST, "/dead-letters/8/replay", key.1).await;
    for route in ["/book", "/webhooks"] {
        let request = |body: String| Request::post(route).header(key.0, key.1).header("content-type", "application/json").body(body.into());
        desk.ask(request("{".into()).unwrap()).await;
        desk.ask(request("x".repeat(65 * 1024)).unwrap()).await;
        desk.ask(Request::post(route).header(key.0, key.1).body(Body::empty()).unwrap()).await;
    }
    let without = Desk::without_webhooks();
    without.call(Method::POST, &format!("{webhook}/test")).await;
    desk.document.seen_too(&without.document);
    // Two routes have nothing in them that could fail; metrics are there, and the next test takes them away.
    let unseen: Vec<_> = desk.document.unseen().into_iter().map(|(operation, status)| format!("{operation} {status}")).collect();
    assert_eq!(unseen, ["home 500", "live 500", "metrics 404"]);
}

#[tokio::test]
async fn without_a_recorder_there_are_no_metrics() {
    assert_eq!(Desk::with(None, false).get("/metrics").await.code(), "not_found");
}

#[test]
fn the_document_is_openapi_3_1_with_every_code_and_kind() {
    let document = serde_json::to_value(document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let listed = |schema: &str| -> BTreeSet<String> {
        document["components"]["schemas"][schema]["enum"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("ProblemCode"), ProblemCode::ALL.iter().map(ToString::to_string).collect());
    assert_eq!(listed("EntryKind"), EntryKind::ALL.iter().map(ToString::to_string).collect());
    assert!(listed("Reason").contains("availability_unreachable"));
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no operationId")).to_owned())
            );
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
    let expected = [
        "book",
        "booking",
        "bookings",
        "cancel",
        "deadLetter",
        "deadLetters",
        "enableWebhook",
        "events",
        "health",
        "home",
        "live",
        "metrics",
        "ready",
        "registerWebhook",
        "removeWebhook",
        "renewWebhookSecret",
        "replay",
        "testWebhook",
        "timeline",
        "webhook",
        "webhooks",
    ];
    assert_eq!(ids, expected.into_iter().map(str::to_owned).collect());
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = serde_json::to_value(document()).unwrap();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}
