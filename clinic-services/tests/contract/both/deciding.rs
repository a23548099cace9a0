//! Decisions: waited for, followed, taken back, failed.

use http::Method;
use serde_json::{Value, json};

use super::face::{Answer, Face, NEVER, REFUSING, SILENT, visit, visit_to};

pub(super) async fn a_wait_ends_with_the_decision(face: &Face) {
    for (doctor, status, reason) in [("DOC001", "confirmed", Value::Null), (NEVER, "rejected", json!("unavailable"))] {
        let id = face.book(&visit_to(doctor, 24), &[]).await.id();
        let decided = face.get(&format!("/booking/{id}?wait=10")).await.json();
        assert_eq!((decided["status"].as_str(), &decided["reason"], &decided["attempts"]), (Some(status), &reason, &json!(1)));
        assert!(decided["decided_at"].as_str().unwrap().ends_with('Z'));
        let timeline = face.get(&format!("/booking/{id}/timeline")).await.json();
        let kinds: Vec<_> = timeline["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds[..3], ["accepted", "attempt", status]);
    }
    let id = face.book(&visit_to(SILENT, 24), &[]).await.id();
    assert_eq!(face.get(&format!("/booking/{id}?wait=1")).await.json()["status"], "pending");
}

pub(super) async fn cancelling_frees_the_slot_and_says_why_not(face: &Face) {
    let path = format!("/booking/{}", face.book(&visit(24), &[]).await.id());
    for _ in 0..2 {
        let cancelled = face.call(Method::DELETE, &path).await;
        assert_eq!((cancelled.status, &cancelled.json()["status"]), (200, &json!("cancelled")));
    }
    let rejected = format!("/booking/{}", face.book(&visit_to(NEVER, 24), &[]).await.id());
    face.get(&format!("{rejected}?wait=10")).await;
    assert_eq!(face.call(Method::DELETE, &rejected).await.problem(), (409, "not_cancellable".to_owned()));
}

fn events(answer: &Answer) -> Vec<(String, String)> {
    let field = |block: &str, name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let events = answer.body.split("\n\n").filter_map(|block| Some((field(block, "id: ")?, field(block, "event: ")?)));
    events.collect()
}

pub(super) async fn events_are_replayed_resumed_and_end(face: &Face) {
    let id = face.book(&visit(24), &[]).await.id();
    let path = format!("/booking/{id}/events");
    let stream = face.get(&path).await;
    assert_eq!((stream.status, stream.header("content-type"), stream.header("cache-control")), (200, "text/event-stream", "no-store"));
    assert!(stream.body.contains("retry: "));
    let all = events(&stream);
    let kinds: Vec<_> = all.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(kinds[..3], ["accepted", "attempt", "confirmed"]);
    let resume = |seen: &str| face.ask(face.request(Method::GET, &path).header("last-event-id", seen));
    assert_eq!(events(&resume(&all[0].0).await), all[1..]);
    let over = resume(&all.last().unwrap().0).await;
    assert_eq!((over.status, over.body.as_str()), (204, ""));
}

pub(super) async fn a_last_event_that_is_no_number_is_named(face: &Face) {
    let path = format!("/booking/{}/events", face.book(&visit(24), &[]).await.id());
    for seen in [&[""][..], &["x"], &["-1"], &["1.5"], &["4294967296"], &["1", "1"]] {
        let request = seen.iter().fold(face.request(Method::GET, &path), |request, seen| request.header("last-event-id", *seen));
        assert_eq!(face.ask(request).await.fields(), ["Last-Event-ID"], "{seen:?}");
    }
}

pub(super) async fn a_failed_decision_is_on_the_desk_and_replayed_once(face: &Face) {
    let id = face.book(&visit_to(REFUSING, 24), &[]).await.id();
    assert_eq!(face.get(&format!("/booking/{id}?wait=10")).await.json()["reason"], "availability_refused");
    let page = face.get("/dead-letters?kind=decide&code=availability_refused&replayed=false").await.json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["items"][0]["booking"]), (1, &json!(id)));
    let letter = format!("/dead-letters/{}", page["items"][0]["id"]);
    let tried = face.call(Method::POST, &format!("{letter}/replay?dry_run=true")).await.json();
    assert_eq!((&tried["dry_run"], &tried["dead_letter"]["replayed_as"]), (&json!(true), &Value::Null));
    let replayed = face.call(Method::POST, &format!("{letter}/replay")).await.json();
    let new = replayed["dead_letter"]["replayed_as"].as_str().unwrap().to_owned();
    assert_eq!(face.get(&format!("/booking/{new}")).await.json()["replay_of"], json!(id));
    assert_eq!(face.get(&format!("/booking/{id}")).await.json()["replayed_as"], json!(new));
    assert_eq!(face.call(Method::POST, &format!("{letter}/replay")).await.problem(), (409, "already_replayed".to_owned()));
    assert!(face.get(&letter).await.json()["replayed_at"].is_string());
    assert_eq!(face.get("/dead-letters?code=availability_refused&replayed=true").await.json()["items"].as_array().unwrap().len(), 1);
}
