//! The retry policy: pure arithmetic, randomness comes in as a number.

use std::time::Duration;

use thiserror::Error;

/// When a failed attempt is tried again, and how often: at most `1 + retries` attempts, spaced by
/// `base * factor^(n-1)`, each spread by up to `jitter` either way.
///
/// Exponential back-off with jitter, as in M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub retries: u32,
    /// The pause after the first failure.
    pub base: Duration,
    /// What each further pause is multiplied by.
    pub factor: f64,
    /// The share of a pause, 0.0-1.0, by which chance may lengthen or shorten it.
    pub jitter: f64,
    /// No pause is longer than this, jitter aside.
    pub max: Duration,
}

/// Why numbers make no retry policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RetryPolicyError {
    /// The factor is below 1 or no number.
    #[error("the retry factor must be a number of at least 1")]
    Factor,
    /// The jitter is outside 0-1.
    #[error("the retry jitter must lie from 0 to 1")]
    Jitter,
    /// Too many retries.
    #[error("at most {MAX_RETRIES} retries are allowed")]
    Retries,
}

/// The most retries a policy may ask for.
pub const MAX_RETRIES: u32 = 20;
/// No pause is longer, jitter aside, whatever the numbers: a year.
const LONGEST_PAUSE: Duration = Duration::from_secs(366 * 24 * 3600);

impl Default for RetryPolicy {
    /// 3 retries after 1 s, 5 s and 25 s, each +-20 %.
    fn default() -> Self {
        Self { retries: 3, base: Duration::from_secs(1), factor: 5.0, jitter: 0.2, max: Duration::from_secs(3600) }
    }
}

impl RetryPolicy {
    /// A policy of its own numbers; pauses are capped at an hour.
    ///
    /// # Errors
    /// [`RetryPolicyError`] names the number that is out of bounds.
    pub fn new(retries: u32, base: Duration, factor: f64, jitter: f64) -> Result<Self, RetryPolicyError> {
        let policy = Self { retries, base, factor, jitter, ..Self::default() };
        policy.check().map(|()| policy)
    }

    /// For sends to patients: each pause four times the one before, up to an hour, +-20 %.
    #[must_use]
    pub const fn for_notices(retries: u32, base: Duration) -> Self {
        Self { retries, base, factor: 4.0, jitter: 0.2, max: Duration::from_secs(3600) }
    }

    /// Whether its numbers are in bounds, however they were set.
    ///
    /// # Errors
    /// [`RetryPolicyError`] names the number that is not.
    pub fn check(&self) -> Result<(), RetryPolicyError> {
        if self.retries > MAX_RETRIES {
            return Err(RetryPolicyError::Retries);
        }
        if !self.factor.is_finite() || self.factor < 1.0 {
            return Err(RetryPolicyError::Factor);
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(RetryPolicyError::Jitter);
        }
        Ok(())
    }

    /// The same policy with another cap on its pauses.
    #[must_use]
    pub const fn capped_at(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// The pause after the failed attempt number `attempt` (from 1), or `None` when none is left.
    /// `chance` is a uniform number in `[0, 1)`.
    ///
    /// # Panics
    /// When the jitter is out of the bounds that [`check`](Self::check) holds it to; a clinic does so before it starts.
    #[must_use]
    pub fn pause_after(&self, attempt: u32, chance: f64) -> Option<Duration> {
        if attempt > self.retries {
            return None;
        }
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let pause = (self.base.as_secs_f64() * self.factor.powi(exponent)).min(self.max.min(LONGEST_PAUSE).as_secs_f64());
        let spread = 1.0 + self.jitter * (2.0 * chance.clamp(0.0, 1.0) - 1.0);
        Some(Duration::from_secs_f64(pause * spread))
    }
}

/// How many losses a job survives before its booking is rejected with `processing_failed`.
pub const MAX_LOSSES: u32 = 20;

/// The pause before a job lost `losses` times may be claimed again: none for the first three, so that a killed worker
/// costs nothing, then doubling from a second up to a minute, so that a job that kills its worker cannot take a fleet down.
#[must_use]
pub fn pause_after_loss(losses: u32) -> Duration {
    match losses {
        0..=3 => Duration::ZERO,
        n => Duration::from_secs(1 << (n - 4).min(6)).min(Duration::from_secs(60)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_waits_1_5_and_25_seconds_and_then_gives_up() {
        let pauses: Vec<_> = (1..=4).map(|n| RetryPolicy::default().pause_after(n, 0.5)).collect();
        assert_eq!(pauses, [Some(Duration::from_secs(1)), Some(Duration::from_secs(5)), Some(Duration::from_secs(25)), None]);
    }

    #[test]
    fn no_pause_is_longer_than_clocks_can_count() {
        let policy = RetryPolicy { base: Duration::MAX, max: Duration::MAX, ..RetryPolicy::default() };
        assert_eq!(policy.check(), Ok(()));
        assert!(policy.pause_after(3, 0.99).unwrap() <= LONGEST_PAUSE * 2);
    }

    #[test]
    fn losses_pause_ever_longer() {
        let pauses: Vec<_> = (1..=11).map(|n| pause_after_loss(n).as_secs()).collect();
        assert_eq!(pauses, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn bad_numbers_are_named() {
        let second = Duration::from_secs(1);
        assert_eq!(RetryPolicy::new(21, second, 5.0, 0.2), Err(RetryPolicyError::Retries));
        assert_eq!(RetryPolicy::new(3, second, f64::NAN, 0.2), Err(RetryPolicyError::Factor));
        assert_eq!(RetryPolicy::new(3, second, 5.0, 1.5), Err(RetryPolicyError::Jitter));
    }

    proptest! {
        #[test]
        fn a_pause_stays_within_its_jitter(attempt in 1u32..=20, chance in 0.0f64..1.0, base in 0u64..5_000, factor in 1.0f64..10.0, jitter in 0.0f64..=1.0) {
            let policy = RetryPolicy::new(20, Duration::from_millis(base), factor, jitter).unwrap();
            let plain = (Duration::from_millis(base).as_secs_f64() * factor.powi(attempt as i32 - 1)).min(3600.0);
            let pause = policy.pause_after(attempt, chance).unwrap().as_secs_f64();
            prop_assert!(pause >= plain * (1.0 - jitter) - 1e-6 && pause <= plain * (1.0 + jitter) + 1e-6);
        }

        #[test]
        fn never_more_than_the_retries(retries in 0u32..=20, attempt in 1u32..100) {
            let policy = RetryPolicy::new(retries, Duration::from_secs(1), 2.0, 0.0).unwrap();
            prop_assert_eq!(policy.pause_after(attempt, 0.0).is_some(), attempt <= retries);
        }
    }
}
