//! How long to wait before the next try: pure arithmetic, time and chance are parameters.

use std::time::Duration;

use chrono::{DateTime, Utc};

const BASE: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// The pause after failed try number `failed` (from 1): uniform in `[0, 100 ms * 2^(failed-1))`, at most 10 s, and never
/// shorter than the server asked, unless it asked for more than 10 s. `chance` is uniform in `[0, 1)`.
///
/// "Full jitter" of M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
pub(crate) fn after(failed: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let ceiling = BASE.saturating_mul(2u32.saturating_pow(failed.saturating_sub(1))).min(LONGEST);
    let drawn = ceiling.mul_f64(chance.clamp(0.0, 1.0));
    // Added, not replaced: all who were turned away at once must not come back at once.
    (asked.unwrap_or_default() + drawn).min(LONGEST)
}

/// Reads `Retry-After`: seconds or an HTTP date, RFC 9110 section 10.2.3.
pub(crate) fn asked(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = header.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(header.trim()).ok()?;
    Some((until.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_drawn_from_the_whole_span() {
        assert_eq!(after(1, None, 0.0), Duration::ZERO);
        assert_eq!(after(1, None, 1.0), BASE);
        assert_eq!(after(3, None, 1.0), BASE * 4);
        assert_eq!(after(u32::MAX, None, 1.0), LONGEST);
    }

    #[test]
    fn what_the_server_asked_for_is_honoured_and_clamped() {
        assert!(after(1, Some(Duration::from_secs(2)), 0.5) >= Duration::from_secs(2));
        assert_eq!(after(1, Some(Duration::from_secs(86_400)), 0.5), LONGEST);
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        assert_eq!(asked("3", now), Some(Duration::from_secs(3)));
        assert_eq!(asked("Tue, 14 Nov 2023 22:13:25 GMT", now), Some(Duration::from_secs(5)));
        assert_eq!(asked("Tue, 14 Nov 2023 22:13:15 GMT", now), Some(Duration::ZERO));
        assert_eq!(asked("soon", now), None);
    }
}
