//! What is demanded of a run's figures: `p99>50ms` fails a run whose 99th percentile is above 50 ms.

use std::{fmt, str::FromStr};

use serde::Serialize;
use thiserror::Error;

use crate::{
    draw::Operation,
    load::parse_duration,
    report::{Latency, Report},
};

/// A condition under which a run has failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    text: String,
    figure: Figure,
    comparison: Comparison,
    /// Milliseconds, a share, a rate a second or a number, by the figure.
    limit: f64,
}

/// What came of a [`Threshold`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Judged {
    /// The condition, as it was written.
    pub fail_if: String,
    /// The figure; none where the run had nothing to take it from, which fails.
    pub seen: Option<f64>,
    /// Its unit: `ms`, `%`, `/s` or none.
    pub unit: &'static str,
    /// Whether the run failed by it.
    pub failed: bool,
}

/// Why a text is no threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "must be a figure, one of > >= < <=, and a limit: p50, p90, p99, p99.9 or max of all requests or of book., get., cancel., list., \
     lag., decided. or told., against a time, as in p99>50ms or decided.p99>5s; errors, conflicts or unsent against a number or a share, \
     as in errors>0.1%; rate, in accepted bookings a second, as in rate<1000"
)]
pub struct ThresholdError;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Latency(Of, Quantile),
    Count(Counted),
    /// Of all arrivals.
    Share(Counted),
    Rate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    All,
    Operation(Operation),
    Lag,
    Decided,
    Told,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantile {
    P50,
    P90,
    P99,
    P999,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Counted {
    Errors,
    Conflicts,
    Unsent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let (name, rest) = text.split_at(text.find(['<', '>']).ok_or(ThresholdError)?);
        let comparisons = [(">=", Comparison::AtLeast), ("<=", Comparison::AtMost), (">", Comparison::Above), ("<", Comparison::Below)];
        let found = comparisons.into_iter().find_map(|(sign, comparison)| Some((comparison, rest.strip_prefix(sign)?)));
        let (comparison, limit) = found.ok_or(ThresholdError)?;
        let (figure, limit) = Figure::parse(name.trim(), limit.trim()).ok_or(ThresholdError)?;
        Ok(Self { text: text.trim().to_owned(), figure, comparison, limit })
    }
}

impl Figure {
    /// A figure and its limit.
    fn parse(name: &str, limit: &str) -> Option<(Self, f64)> {
        let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        let counted = match name {
            "rate" => return Some((Self::Rate, number(limit)?)),
            "errors" => Some(Counted::Errors),
            "conflicts" => Some(Counted::Conflicts),
            "unsent" => Some(Counted::Unsent),
            _ => None,
        };
        if let Some(counted) = counted {
            return match limit.strip_suffix('%') {
                Some(percent) => Some((Self::Share(counted), number(percent)?)),
                None => Some((Self::Count(counted), number(limit)?)),
            };
        }
        let (of, quantile) = name.split_once('.').filter(|(of, _)| *of != "p99").unwrap_or(("", name));
        let of = match of {
            "" => Of::All,
            "lag" => Of::Lag,
            "decided" => Of::Decided,
            "told" => Of::Told,
            of => Of::Operation(Operation::ALL.into_iter().find(|operation| operation.name() == of)?),
        };
        let quantile = match quantile {
            "p50" => Quantile::P50,
            "p90" => Quantile::P90,
            "p99" => Quantile::P99,
            "p99.9" | "p999" => Quantile::P999,
            "max" => Quantile::Max,
            _ => return None,
        };
        Some((Self::Latency(of, quantile), parse_duration(limit).ok()?.as_secs_f64() * 1000.0))
    }

    fn of(self, report: &Report) -> Option<f64> {
        let arrivals = (report.sent + report.unsent) as f64;
        match self {
            Self::Latency(of, quantile) => quantile.of(of.of(report)?),
            Self::Count(counted) => Some(counted.of(report)),
            Self::Share(counted) => (arrivals > 0.0).then(|| counted.of(report) / arrivals * 100.0),
            Self::Rate => Some(report.accepted_per_second),
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Latency(..) => "ms",
            Self::Count(_) => "",
            Self::Share(_) => "%",
            Self::Rate => "/s",
        }
    }
}

impl Of {
    fn of(self, report: &Report) -> Option<&Latency> {
        match self {
            Self::All => Some(&report.latency_ms),
            Self::Operation(operation) => report.operations.get(operation.name()).map(|of| &of.latency_ms),
            Self::Lag => Some(&report.lag_ms),
            Self::Decided => Some(&report.decided_ms),
            Self::Told => Some(&report.told_ms),
        }
    }
}

