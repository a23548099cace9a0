//! The suites: every promise, against the built `clinic` binary and against the library.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod attempts;
mod bad_input;
mod broker_faults;
mod cancelling;
mod contention;
mod crash_points;
mod durability;
mod fencing;
mod flow;
mod idempotency;
mod in_flight;
mod kills;
mod listing;
mod own_ports;
mod privacy;
mod readme;
mod starting;
mod stopping;
mod store_trouble;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// A request of a patient for a doctor's time.
fn visit(patient: &str, doctor: &str, start: DateTime<Utc>) -> Value {
    json!({ "patient_id": patient, "doctor_id": doctor, "datetime": start.to_rfc3339() })
}
