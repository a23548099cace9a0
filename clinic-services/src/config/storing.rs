use clap::Args;

use super::ConfigError;

/// Where bookings are kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Store and broker")]
#[non_exhaustive]
pub struct Storing {
    /// The store: `sqlite:PATH`.
    #[arg(
        id = "store",
        long = "store",
        env = "CLINIC_STORE",
        value_name = "URL",
        default_value = "sqlite:clinic.db",
        hide_env_values = true
    )]
    pub url: String,
}

impl Storing {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.url.split_once(':') {
            Some(("sqlite", path)) if path.starts_with("//") || path.is_empty() || path.starts_with(':') => Err(ConfigError::SqlitePath),
            Some(("sqlite", _)) => Ok(()),
            Some(("postgres" | "postgresql", _)) => Err(ConfigError::NotBuiltIn {
                variable: "CLINIC_STORE",
                what: "PostgreSQL adapter (feature `postgres`)",
                instead: "sqlite:PATH",
            }),
            _ => Err(ConfigError::UnknownUrl { variable: "CLINIC_STORE", known: "sqlite:PATH, such as sqlite:clinic.db" }),
        }
    }
}
