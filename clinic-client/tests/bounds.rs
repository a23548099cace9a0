//! What has an end whatever the server does: streams, waits, pauses, answers.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    error::Error as _,
    future::{Future, IntoFuture},
    time::{Duration, Instant},
};

use clinic_client::{BookRequest, Client, ErrorKind, Events, ProblemCode, RetryPolicy, Status};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use uuid::Uuid;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

const SOON: Duration = Duration::from_secs(20);

fn booking(status: &str) -> Value {
    json!({
        "id": Uuid::nil(), "status": status, "reason": null, "message": "", "patient_id": "P", "patient_name": null, "doctor_id": "D",
        "datetime": "2027-03-21T15:30:00Z", "end": "2027-03-21T16:00:00Z", "duration_minutes": 30, "timezone": "UTC", "language": "es",
        "attempts": 0, "created_at": "2027-03-20T00:00:00Z", "decide_by": "2027-03-21T00:00:00Z", "decided_at": null, "replay_of": null,
        "replayed_as": null, "notices": []
    })
}

fn problem(status: u16, code: &str) -> ResponseTemplate {
    let body = json!({"type": "about:blank", "title": "T", "status": status, "code": code, "detail": null});
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/problem+json")
}

fn unavailable() -> ResponseTemplate {
    problem(503, "unavailable")
}

fn answer(status: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(booking(status))
}

fn stream(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(text, "text/event-stream")
}

fn event(seq: u32, kind: &str) -> String {
    let data = json!({"seq": seq, "at": "2027-03-20T00:00:00Z", "kind": kind});
    format!("id: {seq}\ndata: {data}\n\n")
}

/// Without a pause of its own.
fn client(url: &str) -> Client {
    Client::builder(url).retry(RetryPolicy::default().base(Duration::ZERO)).build().unwrap()
}

async fn script(server: &MockServer, answers: impl IntoIterator<Item = ResponseTemplate>) {
    for (place, answer) in answers.into_iter().enumerate() {
        let mock = Mock::given(method("GET")).respond_with(answer).up_to_n_times(1);
        mock.with_priority(u8::try_from(place + 1).unwrap()).mount(server).await;
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it never ends")
}

async fn seqs(events: Events) -> Result<Vec<u32>, clinic_client::Error> {
    soon(events.map_ok(|event| event.seq).try_collect()).await
}

#[tokio::test]
async fn a_page_that_is_no_stream_ends_the_events() {
    let server = MockServer::start().await;
    for kind in ["text/html", "text/event-streams"] {
        server.reset().await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_raw("<html>\n\n", kind)).mount(&server).await;
        let error = seqs(client(&server.uri()).bookings().events(Uuid::nil())).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Decode(_)) && !error.is_retryable(), "{error:?}");
        assert_eq!((error.attempts, error.request_id.is_some()), (1, true));
    }
    server.reset().await;
    let named = ResponseTemplate::new(200).set_body_raw(event(1, "confirmed"), "Text/Event-Stream; charset=utf-8");
    script(&server, [named, ResponseTemplate::new(204)]).await;
    assert_eq!(seqs(client(&server.uri()).bookings().events(Uuid::nil())).await.unwrap(), [1]);
}

#[tokio::test]
async fn a_stream_that_breaks_before_an_entry_or_ends_before_its_first_byte_is_an_outage() {
    for head in ["content-length: 9\r\n\r\n", "content-length: 0\r\n\r\n", "content-length: 99\r\n\r\n: here\n\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n{head}");
                // An answer before its request would be none.
                assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        // No pause is as long as the outage, which only its length ends then.
        let policy = RetryPolicy::default().longest(Duration::from_millis(20));
        let client = Client::builder(&url).retry(policy).build().unwrap();
        let events = client.bookings().events(Uuid::nil()).max_outage(Duration::from_millis(500));
        let error = seqs(events).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Transport(_)) && error.attempts > 1 && error.request_id.is_some(), "{error:?}");
        proxy.abort();
    }
}