impl Quantile {
    fn of(self, latency: &Latency) -> Option<f64> {
        let value = match self {
            Self::P50 => latency.p50,
            Self::P90 => latency.p90,
            Self::P99 => latency.p99,
            Self::P999 => latency.p999,
            Self::Max => latency.max,
        };
        (latency.count > 0).then_some(value)
    }
}

impl Counted {
    fn of(self, report: &Report) -> f64 {
        let count = match self {
            Self::Errors => report.errors.values().sum(),
            Self::Conflicts => report.conflicts,
            Self::Unsent => report.unsent,
        };
        count as f64
    }
}

impl Comparison {
    fn holds(self, seen: f64, limit: f64) -> bool {
        match self {
            Self::Above => seen > limit,
            Self::AtLeast => seen >= limit,
            Self::Below => seen < limit,
            Self::AtMost => seen <= limit,
        }
    }
}

impl Threshold {
    /// Holds it against a run's figures. What cannot be judged has failed: nobody saw it kept.
    #[must_use]
    pub fn judge(&self, report: &Report) -> Judged {
        let seen = self.figure.of(report);
        let failed = seen.is_none_or(|seen| self.comparison.holds(seen, self.limit));
        Judged { fail_if: self.text.clone(), seen, unit: self.figure.unit(), failed }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failed { "FAILED" } else { "kept" };
        write!(f, "{verdict:<9} {}: ", self.fail_if)?;
        match self.seen {
            Some(seen) if self.unit.is_empty() => write!(f, "{seen}"),
            Some(seen) => write!(f, "{seen:.2} {}", self.unit),
            None => f.write_str("there was nothing to take it from"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let latency = |p99| Latency { count: 1000, p50: 1.0, p90: 2.0, p99, p999: p99, max: p99 };
        let mut report = Report { sent: 990, unsent: 10, accepted_per_second: 900.0, conflicts: 5, ..Report::default() };
        report.errors.insert("timeout".into(), 2);
        report.latency_ms = latency(50.0);
        report.decided_ms = latency(4000.0);
        report.operations.entry("get").or_default().latency_ms = latency(7.0);
        report
    }

    fn judged(text: &str) -> (Option<f64>, bool) {
        let judged = text.parse::<Threshold>().unwrap().judge(&report());
        (judged.seen, judged.failed)
    }

    #[test]
    fn latencies_are_held_against_times() {
        assert_eq!(judged("p99>50ms"), (Some(50.0), false));
        assert_eq!(judged("p99 >= 50ms"), (Some(50.0), true));
        assert_eq!(judged("p99.9>0.04s"), (Some(50.0), true));
        assert_eq!(judged("decided.p99>5s"), (Some(4000.0), false));
        assert_eq!(judged("get.p99>5ms"), (Some(7.0), true));
        assert_eq!(judged("get.p99.9>5ms"), (Some(7.0), true));
    }

    #[test]
    fn counts_are_held_against_numbers_and_shares_and_the_rate_against_a_rate() {
        assert_eq!(judged("errors>0.1%"), (Some(0.2), true));
        assert_eq!(judged("errors>2"), (Some(2.0), false));
        assert_eq!(judged("unsent>0"), (Some(10.0), true));
        assert_eq!(judged("conflicts<=5"), (Some(5.0), true));
        assert_eq!(judged("rate<1000"), (Some(900.0), true));
    }

    #[test]
    fn what_was_not_measured_fails() {
        assert_eq!(judged("told.p99>1h"), (None, true));
        assert_eq!(judged("cancel.max>1h"), (None, true));
    }

    #[test]
    fn what_is_no_threshold_is_told_what_one_is() {
        for wrong in ["", "p99", "p99>", "p99>50", "p98>5ms", "p99=5ms", "look.p99>5ms", "errors>5ms", "errors>-1", "rate<1%", "p99.9.9>1s"]
        {
            let said = wrong.parse::<Threshold>().unwrap_err().to_string();
            assert!(said.contains("p99>50ms") && said.contains("errors>0.1%"), "{wrong}");
        }
    }

    #[test]
    fn the_value_seen_is_printed() {
        let said = |text: &str| text.parse::<Threshold>().unwrap().judge(&report()).to_string();
        assert_eq!(said("p99>5ms"), "FAILED    p99>5ms: 50.00 ms");
        assert_eq!(said("unsent>10"), "kept      unsent>10: 10");
        assert_eq!(said("told.p50>5s"), "FAILED    told.p50>5s: there was nothing to take it from");
    }
}
