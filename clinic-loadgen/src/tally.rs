//! What came of the requests: counts, latencies, the bookings to follow.

use std::{collections::BTreeMap, time::Duration};

use clinic_client::{Error, ErrorKind, ProblemCode};
use hdrhistogram::Histogram;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    draw::Operation,
    latency::{FINE, histogram, micros, record},
    series::{Answer, Series},
};

/// How many requests came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Count {
    /// Sent and answered, or given up.
    pub sent: u64,
    /// Not sent, because too many were under way.
    pub unsent: u64,
    /// Bookings accepted.
    pub accepted: u64,
    /// Refused by the clinic's rules.
    pub conflicts: u64,
    /// Failed.
    pub errors: u64,
}

/// An accepted booking, as small as can be: a run may have millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Its id.
    pub id: Uuid,
    /// When it was to be sent, in milliseconds from the run's start.
    pub due_ms: u32,
    /// From then to the answer, in microseconds.
    pub latency_us: u32,
    /// Whether the warm-up was over.
    pub is_measured: bool,
}

impl Accepted {
    /// A booking that was due so long after the run's start, and accepted so long after that.
    #[must_use]
    pub fn new(id: Uuid, due: Duration, latency: Duration, is_measured: bool) -> Self {
        Self { id, due_ms: due.as_millis().try_into().unwrap_or(u32::MAX), latency_us: micros(latency), is_measured }
    }
}

/// One operation's part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Part {
    /// Answered as they should be.
    pub ok: u64,
    /// Latency of every answered request, in microseconds.
    pub latency: Histogram<u64>,
}

/// Counts and latencies of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tally {
    /// The accepted bookings, the warm-up's too.
    pub accepted: Vec<Accepted>,
    /// What came of the warm-up.
    pub warm_up: Count,
    /// What came of the rest.
    pub measured: Count,
    /// Failures, by code; `timeout` and `transport` may have been done.
    pub errors: BTreeMap<String, u64>,
    /// By operation, in the order of [`Operation::ALL`].
    pub operations: [Part; 4],
    /// Of all operations.
    pub latency: Histogram<u64>,
    /// How late requests were begun, in microseconds.
    pub lag: Histogram<u64>,
    /// Second by second.
    pub series: Series,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            accepted: Vec::new(),
            warm_up: Count::default(),
            measured: Count::default(),
            errors: BTreeMap::new(),
            operations: std::array::from_fn(|_| Part { ok: 0, latency: histogram(FINE) }),
            latency: histogram(FINE),
            lag: histogram(FINE),
            series: Series::default(),
        }
    }
}

/// A request's place in time.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Moment {
    /// When it was to be sent, from the run's start.
    pub due: Duration,
    /// When something came of it.
    pub now: Duration,
    /// Whether the warm-up was over when it was due.
    pub is_measured: bool,
}

impl Moment {
    /// How long after it was to be sent.
    #[must_use]
    pub fn latency(self) -> Duration {
        self.now.saturating_sub(self.due)
    }
}

impl Tally {
    /// A request is sent now.
    pub fn sent(&mut self, moment: Moment) {
        self.series.sent(moment.now);
        if moment.is_measured {
            record(&mut self.lag, moment.latency());
        }
    }

    /// An arrival is not sent.
    pub fn unsent(&mut self, moment: Moment) {
        self.series.unsent(moment.now);
        self.count_of(moment).unsent += 1;
    }

