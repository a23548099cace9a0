//! Configuration: every setting is a flag and an environment variable, one struct a concern.

mod brokering;
mod calling;
mod deciding;
mod effective;
mod environment;
mod locality;
mod logging;
mod serving;
mod storing;
mod telling;

pub mod duration;

use std::net::SocketAddr;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clinic_core::{
    retry::RetryPolicyError,
    settings::{Settings, SettingsError},
};
use thiserror::Error;

pub use self::{
    brokering::Brokering,
    calling::Calling,
    deciding::{AvailabilityUrl, Deciding},
    effective::Effective,
    environment::UnknownVariable,
    locality::Locality,
    logging::{LogFormat, Logging},
    serving::{Insecure, Serving},
    storing::Storing,
    telling::{ChannelName, Telling},
};

/// The clinic's command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "clinic",
    version,
    about = "An online clinic: appointment requests accepted over HTTP, decided and told, in one process",
    after_help = "Durations are written 500ms, 2s, 5m, 24h, 365d. Without a command the clinic serves.",
    args_conflicts_with_subcommands = true,
    hide_possible_values = false
)]
#[non_exhaustive]
pub struct Cli {
    /// What to do; serving when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of serving.
    #[command(flatten)]
    pub config: Config,
}

/// What the `clinic` binary can do beside serving.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Checks the configuration and prints what is in effect, then ends.
    CheckConfig(Config),
}

/// All settings.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the API listens and who may call it.
    #[command(flatten)]
    pub serving: Serving,
    /// Where bookings are kept.
    #[command(flatten)]
    pub storing: Storing,
    /// What carries the news of jobs.
    #[command(flatten)]
    pub brokering: Brokering,
    /// How bookings are decided.
    #[command(flatten)]
    pub deciding: Deciding,
    /// How patients are told.
    #[command(flatten)]
    pub telling: Telling,
    /// Where the clinic is.
    #[command(flatten)]
    pub locality: Locality,
    /// What the process says about itself.
    #[command(flatten)]
    pub logging: Logging,
    /// How client and operator commands reach a clinic.
    #[command(flatten)]
    pub calling: Calling,
}

