//! How a run stands, in a line.

use std::time::Duration;

use super::{frame::rate, past::Past};
use crate::series::{Phase, Progress};

/// How often there is a line: a long run has fewer of them.
pub(super) const fn cadence(planned: Duration) -> Duration {
    Duration::from_secs(if planned.as_secs() > 60 { 5 } else { 1 })
}

/// The line. `waited` is how long nothing is sent any more.
pub(super) fn line(progress: &Progress, past: &Past, waited: Duration) -> String {
    let Progress { sent, unsent, accepted, conflicts, settled, in_flight, .. } = progress;
    let begin = format!("at {:.0} s:", (progress.elapsed + waited).as_secs_f64());
    match progress.phase {
        Phase::Settling => return format!("{begin} {settled} of {accepted} decided and told"),
        Phase::Over => return format!("{begin} reading back what was accepted"),
        Phase::WarmUp | Phase::Sending => {}
    }
    let now = rate(past.last().unwrap_or_default().sent);
    let aim = progress.target.map_or_else(String::new, |target| format!(" of {}", rate(target)));
    let warm_up = if progress.phase == Phase::WarmUp { " warm-up," } else { "" };
    let errors: u64 = progress.errors.values().sum();
    let mut line = format!("{begin}{warm_up} sent {sent} ({now}/s{aim}), accepted {accepted}, conflicts {conflicts}, errors {errors}");
    line += &format!(", in flight {in_flight}, p50 {:.2} ms, p99 {:.2} ms", progress.latency_ms.p50, progress.latency_ms.p99);
    if *unsent > 0 {
        line += &format!(", not sent {unsent}");
    }
    if progress.saturated { line + ", SATURATED" } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Latency;

    fn sending() -> Progress {
        Progress {
            elapsed: Duration::from_millis(12_040),
            sent: 1200,
            accepted: 1188,
            conflicts: 10,
            in_flight: 3,
            target: Some(100.0),
            errors: [("timeout".to_owned(), 2), ("transport".to_owned(), 1)].into(),
            latency_ms: Latency { p50: 1.5, p99: 8.25, ..Latency::default() },
            ..Progress::default()
        }
    }

    #[test]
    fn a_line_says_what_was_sent_and_what_came_of_it() {
        let mut past = Past::default();
        past.note(&Progress { elapsed: Duration::from_secs(11), sent: 1096, ..Progress::default() });
        past.note(&sending());
        assert_eq!(
            line(&sending(), &past, Duration::ZERO),
            "at 12 s: sent 1200 (100/s of 100), accepted 1188, conflicts 10, errors 3, in flight 3, p50 1.50 ms, p99 8.25 ms"
        );
        let saturated = Progress { unsent: 7, saturated: true, target: None, ..sending() };
        let line = line(&saturated, &past, Duration::ZERO);
        assert!(line.contains("(100/s)") && line.ends_with(", not sent 7, SATURATED"), "{line}");
    }

    #[test]
    fn what_is_waited_for_is_said() {
        let past = Past::default();
        let settling = Progress { phase: Phase::Settling, settled: 800, ..sending() };
        assert_eq!(line(&settling, &past, Duration::from_secs(3)), "at 15 s: 800 of 1188 decided and told");
        let over = Progress { phase: Phase::Over, ..sending() };
        assert_eq!(line(&over, &past, Duration::from_secs(5)), "at 17 s: reading back what was accepted");
        let warm_up = Progress { phase: Phase::WarmUp, ..sending() };
        assert!(line(&warm_up, &past, Duration::ZERO).starts_with("at 12 s: warm-up, sent 1200 "));
    }

    #[test]
    fn a_long_run_has_fewer_lines() {
        assert_eq!(cadence(Duration::from_secs(60)), Duration::from_secs(1));
        assert_eq!(cadence(Duration::from_secs(61)), Duration::from_secs(5));
    }
}
