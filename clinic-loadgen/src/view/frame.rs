//! The block of lines: how a run stands, and nothing else, made into text.

use std::time::Duration;

use super::{
    past::{Moment, Past},
    row::{Look, Paint, Row},
};
use crate::{
    chaos::{Mark, Outcome, schedule::Planned},
    series::{Phase, Progress},
};

/// The widest bar.
const BAR: usize = 40;
/// So many faults that are under way are shown each.
const FAULTS: usize = 3;

/// What is done to the clinic meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults<'a> {
    pub(super) planned: &'a [Planned],
    pub(super) marks: &'a [Mark],
}

/// How a run stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) progress: &'a Progress,
    pub(super) past: &'a Past,
    /// How long nothing is sent any more.
    pub(super) waited: Duration,
    pub(super) faults: Option<Faults<'a>>,
}

impl Frame<'_> {
    /// Its lines, none wider than the terminal, and fewer than it has rows: the cursor stands below.
    pub(super) fn lines(&self, look: Look) -> Vec<String> {
        let is_sending = matches!(self.progress.phase, Phase::WarmUp | Phase::Sending);
        let mut rows = vec![self.phase(look)];
        if is_sending {
            rows.push(self.rate());
        }
        rows.extend([self.sent(), self.answered(), self.latency()]);
        if self.progress.saturated {
            let text = "this tool does not keep to its schedule: the figures say more of it than of the clinic";
            rows.push(Row::painted(Paint::Warning, "SATURATED").and(Paint::Warning, text));
        }
        if is_sending && self.past.last().is_some() {
            rows.push(self.bars("sent/s", |moment| moment.sent, rate, look));
            rows.push(self.bars("p99", |moment| moment.p99, |p99| format!("{p99:.1} ms"), look));
        }
        rows.extend(self.faults.into_iter().flat_map(|faults| self.faulty(faults)));
        rows.truncate(look.height.saturating_sub(1));
        rows.iter().map(|row| row.shown(look)).collect()
    }

    fn phase(&self, look: Look) -> Row {
        let Progress { phase, elapsed, planned, settled, accepted, .. } = self.progress;
        let waited = self.waited.as_secs_f64();
        let (label, text, share) = match phase {
            Phase::WarmUp | Phase::Sending => {
                let label = if *phase == Phase::WarmUp { "warm-up" } else { "sending" };
                if *planned == Duration::MAX {
                    let text = format!("{:.1} s, until all are sent", elapsed.as_secs_f64());
                    return Row::painted(Paint::Strong, label).and(Paint::Plain, text);
                }
                let text = format!("{:.1} of {} s", elapsed.as_secs_f64(), planned.as_secs_f64());
                (label, text, elapsed.as_secs_f64() / planned.as_secs_f64())
            }
            Phase::Settling => {
                ("settling", format!("{settled} of {accepted} decided and told, {waited:.1} s"), *settled as f64 / *accepted as f64)
            }
            Phase::Over => {
                return Row::painted(Paint::Strong, "judging").and(Paint::Plain, format!("what was accepted is read back, {waited:.1} s"));
            }
        };
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let row = Row::painted(Paint::Strong, label).and(Paint::Plain, format!("{text}  "));
        let percent = format!(" {:3.0} %", share * 100.0);
        let width = row.room(look).saturating_sub(percent.len()).min(BAR);
        let full = (share * width as f64) as usize;
        let (done, left) = if look.is_unicode { ("█", "░") } else { ("#", "-") };
        row.and(Paint::Good, done.repeat(full)).and(Paint::Dim, left.repeat(width - full)).and(Paint::Plain, percent)
    }

    fn rate(&self) -> Row {
        let Moment { sent, accepted, .. } = self.past.last().unwrap_or_default();
        let row = Row::new("rate").and(Paint::Strong, format!("{}/s", rate(sent)));
        let aim = self.progress.target.map_or_else(String::new, |target| format!(" of {}/s", rate(target)));
        row.and(Paint::Plain, format!("{aim} sent, {}/s accepted", rate(accepted)))
    }

    fn sent(&self) -> Row {
        let Progress { sent, unsent, in_flight, .. } = self.progress;
        let row = Row::new("sent").and(Paint::Strong, sent.to_string()).and(Paint::Plain, format!(", in flight {in_flight}, "));
        row.and(if *unsent > 0 { Paint::Warning } else { Paint::Plain }, format!("not sent {unsent}"))
    }

    fn answered(&self) -> Row {
        let Progress { accepted, conflicts, errors, .. } = self.progress;
        let row = Row::new("accepted").and(Paint::Strong, accepted.to_string()).and(Paint::Plain, format!(", conflicts {conflicts}, "));
        let count: u64 = errors.values().sum();
        let mut most: Vec<_> = errors.iter().collect();
        most.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let by_code: Vec<String> = most.into_iter().map(|(code, count)| format!("{code} {count}")).collect();
        let by_code = if count > 0 { format!(": {}", by_code.join(", ")) } else { String::new() };
        row.and(if count > 0 { Paint::Bad } else { Paint::Plain }, format!("errors {count}{by_code}"))
    }

    fn latency(&self) -> Row {
        let latency = &self.progress.latency_ms;
        let text = format!("p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms", latency.p50, latency.p90, latency.p99, latency.max);
        Row::new("latency").and(Paint::Plain, text)
    }

    fn bars(&self, label: &str, of: fn(&Moment) -> f64, shown: impl Fn(f64) -> String, look: Look) -> Row {
        let row = Row::new(label);
        // Room for what is said of the greatest.
        let most = row.room(look).saturating_sub(18);
        let (bars, greatest) = self.past.bars(of, most, look.is_unicode);
        row.and(Paint::Good, bars).and(Paint::Dim, format!(" up to {}", shown(greatest)))
    }

    fn faulty(&self, faults: Faults<'_>) -> Vec<Row> {
        let count = |is: fn(&Outcome) -> bool| faults.marks.iter().filter(|mark| is(&mark.outcome)).count();
        let (done, failed) = (count(|outcome| *outcome == Outcome::Done), count(|outcome| matches!(outcome, Outcome::Failed(_))));
        let row = Row::new("faults").and(Paint::Strong, done.to_string()).and(Paint::Plain, format!(" of {} done, ", faults.planned.len()));
        let row = row.and(if failed > 0 { Paint::Bad } else { Paint::Plain }, format!("{failed} failed"));
        let elapsed = self.progress.elapsed;
        let is_to_come = |planned: &&Planned| Duration::from_millis(planned.at_ms) > elapsed && self.progress.phase == Phase::Sending;
        let next = faults.planned.iter().find(is_to_come).map(|planned| {
            let seconds = (Duration::from_millis(planned.at_ms) - elapsed).as_secs_f64();
            format!(", next: {} {} in {seconds:.0} s", planned.fault, planned.target)
        });
        let under_way = faults.marks.iter().filter(|mark| mark.outcome == Outcome::UnderWay);
        let under_way = under_way.take(FAULTS).map(|mark| Row::new("").and(Paint::Warning, mark.to_string().trim_start()));
        std::iter::once(row.and(Paint::Dim, next.unwrap_or_default())).chain(under_way).collect()
    }
}

