//! Appointment booking that survives failures.
//!
//! Requests are accepted at once as `pending`, decided later by a worker, and every decision is told. The modules, in
//! reading order: the pure domain ([`id`], [`slot`], [`booking`], [`decision`], [`retry`], [`job`], [`message`],
//! [`topology`], [`notification`], [`reminder`], [`webhook`], [`timeline`], [`dead_letter`], [`page`], [`request`]) and the JSON contract
//! ([`api`]), both free of
//! async and IO; with the feature `engine` the `ports` and the use cases over them; behind a feature each, the adapters and
//! the conformance suites that judge them (`testing`).

mod codes;

pub mod id;
pub mod slot;
pub mod booking;
pub mod decision;
pub mod retry;
pub mod job;
pub mod message;
pub mod topology;
pub mod notification;
pub mod reminder;
pub mod webhook;
pub mod timeline;
pub mod dead_letter;
pub mod page;
pub mod request;
pub mod api;

#[cfg(feature = "engine")]
mod chance;
#[cfg(feature = "engine")]
mod crash;
#[cfg(feature = "engine")]
pub mod ports;
#[cfg(feature = "engine")]
pub mod settings;
#[cfg(feature = "engine")]
pub mod relay;
#[cfg(feature = "engine")]
mod batches;
#[cfg(feature = "engine")]
pub mod waiters;
#[cfg(feature = "engine")]
pub mod watchers;
#[cfg(feature = "engine")]
pub mod reception;
#[cfg(feature = "engine")]
pub mod worker;
#[cfg(feature = "engine")]
pub mod notifier;
#[cfg(feature = "engine")]
pub mod sweep;
#[cfg(feature = "engine")]
pub mod store;
#[cfg(feature = "engine")]
pub mod broker;
#[cfg(any(feature = "simulated", feature = "http-availability"))]
pub mod availability;
#[cfg(any(feature = "log-channel", feature = "email-channel", feature = "webhook-channel"))]
pub mod channel;
#[cfg(feature = "engine")]
pub mod clinic;
#[cfg(feature = "testing")]
pub mod testing;
