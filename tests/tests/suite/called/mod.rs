//! Told for real, by webhook: receivers that refuse, hang, flood, redirect and go away.

mod cancelled;
mod endless;
mod gone;
mod rotation;
mod unanswering;

use std::time::Duration;

use clinic_tests::{
    http::Http,
    process::{ClinicProcess, Setup},
    receiver::{Manner, Receiver},
};
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

/// A registered endpoint.
pub(crate) struct Endpoint {
    pub(crate) id: Uuid,
    pub(crate) secret: String,
}

impl Endpoint {
    /// Registers a receiver.
    pub(crate) async fn register(http: &Http, receiver: &Receiver) -> Self {
        let answer = http.register_webhook(&receiver.url()).await.expect(201);
        Self { id: answer.id(), secret: answer.text("secret") }
    }

    /// The ledger's name of its channel.
    pub(crate) fn channel(&self) -> String {
        format!("webhook:{}", self.id)
    }
}

/// Webhooks beside the log, with little patience between tries.
pub(crate) fn calling() -> Vec<(&'static str, String)> {
    vec![
        ("CLINIC_CHANNELS", "log,webhook".into()),
        ("CLINIC_WEBHOOK_ALLOW", "127.0.0.1".into()),
        ("CLINIC_WEBHOOK_RETRY_BASE", "50ms".into()),
    ]
}

/// A clinic that calls one receiver of this manner, and its endpoint.
async fn calling_one(setup: &Setup, manner: Manner) -> (ClinicProcess, Receiver, Endpoint) {
    let receiver = Receiver::start(manner).await;
    let clinic = setup.start();
    let endpoint = Endpoint::register(&clinic.http(), &receiver).await;
    (clinic, receiver, endpoint)
}

/// A request of a patient of this number.
fn visit_of(number: usize) -> serde_json::Value {
    crate::visit(&format!("PAC{number}"), &format!("DOC{number}"), crate::day(30))
}

/// The state and the code of the ledger's only row on a channel, and how often it was tried.
fn row(setup: &Setup, channel: &str) -> Option<(String, Option<String>, i64)> {
    let store = Connection::open_with_flags(setup.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    store.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut rows = store.prepare("SELECT state, code, tries FROM notice WHERE channel = ?1").unwrap();
    let rows = rows.query_map([channel], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<_> = rows.collect::<Result<_, _>>().unwrap();
    assert!(rows.len() <= 1, "{rows:?}");
    rows.into_iter().next()
}
