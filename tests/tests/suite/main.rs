//! The suites: every promise, against the built `clinic` binary and against the library.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod attempts;
mod bad_input;
mod broker_faults;
mod called;
mod cancelling;
mod chaos;
mod client;
mod contention;
mod crash_points;
mod desk;
mod durability;
mod fencing;
mod flow;
mod idempotency;
mod in_flight;
mod kills;
mod listing;
mod live;
mod own_ports;
mod privacy;
mod rabbit_contract;
mod readme;
mod reminding;
mod scaled;
mod starting;
mod stopping;
mod store_trouble;
mod telling;
mod told;

use chrono::{DateTime, Days, NaiveTime, Utc};
use clinic_tests::{load::draw, process::Setup};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// Midnight (UTC) of a day to come.
fn day(ahead: u64) -> DateTime<Utc> {
    (Utc::now().date_naive() + Days::new(ahead)).and_time(NaiveTime::MIN).and_utc()
}

/// A request for a slot and by a patient that no other number of this name has.
fn slot_of_its_own(name: &str, number: usize) -> Value {
    serde_json::to_value(draw(name).arrival(number as u64).request()).unwrap()
}

/// A request of a patient for a doctor's time.
fn visit(patient: &str, doctor: &str, start: DateTime<Utc>) -> Value {
    json!({ "patient_id": patient, "doctor_id": doctor, "datetime": start.to_rfc3339() })
}

/// How many rows there are of what follows `FROM`.
fn count(setup: &Setup, what: &str) -> i64 {
    number(setup, &format!("SELECT count(*) FROM {what}"))
}

/// A number out of the store.
fn number(setup: &Setup, sql: &str) -> i64 {
    let store = Connection::open_with_flags(setup.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    store.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    store.query_row(sql, [], |row| row.get(0)).unwrap()
}
