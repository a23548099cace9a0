use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    id::BookingId,
    ports::{Availability, AvailabilityError, Request, Source, Verdict},
};

/// Calls that may run at once.
const CONCURRENCY: usize = 64;
/// No answer is longer, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// A clinic's own availability service, asked over HTTP.
///
/// `POST {url}` with `{booking_id, attempt, doctor_id, patient_id, patient_name, start, end}` and `Idempotency-Key: {booking_id}`
/// is answered by 200 `{"available": true}`, with an optional `reason` that stays with the service. `DELETE {url}/{booking_id}`
/// gives back what was reserved; 404 and 410 say that there is nothing to give back, which is as good.
///
/// A time-out, a broken connection, 408, 429 and 5xx may pass and are tried again; so are redirects, which are not followed, and
/// a success that is not what was agreed: both are what a proxy answers while the service behind it restarts, and a patient must
/// not be turned away for that. Any other 4xx is a refusal for good.
#[derive(Clone, Debug)]
pub struct HttpAvailability {
    client: Client,
    url: Url,
    concurrency: usize,
}

/// Why there can be no client.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpAvailabilityError {
    /// Not a URL that can be posted to.
    #[error("the availability service's address must be a URL such as http://calendar.example/availability")]
    Url,
    /// The client cannot be made.
    #[error("the HTTP client for the availability service cannot be made")]
    Client(#[source] reqwest::Error),
}

/// What went wrong with one call; holds no word of the service's answer.
#[derive(Debug, Error)]
enum CallError {
    #[error("the call failed")]
    Call(#[source] reqwest::Error),
    #[error("the service answered with status {0}")]
    Status(StatusCode),
    #[error("the service's answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
    #[error("the service's answer is not {{\"available\": true or false}}")]
    Malformed,
}

#[derive(Serialize)]
struct Question<'a> {
    booking_id: BookingId,
    attempt: u32,
    doctor_id: Option<&'a str>,
    patient_id: Option<&'a str>,
    patient_name: Option<&'a str>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Answer {
    available: bool,
}

impl HttpAvailability {
    /// A client of the service at `url`; a call takes at most `timeout`, connecting included.
    ///
    /// Proxies named in the environment are not used: what is sent is patients' data, and settings come in by one door.
    ///
    /// # Errors
    /// [`HttpAvailabilityError`].
    pub fn new(url: &str, timeout: Duration) -> Result<Self, HttpAvailabilityError> {
        let url: Url = url.parse().map_err(|_| HttpAvailabilityError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(HttpAvailabilityError::Url);
        }
        // One provider of cryptography in the whole program. One that is installed already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(CONCURRENCY)
            .build()
            .map_err(HttpAvailabilityError::Client)?;
        Ok(Self { client, url, concurrency: CONCURRENCY })
    }

    /// Another number of calls that may run at once.
    #[must_use]
    pub const fn with_concurrency(mut self, calls: usize) -> Self {
        self.concurrency = if calls == 0 { 1 } else { calls };
        self
    }

    fn url_of(&self, booking: BookingId) -> Url {
        let mut url = self.url.clone();
        // Only URLs that can be a base come past `new`.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(&booking.to_string());
        }
        url
    }
}

#[async_trait]
impl Availability for HttpAvailability {
    async fn check(&self, request: &Request) -> Result<Verdict, AvailabilityError> {
        let appointment = &request.appointment;
        let question = Question {
            booking_id: request.booking_id,
            attempt: request.attempt,
            doctor_id: appointment.doctor_id.as_deref(),
            patient_id: appointment.patient_id.as_deref(),
            patient_name: appointment.patient_name.as_deref(),
            start: appointment.slot.start(),
            end: appointment.slot.end(),
        };
        let call = self.client.post(self.url.clone()).header("Idempotency-Key", request.booking_id.to_string()).json(&question);
        let response = call.send().await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            status => return Err(refused(status)),
        }
        let body = bounded(response).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| AvailabilityError::transient(CallError::Malformed))?;
        Ok(if answer.available { Verdict::Available } else { Verdict::Unavailable })
    }

    async fn release(&self, booking_id: BookingId) -> Result<(), AvailabilityError> {
        let call = self.client.delete(self.url_of(booking_id)).header("Idempotency-Key", booking_id.to_string());
        match call.send().await.map_err(failed)?.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            status => Err(refused(status)),
        }
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }
}

/// A call without an answer may always pass. Its URL may hold credentials and goes no further.
fn failed(error: reqwest::Error) -> AvailabilityError {
    AvailabilityError::transient(CallError::Call(error.without_url()))
}

