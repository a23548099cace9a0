use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::ConfigError;

/// The library behind the RabbitMQ adapter logs several errors for every try to connect, with the broker's own text; what matters of it
/// the adapter says itself, once.
const QUIET: &str = "lapin=off";

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
    /// The filter; the library behind the RabbitMQ adapter is quiet where it names no level for `lapin`.
    ///
    /// # Errors
    /// [`ConfigError::LogFilter`] when it cannot be read.
    pub fn env_filter(&self) -> Result<EnvFilter, ConfigError> {
        EnvFilter::try_new(format!("{QUIET},{}", self.filter)).map_err(ConfigError::LogFilter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_library_is_quiet_unless_asked() {
        let shown = |filter: &str| {
            let logging = Logging { filter: filter.to_owned(), format: LogFormat::Text };
            logging.env_filter().unwrap().to_string()
        };
        for (filter, part) in [("info", "lapin=off"), ("off", "lapin=off"), ("info,lapin=debug", "lapin=debug")] {
            assert_eq!(shown(filter).matches("lapin").count(), 1, "{}", shown(filter));
            assert!(shown(filter).contains(part), "{}", shown(filter));
        }
    }
}
