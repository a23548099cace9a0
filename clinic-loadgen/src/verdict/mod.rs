//! What a clinic promised and did not keep, judged from what its API shows. Pure: no reading, no clock.
//!
//! [`judge`] looks at one booking, [`Told`] compares what bookings were told with one another, [`Overlaps`] looks at doctors' days.

mod booking;
mod overlap;
#[cfg(test)]
mod planted;
mod told;

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

pub use self::{
    booking::{is_settled, judge},
    overlap::Overlaps,
    told::Told,
};

/// So many breaches of a kind are printed; JSON has all.
const SHOWN: usize = 20;

/// What kind of promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Accepted, and not there, or not what was accepted.
    Lost,
    /// Two requests were given the same booking.
    Duplicated,
    /// Two active bookings of a doctor overlap.
    Overlapped,
    /// Decided more than once, or the status is not what the timeline says.
    Flipped,
    /// Asked about more often than allowed.
    Overtried,
    /// A decision that was not told on a channel.
    Untold,
    /// Told of an older event after a later one.
    OutOfOrder,
    /// Pending past the time by which it had to be decided.
    Undecided,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] =
        [Self::Lost, Self::Duplicated, Self::Overlapped, Self::Flipped, Self::Overtried, Self::Untold, Self::OutOfOrder, Self::Undecided];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Overlapped => "overlapped",
            Self::Flipped => "flipped",
            Self::Overtried => "overtried",
            Self::Untold => "untold",
            Self::OutOfOrder => "out of order",
            Self::Undecided => "undecided",
        })
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Breach {
    /// Which one.
    pub kind: Kind,
    /// The bookings concerned.
    pub bookings: Vec<Uuid>,
    /// How.
    pub detail: String,
}

impl Breach {
    /// A breach.
    #[must_use]
    pub fn new(kind: Kind, bookings: impl Into<Vec<Uuid>>, detail: impl Into<String>) -> Self {
        Self { kind, bookings: bookings.into(), detail: detail.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for booking in &self.bookings {
            write!(f, "{booking} ")?;
        }
        f.write_str(&self.detail)
    }
}

/// What became of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Requests that the log says were accepted.
    pub accepted: u64,
    /// Requests that the log says were refused.
    pub refused: u64,
    /// Requests of which the log cannot say whether they were accepted. No breach.
    pub unknown: u64,
    /// Bookings that the API lists in the run's span.
    pub listed: u64,
    /// Bookings still pending, and in time: of them nothing can be said yet.
    pub pending: u64,
    /// What was broken.
    pub breaches: Vec<Breach>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, refused, unknown, listed, pending, breaches } = self;
        write!(f, "accepted {accepted}, refused {refused}, unknown {unknown}, still pending in time {pending}; listed {listed}")?;
        for kind in Kind::ALL {
            let found = breaches.iter().filter(|breach| breach.kind == kind);
            let count = found.clone().count();
            write!(f, "\n{kind:<12} {count}")?;
            for breach in found.take(SHOWN) {
                write!(f, "\n  {breach}")?;
            }
            if count > SHOWN {
                write!(f, "\n  and {} more: see --json", count - SHOWN)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_prints_twenty_breaches_of_a_kind_and_says_how_many_more() {
        let breaches = (0..23).map(|_| Breach::new(Kind::Lost, [Uuid::nil()], "not there")).collect();
        let text = Verdict { breaches, ..Verdict::default() }.to_string();
        assert_eq!(text.matches("not there").count(), 20);
        assert!(text.contains("and 3 more"));
        assert!(text.contains("out of order 0"));
    }
}
