//! The client against a scripted server: keys, tries, pauses, errors.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use clinic_client::{BookRequest, Client, Error, ProblemCode, Status};
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{header, header_exists, method, path, query_param},
};

fn booking(id: Uuid, status: &str) -> Value {
    json!({
        "id": id, "status": status, "reason": null, "message": "", "patient_id": "P", "patient_name": null, "doctor_id": "D",
        "datetime": "2027-03-21T15:30:00Z", "end": "2027-03-21T16:00:00Z", "duration_minutes": 30, "timezone": "UTC", "language": "es",
        "attempts": 0, "created_at": "2027-03-20T00:00:00Z", "decide_by": "2027-03-21T00:00:00Z", "decided_at": null, "replay_of": null,
        "replayed_as": null, "notices": [], "a_field_of_a_newer_server": true
    })
}

fn problem(status: u16, code: &str) -> ResponseTemplate {
    let body = json!({"type": "about:blank", "title": "T", "status": status, "code": code, "detail": "what to do"});
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/problem+json")
}

fn request() -> BookRequest {
    BookRequest { patient_id: Some("P".into()), datetime: Some("2027-03-21T15:30:00Z".into()), ..BookRequest::default() }
}

fn client(server: &MockServer) -> Client {
    Client::builder(&server.uri()).timeout(Duration::from_millis(300)).token("hush").build().unwrap()
}

/// Answers in turn; the last one for ever.
async fn script(server: &MockServer, answers: Vec<ResponseTemplate>) {
    let last = answers.len() - 1;
    for (place, answer) in answers.into_iter().enumerate() {
        let mock = Mock::given(path("/book")).and(method("POST")).respond_with(answer).with_priority(u8::try_from(place + 1).unwrap());
        if place < last { mock.up_to_n_times(1) } else { mock }.mount(server).await;
    }
}

async fn keys(server: &MockServer) -> Vec<String> {
    let key = |request: &Request| request.headers["idempotency-key"].to_str().unwrap().to_owned();
    server.received_requests().await.unwrap().iter().map(key).collect()
}

#[tokio::test]
async fn a_request_carries_a_fresh_key_and_the_token() {
    let server = MockServer::start().await;
    let id = Uuid::now_v7();
    Mock::given(path("/book"))
        .and(header("authorization", "Bearer hush"))
        .and(header("content-type", "application/json"))
        .and(header_exists("user-agent"))
        .respond_with(ResponseTemplate::new(202).set_body_json(booking(id, "pending")))
        .mount(&server)
        .await;
    let client = client(&server);
    for _ in 0..2 {
        let booking = client.bookings().request(request()).send().await.unwrap();
        assert_eq!((booking.id, booking.status), (id, Status::Pending));
    }
    let keys = keys(&server).await;
    assert_ne!(keys[0], keys[1]);
    assert_eq!(Uuid::parse_str(&keys[0]).unwrap().get_version_num(), 7);
}

#[tokio::test]
async fn a_call_is_tried_three_times_under_one_key() {
    for answers in [
        vec![problem(503, "unavailable"), problem(504, "outcome_unknown")],
        // The first answer comes too late.
        vec![ResponseTemplate::new(202).set_delay(Duration::from_secs(5)), ResponseTemplate::new(502).set_body_string("<html>")],
    ] {
        let server = MockServer::start().await;
        let accepted = ResponseTemplate::new(202).set_body_json(booking(Uuid::now_v7(), "pending"));
        script(&server, answers.into_iter().chain([accepted]).collect()).await;
        client(&server).bookings().request(request()).send().await.unwrap();
        let keys = keys(&server).await;
        assert_eq!(keys.len(), 3);
        assert!(keys.iter().all(|key| *key == keys[0]));
    }
}

#[tokio::test]
async fn the_third_failure_is_the_answer() {
    let server = MockServer::start().await;
    script(&server, vec![problem(503, "unavailable")]).await;
    let error = client(&server).bookings().request(request()).idempotency_key("mine").send().await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::Unavailable));
    assert_eq!(keys(&server).await, ["mine"; 3]);
}

