//! The numbers and names that the use cases run by.

use std::{sync::LazyLock, time::Duration};

use thiserror::Error;

use crate::{
    booking::Language,
    reminder::Reminders,
    request::Defaults,
    retry::{RetryPolicy, RetryPolicyError},
};

/// The longest that a lease or a pause may be set to: a thousand years. Clocks overflow beyond.
const LONGEST: Duration = Duration::from_secs(1_000 * 366 * 24 * 3600);

/// The most of a host's name that a process's name shows.
const LONGEST_HOST: usize = 40;

/// In a container every process has the id 1, on a host all have one host name, and a host's process that is started again may have
/// the id it had: chance tells those apart.
static PROCESS: LazyLock<String> = LazyLock::new(|| {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    process_name(&host, std::process::id(), rand::random())
});

/// How a clinic runs. Every process of a clinic has the same.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// This process's name in timelines, unlike that of any other, its predecessor's too: `HOST-PID-CHANCE` when nothing is said.
    pub worker: String,
    /// When failed attempts are made again.
    pub retry: RetryPolicy,
    /// How long one availability check may take.
    pub attempt_timeout: Duration,
    /// How long a claimed job is left to its holder. At least 1.5 attempt time-outs.
    pub lease: Duration,
    /// How often overdue jobs and deadlines are looked for.
    pub sweep: Duration,
    /// How long a job is left to its message before the sweep may pick it up.
    pub grace: Duration,
    /// How long deciding a booking may take.
    pub decide_within: Duration,
    /// How far ahead a visit may lie.
    pub horizon: Duration,
    /// How many bookings one worker holds in flight.
    pub concurrency: usize,
    /// How many undecided bookings one `patient_id` may have.
    pub pending_per_patient: u32,
    /// How long before a confirmed visit its patient is reminded.
    pub reminders: Reminders,
    /// The clinic's zone and language.
    pub defaults: Defaults,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            worker: PROCESS.clone(),
            retry: RetryPolicy::default(),
            attempt_timeout: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            sweep: Duration::from_secs(2),
            grace: Duration::from_secs(30),
            decide_within: Duration::from_secs(24 * 3600),
            horizon: Duration::from_secs(365 * 24 * 3600),
            concurrency: 10_000,
            pending_per_patient: 20,
            reminders: Reminders::default(),
            defaults: Defaults::new(chrono_tz::UTC, Language::Spanish),
        }
    }
}

/// Why settings contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// An attempt could outlive its lease.
    #[error(
        "the lease ({lease:?}) must be at least 1.5 attempt time-outs ({attempt_timeout:?}): raise CLINIC_LEASE or lower CLINIC_ATTEMPT_TIMEOUT"
    )]
    ShortLease {
        /// The lease.
        lease: Duration,
        /// The attempt time-out.
        attempt_timeout: Duration,
    },
    /// A length of time that must not be zero.
    #[error("{0} must be longer than zero")]
    Zero(&'static str),
    /// A length of time that no clock can count to.
    #[error("{0} must be at most a thousand years")]
    Endless(&'static str),
    /// The retry policy's numbers make none.
    #[error(transparent)]
    Retry(#[from] RetryPolicyError),
    /// Nothing could ever be in flight.
    #[error("CLINIC_CONCURRENCY must be from 1 to 1000000")]
    Concurrency,
}

impl Settings {
    /// Looks for contradictions.
    ///
    /// # Errors
    /// The first one found; its text names the fix.
    pub fn check(&self) -> Result<(), SettingsError> {
        let Self { lease, attempt_timeout, .. } = *self;
        for (name, duration) in [
            ("CLINIC_ATTEMPT_TIMEOUT", attempt_timeout),
            ("CLINIC_LEASE", lease),
            ("CLINIC_SWEEP", self.sweep),
            ("CLINIC_GRACE", self.grace),
        ] {
            if duration > LONGEST {
                return Err(SettingsError::Endless(name));
            }
        }
        self.retry.check()?;
        if lease < attempt_timeout.mul_f64(1.5) {
            return Err(SettingsError::ShortLease { lease, attempt_timeout });
        }
        for (name, duration) in [
            ("CLINIC_ATTEMPT_TIMEOUT", attempt_timeout),
            ("CLINIC_SWEEP", self.sweep),
            ("CLINIC_DECIDE_WITHIN", self.decide_within),
            ("CLINIC_HORIZON", self.horizon),
        ] {
            if duration.is_zero() {
                return Err(SettingsError::Zero(name));
            }
        }
        if !(1..=1_000_000).contains(&self.concurrency) {
            return Err(SettingsError::Concurrency);
        }
        Ok(())
    }
}

fn process_name(host: &str, id: u32, chance: u16) -> String {
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(LONGEST_HOST).collect();
    let host = if host.is_empty() { "clinic" } else { &host };
    format!("{host}-{id}-{chance:04x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_told_apart_by_host_id_and_chance() {
        assert_eq!(process_name("3f2a9c1e0b7d\n", 1, 0x2a), "3f2a9c1e0b7d-1-002a");
        assert_eq!(process_name("", 17, 0xffff), "clinic-17-ffff");
        assert_eq!(process_name(&"ñ h".repeat(100), 1, 0), format!("{}-1-0000", "h".repeat(LONGEST_HOST)));
        assert_eq!(Settings::default().worker, Settings::default().worker);
    }

    #[test]
    fn a_lease_shorter_than_one_and_a_half_attempts_refuses_to_start() {
        let settings = Settings { lease: Duration::from_secs(14), ..Settings::default() };
        assert!(matches!(settings.check(), Err(SettingsError::ShortLease { .. })));
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn numbers_that_no_clock_can_count_refuse_to_start() {
        let endless = Duration::MAX;
        for settings in [
            Settings { lease: endless, ..Settings::default() },
            Settings { attempt_timeout: endless, lease: endless, ..Settings::default() },
            Settings { grace: endless, ..Settings::default() },
        ] {
            assert!(matches!(settings.check(), Err(SettingsError::Endless(_))), "{settings:?}");
        }
        let settings = Settings { retry: RetryPolicy { jitter: 5.0, ..RetryPolicy::default() }, ..Settings::default() };
        assert_eq!(settings.check(), Err(SettingsError::Retry(RetryPolicyError::Jitter)));
    }
}
