//! The client against a scripted server: keys, tries, pauses, errors.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use clinic_client::{BookRequest, Client, ErrorKind, ProblemCode, RetryPolicy, Status};
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
        assert_eq!((booking.id, booking.status), (id, Status::Pending.into()));
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
async fn what_is_garbled_on_its_way_is_asked_for_again() {
    let server = MockServer::start().await;
    let whole = booking(Uuid::now_v7(), "pending").to_string();
    let half = ResponseTemplate::new(202).set_body_string(&whole[..whole.len() / 2]);
    script(&server, vec![half, ResponseTemplate::new(202).set_body_string(whole)]).await;
    client(&server).bookings().request(request()).send().await.unwrap();
    let keys = keys(&server).await;
    assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
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
        match client(&server).bookings().request(request()).send().await.unwrap_err().kind {
            ErrorKind::Api(problem) => assert_eq!((problem.status, problem.code.as_str()), (status, code)),
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
        assert!(error.fields()[0].field == "Idempotency-Key" && error.attempts == 0);
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_of_another_contract_is_told_from_a_failure() {
    let server = MockServer::start().await;
    script(&server, vec![ResponseTemplate::new(202).set_body_json(json!({"hello": "world"}))]).await;
    let error = client(&server).bookings().request(request()).send().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Decode(_)) && error.attempts == 1);
}

#[tokio::test]
async fn a_clinic_that_is_not_there_is_a_transport_error_naming_no_patient() {
    let client = Client::builder("http://127.0.0.1:1").retry(RetryPolicy::never()).build().unwrap();
    let error = client.bookings().list().patient("PAC001").send().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Transport(_)));
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
    let booking = client(&server).bookings().wait_until_decided(id).max_wait(Duration::from_secs(30)).await.unwrap();
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
    let error = bookings.bookings().wait_until_decided(id).max_wait(Duration::from_millis(900)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Undecided(booking) if booking.id == id));
    assert!(bookings.bookings().get_decided(id, Duration::from_secs(1)).await.unwrap().decided_at.is_none());
}

#[tokio::test]
async fn a_budget_that_is_spent_gives_up_at_once_for_all_clones() {
    let server = MockServer::start().await;
    script(&server, vec![problem(503, "unavailable")]).await;
    let policy = RetryPolicy::default().base(Duration::ZERO).budget(3);
    let client = Client::builder(&server.uri()).retry(policy).build().unwrap();
    let mut attempts = Vec::new();
    for client in [client.clone(), client.clone(), client] {
        attempts.push(client.bookings().request(request()).send().await.unwrap_err().attempts);
    }
    assert_eq!(attempts, [3, 2, 1]);
    assert_eq!(keys(&server).await.len(), 6);
}

#[tokio::test]
async fn a_call_gives_up_where_it_would_pause_beyond_its_time() {
    let server = MockServer::start().await;
    script(&server, vec![problem(503, "unavailable").insert_header("retry-after", "5")]).await;
    let client = Client::builder(&server.uri()).call_timeout(Duration::from_secs(2)).build().unwrap();
    let error = client.bookings().request(request()).send().await.unwrap_err();
    assert_eq!((error.code(), error.attempts), (Some(ProblemCode::Unavailable), 1));

    let server = MockServer::start().await;
    script(&server, vec![ResponseTemplate::new(202).set_delay(Duration::from_secs(60))]).await;
    let client = Client::builder(&server.uri()).call_timeout(Duration::from_millis(200)).build().unwrap();
    let error = client.bookings().request(request()).send().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Timeout) && error.attempts == 1);
}

