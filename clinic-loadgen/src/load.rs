//! How much load, and by which clock.

use std::time::Duration;

use thiserror::Error;

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Load {
    /// Open loop: evenly spaced arrivals, so many a second, whatever the clinic does. Latency counts from the intended
    /// start, so a stall is seen by all who would have come meanwhile: there is no coordinated omission (G. Tene, "How NOT
    /// to Measure Latency").
    Open {
        /// Arrivals a second.
        rate: f64,
        /// Requests under way at most; an arrival beyond that is counted as not sent.
        in_flight: usize,
    },
    /// Closed loop: so many callers, each asking again as soon as it is answered. Finds the ceiling, hides stalls.
    Closed {
        /// Callers.
        connections: usize,
    },
}

impl Load {
    /// When arrival number `index` (from 0) is due, from the start of an open loop at `rate` a second.
    #[must_use]
    pub fn due(rate: f64, index: u64) -> Duration {
        Duration::from_secs_f64(index as f64 / rate)
    }

    /// How many arrivals an open loop at `rate` a second has within `duration`.
    #[must_use]
    pub fn arrivals(rate: f64, duration: Duration) -> u64 {
        (rate * duration.as_secs_f64()).round() as u64
    }
}

/// Why a text is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a number with a unit, such as 500ms, 30s, 10m or 1h")]
pub struct DurationError;

/// Reads a length of time such as `500ms`, `30s`, `10m`, `1h`.
///
/// # Errors
/// [`DurationError`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).ok_or(DurationError)?);
    let number: f64 = number.parse().map_err(|_| DurationError)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(DurationError),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| DurationError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_evenly_spaced_and_fill_the_time() {
        assert_eq!(Load::arrivals(500.0, Duration::from_secs(30)), 15_000);
        assert_eq!(Load::due(500.0, 0), Duration::ZERO);
        assert_eq!(Load::due(500.0, 250), Duration::from_millis(500));
    }

    #[test]
    fn lengths_of_time_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "5", "s", "-5s", "5 years", "ñs"] {
            assert_eq!(parse_duration(wrong), Err(DurationError), "{wrong}");
        }
    }
}
