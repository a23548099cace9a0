//! Answers of a clinic that is newer than this client: more fields, and codes that it does not know.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use clinic_client::{Client, DeadLetterKind, EntryKind, HealthStatus, ReplayView, RetryPolicy, Status};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, path, query_param, query_param_is_missing},
};

fn booking() -> Value {
    json!({
        "id": Uuid::nil(), "status": "on_hold", "reason": "of_a_newer_server", "message": "wait", "patient_id": "P", "patient_name": null,
        "doctor_id": "D", "datetime": "2027-03-21T15:30:00Z", "end": "2027-03-21T16:00:00Z", "duration_minutes": 30, "timezone": "UTC",
        "language": "ca", "attempts": 0, "created_at": "2027-03-20T00:00:00Z", "decide_by": "2027-03-21T00:00:00Z", "decided_at": null,
        "replay_of": null, "replayed_as": null, "room": {"floor": 2},
        "notices": [{
            "id": Uuid::nil(), "event": "moved", "channel": "pigeon", "state": "on_its_way", "tries": 1, "code": null, "receipt": null,
            "settled_at": null, "wings": 2
        }]
    })
}

fn entry(seq: u32, kind: &str) -> Value {
    json!({"seq": seq, "at": "2027-03-20T00:00:00Z", "kind": kind, "code": "so", "room": {"floor": 2}})
}

fn letter() -> Value {
    json!({
        "id": 7, "booking": Uuid::nil(), "kind": "invoice", "code": "unpaid", "attempts": 4, "notice": null, "channel": null,
        "at": "2027-03-20T00:00:00Z", "replayed_at": null, "replayed_as": null, "room": 1
    })
}

async fn answers(server: &MockServer, at: &str, body: &Value) {
    Mock::given(path(at)).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(server).await;
}

fn client(server: &MockServer) -> Client {
    Client::builder(&server.uri()).retry(RetryPolicy::never()).build().unwrap()
}

/// What was read, written again: every code is the server's.
fn codes(booking: &impl serde::Serialize) -> [Value; 5] {
    let booking = serde_json::to_value(booking).unwrap();
    ["/status", "/reason", "/language", "/notices/0/event", "/notices/0/state"].map(|at| booking.pointer(at).unwrap().clone())
}

#[tokio::test]
async fn a_booking_keeps_the_codes_that_are_not_known() {
    let server = MockServer::start().await;
    answers(&server, &format!("/booking/{}", Uuid::nil()), &booking()).await;
    let shown = client(&server).bookings().get(Uuid::nil()).await.unwrap();
    assert_eq!(codes(&shown), codes(&booking()));
    assert_eq!((shown.status.known(), shown.status.to_string().as_str()), (None, "on_hold"));
    assert!(Status::ALL.iter().all(|status| shown.status != *status));
}

#[tokio::test]
async fn a_wait_gives_a_booking_whose_status_is_not_known() {
    let server = MockServer::start().await;
    answers(&server, &format!("/booking/{}", Uuid::nil()), &booking()).await;
    let wait = client(&server).bookings().wait_until_decided(Uuid::nil()).max_wait(Duration::from_secs(600));
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), wait.into_future()).await.unwrap().unwrap().status.to_string(), "on_hold");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_goes_on_past_an_item_with_codes_that_are_not_known() {
    let server = MockServer::start().await;
    let known = {
        let mut booking = booking();
        (booking["status"], booking["notices"]) = (json!("confirmed"), json!([]));
        booking
    };
    let page = |items: &[&Value], next: Option<&str>| {
        ResponseTemplate::new(200).set_body_json(json!({"items": items, "next_cursor": next, "in_all": 3}))
    };
    Mock::given(query_param_is_missing("cursor")).respond_with(page(&[&known, &booking()], Some("next"))).mount(&server).await;
    Mock::given(query_param("cursor", "next")).respond_with(page(&[&known], None)).mount(&server).await;
    let listed: Vec<_> = client(&server).bookings().list().stream().map_ok(|one| one.status.to_string()).try_collect().await.unwrap();
    assert_eq!(listed, ["confirmed", "on_hold", "confirmed"]);
}

#[tokio::test]
async fn timelines_and_events_give_entries_whose_kind_is_not_known() {
    let server = MockServer::start().await;
    let route = format!("/booking/{}", Uuid::nil());
    answers(&server, &format!("{route}/timeline"), &json!({"events": [entry(1, "accepted"), entry(2, "moved")], "more": false})).await;
    let timeline = client(&server).bookings().timeline(Uuid::nil()).await.unwrap();
    let seen = timeline.events.iter().map(|entry| (entry.seq, entry.kind.to_string(), entry.code.as_deref())).collect::<Vec<_>>();
    assert_eq!(seen, [(1, "accepted".into(), Some("so")), (2, "moved".into(), Some("so"))]);

    let text: String = [(1, "accepted"), (2, "moved"), (3, "confirmed")]
        .map(|(seq, kind)| format!("id: {seq}\nevent: {kind}\ndata: {}\n\n", entry(seq, kind)))
        .concat();
    let stream = ResponseTemplate::new(200).set_body_raw(text, "text/event-stream");
    Mock::given(path(format!("{route}/events")))
        .and(header("last-event-id", "3"))
        .respond_with(ResponseTemplate::new(204))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(path(format!("{route}/events"))).respond_with(stream).with_priority(2).mount(&server).await;
    let events: Vec<_> = client(&server).bookings().events(Uuid::nil()).try_collect().await.unwrap();
    assert_eq!(events.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(events[1].kind.known().is_none() && events[2].kind == EntryKind::Confirmed);
}

#[tokio::test]
async fn the_desk_and_health_keep_the_codes_that_are_not_known() {
    let server = MockServer::start().await;
    answers(&server, "/dead-letters", &json!({"items": [letter()], "next_cursor": null, "poison": null})).await;
    answers(&server, "/dead-letters/7/replay", &json!({"dry_run": true, "dead_letter": letter(), "cost": 1})).await;
    answers(&server, "/health", &json!({"status": "moving", "store": "ok", "broker": "ok", "roof": "ok"})).await;
    let client = client(&server);
    let page = client.dead_letters().list().send().await.unwrap();
    let ReplayView { dead_letter, .. } = client.dead_letters().replay(7).dry_run(true).send().await.unwrap();
    for letter in [&page.items[0], &dead_letter] {
        assert!(letter.kind.to_string() == "invoice" && letter.kind != DeadLetterKind::Decide);
    }
    let status = client.health().await.unwrap().status;
    assert!(status.known().is_none() && status != HealthStatus::Ok && status.to_string() == "moving");
}
