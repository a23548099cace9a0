//! What came of the requests: counts, latencies, the ids to follow.

use std::{collections::BTreeMap, time::Duration};

use clinic_client::{BookingView, Error, ErrorKind, ProblemCode};
use hdrhistogram::Histogram;
use uuid::Uuid;

/// The longest latency told apart, in microseconds: ten minutes.
const LONGEST: u64 = 600_000_000;

/// Counts and latencies of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tally {
    /// The accepted bookings.
    pub accepted: Vec<Uuid>,
    /// Requests for a slot that was taken.
    pub conflicts: u64,
    /// Everything else, by code; `timeout` and `transport` may have been booked.
    pub errors: BTreeMap<String, u64>,
    /// Arrivals that were not sent, because too many requests were under way.
    pub unsent: u64,
    /// Latency of every answered request, in microseconds.
    pub latency: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds and digits are within what a histogram takes");
        Self { accepted: Vec::new(), conflicts: 0, errors: BTreeMap::new(), unsent: 0, latency }
    }
}

impl Tally {
    /// Counts an answer that came `latency` after its intended start.
    pub fn count(&mut self, answer: &Result<BookingView, Error>, latency: Duration) {
        match answer {
            Ok(booking) => self.accepted.push(booking.id),
            Err(error) if error.code() == Some(ProblemCode::SlotTaken) => self.conflicts += 1,
            Err(error) => *self.errors.entry(code(error)).or_default() += 1,
        }
        self.latency.saturating_record(latency.as_micros().try_into().unwrap_or(LONGEST));
    }

    /// Requests that were sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.latency.len()
    }
}

/// The kind of an error as a code.
pub(crate) fn code(error: &Error) -> String {
    match &error.kind {
        ErrorKind::Api(problem) => problem.code.clone(),
        ErrorKind::InvalidRequest(_) => ProblemCode::InvalidRequest.as_str().into(),
        ErrorKind::Timeout => "timeout".into(),
        ErrorKind::Transport(_) => "transport".into(),
        ErrorKind::Decode(_) => "decode".into(),
        _ => "other".into(),
    }
}

#[cfg(test)]
mod tests {
    use clinic_client::Problem;

    use super::*;

    #[test]
    fn conflicts_are_no_errors_and_errors_have_codes() {
        let mut tally = Tally::default();
        for code in [ProblemCode::SlotTaken, ProblemCode::Unavailable, ProblemCode::Unavailable] {
            tally.count(&Err(Error::new(ErrorKind::Api(Box::new(Problem::new(code, ""))))), Duration::from_millis(2));
        }
        tally.count(&Err(Error::new(ErrorKind::Timeout)), Duration::MAX);
        assert_eq!((tally.sent(), tally.conflicts), (4, 1));
        assert_eq!(tally.errors, BTreeMap::from([("timeout".to_owned(), 1), ("unavailable".to_owned(), 2)]));
    }
}
