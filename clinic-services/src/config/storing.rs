use clap::Args;
use clinic_core::store::postgres::PostgresUrl;

use super::ConfigError;

/// Where bookings are kept.
#[derive(Args, Clone)]
#[command(next_help_heading = "Store and broker")]
#[non_exhaustive]
pub struct Storing {
    /// The store: `sqlite:PATH`, or PostgreSQL at `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
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
            Some(("postgres" | "postgresql", _)) => PostgresUrl::parse(&self.url).map(drop).map_err(ConfigError::Postgres),
            _ => Err(ConfigError::UnknownUrl {
                variable: "CLINIC_STORE",
                known: "sqlite:PATH, such as sqlite:clinic.db, or postgres://USER:PASSWORD@HOST:PORT/DATABASE",
            }),
        }
    }
}

impl std::fmt::Display for Storing {
    /// Of PostgreSQL hosts and database alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match PostgresUrl::parse(&self.url) {
            Ok(postgres) => postgres.fmt(f),
            Err(_) if self.url.starts_with("sqlite:") => f.write_str(&self.url),
            Err(_) => f.write_str("?"),
        }
    }
}

impl std::fmt::Debug for Storing {
    /// Shows no password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storing").field("url", &format_args!("{self}")).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_shown_without_its_password() {
        for (url, shown) in [
            ("sqlite:clinic.db", "sqlite:clinic.db"),
            ("postgres://clinic:pa55@db.example:5432/clinic?sslmode=disable", "postgres://db.example/clinic"),
            ("postgres://clinic:pa55@db.example:port/clinic", "?"),
            ("mysql://clinic:pa55@db.example/clinic", "?"),
        ] {
            let storing = Storing { url: url.into() };
            assert_eq!(storing.to_string(), shown);
            assert!(!format!("{storing:?}").contains("pa55"));
        }
    }
}
