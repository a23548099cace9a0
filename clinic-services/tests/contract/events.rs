//! `/booking/{id}/events`: what a stream holds, where it goes on and when it ends. Time is turned by hand.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use clinic_core::{booking::Status, waiters};
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::ServiceExt;

use super::desk::{Answer, Desk};

/// An event as it came: id, name, data.
type Event = (String, String, Value);

/// The events of a stream or a piece of it, and how many comments came between them.
fn parsed(text: &str) -> (Vec<Event>, usize) {
    let (mut events, mut comments) = (Vec::new(), 0);
    for block in text.split_terminator("\n\n") {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        match (field("id: "), field("event: "), field("data: ")) {
            (Some(id), Some(event), Some(data)) => events.push((id, event, serde_json::from_str(&data).unwrap())),
            (None, None, None) if block.starts_with(':') => comments += 1,
            (None, None, None) if block.starts_with("retry: ") => assert!((1_000..3_000).contains(&block[7..].parse::<u32>().unwrap())),
            _ => panic!("no event: {block:?}"),
        }
    }
    (events, comments)
}

fn names(text: &str) -> Vec<(String, String)> {
    parsed(text).0.into_iter().map(|(id, event, _)| (id, event)).collect()
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn request(id: &str, seen: &[&str]) -> Request<Body> {
    let request = seen.iter().fold(Request::get(format!("/booking/{id}/events")), |request, seen| request.header("last-event-id", *seen));
    request.body(Body::empty()).unwrap()
}

/// Whatever wakes followers, until it is dropped.
fn watching(desk: &Desk) -> AbortOnDropHandle<()> {
    let (waiters, store): (_, Arc<dyn clinic_core::ports::Store>) = (desk.waiters.clone(), desk.store.clone());
    AbortOnDropHandle::new(tokio::spawn(waiters::run(waiters, store, None, CancellationToken::new())))
}

#[tokio::test(start_paused = true)]
async fn a_decided_booking_is_replayed_and_the_stream_ends() {
    let desk = Desk::open();
    let id = desk.book(24, &[]).await.id();
    desk.store.decide(&id, Status::Rejected);
    let begun = Instant::now();
    let answer = desk.ask(request(&id, &[])).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream"));
    assert_eq!((answer.header("cache-control"), answer.header("x-accel-buffering")), ("no-store", "no"));
    assert_eq!(begun.elapsed(), Duration::ZERO, "it waited for something");
    assert!(text(&answer).starts_with("retry: "));
    let timeline = desk.get(&format!("/booking/{id}/timeline")).await.json();
    let (events, _) = parsed(text(&answer));
    assert_eq!(events[0], ("1".into(), "accepted".into(), timeline["events"][0].clone()));
    assert_eq!(names(text(&answer)), [("1".into(), "accepted".into()), ("2".into(), "rejected".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_again_goes_on_from_where_it_was() {
    let desk = Desk::open();
    let id = desk.book(24, &[]).await.id();
    desk.store.decide(&id, Status::Confirmed);
    assert_eq!(names(text(&desk.ask(request(&id, &["1"])).await)), [("2".into(), "confirmed".into())]);
    assert_eq!(names(text(&desk.ask(request(&id, &["0"])).await)).len(), 2);
    let over = desk.ask(request(&id, &["2"])).await;
    assert_eq!((over.status.as_u16(), text(&over)), (204, ""));
}

#[tokio::test(start_paused = true)]
async fn a_last_event_that_is_no_number_is_named() {
    let desk = Desk::open();
    let id = desk.book(24, &[]).await.id();
    for seen in [&[""][..], &["x"], &["-1"], &["1.5"], &["4294967296"], &["1", "1"]] {
        assert_eq!(desk.ask(request(&id, seen)).await.fields(), ["Last-Event-ID"], "{seen:?}");
    }
    assert_eq!(desk.get(&format!("/booking/{id}/events?wait=1")).await.fields(), ["wait"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_news_shows_signs_of_life_and_ends_after_a_minute() {
    let desk = Desk::open();
    let _watching = watching(&desk);
    let id = desk.book(24, &[]).await.id();
    let begun = Instant::now();
    let answer = desk.ask(request(&id, &[])).await;
    let (events, comments) = parsed(text(&answer));
    assert_eq!((events.len(), comments, begun.elapsed()), (1, 3, Duration::from_secs(60)));
}

#[tokio::test(start_paused = true)]
async fn a_decision_comes_within_a_second_and_ends_every_stream_of_its_booking() {
    let desk = Desk::open();
    let _watching = watching(&desk);
    let id = desk.book(24, &[]).await.id();
    let mut streams = Vec::new();
    // One has the first entry already, two do not: each gets what it lacks, and nothing twice.
    for seen in [&[][..], &["1"], &[]] {
        streams.push(desk.router.clone().oneshot(request(&id, seen)).await.unwrap().into_body());
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    desk.store.decide(&id, Status::Confirmed);
    let decided = Instant::now();
    let mut seen = Vec::new();
    for stream in streams {
        let body = timeout(Duration::from_secs(30), stream.collect()).await.unwrap().unwrap().to_bytes();
        seen.push(names(std::str::from_utf8(&body).unwrap()).into_iter().map(|(_, event)| event).collect::<Vec<_>>());
    }
    // Only now is the first of them read at all: none of them lost anything by that.
    assert_eq!(seen, [vec!["accepted", "confirmed"], vec!["confirmed"], vec!["accepted", "confirmed"]]);
    assert!(decided.elapsed() <= Duration::from_secs(2), "{:?}", decided.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_made_good_by_the_next() {
    let desk = Desk::open();
    let _watching = watching(&desk);
    let id = desk.book(24, &[]).await.id();
    let stream = desk.router.clone().oneshot(request(&id, &["1"])).await.unwrap().into_body();
    let reading = tokio::spawn(stream.collect());
    desk.store.be(super::scripted::Mood::Gone);
    tokio::time::sleep(Duration::from_secs(5)).await;
    desk.store.decide(&id, Status::Confirmed);
    desk.store.be(super::scripted::Mood::Well);
    let body = timeout(Duration::from_secs(2), reading).await.unwrap().unwrap().unwrap().to_bytes();
    assert_eq!(names(std::str::from_utf8(&body).unwrap()), [("2".into(), "confirmed".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_streams_cleanly_at_once() {
    let desk = Desk::open();
    let id = desk.book(24, &[]).await.id();
    let stream = desk.router.clone().oneshot(request(&id, &[])).await.unwrap().into_body();
    let reading = tokio::spawn(stream.collect());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stopped = Instant::now();
    desk.shutdown.cancel();
    let body = reading.await.unwrap().unwrap().to_bytes();
    assert_eq!(stopped.elapsed(), Duration::ZERO);
    assert_eq!(names(std::str::from_utf8(&body).unwrap()), [("1".into(), "accepted".into())]);
}