/// Why the configuration refuses to start. Every text names the fix.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Anybody on the network could call.
    #[error(
        "CLINIC_LISTEN={0} is reachable from other machines and nothing protects it: set CLINIC_API_KEYS_FILE to a file of keys, \
         or CLINIC_ALLOW_INSECURE=http if something in front of the clinic checks who calls, or listen on 127.0.0.1"
    )]
    Unprotected(SocketAddr),
    /// An adapter that this build does not have.
    #[error("{variable}: this build has no {what}; use {instead}, or a build that has it")]
    NotBuiltIn {
        /// The setting.
        variable: &'static str,
        /// What is missing.
        what: &'static str,
        /// What there is.
        instead: &'static str,
    },
    /// A URL of no known scheme.
    #[error("{variable} is none of: {known}")]
    UnknownUrl {
        /// The setting.
        variable: &'static str,
        /// What there is.
        known: &'static str,
    },
    /// A SQLite URL that is not `sqlite:PATH`.
    #[error("CLINIC_STORE: write sqlite:PATH, such as sqlite:clinic.db or sqlite:/var/lib/clinic/clinic.db; bookings need a file")]
    SqlitePath,
    /// A prefix that cannot begin a queue's name.
    #[error("CLINIC_PREFIX: use at most 64 letters, digits, dots, hyphens and underscores")]
    Prefix,
    /// A channel named twice.
    #[error("CLINIC_CHANNELS names {0} twice: name each channel once")]
    ChannelTwice(&'static str),
    /// A log filter that cannot be read.
    #[error("CLINIC_LOG cannot be read: write a level such as info, or a filter such as info,clinic_services=debug")]
    LogFilter(#[source] tracing_subscriber::filter::ParseError),
    /// A retry number out of bounds.
    #[error("{0}: see CLINIC_RETRIES, CLINIC_RETRY_FACTOR and CLINIC_RETRY_JITTER")]
    Retry(#[from] RetryPolicyError),
    /// A contradiction.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl ConfigError {
    pub(crate) const fn no_channel(name: ChannelName) -> Self {
        let what = match name {
            ChannelName::Email => "e-mail channel (feature `email`)",
            ChannelName::Webhook => "webhook channel (feature `webhook`)",
            ChannelName::Log => "log channel (feature `log-channel`)",
        };
        Self::NotBuiltIn { variable: "CLINIC_CHANNELS", what, instead: "log" }
    }
}

impl Cli {
    /// Reads the command line and the environment, as `clap` does: it prints help and errors and ends the process.
    #[must_use]
    pub fn from_process() -> (Self, Effective) {
        Self::read(Self::command().get_matches()).unwrap_or_else(|error| error.exit())
    }

    fn read(matches: clap::ArgMatches) -> Result<(Self, Effective), clap::Error> {
        let command = Self::command();
        let effective = match matches.subcommand() {
            Some((name, sub)) => Effective::new(command.find_subcommand(name).unwrap_or(&command), sub),
            None => Effective::new(&command, &matches),
        };
        Ok((Self::from_arg_matches(&matches)?, effective))
    }
}

impl Config {
    /// The settings that the use cases run by.
    ///
    /// # Errors
    /// [`ConfigError`]: the first thing that is wrong with any setting or between settings.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        self.serving.check()?;
        self.storing.check()?;
        self.brokering.check()?;
        self.telling.check()?;
        self.logging.env_filter()?;
        let mut settings = Settings::default();
        self.deciding.apply(&mut settings)?;
        settings.defaults = self.locality.defaults();
        settings.check()?;
        Ok(settings)
    }

    /// `CLINIC_*` variables of this process's environment that no setting reads.
    #[must_use]
    pub fn unknown_variables() -> Vec<UnknownVariable> {
        environment::unknown(&Cli::command(), std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(flags: &[&str]) -> Config {
        Cli::try_parse_from(std::iter::once("clinic").chain(flags.iter().copied())).unwrap().config
    }

    fn refused(flags: &[&str]) -> String {
        config(flags).settings().unwrap_err().to_string()
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_a_variable_that_its_flag_is_named_after() {
        for arg in Cli::command().get_arguments() {
            let (Some(flag), Some(variable)) = (arg.get_long(), arg.get_env()) else {
                panic!("{} lacks a flag or a variable", arg.get_id())
            };
            assert_eq!(variable.to_str().unwrap(), format!("CLINIC_{}", flag.to_uppercase().replace('-', "_")));
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_core() {
        let (ours, core) = (config(&[]).settings().unwrap(), Settings::default());
        assert_eq!(format!("{ours:?}"), format!("{core:?}"));
    }

    #[test]
    fn flags_reach_the_settings() {
        let settings =
            config(&["--sweep", "500ms", "--retries", "1", "--timezone", "America/Lima", "--language", "en"]).settings().unwrap();
        assert_eq!((settings.sweep, settings.retry.retries), (Duration::from_millis(500), 1));
        assert_eq!(settings.defaults.timezone, chrono_tz::America::Lima);
    }

    #[test]
    fn listening_to_the_world_needs_keys_or_a_word() {
        assert!(refused(&["--listen", "0.0.0.0:80"]).contains("CLINIC_ALLOW_INSECURE=http"));
        assert!(refused(&["--listen", "[::]:80", "--allow-insecure", "amqp"]).contains("CLINIC_API_KEYS_FILE"));
        assert!(config(&["--listen", "0.0.0.0:80", "--allow-insecure", "amqp,http"]).settings().is_ok());
        assert!(config(&["--listen", "0.0.0.0:80", "--api-keys-file", "keys"]).settings().is_ok());
        assert!(config(&["--listen", "localhost:80"]).settings().is_ok());
    }

    #[test]
    fn what_is_not_built_in_is_named() {
        assert!(refused(&["--broker", "amqp://localhost"]).contains("no RabbitMQ adapter"));
        assert!(refused(&["--store", "postgres://localhost/clinic"]).contains("no PostgreSQL adapter"));
        assert!(config(&["--availability", "https://calendar.example.org/check"]).settings().is_ok());
        assert!(refused(&["--channels", "log,email"]).contains("no e-mail channel"));
        assert!(refused(&["--channels", "webhook"]).contains("no webhook channel"));
        assert!(refused(&["--channels", "log,log"]).contains("twice"));
        for store in ["sqlite://clinic.db", "sqlite:", "sqlite::memory:"] {
            assert!(refused(&["--store", store]).contains("sqlite:PATH"), "{store}");
        }
        assert!(refused(&["--store", "clinic.db"]).contains("CLINIC_STORE"));
    }

    #[test]
    fn contradictions_name_the_fix() {
        assert!(refused(&["--lease", "14s"]).contains("raise CLINIC_LEASE"));
        assert!(refused(&["--sweep", "0s"]).contains("CLINIC_SWEEP"));
        assert!(refused(&["--retries", "21"]).contains("CLINIC_RETRIES"));
        assert!(refused(&["--concurrency", "0"]).contains("CLINIC_CONCURRENCY"));
        assert!(refused(&["--log", "info,=x="]).contains("CLINIC_LOG"));
        assert!(refused(&["--prefix", "a b"]).contains("CLINIC_PREFIX"));
    }

    #[test]
    fn bad_values_are_refused_when_read() {
        for flags in [
            ["--sim-approve", "1.5"],
            ["--sim-delay", "5s..2s"],
            ["--listen", "8080"],
            ["--timezone", "Mars/Base"],
            ["--language", "fr"],
            ["--availability", "ftp://host"],
            ["--grace", "7"],
            ["--log-format", "xml"],
            ["--pending-per-patient", "0"],
        ] {
            assert!(Cli::try_parse_from(["clinic"].into_iter().chain(flags)).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn an_unknown_variable_is_told_its_nearest() {
        let names = ["CLINIC_STORES", "CLINIC_SWEEP", "CLINIC_CRASH_AT", "PATH", "CLINIC_COMPLETELY_DIFFERENT"].map(String::from);
        let unknown = environment::unknown(&Cli::command(), names.into_iter());
        assert_eq!(unknown.len(), 2);
        assert_eq!(unknown[0].nearest.as_deref(), Some("CLINIC_STORE"));
        assert_eq!(unknown[1].nearest, None);
    }

    #[test]
    fn what_is_in_effect_says_where_it_comes_from() {
        let matches = Cli::command().try_get_matches_from(["clinic", "check-config", "--sweep", "3s", "--token", "secret"]).unwrap();
        let (_, effective) = Cli::read(matches).unwrap();
        let text = effective.to_string();
        let line = |variable: &str| text.lines().find(|line| line.starts_with(variable)).unwrap().to_owned();
        assert!(line("CLINIC_SWEEP=3s").ends_with("# flag"));
        assert!(line("CLINIC_LEASE=30s").ends_with("# default"));
        assert!(line("CLINIC_TOKEN=***").ends_with("# flag"));
        assert!(line("CLINIC_SIM_SEED=").ends_with("# not set"));
    }
}