fn refused(status: StatusCode) -> AvailabilityError {
    let source: Source = CallError::Status(status).into();
    let may_pass = !status.is_client_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if may_pass { AvailabilityError::Transient(source) } else { AvailabilityError::Permanent(source) }
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, AvailabilityError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(AvailabilityError::transient(CallError::TooLong));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{body_json, header, method, path},
    };

    use super::*;
    use crate::{
        booking::{Appointment, Contact, Language},
        slot::Slot,
    };

    fn request() -> Request {
        let appointment = Appointment {
            patient_id: None,
            patient_name: Some("Juan Pérez".into()),
            doctor_id: Some("DOC001".into()),
            slot: Slot::new(DateTime::parse_from_rfc3339("2027-03-21T15:30:00Z").unwrap().to_utc(), 45).unwrap(),
            contact: Contact::default(),
            language: Language::Spanish,
            timezone: chrono_tz::Europe::Madrid,
        };
        Request::new(BookingId::generate(), 2, appointment)
    }

    async fn serving(answer: ResponseTemplate) -> (MockServer, HttpAvailability) {
        let server = MockServer::start().await;
        Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
        let client = HttpAvailability::new(&format!("{}/calendar", server.uri()), Duration::from_secs(5)).unwrap();
        (server, client)
    }

    #[tokio::test]
    async fn the_question_is_asked_as_agreed() {
        let (server, request) = (MockServer::start().await, request());
        let id = request.booking_id.to_string();
        let body = json!({
            "booking_id": id, "attempt": 2, "doctor_id": "DOC001", "patient_id": null, "patient_name": "Juan Pérez",
            "start": "2027-03-21T15:30:00Z", "end": "2027-03-21T16:15:00Z",
        });
        Mock::given(method("POST"))
            .and(path("/calendar"))
            .and(header("Idempotency-Key", &*id))
            .and(body_json(body))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"available": true, "reason": null, "more": 1})))
            .expect(1)
            .mount(&server)
            .await;
        let client = HttpAvailability::new(&format!("{}/calendar", server.uri()), Duration::from_secs(5)).unwrap();
        assert_eq!(client.check(&request).await.unwrap(), Verdict::Available);
    }

    #[tokio::test]
    async fn a_no_with_a_reason_is_a_no() {
        let (_server, client) = serving(ResponseTemplate::new(200).set_body_json(json!({"available": false, "reason": "holiday"}))).await;
        assert_eq!(client.check(&request()).await.unwrap(), Verdict::Unavailable);
    }

    #[tokio::test]
    async fn statuses_are_told_apart() {
        for (status, transient) in [
            (408, true),
            (429, true),
            (500, true),
            (503, true),
            (302, true),
            (204, true),
            (400, false),
            (401, false),
            (404, false),
            (422, false),
        ] {
            let (_server, client) = serving(ResponseTemplate::new(status).insert_header("location", "/elsewhere")).await;
            let error = client.check(&request()).await.unwrap_err();
            assert_eq!(matches!(error, AvailabilityError::Transient(_)), transient, "status {status}");
        }
    }

    #[tokio::test]
    async fn a_success_that_is_no_answer_turns_nobody_away() {
        let long = json!({"available": true, "reason": "x".repeat(MAX_ANSWER)});
        for answer in [
            ResponseTemplate::new(200).set_body_string("<html>back soon</html>"),
            ResponseTemplate::new(200).set_body_json(json!({"available": "Juan Pérez"})),
            ResponseTemplate::new(200).set_body_json(json!({})),
            ResponseTemplate::new(200).set_body_json(long),
        ] {
            let (_server, client) = serving(answer).await;
            let error = client.check(&request()).await.unwrap_err();
            let AvailabilityError::Transient(source) = error else { panic!("{error:?}") };
            assert!(!format!("{source} {source:?}").contains("Juan"));
        }
    }

    #[tokio::test]
    async fn no_answer_in_time_and_no_connection_may_pass() {
        let slow = ResponseTemplate::new(200).set_body_json(json!({"available": true})).set_delay(Duration::from_secs(30));
        let (server, _) = serving(slow).await;
        let client = HttpAvailability::new(&server.uri(), Duration::from_millis(100)).unwrap();
        assert!(matches!(client.check(&request()).await, Err(AvailabilityError::Transient(_))));
        drop(server);
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = HttpAvailability::new(&format!("http://user:secret@{nobody}"), Duration::from_secs(5)).unwrap();
        let Err(AvailabilityError::Transient(source)) = client.check(&request()).await else { panic!("nobody answers there") };
        assert!(!format!("{source:?}").contains("secret"));
    }

    #[tokio::test]
    async fn https_is_spoken_and_a_plain_server_is_not_trusted_with_it() {
        let (server, _) = serving(ResponseTemplate::new(200).set_body_json(json!({"available": true}))).await;
        let client = HttpAvailability::new(&server.uri().replace("http:", "https:"), Duration::from_secs(5)).unwrap();
        assert!(matches!(client.check(&request()).await, Err(AvailabilityError::Transient(_))));
        assert!(server.received_requests().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_release_names_the_booking_and_nothing_there_is_as_good() {
        let booking = BookingId::generate();
        for (status, outcome) in [(204, "done"), (200, "done"), (404, "done"), (410, "done"), (503, "transient"), (403, "permanent")] {
            let server = MockServer::start().await;
            Mock::given(method("DELETE"))
                .and(path(format!("/calendar/{booking}")))
                .respond_with(ResponseTemplate::new(status))
                .expect(1)
                .mount(&server)
                .await;
            let client = HttpAvailability::new(&format!("{}/calendar/", server.uri()), Duration::from_secs(5)).unwrap();
            let said = match client.release(booking).await {
                Ok(()) => "done",
                Err(AvailabilityError::Transient(_)) => "transient",
                Err(AvailabilityError::Permanent(_)) => "permanent",
            };
            assert_eq!(said, outcome, "status {status}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_asked_are_refused() {
        for url in ["", "calendar", "ftp://calendar.example", "mailto:calendar@example.org"] {
            assert!(matches!(HttpAvailability::new(url, Duration::from_secs(1)), Err(HttpAvailabilityError::Url)), "{url}");
        }
    }
}
