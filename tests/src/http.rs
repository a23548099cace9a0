//! The clinic's HTTP face: one method per endpoint. What it sees goes to the log outside of the clinic's process.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::checker::{AcceptedSeen, Observed};

/// Where a clinic serves, as `host:port`. Clones share it, so that clients follow a clinic over its restarts.
#[derive(Clone, Debug, Default)]
pub struct Address(Arc<RwLock<String>>);

impl Address {
    /// The clinic serves here from now on.
    pub fn set(&self, address: &str) {
        address.clone_into(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Where it serves.
    #[must_use]
    pub fn get(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// There was no answer: refused, cut off or too late. Whether the request had its effect is not known.
#[derive(Debug, Error)]
#[error("there was no answer")]
pub struct NoAnswer(#[from] reqwest::Error);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// A field of the body, null when absent.
    #[must_use]
    pub fn field(&self, name: &str) -> Value {
        self.json().get(name).cloned().unwrap_or(Value::Null)
    }

    /// A field's text, empty when absent.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.field(name).as_str().unwrap_or_default().to_owned()
    }

    /// The booking's id.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.text("id").parse().unwrap_or_else(|_| panic!("no booking in {self}"))
    }

    /// The fields that a problem names, in order.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        let errors = self.field("errors");
        let named = errors.as_array().into_iter().flatten().map(|error| error["field"].as_str().unwrap_or_default().to_owned());
        named.collect()
    }

    /// Demands a status.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Demands a problem with a status and a code (RFC 9457).
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.text("code").as_str()), (status, code), "{self}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        assert_eq!(self.field("status"), Value::from(status), "{self}");
        assert!(!self.text("title").is_empty(), "{self}");
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.body)
    }
}

/// A client with a pool of kept-alive connections. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    address: Address,
    observed: Arc<Observed>,
}

impl Http {
    /// A client of the clinic at an address, which writes down what it sees.
    ///
    /// # Panics
    /// When the client cannot be built, which depends on nothing outside.
    #[must_use]
    pub fn new(address: Address, observed: Arc<Observed>) -> Self {
        // The client may speak TLS and asks for a provider of cryptography, though nothing here uses it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(70)).build().expect("a plain client can be built");
        Self { client, address, observed }
    }

