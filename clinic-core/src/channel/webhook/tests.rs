use chrono::DateTime;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::*;
use crate::{
    id::{BookingId, EndpointId, JobId, NoticeId, Token},
    notification::{Event, EventKind},
    testing::appointment,
    webhook::{FormerSecret, Secret},
};

fn allowing(targets: &[&str]) -> WebhookChannel {
    WebhookChannel::new(Guard::new(targets.iter().copied()).unwrap(), WebhookOptions::default()).unwrap()
}

fn channel() -> WebhookChannel {
    allowing(&["127.0.0.1"])
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

fn notice(url: String) -> Notice {
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let event = Event::new(3, EventKind::Confirmed, None, at);
    let (job, token) = (JobId::generate(), Token::generate());
    let mut endpoint = Endpoint::new(EndpointId::generate(), url, Secret::new([1; 32]), at);
    endpoint.former = vec![FormerSecret::new(Secret::new([2; 32]), Utc::now() + Duration::from_secs(60))];
    let visit = appointment().build();
    Notice::new(NoticeId::generate(), job, token, BookingId::generate(), visit, event, CHANNEL.into(), 0, at).for_endpoint(Some(endpoint))
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_delivery_is_the_same_body_under_the_same_id_signed_by_every_secret() {
    let server = answering(ResponseTemplate::new(204)).await;
    let notice = notice(server.uri());
    for _ in 0..2 {
        assert_eq!(channel().send(&notice).await.unwrap(), Receipt::none());
    }
    let requests = server.received_requests().await.unwrap();
    assert_eq!((requests.len(), &requests[0].body), (2, &requests[1].body));
    for request in &requests {
        let (id, timestamp) = (header(request, "webhook-id"), header(request, "webhook-timestamp").parse().unwrap());
        assert_eq!(id, notice.id.to_string());
        let signed = [[1; 32], [2; 32]].map(|secret| Secret::new(secret).sign(id, timestamp, &request.body)).join(" ");
        assert_eq!(header(request, "webhook-signature"), signed);
        assert_eq!(header(request, "content-type"), "application/json");
    }
}

#[tokio::test]
async fn what_a_receiver_answers_decides_what_follows() {
    let answered = async |answer| channel().send(&notice(answering(answer).await.uri())).await.unwrap_err();
    let later = answered(ResponseTemplate::new(429).insert_header("retry-after", "7")).await;
    assert!(matches!(later, ChannelError::Transient { code: "webhook_status_429", retry_after: Some(after), .. } if after.as_secs() == 7));
    let refused = answered(ResponseTemplate::new(400)).await;
    assert!(matches!(refused, ChannelError::Transient { code: "webhook_status_4xx", .. }), "{refused:?}");
    let gone = answered(ResponseTemplate::new(410)).await;
    assert!(matches!(gone, ChannelError::Permanent { code: ENDPOINT_GONE, .. }), "{gone:?}");
    let mut without = notice("http://127.0.0.1:1/".into());
    without.endpoint = None;
    assert!(matches!(channel().send(&without).await, Err(ChannelError::Skip { code: NO_ENDPOINT })));
}

#[tokio::test]
async fn a_target_that_became_forbidden_is_not_posted_to() {
    let forbidden = channel().send(&notice("https://10.0.0.1/hook".into())).await.unwrap_err();
    assert!(matches!(forbidden, ChannelError::Transient { code: "webhook_forbidden_target", .. }), "{forbidden:?}");
}

#[tokio::test]
async fn unknown_names_and_names_that_lead_inside_are_refused_alike() {
    let refused = async |url| allowing(&[]).admit(url).await.unwrap_err();
    assert_eq!(refused("https://localhost/hook").await, NotAdmitted::Host);
    assert_eq!(refused("https://nobody.invalid/hook").await, NotAdmitted::Host);
    assert_eq!(refused("https://10.0.0.1/hook").await, NotAdmitted::Host);
    assert_eq!(refused("http://example.org#x").await, NotAdmitted::Url);
    assert_eq!(refused("http://example.org/hook").await, NotAdmitted::Plain);
    assert_eq!(refused("http://nobody.invalid/hook").await, NotAdmitted::Plain);
    assert_eq!(channel().admit("http://127.0.0.1:8443").await.as_deref(), Ok("http://127.0.0.1:8443/"));
}
