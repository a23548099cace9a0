//! What is shown when: the block again and again, or a line now and then; each fault once it is over.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::{
    frame::{Faults, Frame},
    past::Past,
    plain,
    row::Look,
    screen::Screen,
};
use crate::{
    chaos::{Mark, Outcome},
    series::{Phase, Progress},
};

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As a block that is drawn in place.
    Block,
    /// As lines that follow one another.
    Lines,
}

/// Shows a run as it goes on. Times are from the view's start.
#[derive(Debug)]
pub(super) struct Stage<W> {
    manner: Manner,
    screen: Screen<W>,
    past: Past,
    /// Which faults were shown, by their place.
    told: Vec<bool>,
    /// When sending was over.
    sent_by: Option<Duration>,
    /// When the next line is due.
    due: Option<Duration>,
}

impl<W: Write> Stage<W> {
    pub(super) fn new(out: W, manner: Manner) -> Self {
        Self { manner, screen: Screen::new(out), past: Past::default(), told: Vec::new(), sent_by: None, due: None }
    }

    /// Shows how the run stands now.
    pub(super) fn show(&mut self, progress: &Progress, faults: Option<Faults<'_>>, now: Duration, look: Look) -> io::Result<()> {
        self.past.note(progress);
        self.tell(faults)?;
        let is_sending = matches!(progress.phase, Phase::WarmUp | Phase::Sending);
        let waited = if is_sending { Duration::ZERO } else { now.saturating_sub(*self.sent_by.get_or_insert(now)) };
        match self.manner {
            Manner::Block => {
                let lines = Frame { progress, past: &self.past, waited, faults }.lines(look);
                self.screen.draw(&lines)
            }
            Manner::Lines => {
                let cadence = plain::cadence(progress.planned);
                // The first line once there is something to say.
                let due = *self.due.get_or_insert(now + cadence);
                if now < due {
                    return Ok(());
                }
                self.due = Some(due + cadence);
                self.screen.say(&plain::line(progress, &self.past, waited))
            }
        }
    }

    /// Says something that stays.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.screen.say(text)
    }

    /// Clears up; what was done stays.
    pub(super) fn end(&mut self, faults: Option<Faults<'_>>) -> io::Result<()> {
        self.tell(faults)?;
        self.screen.clear()
    }

    /// Each fault that is over, once. What a stop left undone is no news.
    fn tell(&mut self, faults: Option<Faults<'_>>) -> io::Result<()> {
        let marks = faults.map_or(&[] as &[Mark], |faults| faults.marks);
        self.told.resize(marks.len(), false);
        for (mark, told) in marks.iter().zip(&mut self.told) {
            if !*told && matches!(mark.outcome, Outcome::Done | Outcome::Failed(_)) {
                *told = true;
                self.screen.say(&mark.to_string().replace(char::is_control, " "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::Kind;

    const LOOK: Look = Look { width: 80, height: 24, is_coloured: false, is_unicode: true };

    fn at(seconds: u64) -> Progress {
        let elapsed = Duration::from_secs(seconds);
        Progress { elapsed, planned: Duration::from_secs(10), sent: seconds * 100, accepted: seconds * 100, ..Progress::default() }
    }

    fn mark(outcome: Outcome) -> Mark {
        Mark { at_ms: 1500, until_ms: Some(1700), fault: Kind::Kill, target: "worker".into(), instance: None, outcome }
    }

    fn said(stage: &mut Stage<&mut Vec<u8>>, progress: &Progress, marks: &[Mark], now_ms: u64) {
        stage.show(progress, Some(Faults { planned: &[], marks }), Duration::from_millis(now_ms), LOOK).unwrap();
    }

    #[test]
    fn elsewhere_than_on_a_terminal_there_is_a_line_a_second_and_each_fault_once() {
        let mut out = Vec::new();
        let mut stage = Stage::new(&mut out, Manner::Lines);
        for (progress, now) in [(at(0), 0), (at(0), 750), (at(1), 1000), (at(1), 1250)] {
            said(&mut stage, &progress, &[mark(Outcome::UnderWay)], now);
        }
        let over = [mark(Outcome::Done), mark(Outcome::Skipped), mark(Outcome::Failed("a\x1b[2J".into()))];
        said(&mut stage, &at(1), &over, 1500);
        said(&mut stage, &Progress { phase: Phase::Settling, settled: 50, ..at(2) }, &over, 2000);
        said(&mut stage, &Progress { phase: Phase::Settling, settled: 90, ..at(2) }, &over, 3000);
        stage.end(Some(Faults { planned: &[], marks: &over })).unwrap();
        let out = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[0].starts_with("at 1 s: sent 100 (100/s)"), "{out}");
        assert_eq!(
            lines[1..],
            [
                "   1.500 s  kill    worker: done, 0.2 s",
                "   1.500 s  kill    worker: failed: a [2J, 0.2 s",
                "at 2 s: 50 of 200 decided and told",
                "at 3 s: 90 of 200 decided and told",
            ]
        );
    }

    #[test]
    fn on_a_terminal_each_frame_leaves_the_cursor_seen_and_lines_wrapping() {
        let mut out = Vec::new();
        let mut stage = Stage::new(&mut out, Manner::Block);
        said(&mut stage, &at(0), &[], 0);
        said(&mut stage, &at(1), &[mark(Outcome::Done)], 250);
        stage.say("stopping").unwrap();
        said(&mut stage, &at(1), &[mark(Outcome::Done)], 500);
        stage.end(None).unwrap();
        let out = String::from_utf8(out).unwrap();
        let (frames, hidden) = (out.matches("\x1b[?7h\x1b[?25h").count(), out.matches("\x1b[?25l\x1b[?7l").count());
        assert_eq!((frames, hidden), (3, 3), "{out:?}");
        assert!(out.rfind("\x1b[?25h") > out.rfind("\x1b[?25l"));
        assert_eq!(out.matches("worker: done").count(), 1);
    }
}
