//! A clinic as its callers see it: a URL.

use std::{future::pending, time::Duration};

use async_trait::async_trait;
use clinic_client::{
    BookingView, Decision, Reason,
    testing::{FakeClinic, FakeClinicBuilder},
};
use clinic_core::{
    channel::webhook::{Guard, WebhookChannel, WebhookOptions},
    clinic::Clinic,
    ports::{Availability, AvailabilityError, Request as Question, Verdict},
    settings::Settings,
};
use clinic_services::http::{RouterOptions, keys::Keys, router_with, serve};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::{sync::DropGuard, task::AbortOnDropHandle};

use super::super::document::Document;

/// The doctor who is never free.
pub(crate) const NEVER: &str = "DOC-NEVER";
/// The doctor whose calendar does not answer in the time of a test.
pub(crate) const SILENT: &str = "DOC-SILENT";
/// The doctor whose calendar refuses to be asked.
pub(crate) const REFUSING: &str = "DOC-REFUSING";
/// The keys of a face that has some.
pub(crate) const KEYS: [&str; 2] = ["0123456789abcdef", "fedcba9876543210"];

pub(crate) struct Face {
    url: String,
    http: reqwest::Client,
    document: Document,
    is_fake: bool,
    // Whatever serves, until the face is dropped.
    _serving: Box<dyn std::any::Any + Send + Sync>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no booking: {} {}", self.status, self.body)).to_owned()
    }

    /// The status and the code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        let problem = self.json();
        assert_eq!((self.header("content-type"), &problem["type"]), ("application/problem+json", &json!("about:blank")));
        assert_eq!((&problem["status"], self.header("cache-control")), (&json!(self.status), "no-store"));
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn code(&self) -> String {
        self.problem().1
    }

    /// The fields that a 422 names.
    pub(crate) fn fields(&self) -> Vec<String> {
        assert_eq!(self.problem(), (422, "invalid_request".to_owned()), "{}", self.body);
        self.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

impl Face {
    pub(crate) async fn of_server() -> Self {
        Self::of_clinic(None).await
    }

    pub(crate) async fn of_fake() -> Self {
        Self::of_memory(FakeClinic::builder()).await
    }

    /// Another of the same kind, which opens to [`KEYS`] alone.
    pub(crate) async fn locked(&self) -> Self {
        if self.is_fake {
            Self::of_memory(KEYS.iter().fold(FakeClinic::builder(), |clinic, key| clinic.token(key))).await
        } else {
            let keys = format!("desk:{}\nkiosk:{}", KEYS[0], KEYS[1]);
            Self::of_clinic(Some(Keys::parse(&keys).unwrap())).await
        }
    }

    async fn of_clinic(keys: Option<Keys>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.sweep = Duration::from_millis(100);
        let store = format!("sqlite:{}", folder.path().join("clinic.db").display());
        // Loopback is allowed, so that nothing is posted anywhere else.
        let webhooks = WebhookChannel::new(Guard::new(["127.0.0.1"]).unwrap(), WebhookOptions::default()).unwrap();
        let clinic = Clinic::builder().store(store).availability(Calendar).webhooks(webhooks).settings(settings).start().await.unwrap();
        let mut options = RouterOptions::default();
        options.keys = keys;
        let shutdown = options.shutdown.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, router_with(clinic.handle(), options), shutdown.clone())));
        Self::new(url, false, Box::new(Serving { _shutdown: shutdown.drop_guard(), _serving: serving, _clinic: clinic, _folder: folder }))
    }

    async fn of_memory(clinic: FakeClinicBuilder) -> Self {
        let clinic = clinic.decide_with(judged).start().await.unwrap();
        Self::new(clinic.url(), true, Box::new(clinic))
    }

    fn new(url: String, is_fake: bool, serving: Box<dyn std::any::Any + Send + Sync>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { url, http, document: Document::default(), is_fake, _serving: serving }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Asks, and holds the answer against the document.
    pub(crate) async fn ask(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.http.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Answer { status: status.as_u16(), headers, body: response.text().await.unwrap() };
        assert!(!answer.header("x-request-id").is_empty());
        let status = StatusCode::from_u16(answer.status).unwrap();
        self.document.hold(&method, &path, status, answer.header("content-type"), answer.body.is_empty());
        answer
    }

    pub(crate) async fn call(&self, method: Method, path: &str) -> Answer {
        self.ask(self.request(method, path)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    pub(crate) async fn post(&self, body: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::POST, "/book").header("content-type", "application/json").body(body.to_owned());
        self.ask(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    /// Books a visit.
    pub(crate) async fn book(&self, visit: &Value, headers: &[(&str, &str)]) -> Answer {
        self.post(&visit.to_string(), headers).await
    }
}

/// A request for a visit that many hours ahead.
pub(crate) fn visit(hours: i64) -> Value {
    let start = chrono::Utc::now() + chrono::Duration::hours(hours);
    json!({ "patient_id": "PAC001", "doctor_id": "DOC001", "datetime": start.format("%Y-%m-%dT%H:00:00Z").to_string() })
}

/// The same with another doctor.
pub(crate) fn visit_to(doctor: &str, hours: i64) -> Value {
    let mut visit = visit(hours);
    visit["doctor_id"] = doctor.into();
    visit
}

struct Serving {
    _shutdown: DropGuard,
    _serving: AbortOnDropHandle<std::io::Result<()>>,
    _clinic: Clinic,
    _folder: TempDir,
}

/// What the clinic in memory decides.
fn judged(booking: &BookingView) -> Option<Decision> {
    match booking.doctor_id.as_deref() {
        Some(NEVER) => Some(Decision::Rejected(Reason::Unavailable)),
        Some(REFUSING) => Some(Decision::Rejected(Reason::AvailabilityRefused)),
        Some(SILENT) => None,
        _ => Some(Decision::Confirmed),
    }
}

/// The same as a calendar.
struct Calendar;

#[async_trait]
impl Availability for Calendar {
    async fn check(&self, question: &Question) -> Result<Verdict, AvailabilityError> {
        match question.appointment.doctor_id.as_deref() {
            Some(NEVER) => Ok(Verdict::Unavailable),
            Some(REFUSING) => Err(AvailabilityError::permanent("no")),
            Some(SILENT) => pending().await,
            _ => Ok(Verdict::Available),
        }
    }

    fn reserves(&self) -> bool {
        false
    }
}
