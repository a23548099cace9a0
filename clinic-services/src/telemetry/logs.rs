use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, fmt, util::TryInitError};

use crate::config::LogFormat;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends diagnostics to standard error: standard output belongs to notices.
///
/// # Errors
/// When the process has a subscriber already; that one stays.
pub fn install_logs(filter: EnvFilter, format: LogFormat) -> Result<(), TryInitError> {
    let lines = fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    match format {
        LogFormat::Text => lines.finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    }
}
