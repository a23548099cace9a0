//! The clinic's processes: configuration, HTTP and telemetry over `clinic-core`.
//!
//! [`config`] reads flags and environment; [`http`] mounts the API on a running clinic's handle, in this process or in an
//! axum app of your own; [`telemetry`] is logs and metrics; [`run`] puts all of it together.

pub mod config;
pub mod http;
pub mod telemetry;
