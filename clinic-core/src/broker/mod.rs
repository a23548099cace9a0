//! Brokers: what carries the news that a job is there.

#[cfg(feature = "embedded")]
mod embedded;

#[cfg(feature = "embedded")]
pub use embedded::EmbeddedBroker;