#[tokio::test]
async fn a_server_that_asks_for_a_pause_gets_it() {
    let server = MockServer::start().await;
    let accepted = ResponseTemplate::new(202).set_body_json(booking(Uuid::now_v7(), "pending"));
    script(&server, vec![problem(503, "unavailable").insert_header("retry-after", "1"), accepted]).await;
    let before = std::time::Instant::now();
    client(&server).bookings().request(request()).send().await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn what_no_repetition_mends_is_not_repeated() {
    for (status, code) in [(409, "slot_taken"), (429, "too_many_pending"), (422, "idempotency_key_reused"), (418, "of_a_newer_server")] {
        let server = MockServer::start().await;
        script(&server, vec![problem(status, code)]).await;
        match client(&server).bookings().request(request()).send().await.unwrap_err() {
            Error::Api(problem) => assert_eq!((problem.status, problem.code.as_str()), (status, code)),
            other => panic!("{other:?}"),
        }
        assert_eq!(keys(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_is_refused_before_sending() {
    let server = MockServer::start().await;
    for key in ["", "two words", "ñ", &"x".repeat(256)] {
        let error = client(&server).bookings().request(request()).idempotency_key(key).send().await.unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(fields) if fields[0].field == "Idempotency-Key"));
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_of_another_contract_is_told_from_a_failure() {
    let server = MockServer::start().await;
    script(&server, vec![ResponseTemplate::new(202).set_body_string("hello")]).await;
    assert!(matches!(client(&server).bookings().request(request()).send().await, Err(Error::Decode(_))));
}

#[tokio::test]
async fn a_clinic_that_is_not_there_is_a_transport_error_naming_no_patient() {
    let client = Client::builder("http://127.0.0.1:1").tries(1).build().unwrap();
    let error = client.bookings().list().patient("PAC001").send().await.unwrap_err();
    assert!(matches!(error, Error::Transport(_)));
    assert!(!format!("{error:?}").contains("PAC001"));
}

#[tokio::test]
async fn a_list_sends_its_filters_and_gives_the_cursor() {
    let server = MockServer::start().await;
    Mock::given(path("/clinic/bookings"))
        .and(query_param("doctor_id", "Dr. Pérez & Co"))
        .and(query_param("status", "confirmed"))
        .and(query_param("from", "2027-03-21T15:30:00Z"))
        .and(query_param("limit", "200"))
        .and(query_param("cursor", "before"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({"items": [booking(Uuid::nil(), "confirmed")], "next_cursor": "behind"})),
        )
        .mount(&server)
        .await;
    let client = Client::builder(&format!("{}/clinic/", server.uri())).build().unwrap();
    let from = "2027-03-21T15:30:00Z".parse().unwrap();
    let list = client.bookings().list().doctor("Dr. Pérez & Co").status(Status::Confirmed).from(from).limit(200).cursor("before");
    let page = list.send().await.unwrap();
    assert_eq!((page.items.len(), page.next_cursor.as_deref()), (1, Some("behind")));
}

#[tokio::test]
async fn each_call_goes_to_its_route() {
    let server = MockServer::start().await;
    let id = Uuid::now_v7();
    let (one, timeline) = (format!("/booking/{id}"), format!("/booking/{id}/timeline"));
    let events = json!({"events": [{"seq": 1, "at": "2027-03-20T00:00:00Z", "kind": "accepted"}]});
    for (verb, route, body) in [
        ("GET", one.as_str(), booking(id, "confirmed")),
        ("DELETE", one.as_str(), booking(id, "cancelled")),
        ("GET", timeline.as_str(), events),
        ("GET", "/health", json!({"status": "degraded", "store": "ok", "broker": "away"})),
    ] {
        Mock::given(method(verb)).and(path(route)).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    }
    let client = client(&server);
    assert_eq!(client.bookings().get(id).await.unwrap().status, Status::Confirmed);
    assert_eq!(client.bookings().cancel(id).await.unwrap().status, Status::Cancelled);
    assert_eq!(client.bookings().timeline(id).await.unwrap().events.len(), 1);
    assert_eq!(client.health().await.unwrap().broker, "away");
}

#[tokio::test]
async fn a_wait_goes_on_through_pending_answers_and_failures() {
    let server = MockServer::start().await;
    let id = Uuid::now_v7();
    let pending = ResponseTemplate::new(200).set_body_json(booking(id, "pending"));
    let rejected = ResponseTemplate::new(200).set_body_json(booking(id, "rejected"));
    for (place, answer) in [pending.clone(), problem(503, "unavailable"), pending].into_iter().enumerate() {
        let place = u8::try_from(place + 1).unwrap();
        Mock::given(header_exists("accept")).respond_with(answer).up_to_n_times(1).with_priority(place).mount(&server).await;
    }
    Mock::given(query_param("wait", "20")).respond_with(rejected).with_priority(9).mount(&server).await;
    let booking = client(&server).bookings().wait_until_decided(id).max_wait(Duration::from_secs(30)).send().await.unwrap();
    assert_eq!(booking.status, Status::Rejected);
}

#[tokio::test]
async fn a_wait_that_is_over_gives_the_booking_as_it_stands() {
    let server = MockServer::start().await;
    let id = Uuid::now_v7();
    // As a clinic does: it holds the call for as long as it was asked to.
    let held = ResponseTemplate::new(200).set_body_json(booking(id, "pending")).set_delay(Duration::from_secs(1));
    Mock::given(query_param("wait", "1")).respond_with(held).mount(&server).await;
    let bookings = client(&server);
    let error = bookings.bookings().wait_until_decided(id).max_wait(Duration::from_millis(900)).send().await.unwrap_err();
    assert!(matches!(error, Error::Undecided(booking) if booking.id == id));
    assert!(bookings.bookings().get_decided(id, Duration::from_secs(1)).await.unwrap().decided_at.is_none());
}