/// A rate in so many digits as say something.
pub(super) fn rate(rate: f64) -> String {
    if rate == 0.0 || rate >= 9.95 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chaos::Kind, report::Latency};

    const LOOK: Look = Look { width: 80, height: 24, is_coloured: false, is_unicode: true };

    fn sending() -> Progress {
        Progress {
            elapsed: Duration::from_millis(12_340),
            planned: Duration::from_secs(30),
            target: Some(200.0),
            sent: 2468,
            accepted: 2400,
            conflicts: 57,
            in_flight: 8,
            errors: [("timeout".to_owned(), 1), ("transport".to_owned(), 2)].into(),
            latency_ms: Latency { p50: 1.2, p90: 2.31, p99: 8.8, max: 20.1, ..Latency::default() },
            ..Progress::default()
        }
    }

    fn past() -> Past {
        let mut past = Past::default();
        for second in 1..=12 {
            past.note(&Progress { elapsed: Duration::from_secs(second), sent: second * 200, accepted: second * 195, ..sending() });
        }
        past
    }

    fn lines(progress: &Progress, faults: Option<Faults<'_>>, look: Look) -> Vec<String> {
        Frame { progress, past: &past(), waited: Duration::from_millis(3210), faults }.lines(look)
    }

    fn planned(at_ms: u64) -> Planned {
        Planned { at_ms, fault: Kind::Pause, target: "rabbitmq".into(), lasts_ms: 2000, pick: 0 }
    }

    fn mark(at_ms: u64, outcome: Outcome) -> Mark {
        Mark { at_ms, until_ms: None, fault: Kind::Kill, target: "worker".into(), instance: Some("worker-2".into()), outcome }
    }

    #[test]
    fn a_run_that_sends_shows_its_rates_outcomes_and_percentiles() {
        let expected = [
            "sending    12.3 of 30 s  ████████████████░░░░░░░░░░░░░░░░░░░░░░░░  41 %",
            "rate       200/s of 200/s sent, 195/s accepted",
            "sent       2468, in flight 8, not sent 0",
            "accepted   2400, conflicts 57, errors 3: transport 2, timeout 1",
            "latency    p50 1.20 ms, p90 2.31 ms, p99 8.80 ms, max 20.10 ms",
            "sent/s     ████████████ up to 200",
            "p99                     up to 0.0 ms",
        ];
        assert_eq!(lines(&sending(), None, LOOK), expected);
    }

    #[test]
    fn a_run_that_settles_shows_how_many_are_and_one_that_is_judged_that_it_is() {
        let settling = lines(&Progress { phase: Phase::Settling, settled: 1200, ..sending() }, None, LOOK);
        assert_eq!(settling[0], "settling   1200 of 2400 decided and told, 3.2 s  ████████████░░░░░░░░░░░░░  50 %");
        assert!(!settling.iter().any(|line| line.starts_with("rate")), "{settling:?}");
        let over = lines(&Progress { phase: Phase::Over, ..sending() }, None, LOOK);
        assert_eq!(over[0], "judging    what was accepted is read back, 3.2 s");
    }

    #[test]
    fn a_run_of_so_many_requests_shows_no_time_that_nobody_knows() {
        let shown = lines(&Progress { planned: Duration::MAX, ..sending() }, None, LOOK);
        assert_eq!(shown[0], "sending    12.3 s, until all are sent");
    }

    #[test]
    fn a_tool_that_is_saturated_says_so() {
        let saturated = lines(&Progress { saturated: true, unsent: 9, ..sending() }, None, LOOK);
        assert!(saturated.iter().any(|line| line.starts_with("SATURATED  this tool")), "{saturated:?}");
        assert!(saturated[2].ends_with("not sent 9"));
    }

    #[test]
    fn faults_show_how_many_are_done_which_is_under_way_and_which_is_next() {
        let (planned, marks) = (
            [planned(2000), planned(12_000), planned(15_340)],
            [mark(2000, Outcome::Done), mark(12_000, Outcome::UnderWay), mark(12_001, Outcome::Failed("no".into()))],
        );
        let shown = lines(&sending(), Some(Faults { planned: &planned, marks: &marks }), LOOK);
        assert_eq!(
            shown[7..],
            ["faults     1 of 3 done, 1 failed, next: pause rabbitmq in 3 s", "           12.000 s  kill    worker (worker-2): under way"]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_the_block_is_lower_than_it() {
        let marks = [mark(1, Outcome::UnderWay), mark(2, Outcome::UnderWay)];
        let progress = Progress { saturated: true, errors: (0..20).map(|code| (format!("code_{code}"), 7)).collect(), ..sending() };
        for (width, height) in [(1, 1), (10, 3), (40, 5), (80, 24), (120, 50)] {
            for phase in [Phase::WarmUp, Phase::Sending, Phase::Settling, Phase::Over] {
                let look = Look { width, height, ..LOOK };
                let faults = Faults { planned: &[planned(99_000)], marks: &marks };
                let shown = lines(&Progress { phase, ..progress.clone() }, Some(faults), look);
                assert!(shown.len() < height.max(1), "{shown:?}");
                assert!(shown.iter().all(|line| line.chars().count() <= width), "{width}: {shown:?}");
            }
        }
    }

    #[test]
    fn without_colour_and_unicode_it_is_ascii() {
        let shown = lines(&sending(), None, Look { is_unicode: false, ..LOOK });
        assert!(shown.iter().all(|line| line.chars().all(|c| c == ' ' || c.is_ascii_graphic())), "{shown:?}");
        let coloured = lines(&sending(), None, Look { is_coloured: true, ..LOOK });
        assert!(coloured[3].contains("\x1b[1;31merrors 3"), "{coloured:?}");
    }

    #[test]
    fn a_run_of_no_length_is_no_trouble() {
        let shown = Frame { progress: &Progress::default(), past: &Past::default(), waited: Duration::ZERO, faults: None }.lines(LOOK);
        assert!(shown[0].ends_with("  0 %"), "{shown:?}");
        assert!(!shown.concat().contains("NaN"));
    }
}
