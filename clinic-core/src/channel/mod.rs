//! Channels: ways to tell a patient.

#[cfg(feature = "log-channel")]
mod log;

#[cfg(feature = "log-channel")]
pub use log::{LogChannel, LogFormat};
