use std::{str::FromStr, time::Duration};

use thiserror::Error;

/// The rates that make sense, in requests a second.
const RATES: std::ops::RangeInclusive<f64> = 0.001..=1e7;

/// A part of an open loop: so long at one rate, or from one to another.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stage {
    /// How long.
    pub length: Duration,
    /// Requests a second at its beginning.
    pub from: f64,
    /// Requests a second at its end.
    pub to: f64,
}

impl Stage {
    /// The rate so long after its beginning, in requests a second.
    pub(super) fn rate(&self, at: Duration) -> f64 {
        self.from + self.slope() * at.as_secs_f64()
    }

    /// How many arrivals it has.
    pub(super) fn arrivals(&self) -> f64 {
        f64::midpoint(self.from, self.to) * self.length.as_secs_f64()
    }

    /// After how long so many of its arrivals were: what solves `arrivals = from t + slope t^2 / 2`, in the form that no slope of zero
    /// divides by.
    pub(super) fn reached(&self, arrivals: f64) -> Duration {
        let root = (self.from * self.from + 2.0 * self.slope() * arrivals).max(0.0).sqrt();
        Duration::try_from_secs_f64(2.0 * arrivals / (self.from + root)).map_or(self.length, |at| at.min(self.length))
    }

    fn slope(&self) -> f64 {
        (self.to - self.from) / self.length.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Why a text is no stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a length of time, @ and a rate a second, or two of them, such as 30s@500 or 1m@500..2000")]
pub struct StageError;

impl FromStr for Stage {
    type Err = StageError;

    fn from_str(text: &str) -> Result<Self, StageError> {
        let (length, rates) = text.split_once('@').ok_or(StageError)?;
        let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
        let rate = |text: &str| text.trim().parse().ok().filter(|rate| RATES.contains(rate)).ok_or(StageError);
        Ok(Self { length: parse_duration(length.trim()).map_err(|_| StageError)?, from: rate(from)?, to: rate(to)? })
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
        "us" => number / 1_000_000.0,
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
    fn a_stage_has_a_length_and_a_rate_or_two() {
        let stage = |text: &str| text.parse::<Stage>();
        assert_eq!(stage("30s@500"), Ok(Stage { length: Duration::from_secs(30), from: 500.0, to: 500.0 }));
        assert_eq!(stage("1m@500..2000"), Ok(Stage { length: Duration::from_secs(60), from: 500.0, to: 2000.0 }));
        for wrong in ["", "30s", "@500", "30@500", "30s@", "30s@0", "30s@-5", "30s@5..", "30s@1e9", "30s@NaN", "30s@inf"] {
            assert_eq!(stage(wrong), Err(StageError), "{wrong}");
        }
    }

    #[test]
    fn a_ramp_reaches_half_of_its_arrivals_after_more_than_half_of_its_time() {
        let ramp: Stage = "10s@0.001..1000".parse().unwrap();
        let half = ramp.reached(ramp.arrivals() / 2.0).as_secs_f64();
        assert!((half - 10.0 / 2f64.sqrt()).abs() < 0.001, "{half}");
        let down: Stage = "10s@1000..0.001".parse().unwrap();
        assert_eq!(down.reached(down.arrivals()).as_secs(), 10);
        assert_eq!("10s@5".parse::<Stage>().unwrap().reached(25.0), Duration::from_secs(5));
    }

    #[test]
    fn lengths_of_time_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "5", "s", "-5s", "5 years", "ñs"] {
            assert_eq!(parse_duration(wrong), Err(DurationError), "{wrong}");
        }
    }
}
