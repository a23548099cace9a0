//! A run second by second: kept in bounded memory, and to be watched while it grows.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    latency::{COARSE, histogram, record},
    report::Latency,
};

/// So many steps are kept; then two become one.
const MOST: usize = 3600;
/// Steps are added up to so many for what happens after the run; what comes later still counts in the last.
const MOST_AFTER: usize = 2 * MOST;
/// What happened within one step of a run: a second, or more of a run of hours ([`Series::step`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Second {
    /// When it began, in seconds from the run's start.
    pub at: u64,
    /// Requests sent in it.
    pub sent: u64,
    /// Arrivals of it that were not sent, because too many requests were under way.
    pub unsent: u64,
    /// Bookings accepted in it.
    pub accepted: u64,
    /// Refusals by the clinic's rules that came in it: a slot that was taken, a cancellation that came too late.
    pub conflicts: u64,
    /// Failures that came in it.
    pub errors: u64,
    /// Requests under way at its end.
    pub in_flight: u64,
    /// Half of the answers that came in it were faster, in milliseconds; 0 where none came. Of steps that became one, the greater.
    pub p50_ms: f64,
    /// Nine of ten were faster.
    pub p90_ms: f64,
    /// 99 of a hundred were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Bookings of the run that were decided in it; known once the run is over.
    pub decided: u64,
    /// Bookings of the run whose last notice went out in it; known once the run is over.
    pub told: u64,
}

impl Second {
    /// The two as one step.
    const fn merged(self, later: Self) -> Self {
        Self {
            at: self.at,
            sent: self.sent + later.sent,
            unsent: self.unsent + later.unsent,
            accepted: self.accepted + later.accepted,
            conflicts: self.conflicts + later.conflicts,
            errors: self.errors + later.errors,
            in_flight: later.in_flight,
            p50_ms: self.p50_ms.max(later.p50_ms),
            p90_ms: self.p90_ms.max(later.p90_ms),
            p99_ms: self.p99_ms.max(later.p99_ms),
            max_ms: self.max_ms.max(later.max_ms),
            decided: self.decided + later.decided,
            told: self.told + later.told,
        }
    }
}

/// How an answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// A booking was accepted.
    Accepted,
    /// Something else was answered as it should be.
    Done,
    /// The clinic's rules refused it.
    Conflict,
    /// It failed.
    Error,
}

/// Collects the steps of a run. Times are from its start, and later ones come later, but for the little that threads overtake one
/// another by: what comes after its step was closed counts in the open one.
#[derive(Clone, Debug)]
pub struct Series {
    step: u64,
    most: usize,
    closed: Vec<Second>,
    open: Second,
    latency: Histogram<u64>,
    in_flight: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self::keeping(MOST)
    }
}

impl Series {
    fn keeping(most: usize) -> Self {
        Self { step: 1, most, closed: Vec::new(), open: Second::default(), latency: histogram(COARSE), in_flight: 0 }
    }

    /// How many seconds a step has.
    #[must_use]
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// A request was sent.
    pub fn sent(&mut self, at: Duration) {
        self.close_before(at);
        self.open.sent += 1;
        self.in_flight += 1;
    }

    /// An arrival was not sent.
    pub fn unsent(&mut self, at: Duration) {
        self.close_before(at);
        self.open.unsent += 1;
    }

    /// An answer came, or what stands for one, so long after its request's intended start.
    pub fn answered(&mut self, at: Duration, answer: Answer, latency: Duration) {
        self.close_before(at);
        self.in_flight = self.in_flight.saturating_sub(1);
        match answer {
            Answer::Accepted => self.open.accepted += 1,
            Answer::Done => {}
            Answer::Conflict => self.open.conflicts += 1,
            Answer::Error => self.open.errors += 1,
        }
        record(&mut self.latency, latency);
    }

    /// Closes every step that is over by then.
    pub fn close_before(&mut self, at: Duration) {
        while at.as_secs() >= self.open.at + self.step {
            let next = Second { at: self.open.at + self.step, ..Second::default() };
            let closed = self.take_open();
            self.closed.push(closed);
            self.open = next;
            if self.closed.len() >= self.most {
                self.coarsen();
            }
        }
    }

    /// Requests under way.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The last step that is over.
    #[must_use]
    pub fn last(&self) -> Option<Second> {
        self.closed.last().copied()
    }

    /// The end of the run: all steps, the one that is open among them.
    #[must_use]
    pub fn finish(mut self) -> Steps {
        let open = self.take_open();
        self.closed.push(open);
        Steps { step: self.step, steps: self.closed }
    }

