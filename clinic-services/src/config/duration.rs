//! Lengths of time as people write them: `500ms`, `2s`, `5m`, `24h`, `365d`, and ranges `2s..5s`.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use thiserror::Error;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A thousand years.
const LONGEST: Duration = Duration::from_millis(1_000 * 366 * UNITS[4].1);

/// Why a text is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadDuration {
    /// No number, or no unit.
    #[error("write a number and a unit, such as 500ms, 2s, 5m, 24h or 365d")]
    Syntax,
    /// More than a thousand years.
    #[error("is too long")]
    TooLong,
    /// A range whose end lies before its start.
    #[error("the range ends before it starts: write the shorter time first, such as 2s..5s")]
    Backwards,
}

/// Reads `500ms`, `2s`, `5m`, `24h` or `365d`; a fraction such as `1.5s` is fine, a bare `0` too.
///
/// # Errors
/// [`BadDuration`].
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(BadDuration::Syntax)?;
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(BadDuration::Syntax)?;
    let time = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(*millis).map(Duration::from_millis),
        Err(_) => {
            let number: f64 = number.parse().map_err(|_| BadDuration::Syntax)?;
            Duration::try_from_secs_f64(number * (*millis as f64) / 1_000.0).ok()
        }
    };
    time.filter(|time| *time <= LONGEST).ok_or(BadDuration::TooLong)
}

/// From a shortest to a longest length of time, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationRange(pub RangeInclusive<Duration>);

impl FromStr for DurationRange {
    type Err = BadDuration;

    fn from_str(text: &str) -> Result<Self, BadDuration> {
        let (shortest, longest) = text.split_once("..").unwrap_or((text, text));
        let (shortest, longest) = (parse(shortest.trim())?, parse(longest.trim())?);
        if shortest > longest {
            return Err(BadDuration::Backwards);
        }
        Ok(Self(shortest..=longest))
    }
}

impl fmt::Display for DurationRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}..{:?}", self.0.start(), self.0.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2_000),
            ("1.5s", 1_500),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("365d", 31_536_000_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in ["", "5", "s", "-1s", "1 s", "1.2.3s", ".s", "2seconds", "1S"] {
            assert_eq!(parse(text), Err(BadDuration::Syntax), "{text}");
        }
        for text in ["999999999999d", "999999999999.5d"] {
            assert_eq!(parse(text), Err(BadDuration::TooLong), "{text}");
        }
    }

    #[test]
    fn ranges_run_forwards() {
        let range = |text: &str| text.parse::<DurationRange>();
        assert_eq!(range("2s..5s").unwrap().0, Duration::from_secs(2)..=Duration::from_secs(5));
        assert_eq!(range("1s").unwrap().0, Duration::from_secs(1)..=Duration::from_secs(1));
        assert_eq!(range("5s..2s"), Err(BadDuration::Backwards));
        assert_eq!(range("2s.."), Err(BadDuration::Syntax));
    }
}
