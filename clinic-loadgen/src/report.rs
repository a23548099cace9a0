//! The figures of a run, for people and for programs.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

use crate::{load::Load, settle::Settled, tally::Tally};

/// The figures of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// `open` or `closed`.
    pub mode: &'static str,
    /// The seed; with the same one the same requests are drawn.
    pub seed: u64,
    /// How long the requests took, in seconds.
    pub seconds: f64,
    /// Requests that were sent and answered, or given up.
    pub sent: u64,
    /// Arrivals that were not sent, because too many requests were under way.
    pub unsent: u64,
    /// Bookings accepted.
    pub accepted: u64,
    /// Accepted a second.
    pub accepted_per_second: f64,
    /// Requests for a slot that was taken.
    pub conflicts: u64,
    /// Everything else, by code.
    pub errors: BTreeMap<String, u64>,
    /// Latency from the intended start.
    pub latency_ms: Latency,
    /// How the accepted bookings ended.
    pub settled: Settled,
}

/// Latency, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Latency {
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

impl Report {
    /// Sums a run up.
    #[must_use]
    pub fn new(load: Load, seed: u64, tally: &Tally, took: Duration, settled: Settled) -> Self {
        let accepted = tally.accepted.len() as u64;
        let millis = |quantile| tally.latency.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            mode: match load {
                Load::Open { .. } => "open",
                Load::Closed { .. } => "closed",
            },
            seed,
            seconds: took.as_secs_f64(),
            sent: tally.sent(),
            unsent: tally.unsent,
            accepted,
            accepted_per_second: accepted as f64 / took.as_secs_f64().max(f64::EPSILON),
            conflicts: tally.conflicts,
            errors: tally.errors.clone(),
            latency_ms: Latency {
                p50: millis(0.5),
                p90: millis(0.9),
                p99: millis(0.99),
                p999: millis(0.999),
                max: tally.latency.max() as f64 / 1000.0,
            },
            settled,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { latency_ms: latency, settled, .. } = self;
        writeln!(f, "{} loop, seed {}, {:.1} s", self.mode, self.seed, self.seconds)?;
        writeln!(f, "sent      {}, not sent {}", self.sent, self.unsent)?;
        writeln!(f, "accepted  {} ({:.1}/s), conflicts {}", self.accepted, self.accepted_per_second, self.conflicts)?;
        write!(f, "errors    {}", self.errors.values().sum::<u64>())?;
        for (code, count) in &self.errors {
            write!(f, ", {code} {count}")?;
        }
        writeln!(f)?;
        let Latency { p50, p90, p99, p999, max } = latency;
        writeln!(f, "latency   p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")?;
        writeln!(f, "decided   {} (confirmed {}, rejected {})", settled.decided, settled.confirmed, settled.rejected)?;
        write!(f, "told      {}, not told {}, unsettled {}, lost {}", settled.told, settled.not_told, settled.unsettled, settled.lost)?;
        write!(f, "; {:.1} s after the last answer", settled.seconds)
    }
}
