//! The dead-letter desk's routes.

use std::sync::atomic::Ordering;

use clinic_core::dead_letter::ReplayRefused;
use http::Method;
use serde_json::json;

use super::{
    desk::{Answer, Desk},
    scripted::Mood,
};

/// Replays the letter of this id, which a query may follow.
async fn replay(desk: &Desk, letter: &str) -> Answer {
    let (id, query) = letter.split_once('?').unwrap_or((letter, ""));
    desk.call(Method::POST, &format!("/dead-letters/{id}/replay?{query}")).await
}

#[tokio::test]
async fn letters_are_listed_and_shown() {
    let desk = Desk::open();
    let page = desk.get("/dead-letters?kind=decide&older_than=2030-01-01T00:00:00Z&replayed=false&limit=200").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.json()["items"][0]["code"], "availability_unreachable");
    assert!(page.json()["next_cursor"].is_null());
    let next = desk.get("/dead-letters?limit=1").await.json()["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(desk.get(&format!("/dead-letters?cursor={next}")).await.status, 200);
    let one = desk.get("/dead-letters/7").await;
    assert_eq!((one.status.as_u16(), one.json()["id"].as_i64()), (200, Some(7)));
    for unknown in ["8", "x", "99999999999999999999"] {
        assert_eq!(desk.get(&format!("/dead-letters/{unknown}")).await.code(), "not_found", "{unknown}");
    }
}

#[tokio::test]
async fn poison_is_listed_beside_the_first_page_if_the_broker_can_be_asked() {
    let desk = Desk::open();
    let page = desk.get("/dead-letters?limit=1").await.json();
    assert!(page["poison"].is_null() && page["items"][0]["id"] == 7, "letters without the broker: {page}");
    desk.broker.well.store(true, Ordering::SeqCst);
    let page = desk.get("/dead-letters?limit=1").await.json();
    assert_eq!(page["poison"], json!([{ "queue": "booking_queue.dead", "message_id": null, "bytes": 12 }]));
    let next = page["next_cursor"].as_str().unwrap();
    assert!(desk.get(&format!("/dead-letters?cursor={next}")).await.json()["poison"].is_null());
}

#[tokio::test]
async fn bad_filters_are_named() {
    let desk = Desk::open();
    for (query, field) in [
        ("kind=tell", "kind"),
        ("code=", "code"),
        ("older_than=yesterday", "older_than"),
        ("newer_than=1", "newer_than"),
        ("replayed=yes", "replayed"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
        ("doctor_id=D", "doctor_id"),
    ] {
        assert_eq!(desk.get(&format!("/dead-letters?{query}")).await.fields(), [field]);
    }
    assert_eq!(replay(&desk, "7?dry_run=maybe").await.fields(), ["dry_run"]);
}

#[tokio::test]
async fn a_letter_is_replayed_or_only_tried() {
    let desk = Desk::open();
    let tried = replay(&desk, "7?dry_run=true").await;
    assert_eq!((tried.status.as_u16(), tried.json()["dry_run"].as_bool()), (200, Some(true)));
    assert!(tried.json()["dead_letter"]["replayed_as"].is_null());
    let replayed = replay(&desk, "7").await;
    assert_eq!((replayed.status.as_u16(), replayed.json()["dry_run"].as_bool()), (200, Some(false)));
    assert!(replayed.json()["dead_letter"]["replayed_as"].is_string());
    assert_eq!(replay(&desk, "8").await.code(), "not_found");
}

#[tokio::test]
async fn every_reason_to_refuse_a_replay_is_a_code() {
    let desk = Desk::open();
    for refused in ReplayRefused::ALL {
        desk.store.be(Mood::NotReplaying(*refused));
        let answer = replay(&desk, "7").await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, refused.as_str()));
    }
    desk.store.be(Mood::Busy);
    assert_eq!(replay(&desk, "7").await.status, 503);
    desk.store.be(Mood::Corrupt);
    let corrupt = replay(&desk, "7").await;
    assert_eq!((corrupt.status.as_u16(), corrupt.code().as_str()), (500, "internal"), "asking again helps nobody");
    desk.store.be(Mood::Unknown);
    assert_eq!(replay(&desk, "7").await.code(), "outcome_unknown");
}
