//! The figures as a person reads them.

use std::fmt;

use super::{Latency, Report};

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max, .. } = self;
        write!(f, "p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { warm_up, settled, .. } = self;
        writeln!(f, "{} loop, seed {}, {:.1} s", self.mode, self.seed, self.seconds)?;
        if self.warm_up_seconds > 0.0 {
            let failed = warm_up.conflicts + warm_up.errors;
            write!(f, "warm-up   {:.1} s before that, in no figure but the last two: ", self.warm_up_seconds)?;
            writeln!(f, "sent {}, not sent {}, accepted {}, refused or failed {failed}", warm_up.sent, warm_up.unsent, warm_up.accepted)?;
        }
        writeln!(f, "sent      {}, not sent {}", self.sent, self.unsent)?;
        writeln!(f, "accepted  {} ({:.1}/s), conflicts {}", self.accepted, self.accepted_per_second, self.conflicts)?;
        write!(f, "errors    {}", self.errors.values().sum::<u64>())?;
        for (code, count) in &self.errors {
            write!(f, ", {code} {count}")?;
        }
        writeln!(f, "\nlatency   {}", self.latency_ms)?;
        if self.operations.len() > 1 {
            for (operation, of) in &self.operations {
                writeln!(f, "  {operation:<7} {} of {} answered well: {}", of.ok, of.sent, of.latency_ms)?;
            }
        }
        if self.mode == "open" {
            writeln!(f, "late by   {}", self.lag_ms)?;
        }
        if self.saturated {
            writeln!(f, "SATURATED this tool did not keep to its schedule: give it a smaller rate, a greater --in-flight or more cores")?;
        }
        for (name, latency) in [("decided", &self.decided_ms), ("told", &self.told_ms)] {
            if latency.count > 0 {
                writeln!(f, "{name:<9} after {latency}")?;
            }
        }
        for judged in &self.thresholds {
            writeln!(f, "{judged}")?;
        }
        writeln!(
            f,
            "decided   {} (confirmed {}, rejected {}, cancelled {})",
            settled.decided, settled.confirmed, settled.rejected, settled.cancelled
        )?;
        write!(f, "told      {}, not told {}, unsettled {}, lost {}", settled.told, settled.not_told, settled.unsettled, settled.lost)?;
        write!(f, "; {:.1} s after the last answer", settled.seconds)
    }
}
