//! The clinic's processes: configuration, HTTP and telemetry over `clinic-core`.
//!
//! [`config`] reads flags and environment; [`http`] mounts the API on a running clinic's handle, in this process or in an
//! axum app of your own; [`telemetry`] is logs and metrics; [`run`] puts all of it together.

pub mod config;
pub mod http;
pub mod telemetry;
pub mod desk;
pub mod run;

/// An error and what lies behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        // A transparent variant shows its source's text already.
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        source = error.source();
    }
    line
}