#[tokio::test]
async fn a_stream_that_lasts_ends_the_outage_before_it() {
    const OUTAGE: Duration = Duration::from_secs(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let clinic = tokio::spawn(async move {
        // Breaks; lasts for longer than an outage may, and breaks; is over.
        for lasts in [Some(Duration::ZERO), Some(OUTAGE * 3 / 2), None] {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await.unwrap();
            let Some(lasts) = lasts else {
                socket.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
                return;
            };
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\ncontent-length: 99\r\n\r\n: here\n\n";
            socket.write_all(head.as_bytes()).await.unwrap();
            tokio::time::sleep(lasts).await;
            socket.write_all(b": here\n\n").await.unwrap();
        }
    });
    let events = client(&url).bookings().events(Uuid::nil()).max_outage(OUTAGE);
    assert!(seqs(events).await.unwrap().is_empty());
    clinic.await.unwrap();
}

#[tokio::test]
async fn a_quiet_stream_that_the_server_ends_in_order_is_no_failure_however_often() {
    const LASTS: Duration = Duration::from_millis(300);
    const STREAMS: usize = 4;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let clinic = tokio::spawn(async move {
        let mut tries = Vec::new();
        for stream in 0..=STREAMS {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            let length = socket.read(&mut asked).await.unwrap();
            let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
            let id = asked.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
            tries.push(id.rsplit('-').next().unwrap().to_owned());
            if stream == STREAMS {
                socket.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
                break;
            }
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\nretry: 1\n\n";
            socket.write_all(head.as_bytes()).await.unwrap();
            tokio::time::sleep(LASTS).await;
            socket.write_all(b": here\n\n").await.unwrap();
        }
        tries
    });
    // Steady is what lasts for as long as the outage may.
    let events = client(&url).bookings().events(Uuid::nil()).max_outage(LASTS / 2);
    assert!(seqs(events).await.unwrap().is_empty());
    assert_eq!(clinic.await.unwrap(), ["1", "2", "2", "2", "2"]);
}

#[tokio::test]
async fn a_decided_booking_is_not_asked_for_without_a_pause_even_where_no_outage_is_allowed() {
    let server = MockServer::start().await;
    let decided = format!("retry: 1\n\n{}", event(1, "confirmed"));
    script(&server, [stream(&decided), stream(": here\n\n"), stream(": here\n\n"), ResponseTemplate::new(204)]).await;
    let before = Instant::now();
    assert_eq!(seqs(client(&server.uri()).bookings().events(Uuid::nil()).max_outage(Duration::ZERO)).await.unwrap(), [1]);
    assert!(before.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn pauses_without_a_bound_end_in_an_error() {
    let server = MockServer::start().await;
    let busy = unavailable().insert_header("retry-after", "18446744073709551615");
    Mock::given(method("GET")).respond_with(busy).mount(&server).await;
    let policy = RetryPolicy::default().base(Duration::MAX).longest(Duration::MAX);
    let bookings = Client::builder(&server.uri()).retry(policy).build().unwrap().bookings();
    assert_eq!(soon(bookings.get(Uuid::nil())).await.unwrap_err().code(), Some(ProblemCode::Unavailable));
    assert_eq!(seqs(bookings.events(Uuid::nil())).await.unwrap_err().code(), Some(ProblemCode::Unavailable));
    let wait = bookings.wait_until_decided(Uuid::nil()).max_wait(Duration::from_millis(100)).into_future();
    assert_eq!(soon(wait).await.unwrap_err().code(), Some(ProblemCode::Unavailable));
}

#[tokio::test]
async fn a_time_to_come_again_is_neither_none_nor_for_ever() {
    let server = MockServer::start().await;
    let over = || ResponseTemplate::new(204);
    script(&server, [stream("retry: 0\n\n"), stream(": here\n\n"), over()]).await;
    let before = Instant::now();
    assert!(seqs(client(&server.uri()).bookings().events(Uuid::nil())).await.unwrap().is_empty());
    assert!(before.elapsed() >= Duration::from_millis(200));

    server.reset().await;
    script(&server, [stream("retry: 99999999999\n\n"), over()]).await;
    let policy = RetryPolicy::default().longest(Duration::from_millis(200));
    let client = Client::builder(&server.uri()).retry(policy).build().unwrap();
    assert!(seqs(client.bookings().events(Uuid::nil())).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_comes_before_a_garbled_event_is_given_and_the_rest_asked_for_again() {
    let server = MockServer::start().await;
    let garbled = ["id: 2\ndata: {\"seq\"\n\n".as_bytes(), b"data: \xff\n\n"];
    for garbled in garbled {
        server.reset().await;
        let piece = [event(1, "accepted").as_bytes(), garbled, event(3, "confirmed").as_bytes()].concat();
        let rest = stream(&[event(2, "attempt"), event(3, "confirmed")].concat());
        let after = |id| Mock::given(method("GET")).and(header("last-event-id", id));
        after("1").respond_with(rest).with_priority(1).mount(&server).await;
        after("3").respond_with(ResponseTemplate::new(204)).with_priority(1).mount(&server).await;
        let first = ResponseTemplate::new(200).set_body_raw(piece, "text/event-stream");
        Mock::given(method("GET")).respond_with(first).up_to_n_times(1).with_priority(2).mount(&server).await;
        assert_eq!(seqs(client(&server.uri()).bookings().events(Uuid::nil())).await.unwrap(), [1, 2, 3]);
    }
}

#[tokio::test]
async fn what_comes_before_an_event_of_another_contract_is_given_first() {
    let server = MockServer::start().await;
    let piece = [&event(1, "accepted"), "data: {}\n\n"].concat();
    script(&server, [stream(&piece).insert_header("x-request-id", "theirs")]).await;
    let mut events = client(&server.uri()).bookings().events(Uuid::nil());
    assert_eq!(soon(events.try_next()).await.unwrap().unwrap().seq, 1);
    let error = soon(events.try_next()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Decode(_)));
    assert_eq!((error.attempts, error.request_id.as_deref()), (1, Some("theirs")));
    assert!(events.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn waits_and_events_pause_as_the_server_says() {
    let server = MockServer::start().await;
    let busy = || unavailable().insert_header("retry-after", "1");
    script(&server, [busy(), answer("confirmed")]).await;
    let bookings = client(&server.uri()).bookings();
    let before = Instant::now();
    assert_eq!(bookings.wait_until_decided(Uuid::nil()).await.unwrap().status, Status::Confirmed);
    assert!(before.elapsed() >= Duration::from_secs(1));

    server.reset().await;
    script(&server, [busy(), ResponseTemplate::new(204)]).await;
    let before = Instant::now();
    assert!(seqs(bookings.events(Uuid::nil())).await.unwrap().is_empty());
    assert!(before.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn waits_and_events_pause_also_where_calls_do_not() {
    let server = MockServer::start().await;
    let bookings = client(&server.uri()).bookings();
    script(&server, [unavailable(), answer("pending"), answer("confirmed")]).await;
    let before = Instant::now();
    bookings.wait_until_decided(Uuid::nil()).await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(200));

    server.reset().await;
    script(&server, [unavailable(), unavailable(), ResponseTemplate::new(204)]).await;
    let before = Instant::now();
    assert!(seqs(bookings.events(Uuid::nil())).await.unwrap().is_empty());
    assert!(before.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_refusal_is_an_answer_to_the_budget() {
    let server = MockServer::start().await;
    Mock::given(path("/book")).respond_with(unavailable()).mount(&server).await;
    Mock::given(method("GET")).respond_with(problem(404, "not_found")).mount(&server).await;
    let policy = RetryPolicy::default().base(Duration::ZERO).budget(1);
    let bookings = Client::builder(&server.uri()).retry(policy).build().unwrap().bookings();
    let attempts = async || bookings.request(BookRequest::default()).send().await.unwrap_err().attempts;
    assert_eq!((attempts().await, attempts().await), (2, 1));
    for _ in 0..10 {
        assert_eq!(bookings.get(Uuid::nil()).await.unwrap_err().code(), Some(ProblemCode::NotFound));
    }
    assert_eq!(attempts().await, 2);
}

#[tokio::test]
async fn a_bound_of_calls_is_none_of_waits() {
    let server = MockServer::start().await;
    let held = answer("pending").set_delay(Duration::from_secs(1));
    Mock::given(method("GET")).respond_with(held).mount(&server).await;
    let client = Client::builder(&server.uri()).call_timeout(Duration::from_millis(500)).build().unwrap();
    let error = client.bookings().wait_until_decided(Uuid::nil()).max_wait(Duration::from_millis(900)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Undecided(_)), "{error:?}");
    client.bookings().get_decided(Uuid::nil(), Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn a_wait_whose_last_call_fails_gives_the_booking_that_was_pending_before() {
    let server = MockServer::start().await;
    let wait = || client(&server.uri()).bookings().wait_until_decided(Uuid::nil()).max_wait(Duration::from_millis(900)).into_future();
    // Answers at once, as one on its way out does, and is away from then on.
    script(&server, [answer("pending")]).await;
    Mock::given(method("GET")).respond_with(unavailable()).with_priority(9).mount(&server).await;
    let error = soon(wait()).await.unwrap_err();
    assert!(matches!(&error.kind, ErrorKind::Undecided(booking) if booking.status == Status::Pending), "{error:?}");
    assert!(error.attempts > 1 && error.is_retryable());

    // No call was answered.
    let error = soon(wait()).await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::Unavailable), "{error:?}");

    // What no repetition mends is an answer of its own.
    server.reset().await;
    script(&server, [answer("pending"), problem(404, "not_found")]).await;
    assert_eq!(soon(wait()).await.unwrap_err().code(), Some(ProblemCode::NotFound));
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_kept() {
    let server = MockServer::start().await;
    let long = booking("confirmed").to_string() + &" ".repeat(16 * 1024 * 1024);
    for status in [200, 404] {
        server.reset().await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(status).set_body_string(&*long)).mount(&server).await;
        let bookings = client(&server.uri()).bookings();
        for error in [bookings.get(Uuid::nil()).await.unwrap_err(), seqs(bookings.events(Uuid::nil())).await.unwrap_err()] {
            assert!(matches!(error.kind, ErrorKind::Decode(_)), "{error}");
            assert_eq!((error.attempts, error.request_id.is_some(), error.source().is_some()), (1, true, true));
        }
    }
}

#[tokio::test]
async fn a_list_ends_with_an_error_that_no_repetition_mends() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(problem(401, "unauthorized")).mount(&server).await;
    let mut list = client(&server.uri()).bookings().list().stream();
    assert_eq!(list.try_next().await.unwrap_err().code(), Some(ProblemCode::Unauthorized));
    assert!(list.try_next().await.unwrap().is_none());
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_whose_next_page_is_the_same_again_ends_with_an_error() {
    let server = MockServer::start().await;
    let page = json!({"items": [booking("confirmed")], "next_cursor": "round"});
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_json(page)).mount(&server).await;
    let mut list = client(&server.uri()).bookings().list().stream();
    for _ in 0..2 {
        assert!(soon(list.try_next()).await.unwrap().is_some());
    }
    let error = soon(list.try_next()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Decode(_)) && !error.is_retryable(), "{error:?}");
    assert!(list.try_next().await.unwrap().is_none());
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}