    /// Where the clinic serves, as `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.get()
    }

    /// Where it serves, followed over its restarts.
    pub(crate) fn follow(&self) -> Address {
        self.address.clone()
    }

    /// Where what is seen is written down.
    pub(crate) const fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// `POST /book`.
    pub async fn book(&self, body: &Value) -> Answer {
        self.try_book(body, None, Duration::from_secs(60)).await.unwrap_or_else(give_up)
    }

    /// `POST /book` under an idempotency key.
    pub async fn book_keyed(&self, body: &Value, key: &str) -> Answer {
        self.try_book(body, Some(key), Duration::from_secs(60)).await.unwrap_or_else(give_up)
    }

    /// `POST /book`, waiting no longer than that for an answer.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn try_book(&self, body: &Value, key: Option<&str>, within: Duration) -> Result<Answer, NoAnswer> {
        let mut request = self.request(Method::POST, "/book").json(body).timeout(within);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = self.send(request).await?;
        if answer.status == 202 {
            let booking = answer.json();
            self.observed.accepted(AcceptedSeen {
                id: answer.id(),
                doctor: booking["doctor_id"].as_str().map(str::to_owned),
                start: millis(&booking["datetime"]),
                end: millis(&booking["end"]),
                key: key.map(str::to_owned),
            });
        }
        Ok(answer)
    }

    /// `GET /booking/{id}`.
    pub async fn booking(&self, id: Uuid) -> Answer {
        self.try_booking(id, None).await.unwrap_or_else(give_up)
    }

    /// `GET /booking/{id}?wait=SECONDS`.
    pub async fn wait(&self, id: Uuid, seconds: u32) -> Answer {
        self.try_booking(id, Some(seconds)).await.unwrap_or_else(give_up)
    }

    /// `GET /booking/{id}`, waiting for its decision if so many seconds are given.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn try_booking(&self, id: Uuid, wait: Option<u32>) -> Result<Answer, NoAnswer> {
        let path = wait.map_or_else(|| format!("/booking/{id}"), |seconds| format!("/booking/{id}?wait={seconds}"));
        let answer = self.send(self.request(Method::GET, &path)).await?;
        if answer.status == 200 {
            self.observed.status(id, &answer.text("status"));
        }
        Ok(answer)
    }

    /// Waits until a booking is no longer pending.
    ///
    /// # Panics
    /// When a minute passes.
    pub async fn decided(&self, id: Uuid) -> Answer {
        let answer = self.wait(id, 60).await.expect(200);
        assert_ne!(answer.text("status"), "pending", "{answer}");
        answer
    }

    /// `GET /booking/{id}/timeline`.
    pub async fn timeline(&self, id: Uuid) -> Answer {
        self.get(&format!("/booking/{id}/timeline")).await
    }

    /// `DELETE /booking/{id}`.
    pub async fn cancel(&self, id: Uuid) -> Answer {
        self.try_cancel(id).await.unwrap_or_else(give_up)
    }

    /// `DELETE /booking/{id}`.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn try_cancel(&self, id: Uuid) -> Result<Answer, NoAnswer> {
        let answer = self.send(self.request(Method::DELETE, &format!("/booking/{id}"))).await?;
        if answer.status == 200 {
            self.observed.cancelled(id);
        }
        Ok(answer)
    }

    /// `GET /bookings` with a query such as `doctor_id=D&limit=10`.
    pub async fn list(&self, query: &str) -> Answer {
        self.get(&format!("/bookings?{query}")).await
    }

    /// `POST /webhooks`.
    pub async fn register_webhook(&self, url: &str) -> Answer {
        let body = serde_json::json!({ "url": url });
        self.send(self.request(Method::POST, "/webhooks").json(&body)).await.unwrap_or_else(give_up)
    }

    /// `GET /webhooks`.
    pub async fn webhooks(&self) -> Answer {
        self.get("/webhooks").await
    }

    /// `GET /webhooks/{id}`.
    pub async fn webhook(&self, id: Uuid) -> Answer {
        self.get(&format!("/webhooks/{id}")).await
    }

    /// `DELETE /webhooks/{id}`.
    pub async fn remove_webhook(&self, id: Uuid) -> Answer {
        self.send(self.request(Method::DELETE, &format!("/webhooks/{id}"))).await.unwrap_or_else(give_up)
    }

    /// `POST /webhooks/{id}/test`.
    pub async fn test_webhook(&self, id: Uuid) -> Answer {
        self.send(self.request(Method::POST, &format!("/webhooks/{id}/test"))).await.unwrap_or_else(give_up)
    }

    /// `POST /webhooks/{id}/secret`: a new one, beside the old one.
    pub async fn rotate_webhook(&self, id: Uuid) -> Answer {
        self.send(self.request(Method::POST, &format!("/webhooks/{id}/secret"))).await.unwrap_or_else(give_up)
    }

    /// `GET /health/live`.
    pub async fn live(&self) -> Answer {
        self.get("/health/live").await
    }

    /// `GET /health/ready`.
    pub async fn ready(&self) -> Answer {
        self.get("/health/ready").await
    }

    /// `GET /health`.
    pub async fn health(&self) -> Answer {
        self.get("/health").await
    }

    /// `GET /metrics`.
    pub async fn metrics(&self) -> Answer {
        self.get("/metrics").await
    }

    /// The sum of a metric over all series whose labels hold `label` (`""` for all); 0 when there is none.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.metrics().await.expect(200).body;
        let series = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(label));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// `GET /openapi.json`.
    pub async fn openapi(&self) -> Answer {
        self.get("/openapi.json").await
    }

    /// `GET /docs`, redirections followed.
    pub async fn docs(&self) -> Answer {
        self.get("/docs").await
    }

    /// `GET /`.
    pub async fn root(&self) -> Answer {
        self.get("/").await
    }

    /// `GET` of any path.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await.unwrap_or_else(give_up)
    }

    /// A request of one's own, for what has no method here.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address.get()))
    }

    /// Sends a request of one's own; nothing is written down.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, NoAnswer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.text().await? })
    }
}

#[track_caller]
fn give_up(error: NoAnswer) -> Answer {
    panic!("{error}: {:?}", error.0)
}

fn millis(time: &Value) -> i64 {
    let time = time.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    time.map_or(i64::MIN, |time| time.with_timezone(&Utc).timestamp_millis())
}