    /// Counts an answer that came now: a booking's id where one was accepted, none where something else was done.
    pub fn answered(&mut self, operation: Operation, answer: Result<Option<Uuid>, &Error>, moment: Moment) {
        let answered = match answer {
            Ok(Some(_)) => Answer::Accepted,
            Ok(None) => Answer::Done,
            Err(error) if is_conflict(error) => Answer::Conflict,
            Err(_) => Answer::Error,
        };
        let latency = moment.latency();
        self.series.answered(moment.now, answered, latency);
        let count = self.count_of(moment);
        count.sent += 1;
        count.accepted += u64::from(answered == Answer::Accepted);
        count.conflicts += u64::from(answered == Answer::Conflict);
        count.errors += u64::from(answered == Answer::Error);
        if let Ok(Some(id)) = answer {
            self.accepted.push(Accepted::new(id, moment.due, latency, moment.is_measured));
        }
        if moment.is_measured {
            if let (Err(error), Answer::Error) = (answer, answered) {
                *self.errors.entry(code(error)).or_default() += 1;
            }
            let part = &mut self.operations[operation as usize];
            part.ok += u64::from(answer.is_ok());
            record(&mut part.latency, latency);
            record(&mut self.latency, latency);
        }
    }

    fn count_of(&mut self, moment: Moment) -> &mut Count {
        if moment.is_measured { &mut self.measured } else { &mut self.warm_up }
    }
}

/// Whether the clinic's rules refused it: no failure, but what contention is there to show.
fn is_conflict(error: &Error) -> bool {
    matches!(error.code(), Some(ProblemCode::SlotTaken | ProblemCode::NotCancellable | ProblemCode::AlreadyStarted))
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

    fn moment(due: u64, now: u64) -> Moment {
        Moment { due: Duration::from_millis(due), now: Duration::from_millis(now), is_measured: due >= 1000 }
    }

    fn refused(code: ProblemCode) -> Error {
        Error::new(ErrorKind::Api(Box::new(Problem::new(code, ""))))
    }

    #[test]
    fn conflicts_are_no_errors_and_errors_have_codes() {
        let mut tally = Tally::default();
        for code in [ProblemCode::SlotTaken, ProblemCode::Unavailable, ProblemCode::Unavailable] {
            tally.answered(Operation::Book, Err(&refused(code)), moment(1000, 1002));
        }
        tally.answered(Operation::Cancel, Err(&refused(ProblemCode::NotCancellable)), moment(1000, 1002));
        tally.answered(Operation::Get, Err(&Error::new(ErrorKind::Timeout)), moment(1000, 700_000));
        assert_eq!(tally.measured, Count { sent: 5, unsent: 0, accepted: 0, conflicts: 2, errors: 3 });
        assert_eq!(tally.errors, BTreeMap::from([("timeout".to_owned(), 1), ("unavailable".to_owned(), 2)]));
    }

    #[test]
    fn what_is_due_in_the_warm_up_is_followed_and_in_no_histogram() {
        let mut tally = Tally::default();
        for due in [0, 999, 1000] {
            tally.sent(moment(due, due));
            tally.answered(Operation::Book, Ok(Some(Uuid::now_v7())), moment(due, due + 5000));
        }
        tally.unsent(moment(10, 10));
        tally.answered(Operation::Book, Err(&Error::new(ErrorKind::Timeout)), moment(10, 20));
        assert_eq!(tally.warm_up, Count { sent: 3, unsent: 1, accepted: 2, conflicts: 0, errors: 1 });
        assert_eq!((tally.measured.sent, tally.latency.len(), tally.lag.len(), tally.operations[0].latency.len()), (1, 1, 1, 1));
        assert_eq!((tally.accepted.len(), tally.errors.len()), (3, 0));
    }

    #[test]
    fn each_operation_has_a_latency_of_its_own() {
        let mut tally = Tally::default();
        tally.answered(Operation::Book, Ok(Some(Uuid::now_v7())), moment(1000, 1100));
        tally.answered(Operation::List, Ok(None), moment(1000, 1001));
        let part = |operation: Operation| &tally.operations[operation as usize];
        assert_eq!((part(Operation::Book).ok, part(Operation::List).ok, tally.latency.len()), (1, 1, 2));
        assert!(part(Operation::Book).latency.max() > 90_000 && part(Operation::List).latency.max() < 2000);
    }

    #[test]
    fn a_million_bookings_to_follow_take_less_than_32_megabytes() {
        assert!(size_of::<Accepted>() <= 32);
    }
}
