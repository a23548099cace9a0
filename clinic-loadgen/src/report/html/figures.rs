//! Which plots a page has.

use super::plot::{Line, Plot, Shade};
use crate::{
    report::{FaultMark, Quantile, Report},
    series::Second,
};

/// The plots of a page, in their order.
pub(super) fn figures(report: &Report) -> [Plot; 5] {
    let step = report.step_seconds.max(1) as f64;
    let line = |name, of: &dyn Fn(&Second) -> f64| Line {
        name,
        points: report.series.iter().map(|second| (second.at as f64, of(second))).collect(),
    };
    let (count, time) = (|count: u64| count as f64 / step, "seconds from the start");
    let over_time = |title, y, lines, note| Plot {
        title,
        x: time,
        y,
        ticks: Vec::new(),
        lines,
        shades: report.faults.iter().map(shade).collect(),
        note,
    };
    let sum = |of: fn(&Second) -> u64| report.series.iter().map(of).sum::<u64>();
    let (sent, accepted, decided, told) = (sum(|s| s.sent), sum(|s| s.accepted), sum(|s| s.decided), sum(|s| s.told));
    let steps = format!("{} steps of {} s", report.series.len(), report.step_seconds.max(1));
    let distribution = &report.distribution;
    let without = if report.warm_up_seconds > 0.0 { ", without the warm-up's" } else { "" };
    let warm_up = if report.warm_up_seconds > 0.0 { ", the warm-up's among them" } else { "" };
    [
        over_time(
            "Rate",
            "per second",
            vec![
                line("sent", &|second| count(second.sent)),
                line("accepted", &|second| count(second.accepted)),
                line("decided", &|second| count(second.decided)),
                line("told", &|second| count(second.told)),
            ],
            format!("{steps}: {sent} sent, {accepted} accepted, {decided} decided, {told} told{warm_up}"),
        ),
        over_time(
            "Latency of answers",
            "milliseconds",
            vec![line("p50", &|second| second.p50_ms), line("p90", &|second| second.p90_ms), line("p99", &|second| second.p99_ms)],
            format!("{steps}, each of the answers that came in it: {} of {sent} sent{warm_up}", report.sent + report.warm_up.sent),
        ),
        over_time(
            "In flight",
            "requests",
            vec![line("in flight", &|second| second.in_flight as f64)],
            format!("{steps}: as many as were under way at the end of each"),
        ),
        by_percentile(
            "Latency of answers by percentile",
            vec![spread("answered", &distribution.answered)],
            format!("{} answers{without}. The line ends at the slowest.", report.latency_ms.count),
        ),
        by_percentile(
            "Time to decided and told by percentile",
            vec![spread("decided", &distribution.decided), spread("told", &distribution.told)],
            format!("{} decisions, {} notices{without}. Each line ends at the slowest.", report.decided_ms.count, report.told_ms.count),
        ),
    ]
}

fn by_percentile(title: &'static str, lines: Vec<Line>, note: String) -> Plot {
    let x = "percentile, by the share beyond it";
    Plot { title, x, y: "milliseconds", ticks: percentiles(&lines), lines, shades: Vec::new(), note }
}

fn spread(name: &'static str, of: &[Quantile]) -> Line {
    Line { name, points: of.iter().map(|at| (distance(at.quantile), at.ms)).collect() }
}

/// Where a quantile stands: its distance from 1 on a logarithmic scale, so that each further nine is as far from the last.
fn distance(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// The percentiles that have a name, as far as lines reach: 0, 50, 90, 99, 99.9 and so on.
fn percentiles(lines: &[Line]) -> Vec<(f64, String)> {
    let furthest = lines.iter().filter_map(|line| line.points.last()).map(|point| point.0).fold(2.0, f64::max);
    let nines = (1..=15).map(|nines| {
        let digits = "9".repeat(nines);
        let name = match nines {
            1 => "90 %".to_owned(),
            2 => "99 %".to_owned(),
            _ => format!("99.{} %", &digits[2..]),
        };
        (nines as f64, name)
    });
    let first = [(0.0, "0 %".to_owned()), (distance(0.5), "50 %".to_owned())];
    first.into_iter().chain(nines).filter(|(at, _)| *at <= furthest + 1e-9).collect()
}

fn shade(mark: &FaultMark) -> Shade {
    let seconds = |ms: u64| ms as f64 / 1000.0;
    Shade {
        from: seconds(mark.at_ms),
        to: seconds(mark.until_ms.unwrap_or(mark.at_ms)),
        title: format!("{} {}: {}", mark.fault, mark.target, mark.outcome),
    }
}
