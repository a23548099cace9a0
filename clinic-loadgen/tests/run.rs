//! Whole runs against a scripted clinic.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::Utc;
use clinic_client::{BookRequest, Client, RetryPolicy};
use clinic_loadgen::{draw::Draw, drive::drive, load::Load, report::Report, settle::settle};
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path, path_regex},
};

/// A clinic that decides at once, takes each slot once and can forget what it accepted.
#[derive(Clone, Default)]
struct Scripted {
    slots: Arc<Mutex<HashMap<(String, String), Uuid>>>,
}

impl Scripted {
    async fn start(&self, answer_after: Duration) -> MockServer {
        let server = MockServer::start().await;
        let (book, list, get) = (self.clone(), self.clone(), self.clone());
        let respond = move |request: &Request| book.book(request).set_delay(answer_after);
        Mock::given(method("POST")).and(path("/book")).respond_with(respond).mount(&server).await;
        Mock::given(method("GET")).and(path("/bookings")).respond_with(move |_: &Request| list.list()).mount(&server).await;
        Mock::given(method("GET"))
            .and(path_regex("^/booking/"))
            .respond_with(move |request: &Request| get.get(request))
            .mount(&server)
            .await;
        server
    }

    fn book(&self, request: &Request) -> ResponseTemplate {
        let body: BookRequest = serde_json::from_slice(&request.body).unwrap();
        let slot = (body.doctor_id.unwrap(), body.datetime.unwrap());
        let mut slots = self.slots.lock().unwrap();
        if slots.contains_key(&slot) {
            let problem = json!({"type": "about:blank", "title": "T", "status": 409, "code": "slot_taken"});
            return ResponseTemplate::new(409).set_body_json(problem);
        }
        let id = Uuid::now_v7();
        slots.insert(slot, id);
        ResponseTemplate::new(202).set_body_json(booking(id, "pending"))
    }

    fn list(&self) -> ResponseTemplate {
        let items: Vec<_> = self.slots.lock().unwrap().values().map(|id| booking(*id, "confirmed")).collect();
        ResponseTemplate::new(200).set_body_json(json!({"items": items, "next_cursor": null}))
    }

    fn get(&self, request: &Request) -> ResponseTemplate {
        let id: Uuid = request.url.path().rsplit('/').next().unwrap().parse().unwrap();
        if self.slots.lock().unwrap().values().any(|known| *known == id) {
            return ResponseTemplate::new(200).set_body_json(booking(id, "rejected"));
        }
        let problem = json!({"type": "about:blank", "title": "T", "status": 404, "code": "not_found"});
        ResponseTemplate::new(404).set_body_json(problem)
    }
}

fn booking(id: Uuid, status: &str) -> Value {
    let notice = json!({"id": id, "event": status, "channel": "log", "state": "sent", "tries": 1, "code": null, "receipt": null, "settled_at": null});
    json!({
        "id": id, "status": status, "reason": null, "message": "", "patient_id": "P", "patient_name": null, "doctor_id": "D",
        "datetime": "2027-03-21T15:30:00Z", "end": "2027-03-21T16:00:00Z", "duration_minutes": 30, "timezone": "UTC", "language": "es",
        "attempts": 0, "created_at": "2027-03-20T00:00:00Z", "decide_by": "2027-03-21T00:00:00Z", "decided_at": null, "replay_of": null,
        "replayed_as": null, "notices": if status == "pending" { json!([]) } else { json!([notice]) }
    })
}

fn client(server: &MockServer) -> Client {
    Client::builder(&server.uri()).retry(RetryPolicy::never()).build().unwrap()
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_open_loop_sends_what_the_schedule_says_and_counts_what_came_of_it() {
    let clinic = Scripted::default();
    let server = clinic.start(Duration::ZERO).await;
    let (client, draw) = (client(&server), Draw::new(1, 5, 20, Utc::now()));
    let load = Load::Open { rate: 400.0, in_flight: 1000 };
    let (tally, took) = drive(&client, &draw, load, Duration::from_millis(500)).await;
    assert_eq!(tally.sent(), 200);
    assert_eq!(tally.accepted.len() as u64 + tally.conflicts, 200);
    assert!(tally.conflicts > 0, "200 draws from 100 slots meet");
    let settled = settle(&client, &draw, &tally.accepted, LONG).await.unwrap();
    assert!(settled.is_complete());
    let report = Report::new(load, 1, &tally, took, settled);
    assert_eq!((report.settled.rejected, report.settled.told), (report.accepted, report.accepted));
}

#[tokio::test]
async fn an_arrival_that_finds_no_room_is_counted_as_not_sent() {
    let server = Scripted::default().start(Duration::from_millis(400)).await;
    let draw = Draw::new(1, 1000, 1000, Utc::now());
    let (tally, _) = drive(&client(&server), &draw, Load::Open { rate: 100.0, in_flight: 1 }, Duration::from_secs(1)).await;
    assert!(tally.unsent > 0);
    assert_eq!(tally.unsent + tally.sent(), 100);
}

#[tokio::test]
async fn a_closed_loop_draws_each_request_once() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let draw = Draw::new(1, 99_999, 17_000, Utc::now());
    let (tally, _) = drive(&client(&server), &draw, Load::Closed { connections: 4 }, Duration::from_millis(300)).await;
    let patients: Vec<BookRequest> =
        server.received_requests().await.unwrap().iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect();
    let mut names: Vec<_> = patients.into_iter().map(|request| request.patient_id).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), tally.sent()), (all, all as u64));
}

#[tokio::test]
async fn many_bookings_are_read_by_the_page() {
    let clinic = Scripted::default();
    let server = clinic.start(Duration::ZERO).await;
    let ids: Vec<_> = (0..1000).map(|_| Uuid::now_v7()).collect();
    clinic.slots.lock().unwrap().extend(ids.iter().map(|id| ((id.to_string(), String::new()), *id)));
    let settled = settle(&client(&server), &Draw::new(1, 1, 1, Utc::now()), &ids, LONG).await.unwrap();
    assert_eq!((settled.confirmed, settled.told), (1000, 1000));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_accepted_booking_that_is_gone_is_lost() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let settled = settle(&client(&server), &Draw::new(1, 1, 1, Utc::now()), &[Uuid::now_v7()], LONG).await.unwrap();
    assert!(!settled.is_complete());
    assert_eq!(settled.lost, 1);
}
