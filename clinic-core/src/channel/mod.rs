//! Channels: ways to tell a patient.

#[cfg(feature = "email-channel")]
mod email;
#[cfg(feature = "log-channel")]
mod log;
#[cfg(feature = "webhook-channel")]
pub mod webhook;

#[cfg(feature = "email-channel")]
pub use email::{EmailChannel, EmailError, EmailOptions};
#[cfg(feature = "log-channel")]
pub use log::{LogChannel, LogFormat};
