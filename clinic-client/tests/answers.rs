//! What an answer is taken for: the clinic's, a refusal, somebody else's.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use clinic_client::{BookRequest, Client, ErrorKind, ProblemCode, RetryPolicy};
use serde_json::json;
use uuid::Uuid;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

fn problem(status: u16, code: &str) -> ResponseTemplate {
    let body = json!({"type": "about:blank", "title": "T", "status": status, "code": code, "detail": null});
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/problem+json")
}

/// Without a pause of its own.
fn client(url: &str) -> Client {
    Client::builder(url).retry(RetryPolicy::default().base(Duration::ZERO)).build().unwrap()
}

#[tokio::test]
async fn health_is_told_even_when_it_is_bad() {
    let server = MockServer::start().await;
    let down = json!({"status": "down", "store": "the disk is full", "broker": "ok"});
    Mock::given(path("/health/ready")).respond_with(ResponseTemplate::new(503).set_body_json(down)).mount(&server).await;
    Mock::given(path("/health/live")).respond_with(ResponseTemplate::new(200).set_body_json(json!({"status": "ok"}))).mount(&server).await;
    Mock::given(path("/metrics")).respond_with(ResponseTemplate::new(200).set_body_string("clinic_store_up 1")).mount(&server).await;
    let about = json!({"name": "clinic", "version": "9", "what": "w", "links": {"book": "POST /book"}});
    Mock::given(path("/")).respond_with(ResponseTemplate::new(200).set_body_json(about)).mount(&server).await;
    let client = client(&server.uri());
    assert_eq!(client.ready().await.unwrap().store, "the disk is full");
    assert_eq!(client.live().await.unwrap().status.to_string(), "ok");
    assert_eq!(client.metrics().await.unwrap(), "clinic_store_up 1");
    assert_eq!(client.about().await.unwrap().links["book"], "POST /book");
}

#[tokio::test]
async fn only_health_says_that_a_clinic_is_not_ready() {
    let server = MockServer::start().await;
    for (answer, code) in
        [(problem(503, "unavailable"), "unavailable"), (ResponseTemplate::new(503).set_body_raw("<html>", "text/html"), "http_503")]
    {
        server.reset().await;
        Mock::given(path("/health/ready")).respond_with(answer).mount(&server).await;
        let error = client(&server.uri()).ready().await.unwrap_err();
        assert!(error.is_retryable() && error.problem().is_some_and(|problem| problem.code == code), "{error:?}");
    }
}

#[tokio::test]
async fn a_web_page_is_no_clinics_answer_whatever_its_status() {
    let server = MockServer::start().await;
    for kind in ["text/html", "Text/HTML; charset=utf-8"] {
        server.reset().await;
        let page = ResponseTemplate::new(200).set_body_raw("<html>log in</html>", kind);
        Mock::given(wiremock::matchers::any()).respond_with(page).mount(&server).await;
        let client = client(&server.uri());
        for error in [
            client.bookings().request(BookRequest::default()).send().await.unwrap_err(),
            client.metrics().await.unwrap_err(),
            client.webhooks().remove(Uuid::nil()).await.unwrap_err(),
        ] {
            assert!(matches!(error.kind, ErrorKind::Decode(_)) && !error.is_retryable() && !error.is_refusal(), "{error:?}");
            assert_eq!((error.attempts, error.to_string().contains("check that the URL")), (1, true));
        }
    }
}

#[tokio::test]
async fn an_endpoint_found_registered_after_a_lost_answer_is_no_refusal() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(problem(409, "webhook_exists")).with_priority(9).mount(&server).await;
    let register = || client(&server.uri()).webhooks().register("https://receiver.example").send();
    let refused = register().await.unwrap_err();
    assert!(refused.is_refusal() && refused.code() == Some(ProblemCode::WebhookExists));
    Mock::given(method("POST")).respond_with(problem(504, "outcome_unknown")).up_to_n_times(1).mount(&server).await;
    let perhaps_ours = register().await.unwrap_err();
    assert!(!perhaps_ours.is_refusal() && perhaps_ours.code() == Some(ProblemCode::WebhookExists));
}

#[tokio::test]
async fn a_try_with_too_little_time_left_does_not_take_the_place_of_what_was_answered() {
    let server = MockServer::start().await;
    // The first try says surely that nothing was done, at the end of the call's time; a second one could only run out of it.
    let late = problem(503, "unavailable").set_delay(Duration::from_millis(2750));
    Mock::given(path("/book")).respond_with(late).mount(&server).await;
    let policy = RetryPolicy::default().base(Duration::ZERO);
    let client = Client::builder(&server.uri()).retry(policy).call_timeout(Duration::from_secs(3)).build().unwrap();
    let error = client.bookings().request(BookRequest::default()).send().await.unwrap_err();
    assert_eq!((error.code(), error.attempts), (Some(ProblemCode::Unavailable), 1));
}
