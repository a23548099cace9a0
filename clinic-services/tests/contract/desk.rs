//! The API under test: one method a call, every answer held against the OpenAPI document.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use clinic_core::{
    ports::{Poster, SystemClock},
    reception::Reception,
    relay,
    settings::Settings,
    waiters::Waiters,
};
use clinic_services::{
    http::{RouterOptions, keys::Keys, monitor, router_with},
    telemetry::install_metrics,
};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    document::Document,
    scripted::{Mood, Posting, Scripted, Silent},
};

/// How long an answer may take to end; a stream of events lasts a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

pub(crate) struct Desk {
    pub(crate) router: Router,
    pub(crate) store: Arc<Scripted>,
    pub(crate) broker: Arc<Silent>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) document: Document,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }

    /// The code of a problem, after checking that it is one.
    pub(crate) fn code(&self) -> String {
        let problem = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem["code"].as_str().unwrap().to_owned()
    }

    /// The fields that a 422 names.
    pub(crate) fn fields(&self) -> Vec<String> {
        assert_eq!((self.status.as_u16(), self.code().as_str()), (422, "invalid_request"));
        self.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

impl Desk {
    pub(crate) fn open() -> Self {
        Self::with(None, true)
    }

    pub(crate) fn with(keys: Option<Keys>, metrics: bool) -> Self {
        Self::over(router_with, keys, metrics, true)
    }

    /// What a clinic without webhooks serves.
    pub(crate) fn without_webhooks() -> Self {
        Self::over(router_with, None, true, false)
    }

    /// What a worker or a notifier serves.
    pub(crate) fn monitor(keys: Option<Keys>) -> Self {
        let mut desk = Self::over(monitor, keys, true, false);
        desk.document.retain(|path| path.starts_with("/health") || path == "/metrics");
        desk
    }

    fn over(router: fn(Reception, RouterOptions) -> Router, keys: Option<Keys>, metrics: bool, posting: bool) -> Self {
        let (store, broker) = (Arc::new(Scripted::default()), Arc::new(Silent::default()));
        // The relay's running half is kept nowhere: publications find no room, and that is no error.
        let (relay, _) = relay::relay();
        let waiters = Arc::new(Waiters::default());
        let reception =
            Reception::new(store.clone(), broker.clone(), Arc::new(SystemClock), relay, waiters.clone(), Arc::new(Settings::default()))
                .with_webhooks(posting.then(|| Arc::new(Posting) as Arc<dyn Poster>));
        let mut options = RouterOptions::default();
        options.keys = keys;
        options.metrics = metrics.then(|| install_metrics().unwrap());
        let shutdown = options.shutdown.clone();
        Self { router: router(reception, options), store, broker, shutdown, waiters, document: Document::default() }
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(ANSWER_WITHIN, body.collect()).await.unwrap().unwrap().to_bytes().to_vec();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        assert!(!answer.header("x-request-id").is_empty());
        self.document.hold(&method, &path, answer.status, answer.header("content-type"), answer.body.is_empty());
        answer
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.call(Method::GET, uri).await
    }

    pub(crate) async fn call(&self, method: Method, uri: &str) -> Answer {
        self.ask(Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, body: impl Into<Body>, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post("/book").header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(body.into()).unwrap()).await
    }

    /// Registers a webhook by this body.
    pub(crate) async fn register(&self, body: Value) -> Answer {
        let request = Request::post("/webhooks").header(header::CONTENT_TYPE, "application/json");
        self.ask(request.body(body.to_string().into()).unwrap()).await
    }

    /// Books an hour that lies `hours` ahead.
    pub(crate) async fn book(&self, hours: i64, headers: &[(&str, &str)]) -> Answer {
        self.post(visit(hours).to_string(), headers).await
    }

    pub(crate) async fn in_mood(&self, mood: Mood, uri: &str, method: Method) -> Answer {
        self.store.be(mood);
        let answer = self.call(method, uri).await;
        self.store.be(Mood::Well);
        answer
    }
}

/// A request for a visit that many hours ahead.
pub(crate) fn visit(hours: i64) -> Value {
    let start = chrono::Utc::now() + chrono::Duration::hours(hours);
    json!({ "patient_id": "PAC001", "doctor_id": "DOC001", "datetime": start.format("%Y-%m-%dT%H:00:00Z").to_string() })
}
