//! Reminders: when a patient is told again of a confirmed visit.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

/// The most reminders of one visit.
const MOST: usize = 8;
/// The shortest and the longest time before a visit.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long before a confirmed visit its patient is reminded of it, as often as that. By default once, 24 hours before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminders(Arc<[TimeDelta]>);

/// Why times make no reminders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RemindersError {
    /// Too many.
    #[error("a visit has at most {MOST} reminders")]
    TooMany,
    /// Too short or too long before the visit.
    #[error("a reminder comes from 1 s to 366 days before its visit")]
    OutOfBounds,
    /// The same time twice.
    #[error("a reminder is named twice")]
    Twice,
}

impl Reminders {
    /// Reminders so long before a visit, in any order; none when none is given.
    ///
    /// # Errors
    /// [`RemindersError`].
    pub fn new(before: impl IntoIterator<Item = Duration>) -> Result<Self, RemindersError> {
        let mut before: Vec<Duration> = before.into_iter().collect();
        if before.len() > MOST {
            return Err(RemindersError::TooMany);
        }
        if !before.iter().all(|time| (SHORTEST..=LONGEST).contains(time)) {
            return Err(RemindersError::OutOfBounds);
        }
        before.sort_unstable();
        if before.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(RemindersError::Twice);
        }
        Ok(Self(before.into_iter().filter_map(|time| TimeDelta::from_std(time).ok()).collect()))
    }

    /// Nobody is reminded.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// When the first reminder later than `after` is due, for a visit that begins at `start`.
    #[must_use]
    pub fn next(&self, start: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.iter().filter_map(|before| start.checked_sub_signed(*before)).filter(|due| *due > after).min()
    }
}

impl Default for Reminders {
    fn default() -> Self {
        Self(Arc::new([TimeDelta::hours(24)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn visit() -> DateTime<Utc> {
        DateTime::from_timestamp(1_805_643_000, 0).unwrap()
    }

    #[test]
    fn the_next_reminder_is_the_earliest_that_lies_ahead() {
        let reminders = Reminders::new([HOUR, 48 * HOUR, 24 * HOUR]).unwrap();
        let before = |hours: u32| visit() - hours * HOUR;
        assert_eq!(reminders.next(visit(), before(100)), Some(before(48)));
        assert_eq!(reminders.next(visit(), before(48)), Some(before(24)), "one that is due now lies behind");
        assert_eq!(reminders.next(visit(), before(30)), Some(before(24)));
        assert_eq!(reminders.next(visit(), before(2)), Some(before(1)));
        assert_eq!(reminders.next(visit(), before(1)), None);
        assert_eq!(Reminders::none().next(visit(), before(100)), None);
        assert_eq!(Reminders::default().next(visit(), before(100)), Some(before(24)));
    }

    #[test]
    fn what_makes_no_reminders_is_refused() {
        assert_eq!(Reminders::new([Duration::ZERO]), Err(RemindersError::OutOfBounds));
        assert_eq!(Reminders::new([Duration::MAX]), Err(RemindersError::OutOfBounds));
        assert_eq!(Reminders::new([HOUR, 2 * HOUR, HOUR]), Err(RemindersError::Twice));
        assert_eq!(Reminders::new((1..=9).map(|hours| hours * HOUR)), Err(RemindersError::TooMany));
        assert_eq!(Reminders::new([]), Ok(Reminders::none()));
    }
}