#[tokio::test]
async fn a_limit_of_requests_is_waited_out_as_the_server_says() {
    let server = MockServer::start().await;
    let accepted = ResponseTemplate::new(202).set_body_json(booking(Uuid::now_v7(), "pending"));
    script(&server, vec![ResponseTemplate::new(429).insert_header("retry-after", "1").set_body_string("slow down"), accepted]).await;
    let before = std::time::Instant::now();
    client(&server).bookings().request(request()).send().await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn each_try_has_an_id_of_one_call_and_the_servers_own_wins() {
    let server = MockServer::start().await;
    script(&server, vec![problem(503, "unavailable"), problem(409, "slot_taken")]).await;
    let error = client(&server).bookings().request(request()).send().await.unwrap_err();
    let requests = server.received_requests().await.unwrap();
    let sent = |place: usize, name: &str| requests[place].headers[name].to_str().unwrap().to_owned();
    assert_eq!((error.attempts, error.request_id.as_ref()), (2, Some(&sent(1, "x-request-id"))));
    assert_ne!(sent(0, "x-request-id"), sent(1, "x-request-id"));
    assert_eq!(sent(0, "traceparent"), sent(1, "traceparent"));

    let server = MockServer::start().await;
    script(&server, vec![problem(409, "slot_taken").insert_header("x-request-id", "theirs")]).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let client = Client::builder(&server.uri()).trace_context(|| Some(parent.into())).build().unwrap();
    assert_eq!(client.bookings().request(request()).send().await.unwrap_err().request_id.as_deref(), Some("theirs"));
    assert_eq!(server.received_requests().await.unwrap()[0].headers["traceparent"], parent);
}

#[test]
fn a_call_that_is_dropped_leaves_no_task_behind() {
    let runtime = |threads| tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
    let (of_server, of_client) = (runtime(1), runtime(1));
    let server = of_server.block_on(async {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(202).set_delay(Duration::from_secs(60))).mount(&server).await;
        server
    });
    of_client.block_on(async {
        let client = Client::builder(&server.uri()).build().unwrap();
        for _ in 0..10 {
            let call = client.bookings().request(request()).send();
            assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
        }
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while tasks() > 0 {
            assert!(std::time::Instant::now() < until, "{} tasks are left", tasks());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(!of_server.block_on(server.received_requests()).unwrap().is_empty());
    // Kept until here, on the runtime that it runs on.
    of_server.block_on(async { drop(server) });
}

#[tokio::test]
async fn a_webhook_that_is_gone_once_a_removal_is_tried_again_was_removed() {
    let server = MockServer::start().await;
    let id = Uuid::now_v7();
    let gone = Mock::given(path(format!("/webhooks/{id}"))).and(method("DELETE")).respond_with(problem(404, "not_found"));
    gone.with_priority(9).mount(&server).await;
    assert_eq!(client(&server).webhooks().remove(id).await.unwrap_err().code(), Some(ProblemCode::NotFound));
    Mock::given(method("DELETE")).respond_with(problem(504, "outcome_unknown")).up_to_n_times(1).mount(&server).await;
    client(&server).webhooks().remove(id).await.unwrap();
}

#[tokio::test]
async fn a_request_that_failed_is_the_same_one_when_it_is_sent_again() {
    let server = MockServer::start().await;
    let accepted = ResponseTemplate::new(202).set_body_json(booking(Uuid::now_v7(), "pending"));
    script(&server, vec![problem(503, "unavailable"), problem(503, "unavailable"), problem(503, "unavailable"), accepted]).await;
    let request = client(&server).bookings().request(request());
    assert!(request.clone().send().await.unwrap_err().is_retryable());
    request.clone().send().await.unwrap();
    assert!(keys(&server).await.iter().all(|key| key == request.key()));
}

#[tokio::test]
async fn clones_of_what_is_about_to_be_sent_share_its_key() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(problem(409, "webhooks_off")).mount(&server).await;
    let client = client(&server);
    let register = client.webhooks().register("https://receiver.example");
    let replay = client.dead_letters().replay(7);
    for _ in 0..2 {
        register.clone().send().await.unwrap_err();
        replay.clone().dry_run(true).send().await.unwrap_err();
    }
    let keys = keys(&server).await;
    assert!(keys[0] == keys[2] && keys[1] == keys[3] && keys[0] != keys[1], "{keys:?}");
}

#[tokio::test]
async fn a_letter_found_replayed_by_a_try_after_a_lost_answer_was_replayed() {
    let server = MockServer::start().await;
    let letter = json!({
        "id": 7, "booking": Uuid::now_v7(), "kind": "decide", "code": "availability_unreachable", "attempts": 4, "notice": null,
        "channel": null, "at": "2027-03-21T15:30:00Z", "replayed_at": "2027-03-21T15:31:00Z", "replayed_as": Uuid::now_v7()
    });
    let shown = ResponseTemplate::new(200).set_body_json(letter);
    Mock::given(method("GET")).and(path("/dead-letters/7")).respond_with(shown).mount(&server).await;
    Mock::given(method("POST")).respond_with(problem(409, "already_replayed")).with_priority(9).mount(&server).await;
    let replay = client(&server).dead_letters().replay(7);
    assert_eq!(replay.clone().send().await.unwrap_err().code(), Some(ProblemCode::AlreadyReplayed), "by somebody else");
    Mock::given(method("POST")).respond_with(problem(504, "outcome_unknown")).up_to_n_times(1).mount(&server).await;
    assert!(replay.send().await.unwrap().dead_letter.replayed_as.is_some());
}

#[tokio::test]
async fn an_endpoint_is_tried_out_once() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(problem(503, "unavailable")).mount(&server).await;
    assert_eq!(client(&server).webhooks().test(Uuid::now_v7()).await.unwrap_err().attempts, 1);
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_may_keep_the_clinic_waiting_for_longer_than_a_try() {
    let server = MockServer::start().await;
    let tried = json!({"delivered": false, "code": "webhook_timeout", "status": null, "millis": 15000});
    // Twice as long as this client's tries may take.
    let answer = ResponseTemplate::new(200).set_body_json(tried).set_delay(Duration::from_millis(600));
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    let tried = client(&server).webhooks().test(Uuid::now_v7()).await.unwrap();
    assert_eq!(tried.code.as_deref(), Some("webhook_timeout"));
}

#[tokio::test]
async fn events_that_come_again_are_given_once_and_the_last_one_is_named() {
    let server = MockServer::start().await;
    let id = Uuid::now_v7();
    let event = |seq: u32, kind: &str| {
        let data = json!({"seq": seq, "at": "2027-03-20T00:00:00Z", "kind": kind});
        format!("id: {seq}\r\nevent: {kind}\r\ndata: {data}\r\n\r\n")
    };
    let stream = |text: String| ResponseTemplate::new(200).set_body_raw(text, "text/event-stream");
    let events = || path(format!("/booking/{id}/events"));
    // The last event of the first stream is cut off; the second begins too early.
    let cut = format!("retry: 1\n\n{}{}id: 3\n", event(1, "accepted"), event(2, "attempt"));
    Mock::given(events()).respond_with(stream(cut)).up_to_n_times(1).with_priority(1).mount(&server).await;
    let over = ResponseTemplate::new(204);
    Mock::given(events()).and(header("last-event-id", "3")).respond_with(over).with_priority(2).mount(&server).await;
    let rest = format!("{}{}", event(2, "attempt"), event(3, "confirmed"));
    Mock::given(events()).and(header("last-event-id", "2")).respond_with(stream(rest)).with_priority(3).mount(&server).await;
    let mut events = client(&server).bookings().events(id);
    let mut seen = Vec::new();
    while let Some(event) = events.try_next().await.unwrap() {
        seen.push(event.seq);
    }
    assert_eq!(seen, [1, 2, 3]);
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}
