use std::{convert::Infallible, time::Duration};

use clap::Args;
use clinic_core::{retry::RetryPolicy, settings::Settings};

use super::{
    ConfigError,
    duration::{self, DurationRange},
};

/// How bookings are decided.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Deciding")]
#[non_exhaustive]
pub struct Deciding {
    /// Who knows whether a visit can take place: `simulated`, or the http(s) URL of a service.
    #[arg(long, env = "CLINIC_AVAILABILITY", value_name = "URL", default_value = "simulated", value_parser = AvailabilityUrl::read, hide_env_values = true)]
    pub availability: AvailabilityUrl,
    /// How long one availability check may take.
    #[arg(long, env = "CLINIC_ATTEMPT_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    pub attempt_timeout: Duration,
    /// How long the simulation thinks, uniformly random between the two.
    #[arg(long, env = "CLINIC_SIM_DELAY", value_name = "RANGE", default_value = "2s..5s")]
    pub sim_delay: DurationRange,
    /// Chance (0-1) that the simulation approves.
    #[arg(long, env = "CLINIC_SIM_APPROVE", value_name = "CHANCE", default_value = "0.8", value_parser = chance)]
    pub sim_approve: f64,
    /// Chance (0-1) that an attempt of the simulation fails in a way that may pass.
    #[arg(long, env = "CLINIC_SIM_FAIL", value_name = "CHANCE", default_value = "0.05", value_parser = chance)]
    pub sim_fail: f64,
    /// Seed of the simulation's chance; random when not given.
    #[arg(long, env = "CLINIC_SIM_SEED", value_name = "NUMBER")]
    pub sim_seed: Option<u64>,
    /// Attempts after the first (0-20).
    #[arg(long, env = "CLINIC_RETRIES", value_name = "COUNT", default_value = "3")]
    pub retries: u32,
    /// Pause after the first failed attempt.
    #[arg(long, env = "CLINIC_RETRY_BASE", value_name = "TIME", default_value = "1s", value_parser = duration::parse)]
    pub retry_base: Duration,
    /// What each further pause is multiplied by (1 or more).
    #[arg(long, env = "CLINIC_RETRY_FACTOR", value_name = "NUMBER", default_value = "5")]
    pub retry_factor: f64,
    /// Share of a pause (0-1) by which chance lengthens or shortens it.
    #[arg(long, env = "CLINIC_RETRY_JITTER", value_name = "SHARE", default_value = "0.2")]
    pub retry_jitter: f64,
    /// How long a claimed job is left to its holder; at least 1.5 attempt time-outs.
    #[arg(long, env = "CLINIC_LEASE", value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    pub lease: Duration,
    /// How often overdue jobs and deadlines are looked for.
    #[arg(long, env = "CLINIC_SWEEP", value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    pub sweep: Duration,
    /// How long a job is left to its message before the sweep may pick it up.
    #[arg(long, env = "CLINIC_GRACE", value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    pub grace: Duration,
    /// How long deciding a booking may take.
    #[arg(long, env = "CLINIC_DECIDE_WITHIN", value_name = "TIME", default_value = "24h", value_parser = duration::parse)]
    pub decide_within: Duration,
    /// How far ahead a visit may lie.
    #[arg(long, env = "CLINIC_HORIZON", value_name = "TIME", default_value = "365d", value_parser = duration::parse)]
    pub horizon: Duration,
    /// Bookings held in flight at once (1-1000000).
    #[arg(long, env = "CLINIC_CONCURRENCY", value_name = "COUNT", default_value = "10000")]
    pub concurrency: usize,
    /// Undecided bookings that one patient_id may have.
    #[arg(long, env = "CLINIC_PENDING_PER_PATIENT", value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u32).range(1..))]
    pub pending_per_patient: u32,
}

/// Who knows whether a visit can take place.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AvailabilityUrl {
    /// The built-in simulation.
    Simulated,
    /// A service at this URL.
    Http(String),
    /// Neither. It is refused when the settings are checked: clap would show what was written, and a secret in it.
    Unreadable,
}

impl AvailabilityUrl {
    fn read(text: &str) -> Result<Self, Infallible> {
        let is_served = || {
            let uri = text.parse::<http::Uri>().ok()?;
            Some(matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
        };
        Ok(match text {
            "simulated" => Self::Simulated,
            _ if is_served().unwrap_or_default() => Self::Http(text.to_owned()),
            _ => Self::Unreadable,
        })
    }
}

impl std::fmt::Debug for AvailabilityUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for AvailabilityUrl {
    /// The host alone: a URL may hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Simulated => f.write_str("simulated"),
            Self::Unreadable => f.write_str("?"),
            Self::Http(url) => {
                let uri = url.parse::<http::Uri>().unwrap_or_default();
                write!(f, "{}://{}", uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default())
            }
        }
    }
}

impl Deciding {
    /// The retry policy.
    ///
    /// # Errors
    /// [`ConfigError::Retry`] when a number is out of bounds.
    pub fn retry(&self) -> Result<RetryPolicy, ConfigError> {
        Ok(RetryPolicy::new(self.retries, self.retry_base, self.retry_factor, self.retry_jitter)?)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.availability == AvailabilityUrl::Unreadable { Err(ConfigError::Availability) } else { Ok(()) }
    }

    pub(super) fn apply(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        settings.retry = self.retry()?;
        settings.attempt_timeout = self.attempt_timeout;
        settings.lease = self.lease;
        settings.sweep = self.sweep;
        settings.grace = self.grace;
        settings.decide_within = self.decide_within;
        settings.horizon = self.horizon;
        settings.concurrency = self.concurrency;
        settings.pending_per_patient = self.pending_per_patient;
        Ok(())
    }
}

fn chance(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|chance| (0.0..=1.0).contains(chance)).ok_or("write a number from 0 to 1, such as 0.8")
}