    fn take_open(&mut self) -> Second {
        if self.latency.is_empty() {
            return Second { in_flight: self.in_flight, ..self.open };
        }
        let millis = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1000.0;
        let (p50_ms, p90_ms, p99_ms, max_ms) = (millis(0.5), millis(0.9), millis(0.99), self.latency.max() as f64 / 1000.0);
        self.latency.reset();
        Second { in_flight: self.in_flight, p50_ms, p90_ms, p99_ms, max_ms, ..self.open }
    }

    /// Makes two steps one. Their number is even, so that the open one begins where a coarser one does.
    fn coarsen(&mut self) {
        let pairs = self.closed.chunks(2).map(|pair| pair.iter().copied().reduce(Second::merged).unwrap_or_default());
        self.closed = pairs.collect();
        self.step *= 2;
    }
}

/// The steps of a run that is over.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Steps {
    /// How many seconds a step has.
    pub step: u64,
    /// The steps.
    pub steps: Vec<Second>,
}

impl Steps {
    /// Counts something in the step of a second of the run; steps are added until there is one.
    pub(crate) fn count(&mut self, second: u64, count: impl FnOnce(&mut Second)) {
        let place = usize::try_from(second / self.step.max(1)).unwrap_or(usize::MAX).min(MOST_AFTER);
        while self.steps.len() <= place {
            let at = self.steps.len() as u64 * self.step;
            self.steps.push(Second { at, ..Second::default() });
        }
        count(&mut self.steps[place]);
    }
}

/// A run as it stands, for whoever watches it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// What it is at.
    pub phase: Phase,
    /// For how long it runs.
    pub elapsed: Duration,
    /// How long it sends, if it is not stopped: warm-up and stages, or less where a number of requests ends it;
    /// [`Duration::MAX`] where nobody knows.
    pub planned: Duration,
    /// The rate aimed at now, in requests a second; none in a closed loop.
    pub target: Option<f64>,
    /// The last step that is over.
    pub last: Second,
    /// Requests sent, the warm-up's too.
    pub sent: u64,
    /// Arrivals not sent.
    pub unsent: u64,
    /// Bookings accepted.
    pub accepted: u64,
    /// Refusals by the clinic's rules.
    pub conflicts: u64,
    /// Failures, by code.
    pub errors: BTreeMap<String, u64>,
    /// Latency so far, without the warm-up's.
    pub latency_ms: Latency,
    /// Requests under way.
    pub in_flight: u64,
    /// Whether this tool itself could not keep to its schedule.
    pub saturated: bool,
    /// Of the accepted bookings, how many are decided and told; known while the run settles.
    pub settled: u64,
}

/// What a run is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Sending what is not measured.
    WarmUp,
    /// Sending.
    #[default]
    Sending,
    /// Waiting until all is decided and told.
    Settling,
    /// It is over.
    Over,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_second_has_what_came_in_it_and_a_quiet_one_is_there_too() {
        let mut series = Series::default();
        series.sent(millis(100));
        series.sent(millis(900));
        series.answered(millis(950), Answer::Accepted, millis(50));
        series.answered(millis(3100), Answer::Error, millis(3000));
        series.unsent(millis(3200));
        let steps = series.finish().steps;
        let shown: Vec<_> = steps.iter().map(|s| (s.at, s.sent, s.accepted, s.errors, s.unsent, s.in_flight)).collect();
        assert_eq!(shown, [(0, 2, 1, 0, 0, 1), (1, 0, 0, 0, 0, 1), (2, 0, 0, 0, 0, 1), (3, 0, 0, 1, 1, 0)]);
        assert!((49.0..51.0).contains(&steps[0].p99_ms) && steps[1].max_ms == 0.0 && (2900.0..3100.0).contains(&steps[3].p50_ms));
    }

    #[test]
    fn a_long_run_is_kept_in_coarser_steps_that_lose_no_count() {
        let mut series = Series::keeping(8);
        for second in 0..1000 {
            series.sent(millis(second * 1000));
            series.answered(millis(second * 1000 + 1), Answer::Conflict, millis(second));
        }
        let Steps { step, steps } = series.finish();
        assert!(steps.len() <= 8, "{}", steps.len());
        assert_eq!(steps.iter().map(|step| step.conflicts).sum::<u64>(), 1000);
        assert!(steps.windows(2).all(|pair| pair[1].at == pair[0].at + step));
        assert!(steps.windows(2).all(|pair| pair[1].p50_ms > pair[0].p50_ms));
    }

    #[test]
    fn what_happens_after_the_end_adds_steps() {
        let mut steps = Series::default().finish();
        steps.count(2, |step| step.told += 1);
        assert_eq!(steps.steps.iter().map(|step| (step.at, step.told)).collect::<Vec<_>>(), [(0, 0), (1, 0), (2, 1)]);
    }
}
