//! What a call leaves in the caller's traces, and says of them to the clinic.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use chrono::{TimeDelta, Utc};
use clinic_client::{BookRequest, Client};
use serde_json::json;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, Registry, filter::LevelFilter, layer::Context, layer::SubscriberExt};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const PRIVATE: [&str; 3] = ["hush-hush-hush", "PAC-4711", "Juan"];

/// The fields of every span, by its name and in order, and those of every event.
#[derive(Clone, Default)]
struct Seen {
    spans: Arc<Mutex<Vec<Span>>>,
    events: Arc<Mutex<Vec<Fields>>>,
}

type Span = (u64, &'static str, Fields);

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber> Layer<S> for Seen {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut fields = Fields::default();
        span.record(&mut fields);
        self.spans.lock().unwrap().push((id.into_u64(), span.metadata().name(), fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        // Ids are given anew once a span is closed: the last of this id.
        if let Some((_, _, fields)) = self.spans.lock().unwrap().iter_mut().rev().find(|(of, _, _)| *of == id.into_u64()) {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.events.lock().unwrap().push(fields);
    }
}

impl Seen {
    /// The spans of this name.
    fn of(&self, name: &str) -> Vec<BTreeMap<&'static str, String>> {
        self.spans.lock().unwrap().iter().filter(|(_, of, _)| *of == name).map(|(_, _, fields)| fields.0.clone()).collect()
    }

    /// All that was said, in spans and in events, of whichever crate.
    fn all(&self) -> String {
        let spans: Vec<_> = self.spans.lock().unwrap().iter().map(|(_, _, fields)| fields.clone()).collect();
        format!("{spans:?} {:?}", self.events.lock().unwrap())
    }
}

fn client(server: &MockServer) -> Client {
    Client::builder(&server.uri()).token(PRIVATE[0]).trace_context(|| Some(PARENT.to_owned())).build().unwrap()
}

async fn list(client: &Client) -> Result<(), clinic_client::Error> {
    client.bookings().list().patient(PRIVATE[1]).send().await.map(drop)
}

#[tokio::test]
async fn a_call_is_a_span_that_names_no_patient_and_no_token() {
    let seen = Seen::default();
    let _here = tracing::subscriber::set_default(Registry::default().with(seen.clone()));
    let server = MockServer::start().await;
    let page = ResponseTemplate::new(200).set_body_json(json!({"items": [], "next_cursor": null})).insert_header("x-request-id", "theirs");
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(503)).up_to_n_times(1).with_priority(1).mount(&server).await;
    Mock::given(method("GET")).respond_with(page).with_priority(2).mount(&server).await;
    Mock::given(path("/book")).respond_with(ResponseTemplate::new(409).set_body_string(PRIVATE[2])).mount(&server).await;
    let client = client(&server);
    list(&client).await.unwrap();
    let request =
        BookRequest { patient_name: Some(PRIVATE[2].into()), ..BookRequest::at(Utc::now() + TimeDelta::days(1)).patient(PRIVATE[1]) };
    let error = client.bookings().request(request).send().await.unwrap_err();

    let [listed, booked] = seen.of("clinic_call").try_into().unwrap();
    let names = ["attempts", "method", "operation", "request_id", "status", "traceparent"];
    assert_eq!(listed.keys().copied().collect::<Vec<_>>(), names);
    assert_eq!(names.map(|name| listed[name].as_str()), ["2", "GET", "bookings", "theirs", "200", PARENT]);
    let names = ["attempts", "error", "method", "operation", "request_id", "status", "traceparent"];
    let request_id = error.request_id.unwrap();
    assert_eq!(names.map(|name| booked[name].as_str()), ["1", "unknown", "POST", "book", &request_id, "409", PARENT]);
    let said = seen.all();
    assert!(said.contains("trying again"), "{said}");
    assert!(PRIVATE.iter().all(|private| !said.contains(private)), "{said}");

    let asked = server.received_requests().await.unwrap();
    assert!(asked.len() == 3 && asked.iter().all(|request| request.headers["traceparent"] == PARENT));
    assert_eq!(asked[2].headers["x-request-id"], request_id.as_str());
}

#[tokio::test]
async fn where_calls_have_no_span_the_callers_own_is_left_alone() {
    let seen = Seen::default();
    let _here = tracing::subscriber::set_default(Registry::default().with(LevelFilter::INFO).with(seen.clone()));
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(404)).mount(&server).await;
    let span = tracing::info_span!("theirs", status = tracing::field::Empty, error = tracing::field::Empty);
    tracing::Instrument::instrument(async { list(&client(&server)).await.unwrap_err() }, span).await;
    assert!(seen.of("clinic_call").is_empty());
    assert_eq!(seen.of("theirs"), [BTreeMap::new()]);
}
