use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::ConfigError;

/// What the process says about itself, on standard error.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
#[non_exhaustive]
pub struct Logging {
    /// What is logged: a level, or a filter such as `info,clinic_services=debug`.
    #[arg(id = "log", long = "log", env = "CLINIC_LOG", value_name = "FILTER", default_value = "info")]
    pub filter: String,
    /// Form of the log and of the `log` channel's lines.
    #[arg(id = "log_format", long = "log-format", env = "CLINIC_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub format: LogFormat,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Logging {
    /// The filter.
    ///
    /// # Errors
    /// [`ConfigError::LogFilter`] when it cannot be read.
    pub fn env_filter(&self) -> Result<EnvFilter, ConfigError> {
        EnvFilter::try_new(&self.filter).map_err(ConfigError::LogFilter)
    }
}
