//! When to try again and after how long: pure arithmetic, time and chance are parameters.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

/// The shortest pause of what comes again without an end.
const SHORTEST: Duration = Duration::from_millis(100);

/// How a call is tried again: how often, after which pauses, and how many retries all calls of a client may spend together.
///
/// Pauses are exponential with full jitter, as in M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    pub(crate) tries: u32,
    base: Duration,
    longest: Duration,
    pub(crate) budget: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { tries: 3, base: Duration::from_millis(100), longest: Duration::from_secs(10), budget: 100 }
    }
}

impl RetryPolicy {
    /// Every call is tried once.
    pub fn never() -> Self {
        Self::default().tries(1)
    }

    /// How often a call is tried in all, 3 times unless set; 0 means 1.
    pub const fn tries(mut self, tries: u32) -> Self {
        self.tries = if tries == 0 { 1 } else { tries };
        self
    }

    /// The bound of the first pause, 100 ms unless set; it doubles with each failure.
    pub const fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// The longest pause, 10 s unless set, and the longest that is waited where the server asks for a pause with `Retry-After`: what is
    /// drawn comes on top of that, so that not everybody comes back at once. Waits and streams of events, which come again as long as it
    /// takes, pause for 100 ms at least.
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// How many retries a client and its clones may spend in vain, 100 unless set. What is spent on a call that is answered in the
    /// end comes back, and so does a tenth of a retry with each call that is answered at once. With nothing left, calls give up
    /// after their first try: a clinic that is down is not asked three times as often as one that is up.
    pub const fn budget(mut self, retries: u32) -> Self {
        self.budget = retries;
        self
    }

    /// The pause after failed try number `failed` (from 1): uniform in `[0, base * 2^(failed-1))` on top of what the server asked
    /// for, each of the two no longer than the longest. `chance` is uniform in `[0, 1)`.
    pub(crate) fn pause(&self, failed: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let ceiling = self.base.saturating_mul(2u32.saturating_pow(failed.saturating_sub(1))).min(self.longest);
        let drawn = ceiling.mul_f64(chance.clamp(0.0, 1.0));
        // Added, not replaced: all who were turned away at once must not come back at once.
        asked.unwrap_or_default().min(self.longest).saturating_add(drawn)
    }

    /// The same for waits and streams, which come again without an end: never shorter than 100 ms, whatever the policy.
    pub(crate) fn patient_pause(&self, failed: u32, asked: Option<Duration>, chance: f64) -> Duration {
        self.pause(failed, asked, chance).saturating_add(SHORTEST)
    }

    /// A pause that a server chose, within 100 ms and the longest.
    pub(crate) fn bounded(&self, pause: Duration) -> Duration {
        pause.min(self.longest).max(SHORTEST)
    }
}

/// Reads `Retry-After`: seconds or an HTTP date (RFC 9110, section 10.2.3) in any of its three forms (section 5.6.7).
pub(crate) fn asked(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = header.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some((date(header.trim())? - now).to_std().unwrap_or_default())
}

fn date(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        return Some(date.to_utc());
    }
    let obsolete = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    obsolete.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|date| date.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: fn() -> RetryPolicy = RetryPolicy::default;

    #[test]
    fn pauses_grow_and_are_drawn_from_the_whole_span() {
        let base = Duration::from_millis(100);
        assert_eq!(POLICY().pause(1, None, 0.0), Duration::ZERO);
        assert_eq!(POLICY().pause(1, None, 1.0), base);
        assert_eq!(POLICY().pause(3, None, 1.0), base * 4);
        assert_eq!(POLICY().pause(u32::MAX, None, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn what_the_server_asked_for_is_honoured_and_clamped() {
        assert!(POLICY().pause(1, Some(Duration::from_secs(2)), 0.5) >= Duration::from_secs(2));
        for long in [Duration::from_secs(86_400), Duration::MAX] {
            assert_eq!(POLICY().pause(1, Some(long), 0.0), Duration::from_secs(10));
        }
    }

    #[test]
    fn those_who_are_asked_to_stay_away_for_too_long_do_not_come_back_at_once() {
        for pause in [RetryPolicy::pause, RetryPolicy::patient_pause] {
            let at = |chance| pause(&POLICY(), 1, Some(Duration::from_secs(60)), chance);
            assert_eq!(at(1.0) - at(0.0), Duration::from_millis(100));
        }
    }

    #[test]
    fn what_comes_again_without_an_end_always_pauses() {
        let shortest = Duration::from_millis(100);
        let hasty = POLICY().base(Duration::ZERO);
        assert_eq!(hasty.patient_pause(1, None, 0.5), shortest);
        assert_eq!(hasty.longest(Duration::ZERO).patient_pause(9, Some(Duration::MAX), 0.5), shortest);
        assert_eq!(POLICY().patient_pause(1, None, 0.5), shortest * 3 / 2);
        assert_eq!(POLICY().patient_pause(99, Some(Duration::MAX), 0.5), Duration::from_secs(15) + shortest);
        for (said, kept) in [(0, 100), (1500, 1500), (u64::MAX, 10_000)] {
            assert_eq!(POLICY().bounded(Duration::from_millis(said)), Duration::from_millis(kept));
        }
    }

    #[test]
    fn every_form_of_retry_after_is_read() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        assert_eq!(asked("3", now), Some(Duration::from_secs(3)));
        assert_eq!(asked("Tue, 14 Nov 2023 22:13:25 GMT", now), Some(Duration::from_secs(5)));
        assert_eq!(asked("Tue, 14 Nov 2023 22:13:15 GMT", now), Some(Duration::ZERO));
        assert_eq!(asked("Tuesday, 14-Nov-23 22:13:25 GMT", now), Some(Duration::from_secs(5)));
        assert_eq!(asked("Tue Nov 14 22:13:25 2023", now), Some(Duration::from_secs(5)));
        assert_eq!(asked("Wed Nov  1 22:13:25 2023", now), Some(Duration::ZERO));
        assert_eq!(asked("soon", now), None);
    }
}
