//! The figures of a run, for people and for programs.

mod distribution;
pub mod html;
mod text;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use hdrhistogram::Histogram;
use serde::Serialize;

pub use self::distribution::{Distribution, Quantile, quantiles};
use crate::{
    draw::Operation,
    series::Second,
    settle::{Followed, Settled},
    tally::{Count, Part, Tally},
    threshold::{Judged, Threshold},
    verdict::Verdict,
};

/// Behind its schedule by more than this, in microseconds, the tool itself is what is slow.
const LATE_US: u64 = 10_000;

/// The figures of a run. Counts and latencies are without the warm-up's; what was accepted is followed to its end in either.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// `open` or `closed`.
    pub mode: &'static str,
    /// The seed; with the same one the same requests are drawn.
    pub seed: u64,
    /// When the run began, by this machine's clock.
    pub started: DateTime<Utc>,
    /// How long the requests took, in seconds.
    pub seconds: f64,
    /// The length of the warm-up before, in seconds.
    pub warm_up_seconds: f64,
    /// What came of the warm-up.
    pub warm_up: Count,
    /// Requests that were sent and answered, or given up.
    pub sent: u64,
    /// Arrivals that were not sent, because too many requests were under way.
    pub unsent: u64,
    /// Bookings accepted.
    pub accepted: u64,
    /// Accepted a second.
    pub accepted_per_second: f64,
    /// Refusals by the clinic's rules: a slot that was taken, a cancellation that came too late.
    pub conflicts: u64,
    /// Everything else, by code; `timeout` and `transport` may have been booked.
    pub errors: BTreeMap<String, u64>,
    /// Latency from the intended start, of all operations.
    pub latency_ms: Latency,
    /// The same by operation: `book`, `get`, `cancel`, `list`, as far as there were any.
    pub operations: BTreeMap<&'static str, Performance>,
    /// How late requests were begun by this tool itself, against its schedule.
    pub lag_ms: Latency,
    /// Whether this tool could not keep to its schedule, so that its figures say more of itself than of the clinic: something was not
    /// sent, or one of a hundred was begun later than 10 ms.
    pub saturated: bool,
    /// From the intended start to the decision, by the clinic's clock behind the answer; of those that were not cancelled.
    pub decided_ms: Latency,
    /// From the intended start to the last notice of the decision that was sent.
    pub told_ms: Latency,
    /// How the latencies of answers, decisions and notices are spread.
    pub distribution: Distribution,
    /// How the accepted bookings ended.
    pub settled: Settled,
    /// How many seconds a step of `series` has: one, but for a run of hours.
    pub step_seconds: u64,
    /// The run second by second, the warm-up's too.
    pub series: Vec<Second>,
    /// What was done to the clinic meanwhile.
    pub faults: Vec<FaultMark>,
    /// Which promises were broken, where that was looked at.
    pub verdict: Option<Verdict>,
    /// What was demanded of the figures, and whether they keep it.
    pub thresholds: Vec<Judged>,
}

/// What became of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Performance {
    /// Requests that were sent and answered, or given up.
    pub sent: u64,
    /// Of those, answered as they should be.
    pub ok: u64,
    /// Latency from the intended start.
    pub latency_ms: Latency,
}

/// Something that was done to the clinic in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FaultMark {
    /// When, in milliseconds from the run's start.
    pub at_ms: u64,
    /// Until when, where it lasted.
    pub until_ms: Option<u64>,
    /// What.
    pub fault: String,
    /// To what.
    pub target: String,
    /// How it went.
    pub outcome: String,
}

/// Latency, in milliseconds; zeros where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Half are faster.
    pub p50: f64,
    /// Nine of ten are faster.
    pub p90: f64,
    /// 99 of a hundred are faster.
    pub p99: f64,
    /// 999 of a thousand are faster.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

impl Latency {
    /// The percentiles of latencies in microseconds.
    #[must_use]
    pub fn of(micros: &Histogram<u64>) -> Self {
        let millis = |quantile| micros.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            count: micros.len(),
            p50: millis(0.5),
            p90: millis(0.9),
            p99: millis(0.99),
            p999: millis(0.999),
            max: micros.max() as f64 / 1000.0,
        }
    }
}

/// What a run came to, from which its [`Report`] is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ran {
    /// `open` or `closed`.
    pub mode: &'static str,
    /// The seed.
    pub seed: u64,
    /// When it began.
    pub started: DateTime<Utc>,
    /// The length of the warm-up.
    pub warm_up: Duration,
    /// How long the requests took, the warm-up's too.
    pub took: Duration,
    /// What came of them.
    pub tally: Tally,
    /// How the accepted bookings ended.
    pub followed: Followed,
}

impl Report {
    /// Sums a run up.
    #[must_use]
    pub fn new(ran: Ran) -> Self {
        let Ran { mode, seed, started, warm_up, took, tally, followed } = ran;
        let (measured, lag_ms) = (tally.measured, Latency::of(&tally.lag));
        let seconds = took.saturating_sub(warm_up).as_secs_f64();
        let mut steps = tally.series.finish();
        followed.decided_at.iter().for_each(|(second, count)| steps.count(*second, |step| step.decided += count));
        followed.told_at.iter().for_each(|(second, count)| steps.count(*second, |step| step.told += count));
        let performance = |part: &Part| Performance { sent: part.latency.len(), ok: part.ok, latency_ms: Latency::of(&part.latency) };
        let operations = Operation::ALL.iter().zip(&tally.operations).filter(|(_, part)| !part.latency.is_empty());
        Self {
            mode,
            seed,
            started,
            seconds,
            warm_up_seconds: warm_up.as_secs_f64(),
            warm_up: tally.warm_up,
            sent: measured.sent,
            unsent: measured.unsent,
            accepted: measured.accepted,
            accepted_per_second: if seconds > 0.0 { measured.accepted as f64 / seconds } else { 0.0 },
            conflicts: measured.conflicts,
            errors: tally.errors,
            latency_ms: Latency::of(&tally.latency),
            operations: operations.map(|(operation, part)| (operation.name(), performance(part))).collect(),
            lag_ms,
            saturated: is_saturated(measured.unsent, &tally.lag),
            decided_ms: Latency::of(&followed.decided),
            told_ms: Latency::of(&followed.told),
            distribution: Distribution {
                answered: quantiles(&tally.latency),
                decided: quantiles(&followed.decided),
                told: quantiles(&followed.told),
            },
            settled: followed.settled,
            step_seconds: steps.step,
            series: steps.steps,
            faults: Vec::new(),
            verdict: None,
            thresholds: Vec::new(),
        }
    }

    /// Holds thresholds against the figures.
    pub fn hold_against(&mut self, thresholds: &[Threshold]) {
        self.thresholds = thresholds.iter().map(|threshold| threshold.judge(self)).collect();
    }

    /// Whether everything accepted is there, decided and told, no threshold failed and no promise was found broken.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.settled.is_complete()
            && !self.thresholds.iter().any(|judged| judged.failed)
            && self.verdict.as_ref().is_none_or(|verdict| verdict.breaches.is_empty())
    }
}

/// Whether the tool could not keep to its schedule.
pub(crate) fn is_saturated(unsent: u64, lag: &Histogram<u64>) -> bool {
    unsent > 0 || lag.value_at_quantile(0.99) > LATE_US
}
