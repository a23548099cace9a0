//! Slots: half-open spans of time `[start, end)`.

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, SubsecRound, TimeZone, Utc};
use chrono_tz::Tz;
use thiserror::Error;

/// The shortest visit, in minutes.
pub const MIN_MINUTES: u16 = 5;
/// The longest visit, in minutes. The stores' overlap rule relies on it to look back no further.
pub const MAX_MINUTES: u16 = 480;
/// The length of a visit whose request names none, in minutes.
pub const DEFAULT_MINUTES: u16 = 30;

/// A half-open span `[start, end)`: back-to-back slots do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    start: DateTime<Utc>,
    minutes: u16,
}

/// Why a span is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The length is outside 5-480 minutes.
    #[error("must be from {MIN_MINUTES} to {MAX_MINUTES} minutes")]
    Length,
    /// The end lies beyond what a date can say.
    #[error("is too far away for a calendar")]
    Range,
}

impl Slot {
    /// A slot from its start and its length in minutes (5-480). The start is cut to whole milliseconds, as stores keep it.
    ///
    /// # Errors
    /// [`SlotError`] when the length is out of bounds or the end is no date.
    pub fn new(start: DateTime<Utc>, minutes: u16) -> Result<Self, SlotError> {
        if !(MIN_MINUTES..=MAX_MINUTES).contains(&minutes) {
            return Err(SlotError::Length);
        }
        let start = start.trunc_subsecs(3);
        start.checked_add_signed(Duration::minutes(minutes.into())).ok_or(SlotError::Range)?;
        Ok(Self { start, minutes })
    }

    /// When the visit starts.
    #[must_use]
    pub const fn start(&self) -> DateTime<Utc> {
        self.start
    }

    /// When the slot is free again.
    #[must_use]
    pub fn end(&self) -> DateTime<Utc> {
        self.start + Duration::minutes(self.minutes.into())
    }

    /// The length in minutes.
    #[must_use]
    pub const fn minutes(&self) -> u16 {
        self.minutes
    }

    /// Whether the two share an instant.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

/// Why a text names no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Neither RFC 3339 nor a local date and time.
    #[error("must be a date and time such as 2027-03-21T15:30:00Z or, in the clinic's own time, 2027-03-21T15:30:00")]
    Syntax,
    /// The clocks jump over that local time.
    #[error("does not exist in {0}: the clocks go forward over it; choose another time or give an offset")]
    Gap(Tz),
}

/// Reads a date and time: with an offset as RFC 3339 says, without one as local time in `zone`. A local time that
/// comes twice when the clocks go back is the earlier of the two.
///
/// # Errors
/// [`TimeError`] when the text is no time, or one that the zone skips.
pub fn parse_time(text: &str, zone: Tz) -> Result<DateTime<Utc>, TimeError> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.with_timezone(&Utc));
    }
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .ok_or(TimeError::Syntax)?;
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Ok(time.with_timezone(&Utc)),
        LocalResult::None => Err(TimeError::Gap(zone)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot(start: i64, minutes: u16) -> Slot {
        Slot::new(DateTime::from_timestamp(start, 0).unwrap(), minutes).unwrap()
    }

    #[test]
    fn back_to_back_slots_fit() {
        assert!(!slot(0, 30).overlaps(&slot(1800, 30)));
        assert!(slot(0, 30).overlaps(&slot(1799, 30)));
    }

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        let start = DateTime::from_timestamp(0, 0).unwrap();
        for minutes in [0, 4, 481] {
            assert_eq!(Slot::new(start, minutes), Err(SlotError::Length));
        }
        assert_eq!(Slot::new(DateTime::<Utc>::MAX_UTC, 30), Err(SlotError::Range));
    }

    #[test]
    fn a_time_in_the_gap_is_refused_and_a_double_one_is_the_earlier() {
        let zone = chrono_tz::Europe::Madrid;
        assert_eq!(parse_time("2027-03-28T02:30:00", zone), Err(TimeError::Gap(zone)));
        let twice = parse_time("2027-10-31T02:30:00", zone).unwrap();
        assert_eq!(twice.to_rfc3339(), "2027-10-31T00:30:00+00:00");
    }

    #[test]
    fn an_offset_beats_the_zone() {
        let time = parse_time("2027-03-21T15:30:00+02:00", chrono_tz::America::Lima).unwrap();
        assert_eq!(time.to_rfc3339(), "2027-03-21T13:30:00+00:00");
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_and_means_a_shared_minute(a in 0i64..2000, b in 0i64..2000, la in 5u16..480, lb in 5u16..480) {
            let (x, y) = (slot(a * 60, la), slot(b * 60, lb));
            let shared = (a..a + i64::from(la)).any(|m| (b..b + i64::from(lb)).contains(&m));
            prop_assert_eq!(x.overlaps(&y), shared);
            prop_assert_eq!(y.overlaps(&x), shared);
        }

        #[test]
        fn every_printed_time_is_read_back(seconds in 0i64..4_102_444_800) {
            let time = DateTime::from_timestamp(seconds, 0).unwrap();
            prop_assert_eq!(parse_time(&time.to_rfc3339(), chrono_tz::UTC), Ok(time));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = parse_time(&text, chrono_tz::America::New_York);
        }
    }
}
