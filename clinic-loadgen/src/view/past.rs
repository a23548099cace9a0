//! The last minute of a run.

use std::{collections::VecDeque, time::Duration};

use crate::series::Progress;

/// So many moments are kept.
const MOST: usize = 60;
/// They are apart by this at least.
const APART: Duration = Duration::from_secs(1);
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PLAIN_LEVELS: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];

/// A second of it, more or less.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moment {
    /// Sent a second.
    pub(super) sent: f64,
    /// Accepted a second.
    pub(super) accepted: f64,
    /// In milliseconds.
    pub(super) p99: f64,
}

/// The last minute, second by second.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    moments: VecDeque<Moment>,
    at: Duration,
    sent: u64,
    accepted: u64,
}

impl Past {
    /// Notes how the run stands, if a second has gone by.
    pub(super) fn note(&mut self, progress: &Progress) {
        let gone = progress.elapsed.saturating_sub(self.at);
        if gone < APART {
            return;
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / gone.as_secs_f64();
        let (sent, accepted) = (rate(progress.sent, self.sent), rate(progress.accepted, self.accepted));
        self.moments.push_back(Moment { sent, accepted, p99: progress.last.p99_ms });
        if self.moments.len() > MOST {
            self.moments.pop_front();
        }
        (self.at, self.sent, self.accepted) = (progress.elapsed, progress.sent, progress.accepted);
    }

    /// The last second; `None` in the first.
    pub(super) fn last(&self) -> Option<Moment> {
        self.moments.back().copied()
    }

    /// The last so many moments as one line of bars, and the greatest of them. Where there was nothing, there is no bar.
    pub(super) fn bars(&self, of: fn(&Moment) -> f64, most: usize, is_unicode: bool) -> (String, f64) {
        let values = || self.moments.iter().skip(self.moments.len().saturating_sub(most)).map(of);
        let greatest = values().fold(0.0, f64::max);
        let levels = if is_unicode { LEVELS } else { PLAIN_LEVELS };
        let bar = |value: f64| {
            let level = (value / greatest * 8.0).ceil() as usize;
            if value > 0.0 { levels[level.clamp(1, 8) - 1] } else { ' ' }
        };
        (values().map(bar).collect(), greatest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: f64, sent: u64, accepted: u64) -> Progress {
        Progress { elapsed: Duration::from_secs_f64(seconds), sent, accepted, ..Progress::default() }
    }

    #[test]
    fn a_rate_is_that_of_the_last_second() {
        let mut past = Past::default();
        past.note(&after(0.5, 50, 40));
        assert_eq!(past.last(), None);
        past.note(&after(1.0, 100, 80));
        past.note(&after(1.9, 600, 100));
        past.note(&after(2.25, 725, 105));
        assert_eq!(past.last(), Some(Moment { sent: 500.0, accepted: 20.0, p99: 0.0 }));
    }

    #[test]
    fn bars_are_of_the_last_minute_and_a_still_second_has_none() {
        let mut past = Past::default();
        let mut sent = 0;
        for second in 1..=100 {
            sent += if second == 99 { 0 } else { second };
            past.note(&after(second as f64, sent, 0));
        }
        let (bars, greatest) = past.bars(|moment| moment.sent, 100, true);
        assert_eq!((bars.chars().count(), greatest), (60, 100.0));
        assert!(bars.ends_with("█ █"), "{bars}");
        assert_eq!(past.bars(|moment| moment.sent, 3, false).0, "# #");
        assert_eq!(Past::default().bars(|moment| moment.sent, 9, true), (String::new(), 0.0));
    }
}
